//! What the witness expects of the looks at processes in a test run, and what follows from
//! them: zombies after the last test, and what remains when every unit is gone.

use super::found::{Found, LINGER};
use super::marks::Mark;
use super::plan::ms;
use super::witness::{Budget, PATIENCE, Phase, Verdict, Witness, expect};
use crate::engine::Tick;
use crate::signal::Signal;

/// From the first look at zombies to the second.
const AGAIN: Tick = Tick::from_millis(200);

/// The looks at zombies after the last test.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub enum Look {
    #[default]
    NotYet,
    Owed,
    Asked,
    Again(Tick),
    OwedAgain,
    AskedAgain,
    Over,
}

/// The looks at what remains when every unit is gone.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub enum Left {
    #[default]
    NotYet,
    Asked,
    /// It may end by itself until then.
    Lingers(Tick),
    AskedAgain,
    /// What is left now is a finding, and swept away.
    Judged,
}

impl Witness<'_> {
    /// In place of the wait policy: after the last test there is a look at zombies.
    pub fn ask_tests(&mut self) {
        if self.turn().is_none() && self.tested.look == Look::NotYet {
            self.tested.look = Look::Owed;
        }
    }

    /// The second look at zombies comes a moment later.
    pub fn looks_again(&mut self) {
        if let Look::Again(at) = self.tested.look
            && at <= self.now
            && self.phase == Phase::Up
        {
            self.tested.look = Look::OwedAgain;
        }
    }

    /// The engine looks for zombies.
    pub fn inspects(&mut self) -> Verdict {
        self.tested.look = match self.tested.look {
            Look::Owed => Look::Asked,
            Look::OwedAgain => Look::AskedAgain,
            Look::NotYet | Look::Asked | Look::Again(_) | Look::AskedAgain | Look::Over => {
                return expect(false, "zombies are looked for after the last test, and once more");
            }
        };
        Ok(())
    }

    /// It has: after that the run stops, as from outside.
    pub fn inspected(&mut self, zombies: bool) {
        let again = self.tested.look == Look::AskedAgain;
        if zombies && !again {
            self.tested.look = Look::Again(self.now + AGAIN);
            return;
        }
        self.tested.look = Look::Over;
        if zombies {
            self.find(Found::Zombies);
        } else if again {
            self.mark(Mark::ZombiesGone);
        }
        if self.phase == Phase::Up {
            let whole = self.terms.budget;
            self.budget = Some(Budget {
                kill_at: self.now + whole.saturating_sub(PATIENCE.min(whole / 2)),
                end: self.now + whole,
                signal: Signal::TERM,
                outside: false,
            });
            self.tested.through = true;
            let grace = self.plan.budget.map_or(Tick::from_secs(10), ms);
            self.tested.stop_by = Some(self.now + grace);
            self.decide(0, Mark::Tested);
        }
    }

    /// The engine looks at what is left.
    pub fn looks_at_remains(&mut self) -> Verdict {
        expect(self.testing(), "nothing of a test run is done in production")?;
        expect(self.all_gone(), "what remains is looked at when every unit is gone")?;
        self.tested.left = match (self.phase, self.tested.left) {
            // Before KILL there is no time for a second look.
            (Phase::Stopping | Phase::Sweeping(_), _) if self.hurry => Left::Judged,
            (Phase::Sweeping(_), _) => Left::Judged,
            (Phase::Stopping, Left::NotYet) => Left::Asked,
            (Phase::Stopping, Left::Lingers(until)) if until <= self.now => Left::AskedAgain,
            _ => return expect(false, "what remains is looked at, and once more after a moment"),
        };
        Ok(())
    }

    /// It has.
    pub fn remains(&mut self, left: bool, found: &[Found]) {
        match self.tested.left {
            Left::Asked if left => {
                self.tested.left = Left::Lingers(self.now + LINGER);
                return;
            }
            Left::AskedAgain if !left => self.mark(Mark::LeftoversWentBy),
            _ => {}
        }
        if !matches!(self.phase, Phase::Halting | Phase::Over) {
            self.tested.left = Left::Judged;
        }
        for one in found {
            self.find(*one);
        }
    }

    /// Whether there is reason to wait with the sweep.
    pub fn lets_linger(&self) -> bool {
        match self.tested.left {
            Left::Asked | Left::AskedAgain => true,
            Left::Lingers(until) => self.now < until,
            Left::NotYet | Left::Judged => false,
        }
    }
}
