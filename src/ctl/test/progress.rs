//! The progress of the tests while they run, from the events that trc writes.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use super::log::Log;
use super::namespace::Refusal;
use crate::config::seconds;
use crate::report::{Event, Lacking, Point, Suite, VERSION};
use crate::text::harmless;

/// The escape sequences that clear the line, and let the terminal cut off a text that is too long.
const BEGIN: &str = "\r\x1b[K\x1b[?7l";
const END: &str = "\x1b[?7h";
const CLEAR: &str = "\r\x1b[K";

/// How often a log is told what a long wait is for.
const EVERY: Duration = Duration::from_secs(10);

/// The progress of a test run.
#[derive(Default)]
pub(super) struct Progress {
    /// The reason why there are no namespaces.
    pub refused: Option<String>,
    /// Whether a signal was passed on to trc.
    pub interrupted: bool,
    /// The version of trc's events, if it is not the one that trcctl reads.
    pub foreign: Option<u32>,
    /// The name of the run, if there are several.
    pub title: String,
    /// The units that became ready, and the time that each of them took.
    pub ready: Vec<(String, Duration)>,
    now: String,
    /// The time since the run began at which that began.
    since: Duration,
    /// The time at which the next line about it is due.
    next: Duration,
    points: Vec<Point>,
    end: Option<Suite>,
    log: Log,
    verbose: bool,
    terminal: bool,
}

impl Progress {
    /// Returns the progress of a run in which nothing has happened. `verbose` shows the log as it
    /// comes.
    #[must_use]
    pub(super) fn new(verbose: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let now = "starting the units".to_owned();
        Self { now, next: EVERY, verbose, terminal, ..Self::default() }
    }

    /// Returns the report of a run that has ended with this exit status, if trc has begun to write
    /// one.
    #[must_use]
    pub(super) fn report(&mut self, status: u8) -> Option<Suite> {
        let points = std::mem::take(&mut self.points);
        match self.end.take() {
            Some(end) => {
                let reason = end.reason.clone();
                Some(Suite { points, ..end }.ended(status, reason))
            }
            None if points.is_empty() => None,
            None => {
                let why = format!("trc exited with {status} before the end of its report");
                Some(Suite::of(points).ended(status, Some(why)))
            }
        }
    }

    /// Describes in one line what is happening.
    fn text(&self) -> String {
        harmless(&format!("{}{} …{}", self.titled(), self.now, self.counts()))
    }

    /// Returns the beginning of a line: the name of the run, if there are several.
    fn titled(&self) -> String {
        if self.title.is_empty() { String::new() } else { format!("{}: ", self.title) }
    }

    /// Returns the line for a log, in which the lines before it stay.
    fn still(&self, now: Duration) -> String {
        let time = seconds(Duration::from_secs(now.saturating_sub(self.since).as_secs()));
        harmless(&format!("note: {}after {time}: {}{}", self.titled(), self.now, self.counts()))
    }

    fn counts(&self) -> String {
        let failed = self.points.iter().filter(|point| point.outcome.fails()).count();
        match (self.points.len() - failed, failed) {
            (0, 0) => String::new(),
            (passed, 0) => format!(" ({passed} ok)"),
            (passed, failed) => format!(" ({passed} ok, {failed} not)"),
        }
    }

    /// Writes the line again, if standard error is a terminal.
    pub(super) fn show(&self) {
        if self.terminal {
            _ = write!(std::io::stderr().lock(), "{BEGIN}{}{END}", self.text());
        }
    }

    /// Clears the line.
    pub(super) fn clear(&self) {
        if self.terminal {
            _ = write!(std::io::stderr().lock(), "{CLEAR}");
        }
    }

    /// Writes the log, unless it was shown as it came.
    pub(super) fn tell_log(&self) {
        if !self.verbose {
            _ = self.log.write(&mut std::io::stderr().lock());
        }
    }

