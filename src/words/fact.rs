//! The engine's facts, as lines of the log.

use std::time::Duration;

use super::event_name::EventName;
use super::line::{Line, Whose};
use super::reason::{how, lack};
use super::{detail, errno, not_started, not_up, request, sender, some};
use crate::config::{Form, OnFailure, Overlap, Stage, Then, seconds, typed};
use crate::engine::{Detail, Ended, Ending, Fact, POST_STOP, PRE_START, Purpose};
use crate::graph::{Graph, UnitId};
use crate::signal::Signal;
use log::Level;

/// A hint about a stop signal that reaches no unit.
const WINCH_HELP: &str = ". If it is the image's STOPSIGNAL (httpd, php:apache), write \
    `[signals] WINCH = \"stop\"`";

/// Returns the line for a unit that was started. It comes before anything that the unit writes
/// itself.
pub(crate) fn started(graph: &Graph, id: UnitId, pid: i32) -> Line {
    let unit = &graph.node(id).unit;
    let what = match unit.stage {
        Stage::Boot => "Launching in the boot",
        Stage::Async => "Launching on the background",
        Stage::Sync => "Launching on the foreground",
        Stage::Test => "Launching the test",
        Stage::Halt if unit.form == Form::Script => "Running the shutdown script",
        Stage::Halt => "Running the shutdown command",
    };
    // TrivialRC's boot runs in the main process, and its lines say so.
    let whose = match unit.stage {
        Stage::Boot => Whose::Own,
        Stage::Async | Stage::Sync | Stage::Test | Stage::Halt => {
            Whose::Process(unit.stage.name(), pid)
        }
    };
    let line =
        Line::about(Level::Info, EventName::Started, id, format!("{what}: {}", unit.label()));
    Line { whose, ..line }
}

/// Returns the line for a `pre_start` that was started.
pub(crate) fn pre_started(graph: &Graph, id: UnitId, pid: i32) -> Line {
    let unit = &graph.node(id).unit;
    let command = unit.pre_start.as_ref().map(|hook| typed(&hook.exec)).unwrap_or_default();
    let message = format!("Launching the pre_start of {}: {command}", unit.id());
    let whose = Whose::Process(unit.stage.name(), pid);
    Line { whose, ..Line::about(Level::Info, EventName::PreStart, id, message) }
}

