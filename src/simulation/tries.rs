//! The results of attempts, and of trc's searches for processes.

use std::time::Duration;

use super::plan::ms;
use super::world::{Happening, World};
use crate::engine::{Event, Late, Outcome};

impl World<'_> {
    /// Starts an attempt of a test, with a time limit.
    pub(super) fn try_test(&mut self, unit: usize, limit: Duration) {
        self.numbers += 1;
        let slot = &mut self.slots[unit];
        slot.since.get_or_insert(self.now);
        if slot.unmade < self.plan.units[unit].child.unmade {
            slot.unmade += 1;
            let unit = self.id(unit);
            self.events.push_back(Event::Tried { unit, outcome: Outcome::NotMade });
            return;
        }
        slot.tries[0] = Some(self.numbers);
        let takes = self.plan.units[unit].child.try_takes;
        let limit = u32::try_from(limit.as_millis()).unwrap_or(u32::MAX);
        let in_time = takes <= limit;
        self.later(takes.min(limit), Happening::Tried(unit, self.numbers, in_time));
    }

    pub(super) fn tried(&mut self, unit: usize, number: u32, in_time: bool) {
        let slot = &mut self.slots[unit];
        if slot.tries[0].take_if(|under_way| *under_way == number).is_none() {
            return;
        }
        let child = &self.plan.units[unit].child;
        let since = slot.since.unwrap_or(self.now);
        let passes = child.ready.is_some_and(|after| since + ms(after) <= self.now);
        let passes = passes && !self.is_sick(unit);
        let skips = self.plan.units[unit].test.is_some_and(|test| test.skips) && self.coin();
        let hopeless = self.plan.units[unit].test.is_some_and(|test| test.hopeless) && self.coin();
        let outcome = match passes {
            _ if !in_time => Outcome::TimedOut,
            true if skips => Outcome::Skipped,
            true => Outcome::Passed,
            false if child.try_hangs => Outcome::TimedOut,
            false if hopeless => Outcome::Hopeless,
            false => Outcome::Failed,
        };
        let unit = self.id(unit);
        self.events.push_back(Event::Tried { unit, outcome });
    }

    /// Searches for zombies.
    pub(super) fn inspect(&mut self) {
        let looks = self.plan.drill.as_ref().map_or([false; 2], |drill| drill.zombies);
        let zombies = looks[usize::from(self.looked)];
        self.looked = true;
        let escaped = |at: &usize| {
            let slot = &self.slots[*at];
            slot.main.is_none() && slot.left.is_some_and(|left| left.stray.session)
        };
        let escaped = (0..self.slots.len()).filter(escaped).map(|at| self.id(at)).collect();
        self.events.push_back(Event::Inspected { zombies, escaped });
    }

    /// Searches for processes that are left.
    pub(super) fn look_at_remains(&mut self) {
        let left = |session| {
            let mut strays = self.strays.iter().flatten();
            strays.any(|other| other.killed.is_none() && other.stray.session == session)
        };
        let unit = self.slots.iter().any(|slot| slot.main.is_some() || slot.left.is_some());
        let (orphans, sessions) = (left(false) || unit, left(true));
        // Nothing is expected of a test that did not run.
        let done = |at: &usize| self.built.id(*at).is_some() && self.slots[*at].since.is_some();
        let mut late = Vec::new();
        for at in (0..self.slots.len()).filter(done) {
            let Some(test) = self.plan.units[at].test else { continue };
            late.extend(test.said.then(|| (self.id(at), Late::Said)));
            late.extend(test.used.then(|| (self.id(at), Late::Used)));
            late.extend(test.lacks.then(|| (self.id(at), Late::Left)));
        }
        self.events.push_back(Event::Remains { orphans, sessions, late });
    }
}
