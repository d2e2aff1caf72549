//! An attempt of a test under way: its command's streams, its verdict, and its progress.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

use crate::config::Pattern;
use crate::config::expect::size;
use crate::engine::Ending;
use crate::graph::UnitId;
use crate::report::{CheckPoint, Tail};
use crate::run::capture;
use crate::run::os::clock::now;
use crate::run::os::rights::Guarded;
use crate::run::probe::Try;
use crate::text::harmless;
use crate::words::{self, Wrong};

/// The number of bytes that trc keeps of each of a command's streams. It reads and drops the rest.
const KEPT: usize = 1024 * 1024;
/// The number of bytes to read at once.
const READ: usize = 16 * 1024;

/// The result that a test's command reports by `trcctl verdict` or the function `verdict`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Said {
    /// The test has passed.
    Pass,
    /// The test has failed, and why.
    Fail(String),
    /// The test is skipped, and why.
    Skip(String),
}

/// The descriptor from which a stream of a command is read.
pub(super) enum Source {
    /// A pipe, to which a process may also write that opens it by `/proc/PID/fd`.
    Pipe(OwnedFd),
    /// A socket, which no process can open: only those that have inherited it write to it.
    Socket(Guarded),
}

impl Source {
    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Pipe(pipe) => pipe.as_fd(),
            Self::Socket(socket) => socket.as_fd(),
        }
    }

    fn read(&self, into: &mut [u8]) -> nix::Result<usize> {
        match self {
            Self::Pipe(pipe) => nix::unistd::read(pipe, into),
            Self::Socket(socket) => socket.read(into),
        }
    }
}

/// Returns both ends of a test's verdict: trc's, and that of its command.
///
/// # Errors
/// Returns the error of socketpair(2).
pub(super) fn verdict() -> nix::Result<(Source, OwnedFd)> {
    let (ours, theirs) =
        socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)?;
    Ok((Source::Socket(Guarded::new(ours)), theirs))
}

/// A stream of a command.
#[derive(Default)]
pub(super) struct Stream {
    /// The descriptor; `None` once the stream has ended.
    pub source: Option<Source>,
    /// The bytes that came, as far as they are kept.
    pub bytes: Vec<u8>,
    /// Whether there were more bytes.
    cut: bool,
    /// Whether the stream could not be read to its end.
    broken: bool,
}

impl Stream {
    /// Reads the available bytes.
    pub(super) fn read(&mut self) {
        let mut bytes = [0; READ];
        // A bounded amount, so that a flood starves nobody.
        for _ in 0..16 {
            let Some(source) = &self.source else { return };
            match source.read(&mut bytes) {
                Ok(0) => self.source = None,
                Ok(count) => {
                    let room = KEPT - self.bytes.len();
                    self.cut |= count > room;
                    self.bytes.extend_from_slice(&bytes[..count.min(room)]);
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                // Something that nobody asked for came along with the bytes.
                Err(_) => (self.source, self.broken) = (None, true),
            }
        }
    }

    /// Checks whether the stream matches the pattern.
    ///
    /// # Errors
    /// Returns what it has instead.
    pub(super) fn check(&self, pattern: &Pattern) -> Result<(), Wrong> {
        // The rest is unknown, and could be anything.
        if self.cut {
            return Err(Wrong::TooMuch(KEPT));
        }
        pattern.check(&self.bytes).map_err(Wrong::Text)
    }

    /// Returns the last lines of the stream.
    pub(super) fn tail(&self, of: &str) -> Option<Tail> {
        let mut tail = capture::Tail::default();
        tail.push(&self.bytes);
        let lines = tail.lines();
        (!lines.is_empty()).then(|| Tail { of: of.to_owned(), lines })
    }
}

/// An attempt under way.
#[expect(clippy::struct_excessive_bools, reason = "each has come to pass or not")]
pub(super) struct Trial {
    pub unit: UnitId,
    /// The moment at which the attempt's time is up.
    pub deadline: Instant,
    /// The time limit of the attempt.
    pub limit: Duration,
    /// The test's command, while it runs.
    pub pid: Option<i32>,
    /// Standard output, standard error, and the verdict.
    pub streams: [Stream; 3],
    /// The way in which the command exited, or the reason why it did not run or exit.
    pub ending: Option<Result<Ending, Wrong>>,
    /// Whether some part took too long.
    pub timed_out: bool,
    /// Whether some part could not be attempted, for lack of processes and the like.
    pub unmade: bool,
    /// The position of the next check.
    pub at: usize,
    /// The moment until which a missing line is waited for, once there was one, and whether one is
    /// waited for now.
    pub line: Option<(Instant, bool)>,
    /// Whether a check has failed that cannot pass any more.
    pub hopeless: bool,
    /// The check that is being made over a socket.
    pub asked: Option<Try>,
    /// Whether all checks have been made, and a probe that goes on is waited for.
    pub waits: bool,
    /// The results of checks so far.
    pub points: Vec<CheckPoint>,
}

/// What is left of a command that is not run again.
pub(super) struct Ran {
    streams: [Stream; 3],
    ending: Option<Result<Ending, Wrong>>,
}

/// The result of a test's last attempt.
#[derive(Clone, Default)]
pub(super) struct Tried {
    /// The results of the checks.
    pub points: Vec<CheckPoint>,
    /// The last output of the command.
    pub tails: Vec<Tail>,
    /// The reason why the test skips itself.
    pub skipped: Option<String>,
}

impl Trial {
    /// Returns an attempt that ends when this time is up.
    pub(super) fn new(unit: UnitId, limit: Duration) -> Self {
        Self {
            unit,
            deadline: now() + limit,
            limit,
            pid: None,
            streams: <[Stream; 3]>::default(),
            ending: None,
            timed_out: false,
            unmade: false,
            at: 0,
            line: None,
            hopeless: false,
            asked: None,
            waits: false,
            points: Vec::new(),
        }
    }

