//! `trcctl top`: the units of a run on a full screen, and keys to act on them.
//!
//! `state.rs` is what is known and shown, with the last lines in `records.rs`, `update.rs` changes it
//! by one event and says what to do, and `view.rs` draws it. These are pure. `feed.rs` asks trc, and `screen.rs` has the terminal.

mod feed;
mod records;
mod screen;
mod state;
#[cfg(test)]
mod tests;
mod update;
mod view;

use std::io::IsTerminal;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::ask::Trc;
use super::{Options, complain, failed};
use crate::status as exit;
use feed::Feed;
use screen::Screen;
use state::State;
use update::{Effect, Event, update};

/// The number of events that wait to be looked at. Whoever has more has to wait.
const WAITING: usize = 256;
/// The shortest time between two pictures, for units that print a lot.
const BETWEEN: Duration = Duration::from_millis(40);

/// How it ends.
enum End {
    /// With this exit status.
    Status(u8),
    /// By this signal.
    Signal(Signal),
}

/// Shows the units until somebody quits. Returns the exit status.
pub fn top(options: &Options) -> u8 {
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if !terminal || std::env::var_os("TERM").is_some_and(|term| term == "dumb") {
        complain(
            &"top needs a terminal that can move its cursor\n  help: write `docker exec -it CONTAINER \
              trcctl top`, or use `trcctl status`",
        );
        return exit::USAGE;
    }
    // Whoever may not look, and a trc that is not there, is told so as by the other commands.
    let mut looker = feed::Looker::new(Trc::at(options.socket.as_deref()));
    let first = match looker.look() {
        Ok(picture) => picture,
        Err(why) => return failed(&why),
    };
    let (to, events) = mpsc::sync_channel(WAITING);
    let started = Feed::start(options.socket.clone(), looker, &to)
        .and_then(|feed| Ok((feed, Screen::open(options.color)?)));
    let (feed, screen) = match started {
        Ok(started) => started,
        Err(why) => {
            complain(&format_args!("cannot use the terminal: {why}"));
            return 1;
        }
    };
    let mut state = State::default();
    let begin = update(&mut state, Event::Looked(Ok(Box::new(first))));
    match run(state, begin, &events, &feed, screen) {
        Ok(End::Status(status)) => status,
        Ok(End::Signal(signal)) => screen::end_by(signal),
        // The terminal is gone. The kernel sends SIGHUP, but that may come later.
        Err(_) => screen::end_by(Signal::SIGHUP),
    }
}

#[expect(clippy::disallowed_methods, reason = "trcctl is not PID 1")]
fn now() -> Instant {
    Instant::now()
}

fn run(
    mut state: State,
    mut effects: Vec<Effect>,
    events: &Receiver<Event>,
    feed: &Feed,
    mut screen: Screen,
) -> std::io::Result<End> {
    let mut shown: Option<Instant> = None;
    let mut changed = true;
    loop {
        for effect in effects.drain(..) {
            match effect {
                Effect::Follow(number, stream) => feed.follow(number, stream),
                Effect::Act(unit, act) => feed.act(unit, act),
                Effect::Redraw => screen.forget()?,
                Effect::Suspend => screen.suspend()?,
                Effect::Quit => return Ok(End::Status(0)),
                Effect::EndBy(signal) => return Ok(End::Signal(signal)),
            }
        }
        let due =
            shown.map_or(Duration::ZERO, |at| (at + BETWEEN).saturating_duration_since(now()));
        if changed && due.is_zero() {
            screen.draw(&state)?;
            shown = Some(now());
            changed = false;
        }
        let event = if changed {
            events.recv_timeout(due)
        } else {
            events.recv().map_err(|_| RecvTimeoutError::Disconnected)
        };
        match event {
            Ok(event) => {
                effects = update(&mut state, event);
                changed = true;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(End::Status(exit::SOFTWARE)),
        }
    }
}
