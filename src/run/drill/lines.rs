//! The lines of units' output that tests ask for.

use crate::config::{Check, Found, Needle, Stage};
use crate::graph::{Graph, UnitId};
use crate::regex;
use crate::run::capture::{Matcher, Sought};

/// A line that a test asks for.
struct Wanted {
    test: UnitId,
    /// The test's name, by which it is identified in another graph.
    name: String,
    /// The position of the check in the test.
    check: usize,
    units: Vec<UnitId>,
    needle: Needle,
    forbidden: bool,
    /// The unit that wrote the line first, and the line.
    found: Option<(UnitId, String)>,
}

/// Returns the units whose lines a test looks at if its check names no unit: those that the test is
/// about. If the test names no unit at all, and forbids something such as a password, boot units
/// must not write it either, because that is where it is set up.
fn about(graph: &Graph, test: UnitId, forbidden: bool) -> Vec<UnitId> {
    let node = graph.node(test);
    let mut about = node.about.clone();
    if forbidden && node.unit.after.is_empty() && node.victim.is_none() && node.job.is_none() {
        about.extend(graph.stage(Stage::Boot));
    }
    about
}

/// All the lines that tests ask for.
pub(super) struct Lines {
    wanted: Vec<Wanted>,
    /// The last test that has done something to a unit. What others forbid no longer counts.
    faulted: Option<UnitId>,
}

impl Lines {
    /// Returns the lines that a graph's tests ask for.
    pub(super) fn new(graph: &Graph) -> Self {
        let mut wanted = Vec::new();
        for test in graph.stage(Stage::Test) {
            let checks = graph.node(test).test().map(|test| test.checks.as_slice());
            for (check, placed) in checks.unwrap_or_default().iter().enumerate() {
                let Check::Found(Found::Said { unit, needle, forbidden }) = &placed.value else {
                    continue;
                };
                let named = |id: &UnitId| {
                    unit.as_ref().is_some_and(|unit| graph.node(*id).unit.id() == unit.value)
                };
                wanted.push(Wanted {
                    test,
                    name: graph.node(test).unit.id(),
                    check,
                    units: match unit {
                        Some(_) => graph.ids().filter(named).collect(),
                        None => about(graph, test, *forbidden),
                    },
                    needle: needle.clone(),
                    forbidden: *forbidden,
                    found: None,
                });
            }
        }
        Self { wanted, faulted: None }
    }

    /// Returns the same for another graph, which boot has made: its tests are new, but its boot
    /// units are not, and the lines that these have written stay written.
    pub(super) fn over(&self, graph: &Graph) -> Self {
        let mut lines = Self::new(graph);
        for wanted in &mut lines.wanted {
            let same = |one: &&Wanted| (&one.name, one.check) == (&wanted.name, wanted.check);
            wanted.found = self.wanted.iter().find(same).and_then(|one| one.found.clone());
        }
        lines
    }

    /// Notes that a test does something to a unit: lines that other tests forbid no longer count,
    /// and for its own checks only later lines count.
    pub(super) fn begin_fault(&mut self, test: UnitId) {
        self.faulted = Some(test);
        self.forget(test);
    }

    /// Forgets the lines so far that a test asks for.
    pub(super) fn forget(&mut self, test: UnitId) {
        for wanted in self.wanted.iter_mut().filter(|one| one.test == test) {
            wanted.found = None;
        }
    }

    /// Returns whether a test has done something to a unit.
    pub(super) fn has_faulted(&self) -> bool {
        self.faulted.is_some()
    }

    /// Returns the lines that trc looks for in a unit's output because of tests.
    pub(super) fn matchers(&self, id: UnitId) -> impl Iterator<Item = Matcher> + '_ {
        let asked = self.wanted.iter().enumerate().filter(move |(_, one)| one.units.contains(&id));
        asked.filter_map(|(place, one)| {
            // Both were compiled when the configuration was read, so neither fails here.
            let pattern = match &one.needle {
                Needle::Text(text) => regex::literal(text),
                Needle::Regex(pattern) => regex::compile(pattern).ok(),
            };
            Some(Matcher::new(Sought::Said(place), pattern?))
        })
    }

    /// Notes a line that has matched, or one that was cut and may have a forbidden text in the part
    /// that trc has not read.
    pub(super) fn found(&mut self, place: usize, unit: UnitId, line: String, cut: bool) {
        let line = if cut {
            format!("{line}… (trc reads only the first 1 MiB of a line)")
        } else {
            line
        };
        if let Some(wanted) = self.wanted.get_mut(place)
            && (wanted.forbidden || !cut)
            && !(wanted.forbidden && self.faulted.is_some_and(|test| test != wanted.test))
        {
            wanted.found.get_or_insert((unit, line));
        }
    }

    /// Returns the units whose lines a test asks for.
    pub(super) fn units_of(&self, test: UnitId) -> Vec<UnitId> {
        let asked = self.wanted.iter().filter(|one| one.test == test);
        asked.flat_map(|one| one.units.iter().copied()).collect()
    }

    /// Returns the line that a check asks for, if it was written.
    pub(super) fn line(&self, test: UnitId, check: usize) -> Option<&str> {
        let wanted = self.wanted.iter().find(|one| (one.test, one.check) == (test, check))?;
        wanted.found.as_ref().map(|(_, line)| line.as_str())
    }

    /// Returns the forbidden lines that were written: the tests that forbid them, the units that
    /// wrote them, and the lines.
    pub(super) fn said(&self) -> impl Iterator<Item = (UnitId, UnitId, &str)> {
        self.wanted.iter().filter(|one| one.forbidden).filter_map(|one| {
            let (unit, line) = one.found.as_ref()?;
            Some((one.test, *unit, line.as_str()))
        })
    }
}
