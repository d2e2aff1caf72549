//! Passes a stream of records on, as fast as the client takes it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, Incoming};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::answer::Broken;
use super::connections::Place;

/// The time after which a quiet stream has a comment, so that nobody on the way takes it for dead and
/// a client that is gone is noticed.
const BEAT: Duration = Duration::from_secs(15);

/// The stream of trc, with comments while it is quiet.
pub(super) struct Stream {
    records: Incoming,
    /// Comments are for server-sent events only.
    beat: Option<Interval>,
    /// The last two bytes: a record ends with an empty line, and need not come at once.
    last: [u8; 2],
    place: Place,
}

impl Stream {
    /// Passes records on.
    pub(super) fn new(records: Incoming, sse: bool, place: Place) -> Self {
        let beat = sse.then(|| {
            let mut beat = interval(BEAT);
            beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
            beat
        });
        Self { records, beat, last: *b"\n\n", place }
    }
}

impl Body for Stream {
    type Data = Bytes;
    type Error = Broken;

    /// hyper asks for more when the client has taken what there was.
    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        this.place.goes_on();
        if let Poll::Ready(frame) = Pin::new(&mut this.records).poll_frame(context) {
            let data = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
            for byte in data.iter().flat_map(|data| &data[data.len().saturating_sub(2)..]) {
                this.last = [this.last[1], *byte];
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let Some(beat) = &mut this.beat else { return Poll::Pending };
        ready!(beat.poll_tick(context));
        if this.last != *b"\n\n" {
            // In the middle of a record, its rest wakes the task.
            _ = beat.poll_tick(context);
            return Poll::Pending;
        }
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b":\n\n")))))
    }
}
