//! What people are told: the log's lines for what happens, and the last one for why.

use std::time::Duration;

use log::Level;
use nix::errno::Errno;

use super::localtime::CLOCK;
use super::sender;
use super::spawn_failure::{spawn_failure, words};
use crate::config::{Diagnostic, Form, OnFailure, Severity, Stage, Then, seconds};
use crate::engine::{Ended, Ending, Fact, How, TestEnd};
use crate::graph::{Graph, UnitId};
use crate::journal::{Entry, Journal};
use crate::signal::Signal;

/// What to do about a stop that nobody hears.
const WINCH_HELP: &str = ": if it is the image's STOPSIGNAL, as where that is FROM httpd or \
    php:apache, write `[signals] WINCH = \"stop\"`";

/// Writes facts to the journal in the log's wording.
pub(super) struct Reporter {
    journal: Journal,
    own: i32,
    /// Only what is trc's own doing is said: transparent mode, unless a level was asked for.
    silent: bool,
}

impl Reporter {
    /// A reporter to this journal.
    pub(super) fn new(journal: Journal, silent: bool) -> Self {
        Self { journal, own: std::process::id().cast_signed(), silent }
    }

    /// The journal.
    pub(super) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Whether a unit's start is said.
    pub(super) fn announces(&self) -> bool {
        !self.silent && self.journal.level() >= Level::Info
    }

    /// A line from trc itself.
    pub(super) fn main(&self, level: Level, event: &str, message: std::fmt::Arguments<'_>) {
        if level == Level::Warn {
            self.journal.warned(message);
        }
        self.fact(level, event, message);
    }

    /// A line about what has become of units: in a test run, findings say what was wrong.
    fn fact(&self, level: Level, event: &str, message: std::fmt::Arguments<'_>) {
        if !self.silent || level <= Level::Warn {
            self.journal.main((CLOCK.now)(), level, event, message);
        }
    }

    /// What was found in the configuration.
    pub(super) fn diagnostics(&self, diagnostics: &[Diagnostic]) {
        for diagnostic in diagnostics {
            let level = match diagnostic.severity {
                Severity::Error => Level::Error,
                Severity::Warning => Level::Warn,
                Severity::Note => Level::Debug,
            };
            self.main(level, "configuration", format_args!("{diagnostic}"));
        }
    }

    /// That a unit which is waited for is not ready yet, and why.
    pub(super) fn waiting(&self, graph: &Graph, id: UnitId, why: &str) {
        let name = graph.node(id).unit.id();
        let message = format_args!("{name} is not ready yet: {why}");
        self.unit(Level::Info, graph, id, ("main", self.own), "waiting", None, message);
    }

    /// That a unit is started: its line comes before anything it writes itself.
    pub(super) fn launching(&self, graph: &Graph, id: UnitId, pid: i32) {
        let unit = &graph.node(id).unit;
        let label = unit.label();
        let what = match unit.stage {
            Stage::Boot => "Launching in the boot",
            Stage::Async => "Launching on the background",
            Stage::Sync => "Launching on the foreground",
            Stage::Test => "Launching the test",
            Stage::Halt if unit.form == Form::Script => "Running the shutdown script",
            Stage::Halt => "Running the shutdown command",
        };
        // TrivialRC's boot runs in the main process, and its lines say so.
        let (stage, pid) = match unit.stage {
            Stage::Boot => ("main", self.own),
            Stage::Async | Stage::Sync | Stage::Test | Stage::Halt => (unit.stage.name(), pid),
        };
        self.unit(
            Level::Info,
            graph,
            id,
            (stage, pid),
            "started",
            None,
            format_args!("{what}: {label}"),
        );
    }

