//! Engines that are wrong on purpose, which the simulation must find.

mod of_tests;

use std::time::Duration;

use nix::errno::Errno;

use self::of_tests::TEST_MUTANTS;
use super::lives::SEEDS;
use super::mutant::{Mutant, graph};
use super::plan::Plan;
use super::witness::Broken;
use super::{generate, lived, shrink};
use crate::config::{Condition, OnFailure, Probe, ReloadBy, Stage, Then, WaitPolicy, When};
use crate::engine::{
    Action, Answer, Asker, EndReason, Ending, Event, Fact, Failing, JobEnd, Notice, Outcome,
    Reason, Request, Sender, SpawnStage, Target, Task, Told,
};
use crate::graph::UnitId;
use crate::signal::Signal;

pub(in crate::simulation) const fn actions(
    name: &'static str,
    actions: fn(&mut Vec<Action>, &Plan),
) -> Mutant {
    Mutant { name, graph: |_| {}, actions, event: |event| event, reason: |_| {} }
}

pub(in crate::simulation) const fn event(name: &'static str, event: fn(Event) -> Event) -> Mutant {
    Mutant { name, graph: |_| {}, actions: |_, _| {}, event, reason: |_| {} }
}

const fn reason(name: &'static str, reason: fn(&mut Reason)) -> Mutant {
    Mutant { name, graph: |_| {}, actions: |_, _| {}, event: |event| event, reason }
}

