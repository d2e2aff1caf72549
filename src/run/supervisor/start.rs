//! Starting units and their stop commands.

use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use nix::errno::Errno;
use nix::unistd::{getegid, geteuid};

use super::super::capture::{self, Capture, LogFile, Matcher};
use super::super::cause;
use super::super::notify::Socket;
use super::super::prepare::{self, Problem, Ready, Surroundings};
use super::super::spawn::{self, Ids, Launch, Pace, read_progress};
use super::{Child, Role, Supervisor};
use crate::config::{Output, Placed, Probe, Stage, Unit, reason};
use crate::engine::{Detail, Event, SpawnStage, is_scarce};
use crate::graph::UnitId;
use crate::journal::{Side, Source};
use crate::run::os::clock::now;
use crate::run::os::fd::{is_ready, null};
use crate::run::os::private::Owner;
use crate::run::os::reopen;
use crate::words::{self, Observed};

/// How many outputs of earlier starts of a unit are kept until they were read to their ends.
const CAPTURES: usize = 16;

/// The user that a unit's processes have, if they can't have any other: root's may become
/// somebody else.
fn sole_user(ids: Option<&Ids>) -> Option<Owner> {
    let own = || Owner { uid: geteuid().as_raw(), gid: getegid().as_raw() };
    let owner = ids.map_or_else(own, |ids| Owner { uid: ids.uid, gid: ids.gid });
    (owner.uid != 0).then_some(owner)
}

/// Why a unit was not started.
struct Failed {
    stage: SpawnStage,
    errno: Option<Errno>,
    why: Option<Detail>,
}

impl From<Errno> for Failed {
    fn from(errno: Errno) -> Self {
        spawn::Failure { stage: SpawnStage::Prepare, errno }.into()
    }
}

impl From<spawn::Failure> for Failed {
    fn from(spawn::Failure { stage, errno }: spawn::Failure) -> Self {
        Self { stage, errno: Some(errno), why: None }
    }
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        // It may come back.
        if let Some(errno @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM)) = problem.errno {
            return errno.into();
        }
        let stage = if problem.lasts { SpawnStage::Settings } else { SpawnStage::Prepare };
        Self { stage, errno: None, why: Some(Detail::Words(problem.why)) }
    }
}

impl Supervisor {
    /// Starts a unit.
    pub(super) fn start(&mut self, id: UnitId) {
        match self.launch(id) {
            Ok(pid) => {
                self.events.push_back(Event::Forked { unit: id, pid });
                if self.units[id.0].silent {
                    let why = Some(Detail::Silent);
                    self.events.push_back(Event::Learnt { unit: id, why });
                }
                // Where its start was awaited, it has come that far by now.
                let progress = self.children.get(&pid).and_then(|child| child.progress.as_ref());
                if self.graph.transparent && progress.is_some_and(|(fd, _)| is_ready(fd.as_fd())) {
                    self.progress(pid);
                }
            }
            Err(Failed { stage, errno, why }) => {
                self.events.push_back(Event::SpawnFailed { unit: id, stage, errno, why });
            }
        }
    }

