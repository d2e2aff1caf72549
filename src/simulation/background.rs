//! Units that put themselves into the background.

use super::plan::{PidFile, ms};
use super::world::{Happening, Process, World};
use crate::engine::{Ending, Event, Notice};

impl World<'_> {
    /// Lets a unit with a `pid_file` go on without the process that trc has started, which exits.
    /// Returns whether it does.
    pub(super) fn goes_behind(&mut self, unit: usize, main: Process, ending: Ending) -> bool {
        let Some(file) = self.plan.units[unit].pid_file else { return false };
        let begins = main.executed && main.behind.is_none() && !main.known;
        let begins = begins && !main.pre && main.killed.is_none();
        let left = self.slots[unit].left.filter(|left| left.of == main.pid);
        let Some(left) = left.filter(|_| begins && ending == Ending::Code(0)) else { return false };
        self.pids += 1;
        let pid = self.pids;
        let (told, killed, behind) = (left.told, left.killed, Some(self.now));
        self.slots[unit].left = None;
        self.slots[unit].main =
            Some(Process { pid, told, killed, behind, pending: None, stopped: false, ..main });
        let notice = Notice::StandIn(pid);
        self.events.push_back(Event::Notified { unit: self.id(unit), notice });
        if let Some((after, ending)) = self.child(unit).daemon_ends.or(file.ends) {
            self.later(after, Happening::Dies(unit, pid, ending));
        }
        // The daemon says what the other process would have said.
        self.begins_to_speak(unit, pid);
        true
    }

    /// trc knows the main process of a unit.
    pub(super) fn knows_main(&mut self, unit: usize) {
        if let Some(main) = &mut self.slots[unit].main {
            main.known = true;
        }
    }

    /// Looks at the file of a unit.
    pub(super) fn seek(&mut self, unit: usize) {
        let (main, file) = (self.slots[unit].main, self.plan.units[unit].pid_file);
        let by = |file: PidFile, main: Process| match main.behind {
            Some(since) => Some(since + ms(file.late?)),
            None => Some(self.slots[unit].since? + ms(file.early?)),
        };
        let named = main.zip(file).and_then(|(main, file)| by(file, main));
        let named = named.is_some_and(|by| by <= self.now);
        let id = self.id(unit);
        let event = match main.filter(|_| named) {
            None => Event::Unfound { unit: id, why: None },
            Some(Process { pid, behind, .. }) => {
                // It may be another process than the one that stands in for it.
                let other = behind.is_some() && self.coin();
                self.pids += i32::from(other);
                let pid = if other { self.pids } else { pid };
                Event::Notified { unit: id, notice: Notice::MainPid(pid) }
            }
        };
        self.events.push_back(event);
    }
}