/// Returns the lines of a fact: most facts have one.
pub(crate) fn fact(graph: &Graph, fact: &Fact) -> Vec<Line> {
    let because = |unit: &UnitId, purpose, known: &Option<Detail>| {
        let why = not_up(graph, *unit, purpose, known.as_ref());
        why.map_or_else(String::new, |why| format!(": {why}"))
    };
    let name = |id: &UnitId| graph.node(*id).unit.id();
    let line = match fact {
        Fact::Exited { unit, pid, ending } => exited(graph, *unit, *pid, *ending),
        Fact::Blocked { chain, by, ended } => {
            let waits: Vec<String> =
                chain[1..].iter().map(|id| format!("waits for {}", name(id))).collect();
            let by = by.map_or_else(String::new, |by| format!(", which {}", how(graph, by)));
            let why = format!("it {}{by}", waits.join(", which "));
            let message = format!("cannot start {}: {why}", name(&chain[0]));
            Line::about(Level::Error, EventName::Blocked, chain[0], message)
                .with_status(ended.status)
        }
        Fact::Failed { unit, ended } => {
            let ignored = match graph.node(*unit).unit.on_failure {
                OnFailure::Ignore if graph.node(*unit).is_scheduled() => "; its schedule goes on",
                OnFailure::Ignore => "; ignoring it (on_failure)",
                OnFailure::Policy | OnFailure::Stop => "",
            };
            let message = format!("{} {}{ignored}", name(unit), how(graph, *ended));
            Line::about(Level::Warn, EventName::Failed, *unit, message)
        }
        Fact::Overlapped { unit, overlap } => {
            let then = match overlap {
                Overlap::Skip => "it does not run this time",
                Overlap::Queue => "it runs again when that is over",
                Overlap::Kill => "the last run is stopped first",
            };
            let message = format!("{} is due before its last run is over: {then}", name(unit));
            Line::about(Level::Warn, EventName::Overlapped, *unit, message)
        }
        // `run/` knows more about these, and logs them.
        Fact::LeftBehind { .. }
        | Fact::PreStartLeft { .. }
        | Fact::PostStopLeft { .. }
        | Fact::TestEnded { .. } => return Vec::new(),
        Fact::NotStarted { unit, stage, errno, why } => {
            let why = not_started(graph, *unit, *stage, *errno, why.as_ref());
            let message = format!("cannot start {}: {why}", name(unit));
            Line::about(Level::Error, EventName::NotStarted, *unit, message)
        }
        Fact::PreStartExited { unit, ending } => {
            let message = format!("the pre_start of {} has exited", name(unit));
            Line::about(Level::Debug, EventName::PreStart, *unit, message)
                .with_status(ending.status())
        }
        Fact::Unprepared { unit } => {
            let within = graph.node(*unit).unit.pre_start.as_ref().and_then(|hook| hook.within);
            let within = seconds(within.unwrap_or(PRE_START));
            let message = format!("the pre_start of {} did not exit within {within}", name(unit));
            Line::about(Level::Error, EventName::PreStartSlow, *unit, message)
        }
        Fact::PostStopFailed { unit, why } => {
            let why = why
                .as_ref()
                .map_or_else(String::new, |why| format!(": {}", detail(graph, *unit, why)));
            let message = format!("the post_stop of {} failed{why}", name(unit));
            Line::about(Level::Warn, EventName::PostStopFailed, *unit, message)
        }
        Fact::PostStopKilled { unit, hurry } => {
            let within = graph.node(*unit).unit.post_stop.as_ref().and_then(|hook| hook.within);
            let within = seconds(within.unwrap_or(POST_STOP));
            let why = match hurry {
                true => "there is no more time for the stop (shutdown.timeout)".to_owned(),
                false => format!("it did not exit within {within} (post_stop.within)"),
            };
            let message = format!("killing the post_stop of {}: {why}", name(unit));
            Line::about(Level::Warn, EventName::PostStopFailed, *unit, message)
        }
        Fact::PostStopSkipped { unit } => {
            let message = format!(
                "the post_stop of {} does not run: there is no more time for the stop \
                 (shutdown.timeout)",
                name(unit)
            );
            Line::about(Level::Warn, EventName::PostStopFailed, *unit, message)
        }
        Fact::Retrying { unit, errno: number } => {
            let why = errno(*number);
            let message = format!("cannot start {} for now: {why}; trying again", name(unit));
            Line::about(Level::Warn, EventName::Retrying, *unit, message)
        }
        Fact::Ready { unit, after } => {
            // Measured times are shown to the millisecond.
            let after = Duration::from_millis(u64::try_from(after.as_millis()).unwrap_or(0));
            let message = format!("{} is ready (after {})", name(unit), seconds(after));
            Line::about(Level::Info, EventName::Ready, *unit, message)
        }
        Fact::MainProcess { unit, pid, foreground: false } => {
            let message = format!(
                "{} has put itself into the background; its main process is {pid}",
                name(unit)
            );
            Line::about(Level::Info, EventName::MainProcess, *unit, message)
        }
        Fact::MainProcess { unit, pid, foreground: true } => {
            let message = format!(
                "{} stays in the foreground, as process {pid}: it needs no pid_file",
                name(unit)
            );
            Line::about(Level::Info, EventName::MainProcess, *unit, message)
        }
        Fact::NotReady { unit, why } => {
            let because = because(unit, Purpose::Ready, why);
            // A reload may have removed the check meanwhile.
            let within = graph.node(*unit).unit.ready.as_ref().map_or_else(
                || "in time".to_owned(),
                |ready| format!("within {}", seconds(ready.within)),
            );
            let message = format!("{} was not ready {within}{because}", name(unit));
            Line::about(Level::Error, EventName::NotReady, *unit, message)
        }
        Fact::Unhealthy { unit, then, why } => {
            let because = because(unit, Purpose::Health, why);
            let (level, what) = match then {
                Then::Restart => (Level::Warn, "restarting it"),
                Then::Stop => (Level::Error, "stopping the run"),
                Then::Ignore => (Level::Warn, "ignoring it"),
            };
            let message = format!("{} is unhealthy{because}; {what}", name(unit));
            Line::about(level, EventName::Unhealthy, *unit, message)
        }
        Fact::Overran { unit } => {
            let most = graph.node(*unit).unit.max_runtime.map(seconds).unwrap_or_default();
            let message = format!("{} exceeded its max_runtime of {most}", name(unit));
            Line::about(Level::Error, EventName::Overran, *unit, message)
        }
        Fact::Restarting { unit, after, restarts, within, how: by, status, .. } => {
            let (after, within) = (seconds(*after), counted(graph, *unit, *within));
            let how = how(graph, Ended { how: *by, status: *status, place: 0 });
            let message = format!(
                "restarting {} in {after}: it {how} (restart {restarts} within {within})",
                name(unit)
            );
            Line::about(Level::Warn, EventName::Restarting, *unit, message)
        }
        Fact::GaveUp { unit, restarts, within } => {
            let plural = if *restarts == 1 { "" } else { "s" };
            let message = format!(
                "giving up on {}: {restarts} restart{plural} in {} (restart.max)",
                name(unit),
                counted(graph, *unit, *within)
            );
            Line::about(Level::Error, EventName::GaveUp, *unit, message)
        }
        Fact::Requested { unit, request, asker, answer, dependents } => {
            request::requested(graph, *unit, *request, asker, *answer, dependents)
        }
        Fact::Cancelled { unit, job, task, asker } => {
            request::cancelled(graph, *unit, *job, *task, asker)
        }
        Fact::NotCancelled { job, asker, why } => request::not_cancelled(graph, *job, asker, *why),
        Fact::ShutDown { exit, asker, refused } => {
            request::shut_down(graph, *exit, asker, *refused)
        }
        Fact::Reloading { going, asker } => request::reloading(graph, going, asker),
        Fact::Reloaded { .. } => {
            Line::of_run(Level::Info, EventName::Reloaded, "the new configuration has taken over")
        }
        Fact::RolledBack { unit, why, .. } => request::rolled_back(graph, *unit, *why),
        Fact::Restored { .. } => {
            Line::of_run(Level::Info, EventName::Reloaded, "the previous configuration is back")
        }
        Fact::NotReloaded { why } => request::not_reloaded(*why),
        Fact::JobEnded { unit, job: _, task, end, why } => {
            request::job_ended(graph, *unit, *task, *end, why.as_ref())
        }
        Fact::Signalled { signal, sender: from } => {
            let message = format!("Got {signal} from {}", sender(graph, from));
            Line::of_run(Level::Debug, EventName::Signalled, message)
        }
        Fact::Unheard { signal } => {
            let winch = signal.number() == libc::SIGWINCH;
            let help = if winch { WINCH_HELP } else { "" };
            let level = if winch { Level::Warn } else { Level::Debug };
            Line::of_run(level, EventName::Unheard, format!("no unit received {signal}{help}"))
        }
        Fact::Stopping => {
            Line::of_run(Level::Info, EventName::Stopping, "Trying to terminate sub-processes...")
        }
        Fact::Terminating { unit, pid, prepares, within } => {
            // This is TrivialRC's line, which has no name in it.
            let message = format!("terminating the child process <pid={pid}>");
            let line = Line::about(Level::Info, EventName::Terminating, *unit, message);
            return vec![stopping(graph, *unit, *prepares, *within), line];
        }
        Fact::Killing { unit, pid, insisted } => {
            let why = no_time(&name(unit), *insisted);
            let message = format!("killing the child process <pid={pid}>: {why}");
            Line::about(Level::Warn, EventName::Killing, *unit, message)
        }
        Fact::StopCommandFailed { unit, instead } => {
            let then = match instead {
                Some(signal) => format!("sending {signal} instead"),
                None => "the unit itself has exited".to_owned(),
            };
            let message = format!("the stop command of {} failed; {then}", name(unit));
            Line::about(Level::Warn, EventName::StopCommandFailed, *unit, message)
        }
        Fact::StopCommandKilled { unit } => {
            let message = format!(
                "killing the stop command of {}: it is still running, although the unit has exited",
                name(unit)
            );
            Line::about(Level::Warn, EventName::Killing, *unit, message)
        }
        Fact::TestBegan { unit } => {
            let message = format!("Launching the test: {}", graph.node(*unit).unit.label());
            Line::about(Level::Info, EventName::TestBegan, *unit, message)
        }
        Fact::KillingLeft { unit, insisted } => {
            let why = no_time("they", *insisted);
            let message = format!("killing the leftovers of {}: {why}", name(unit));
            Line::about(Level::Warn, EventName::Killing, *unit, message)
        }
        Fact::KillingRest { insisted } => {
            let why = no_time("they", *insisted);
            let message = format!("killing the remaining processes: {why}");
            Line::of_run(Level::Warn, EventName::Killing, message)
        }
        Fact::NotUpYet { units } => {
            let which =
                units.iter().map(|(id, what)| format!("{}, which {}", name(id), lack(*what)));
            let message = format!("the tests have finished; waiting for {}", some(which));
            Line::of_run(Level::Info, EventName::Waiting, message)
        }
        Fact::Impossible { what } => {
            let message =
                format!("impossible event {what}; this is a bug in trc, please report it");
            Line::of_run(Level::Error, EventName::Log, message)
        }
        Fact::CutShort { killed, not_run } => {
            let killed = killed.iter().map(|id| format!("killing {}", name(id)));
            let not_run = not_run.iter().map(|id| format!("not running {}", name(id)));
            let what = killed.chain(not_run).collect::<Vec<_>>().join(", ");
            let message = format!("no time is left for the halt units: {what}");
            Line::of_run(Level::Warn, EventName::CutShort, message)
        }
    };
    vec![line]
}

