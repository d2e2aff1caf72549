//! One try of a test: its command, then everything that it expects, one after the other.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::PollFlags;

use super::super::capture::harmless;
use super::super::prepare::VERDICT_FD;
use super::super::probe::{Failure, Try, Verdict};
use super::super::spawn::{self, Pace};
use super::super::{judge, prepare, processes};
use super::{Child, Role, Supervisor, now};
use crate::config::{Check, Command, Origin, Placed, Probe};
use crate::engine::{Ending, Event, Outcome};
use crate::graph::UnitId;
use crate::selftest::{CheckPoint, Tail};

/// What is kept of each of a command's streams, in bytes. What comes after that is read and
/// forgotten.
const KEPT: usize = 1024 * 1024;
/// What is read at once of them.
const READ: usize = 16 * 1024;
/// The longest that one connection or answer is waited for.
const CHECK: Duration = Duration::from_secs(5);
/// The last lines of a command's streams that reports show.
const LINES: usize = 10;

/// What a test's command says of itself by `trcctl verdict` or the function `verdict`.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Said {
    Pass,
    Fail(String),
    Skip(String),
}

/// A stream of a command.
#[derive(Default)]
struct Stream {
    /// None once it has ended.
    pipe: Option<OwnedFd>,
    bytes: Vec<u8>,
    /// Whether there was more than is kept.
    cut: bool,
}

impl Stream {
    fn read(&mut self) {
        let mut bytes = [0; READ];
        // A bounded amount: a flood starves nobody.
        for _ in 0..16 {
            let Some(pipe) = &self.pipe else { return };
            match nix::unistd::read(pipe, &mut bytes) {
                Ok(0) => self.pipe = None,
                Ok(count) => {
                    let room = KEPT - self.bytes.len();
                    self.cut |= count > room;
                    self.bytes.extend_from_slice(&bytes[..count.min(room)]);
                }
                Err(Errno::EINTR) => {}
                Err(_) => return,
            }
        }
    }

    fn tail(&self, of: &str) -> Option<Tail> {
        let text = String::from_utf8_lossy(&self.bytes);
        let lines: Vec<String> = text.lines().map(harmless).collect();
        let lines = lines[lines.len().saturating_sub(LINES)..].to_vec();
        (!lines.is_empty()).then(|| Tail { of: of.to_owned(), lines })
    }
}

/// A try under way.
pub struct Trial {
    pub(super) unit: UnitId,
    /// When its time is up.
    deadline: Instant,
    limit: Duration,
    /// Its command, while that runs.
    pid: Option<i32>,
    /// Standard output, standard error, and the verdict.
    streams: [Stream; 3],
    /// How its command ended, or why it didn't.
    ending: Option<Result<Ending, String>>,
    timed_out: bool,
    /// The check that is next.
    at: usize,
    /// The one that is being asked over a network.
    asked: Option<Try>,
    points: Vec<CheckPoint>,
}

/// What a test's last try came to.
#[derive(Clone, Default)]
pub struct Tried {
    /// Each thing that it expects.
    pub points: Vec<CheckPoint>,
    /// What its command wrote last.
    pub tails: Vec<Tail>,
    /// Why it skips itself.
    pub skipped: Option<String>,
}

impl Trial {
    fn new(unit: UnitId, limit: Duration) -> Self {
        Self {
            unit,
            deadline: now() + limit,
            limit,
            pid: None,
            streams: <[Stream; 3]>::default(),
            ending: None,
            timed_out: false,
            at: 0,
            asked: None,
            points: Vec::new(),
        }
    }

    /// What to poll, and for what.
    pub(super) fn fds(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        let pipes = self.streams.iter().filter_map(|stream| stream.pipe.as_ref());
        let pipes = pipes.map(|pipe| (pipe.as_fd(), PollFlags::POLLIN));
        pipes.chain(self.asked.as_ref().map(Try::fd))
    }

    /// When something about it is late.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let command = self.pid.map(|_| self.deadline);
        command.into_iter().chain(self.asked.as_ref().map(Try::deadline)).min()
    }

    /// The last verdict that it gave, if any; a failure stands.
    fn verdict(&self) -> Option<Said> {
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

    /// What its command said last, for the end of a sentence.
    fn last_output(&self) -> String {
        let tails = [2, 1].into_iter().filter_map(|at: usize| self.streams[at - 1].tail(""));
        let line = tails.flat_map(|tail| tail.lines).rfind(|line| !line.trim().is_empty());
        line.map_or(String::new(), |line| format!("; its last output: {line}"))
    }

    fn note(&mut self, name: String, result: Result<(), String>) {
        let passed = result.is_ok();
        self.points.push(CheckPoint { name, passed, found: result.err() });
    }
}

impl Supervisor {
    /// Begins a try.
    pub(super) fn try_test(&mut self, id: UnitId, limit: Duration) {
        self.trial = Some(Trial::new(id, limit));
        if self.graph.node(id).unit.command == Command::Nothing {
            return self.go_on();
        }
        if let Err(why) = self.launch_test(id) {
            if let Some(trial) = &mut self.trial {
                trial.ending = Some(Err(why));
            }
            self.go_on();
        }
    }

