//! Job control: units that were suspended, and who may resume them.

use super::{Child, Role, Supervisor};
use crate::config::Stage;
use crate::engine::Event;
use crate::graph::UnitId;
use crate::run::os::processes;
use crate::words::Observed;

impl Supervisor {
    /// Handles a child that a signal has suspended.
    pub(super) fn stopped(&mut self, pid: i32, signal: i32) {
        let Some(Child { role: Role::Unit(id), terminal: lent, .. }) = self.children.own.get(&pid)
        else {
            return;
        };
        let (id, lent) = (*id, *lent);
        self.events.push_back(Event::Paused { unit: id });
        let wants_terminal = signal == libc::SIGTTIN || signal == libc::SIGTTOU;
        if self.graph.node(id).unit.stage == Stage::Async {
            if wants_terminal {
                let reading = signal == libc::SIGTTIN;
                self.observed(&Observed::StoppedByTerminal(id, reading));
            }
        } else if lent || wants_terminal {
            self.stopped_in_front(id, pid, signal);
        }
    }

    /// Handles a foreground unit that the terminal has suspended. If a shell runs trc as a job, trc
    /// suspends itself as well, until the shell resumes it. Without a shell, only trc can resume
    /// the unit.
    fn stopped_in_front(&mut self, id: UnitId, pid: i32, signal: i32) {
        let Some(terminal) = &self.terminal else { return };
        // A test has done this to the unit.
        if self.drill.is_some() && signal == libc::SIGSTOP {
            return;
        }
        if terminal.is_ours() && signal != libc::SIGSTOP {
            // The unit asked for the terminal before trc had it. trc has it now, because of `fg`.
        } else if terminal.has_shell() {
            terminal.take_back(pid);
            processes::stop_self();
        } else if signal == libc::SIGSTOP || (!terminal.leads_session && !terminal.is_ours()) {
            // No key sends SIGSTOP, so somebody wants it. In the other case, the unit would only be
            // suspended again.
            return;
        }
        // After `fg`, trc has the terminal; after `bg`, the shell has kept it.
        if terminal.is_ours() {
            terminal.lend(pid);
            if let Some(child) = self.children.own.get_mut(&pid) {
                child.terminal = true;
            }
        }
        let group = self.units[id.0].group;
        processes::signal(group.map_or(pid, |group| -group), libc::SIGCONT);
    }
}
