//! The witness's books of failures, and of the chain of those from which the end of the run follows.
//!
//! The witness keeps a list of all failures, each with the one behind it. It walks along the list only
//! at the end.

use super::super::build::Built;
use super::super::marks::Mark;
use super::{Stand, Verdict, Witness, expect};
use crate::config::{Condition, Stage};
use crate::engine::{Cause, Reason};

/// One failure.
#[derive(Clone, Copy, Debug)]
pub(in crate::simulation) struct Fall {
    unit: usize,
    status: u8,
    /// The failure behind it, by its place in the list.
    behind: Option<usize>,
    /// Whether the unit was started again.
    again: bool,
}

/// The witness's books of failures.
#[derive(Default, Debug)]
pub(in crate::simulation) struct Fallen {
    all: Vec<Fall>,
    /// The failures of those units that were not up when the stop of the run began.
    at_the_stop: Option<Vec<Option<usize>>>,
}

impl Witness<'_> {
    /// Takes in that a unit has failed.
    pub(in crate::simulation) fn falls(&mut self, at: usize, status: u8, blames: Option<usize>) {
        if self.stops() || self.plan.units[at].stage == Stage::Test {
            return;
        }
        let behind = match blames {
            Some(by) => {
                let needs = self.terms.units[at].needs.iter();
                let mut up = needs.filter(|(_, condition)| is_about_being_up(*condition));
                up.find(|(on, _)| *on == by).and_then(|_| self.down(by))
            }
            None => self.latest_below(at),
        };
        self.fallen.all.push(Fall { unit: at, status, behind, again: false });
        self.units[at].fall = Some(self.fallen.all.len() - 1);
    }

    /// Takes in that the process of a unit is gone.
    pub(in crate::simulation) fn falls_with(&mut self, at: usize, status: u8, told: bool) {
        let at_fault = self.units[at].fault.is_some_and(|fault| !fault.is_none());
        if told || at_fault {
            return;
        }
        let service = self.plan.units[at].stage == Stage::Async && !self.terms.units[at].oneshot;
        if status != 0 || service {
            self.falls(at, status, None);
        } else {
            self.units[at].fall = None;
        }
    }

    /// Takes in that a unit is started again.
    pub(in crate::simulation) fn falls_for_a_while(&mut self, at: usize) {
        if let Some(fall) = self.units[at].fall {
            self.fallen.all[fall].again = true;
        }
    }

    /// Returns the failure of a unit that is not up, although it is to be.
    fn down(&self, at: usize) -> Option<usize> {
        let seen = &self.units[at];
        seen.fall.filter(|_| !seen.held && !seen.idle && !seen.going)
    }

    /// Returns the last failure among what a unit stands on.
    fn latest_below(&self, at: usize) -> Option<usize> {
        let needs = self.terms.units[at].needs.iter();
        let up = needs.filter(|(_, condition)| is_about_being_up(*condition));
        let falls = up.filter_map(|(on, _)| match self.down(*on) {
            Some(fall) => Some(fall),
            None if self.units[*on].stand == Stand::Over => self.latest_below(*on),
            None => None,
        });
        falls.max()
    }

    /// Takes in that the stop of the run begins.
    pub(in crate::simulation) fn keeps_falls(&mut self) {
        self.fallen.at_the_stop = Some(self.units.iter().map(|seen| seen.fall).collect());
    }

    /// Checks the chain of failures in the last line.
    pub(in crate::simulation) fn chain(&mut self, reason: &Reason, built: &Built) -> Verdict {
        let effect = match reason.cause {
            Cause::Boot(id) | Cause::Ended(id) | Cause::Failed(id) | Cause::AllEnded(Some(id)) => {
                Some(built.unit(id))
            }
            Cause::CommandLine
            | Cause::AllEnded(None)
            | Cause::Tested
            | Cause::Signal(..)
            | Cause::Asked(_)
            | Cause::Terminal(..) => None,
        };
        let falls = self.fallen.at_the_stop.take().unwrap_or_default();
        let mut next = effect.and_then(|at| falls.get(at).copied().flatten());
        let mut right: Vec<Fall> = Vec::new();
        while let Some(fall) = next.map(|fall| self.fallen.all[fall]) {
            // Another graph may have turned an edge around.
            if right.iter().any(|one| one.unit == fall.unit) {
                break;
            }
            right.push(fall);
            next = fall.behind;
        }
        let of = |fall: &Fall| (fall.unit, fall.status);
        let right_links: Vec<(usize, u8)> = right.iter().skip(1).map(of).collect();
        let links = reason.behind.iter().map(|link| (built.unit(link.unit), link.status));
        let same = right_links.len() == links.len() && links.eq(right_links);
        expect(same, "the last line names the failures from which the end follows")?;
        match right.len() {
            0 | 1 => {}
            2 => self.mark(Mark::ChainOfTwo),
            _ => self.mark(Mark::ChainOfThree),
        }
        if right.iter().skip(1).any(|fall| fall.again) {
            self.mark(Mark::ChainByARestart);
        }
        Ok(())
    }
}

fn is_about_being_up(condition: Condition) -> bool {
    !matches!(condition, Condition::Exited | Condition::Failed)
}
