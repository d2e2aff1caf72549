//! One connection of a client.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{MsgFlags, send};

use super::http::{self, Content, LONGEST, Request};
use super::peer::Peer;
use crate::config::Access;
use crate::graph::UnitId;
use crate::run::os::rights::{Guarded, Part};
use crate::wire::{Ask, Code, Exposition, Metrics, Problem, Select};

/// The time in which a request has to be complete.
const REQUEST: Duration = Duration::from_secs(10);
/// The time after which a client has to have taken a part of its answer.
const ANSWER: Duration = Duration::from_secs(30);
/// The time for which a connection may be idle.
const IDLE: Duration = Duration::from_mins(1);
/// The number of bytes that are read at once.
const READ: usize = 16 * 1024;
/// The number of bytes of a stream that are written ahead.
pub(crate) const AHEAD: usize = 16 * 1024;

/// A stream of records.
pub(crate) struct Stream {
    /// The records to send.
    pub select: Select,
    /// The units that they are about; all, if empty.
    pub units: Vec<UnitId>,
    /// Whether they are lines of units, or of trc.
    pub of_units: bool,
    /// The place of the next record.
    pub next: u64,
    /// Whether they are sent as server-sent events.
    pub sse: bool,
}

/// The state of a connection.
pub(crate) enum State {
    /// The client sends a request, or will.
    Reads,
    /// The engine is about to answer.
    Asked,
    /// The answer is held back until something is so, or until this time.
    Waits(Ask, Instant),
    /// Records are sent as they come.
    Streams(Stream),
    /// The command that the client has asked for runs, and its exit is the answer.
    Runs,
    /// The connection is closed when everything is sent.
    Ends,
}

/// A connection.
pub(crate) struct Client {
    socket: Guarded,
    /// The process at its other end.
    pub peer: Peer,
    /// What it may ask for.
    pub access: Access,
    /// The state.
    pub state: State,
    /// Whether it has had its turn.
    pub served: bool,
    input: Vec<u8>,
    /// Whether the input may have another whole request, which came with the last one.
    more: bool,
    /// The number of bytes at the head of the queue with which descriptors have come.
    passed: Option<usize>,
    output: Vec<u8>,
    sent: usize,
    /// Whether the current request lets another one follow.
    keeps: bool,
    /// The format of metrics that the current request wants.
    exposition: Exposition,
    /// When a request began, or something was last sent.
    since: Instant,
}

impl Client {
    /// Takes a connection.
    ///
    /// # Errors
    /// Returns the errors of getsockopt(2), if the kernel does not tell who the peer is.
    pub(crate) fn new(fd: OwnedFd, now: Instant) -> nix::Result<Self> {
        let socket = Guarded::new(fd);
        let peer = Peer::of(socket.as_fd())?;
        Ok(Self {
            socket,
            peer,
            access: Access::Health,
            state: State::Reads,
            served: false,
            input: Vec::new(),
            more: false,
            passed: None,
            output: Vec::new(),
            sent: 0,
            keeps: false,
            exposition: Exposition::default(),
            since: now,
        })
    }

    /// Returns the descriptor, and what to poll it for. A client that is gone is reported in any
    /// case.
    pub(crate) fn polled(&self) -> (BorrowedFd<'_>, PollFlags) {
        let reads = matches!(self.state, State::Reads) && !self.owes();
        let flags = match (self.owes(), reads) {
            (true, _) => PollFlags::POLLOUT,
            (false, true) => PollFlags::POLLIN,
            (false, false) => PollFlags::empty(),
        };
        (self.socket.as_fd(), flags)
    }

    /// Returns whether something has still to be sent.
    pub(crate) fn owes(&self) -> bool {
        self.sent < self.output.len()
    }