    /// One fact; `why` is what trc knows of its cause, such as what the last try of a probe
    /// came to.
    pub(super) fn tell(&self, graph: &Graph, fact: &Fact, why: Option<&str>) {
        let because = |text: &str| why.map_or_else(String::new, |why| format!("{text}{why}"));
        let main = ("main", self.own);
        match fact {
            Fact::Exited { unit: id, pid, ending } => self.exited(graph, *id, *pid, *ending),
            Fact::Blocked { chain, ended } => {
                let names: Vec<String> = chain.iter().map(|id| graph.node(*id).unit.id()).collect();
                let why = format!("{} (exitcode={})", names.join(" waits for "), ended.status);
                let message = format_args!("can't be started any more: {why}");
                self.unit(
                    Level::Error,
                    graph,
                    chain[0],
                    main,
                    "blocked",
                    Some(ended.status),
                    message,
                );
            }
            Fact::Failed { unit: id, ended } => {
                let unit = &graph.node(*id).unit;
                let ignored = match unit.on_failure {
                    OnFailure::Ignore => "; on_failure ignores that",
                    OnFailure::Policy | OnFailure::Stop => "",
                };
                let how = super::reason::how(graph, *ended);
                let message = format_args!("{} {how}{ignored}", unit.id());
                self.unit(Level::Warn, graph, *id, main, "failed", None, message);
            }
            // Who is left is for the supervisor to find out.
            Fact::NotStarted { errno: 0, .. } | Fact::LeftBehind { .. } => {}
            Fact::NotStarted { unit: id, stage, errno } => {
                self.not_started(graph, *id, &spawn_failure(graph, *id, *stage, *errno, why));
            }
            Fact::Retrying { unit: id, errno } => {
                let why = words(Errno::from_raw(*errno));
                let name = graph.node(*id).unit.id();
                let message = format_args!("cannot start {name} for now: {why}; trying again");
                self.unit(Level::Warn, graph, *id, main, "retrying", None, message);
            }
            Fact::Ready { unit: id, after } => {
                // What was measured is of interest to the millisecond.
                let after = Duration::from_millis(u64::try_from(after.as_millis()).unwrap_or(0));
                let (name, after) = (graph.node(*id).unit.id(), seconds(after));
                let message = format_args!("{name} is ready (after {after})");
                self.unit(Level::Info, graph, *id, main, "ready", None, message);
            }
            Fact::NotReady { unit: id } => {
                let unit = &graph.node(*id).unit;
                let within = unit.ready.as_ref().map(|ready| seconds(ready.within));
                let message = format_args!(
                    "{} was not ready within {}{}",
                    unit.id(),
                    within.unwrap_or_default(),
                    because(": ")
                );
                self.unit(Level::Error, graph, *id, main, "not-ready", None, message);
            }
            Fact::Unhealthy { unit: id, then } => {
                let name = graph.node(*id).unit.id();
                let (level, what) = match then {
                    Then::Restart => (Level::Warn, "it is restarted"),
                    Then::Stop => (Level::Error, "that ends the run"),
                    Then::Ignore => (Level::Warn, "that is ignored"),
                };
                let message = format_args!("{name} is not healthy{}; {what}", because(": "));
                self.unit(level, graph, *id, main, "unhealthy", None, message);
            }
            Fact::Overran { unit: id } => {
                let unit = &graph.node(*id).unit;
                let most = unit.max_runtime.map(seconds).unwrap_or_default();
                let message = format_args!("{} has run for longer than {most}", unit.id());
                self.unit(Level::Error, graph, *id, main, "overran", None, message);
            }
            Fact::Restarting { unit: id, after, restarts, how, status, .. } => {
                let unit = &graph.node(*id).unit;
                let (after, window) = (seconds(*after), seconds(unit.restart.window));
                let how = super::reason::how(graph, Ended { how: *how, status: *status, place: 0 });
                let message = format_args!(
                    "restarting {} in {after}: it {how} (restart {restarts} within {window})",
                    unit.id()
                );
                self.unit(Level::Warn, graph, *id, main, "restarting", None, message);
            }
            Fact::GaveUp { unit: id, restarts } => {
                let unit = &graph.node(*id).unit;
                let window = seconds(unit.restart.window);
                let message = format_args!(
                    "{} is not restarted any more: it was {restarts} times within {window}",
                    unit.id()
                );
                self.unit(Level::Error, graph, *id, main, "gave-up", None, message);
            }
            Fact::Signalled { signal, sender } => {
                self.fact(
                    Level::Debug,
                    "signalled",
                    format_args!("Got {signal} from {}", sender::describe(graph, sender)),
                );
            }
            Fact::Unheard { signal } => {
                let winch = signal.number() == libc::SIGWINCH;
                let help = if winch { WINCH_HELP } else { "" };
                let level = if winch { Level::Warn } else { Level::Debug };
                let message = format_args!("{signal} has reached no unit{help}");
                self.fact(level, "unheard", message);
            }
            Fact::Stopping => self.fact(
                Level::Info,
                "stopping",
                format_args!("Trying to terminate sub-processes..."),
            ),
            Fact::Terminating { unit: id, pid } => {
                self.stopping(graph, *id);
                // TrivialRC's line, which says no name.
                let message = format_args!("terminating the child process <pid={pid}>");
                self.unit(Level::Info, graph, *id, main, "terminating", None, message);
            }
            Fact::Killing { unit: id, pid, insisted } => {
                let name = graph.node(*id).unit.id();
                let why = no_time(&name, *insisted);
                let message = format_args!("killing the child process <pid={pid}>: {why}");
                self.unit(Level::Warn, graph, *id, main, "killing", None, message);
            }
            Fact::StopCommandFailed { unit: id, instead } => {
                let name = graph.node(*id).unit.id();
                let then = match instead {
                    Some(signal) => format!("sending {signal} instead"),
                    None => "the unit itself has ended".to_owned(),
                };
                let message = format_args!("the stop command of {name} failed; {then}");
                self.unit(Level::Warn, graph, *id, main, "stop-command-failed", None, message);
            }
            Fact::StopCommandKilled { unit: id } => {
                let name = graph.node(*id).unit.id();
                let message = format_args!(
                    "killing the stop command of {name}: it did not end in time, though the unit has"
                );
                self.unit(Level::Warn, graph, *id, main, "killing", None, message);
            }
            Fact::TestBegan { unit: id } => {
                let unit = &graph.node(*id).unit;
                let message = format_args!("Launching the test: {}", unit.label());
                self.unit(Level::Info, graph, *id, main, "test-began", None, message);
            }
            Fact::TestEnded { unit: id, ended } => {
                let name = graph.node(*id).unit.id();
                let how = match ended.how {
                    How::Test(TestEnd::Passed | TestEnd::Skipped | TestEnd::TimedOut) => {
                        super::reason::how(graph, *ended)
                    }
                    // The rest says how.
                    _ => "has failed".to_owned(),
                };
                let level = if ended.failed() { Level::Error } else { Level::Info };
                let message = format_args!("{name} {how}{}", because(": "));
                self.unit(level, graph, *id, main, "test-ended", Some(ended.status), message);
            }
            Fact::KillingLeft { unit: id, insisted } => {
                let name = graph.node(*id).unit.id();
                let why = no_time("it", *insisted);
                let message = format_args!("killing what {name} left: {why}");
                self.unit(Level::Warn, graph, *id, main, "killing", None, message);
            }
            Fact::KillingRest { insisted } => {
                let why = no_time("it", *insisted);
                self.fact(Level::Warn, "killing", format_args!("killing what remains: {why}"));
            }
            Fact::NotUpYet { units } => {
                let units: Vec<String> = units
                    .iter()
                    .map(|(id, lack)| {
                        format!(
                            "{}, which {}",
                            graph.node(*id).unit.id(),
                            super::reason::lack(*lack)
                        )
                    })
                    .collect();
                let what = super::check::some(units);
                self.fact(
                    Level::Info,
                    "waiting",
                    format_args!("the tests are done; waiting for {what}"),
                );
            }
            Fact::CutShort { killed, not_run } => {
                let name = |id: &UnitId| graph.node(*id).unit.id();
                let killed = killed.iter().map(|id| format!("{} is killed", name(id)));
                let not_run = not_run.iter().map(|id| format!("{} does not run", name(id)));
                let what = killed.chain(not_run).collect::<Vec<_>>().join(", ");
                let message = format_args!("there is no more time for halt units: {what}");
                self.fact(Level::Warn, "cut-short", message);
            }
        }
    }