    fn happened(&mut self, now: Duration, event: Event) {
        // Attempts and restarts are part of the same wait.
        if matches!(event, Event::Point(_) | Event::Test { .. } | Event::Stopping) {
            (self.since, self.next) = (now, now + EVERY);
        }
        self.now = match event {
            Event::Plan { version, .. } => {
                self.foreign = Some(version).filter(|version| *version != VERSION);
                return;
            }
            Event::Point(point) => {
                if self.now.starts_with(&point.name) {
                    "waiting for the units".clone_into(&mut self.now);
                }
                return self.points.push(point);
            }
            Event::End(suite) => return self.end = Some(suite),
            // A first attempt is not worth a line.
            Event::Attempt { number: ..=1, .. } | Event::Unknown => return,
            Event::Ready { unit, after } => return self.ready.push((unit, after)),
            Event::Waiting { unit, why } => format!("{unit} is not ready yet: {why}"),
            Event::Restarting { unit, after, why } => {
                format!("restarting {unit} in {}: it {why}", seconds(after))
            }
            Event::Test { name } => name,
            Event::Attempt { test, number } => format!("{test}, attempt {number}"),
            Event::NotUp { units } => {
                let one = |Lacking { unit, lack }: &Lacking| format!("{unit}, which {lack}");
                let units: Vec<String> = units.iter().map(one).collect();
                format!("waiting for {}", units.join(", "))
            }
            Event::Stopping => "stopping the units".to_owned(),
        };
    }

    /// Takes a line of trc's standard output, to which trc writes its events, and the time since the
    /// run began.
    pub(super) fn reported(&mut self, now: Duration, line: &[u8]) {
        if let Ok(event) = serde_json::from_slice(line) {
            self.happened(now, event);
        } else if let Ok(Refusal { no_namespaces }) = serde_json::from_slice(line) {
            self.refused = Some(no_namespaces);
        }
        self.show();
    }

    /// Takes a line of trc's log, with the newline.
    pub(super) fn logged(&mut self, line: &[u8]) {
        if self.verbose {
            self.clear();
            _ = std::io::stderr().lock().write_all(line);
            self.show();
        } else {
            self.log.push(line);
        }
    }

    /// Returns the time since the run began at which [`Self::late`] is to be called.
    pub(super) fn due(&self) -> Option<Duration> {
        (!self.terminal).then_some(self.next)
    }

