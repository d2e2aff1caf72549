//! Describes lives for people.

use std::fmt::Write;

use super::build::Built;
use super::plan::{Child, Plan, Renewal, Settling, Unit, Within};
use super::witness::Broken;
use crate::config::Stage;
use crate::engine::{Action, Event, Fact, Left, Snapshot, Target, UnitSnapshot};
use crate::graph::UnitId;

/// `async.u3`.
pub(super) fn name(plan: &Plan, at: usize) -> String {
    format!("{}.u{at}", plan.units[at].stage)
}

fn unit(built: &Built, id: UnitId) -> String {
    built.graph.node(id).unit.id()
}

/// Returns one event as a line.
pub(super) fn event(event: &Event, built: &Built) -> String {
    let of = |id: &UnitId| unit(built, *id);
    match event {
        Event::Begin => "the run begins".to_owned(),
        Event::Forked { unit, pid } => format!("{} is forked: {pid}", of(unit)),
        Event::Executed { unit } => format!("{} is executed", of(unit)),
        Event::SpawnFailed { unit, stage, errno, .. } => {
            format!("{} can't be started: {stage:?}, errno {errno:?}", of(unit))
        }
        Event::Exited { unit, ending, leftovers, terminal, .. } => {
            let left = match leftovers {
                Left::Nothing => "",
                Left::Others => ", others of it live on",
                Left::Escaped => ", others of it live on in sessions of their own",
            };
            let key = if *terminal { ", by the terminal" } else { "" };
            format!("{} ends with {ending:?}{left}{key}", of(unit))
        }
        Event::LeftoversGone { unit } => format!("nothing is left of {}", of(unit)),
        Event::StopCommandEnded { unit, succeeded } => {
            let how = if *succeeded { "ends well" } else { "fails" };
            format!("the stop command of {} {how}", of(unit))
        }
        Event::PostStopEnded { unit, succeeded, .. } => {
            let how = if *succeeded { "ends well" } else { "fails" };
            format!("the post_stop of {} {how}", of(unit))
        }
        Event::ReloadCommandEnded { unit, succeeded, .. } => {
            let how = if *succeeded { "ends well" } else { "fails" };
            format!("the command of the reload of {} {how}", of(unit))
        }
        Event::Probed { unit, purpose, outcome, .. } => {
            format!("{}: attempt for {purpose:?}: {outcome:?}", of(unit))
        }
        Event::Tried { unit, outcome } => format!("{}: attempt: {outcome:?}", of(unit)),
        Event::Inspected { zombies, escaped } => {
            let names: Vec<String> = escaped.iter().map(&of).collect();
            format!("a look at processes: zombies {zombies}, escaped from {names:?}")
        }
        Event::Remains { orphans, sessions, late } => {
            let said: Vec<String> =
                late.iter().map(|(id, late)| format!("{} {late:?}", of(id))).collect();
            let said = said.join(", ");
            format!("left are orphans: {orphans}, sessions: {sessions}, late: [{said}]")
        }
        Event::OomKilled => "the OOM killer kills a process".to_owned(),
        Event::Learnt { unit, why } => format!("{}: {why:?} is known", of(unit)),
        Event::Unfound { unit, .. } => format!("the file of {} is of no use yet", of(unit)),
        Event::Notified { unit, notice } => format!("{} says {notice:?}", of(unit)),
        Event::Paused { unit } => format!("{} is paused", of(unit)),
        Event::Signal { signal, sender } => match sender.asker.unit {
            Some(id) => format!("trc gets {signal} from {}", of(&id)),
            None if sender.outside => format!("trc gets {signal} from outside"),
            None => format!("trc gets {signal} from some process"),
        },
        Event::Reload { .. } => "the configuration is reloaded".to_owned(),
        Event::Due { unit } => format!("{} is due", of(unit)),
        Event::Cancel { job, .. } => format!("somebody cancels job {job}"),
        Event::Shutdown { exit, .. } => format!("somebody asks to stop with {exit:?}"),
        Event::Request { unit, request, .. } => format!("somebody asks {}: {request:?}", of(unit)),
        Event::Settled { words: None } => "the command line does not change".to_owned(),
        Event::Settled { words: Some(_) } => "the command line gives a new graph".to_owned(),
        Event::Unsettled => "the command line is wrong".to_owned(),
        Event::NothingLeft => "no process is left".to_owned(),
        Event::Overslept { by } => {
            format!("trc did not run for {} ms, and the clock was set back", by.as_millis())
        }
        Event::Woken => "time has come".to_owned(),
    }
}

