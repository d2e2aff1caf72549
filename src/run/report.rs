//! The lines about a run that trc writes to the log.

use std::cell::RefCell;
use std::rc::Rc;

use log::Level;

use super::control::said::Lines;
use super::journal::Journal;
use super::os::localtime::CLOCK;
use super::record::Recorder;
use crate::config::{Diagnostic, Severity};
use crate::engine::Fact;
use crate::graph::{Graph, UnitId};
use crate::journal;
use crate::record::{Entry, Said};
use crate::words::{self, EventName, Line, Observed, Whose};

/// Writes lines to the journal.
pub(super) struct Reporter {
    journal: Journal,
    own: i32,
    /// Whether trc logs only what concerns itself: in transparent mode, unless a level was asked
    /// for.
    silent: bool,
    /// The last lines, if clients may ask for them.
    said: Option<Rc<RefCell<Lines>>>,
    /// The record of the run, if there is one.
    record: Option<Rc<RefCell<Recorder>>>,
}

impl Reporter {
    pub(super) fn new(journal: Journal, silent: bool) -> Self {
        Self { journal, own: std::process::id().cast_signed(), silent, said: None, record: None }
    }

    /// Keeps the last lines from now on, whatever their levels are.
    pub(super) fn keep(&mut self, said: Rc<RefCell<Lines>>) {
        self.said = Some(said);
    }

    /// Records from now on what trc finds out itself.
    pub(super) fn record(&mut self, record: Rc<RefCell<Recorder>>) {
        self.record = Some(record);
    }

    /// Returns whether trc logs only what concerns itself.
    pub(super) fn is_silent(&self) -> bool {
        self.silent
    }

    pub(super) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Returns whether the start of a unit is logged.
    pub(super) fn announces(&self) -> bool {
        !self.silent && self.journal.level() >= Level::Info
    }

    /// Logs the problems that were found in the configuration.
    pub(super) fn diagnostics(&self, diagnostics: &[Diagnostic]) {
        for diagnostic in diagnostics {
            let level = match diagnostic.severity {
                Severity::Error => Level::Error,
                Severity::Warning => Level::Warn,
                Severity::Note => Level::Debug,
            };
            let line = Line::of_run(level, EventName::Configuration, diagnostic.to_string());
            self.remember(&line);
            self.own(None, &line);
        }
    }

    /// Logs that a unit is started.
    pub(super) fn started(&self, graph: &Graph, id: UnitId, pid: i32) {
        if self.announces() || self.said.is_some() {
            self.write(Some(graph), &words::started(graph, id, pid));
        }
    }

    /// Logs that the `pre_start` of a unit is started.
    pub(super) fn pre_started(&self, graph: &Graph, id: UnitId, pid: i32) {
        if self.announces() || self.said.is_some() {
            self.write(Some(graph), &words::pre_started(graph, id, pid));
        }
    }

    /// Logs what has become of a unit, or of the run. In a test run, the findings say what was
    /// wrong.
    pub(super) fn tell(&self, graph: &Graph, fact: &Fact) {
        for line in words::fact(graph, fact) {
            if !self.silent || words::concerns_trc(fact, &line) {
                self.write(Some(graph), &line);
            }
        }
    }

    /// Logs something that trc has found out itself.
    pub(super) fn observed(&self, graph: &Graph, observed: &Observed<'_>) {
        let line = words::observed(graph, observed);
        // The leftovers of a unit are a finding, and a test has a point of its own.
        if !matches!(observed, Observed::LeftBehind(..) | Observed::TestEnded(..)) {
            self.remember(&line);
        }
        if let Some(record) = &self.record
            && let Some(line) = recorded(observed, &line)
        {
            let mut record = record.borrow_mut();
            let line = Said { after: record.acted(), ..line };
            record.add(&Entry::Said(line));
        }
        self.own(Some(graph), &line);
    }

    /// Logs why trc cannot run anything.
    pub(super) fn refused(&self, event: EventName, message: &str) {
        self.own(None, &Line::of_run(Level::Error, event, message));
    }

    /// Remembers trc's own warnings, each of which fails a strict test run.
    fn remember(&self, line: &Line) {
        if line.level == Level::Warn {
            self.journal.warned(format_args!("{}", line.message));
        }
    }

    fn own(&self, graph: Option<&Graph>, line: &Line) {
        if !self.silent || line.level <= Level::Warn {
            self.write(graph, line);
        }
    }

    fn write(&self, graph: Option<&Graph>, line: &Line) {
        let now = (CLOCK.now)();
        let unit = graph.zip(line.unit).map(|(graph, id)| graph.node(id).unit.id());
        let (stage, pid) = match line.whose {
            Whose::Own => ("main", self.own),
            Whose::Process(stage, pid) => (stage, pid),
        };
        let entry = journal::Entry {
            level: line.level,
            stage,
            pid,
            unit: unit.as_deref(),
            event: line.event.word(),
            exitcode: line.status,
            message: format_args!("{}", line.message),
        };
        self.journal.entry(now, &entry);
        if let Some(said) = &self.said {
            let (event, status) = (line.event.word(), line.status);
            said.borrow_mut().push(now, line.level, event, unit, status, &line.message);
        }
    }
}

/// Returns a line for the record, without the output of units.
fn recorded(observed: &Observed<'_>, line: &Line) -> Option<Said> {
    let message = match observed {
        // The record has the reason itself.
        Observed::Why(_) => return None,
        // The reason may quote output.
        Observed::TestEnded(..) => {
            let (result, _) = line.message.split_once(": ").unwrap_or((&line.message, ""));
            result.to_owned()
        }
        _ => line.message.clone(),
    };
    Some(Said {
        after: 0,
        level: line.level.as_str().to_ascii_lowercase(),
        event: line.event.word().to_owned(),
        unit: line.unit,
        message,
    })
}