    /// Returns the time at which the connection is closed, or its answer is due. A stream may be
    /// read as slowly as its reader likes.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Streams(_) | State::Asked | State::Runs => None,
            State::Waits(_, until) => Some(*until),
            State::Reads | State::Ends if self.owes() => Some(self.since + ANSWER),
            State::Reads if self.input.is_empty() => Some(self.since + IDLE),
            State::Reads => Some(self.since + REQUEST),
            State::Ends => Some(self.since),
        }
    }

    /// Returns since when the client keeps trc waiting.
    pub(crate) fn waits_since(&self) -> Option<Instant> {
        match self.state {
            State::Reads | State::Ends | State::Streams(_) => Some(self.since),
            State::Asked | State::Waits(..) | State::Runs => None,
        }
    }

    /// Postpones its deadline.
    pub(crate) fn postpone(&mut self, by: Duration) {
        self.since += by;
        if let State::Waits(_, until) = &mut self.state {
            *until += by;
        }
    }

    /// Reads what the client has sent, and returns its request if it is complete.
    ///
    /// # Errors
    /// `Err(Some)` is a problem that the client is to be told, and `Err(None)` means that it is
    /// gone.
    pub(crate) fn read(&mut self, now: Instant) -> Result<Option<Request>, Option<Problem>> {
        self.more = false;
        if let Some(request) = http::take(&mut self.input).map_err(Some)? {
            return Ok(Some(request));
        }
        let begun = !self.input.is_empty();
        let room = (LONGEST + 1).saturating_sub(self.input.len()).min(READ);
        let mut bytes = [0; READ];
        match self.socket.part(&mut bytes[..room]) {
            Ok(Part { length: 0, .. }) => return Err(None),
            Ok(Part { length, rights: false }) => self.input.extend_from_slice(&bytes[..length]),
            Ok(Part { rights: true, .. }) => {
                // All the bytes that come before the descriptors or with them.
                let before = self.input.len();
                self.input.resize(LONGEST + 1, 0);
                let part = self.socket.part(&mut self.input[before..]).map_err(|_| None)?;
                self.input.truncate(before + part.length);
                self.passed = Some(part.length);
            }
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
            Err(_) => return Err(None),
        }
        if !begun {
            self.since = now;
        }
        let request = http::take(&mut self.input).map_err(Some)?;
        if self.passed.is_none() {
            return Ok(request);
        }
        // The bytes are still in the queue, so nothing can be read after them.
        match request {
            Some(mut request) if self.input.is_empty() => {
                request.keep = false;
                Ok(Some(request))
            }
            Some(_) | None => {
                let why = "descriptors have to come with the last byte of a request: send that byte alone";
                Err(Some(Problem::new(Code::BadRequest, why)))
            }
        }
    }

    /// Returns the number of bytes at the head of the queue, if descriptors have come with the
    /// request.
    pub(crate) fn passed(&self) -> Option<usize> {
        self.passed
    }

    /// Returns the socket, for a child that receives the descriptors.
    pub(crate) fn socket(&self) -> RawFd {
        self.socket.as_fd().as_raw_fd()
    }

    /// Waits for the exit of the command that receives the descriptors and then runs.
    pub(crate) fn runs(&mut self, pid: i32) {
        self.socket.leave_to(pid);
        (self.passed, self.input, self.state) = (None, Vec::new(), State::Runs);
    }

    /// Handles that a command has received its descriptors, or has exited without.
    pub(crate) fn received(&mut self, pid: i32) {
        self.socket.ended(pid);
    }

    /// Returns whether a request may have been read already, so that the descriptor does not tell
    /// of it.
    pub(crate) fn has_input(&self) -> bool {
        matches!(self.state, State::Reads) && !self.owes() && self.more
    }

    /// Returns whether the client has sent a part of a request.
    pub(crate) fn has_begun(&self) -> bool {
        matches!(self.state, State::Reads) && !self.owes() && !self.input.is_empty()
    }

    /// Begins to answer a request.
    pub(crate) fn begins(&mut self, request: &Request) {
        self.keeps = request.keep;
        self.exposition = request.exposition;
    }

    /// Answers the request with JSON.
    pub(crate) fn answer(&mut self, status: u16, body: &[u8], now: Instant) {
        self.finish(status, Content::Json, body, now);
    }

    /// Answers the request with metrics.
    pub(crate) fn measure(&mut self, metrics: &Metrics, now: Instant) {
        let text = metrics.text(self.exposition);
        self.finish(200, Content::Metrics(self.exposition), text.as_bytes(), now);
    }

    /// Answers the request with a problem.
    pub(crate) fn refuse(&mut self, problem: &Problem, now: Instant) {
        let body = serde_json::to_vec(problem).unwrap_or_default();
        self.finish(problem.status, Content::Problem(problem.allow), &body, now);
    }

    /// Answers bytes that cannot be understood, and then closes the connection.
    pub(crate) fn reject(&mut self, problem: &Problem, now: Instant) {
        self.keeps = false;
        self.refuse(problem, now);
    }

    fn finish(&mut self, status: u16, content: Content<'_>, body: &[u8], now: Instant) {
        http::answer(&mut self.output, status, content, body, self.keeps);
        self.state = if self.keeps { State::Reads } else { State::Ends };
        self.more = !self.input.is_empty();
        self.since = now;
    }

    /// Begins a stream.
    pub(crate) fn stream(&mut self, stream: Stream) {
        http::stream(&mut self.output, stream.sse);
        self.input = Vec::new();
        self.state = State::Streams(stream);
    }

    /// Adds a record to a stream.
    pub(crate) fn record(&mut self, json: &[u8], sse: bool) {
        if sse {
            self.output.extend_from_slice(b"data: ");
        }
        self.output.extend_from_slice(json);
        self.output.extend_from_slice(if sse { b"\n\n" } else { b"\n" });
    }

    /// Sends as much as the client takes. Returns whether the connection lives on.
    pub(crate) fn send(&mut self, now: Instant) -> bool {
        while self.owes() {
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
            match send(self.socket.as_fd().as_raw_fd(), &self.output[self.sent..], flags) {
                Ok(count) => {
                    self.sent += count;
                    self.since = now;
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return true,
                Err(_) => return false,
            }
        }
        self.output.clear();
        self.sent = 0;
        !matches!(self.state, State::Ends)
    }
}