    fn launch(&mut self, id: UnitId) -> Result<i32, Failed> {
        let graph = Rc::clone(&self.graph);
        let node = graph.node(id);
        let unit = &node.unit;
        let end = (unit.stage == Stage::Halt)
            .then(|| (self.engine.outcome(), self.text_of(self.engine.outcome_reason())));
        let socket = unit.probes().any(|probe| *probe == Probe::Notify);
        let socket = if socket { Some(Socket::new()?) } else { None };
        let surroundings =
            Surroundings { socket: socket.as_ref().map(Socket::name), ..self.surroundings(end) };
        let Ready { mut launch, saved } = surroundings.unit(unit)?;
        launch.streams[0] = prepare::stdin(unit)?;
        if let Some(socket) = &socket {
            socket.give_to(sole_user(launch.ids.as_ref()));
        }
        launch.birthmark = self.birthmarks.limit(id);
        let tty = unit.identity.tty.is_some();
        if unit.stage != Stage::Async
            && !tty
            && let Some(terminal) = self.terminal.as_ref().filter(|terminal| terminal.is_ours())
        {
            launch.terminal = (!terminal.shared_group).then(|| terminal.raw());
            launch.own_group = !terminal.shared_group;
        }
        launch.inherited = graph.transparent.then(|| self.signals.inherited());
        let file = self.output_file(unit)?;
        let pipes = self.streams(unit, &mut launch)?;
        match (launch.owner(), unit.own_terminal()) {
            (Some((user, _)), Some(path)) => reopen::hand_over(user, path),
            (Some((user, _)), None) if launch.streams[0].is_none() => reopen::allow(user, 0),
            (Some(_) | None, _) => {}
        }
        self.notification(id, unit, &mut launch)?;
        let pace = match self.reporter.announces() {
            true => Pace::Gated,
            false if graph.transparent => Pace::Awaited,
            false => Pace::Free,
        };
        let own_group = launch.own_group;
        let uid = launch.ids.as_ref().map_or_else(|| geteuid().as_raw(), |ids| ids.uid);
        let terminal = launch.terminal.is_some() || (unit.stage != Stage::Async && !own_group);
        self.note_file(id, unit);
        let child = spawn::spawn(launch, pace)?;
        let pid = child.pid;
        self.reporter.started(&graph, id, pid);
        // Only now does it go on: its own output comes after that line.
        drop(child.gate);
        let held = &mut self.units[id.0];
        held.pid = Some(pid);
        held.group = own_group.then_some(pid);
        held.killed = false;
        held.told = None;
        held.adopted.clear();
        held.uid = Some(uid);
        held.notify = socket;
        // Those of an earlier run were kept for what it said last.
        held.captures.retain(|capture| !capture.has_ended());
        self.let_go_of_captures(id);
        let held = &mut self.units[id.0];
        // They say nothing of how this run is.
        for capture in &mut held.captures {
            capture.look_for(Vec::new());
        }
        let matchers = Self::matchers(unit);
        self.units[id.0].silent = !matchers.is_empty() && !pipes.is_empty();
        self.capture(id, pid, pipes, file.as_ref(), &|| Self::matchers(unit));
        let child = Child {
            role: Role::Unit(id),
            progress: Some((child.progress, child.hold)),
            saved,
            terminal,
            hold: None,
        };
        self.children.insert(pid, child);
        Ok(pid)
    }

    /// Reads the output of a unit's process, or of its stop command, from these pipes.
    fn capture(
        &mut self,
        id: UnitId,
        pid: i32,
        pipes: Vec<(Side, OwnedFd)>,
        file: Option<&Rc<LogFile>>,
        probes: &dyn Fn() -> Vec<Matcher>,
    ) {
        let unit = &self.graph.node(id).unit;
        for (side, read) in pipes {
            let source = Source::new(unit.stage.name(), &unit.name, pid, side);
            let mut capture = Capture::new(read, source);
            capture.look_for(probes().into_iter().chain(self.lines.matchers(id)).collect());
            if self.loaded.config.is_hidden(unit) {
                capture.hide();
            }
            if let Some(file) = file {
                capture.write_to(Rc::clone(file));
            }
            self.units[id.0].captures.push(capture);
        }
    }

    /// Lets go of the oldest outputs of a unit that were not read to their ends: the log's reader
    /// is slower than its restarts, or what it left behind lives on.
    fn let_go_of_captures(&mut self, id: UnitId) {
        let journal = self.reporter.journal().clone();
        while self.units[id.0].captures.len() > CAPTURES {
            let mut oldest = self.units[id.0].captures.remove(0);
            if oldest.let_go(&journal, now()) {
                self.observed(&Observed::NotRead(id, oldest.source().pid()));
            }
            self.matched(id, oldest.take_matched());
        }
    }

