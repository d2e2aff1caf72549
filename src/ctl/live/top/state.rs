//! What `trcctl top` knows and shows.

use super::records::Records;
use crate::ctl::live::why::blocks;
use crate::wire::{About, Act, Entry, RunHealth, UnitState};

/// An edge of the graph: one unit waits for another one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Need {
    /// The unit that waits.
    pub unit: String,
    /// The unit that it waits for.
    pub of: String,
    /// The state of that unit: `started`, `ready`, `exited`, `succeeded` or `failed`.
    pub condition: String,
}

/// The answers of trc at a moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Picture {
    /// The run.
    pub about: About,
    /// Its health.
    pub health: RunHealth,
    /// The units, in their order.
    pub units: Vec<UnitState>,
    /// What they wait for.
    pub needs: Vec<Need>,
}

/// The lines that are followed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Stream {
    /// The output of this unit.
    Output(String),
    /// The lines of trc itself.
    Events,
}

/// The page that is shown.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum Page {
    /// The table of units, and the selected one.
    #[default]
    Units,
    /// The output of the selected unit, or the lines of trc.
    Records,
    /// The keys.
    Help,
}

/// A question to the person, in the last line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Question {
    /// Whether to stop this unit, which these units depend on.
    Stop(String, Vec<String>),
    /// The signal for this unit, as far as it is written.
    Signal(String, String),
    /// The text of the filter is being written.
    Filter,
}

/// A message in the last line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Note {
    /// The message.
    pub text: String,
    /// Whether something has failed.
    pub bad: bool,
}

/// All of it.
#[derive(Default, Debug)]
pub(super) struct State {
    /// The last answers.
    pub picture: Option<Picture>,
    /// Why there is no later answer.
    pub gone: Option<String>,
    /// The page that is shown.
    pub page: Page,
    /// The name of the selected unit.
    pub selected: Option<String>,
    /// The text that the names of shown units contain.
    pub filter: String,
    /// The text that shown records contain.
    pub grep: String,
    /// The question, if there is one.
    pub question: Option<Question>,
    /// The message, if there is one.
    pub note: Option<Note>,
    /// What is followed.
    pub stream: Option<Stream>,
    /// The number of the stream, so that late records of an earlier one do not count.
    pub number: u32,
    /// The last records.
    pub records: Records,
    /// Why the stream is over.
    pub over: Option<String>,
    /// The number of records below the shown ones: 0 follows them. It may be larger than that of all
    /// records: [`State::below`] is not.
    pub scroll: usize,
    /// The requests that trc has not answered yet.
    pub asked: Vec<(String, Act)>,
}

impl State {
    /// Returns the units that the filter lets through.
    pub(super) fn units(&self) -> Vec<&UnitState> {
        let all = self.picture.iter().flat_map(|picture| &picture.units);
        all.filter(|unit| has(&unit.name, &self.filter)).collect()
    }

    /// Returns the selected unit, if it is shown, and its place.
    pub(super) fn unit(&self) -> Option<(usize, &UnitState)> {
        let selected = self.selected.as_deref()?;
        self.units().into_iter().enumerate().find(|(_, unit)| unit.name == selected)
    }

    /// Returns the unit, the one that it waits for, and so on to the cause.
    pub(super) fn chain<'s>(&'s self, unit: &'s UnitState) -> Vec<&'s UnitState> {
        let all = self.picture.as_ref().map_or(&[][..], |picture| &picture.units);
        let mut chain = vec![unit];
        while let Some(next) = chain.last().and_then(|last| blocks(last, all))
            && chain.iter().all(|seen| seen.name != next.name)
        {
            chain.push(next);
        }
        chain
    }

    /// Returns what a unit waits for, with the conditions.
    pub(super) fn needs(&self, unit: &str) -> Vec<(&str, &str)> {
        let all = self.picture.iter().flat_map(|picture| &picture.needs);
        let its = all.filter(|need| need.unit == unit);
        its.map(|need| (need.of.as_str(), need.condition.as_str())).collect()
    }

    /// Returns the units that wait for a unit.
    pub(super) fn dependents(&self, unit: &str) -> Vec<&str> {
        let all = self.picture.iter().flat_map(|picture| &picture.needs);
        all.filter(|need| need.of == unit).map(|need| need.unit.as_str()).collect()
    }

    /// Returns the records that are shown.
    pub(super) fn shown(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.records.iter().filter(|entry| self.shows(entry))
    }

    /// Returns the number of records below the shown ones, so that at least one is shown.
    pub(super) fn below(&self) -> usize {
        match self.scroll {
            0 => 0,
            scroll => scroll.min(self.shown().count().saturating_sub(1)),
        }
    }

    /// Returns whether a record is shown.
    pub(super) fn shows(&self, entry: &Entry) -> bool {
        match entry {
            Entry::Written(line) => has(&line.line, &self.grep),
            Entry::Said(said) => has(&said.message, &self.grep),
            Entry::Gap(_) => true,
        }
    }
}

/// Returns whether a text contains another one, in upper or lower case.
fn has(text: &str, part: &str) -> bool {
    part.is_empty() || text.to_lowercase().contains(&part.to_lowercase())
}
