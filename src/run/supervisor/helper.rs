//! Commands that trc runs for a unit in addition to the unit's own: those of probes and tests, those
//! that stop a unit, make it reload or run after its end, and those that clients run as a unit. All of them are started,
//! read, limited in time and reaped here. They differ in their duty.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::super::spawn::{self, Failure, Launch, Pace};
use super::source::{Call, Source, Watch};
use super::{Child, Role, Supervisor};
use crate::config::Template;
use crate::engine::{Detail, Ending, Purpose, UNKILLABLE_AFTER};
use crate::graph::{Graph, UnitId};
use crate::run::os::processes;
use crate::text::harmless;
use crate::words;

/// The number of bytes that trc keeps of the output of a probe's command.
const TAIL: usize = 1024;

/// The purpose of a helper.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Duty {
    /// The helper stops its unit. The engine decides how long that may take.
    Stop,
    /// The helper makes its unit reload. The engine decides how long that may take.
    Reload,
    /// The helper runs after its unit's end. The engine decides how long that may take.
    PostStop,
    /// The helper finds out whether its unit is ready or healthy.
    Probe(Purpose),
    /// The helper is the command of a test.
    Test,
    /// The helper is the command of a client.
    Exec,
}

/// A helper that is running.
pub(super) struct Helper {
    pub unit: UnitId,
    pub duty: Duty,
    /// The moment at which the helper is killed if it still runs.
    until: Option<Instant>,
    /// Whether trc has killed the helper because it took too long.
    killed: bool,
    /// Whether the result of the helper no longer matters.
    dismissed: bool,
    /// The helper's output, if trc keeps the end of it; `None` once it has ended.
    output: Option<OwnedFd>,
    tail: Vec<u8>,
}

impl Helper {
    /// Marks the result of the helper as one that no longer matters.
    fn dismiss(&mut self) {
        (self.dismissed, self.until, self.output) = (true, None, None);
    }

    /// Reads the available output, and keeps the end of it.
    fn read(&mut self) {
        let mut bytes = [0; 4096];
        // At most as much as one pipe holds, so that a flood starves nobody.
        for _ in 0..16 {
            let Some(output) = &self.output else { return };
            match nix::unistd::read(output, &mut bytes) {
                Ok(0) => self.output = None,
                Ok(count) => {
                    self.tail.extend_from_slice(&bytes[..count]);
                    let extra = self.tail.len().saturating_sub(TAIL);
                    self.tail.drain(..extra);
                }
                Err(Errno::EINTR) => {}
                Err(_) => return,
            }
        }
    }

    /// Returns the last line that is not blank.
    fn last_line(&self) -> String {
        let text = String::from_utf8_lossy(&self.tail);
        let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty());
        harmless(line.unwrap_or(""))
    }
}

/// The reason why a helper could not be executed.
pub(super) struct NotExecuted {
    pub failure: Failure,
    /// The explanation that trc has found itself.
    pub why: Option<Detail>,
}

impl NotExecuted {
    /// Returns the reason in words.
    pub(super) fn told(&self, graph: &Graph, id: UnitId, program: &Template) -> String {
        let Failure { stage, errno } = self.failure;
        let why = self.why.as_ref().map(|why| words::detail(graph, id, why));
        words::program_failure(program, stage, errno, why.as_deref())
    }
}

pub(super) const SOURCE: Source = Source {
    watch: Supervisor::watch_helpers,
    settle: Supervisor::end_late_helpers,
    postpone: Supervisor::postpone_helpers,
};

impl Supervisor {
    /// Starts a helper. trc reads its output from `output`, and kills it at `until`.
    pub(super) fn start_helper(
        &mut self,
        unit: UnitId,
        duty: Duty,
        launch: Launch,
        output: Option<OwnedFd>,
        until: Option<Instant>,
    ) -> Result<i32, Errno> {
        let child = spawn::spawn(launch, Pace::Free).map_err(|failure| failure.errno)?;
        let progress = Some((child.progress, child.hold));
        let held = Child { role: Role::Helper, progress, saved: None, terminal: false, hold: None };
        self.children.own.insert(child.pid, held);
        let (killed, dismissed, tail) = (false, false, Vec::new());
        let helper = Helper { unit, duty, until, killed, dismissed, output, tail };
        self.helpers.insert(child.pid, helper);
        self.drill(|drill, _| drill.own(child.pid));
        Ok(child.pid)
    }