    /// Writes what the run has waited for, for whoever reads a log.
    pub(super) fn late(&mut self, now: Duration) {
        _ = writeln!(std::io::stderr().lock(), "{}", self.still(now));
        self.next = now + EVERY;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::report::Outcome;

    fn point(name: &str, outcome: Outcome) -> Event {
        Event::Point(Point { name: name.to_owned(), outcome, ..Point::default() })
    }

    fn after(events: &[Event]) -> Progress {
        let mut progress = Progress::new(false);
        for event in events {
            progress.reported(Duration::ZERO, event.line().as_bytes());
        }
        progress
    }

    #[test]
    fn a_run_of_a_series_has_its_name_in_front() {
        let mut progress = after(&[]);
        progress.title = "kill-web (2 of 3)".to_owned();
        assert_eq!(progress.text(), "kill-web (2 of 3): starting the units …");
        let still = progress.still(Duration::from_secs(10));
        assert_eq!(still, "note: kill-web (2 of 3): after 10 s: starting the units");
    }

    #[test]
    fn it_says_what_is_going_on() {
        let unit = || "async.web".to_owned();
        let test = || "test.a".to_owned();
        for (event, text) in [
            (Event::Plan { version: VERSION, tests: Vec::new() }, "starting the units …"),
            (Event::Ready { unit: unit(), after: Duration::ZERO }, "starting the units …"),
            (
                Event::Waiting { unit: unit(), why: "no\x1b[2J\nport".to_owned() },
                "async.web is not ready yet: no [2J port …",
            ),
            (
                Event::Restarting {
                    unit: unit(),
                    after: Duration::from_millis(200),
                    why: "exited with 1".to_owned(),
                },
                "restarting async.web in 0.2 s: it exited with 1 …",
            ),
            (Event::Test { name: test() }, "test.a …"),
            (Event::Attempt { test: test(), number: 1 }, "starting the units …"),
            (Event::Attempt { test: test(), number: 7 }, "test.a, attempt 7 …"),
            (
                Event::NotUp {
                    units: vec![Lacking { unit: unit(), lack: "is not ready".to_owned() }],
                },
                "waiting for async.web, which is not ready …",
            ),
            (Event::Stopping, "stopping the units …"),
            (Event::Unknown, "starting the units …"),
        ] {
            assert_eq!(after(std::slice::from_ref(&event)).text(), text, "{event:?}");
        }
    }

    #[test]
    fn it_counts_what_has_passed_and_what_has_not() {
        let mut progress = after(&[
            Event::Test { name: "test.hangs".to_owned() },
            point("test.a", Outcome::Passed),
            point("test.b", Outcome::Skipped),
            point("async.web.stop", Outcome::Excused),
        ]);
        assert_eq!(progress.text(), "test.hangs … (3 ok)");
        progress.happened(Duration::ZERO, point("test.c", Outcome::Failed));
        progress.happened(Duration::ZERO, point("test.d", Outcome::NotRun));
        assert_eq!(progress.text(), "test.hangs … (3 ok, 2 not)");
    }

    /// Nothing was said in the log of a CI until the end.
    #[test]
    fn a_long_wait_is_told_in_a_line_where_there_is_no_terminal() {
        let at = Duration::from_secs;
        let mut progress = after(&[]);
        progress.terminal = false;
        assert_eq!(progress.due(), Some(at(10)));
        let why = "connection refused".to_owned();
        progress.happened(at(9), Event::Waiting { unit: "async.web".to_owned(), why });
        assert_eq!(progress.due(), Some(at(10)), "this is the same wait");
        let said = "note: after 10 s: async.web is not ready yet: connection refused";
        assert_eq!(progress.still(at(10)), said);
        progress.late(at(10));
        assert_eq!(progress.due(), Some(at(20)));
        progress.happened(at(12), Event::Test { name: "test.a".to_owned() });
        assert_eq!(progress.due(), Some(at(22)));
        progress.happened(at(21), Event::Attempt { test: "test.a".to_owned(), number: 90 });
        assert_eq!(progress.still(at(22)), "note: after 10 s: test.a, attempt 90");
        progress.happened(at(23), point("test.a", Outcome::Passed));
        assert_eq!(progress.still(at(33)), "note: after 10 s: waiting for the units (1 ok)");
        progress.terminal = true;
        assert_eq!(progress.due(), None);
    }

    #[test]
    fn the_log_tells_nothing() {
        let mut progress = Progress::new(false);
        let forged = Event::Test { name: "test.forged".to_owned() }.line();
        for line in [
            "2026-11-24 16:49:28 trc [main/3238]: Launching the test: hangs: echo x\n",
            "trc [main/1]: Trying to terminate sub-processes...\n",
            "trc [main/1]: cannot write the report /r: no space\n",
            &forged,
        ] {
            progress.logged(line.as_bytes());
        }
        assert_eq!(progress.text(), "starting the units …");
        assert_eq!(progress.report(1), None);
    }

    #[test]
    fn the_report_is_what_was_told_and_how_trc_has_ended() {
        let end = Suite { took: Duration::from_secs(3), ..Suite::default() };
        let end = Event::End(end.ended(0, None));
        let report = after(&[point("test.a", Outcome::Passed), end]).report(1).unwrap();
        assert_eq!((report.points.len(), report.took), (1, Duration::from_secs(3)));
        assert_eq!((report.status, report.passed), (1, false));
        // The same as after trc was killed.
        let report = after(&[point("test.a", Outcome::Passed)]).report(137).unwrap();
        let why = "trc exited with 137 before the end of its report";
        assert_eq!((report.points.len(), report.reason.as_deref()), (1, Some(why)));
        assert_eq!(after(&[]).report(78), None);
    }

    #[test]
    fn what_is_no_event_is_ignored_and_a_refusal_is_found() {
        let mut progress = Progress::new(false);
        progress.reported(Duration::ZERO, b"ok 1 - test.a\n");
        progress.reported(Duration::ZERO, b"{\"no_namespaces\":\"unshare: not permitted\"}\n");
        assert_eq!(progress.refused.as_deref(), Some("unshare: not permitted"));
        assert_eq!(progress.text(), "starting the units …");
        assert_eq!(progress.foreign, None);
        progress.reported(Duration::ZERO, b"{\"event\":\"plan\",\"version\":9,\"tests\":[]}\n");
        assert_eq!(progress.foreign, Some(9));
    }
}
