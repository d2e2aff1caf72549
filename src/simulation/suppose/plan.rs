//! The plan of a real graph: what the world has to know of the units, and how they behave.

use std::time::Duration;

use super::story::{Behavior, Course, Stops, Story};
use crate::config::{Probe, ReloadBy, WaitPolicy};
use crate::engine::{Ending, POST_STOP, SpawnStage};
use crate::graph::{Graph, Node, Rule, UnitId};
use crate::signal::Signal;
use crate::simulation::plan::{
    Child, Health, Makes, Ms, PidFile, Plan, PostRuns, PostStop, PreRuns, PreStart, Ready, Reload,
    ReloadCommand, Reply, Settling, Start, StopCommand, Stray, Told, Unit,
};

/// Returns the plan of a graph, with its units by their identities. The world asks for no more than
/// what it has: the engine has the graph itself.
pub(super) fn plan(graph: &Graph, story: &Story) -> Plan {
    let units = (0..graph.nodes.len()).map(UnitId).map(|id| {
        let course = story.units.get(&id).cloned();
        let course = course.unwrap_or_else(|| Course::usual(graph.node(id)));
        unit(graph, id, &course)
    });
    let told =
        |(at, signal): &(Duration, Signal)| Told { at: ms(*at), signal: *signal, outside: true };
    Plan {
        // The engine knows these from the graph.
        wait: WaitPolicy::Any,
        budget: None,
        exit: Vec::new(),
        stopped: None,
        own: Vec::new(),
        rules: Vec::new(),
        units: units.collect(),
        settling: Settling::Same,
        signals: story.signals.iter().map(told).collect(),
        reload: None,
        keep: false,
        requests: Vec::new(),
        dues: story.dues.iter().map(|(at, id)| (ms(*at), id.0)).collect(),
        cancels: Vec::new(),
        shutdown: None,
        strays: Vec::new(),
        sleep: None,
        terminal: false,
        drill: None,
        luck: 0,
    }
}

/// Returns a time in milliseconds, which is enough for 49 days.
fn ms(time: Duration) -> Ms {
    Ms::try_from(time.as_millis()).unwrap_or(Ms::MAX)
}

fn unit(graph: &Graph, id: UnitId, course: &Course) -> Unit {
    let node = graph.node(id);
    let declared = &node.unit;
    let behind = declared.pid_file.is_some();
    let child = |behavior: &Behavior| child(node, behavior, behind);
    let lives: Vec<Child> = course.lives.iter().chain([&course.later]).map(child).collect();
    let (after, succeeds) = course.post_stop;
    let first = course.lives.first().unwrap_or(&course.later);
    let alone = declared.ready.as_ref().is_some_and(|it| it.probe.value == Probe::PidFile);
    Unit {
        stop_signal: Some(node.stop_signal),
        stop_timeout: Some(ms(node.stop_timeout)),
        stop_exec: declared.stop.exec.as_ref().map(|_| stop_command(first)),
        reload: declared.reload.as_ref().map(|reload| Reload {
            by: match &reload.by {
                ReloadBy::Signal(signal) => Makes::Signal(*signal),
                ReloadBy::Exec(_) => {
                    Makes::Command(ReloadCommand::Ends { after: 0, succeeds: true })
                }
            },
            within: ms(reload.within),
        }),
        pre_start: declared.pre_start.as_ref().map(|hook| PreStart {
            runs: PreRuns::Ends(ms(course.pre_start.0), course.pre_start.1),
            on_stop: Reply::Dies(0),
            leaves: false,
            within: hook.within.map(ms),
        }),
        post_stop: declared.post_stop.as_ref().map(|hook| PostStop {
            runs: PostRuns::Ends { after: ms(after), succeeds },
            leaves: false,
            within: Some(ms(hook.within.unwrap_or(POST_STOP))),
        }),
        outside: node.is_outside(),
        ready: declared.ready.as_ref().map(|ready| Ready {
            told: ready.probe.value.is_told(),
            every: ms(ready.every),
            within: ms(ready.within),
        }),
        pid_file: declared.pid_file.as_ref().map(|_| PidFile {
            alone,
            early: None,
            // Such a unit is ready as soon as its file names its main process.
            late: if alone { first.ready.map(ms) } else { Some(0) },
            ends: None,
        }),
        health: declared.health.as_ref().map(|health| Health {
            told: health.probe.value.is_told(),
            every: ms(health.every),
            failures: health.failures,
            then: health.then,
        }),
        lives,
        handles: handled(graph, id),
        ..Unit::plain(declared.stage)
    }
}

/// Returns the signals that the configuration forwards to a unit.
fn handled(graph: &Graph, id: UnitId) -> Vec<Signal> {
    let forwarded = graph.rules.values().filter_map(|rule| match rule {
        Rule::Forward(signal, to) if to.is_empty() || to.contains(&id) => Some(*signal),
        Rule::Forward(..)
        | Rule::Stop
        | Rule::Ignore
        | Rule::Reopen
        | Rule::Reload
        | Rule::Foreground => None,
    });
    forwarded.collect()
}

/// A stop command has the effect that the stop signal has otherwise. It exits when the unit has.
fn stop_command(behavior: &Behavior) -> StopCommand {
    let (after, unit) = match behavior.stop {
        Stops::Dies(after) | Stops::Exits(after, _) => (ms(after), Some(0)),
        Stops::Ignores => (0, None),
    };
    StopCommand::Ends { after, succeeds: true, unit }
}

fn child(node: &Node, behavior: &Behavior, behind: bool) -> Child {
    let ends = behavior.ends.map(|(after, ending)| (ms(after), ending));
    // This is the daemon, which goes on.
    let stray =
        Stray { ends: None, follows: None, on_stop: Some(0), on_kill: Some(0), session: true };
    Child {
        start: match behavior.fails {
            Some((stage, errno)) => {
                let before = [SpawnStage::Settings, SpawnStage::Prepare, SpawnStage::Fork];
                Start::Fails(stage, errno, (!before.contains(&stage)).then_some(0))
            }
            None => Start::Executes(0),
        },
        end: if behind { Some((0, Ending::Code(0))) } else { ends },
        daemon_ends: if behind { ends } else { None },
        leaves: behind.then_some(stray),
        on_stop: match behavior.stop {
            Stops::Dies(after) => Reply::Dies(ms(after)),
            Stops::Exits(after, status) => Reply::Exits(ms(after), status),
            Stops::Ignores => Reply::Ignores,
        },
        ready: behavior.ready.map(ms),
        sick: behavior.sick.map(|(from, to)| (ms(from), to.map_or(Ms::MAX, ms))),
        ..Child::plain(node.unit.stage)
    }
}
