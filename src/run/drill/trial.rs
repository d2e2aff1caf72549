//! One try of a test under way: its command's streams, its verdict, and how far it has come.

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

/// What is kept of each of a command's streams, in bytes. What comes after that is read and
/// forgotten.
const KEPT: usize = 1024 * 1024;
/// What is read at once of them.
const READ: usize = 16 * 1024;

/// What a test's command says of itself by `trcctl verdict` or the function `verdict`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Said {
    /// It has passed.
    Pass,
    /// It has failed, and why.
    Fail(String),
    /// It has nothing to say, and why.
    Skip(String),
}

/// Where a stream of a command is read from.
pub(super) enum Source {
    /// A pipe, which whoever may open it by `/proc/PID/fd` writes to, too.
    Pipe(OwnedFd),
    /// A socket, which nobody can open: only those write to it who have inherited it.
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

/// Both ends of a test's verdict, trc's and that of its command.
///
/// # Errors
/// Those of socketpair(2).
pub(super) fn verdict() -> nix::Result<(Source, OwnedFd)> {
    let (ours, theirs) =
        socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)?;
    Ok((Source::Socket(Guarded::new(ours)), theirs))
}

/// A stream of a command.
#[derive(Default)]
pub(super) struct Stream {
    /// None once it has ended.
    pub source: Option<Source>,
    /// What came, as far as it is kept.
    pub bytes: Vec<u8>,
    /// Whether there was more.
    cut: bool,
    /// Whether it could not be read to its end.
    broken: bool,
}

impl Stream {
    /// Reads what there is.
    pub(super) fn read(&mut self) {
        let mut bytes = [0; READ];
        // A bounded amount: a flood starves nobody.
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
                // Something came along with the bytes that nobody asked for.
                Err(_) => (self.source, self.broken) = (None, true),
            }
        }
    }

    /// Whether it has a text, or has it not.
    ///
    /// # Errors
    /// What it has instead.
    pub(super) fn check(&self, pattern: &Pattern) -> Result<(), Wrong> {
        // What can't be looked at could be anything.
        if self.cut {
            return Err(Wrong::TooMuch(KEPT));
        }
        pattern.check(&self.bytes).map_err(Wrong::Text)
    }

    /// Its last lines.
    pub(super) fn tail(&self, of: &str) -> Option<Tail> {
        let mut tail = capture::Tail::default();
        tail.push(&self.bytes);
        let lines = tail.lines();
        (!lines.is_empty()).then(|| Tail { of: of.to_owned(), lines })
    }
}

/// A try under way.
pub(super) struct Trial {
    /// The test.
    pub unit: UnitId,
    /// When its time is up.
    pub deadline: Instant,
    /// How long it may take.
    pub limit: Duration,
    /// Its command, while that runs.
    pub pid: Option<i32>,
    /// Standard output, standard error, and the verdict.
    pub streams: [Stream; 3],
    /// How its command ended, or why it didn't.
    pub ending: Option<Result<Ending, Wrong>>,
    /// Whether something of it took too long.
    pub timed_out: bool,
    /// Whether something of it could not be tried, for want of processes and the like.
    pub unmade: bool,
    /// The check that is next.
    pub at: usize,
    /// Until when a line is waited for that was not written yet, once there was one, and whether
    /// one is waited for now.
    pub line: Option<(Instant, bool)>,
    /// Whether something is not so that can't be so any more.
    pub hopeless: bool,
    /// The one that is being asked over a network.
    pub asked: Option<Try>,
    /// What checks have come to so far.
    pub points: Vec<CheckPoint>,
}

/// What a test's last try came to.
#[derive(Clone, Default)]
pub(super) struct Tried {
    /// Each thing that it expects.
    pub points: Vec<CheckPoint>,
    /// What its command wrote last.
    pub tails: Vec<Tail>,
    /// Why it skips itself.
    pub skipped: Option<String>,
}

impl Trial {
    /// One that is over when this time is up.
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
            points: Vec::new(),
        }
    }

    /// What to poll, and for what.
    pub(super) fn fds(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        let sources = self.streams.iter().filter_map(|stream| stream.source.as_ref());
        let sources = sources.map(|source| (source.fd(), PollFlags::POLLIN));
        sources.chain(self.asked.as_ref().map(Try::fd))
    }

    /// When something about it is late.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let line = self.line.and_then(|(until, awaited)| awaited.then_some(until));
        line.into_iter().chain(self.asked.as_ref().map(Try::deadline)).min()
    }

    /// It has so much more time.
    pub(super) fn postpone(&mut self, by: Duration) {
        self.deadline += by;
        self.line = self.line.map(|(until, awaited)| (until + by, awaited));
        if let Some(asked) = &mut self.asked {
            asked.postpone(by);
        }
    }

    /// What its command said last, rather on standard error: up to three lines.
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

    /// The last verdict that it gave, if any; a failure stands.
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

    /// What it has come to.
    pub(super) fn tried(&mut self, skipped: Option<String>) -> Tried {
        let tails = [(0, "stdout"), (1, "stderr")];
        let tails = tails.into_iter().filter_map(|(at, of)| self.streams[at].tail(of)).collect();
        Tried { points: std::mem::take(&mut self.points), tails, skipped }
    }

    /// What a check came to.
    pub(super) fn note(&mut self, name: String, result: Result<(), Wrong>) {
        let found = result.err().map(|wrong| wrong.to_string());
        self.points.push(CheckPoint { name, passed: found.is_none(), found });
    }
}
