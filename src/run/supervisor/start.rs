//! Starting units.

use std::os::fd::AsFd;
use std::rc::Rc;

use nix::errno::Errno;
use nix::unistd::{getegid, geteuid};

use super::super::notify::Socket;
use super::super::prepare::{self, Problem, Ready, Surroundings};
use super::super::spawn::{self, Ids, Pace};
use super::listeners::NotListening;
use super::{Child, Role, Supervisor, reload};
use crate::config::{Probe, Stage, reason};
use crate::engine::{Detail, Event, SpawnStage};
use crate::graph::UnitId;
use crate::run::os::fd::{is_ready, null};
use crate::run::os::private::Owner;
use crate::run::os::reopen;

/// Returns the user that a unit's processes have if they cannot change it; none if the user is
/// root, because root's processes may become somebody else's.
fn sole_user(ids: Option<&Ids>) -> Option<Owner> {
    let own = || Owner { uid: geteuid().as_raw(), gid: getegid().as_raw() };
    let owner = ids.map_or_else(own, |ids| Owner { uid: ids.uid, gid: ids.gid });
    (owner.uid != 0).then_some(owner)
}

/// The step of a unit's start.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Its `pre_start`, which is the unit's process until it exits.
    PreStart,
    /// Its own command.
    Command,
}

/// The reason why a unit was not started.
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

impl From<NotListening> for Failed {
    fn from(NotListening { at, why }: NotListening) -> Self {
        // These resources may become available again.
        let errno = why.raw_os_error().map(Errno::from_raw);
        if let Some(errno @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM)) = errno {
            return errno.into();
        }
        let why = format!("cannot listen on {at}: {}", reason(&why));
        Self { stage: SpawnStage::Prepare, errno: None, why: Some(Detail::Words(why)) }
    }
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        // These resources may become available again.
        if let Some(errno @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM)) = problem.errno {
            return errno.into();
        }
        let stage = if problem.lasts { SpawnStage::Settings } else { SpawnStage::Prepare };
        Self { stage, errno: None, why: Some(Detail::Words(problem.why.to_string())) }
    }
}

impl Supervisor {
    pub(super) fn start(&mut self, id: UnitId, step: Step) {
        self.units[id.0].inputs = reload::inputs(&self.graph.node(id).unit);
        match self.launch(id, step) {
            Ok(pid) => {
                self.events.push_back(Event::Forked { unit: id, pid });
                if self.units[id.0].silent {
                    let why = Some(Detail::Silent);
                    self.events.push_back(Event::Learnt { unit: id, why });
                }
                // If trc has awaited the start, the command has been executed by now, or it has
                // failed.
                let progress =
                    self.children.own.get(&pid).and_then(|child| child.progress.as_ref());
                if self.graph.transparent && progress.is_some_and(|(fd, _)| is_ready(fd.as_fd())) {
                    self.progress(pid);
                }
            }
            Err(Failed { stage, errno, why }) => {
                self.events.push_back(Event::SpawnFailed { unit: id, stage, errno, why });
            }
        }
    }

    fn launch(&mut self, id: UnitId, step: Step) -> Result<i32, Failed> {
        // Whatever its `pre_start` has left was killed, and does not count as left by the unit.
        if std::mem::take(&mut self.units[id.0].prepares) {
            self.leftovers.retain(|one| *one != id);
        }
        let graph = Rc::clone(&self.graph);
        let node = graph.node(id);
        let unit = &node.unit;
        let end = (unit.stage == Stage::Halt)
            .then(|| (self.engine.outcome(), self.text_of(self.engine.outcome_reason())));
        let hook = unit.pre_start.as_ref().filter(|_| step == Step::PreStart);
        let socket = hook.is_none() && unit.probes().any(|probe| *probe == Probe::Notify);
        let socket = if socket { Some(Socket::new()?) } else { None };
        let surroundings =
            Surroundings { socket: socket.as_ref().map(Socket::name), ..self.surroundings(end) };
        let Ready { mut launch, saved } = match hook {
            Some(hook) => Ready { launch: surroundings.pre_start(unit, hook)?, saved: None },
            None => surroundings.unit(unit)?,
        };
        launch.streams[0] = match unit.own_terminal().filter(|_| hook.is_some()) {
            // Only the unit itself can have that terminal.
            Some(_) => Some(null(false)?),
            None => prepare::stdin(unit)?,
        };
        if let Some(socket) = &socket {
            socket.give_to(sole_user(launch.ids.as_ref()));
        }
        launch.birthmark = self.birthmarks.limit(id);
        if let Some(layout) = &mut launch.layout {
            layout.stop = match hook {
                Some(_) => libc::SIGTERM,
                None => node.stop_signal.number(),
            };
        }
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
        let pipes = self.streams(unit, &mut launch, hook.is_none())?;
        match (launch.owner(), unit.own_terminal()) {
            (Some((user, _)), Some(path)) => reopen::hand_over(user, path),
            (Some((user, _)), None) if launch.streams[0].is_none() => reopen::allow(user, 0),
            (Some(_) | None, _) => {}
        }
        if hook.is_none() {
            self.notification(id, unit, &mut launch)?;
            self.pass_listeners(id, unit, &mut launch)?;
        }
        let pace = match self.reporter.announces() {
            true => Pace::Gated,
            false if graph.transparent => Pace::Awaited,
            false => Pace::Free,
        };
        let own_group = launch.own_group;
        let uid = launch.ids.as_ref().map_or_else(|| geteuid().as_raw(), |ids| ids.uid);
        let terminal = launch.terminal.is_some() || (unit.stage != Stage::Async && !own_group);
        if hook.is_none() {
            self.note_file(id, unit);
            self.remove_pid_file(id, unit);
        }
        let child = spawn::spawn(launch, pace)?;
        let pid = child.pid;
        match hook {
            Some(_) => self.reporter.pre_started(&graph, id, pid),
            None => self.reporter.started(&graph, id, pid),
        }
        // The child goes on only now, so that its own output comes after that line.
        drop(child.gate);
        let held = &mut self.units[id.0];
        (held.pid, held.prepares) = (Some(pid), hook.is_some());
        held.group = own_group.then_some(pid);
        held.killed = false;
        held.told = None;
        held.adopted.clear();
        held.uid = Some(uid);
        held.notify = socket;
        // The captures of earlier starts were kept for their last lines.
        held.captures.retain(|capture| !capture.has_ended());
        self.let_go_of_captures(id);
        let held = &mut self.units[id.0];
        // Their lines say nothing about this start.
        for capture in &mut held.captures {
            capture.look_for(Vec::new());
        }
        let matchers = if hook.is_some() { Vec::new() } else { Self::matchers(unit) };
        self.units[id.0].silent = !matchers.is_empty() && !pipes.is_empty();
        self.capture(id, pid, pipes, file.as_ref(), &|| matchers.clone());
        self.expect_syslog(id, pid, matchers);
        let child = Child {
            role: Role::Unit(id),
            progress: Some((child.progress, child.hold)),
            saved,
            terminal,
            hold: None,
        };
        self.children.own.insert(pid, child);
        Ok(pid)
    }
}