const MUTANTS: &[Mutant] = &[
    actions("stops the first unit first", |actions, _| {
        let stops = |action: &Action| matches!(action, Action::Tell(Fact::Stopping));
        if let Some(place) = actions.iter().position(stops) {
            let first = Fact::Terminating {
                unit: UnitId(0),
                pid: 0,
                prepares: false,
                within: Duration::ZERO,
            };
            actions.insert(place + 1, Action::Tell(first));
        }
    }),
    event("takes a stand-in for the main process", |event| match event {
        Event::Notified { unit, notice: Notice::StandIn(pid) } => {
            Event::Notified { unit, notice: Notice::MainPid(pid) }
        }
        event => event,
    }),
    event("takes the exit of a daemon for that of a service", |event| match event {
        Event::Notified { unit, notice: Notice::StandIn(_) } => Event::Learnt { unit, why: None },
        event => event,
    }),
    reason("knows no failure behind another", |reason| reason.behind.clear()),
    reason("stops at the first failure behind another", |reason| reason.behind.truncate(1)),
    reason("leaves out the failures between the first and the last", |reason| {
        if reason.behind.len() > 1 {
            reason.behind.remove(0);
        }
    }),
    actions("never looks at a pid_file", |actions, _| {
        actions.retain(|action| !matches!(action, Action::Seek(_)));
    }),
    graph("starts without conditions", |graph| {
        graph.nodes.iter_mut().for_each(|node| node.needs.retain(|need| !need.written));
    }),
    graph("treats exited as succeeded", |graph| {
        for need in graph.nodes.iter_mut().flat_map(|node| &mut node.needs) {
            if need.condition == Condition::Succeeded {
                need.condition = Condition::Exited;
            }
        }
    }),
    graph("runs sync units together", |graph| {
        for node in &mut graph.nodes {
            if node.unit.stage == Stage::Sync {
                node.needs.retain(|need| need.written);
            }
        }
    }),
    graph("treats every service as a one-shot", |graph| {
        graph.nodes.iter_mut().for_each(|node| node.oneshot = true);
    }),
    graph("treats all as any", |graph| {
        if graph.wait == WaitPolicy::All {
            graph.wait = WaitPolicy::Any;
        }
    }),
    graph("treats err as all", |graph| {
        if graph.wait == WaitPolicy::Err {
            graph.wait = WaitPolicy::All;
        }
    }),
    graph("mixes up who was declared last", |graph| {
        let count = graph.nodes.len();
        graph.nodes.iter_mut().for_each(|node| node.declared = count - node.declared);
    }),
    graph("ignores on_failure", |graph| {
        graph.nodes.iter_mut().for_each(|node| node.unit.on_failure = OnFailure::default());
    }),
    graph("ignores success", |graph| {
        graph.nodes.iter_mut().for_each(|node| node.unit.success = None);
    }),
    graph("ignores [exit]", |graph| graph.exit.clear()),
    graph("ignores exit.stopped", |graph| graph.stopped = None),
    graph("ignores exit.unit", |graph| graph.own.clear()),
    graph("treats a number as a reason", |graph| {
        for signal in [143, 130] {
            graph.stopped.take().map(|status| graph.exit.insert(signal, status));
        }
    }),
    graph("ignores [signals]", |graph| graph.rules.clear()),
    graph("allows a second more", |graph| graph.budget += Duration::from_secs(1)),
    graph("allows a second less", |graph| {
        graph.budget = graph.budget.saturating_sub(Duration::from_secs(1));
    }),
    graph("kills late", |graph| {
        graph.nodes.iter_mut().for_each(|node| node.stop_timeout += Duration::from_secs(1));
    }),
    graph("always sends TERM", |graph| {
        graph.nodes.iter_mut().for_each(|node| node.stop_signal = Signal::TERM);
    }),
    graph("runs no halt units", |graph| {
        graph.order = graph.ids().filter(|id| graph.node(*id).unit.stage != Stage::Halt).collect();
    }),
    graph("runs no halt units after a failed boot", |graph| {
        graph.nodes.iter_mut().for_each(|node| node.unit.always = false);
    }),
    graph("runs every halt unit after a failed boot", |graph| {
        for node in &mut graph.nodes {
            node.unit.always = node.unit.stage == Stage::Halt;
        }
    }),
    graph("treats started as ready", |graph| {
        for need in graph.nodes.iter_mut().flat_map(|node| &mut node.needs) {
            if need.condition == Condition::Ready {
                need.condition = Condition::Started;
            }
        }
    }),
    graph("waits a second longer for readiness", |graph| {
        for ready in graph.nodes.iter_mut().filter_map(|node| node.unit.ready.as_mut()) {
            ready.within += Duration::from_secs(1);
        }
    }),
    graph("does nothing about unhealthy units", |graph| {
        for health in graph.nodes.iter_mut().filter_map(|node| node.unit.health.as_mut()) {
            health.then = Then::Ignore;
        }
    }),
    graph("tolerates one failure more", |graph| {
        for health in graph.nodes.iter_mut().filter_map(|node| node.unit.health.as_mut()) {
            health.failures += 1;
        }
    }),
    graph("lets units run forever", |graph| {
        graph.nodes.iter_mut().for_each(|node| node.unit.max_runtime = None);
    }),
    graph("restarts nothing", |graph| {
        graph.nodes.iter_mut().for_each(|node| node.unit.restart.when = When::No);
    }),
    graph("restarts without end", |graph| {
        graph.nodes.iter_mut().for_each(|node| node.unit.restart.max = None);
    }),
    graph("restarts alone", |graph| {
        for node in &mut graph.nodes {
            node.restarts.clear();
            node.with.clear();
        }
    }),
    graph("remembers restarts for too long", |graph| {
        graph.nodes.iter_mut().for_each(|node| node.unit.restart.window *= 3);
    }),
    graph("does not back off", |graph| {
        graph.nodes.iter_mut().for_each(|node| {
            node.unit.restart.backoff.longest = node.unit.restart.backoff.first;
        });
    }),
    event("treats an attempt that was not made as a failure", |event| match event {
        Event::Probed { unit, purpose, outcome: Outcome::NotMade, why } => {
            Event::Probed { unit, purpose, outcome: Outcome::Failed, why }
        }
        event => event,
    }),
    event("restarts a unit with a wrong setting", |event| match event {
        Event::SpawnFailed { unit, stage: SpawnStage::Settings, errno, why } => {
            Event::SpawnFailed { unit, stage: SpawnStage::Prepare, errno, why }
        }
        event => event,
    }),
    event("retries no start that execve refused", |event| match event {
        Event::SpawnFailed {
            unit,
            stage: stage @ SpawnStage::Execute,
            errno: Some(Errno::EAGAIN),
            why,
        } => Event::SpawnFailed { unit, stage, errno: Some(Errno::EACCES), why },
        event => event,
    }),
    actions("tries twice", |actions, _| {
        let probe = actions.iter().find(|action| matches!(action, Action::Probe(..))).cloned();
        actions.extend(probe);
    }),
    actions("tries nothing", |actions, _| {
        actions.retain(|action| !matches!(action, Action::Probe(..)));
    }),
    actions("ends no try", |actions, _| {
        actions.retain(|action| !matches!(action, Action::StopProbes(_)));
    }),
    actions("does not report restarts", |actions, _| {
        actions.retain(|action| !matches!(action, Action::Tell(Fact::Restarting { .. })));
    }),
    actions("starts twice", |actions, _| {
        let spawn = actions.iter().find(|action| matches!(action, Action::Spawn(_))).cloned();
        actions.extend(spawn);
    }),
    actions("does not start", |actions, _| {
        actions.retain(|action| !matches!(action, Action::Spawn(id) if id.0 > 0));
    }),
    actions("never kills", |actions, _| {
        actions.retain(|action| !matches!(action, Action::Signal(_, Signal::KILL)));
    }),
    actions("kills at once", |actions, _| {
        for action in actions {
            if let Action::Signal(Target::Group(_), signal @ Signal::TERM) = action {
                *signal = Signal::KILL;
            }
        }
    }),
    actions("signals leftovers twice", |actions, _| {
        for action in actions {
            if let Action::Signal(Target::Rest(_, told), _) = action {
                *told = Told::Nobody;
            }
        }
    }),
    actions("kills processes that were never asked to exit", |actions, _| {
        actions.retain(|action| !matches!(action, Action::Signal(Target::Rest(..), _)));
    }),
    actions("does not look for processes that have left the group", |actions, _| {
        for action in actions {
            if let Action::Signal(target, _) = action
                && let Target::Rest(id, _) | Target::All(id) = *target
            {
                *target = Target::Group(id);
            }
        }
    }),
    actions("continues nothing", |actions, _| {
        actions.retain(|action| !matches!(action, Action::Signal(_, Signal::CONT)));
    }),
    actions("sends SIGCONT after every signal", |actions, _| {
        for at in 1..actions.len() {
            if matches!(actions[at], Action::Signal(_, signal) if signal.is_job_control()) {
                actions.swap(at - 1, at);
            }
        }
    }),
    actions("asks nobody to stop", |actions, _| {
        actions.retain(|action| !matches!(action, Action::Signal(_, Signal::TERM)));
    }),
    actions("does not settle", |actions, _| {
        actions.retain(|action| !matches!(action, Action::Settle));
    }),
    actions("sweeps with KILL only", |actions, _| {
        for action in actions {
            if let Action::Sweep(signal) = action {
                *signal = Signal::KILL;
            }
        }
    }),
    actions("never sweeps with KILL", |actions, _| {
        actions.retain(|action| !matches!(action, Action::Sweep(Signal::KILL)));
    }),
    actions("forgets stop commands", |actions, _| {
        actions.retain(|action| !matches!(action, Action::StopCommand(_)));
    }),
    Mutant {
        event: |event| match event {
            Event::Overslept { .. } => Event::Overslept { by: Duration::ZERO },
            other => other,
        },
        ..graph("adds the time that it has overslept to a stop from outside", |_| {})
    },
    Mutant {
        event: |event| match event {
            Event::Tried { unit, outcome: Outcome::Hopeless } => {
                Event::Tried { unit, outcome: Outcome::Failed }
            }
            other => other,
        },
        ..graph("repeats hopeless attempts", |_| {})
    },
    actions("waits for no stop command", |actions, _| {
        // As if it had exited together with its unit.
        let stops = |action: &Action| matches!(action, Action::StopCommand(_));
        if let Some(place) = actions.iter().position(stops) {
            let Action::StopCommand(id) = actions[place] else { return };
            actions.insert(place + 1, Action::KillStopCommand(id));
        }
    }),
    actions("is one off", |actions, _| {
        for action in actions {
            if let Action::End { status } = action {
                *status = status.wrapping_add(1);
            }
        }
    }),
    actions("ends twice", |actions, _| {
        let end = actions.iter().find(|action| matches!(action, Action::End { .. })).cloned();
        actions.extend(end);
    }),
    actions("never ends", |actions, _| {
        actions.retain(|action| !matches!(action, Action::End { .. }));
    }),
    actions("starts a held unit again", |actions, _| {
        if let Some(id) = done(actions, Task::Stop) {
            actions.push(Action::Spawn(id));
        }
    }),
    actions("restarts units at once", |actions, _| {
        if let Some((place, id)) = begun(actions, Task::Restart) {
            actions.insert(place + 1, Action::Spawn(id));
        }
    }),
    graph("lets every pre_start take a second longer", |graph| {
        for hook in graph.nodes.iter_mut().filter_map(|node| node.unit.pre_start.as_mut()) {
            hook.within =
                Some(hook.within.unwrap_or(Duration::from_mins(1)) + Duration::from_secs(1));
        }
    }),
    graph("starts units that nobody has asked for", |graph| {
        graph.nodes.iter_mut().for_each(|node| node.idle = false);
    }),
    graph("does not start units that others need", |graph| {
        graph.nodes.iter_mut().for_each(|node| node.idle = !node.unit.autostart);
    }),
    graph("runs no pre_start", |graph| {
        graph.nodes.iter_mut().for_each(|node| node.unit.pre_start = None);
    }),
    graph("runs no post_stop", |graph| {
        graph.nodes.iter_mut().for_each(|node| node.unit.post_stop = None);
    }),
    graph("lets every post_stop take a second longer", |graph| {
        for hook in graph.nodes.iter_mut().filter_map(|node| node.unit.post_stop.as_mut()) {
            hook.within =
                Some(hook.within.unwrap_or(Duration::from_secs(5)) + Duration::from_secs(1));
        }
    }),
    event("starts a unit whose pre_start has failed", |event| match event {
        Event::Exited { unit, ending: Ending::Code(3), leftovers, terminal, why } => {
            Event::Exited { unit, ending: Ending::Code(0), leftovers, terminal, why }
        }
        event => event,
    }),
    actions("leaves what a pre_start has left", |actions, _| {
        let left = |action: &Action| matches!(action, Action::Tell(Fact::PreStartLeft { .. }));
        if let Some(place) = actions.iter().position(left) {
            actions.remove(place + 1);
        }
    }),
    actions("tells post_stop that every unit has exited by itself", |actions, _| {
        for action in actions {
            if let Action::PostStop(_, _, reason) = action {
                *reason = EndReason::Exited;
            }
        }
    }),
    actions("leaves what a post_stop has left", |actions, _| {
        let left = |action: &Action| matches!(action, Action::Tell(Fact::PostStopLeft { .. }));
        if let Some(place) = actions.iter().position(left) {
            actions.remove(place + 1);
        }
    }),
    actions("does not wait for post_stop to be killed", |actions, _| {
        actions.retain(|action| !matches!(action, Action::KillPostStop(_)));
    }),
    actions("treats a restart by hand as an end", |actions, _| {
        if let Some((place, _)) = begun(actions, Task::Restart) {
            actions.insert(place + 1, Action::Tell(Fact::Stopping));
        }
    }),
    actions("stops another unit together with the requested one", |actions, _| {
        if let Some((place, UnitId(id))) = begun(actions, Task::Stop) {
            let other = Fact::Terminating {
                unit: UnitId(id.saturating_sub(1)),
                pid: 0,
                prepares: false,
                within: Duration::ZERO,
            };
            actions.insert(place + 1, Action::Tell(other));
        }
    }),
    actions("does not answer", |actions, _| {
        actions.retain(|action| !matches!(action, Action::Tell(Fact::Requested { .. })));
    }),
    actions("starts what is not to be started any more", |actions, _| {
        let cancelled = |action: &Action| match action {
            Action::Tell(Fact::JobEnded { unit, end: JobEnd::Cancelled, .. }) => Some(*unit),
            _ => None,
        };
        if let Some(unit) = actions.iter().find_map(cancelled) {
            actions.push(Action::Spawn(unit));
        }
    }),
    event("stops no dependents", |event| match event {
        Event::Request { unit, request: Request::StopWithDependents, asker } => {
            Event::Request { unit, request: Request::Job(Task::Stop), asker }
        }
        event => event,
    }),
    actions("stops a unit before what depends on it", |actions, _| {
        let asked = actions.iter().position(|action| {
            let Action::Tell(Fact::Requested { request, dependents, .. }) = action else {
                return false;
            };
            *request == Request::StopWithDependents && !dependents.is_empty()
        });
        if let Some(place) = asked
            && let Action::Tell(Fact::Requested { unit, .. }) = actions[place]
        {
            let first = Fact::Terminating { unit, pid: 0, prepares: false, within: Duration::ZERO };
            actions.insert(place + 1, Action::Tell(first));
        }
    }),
    actions("names no dependents", |actions, _| {
        for action in actions {
            if let Action::Tell(Fact::Requested { dependents, .. }) = action {
                dependents.clear();
            }
        }
    }),
    event("cancels another job", |event| match event {
        Event::Cancel { job, asker } => Event::Cancel { job: job + 1, asker },
        event => event,
    }),
    event("forgets no restarts", |event| match event {
        Event::Request { unit, request: Request::Reset, asker } => {
            Event::Request { unit, request: Request::Job(Task::Start), asker }
        }
        event => event,
    }),
    event("stops the run with 0 whatever is asked for", |event| match event {
        Event::Shutdown { asker, .. } => Event::Shutdown { exit: None, asker },
        event => event,
    }),
    event("takes a shutdown for a signal", |event| match event {
        Event::Shutdown { asker, .. } => {
            let sender = Sender { asker, outside: true };
            Event::Signal { signal: Signal::TERM, sender }
        }
        event => event,
    }),
    event("says that root has asked", |event| match event {
        Event::Request { unit, request, asker } => {
            Event::Request { unit, request, asker: Asker { uid: 0, ..asker } }
        }
        event => event,
    }),
    event("says that root has asked for another configuration", |event| match event {
        Event::Reload { asker } => Event::Reload { asker: Asker { uid: 0, ..asker } },
        event => event,
    }),
    actions("ends no job", |actions, _| {
        actions.retain(|action| !matches!(action, Action::Tell(Fact::JobEnded { .. })));
    }),
    actions("starts a unit that has to go", |actions, _| {
        if let Some((place, id)) = going(actions) {
            actions.insert(place + 1, Action::Spawn(id));
        }
    }),
    actions("lets a new graph take over at once", |actions, _| {
        if let Some((place, _)) = going(actions) {
            actions.insert(place + 1, Action::TakeOver);
        }
    }),
    actions("does not let a new graph take over", |actions, _| {
        actions.retain(|action| !matches!(action, Action::TakeOver));
    }),
    actions("stops more units than have to go", |actions, _| {
        for action in actions {
            if let Action::Tell(Fact::Reloading { going, .. }) = action {
                going.push(UnitId(0));
            }
        }
    }),
    actions("does not go back", |actions, _| {
        actions.retain(|action| !matches!(action, Action::Tell(Fact::RolledBack { .. })));
    }),
    actions("goes back without a reason", |actions, _| {
        let fact = |action: &Action| match action {
            Action::Tell(Fact::Ready { unit, .. }) => Some(*unit),
            _ => None,
        };
        if let Some(unit) = actions.iter().find_map(fact) {
            let why = Failing::NotReady;
            actions.push(Action::Tell(Fact::RolledBack { unit, why, going: Vec::new() }));
        }
    }),
    actions("goes back halfway", |actions, _| {
        for action in actions {
            if let Action::Tell(Fact::RolledBack { going, .. }) = action {
                going.pop();
            }
        }
    }),
    actions("stops units that have to go in any order", |actions, _| {
        // Other units depend on the first one in the order.
        if let Some((place, id)) = going(actions) {
            let first =
                Fact::Terminating { unit: id, pid: 0, prepares: false, within: Duration::ZERO };
            actions.insert(place + 1, Action::Tell(first));
        }
    }),
    event("treats a hold as a restart", |event| match event {
        Event::Request { unit, request: Request::Job(Task::Stop), asker } => {
            Event::Request { unit, request: Request::Job(Task::Restart), asker }
        }
        other => other,
    }),
    graph("allows a second more for a reload", |graph| {
        for reload in graph.nodes.iter_mut().filter_map(|node| node.unit.reload.as_mut()) {
            reload.within += Duration::from_secs(1);
        }
    }),
    graph("reloads with another signal", |graph| {
        for reload in graph.nodes.iter_mut().filter_map(|node| node.unit.reload.as_mut()) {
            reload.by = ReloadBy::Signal(Signal::QUIT);
        }
    }),
    graph("waits for nothing after a reload", |graph| {
        for node in graph.nodes.iter_mut().filter(|node| node.unit.reload.is_some()) {
            if let Some(ready) = node.unit.ready.as_mut().filter(|it| it.probe.value.is_told()) {
                ready.probe.value = Probe::Fd(3);
            }
        }
    }),
    event("takes RELOADING=1 for READY=1", |event| match event {
        Event::Notified { unit, notice: Notice::Reloading } => {
            Event::Notified { unit, notice: Notice::Ready }
        }
        event => event,
    }),
    event("does not listen to RELOADING=1", |event| match event {
        Event::Notified { notice: Notice::Reloading, .. } => Event::Woken,
        event => event,
    }),
    event("does not mind that the command of a reload fails", |event| match event {
        Event::ReloadCommandEnded { unit, succeeded: false, why } => {
            Event::ReloadCommandEnded { unit, succeeded: true, why }
        }
        event => event,
    }),
    event("treats a reload as a restart", |event| match event {
        Event::Request { unit, request: Request::Job(Task::Reload), asker } => {
            Event::Request { unit, request: Request::Job(Task::Restart), asker }
        }
        event => event,
    }),
    actions("runs no command of a reload", |actions, _| {
        actions.retain(|action| !matches!(action, Action::ReloadCommand(_)));
    }),
    actions("kills no command of a reload", |actions, _| {
        actions.retain(|action| !matches!(action, Action::KillReloadCommand(_)));
    }),
    actions("stops a unit that did not reload", |actions, _| {
        let failed = actions.iter().find_map(|action| match action {
            Action::Tell(Fact::JobEnded { unit, end: JobEnd::NotReloaded(_), .. }) => Some(*unit),
            _ => None,
        });
        if let Some(unit) = failed {
            let within = Duration::ZERO;
            actions.push(Action::Tell(Fact::Terminating { unit, pid: 0, prepares: false, within }));
        }
    }),
    actions("does not report that it stops", |actions, _| {
        actions.retain(|action| !matches!(action, Action::Tell(Fact::Stopping)));
    }),
];