    /// The file that a unit's output goes to, if it goes to one: the same for all units
    /// that name it.
    fn output_file(&mut self, unit: &Unit) -> Result<Option<Rc<LogFile>>, Problem> {
        let Some(Placed { value, origin }) = &unit.output_file else { return Ok(None) };
        if let Some(file) = self.files.get(&value.path) {
            return Ok(Some(Rc::clone(file)));
        }
        let file = LogFile::open(value).map_err(|error| {
            let why = match error.kind() {
                ErrorKind::NotFound => "its directory does not exist".to_owned(),
                _ => reason(&error),
            };
            let why = format!("cannot open {} for writing: {why} ({origin})", value.path.display());
            Problem { why, errno: error.raw_os_error().map(Errno::from_raw), lasts: false }
        })?;
        // Two paths to one file must not rotate it under each other.
        let known = self.files.values().find(|known| known.is_same(&file)).map(Rc::clone);
        let file = known.unwrap_or_else(|| Rc::new(file));
        self.files.insert(value.path.clone(), Rc::clone(&file));
        Ok(Some(file))
    }

    /// Sets up a unit's standard output and error; returns trc's ends of the pipes.
    fn streams(&self, unit: &Unit, launch: &mut Launch) -> nix::Result<Vec<(Side, OwnedFd)>> {
        let owner = launch.owner();
        let mut pipes = Vec::new();
        match prepare::output(&self.loaded.config, unit) {
            Output::Inherit if unit.own_terminal().is_some() => {}
            Output::Inherit => {
                if let Some((user, _)) = owner {
                    for number in [1, 2] {
                        reopen::allow(user, number);
                    }
                }
            }
            Output::Null => {
                launch.streams[1] = Some(null(true)?);
                launch.streams[2] = Some(null(true)?);
            }
            Output::Prefix if unit.output_file.is_some() => {
                // One pipe for both, for they have one order.
                let pipe = capture::pipe(owner)?;
                let both = pipe.write.try_clone();
                launch.streams[1] = Some(both.map_err(|_| Errno::last())?);
                launch.streams[2] = Some(pipe.write);
                pipes.push((Side::Out, pipe.read));
            }
            Output::Prefix => {
                for (side, number) in [(Side::Out, 1), (Side::Err, 2)] {
                    let pipe = capture::pipe(owner)?;
                    launch.streams[number] = Some(pipe.write);
                    pipes.push((side, pipe.read));
                }
            }
        }
        Ok(pipes)
    }

    /// A child has executed its command, or says why it can't.
    pub(super) fn progress(&mut self, pid: i32) {
        let Some(child) = self.children.get_mut(&pid) else { return };
        let Some((progress, hold)) = child.progress.take() else { return };
        let role = child.role;
        let failure = read_progress(progress);
        let unit = match role {
            Role::Unit(id) | Role::StopCommand(id) | Role::Probe(id) | Role::Test(id) => Some(id),
            Role::NotStarted => None,
        };
        let unit = unit.map(|id| &self.graph.node(id).unit);
        let why = failure.zip(unit).and_then(|(failure, unit)| cause::of(failure, &hold, unit));
        if failure.is_some() {
            // On its way out it still stands on its stack.
            child.hold = Some(hold);
            child.role = Role::NotStarted;
        }
        match (role, failure) {
            (Role::Unit(id), None) => self.events.push_back(Event::Executed { unit: id }),
            (Role::Unit(id), Some(failure)) => {
                if child.terminal
                    && let Some(terminal) = &self.terminal
                {
                    terminal.take_back(pid);
                }
                self.units[id.0].pid = None;
                self.units[id.0].group = None;
                let (stage, errno) = (failure.stage, Some(failure.errno));
                self.events.push_back(Event::SpawnFailed { unit: id, stage, errno, why });
            }
            (Role::StopCommand(id), Some(failure)) => {
                self.units[id.0].stop_command = None;
                let command = self.graph.node(id).unit.stop.exec.as_deref();
                let program = command.and_then(<[_]>::first);
                let why = why.map(|why| words::detail(&self.graph, id, &why));
                let spawn::Failure { stage, errno } = failure;
                let why = program
                    .map(|program| words::program_failure(program, stage, errno, why.as_deref()));
                self.no_stop_command(id, &why.unwrap_or_default());
            }
            (Role::Probe(id), Some(failure)) => {
                let why = why.map(|why| words::detail(&self.graph, id, &why));
                self.probe_command_failed(pid, failure, why.as_deref());
            }
            (Role::Test(_), Some(failure)) => {
                let (stage, errno) = (failure.stage, failure.errno);
                let test = self.trial.as_ref().map(|trial| trial.unit);
                let why = test
                    .map(|id| words::not_started(&self.graph, id, stage, Some(errno), why.as_ref()))
                    .unwrap_or_default();
                if let Some(trial) = &mut self.trial {
                    trial.unmade |= is_scarce(stage, errno);
                }
                self.test_command_ended(pid, Err(format!("it could not be started: {why}")));
            }
            (Role::StopCommand(_) | Role::Probe(_) | Role::Test(_), None)
            | (Role::NotStarted, _) => {}
        }
    }