/// Returns whether a line about a fact is in the log of a transparent trc, which has only what concerns
/// trc itself.
pub(crate) fn concerns_trc(fact: &Fact, line: &Line) -> bool {
    let not_started = matches!(fact, Fact::NotStarted { .. });
    not_started || line.unit.is_none() && line.level <= Level::Warn
}

/// Returns which unit trc stops, and how. For TrivialRC's own forms, the line is TrivialRC's.
fn stopping(graph: &Graph, id: UnitId, prepares: bool, within: Duration) -> Line {
    let node = graph.node(id);
    let level = if node.unit.form == Form::Declared { Level::Info } else { Level::Debug };
    let (whose, how) = match node.unit.stop.exec {
        // The unit's own signal and command are for its own program.
        _ if prepares => ("the pre_start of ", Signal::TERM.to_string()),
        Some(_) => ("", "its stop command".to_owned()),
        None => ("", node.stop_signal.to_string()),
    };
    let timeout = if within < node.stop_timeout {
        let tenths = Duration::from_millis(
            within.as_secs() * 1000 + u64::from(within.subsec_millis() / 100 * 100),
        );
        format!("{} (shutdown.timeout)", seconds(tenths))
    } else {
        seconds(node.stop_timeout)
    };
    let name = node.unit.id();
    let message = format!("stopping {whose}{name}: {how}, then SIGKILL after {timeout}");
    Line::about(level, EventName::StoppingUnit, id, message)
}

