//! The phases of each unit over time, for a client that draws them.
//!
//! [`State::transition`](super::unit::State::transition) is the only door to a phase, so nothing is
//! missed. The last phases of each unit are kept, so that a unit that is restarted over and over
//! again does not push out the others.

use super::snapshot::PhaseName;
use super::unit::{Stay, Why};
use super::{Ended, Engine, Tick};
use crate::graph::UnitId;

/// A time that a unit has spent in a phase.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Span {
    /// The phase.
    pub phase: PhaseName,
    /// When the unit entered it.
    pub from: Tick,
    /// When the unit left it; `None` if it has not.
    pub to: Option<Tick>,
    /// When the unit became ready in this phase.
    pub ready: Option<Tick>,
    /// Why the unit entered it.
    pub why: Why,
    /// The end of the unit, if the phase is [`PhaseName::Ended`].
    pub ended: Option<Ended>,
}

impl Span {
    fn of(stay: Stay) -> Self {
        let Stay { phase, from, to, ready, why } = stay;
        Self { phase: PhaseName::of(phase), from, to, ready, why, ended: phase.ended() }
    }
}

impl Engine {
    /// Returns the phases of a unit in their order, the present one at the end, and the number of
    /// earlier ones that are not kept.
    pub(crate) fn timeline(&self, id: UnitId) -> (impl Iterator<Item = Span>, u32) {
        let state = &self.states[id.0];
        let stays = state.past.kept.iter().copied().chain([state.stay()]);
        (stays.map(Span::of), state.past.dropped)
    }
}