    /// A unit has said something itself, so its command was executed, even where poll(2) looked
    /// at its progress a moment too early.
    pub(super) fn has_spoken(&mut self, id: UnitId) {
        let pid = self.units[id.0].pid;
        let progress = pid.and_then(|pid| self.children.get(&pid)?.progress.as_ref());
        if let (Some(pid), Some((progress, _))) = (pid, progress)
            && is_ready(progress.as_fd())
        {
            self.progress(pid);
        }
    }

    pub(super) fn start_stop_command(&mut self, id: UnitId) {
        if let Err(problem) = self.launch_stop_command(id) {
            self.no_stop_command(id, &problem.why);
        }
    }

    fn no_stop_command(&mut self, id: UnitId, why: &str) {
        self.observed(&Observed::NoStopCommand(id, why));
        self.events.push_back(Event::StopCommandEnded { unit: id, succeeded: false });
    }

    fn launch_stop_command(&mut self, id: UnitId) -> Result<(), Problem> {
        let graph = Rc::clone(&self.graph);
        let unit = &graph.node(id).unit;
        let Some(words) = &unit.stop.exec else { return Ok(()) };
        // A daemon that its main process has left is the process that it stops.
        let held = &self.units[id.0];
        let Some(pid) = held.pid.or_else(|| held.adopted.first().copied()) else {
            // The unit ended just now.
            self.events.push_back(Event::StopCommandEnded { unit: id, succeeded: true });
            return Ok(());
        };
        let mut launch: Launch = self.surroundings(None).command(unit, words, Some(pid))?;
        launch.streams[0] = Some(null(false)?);
        // What it says is the unit's, and goes where the unit's own output goes.
        let file = self.output_file(unit)?;
        let pipes = self.streams(unit, &mut launch)?;
        let started = self.spawn_own(Role::StopCommand(id), launch)?;
        // But it says nothing of how the unit is.
        self.capture(id, started, pipes, file.as_ref(), &Vec::new);
        self.units[id.0].stop_command = Some(started);
        Ok(())
    }

    /// Starts a command of trc's own: a probe, a test, or what stops a unit. Returns its number.
    pub(super) fn spawn_own(&mut self, role: Role, launch: Launch) -> Result<i32, Errno> {
        let child = spawn::spawn(launch, Pace::Free).map_err(|failure| failure.errno)?;
        let held = Child {
            role,
            progress: Some((child.progress, child.hold)),
            saved: None,
            terminal: false,
            hold: None,
        };
        self.children.insert(child.pid, held);
        self.suite.own(child.pid);
        Ok(child.pid)
    }
}