    fn launch_test(&mut self, id: UnitId) -> Result<(), String> {
        let graph = Rc::clone(&self.graph);
        let unit = &graph.node(id).unit;
        let words = |errno: Errno| errno.desc().to_lowercase();
        let surroundings = self.surroundings(None);
        let ready = surroundings.unit(unit).map_err(|problem| problem.why)?;
        let mut launch = ready.launch;
        launch.streams[0] = match prepare::stdin(unit).map_err(|problem| problem.why)? {
            None => Some(prepare::null(false).map_err(words)?),
            some => some,
        };
        let mut ends = Vec::new();
        for place in 0..3 {
            let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(words)?;
            fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(words)?;
            ends.push(read);
            match place {
                0 | 1 => launch.streams[place + 1] = Some(write),
                _ => launch.descriptors.push((write, VERDICT_FD)),
            }
        }
        let child = spawn::spawn(launch, Pace::Free)
            .map_err(|failure| words(Errno::from_raw(failure.errno)))?;
        let held = Child {
            role: Role::Test,
            progress: Some((child.progress, child.hold)),
            saved: None,
            terminal: false,
            hold: None,
        };
        self.children.insert(child.pid, held);
        if let Some(trial) = &mut self.trial {
            trial.pid = Some(child.pid);
            for (stream, read) in trial.streams.iter_mut().zip(ends) {
                stream.pipe = Some(read);
            }
        }
        Ok(())
    }

    /// A test's command has ended, or could not be executed.
    pub(super) fn test_command_ended(&mut self, pid: i32, ending: Result<Ending, String>) {
        // It is done, and what it has put into the background is not to be left to others.
        processes::signal(-pid, libc::SIGKILL);
        let Some(trial) = self.trial.as_mut().filter(|trial| trial.pid == Some(pid)) else {
            return;
        };
        trial.pid = None;
        trial.streams.iter_mut().for_each(Stream::read);
        for stream in &mut trial.streams {
            stream.pipe = None;
        }
        trial.ending.get_or_insert(ending);
        self.go_on();
    }

    /// Something that a try waits for is there.
    pub(super) fn proceed_trial(&mut self) {
        let Some(trial) = &mut self.trial else { return };
        trial.streams.iter_mut().for_each(Stream::read);
        if let Some(asked) = trial.asked.take() {
            match asked.proceed(now()) {
                Ok(asked) => trial.asked = Some(asked),
                Err(verdict) => self.answered(verdict),
            }
        }
    }

    /// Ends what is late of a try.
    pub(super) fn end_late_trial(&mut self) {
        let Some(trial) = &mut self.trial else { return };
        let time = now();
        if let Some(pid) = trial.pid.filter(|_| trial.deadline <= time) {
            trial.timed_out = true;
            let seconds = trial.limit.as_secs_f64();
            trial.ending = Some(Err(format!("it did not end within {seconds:.3} s")));
            // Its end is told when it has been reaped.
            processes::signal(-pid, libc::SIGKILL);
            trial.deadline = time + CHECK;
        }
        if let Some(asked) = trial.asked.take_if(|asked| asked.deadline() <= time) {
            match asked.late(time) {
                Ok(asked) => trial.asked = Some(asked),
                Err(verdict) => self.answered(verdict),
            }
        }
    }

    /// A test is of no interest any more.
    pub(super) fn stop_trial(&mut self, id: UnitId) {
        if let Some(trial) = self.trial.take_if(|trial| trial.unit == id)
            && let Some(pid) = trial.pid
        {
            processes::signal(-pid, libc::SIGKILL);
        }
    }

    fn answered(&mut self, verdict: Verdict) {
        let graph = Rc::clone(&self.graph);
        if let Some(trial) = &mut self.trial {
            let checks = graph.node(trial.unit).test().map(|test| test.checks.as_slice());
            if let Some(check) = checks.and_then(|checks| checks.get(trial.at)) {
                trial.timed_out |= verdict.as_ref().is_err_and(|failure| failure.timed_out);
                let result = verdict.map_err(|Failure { why, .. }| why);
                trial.note(check.value.to_string(), result);
            }
            trial.at += 1;
        }
        self.go_on();
    }

    /// Goes from check to check, as far as none has to be waited for.
    fn go_on(&mut self) {
        let graph = Rc::clone(&self.graph);
        loop {
            let Some(trial) = &mut self.trial else { return };
            let Some(test) = graph.node(trial.unit).test() else { return };
            let Some(Placed { value: check, origin }) = test.checks.get(trial.at) else { break };
            let left = trial.deadline.saturating_duration_since(now());
            let patience = left.min(CHECK).max(Duration::from_millis(100));
            let begun = match check {
                Check::Http(check) => Some(Try::begin_http(check, patience, now())),
                Check::Tcp(to) => Some(Try::begin(&Probe::Tcp(to.clone()), patience, now())),
                Check::Unix(path) => Some(Try::begin(&Probe::Unix(path.clone()), patience, now())),
                _ => None,
            };
            match begun {
                Some(Ok(asked)) => {
                    trial.asked = Some(asked);
                    return;
                }
                Some(Err(verdict)) => return self.answered(verdict),
                None => {}
            }
            // A verdict says more than a status that nobody has asked for.
            let implied = *origin == Origin::Default && trial.verdict().is_some();
            if !implied {
                let result = self.check(check);
                if let Some(trial) = &mut self.trial {
                    trial.note(check.to_string(), result);
                }
            }
            if let Some(trial) = &mut self.trial {
                trial.at += 1;
            }
        }
        self.end_try();
    }

