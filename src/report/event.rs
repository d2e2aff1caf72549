//! The report that trc writes to standard output during a test run: TAP, or a line of JSON for each
//! event.
//!
//! `docs/test-events.md` describes the lines.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Point, Suite, json, millis, tap};

/// The version of the events and of the JSON report. It changes when a key or an event is removed
/// or changes its meaning. Readers ignore events and keys that they do not know.
pub(crate) const VERSION: u32 = 1;

/// An event of a test run, which becomes one line.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    /// The first event: the tests that will run.
    Plan {
        /// [`VERSION`].
        version: u32,
        /// The tests in the order of the configuration. They may run in another order.
        tests: Vec<Planned>,
    },
    /// An attempt of a readiness check has failed for another reason than the previous one.
    Waiting {
        /// `STAGE.NAME`.
        unit: String,
        /// The reason why the unit is not ready yet.
        why: String,
    },
    /// A unit is ready.
    Ready {
        /// `STAGE.NAME`.
        unit: String,
        /// The time since the unit was started.
        #[serde(rename = "after_ms", with = "millis")]
        after: Duration,
    },
    /// A unit has exited and will be restarted.
    Restarting {
        /// `STAGE.NAME`.
        unit: String,
        /// The delay before the restart.
        #[serde(rename = "in_ms", with = "millis")]
        after: Duration,
        /// The reason for the restart.
        why: String,
    },
    /// A test begins.
    Test {
        /// `test.NAME`.
        name: String,
    },
    /// An attempt of a test begins.
    Attempt {
        /// `test.NAME`.
        test: String,
        /// The number of the attempt, from 1.
        number: u32,
    },
    /// The result of a test point is known.
    Point(Point),
    /// The tests have finished, and trc waits for units that are not up.
    NotUp {
        /// The units that are not up.
        units: Vec<Lacking>,
    },
    /// trc begins to stop the units.
    Stopping,
    /// The last event: the report without its test points, which earlier events had.
    End(Suite),
    /// An event that this version does not know.
    #[serde(other)]
    Unknown,
}

/// A test that will run.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Planned {
    /// `test.NAME`.
    pub name: String,
    /// The description, for people.
    pub description: Option<String>,
}

/// A unit that is not up.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Lacking {
    /// `STAGE.NAME`.
    pub unit: String,
    /// What the unit lacks, as the end of a sentence that begins with its name.
    pub lack: String,
}

impl Event {
    /// Returns the line of JSON for the event.
    #[must_use]
    pub(crate) fn line(&self) -> String {
        json::line(self) + "\n"
    }
}

/// The format of the report on standard output.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Live {
    /// TAP, for people and for other programs.
    #[default]
    Tap,
    /// A line of JSON for each [`Event`].
    Events,
}

impl Live {
    /// Returns the first line.
    #[must_use]
    pub(crate) fn begin(self, tests: impl Iterator<Item = Planned>) -> String {
        match self {
            Self::Tap => tap::HEADER.to_owned(),
            Self::Events => Event::Plan { version: VERSION, tests: tests.collect() }.line(),
        }
    }

    /// Returns the text for a test point. Numbers begin at 1.
    #[must_use]
    pub(crate) fn point(self, number: usize, point: &Point) -> String {
        match self {
            Self::Tap => tap::point(number, point),
            Self::Events => Event::Point(point.clone()).line(),
        }
    }

    /// Returns the text after the last test point.
    #[must_use]
    pub(crate) fn end(self, suite: &Suite) -> String {
        match self {
            Self::Tap => tap::plan(suite),
            Self::Events => Event::End(suite.without_points()).line(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::super::tests::{check, one_of_each, point};
    use super::*;

    fn every_event() -> Vec<Event> {
        let text = || "a \"b\"\n\\ \u{9b}ß".to_owned();
        let mut failed = point("test.a", Outcome::Failed);
        failed.checks = vec![check("c", None), check("d", Some("e"))];
        vec![
            Event::Plan {
                version: VERSION,
                tests: vec![Planned { name: text(), description: None }, Planned::default()],
            },
            Event::Waiting { unit: text(), why: text() },
            Event::Ready { unit: text(), after: Duration::from_millis(7) },
            Event::Restarting { unit: text(), after: Duration::from_secs(1), why: text() },
            Event::Test { name: text() },
            Event::Attempt { test: text(), number: 3 },
            Event::Point(failed),
            Event::NotUp { units: vec![Lacking { unit: text(), lack: text() }] },
            Event::Stopping,
            Event::End(one_of_each().without_points()),
        ]
    }

    #[test]
    fn each_event_is_one_line_and_is_read_as_it_was_written() {
        for event in every_event() {
            let line = event.line();
            assert_eq!(line.matches('\n').count(), 1, "{line}");
            let read: Event = serde_json::from_str(&line).unwrap();
            // Times are exact to the millisecond.
            assert_eq!(read.line(), line);
        }
    }

    #[test]
    fn lines_are_as_they_are_documented() {
        let attempt = Event::Attempt { test: "test.a".to_owned(), number: 2 };
        assert_eq!(attempt.line(), "{\"event\":\"attempt\",\"test\":\"test.a\",\"number\":2}\n");
        assert_eq!(Event::Stopping.line(), "{\"event\":\"stopping\"}\n");
        let point = Event::Point(point("test.a", Outcome::NotRun));
        assert!(point.line().starts_with("{\"event\":\"point\",\"name\":\"test.a\",\"kind\":"));
    }

    #[test]
    fn an_event_of_another_version_is_no_error() {
        let read = |line| serde_json::from_str::<Event>(line);
        assert_eq!(read(r#"{"event":"exploded","why":[1]}"#).unwrap(), Event::Unknown);
        let test = Event::Test { name: "test.a".to_owned() };
        assert_eq!(read(r#"{"event":"test","name":"test.a","more":{}}"#).unwrap(), test);
        assert!(read("ok 1 - test.a").is_err());
    }
}