    /// Which unit is told to stop, and how. With TrivialRC's own forms the log is as TrivialRC
    /// has it.
    fn stopping(&self, graph: &Graph, id: UnitId) {
        let node = graph.node(id);
        let level = if node.unit.form == Form::Declared { Level::Info } else { Level::Debug };
        let how = match node.unit.stop.exec {
            Some(_) => "its stop command".to_owned(),
            None => node.stop_signal.to_string(),
        };
        let (name, timeout) = (node.unit.id(), seconds(node.stop_timeout));
        let message = format_args!("stopping {name}: {how}, and SIGKILL after {timeout}");
        self.unit(level, graph, id, ("main", self.own), "stopping-unit", None, message);
    }

    fn exited(&self, graph: &Graph, id: UnitId, pid: i32, ending: Ending) {
        let unit = &graph.node(id).unit;
        let (status, label) = (ending.status(), unit.label());
        let (what, stage) = match unit.stage {
            Stage::Boot => ("Exiting from the boot", ("main", self.own)),
            Stage::Async => ("Exiting on the background", ("async", pid)),
            Stage::Sync => ("Exiting on the foreground", ("sync", pid)),
            Stage::Test => ("Exiting from the test", ("test", pid)),
            Stage::Halt if unit.form == Form::Script => {
                ("Exiting from the shutdown script", ("main", self.own))
            }
            Stage::Halt => ("Exiting from the shutdown command", ("main", self.own)),
        };
        // TrivialRC says nothing when a boot script has ended well.
        let level =
            if unit.stage == Stage::Boot && status == 0 { Level::Debug } else { Level::Info };
        let message = format_args!("{what} (exitcode={status}): {label}");
        self.unit(level, graph, id, stage, "exited", Some(status), message);
    }