/// Returns one action as a line.
pub(super) fn action(action: &Action, built: &Built) -> String {
    let of = |id: &UnitId| unit(built, *id);
    match action {
        Action::Spawn(id) => format!("start {}", of(id)),
        Action::PreStart(id) => format!("run the pre_start of {}", of(id)),
        Action::PostStop(id, status, reason) => {
            format!("run the post_stop of {}, which ended with {status}, {reason:?}", of(id))
        }
        Action::KillPostStop(id) => format!("kill the post_stop of {}", of(id)),
        Action::Signal(Target::Process(id), signal) => format!("{signal} to {}", of(id)),
        Action::Signal(Target::Group(id) | Target::Members(id), signal) => {
            format!("{signal} to {}'s group", of(id))
        }
        Action::Signal(Target::Rest(id, told), signal) => {
            format!("{signal} to the rest of {}, after it went to: {told:?}", of(id))
        }
        Action::Signal(Target::All(id), signal) => format!("{signal} to all of {}", of(id)),
        Action::StopCommand(id) => format!("run the stop command of {}", of(id)),
        Action::KillStopCommand(id) => format!("kill the stop command of {}", of(id)),
        Action::ReloadCommand(id) => format!("run the command of the reload of {}", of(id)),
        Action::KillReloadCommand(id) => {
            format!("kill the command of the reload of {}", of(id))
        }
        Action::Probe(id, purpose) => format!("attempt for {}: {purpose:?}", of(id)),
        Action::Seek(id) => format!("look at the file of {}", of(id)),
        Action::StopProbes(id) => format!("no more attempts of {}", of(id)),
        Action::Try(id, limit) => format!("attempt of {} for {limit:?}", of(id)),
        Action::Inspect => "look for zombies".to_owned(),
        Action::Remains => "search for what is left".to_owned(),
        Action::Reopen => "open files anew".to_owned(),
        Action::Reload(_) => "read the configuration anew".to_owned(),
        Action::Settle => "look at the command line".to_owned(),
        Action::TakeOver => "the new graph takes over".to_owned(),
        Action::Sweep(signal) => format!("{signal} to whatever is left"),
        Action::SweepOver => "the sweep is over".to_owned(),
        Action::Tell(Fact::Blocked { chain, ended, .. }) => {
            let chain: Vec<String> = chain.iter().map(of).collect();
            format!("report: {} waits in vain, status {}", chain.join(" for "), ended.status)
        }
        Action::Tell(fact) => format!("say: {fact:?}"),
        Action::End { status } => format!("END with {status}"),
    }
}

/// The current state.
pub(super) fn snapshot(snapshot: &Snapshot) -> String {
    let Snapshot { phase, generation, units } = snapshot;
    let mut text =
        format!("        nothing more happens; phase {phase}, generation {generation}\n");
    for unit in units {
        let UnitSnapshot {
            name, stage: _, phase, wanted, since, why, pid, ready, restarts, ..
        } = unit;
        let since = since.as_millis();
        let _ = write!(text, "            {name}: {} since {since} ms ({why:?})", phase.word());
        let _ =
            write!(text, ", wanted {wanted:?}, pid {pid:?}, ready {ready:?}, restarts {restarts}");
        if let Some(other) = &unit.waits_for {
            let _ = write!(text, ", waits for {other}");
        }
        let _ = writeln!(text);
    }
    text
}