fn exited(graph: &Graph, id: UnitId, pid: i32, ending: Ending) -> Line {
    let unit = &graph.node(id).unit;
    let (status, label) = (ending.status(), unit.label());
    let (what, whose) = match unit.stage {
        Stage::Boot => ("Exiting from the boot", Whose::Own),
        Stage::Async => ("Exiting on the background", Whose::Process("async", pid)),
        Stage::Sync => ("Exiting on the foreground", Whose::Process("sync", pid)),
        Stage::Test => ("Exiting from the test", Whose::Process("test", pid)),
        Stage::Halt if unit.form == Form::Script => {
            ("Exiting from the shutdown script", Whose::Own)
        }
        Stage::Halt => ("Exiting from the shutdown command", Whose::Own),
    };
    // TrivialRC says nothing when a boot script has succeeded.
    let level = if unit.stage == Stage::Boot && status == 0 { Level::Debug } else { Level::Info };
    let message = format!("{what} (exitcode={status}): {label}");
    Line { whose, ..Line::about(level, EventName::Exited, id, message).with_status(status) }
}

/// The time over which the restarts of a unit count: its window, or whole seconds if it is longer.
fn counted(graph: &Graph, id: UnitId, within: Duration) -> String {
    if within == graph.node(id).unit.restart.window {
        return seconds(within);
    }
    seconds(Duration::from_secs(within.as_secs() + u64::from(within.subsec_nanos() > 0)))
}

/// Returns why something is killed.
fn no_time(name: &str, insisted: Option<Signal>) -> String {
    match insisted {
        Some(signal) => format!("got {signal} again before {name} had exited"),
        None => format!("{name} did not exit in time"),
    }
}
