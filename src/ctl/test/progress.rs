//! What is known while the tests run, from trc's report and log.

use std::io::{IsTerminal, Write};

use super::log::Log;
use super::namespace::REFUSED;
use super::session::Listener;

/// Clears the line, and lets the terminal cut what is too long for it.
const BEGIN: &str = "\r\x1b[K\x1b[?7l";
const END: &str = "\x1b[?7h";
const CLEAR: &str = "\r\x1b[K";

/// How far it has come.
#[derive(Default)]
pub(super) struct Progress {
    /// Why there were no namespaces.
    pub refused: Option<String>,
    /// Whether a signal has ended it.
    pub interrupted: bool,
    /// What trc says of reports that it could not write. Its report to this program may have
    /// been written before.
    pub unwritten: Option<String>,
    now: String,
    passed: usize,
    failed: usize,
    log: Log,
    verbose: bool,
    terminal: bool,
}

impl Progress {
    /// Nothing has happened yet. `verbose` shows the log as it comes.
    #[must_use]
    pub(super) fn new(verbose: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { now: "starting the units".to_owned(), verbose, terminal, ..Self::default() }
    }

    /// What is happening, in one line.
    fn text(&self) -> String {
        match (self.passed, self.failed) {
            (0, 0) => format!("{} …", self.now),
            (passed, 0) => format!("{} … ({passed} ok)", self.now),
            (passed, failed) => format!("{} … ({passed} ok, {failed} not)", self.now),
        }
    }

    /// Writes the line anew, where somebody looks at it.
    pub(super) fn show(&self) {
        if self.terminal {
            _ = write!(std::io::stderr().lock(), "{BEGIN}{}{END}", self.text());
        }
    }

    /// Takes the line away again.
    pub(super) fn clear(&self) {
        if self.terminal {
            _ = write!(std::io::stderr().lock(), "{CLEAR}");
        }
    }

    /// Writes the log, where it was not shown as it came.
    pub(super) fn tell_log(&self) {
        if !self.verbose {
            _ = self.log.write(&mut std::io::stderr().lock());
        }
    }
}

/// How the last line of trc's log begins where a report could not be written.
const UNWRITTEN: &str = "cannot write the report ";

/// What a line of the log says that is trc's own, in either of its forms.
fn own_message(line: &str) -> Option<String> {
    if line.starts_with('{') {
        let entry: serde_json::Value = serde_json::from_str(line).ok()?;
        return entry.get("message")?.as_str().map(str::to_owned);
    }
    let (_, own) = line.split_once("[main/")?;
    Some(own.split_once("]: ")?.1.trim_end().to_owned())
}

/// Whether a line of the log says what the run waits for.
fn tells_of_a_wait(message: &str) -> bool {
    message.starts_with("restarting ") || message.starts_with("the tests are done; waiting for ")
}

impl Listener for Progress {
    fn reported(&mut self, line: &str) {
        if let Some(why) = line.strip_prefix(REFUSED) {
            self.refused = Some(why.to_owned());
        } else if line.starts_with("ok ") {
            self.passed += 1;
        } else if line.starts_with("not ok ") {
            // An excused failure, as TAP has it.
            if line.contains("# TODO") { self.passed += 1 } else { self.failed += 1 }
        } else {
            return;
        }
        self.show();
    }

    fn logged(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        if let Some((_, rest)) = text.split_once("Launching the test: ") {
            let name = rest.split(':').next().unwrap_or_default();
            self.now = format!("test.{}", name.trim());
        } else if text.contains("Trying to terminate sub-processes") {
            "stopping the units".clone_into(&mut self.now);
        } else if let Some(what) = own_message(&text).filter(|what| tells_of_a_wait(what)) {
            self.now = what;
        } else if let Some(why) = own_message(&text).filter(|why| why.starts_with(UNWRITTEN)) {
            self.unwritten = Some(why);
        }
        if self.verbose {
            self.clear();
            _ = std::io::stderr().lock().write_all(line);
        } else {
            self.log.push(line);
        }
        self.show();
    }

    fn interrupted(&mut self) {
        self.interrupted = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_which_test_runs_and_how_many_have_passed() {
        let mut progress = Progress::default();
        let log = "2026-11-24 16:49:28 trc [main/3238]: Launching the test: hangs: echo x\n";
        progress.logged(log.as_bytes());
        assert_eq!(progress.text(), "test.hangs …");
        progress.reported("TAP version 14");
        progress.reported("    ok 1 - exit status is 0");
        progress.reported("ok 1 - test.first");
        assert_eq!(progress.text(), "test.hangs … (1 ok)");
        progress.reported("not ok 2 - test.hangs - it hangs");
        progress.reported("not ok 3 - async.web.stop # TODO excused by test.first");
        assert_eq!(progress.text(), "test.hangs … (2 ok, 1 not)");
        progress.logged(b"trc [main/1]: Trying to terminate sub-processes...\n");
        assert_eq!(progress.text(), "stopping the units … (2 ok, 1 not)");
    }

    #[test]
    fn it_says_what_is_waited_for() {
        let mut progress = Progress::default();
        progress
            .logged(b"2026-11-24 16:49:28 trc [main/3]: restarting async.web in 0.2 s: no disk\n");
        assert_eq!(progress.text(), "restarting async.web in 0.2 s: no disk …");
        progress.logged(
            b"trc [main/3]: the tests are done; waiting for async.db, which is not ready\n",
        );
        assert_eq!(
            progress.text(),
            "the tests are done; waiting for async.db, which is not ready …"
        );
    }

    #[test]
    fn a_report_that_could_not_be_written_is_found_in_the_log() {
        let why = "cannot write the report /r: no space; 1 of 2 tests failed: test.a";
        for line in [
            format!("2026-11-24 16:49:28 trc [main/1]: {why}\n"),
            format!("{{\"event\":\"reason\",\"message\":\"{why}\"}}\n"),
        ] {
            let mut progress = Progress::default();
            progress.logged(line.as_bytes());
            assert_eq!(progress.unwritten.as_deref(), Some(why), "{line}");
        }
        let mut progress = Progress::default();
        progress.logged(format!("trc <web/3]: {why}\n").as_bytes());
        assert_eq!(progress.unwritten, None);
    }

    #[test]
    fn a_refusal_is_no_point() {
        let mut progress = Progress::default();
        progress.reported("no namespaces: unshare: operation not permitted");
        assert_eq!(progress.refused.as_deref(), Some("unshare: operation not permitted"));
        assert_eq!(progress.text(), " …");
    }
}