/// Returns the configuration and the behavior of the children. It leaves out the defaults.
pub(super) fn plan(plan: &Plan) -> String {
    let mut text = format!("wait = {:?}\n", plan.wait);
    if let Some(budget) = plan.budget {
        let _ = writeln!(text, "shutdown.timeout = {budget} ms");
    }
    for (from, to) in &plan.exit {
        let _ = writeln!(text, "[exit] {from} = {to}");
    }
    for (signal, rule) in &plan.rules {
        let _ = writeln!(text, "[signals] {signal} = {rule:?}");
    }
    for (at, unit) in plan.units.iter().enumerate() {
        let _ = writeln!(text, "[{}]{}", name(plan, at), written(plan, unit));
        let _ = writeln!(text, "    its process:{}", behaviour(unit.stage, &unit.child));
        if let Some(again) = &unit.again {
            let _ = writeln!(text, "    later ones:{}", behaviour(unit.stage, again));
        }
    }
    if plan.settling != Settling::Same && plan.units.iter().any(|unit| unit.stage == Stage::Boot) {
        let _ = writeln!(text, "after boot the command line is {:?}", plan.settling);
    }
    for told in &plan.signals {
        let whence = if told.outside { "outside" } else { "some process" };
        let _ = writeln!(text, "at {} ms {} from {whence}", told.at, told.signal);
    }
    if let Some(at) = plan.reload {
        let _ = writeln!(text, "at {at} ms the configuration is reloaded, to keep: {}", plan.keep);
    }
    for asked in &plan.requests {
        let _ = writeln!(
            text,
            "at {} ms somebody asks {}: {:?}",
            asked.at,
            name(plan, asked.unit),
            asked.request
        );
    }
    for (at, unit) in &plan.dues {
        let _ = writeln!(text, "at {at} ms {} is due", name(plan, *unit));
    }
    for (at, job) in &plan.cancels {
        let _ = writeln!(text, "at {at} ms somebody cancels job {job}");
    }
    if let Some((at, status)) = plan.shutdown {
        let _ = writeln!(text, "at {at} ms somebody asks to stop with {status:?}");
    }
    for stray in &plan.strays {
        let _ = writeln!(text, "an orphan: {stray:?}");
    }
    if let Some((from, time_out)) = plan.sleep {
        let _ = writeln!(text, "from {from} ms trc does not run for {time_out} ms");
    }
    if plan.terminal {
        text.push_str("trc has a terminal\n");
    }
    if let Some(drill) = &plan.drill {
        let _ = writeln!(text, "it is a test run: {drill:?}");
    }
    let _ = writeln!(text, "races are decided by {:#x}", plan.luck);
    text
}

/// Writes ` KEY VALUE` for each field that differs from the plainest value.
macro_rules! differences {
    ($text:ident, $it:expr, $plain:expr, $($field:ident)*) => {
        $(if $it.$field != $plain.$field {
            let _ = write!($text, " {} {:?};", stringify!($field), $it.$field);
        })*
    };
}

fn written(whole: &Plan, it: &Unit) -> String {
    let mut text = String::new();
    for (other, condition) in &it.after {
        let _ = match condition {
            Some(condition) => {
                write!(text, " after {} {};", name(whole, *other), condition.name())
            }
            None => write!(text, " after {};", name(whole, *other)),
        };
    }
    let plain = Unit::plain(it.stage);
    differences!(text, it, plain, form shell autostart oneshot always success on_failure stop_signal stop_timeout
        stop_to stop_exec reload pre_start post_stop outside ready health restart max_runtime schedule test);
    if it.renewal != Renewal::Kept {
        let _ = write!(text, " {:?};", it.renewal);
    }
    if it.within != Within::Both {
        let _ = write!(text, " in the {:?} graph only;", it.within);
    }
    text
}

fn behaviour(stage: Stage, it: &Child) -> String {
    let mut text = String::new();
    differences!(text, it, Child::plain(stage), scarce scarce_late unmade start end on_stop reloads on_kill leaves tells pauses
        ready sick try_takes try_hangs says);
    if text.is_empty() { " the usual".to_owned() } else { text }
}

/// The rule that is broken.
pub(super) fn broken(plan: &Plan, broken: Broken) -> String {
    match broken.unit {
        Some(at) => format!("broken for {}: {}", name(plan, at), broken.rule),
        None => format!("broken: {}", broken.rule),
    }
}