    /// Lets an attempt have what the command of an earlier attempt has left.
    pub(super) fn resume(&mut self, ran: Ran) {
        (self.streams, self.ending) = (ran.streams, ran.ending);
    }

    /// Returns what the command has left, for further attempts; `None` if it was not started.
    pub(super) fn ran(&mut self) -> Option<Ran> {
        self.was_started()
            .then(|| Ran { streams: std::mem::take(&mut self.streams), ending: self.ending.take() })
    }

    /// Returns whether the command was started, in this attempt or in an earlier one.
    pub(super) fn was_started(&self) -> bool {
        !matches!(self.ending, None | Some(Err(Wrong::Answer(_))))
    }

    /// Returns the descriptors to poll, and the flags.
    pub(super) fn fds(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        let sources = self.streams.iter().filter_map(|stream| stream.source.as_ref());
        let sources = sources.map(|source| (source.fd(), PollFlags::POLLIN));
        sources.chain(self.asked.as_ref().map(Try::fd))
    }

    /// Returns the moment at which some part of the attempt is late.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let line = self.line.and_then(|(until, awaited)| awaited.then_some(until));
        line.into_iter().chain(self.asked.as_ref().map(Try::deadline)).min()
    }

    /// Postpones the attempt's deadlines.
    pub(super) fn postpone(&mut self, by: Duration) {
        self.deadline += by;
        self.line = self.line.map(|(until, awaited)| (until + by, awaited));
        if let Some(asked) = &mut self.asked {
            asked.postpone(by);
        }
    }

    /// Returns up to three last lines of the command, from standard error if there are any.
    pub(super) fn last_output(&self) -> Vec<String> {
        const LINES: usize = 3;
        let of = |stream: &Stream| {
            let lines = stream.tail("").map_or_else(Vec::new, |tail| tail.lines);
            lines.into_iter().filter(|line| words::says(line)).collect::<Vec<_>>()
        };
        let (out, err) = (of(&self.streams[0]), of(&self.streams[1]));
        let lines = if err.is_empty() { out } else { err };
        lines[lines.len().saturating_sub(LINES)..].to_vec()
    }

    /// Returns the last verdict that the command gave, if any. A failure is final.
    pub(super) fn verdict(&self) -> Option<Said> {
        if self.streams[2].broken {
            return Some(Said::Fail("trc cannot read its verdict".to_owned()));
        }
        if self.streams[2].cut {
            return Some(Said::Fail(format!("it is longer than {}", size(KEPT as u64))));
        }
        let text = String::from_utf8_lossy(&self.streams[2].bytes);
        let mut said = None;
        for line in text.lines() {
            let (word, why) = line.split_once([' ', '\t']).unwrap_or((line, ""));
            let why = harmless(why.trim());
            said = match (word, said) {
                (_, Some(Said::Fail(why))) => Some(Said::Fail(why)),
                ("pass", _) => Some(Said::Pass),
                ("fail", _) => Some(Said::Fail(why)),
                ("skip", _) => Some(Said::Skip(why)),
                (_, before) => before,
            };
        }
        said
    }

    /// Returns the result of the attempt.
    pub(super) fn tried(&mut self, skipped: Option<String>) -> Tried {
        let tails = [(0, "stdout"), (1, "stderr")];
        let tails = tails.into_iter().filter_map(|(at, of)| self.streams[at].tail(of)).collect();
        Tried { points: std::mem::take(&mut self.points), tails, skipped }
    }

    /// Notes the result of a check.
    pub(super) fn note(&mut self, name: String, result: Result<(), Wrong>) {
        let found = result.err().map(|wrong| wrong.to_string());
        self.points.push(CheckPoint { name, passed: found.is_none(), found });
    }
}