/// Returns the unit of a job that has ended.
fn done(actions: &[Action], wanted: Task) -> Option<UnitId> {
    actions.iter().find_map(|action| match action {
        Action::Tell(Fact::JobEnded { unit, task, end: JobEnd::Done, .. }) if *task == wanted => {
            Some(*unit)
        }
        _ => None,
    })
}

/// Returns where a reload begins, and the first unit that has to go.
fn going(actions: &[Action]) -> Option<(usize, UnitId)> {
    actions.iter().enumerate().find_map(|(place, action)| match action {
        Action::Tell(Fact::Reloading { going, .. }) => going.first().map(|id| (place, *id)),
        _ => None,
    })
}

/// Returns where a job begins, and its unit.
fn begun(actions: &[Action], wanted: Task) -> Option<(usize, UnitId)> {
    actions.iter().enumerate().find_map(|(place, action)| match action {
        Action::Tell(Fact::Requested { unit, request, answer: Answer::Begun(_), .. })
            if *request == Request::Job(wanted) =>
        {
            Some((place, *unit))
        }
        _ => None,
    })
}

/// The number of lives within which a mutant must be found.
const LIVES: u64 = 30_000;

fn first_broken(mutant: &Mutant) -> Option<(u64, Broken)> {
    (SEEDS..SEEDS + LIVES).find_map(|seed| {
        let lived = lived(&generate::plan(seed), mutant, false)?;
        lived.broken.map(|broken| (seed, broken))
    })
}

#[test]
fn every_wrong_engine_is_found_out_and_its_life_shrunk_to_a_few_units() {
    let mut missed = Vec::new();
    for mutant in MUTANTS.iter().chain(TEST_MUTANTS) {
        let Some((seed, broken)) = first_broken(mutant) else {
            missed.push(format!("{}: not found", mutant.name));
            continue;
        };
        let small = shrink::shrink(&generate::plan(seed), broken, mutant);
        let still = lived(&small, mutant, false).and_then(|lived| lived.broken);
        assert_eq!(still.map(|broken| broken.rule), Some(broken.rule), "{}", mutant.name);
        // Tests have something to say about other units.
        let units = small.units.iter().filter(|unit| unit.stage != Stage::Test).count();
        if units > 3 || small.units.len() > units + 2 {
            missed.push(format!("{}: {} units", mutant.name, small.units.len()));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}
