//! The lines of a record.

use std::fmt::Debug;

use serde::{Deserialize, Serialize, Serializer};

use super::Settings;
use crate::engine::{Action, Event};
use crate::graph::UnitId;

/// The version of the format. Another number means that an older trc cannot read the record.
pub(crate) const VERSION: u32 = 1;

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Entry {
    /// The first line.
    Head(Box<Head>),
    /// An event. trc writes it as a [`Step`].
    Step(Happened),
    /// A graph that is offered to the engine, before the event that lets it take over.
    Offer(Box<Offered>),
    /// A line of the log about something that trc has found out itself.
    Said(Said),
    /// The end of the run.
    End {
        /// The exit status of trc.
        status: u8,
        /// The reason in words, without the output of units.
        why: String,
        /// The last line of the log, without that, if there is one.
        line: Option<String>,
    },
    /// The record has reached its greatest size, and ends here.
    Full,
}

/// The first line of a record.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Head {
    /// The version of the format.
    pub record: u32,
    /// The version of trc.
    pub trc: String,
    /// When the run began, in seconds since 1970.
    pub began: u64,
    /// The number of trc's own process.
    pub pid: i32,
    /// The number that seeds the engine's choices.
    pub chance: u64,
    /// Whether trc logs only what concerns itself, because it is transparent.
    pub silent: bool,
    /// Whether trc has a terminal.
    pub terminal: bool,
    /// The configuration.
    pub settings: Settings,
}

/// A graph that is to take over.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Offered {
    /// Its configuration.
    pub settings: Settings,
    /// The units that have to be restarted.
    pub replaced: Vec<UnitId>,
    /// Whether it stays even if one of its units does not come up.
    pub keep: bool,
    /// Whether it is the graph of a reload, which may reuse the identities of units that are gone.
    pub reload: bool,
}

/// An event, as it is read.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Happened {
    /// The time since the run began, in nanoseconds.
    pub at: u64,
    /// The event.
    pub event: Event,
    /// The decisions of the engine that followed, each as Rust's `Debug` writes it.
    pub then: Vec<String>,
}

/// An event, as it is written: `{"step":…}`.
pub(crate) struct Step<'a> {
    /// The time since the run began, in nanoseconds.
    pub at: u64,
    /// The event.
    pub event: &'a Event,
    /// The decisions of the engine that followed.
    pub then: &'a [Action],
}

impl Serialize for Step<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Fields<'a> {
            at: u64,
            event: &'a Event,
            #[serde(serialize_with = "shown")]
            then: &'a [Action],
        }
        #[derive(Serialize)]
        struct Line<'a> {
            step: Fields<'a>,
        }
        let Self { at, event, then } = *self;
        Line { step: Fields { at, event, then } }.serialize(serializer)
    }
}

/// Writes each value as Rust's `Debug` does.
fn shown<S: Serializer>(all: &[impl Debug], serializer: S) -> Result<S::Ok, S::Error> {
    struct Shown<'a, T>(&'a T);
    impl<T: Debug> Serialize for Shown<'_, T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(&format_args!("{:?}", self.0))
        }
    }
    serializer.collect_seq(all.iter().map(Shown))
}

/// A line of the log about something that trc has found out itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Said {
    /// The number of decisions of the last event that trc had carried out before.
    pub after: usize,
    /// The log level, such as `warn`.
    pub level: String,
    /// The kind of event, as in JSON lines of the log.
    pub event: String,
    /// The unit that the line is about.
    pub unit: Option<UnitId>,
    /// The message.
    pub message: String,
}