    /// Whether something holds that takes no time to find out.
    fn check(&self, check: &Check) -> Result<(), String> {
        let Some(trial) = &self.trial else { return Ok(()) };
        match check {
            Check::Exit(statuses) => match &trial.ending {
                Some(Ok(ending)) if statuses.contains(&ending.status()) => Ok(()),
                Some(Ok(Ending::Code(code))) => {
                    Err(format!("it ended with status {code}{}", trial.last_output()))
                }
                Some(Ok(Ending::Signal(signal))) => {
                    Err(format!("it was killed by {signal}{}", trial.last_output()))
                }
                Some(Err(why)) => Err(why.clone()),
                None => Err("it did not run".to_owned()),
            },
            Check::Stdout(pattern) => pattern.check(&trial.streams[0].bytes),
            Check::Stderr(pattern) => pattern.check(&trial.streams[1].bytes),
            Check::Said { forbidden, .. } => {
                let line = self.lines.line(trial.unit, trial.at);
                match (line, forbidden) {
                    (Some(_), false) | (None, true) => Ok(()),
                    (Some(line), true) => Err(format!("it has the line {line:?}")),
                    (None, false) => Err("it has no such line".to_owned()),
                }
            }
            Check::ReadyWithin(most) => self.ready_within(trial.unit, *most),
            Check::Http(_) | Check::Tcp(_) | Check::Unix(_) => Ok(()),
            Check::Listening(_)
            | Check::File(_)
            | Check::Running { .. }
            | Check::User(_)
            | Check::MaxRss(_)
            | Check::MaxCpu(_)
            | Check::MaxFds(_)
            | Check::NoNewPrivs(_)
            | Check::ReadOnlyRoot(_)
            | Check::Capabilities(_)
            | Check::Uid(_) => judge::judge(check, &self.about(trial.unit)),
        }
    }

    /// The units that a test is about, and their processes.
    fn about(&self, id: UnitId) -> Vec<judge::About> {
        let live = |id: &UnitId| Some((*id, self.units[id.0].pid?));
        let units = self.graph.node(id).about.iter().filter_map(live);
        units
            .map(|(id, pid)| {
                let name = self.graph.node(id).unit.id();
                judge::About { name, pid, group: self.units[id.0].group.unwrap_or(pid) }
            })
            .collect()
    }

    fn ready_within(&self, id: UnitId, most: Duration) -> Result<(), String> {
        let about = &self.graph.node(id).about;
        let with_check: Vec<UnitId> =
            about.iter().filter(|id| self.graph.node(**id).unit.ready.is_some()).copied().collect();
        if with_check.is_empty() {
            return Err("no unit that it is about has a readiness check".to_owned());
        }
        let mut late = Vec::new();
        for unit in with_check {
            let name = self.graph.node(unit).unit.id();
            match self.suite.ready_after(unit) {
                None => late.push(format!("{name} was not ready")),
                Some(after) if after > most => {
                    late.push(format!("{name} was ready after {:.3} s", after.as_secs_f64()));
                }
                Some(_) => {}
            }
        }
        if late.is_empty() { Ok(()) } else { Err(late.join(", ")) }
    }

    /// Everything was looked at.
    fn end_try(&mut self) {
        let Some(mut trial) = self.trial.take() else { return };
        let verdict = trial.verdict();
        let mut skipped = None;
        match verdict {
            Some(Said::Pass) => trial.note("its own verdict".to_owned(), Ok(())),
            Some(Said::Fail(why)) => {
                let why = if why.is_empty() { "it says that it failed".to_owned() } else { why };
                trial.note("its own verdict".to_owned(), Err(why));
            }
            Some(Said::Skip(why)) => skipped = Some(why),
            None => {}
        }
        let passed = trial.points.iter().all(|point| point.passed);
        let outcome = match (&skipped, passed, trial.timed_out) {
            (Some(_), ..) => Outcome::Skipped,
            (None, true, _) => Outcome::Passed,
            (None, false, true) => Outcome::TimedOut,
            (None, false, false) => Outcome::Failed,
        };
        let tails = [(0, "stdout"), (1, "stderr")];
        let tails = tails.into_iter().filter_map(|(at, of)| trial.streams[at].tail(of)).collect();
        let tried = Tried { points: std::mem::take(&mut trial.points), tails, skipped };
        self.suite.tried(trial.unit, tried);
        self.events.push_back(Event::Tried { unit: trial.unit, outcome });
    }
}
