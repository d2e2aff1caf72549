//! The witness's view of signals to trc.

use super::super::marks::Mark;
use super::super::plan::{Means, Rule};
use super::found::Found;
use super::{Budget, PATIENCE, Phase, Stand, Witness};
use crate::engine::Tick;
use crate::signal::Signal;

impl Witness<'_> {
    pub(in crate::simulation) fn signalled(
        &mut self,
        signal: Signal,
        outside: bool,
        sender: Option<usize>,
    ) {
        if self.plan.transparent() {
            self.pass(signal);
            return;
        }
        match self.plan.rule(signal) {
            Means::Nothing => {}
            Means::Reopen => {
                self.owes_reopening = true;
                self.mark(Mark::Reopened);
            }
            Means::Reload => {
                self.owes_reading = true;
                self.mark(Mark::Reread);
            }
            Means::Foreground => {
                let front = |at: &usize| {
                    self.plan.units[*at].in_turn() && self.units[*at].stand == Stand::Alive
                };
                let front = self.here().find(front);
                if let Some(at) = front {
                    self.forwards.push_back((at, true, signal));
                    self.mark(Mark::ToTheForeground);
                }
            }
            Means::Forward(signal, to) => {
                let to: Vec<usize> = self
                    .here()
                    .filter(|at| to.is_empty() || to.contains(at))
                    .filter(|at| self.units[*at].stand == Stand::Alive)
                    .filter(|at| self.units[*at].pre.is_none())
                    .collect();
                let group = |at: usize| self.plan.units[at].to_group();
                self.forwards.extend(to.into_iter().map(|at| (at, group(at), signal)));
                self.mark(Mark::Forwarded);
            }
            Means::Stop => self.stopped_by(signal, outside, sender),
        }
    }

    fn stopped_by(&mut self, signal: Signal, outside: bool, sender: Option<usize>) {
        let polite = matches!(signal, Signal::TERM | Signal::INT);
        let insists = outside && polite && self.outside;
        if outside {
            self.outside |= polite;
            let whole = self.terms.budget;
            self.budget.get_or_insert(Budget {
                kill_at: self.now + whole.saturating_sub(PATIENCE.min(whole / 2)),
                end: self.now + whole,
                signal,
                outside: true,
            });
        }
        if !self.stops() {
            if let Some(at) = sender {
                self.sender = Some((at, self.now + Tick::from_millis(100)));
                self.mark(Mark::StoppedByAUnit);
            }
            let status = 128 + u8::try_from(signal.number()).unwrap_or(0);
            let written = self.plan.rules.contains(&(signal, Rule::Stop));
            self.stopped_by = Some(signal).filter(|_| outside && (polite || written));
            self.decide(
                status,
                match self.phase {
                    Phase::Boot => Mark::SignalDuringBoot,
                    Phase::Settling => Mark::SignalWhileSettling,
                    Phase::Up
                    | Phase::Stopping
                    | Phase::Sweeping(_)
                    | Phase::Killing(_)
                    | Phase::Halting
                    | Phase::Over => Mark::Signalled,
                },
            );
            return;
        }
        if insists {
            match self.phase {
                Phase::Stopping | Phase::Sweeping(_) => {
                    self.hurry = true;
                    self.mark(Mark::Insisted);
                }
                Phase::Halting => {
                    self.mark(Mark::InsistedOnHalts);
                    self.cut(signal);
                }
                Phase::Boot | Phase::Settling | Phase::Up | Phase::Killing(_) | Phase::Over => {}
            }
        }
    }

    /// The clock was set back, but not that of whoever stops the container.
    pub(in crate::simulation) fn overslept(&mut self, by: Tick) {
        self.mark(Mark::Overslept);
        let now = self.now;
        if let Some(budget) = self.budget.as_mut().filter(|budget| budget.outside) {
            budget.kill_at = budget.kill_at.saturating_sub(by);
            let end = budget.end.saturating_sub(by);
            // One second is reserved for the exits.
            budget.end = if end > now { end } else { now + Tick::from_secs(1) };
            self.mark(Mark::OversleptBudget);
        }
    }

    /// In transparent mode, a signal goes to the command, once it has been executed.
    fn pass(&mut self, signal: Signal) {
        let signal = match self.plan.rules.iter().find(|(written, _)| *written == signal) {
            Some((_, Rule::Ignore | Rule::Reopen | Rule::Reload)) => return,
            Some((_, Rule::Forward(Some(other), _))) => *other,
            Some((_, Rule::Forward(None, _) | Rule::Stop)) | None => signal,
        };
        match self.units[0].stand {
            Stand::Over => {}
            Stand::Alive if self.units[0].executed => {
                self.forwards.push_back((0, self.plan.units[0].to_group(), signal));
                self.mark(Mark::Passed);
            }
            Stand::Waiting
            | Stand::Retrying(_)
            | Stand::Asked
            | Stand::Alive
            | Stand::Watching
            | Stand::Finishing
            | Stand::Backoff(_) => {
                self.held.push(signal);
            }
        }
    }

    /// The halt units are cut short.
    pub(in crate::simulation) fn cut(&mut self, signal: Signal) {
        if self.cut.is_some() {
            return;
        }
        self.cut = Some(signal);
        let halts: Vec<usize> = self.halts().collect();
        for at in halts {
            self.flawed |= self.units[at].stand != Stand::Over;
            if self.units[at].stand != Stand::Over {
                self.find(Found::Cut(at));
            }
        }
        if self.status == 0 {
            self.status = 128 + u8::try_from(signal.number()).unwrap_or(0);
        }
        self.mark(Mark::HaltCut);
    }
}
