//! The witness's expectations of units with a schedule: they start when they are due or when
//! somebody asks for them, their overlap is what the plan says, and people are told of it.

use super::super::marks::Mark;
use super::{Fault, Phase, Stand, Verdict, Witness, expect_of};
use crate::config::Overlap;

impl Witness<'_> {
    /// Returns whether a unit waits for the next time of its schedule.
    pub(in crate::simulation) fn is_idle(&self, at: usize) -> bool {
        let seen = &self.units[at];
        self.plan.units[at].schedule.is_some() && seen.stand == Stand::Waiting && !seen.due
    }

    /// Returns whether the run is there for its schedules alone.
    pub(in crate::simulation) fn lives_for_schedules(&self) -> bool {
        super::policy::lives_for_schedules(self.plan, &self.terms, &|at| self.units[at].idle)
    }

    /// Takes in that a unit is due.
    pub(in crate::simulation) fn falls_due(&mut self, at: usize) {
        let (seen, up) = (&self.units[at], self.phase == Phase::Up && !self.testing());
        let Some((overlap, _)) = self.plan.units[at].schedule else { return };
        let asleep = !self.plan.units[at].autostart;
        if !up || !self.terms.units[at].here || seen.held || seen.going || asleep {
            return self.mark(Mark::NotDue);
        }
        let stops = seen.told.is_some();
        let runs = seen.stand == Stand::Alive && (seen.watch.since.is_some() || stops);
        let said = match (seen.stand, overlap) {
            (Stand::Waiting, _) if !seen.due => {
                self.units[at].due = true;
                return self.mark(Mark::DueAtFirst);
            }
            (Stand::Over, _) if !seen.given_up => {
                self.mark(Mark::DueAgain);
                return self.starts_over(at);
            }
            (_, Overlap::Queue) if (runs || seen.stand == Stand::Finishing) && !seen.queued => {
                self.units[at].queued = true;
                self.mark(Mark::Queued);
                Overlap::Queue
            }
            (_, Overlap::Kill) if runs && !stops && seen.fault.is_none() => {
                self.condemn(at, Fault::Asked);
                self.mark(Mark::KilledForTheNext);
                Overlap::Kill
            }
            _ => {
                self.mark(Mark::LeftOut);
                Overlap::Skip
            }
        };
        self.overlapped = Some((at, said));
    }

    /// Lets the runs begin that were due too early, if the last ones have ended.
    pub(in crate::simulation) fn runs_what_was_queued(&mut self) {
        for at in 0..self.units.len() {
            let seen = &self.units[at];
            if !seen.queued || !self.terms.units[at].here {
                continue;
            }
            let wanted = self.phase == Phase::Up && !seen.held && !seen.going;
            let over = seen.stand == Stand::Over;
            if wanted && !over {
                continue;
            }
            self.units[at].queued = false;
            if wanted {
                self.settles_its_job(at);
            }
            if wanted && !self.units[at].given_up {
                self.mark(Mark::RanFromTheQueue);
                self.starts_over(at);
            }
        }
    }

    /// Checks what people are told about an overlap.
    pub(in crate::simulation) fn is_told_of_overlap(
        &mut self,
        at: usize,
        overlap: Overlap,
    ) -> Verdict {
        let right = self.overlapped.take() == Some((at, overlap));
        expect_of(at, right, "people are told what becomes of a run that comes too early")
    }
}
