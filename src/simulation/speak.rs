//! The readiness and the health of units, and their notifications.

use super::plan::{Reloads, ms};
use super::world::{Happening, World};
use crate::engine::{Event, Notice, Outcome, Purpose};

impl World<'_> {
    /// Schedules the notifications of a process whose command has been executed.
    pub(super) fn begins_to_speak(&mut self, unit: usize, pid: i32) {
        let (plan, child) = (&self.plan.units[unit], self.child(unit));
        if let Some(after) = child.ready.filter(|_| plan.says_ready()) {
            self.later(after, Happening::IsReady(unit, pid));
        }
        if plan.health.is_some_and(|health| health.told) {
            self.later(0, Happening::IsAlive(unit, pid));
        }
        if let Some((after, _)) = child.says
            && plan.is_probed()
        {
            self.later(after, Happening::Says(unit, pid));
        }
    }

    /// Lets a process read its configuration anew.
    pub(super) fn reloads(&mut self, unit: usize, pid: i32) {
        if let Some(reloads) = self.child(unit).reloads {
            self.later(reloads.begins, Happening::BeginsAnew(unit, pid, reloads));
        }
    }

    /// A process begins to read its configuration anew.
    pub(super) fn begins_anew(&mut self, unit: usize, pid: i32, reloads: Reloads) {
        let Reloads { begins: _, ready, extends } = reloads;
        if self.main(unit, pid).is_none() {
            return;
        }
        if let Some(time) = extends.filter(|_| self.plan.units[unit].is_probed()) {
            self.says(unit, pid, Notice::Extend(ms(time)));
        }
        let told = self.plan.units[unit].says_ready();
        if told {
            self.says(unit, pid, Notice::Reloading);
        }
        if let Some(after) = ready.filter(|_| told) {
            self.later(after, Happening::IsReady(unit, pid));
        }
        self.slots[unit].unready = Some((self.now, ready.map(|after| self.now + ms(after))));
    }

    pub(super) fn says(&mut self, unit: usize, pid: i32, notice: Notice) {
        if self.main(unit, pid).is_some_and(|main| !main.stopped && main.killed.is_none()) {
            let notice = match notice {
                Notice::MainPid(_) => {
                    self.pids += 1;
                    Notice::MainPid(self.pids)
                }
                same => same,
            };
            let unit = self.id(unit);
            self.events.push_back(Event::Notified { unit, notice });
        }
    }

    /// Sends the notification that the unit is healthy, again and again, unless the unit is sick.
    pub(super) fn says_that_it_lives(&mut self, unit: usize, pid: i32) {
        let Some(health) = self.plan.units[unit].health else { return };
        // A killed process stays silent, and a suspended one is silent until it is continued.
        if self.main(unit, pid).is_some_and(|main| main.killed.is_none()) {
            if !self.is_sick(unit) {
                self.says(unit, pid, Notice::Alive);
            }
            self.later(health.every.div_ceil(2), Happening::IsAlive(unit, pid));
        }
    }

    pub(super) fn is_sick(&self, unit: usize) -> bool {
        let since = self.slots[unit].since.unwrap_or(self.now);
        let sick = self.child(unit).sick;
        sick.is_some_and(|(from, to)| (since + ms(from)..since + ms(to)).contains(&self.now))
    }

    /// Starts an attempt of a probe.
    pub(super) fn probe(&mut self, unit: usize, purpose: Purpose) {
        self.numbers += 1;
        let least = self.child(unit).unmade;
        let slot = &mut self.slots[unit];
        if self.plan.units[unit].outside {
            slot.since.get_or_insert(self.now);
        }
        if slot.unmade < least {
            slot.unmade += 1;
            let unit = self.id(unit);
            let outcome = Outcome::NotMade;
            self.events.push_back(Event::Probed { unit, purpose, outcome, why: None });
            return;
        }
        slot.tries[purpose as usize] = Some(self.numbers);
        self.later(self.child(unit).try_takes, Happening::Probed(unit, purpose, self.numbers));
    }

    pub(super) fn probed(&mut self, unit: usize, purpose: Purpose, number: u32) {
        let slot = &mut self.slots[unit];
        if slot.tries[purpose as usize].take_if(|under_way| *under_way == number).is_none() {
            return;
        }
        let child = self.child(unit);
        let passes = self.slots[unit].since.is_some_and(|since| match purpose {
            Purpose::Ready => {
                let busy = self.slots[unit].unready.is_some_and(|(from, to)| {
                    from <= self.now && to.is_none_or(|to| self.now < to)
                });
                child.ready.is_some_and(|after| since + ms(after) <= self.now) && !busy
            }
            Purpose::Health => !self.is_sick(unit),
        });
        let stopped = self.slots[unit].main.is_some_and(|main| main.stopped);
        let outcome = match passes {
            _ if stopped => Outcome::TimedOut,
            true => Outcome::Passed,
            false if child.try_hangs => Outcome::TimedOut,
            false => Outcome::Failed,
        };
        let unit = self.id(unit);
        self.events.push_back(Event::Probed { unit, purpose, outcome, why: None });
    }
}
