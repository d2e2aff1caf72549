//! The record of the run, if somebody has asked for one.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;

use super::Supervisor;
use crate::engine::{Action, Event};
use crate::graph::{Graph, UnitId};
use crate::record::{Entry, Head, Offered, Settings, Step, VERSION};
use crate::run::os::clock::wall;
use crate::run::record::Recording;
use crate::words::{self, Observed, Why};

impl Supervisor {
    /// Records the run from its beginning, if it is to be recorded.
    pub(in crate::run) fn record(&mut self, recording: Recording) {
        let recorder = match recording {
            Recording::Off => return,
            Recording::Taken => return self.observed(&Observed::RecordTaken),
            Recording::On(recorder) => recorder,
        };
        let recorder = Rc::new(RefCell::new(recorder));
        let began = wall().duration_since(UNIX_EPOCH);
        self.reporter.record(Rc::clone(&recorder));
        self.record = Some(recorder);
        self.recorded(|run| {
            Entry::Head(Box::new(Head {
                record: VERSION,
                trc: env!("CARGO_PKG_VERSION").to_owned(),
                began: began.unwrap_or_default().as_secs(),
                pid: std::process::id().cast_signed(),
                chance: run.chance,
                silent: run.reporter.is_silent(),
                terminal: run.terminal.is_some(),
                settings: Settings::of(&run.graph, run.loaded.config.log.level),
            }))
        });
    }

    /// Adds an entry to the record, if there is one.
    fn recorded<T: Serialize>(&self, entry: impl FnOnce(&Self) -> T) {
        if let Some(record) = &self.record {
            let entry = entry(self);
            record.borrow_mut().add(&entry);
        }
    }

    /// Records an event, and what the engine has decided.
    pub(super) fn record_step(&self, at: Duration, event: &Event, then: &[Action]) {
        let at = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
        self.recorded(|_| Step { at, event, then });
    }

    /// Remembers how many of the decisions were carried out.
    pub(super) fn record_progress(&self, count: usize) {
        if let Some(record) = &self.record {
            record.borrow_mut().has_acted(count);
        }
    }

    /// Records a graph that is offered to the engine.
    pub(super) fn record_offer(
        &self,
        graph: &Graph,
        level: log::LevelFilter,
        (replaced, keep, reload): (&[UnitId], bool, bool),
    ) {
        self.recorded(|_| {
            let settings = Settings::of(graph, level);
            let replaced = replaced.to_vec();
            Entry::Offer(Box::new(Offered { settings, replaced, keep, reload }))
        });
    }

    /// Records the end of the run.
    pub(super) fn record_end(&self, status: u8, last: Option<Why>) {
        self.recorded(|run| {
            let reason = run.engine.reason();
            let why = reason.map(|reason| words::reason::reason(&run.engine, &reason));
            let why = why.unwrap_or_default();
            let line = last.map(|last| Why { reason: why.clone(), ..last }.text());
            Entry::End { status, why, line }
        });
        self.write_record();
    }

    /// Writes what was recorded in this turn of the loop.
    pub(super) fn write_record(&self) {
        let lost = self.record.as_ref().and_then(|record| record.borrow_mut().write());
        if let Some((path, why)) = lost {
            self.observed(&Observed::RecordLost(&path, &why));
        }
    }
}