    /// Something about a unit that trc found out.
    pub(super) fn about(
        &self,
        level: Level,
        graph: &Graph,
        id: UnitId,
        event: &str,
        message: std::fmt::Arguments<'_>,
    ) {
        self.unit(level, graph, id, ("main", self.own), event, None, message);
    }

    /// A unit that could not be started, and why, as the kernel or trc put it.
    pub(super) fn not_started(&self, graph: &Graph, id: UnitId, why: &str) {
        let name = graph.node(id).unit.id();
        let message = format_args!("cannot start {name}: {why}");
        let main = ("main", self.own);
        self.unit_always(Level::Error, graph, id, main, "not-started", None, message);
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one line")]
    fn unit(
        &self,
        level: Level,
        graph: &Graph,
        id: UnitId,
        whose: (&str, i32),
        event: &str,
        exitcode: Option<u8>,
        message: std::fmt::Arguments<'_>,
    ) {
        if !self.silent {
            self.unit_always(level, graph, id, whose, event, exitcode, message);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one line")]
    fn unit_always(
        &self,
        level: Level,
        graph: &Graph,
        id: UnitId,
        (stage, pid): (&str, i32),
        event: &str,
        exitcode: Option<u8>,
        message: std::fmt::Arguments<'_>,
    ) {
        let unit = graph.node(id).unit.id();
        let entry = Entry { level, stage, pid, unit: Some(&unit), event, exitcode, message };
        self.journal.entry((CLOCK.now)(), &entry);
    }
}

/// Why something is killed.
fn no_time(name: &str, insisted: Option<Signal>) -> String {
    match insisted {
        Some(signal) => format!("{signal} came again, and {name} had not stopped yet"),
        None => format!("{name} did not stop in time"),
    }
}