    /// Kills the helpers of a unit that have this duty. The results no longer matter, except those
    /// of helpers that stop the unit.
    pub(super) fn kill_helpers(&mut self, id: UnitId, duty: impl Fn(Duty) -> bool) {
        for (pid, helper) in &mut self.helpers {
            if helper.unit == id && duty(helper.duty) && !helper.dismissed {
                if helper.duty != Duty::Stop {
                    helper.dismiss();
                }
                kill(*pid);
            }
        }
    }

    /// Kills a helper at this moment if it still runs.
    pub(super) fn limit_helper(&mut self, pid: i32, until: Instant) {
        if let Some(helper) = self.helpers.get_mut(&pid) {
            helper.until = Some(until);
        }
    }

    fn watch_helpers<'s>(&'s self, watch: &mut Watch<'s>) {
        for (pid, helper) in &self.helpers {
            if let Some(output) = &helper.output {
                watch.input(output.as_fd(), Call::Process(Self::read_helper, *pid));
            }
            watch.until(helper.until);
        }
    }

    fn read_helper(&mut self, pid: i32) {
        if let Some(helper) = self.helpers.get_mut(&pid) {
            helper.read();
        }
    }

    fn postpone_helpers(&mut self, by: Duration) {
        self.helpers.values_mut().for_each(|helper| helper.until = helper.until.map(|it| it + by));
    }

    fn end_late_helpers(&mut self, now: Instant) {
        let is_late = |it: &Helper| it.until.is_some_and(|until| until <= now);
        while let Some((pid, helper)) = self.helpers.iter_mut().find(|(_, it)| is_late(it)) {
            let (pid, unit, duty) = (*pid, helper.unit, helper.duty);
            kill(pid);
            // trc waits for a test's command to exit, and leaves it behind if it cannot be killed.
            let again = duty == Duty::Test && !helper.killed;
            let until = again.then(|| now + UNKILLABLE_AFTER);
            (helper.killed, helper.until) = (true, until);
            if !again {
                helper.dismiss();
            }
            match duty {
                Duty::Stop | Duty::Reload | Duty::PostStop | Duty::Exec => {}
                Duty::Probe(purpose) => self.probe_command_is_late(unit, purpose),
                Duty::Test => {
                    self.drill(|drill, run| drill.command_is_late(run, pid, until));
                }
            }
        }
    }

    /// Handles a helper that has exited, or that could not be executed.
    pub(super) fn helper_ended(&mut self, pid: i32, ending: Result<Ending, NotExecuted>) {
        let Some(mut helper) = self.helpers.remove(&pid) else { return };
        if helper.duty != Duty::Test && matches!(ending, Ok(Ending::Code(_))) {
            self.drill(|drill, _| drill.disown(pid));
        }
        match helper.duty {
            Duty::Stop => self.stop_command_ended(helper.unit, ending),
            Duty::Exec => self.exec_ended(pid, helper.unit, ending),
            Duty::Reload | Duty::PostStop | Duty::Probe(_) if helper.dismissed => {}
            Duty::PostStop => self.post_stop_ended(helper.unit, ending),
            Duty::Reload => self.reload_command_ended(helper.unit, ending),
            Duty::Probe(purpose) => {
                helper.read();
                self.probe_command_ended(helper.unit, purpose, ending, helper.last_line());
            }
            Duty::Test => {
                self.drill(|drill, run| match ending {
                    Ok(ending) => drill.command_ended(run, pid, Ok(ending)),
                    Err(NotExecuted { failure, why }) => {
                        drill.not_executed(run, pid, failure, why.as_ref());
                    }
                });
            }
        }
    }
}

/// Kills a helper, whatever process group it is in now, and every process in its own group.
fn kill(pid: i32) {
    processes::signal(-pid, libc::SIGKILL);
    processes::signal(pid, libc::SIGKILL);
}
