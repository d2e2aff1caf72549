//! Engines with mistakes in test runs, which the simulation must find.

use std::time::Duration;

use super::super::mutant::{Mutant, graph};
use super::super::plan::Plan;
use super::{actions, event};
use crate::config::{FaultKind, Stage, StopCheck, Test};
use crate::engine::{Action, Event, Fact, Late, Outcome, Target};
use crate::graph::{Graph, Node, points};
use crate::signal::Signal;

fn tests(graph: &mut Graph, change: impl FnMut(&mut Test)) {
    graph.nodes.iter_mut().filter_map(|node| node.unit.test.as_deref_mut()).for_each(change);
}

fn test_nodes(graph: &mut Graph) -> impl Iterator<Item = &mut Node> {
    graph.nodes.iter_mut().filter(|node| node.unit.stage == Stage::Test)
}

/// Duplicates the first action of a kind.
fn double(actions: &mut Vec<Action>, kind: fn(&Action) -> bool) {
    let one = actions.iter().find(|action| kind(action)).cloned();
    actions.extend(one);
}

/// Returns whether CONT goes to a group that got no stop signal just before.
fn continues(actions: &[Action], at: usize) -> bool {
    let Action::Signal(Target::Group(id), Signal::CONT) = actions[at] else { return false };
    let before = at.checked_sub(1).map(|before| &actions[before]);
    !matches!(before, Some(Action::Signal(Target::Group(one), _)) if *one == id)
}

pub(in crate::simulation) const TEST_MUTANTS: &[Mutant] = &[
    graph("treats a test run as a run in production", |graph| graph.testing = false),
    event("fails a test whose attempt was not made", |event| match event {
        Event::Tried { unit, outcome: Outcome::NotMade } => {
            Event::Tried { unit, outcome: Outcome::Failed }
        }
        event => event,
    }),
    actions("stops a test run at the first end of a unit", |actions, plan| {
        let ends = |action: &Action| matches!(action, Action::Tell(Fact::Exited { .. }));
        if let Some(at) = actions.iter().position(ends).filter(|_| plan.drill.is_some()) {
            actions.insert(at + 1, Action::Tell(Fact::Stopping));
        }
    }),
    graph("runs tests together", |graph| {
        test_nodes(graph).for_each(|node| node.needs.retain(|need| need.written));
    }),
    graph("does not run tests with faults last", |graph| {
        for node in test_nodes(graph).filter(|node| node.victim.is_some()) {
            node.needs.retain(|need| need.written);
        }
    }),
    graph("begins tests before anything is up", |graph| {
        test_nodes(graph).for_each(|node| node.needs.retain(|need| !need.written));
    }),
    graph("waits for a second longer than a test may", |graph| {
        tests(graph, |test| test.start_within += Duration::from_secs(1));
    }),
    graph("gives up before a test may begin", |graph| {
        tests(graph, |test| test.start_within /= 2);
    }),
    graph("gives each test a second more", |graph| {
        tests(graph, |test| test.within = test.within.map(|time| time + Duration::from_secs(1)));
    }),
    graph("tries tests once", |graph| tests(graph, |test| test.within = None)),
    graph("ends a test with its first attempt", |graph| tests(graph, |test| test.holds = None)),
    graph("does not limit the time of an attempt", |graph| {
        tests(graph, |test| test.max_runtime = Duration::from_hours(1));
    }),
    graph("does no faults", |graph| test_nodes(graph).for_each(|node| node.victim = None)),
    graph("keeps no unit down", |graph| {
        tests(graph, |test| {
            if let Some(fault) = &mut test.fault
                && fault.value.kind == FaultKind::Down
            {
                fault.value.kind = FaultKind::Kill(Signal::TERM);
            }
        });
    }),
    graph("runs no jobs", |graph| test_nodes(graph).for_each(|node| node.job = None)),
    graph("kills a unit that it should suspend", |graph| {
        tests(graph, |test| {
            if let Some(fault) = &mut test.fault
                && matches!(fault.value.kind, FaultKind::Stop(_))
            {
                fault.value.kind = FaultKind::Kill(Signal::KILL);
            }
        });
    }),
    graph("suspends units for too long", |graph| {
        tests(graph, |test| {
            if let Some(fault) = &mut test.fault
                && let FaultKind::Stop(time) = &mut fault.value.kind
            {
                *time += Duration::from_millis(20);
            }
        });
    }),
    graph("does not wait until units are calm", |graph| {
        for need in graph.nodes.iter_mut().flat_map(|node| &mut node.needs) {
            need.calm = false;
        }
    }),
    graph("has no patience with units", |graph| graph.patience = Duration::ZERO),
    graph("lets one-shots run", |graph| {
        graph.nodes.iter_mut().for_each(|node| node.ends = false);
    }),
    graph("accepts no other process after a fault", |graph| {
        tests(graph, |test| {
            test.fault.iter_mut().for_each(|fault| fault.value.restarts = Some(false));
        });
    }),
    graph("accepts any process after a fault", |graph| {
        tests(graph, |test| {
            test.fault.iter_mut().for_each(|fault| fault.value.restarts = None);
        });
    }),
    graph("lets units stop with any status", |graph| {
        graph.nodes.iter_mut().for_each(|node| node.stop_statuses = (0..=255).collect());
    }),
    graph("does not check how units stop", |graph| {
        tests(graph, |test| test.stop = StopCheck::default());
    }),
    graph("does not limit the time of a stop", |graph| graph.grace = Duration::from_hours(1)),
    graph("lets tests be skipped", |graph| graph.strict = false),
    graph("lets no test be skipped", |graph| graph.strict = true),
    graph("excuses everything", |graph| {
        for node in &graph.nodes {
            let unit = &node.unit;
            for point in [
                points::run(unit),
                points::stop(unit),
                points::post_stop(unit),
                points::log(unit),
                points::max_rss(unit),
                points::after_stop(unit),
            ] {
                graph.allowed.insert(point, String::new());
            }
        }
        for point in points::ALL {
            graph.allowed.insert(point.to_owned(), String::new());
        }
    }),
    event("does not notice the OOM killer", |event| match event {
        Event::OomKilled => Event::Woken,
        event => event,
    }),
    event("takes too much memory for a wrong line", |event| match event {
        Event::Remains { orphans, sessions, mut late } => {
            for (_, late) in &mut late {
                *late = Late::Said;
            }
            Event::Remains { orphans, sessions, late }
        }
        event => event,
    }),
    event("lets units use any amount of memory", |event| match event {
        Event::Remains { orphans, sessions, mut late } => {
            late.retain(|(_, late)| *late != Late::Used);
            Event::Remains { orphans, sessions, late }
        }
        event => event,
    }),
    graph("excuses nothing", |graph| graph.allowed.clear()),
    actions("applies [exit] to a test run", |actions, plan: &Plan| {
        for action in actions.iter_mut().filter(|_| plan.drill.is_some()) {
            if let Action::End { status } = action {
                let mapped = plan.exit.iter().find(|(from, _)| from == status);
                *status = mapped.map_or(*status, |(_, to)| *to);
            }
        }
    }),
    actions("forgets to continue a suspended unit", |actions, plan| {
        // Nobody sends trc a SIGCONT that it would pass on.
        let tells = plan.units.iter().any(|unit| unit.child.tells.is_some());
        if plan.drill.is_none() || tells || !plan.signals.is_empty() {
            return;
        }
        let kept: Vec<Action> = (0..actions.len())
            .filter(|at| !continues(actions, *at))
            .map(|at| actions[at].clone())
            .collect();
        *actions = kept;
    }),
    actions("makes two attempts of a test at the same time", |actions, _| {
        double(actions, |action| matches!(action, Action::Try(..)));
    }),
    actions("tries no test", |actions, _| {
        actions.retain(|action| !matches!(action, Action::Try(..)));
    }),
    actions("searches for zombies twice at the same time", |actions, _| {
        double(actions, |action| matches!(action, Action::Inspect));
    }),
    actions("looks for no zombies", |actions, _| {
        actions.retain(|action| !matches!(action, Action::Inspect));
    }),
    actions("does not search for remaining processes", |actions, _| {
        actions.retain(|action| !matches!(action, Action::Remains));
    }),
    actions("does not report that a test began", |actions, _| {
        actions.retain(|action| !matches!(action, Action::Tell(Fact::TestBegan { .. })));
    }),
    actions("does not report the result of a test", |actions, _| {
        actions.retain(|action| !matches!(action, Action::Tell(Fact::TestEnded { .. })));
    }),
    actions("does not strike", |actions, _| {
        let begins = |action: &Action| matches!(action, Action::Tell(Fact::TestBegan { .. }));
        if let Some(at) = actions.iter().position(begins)
            && matches!(actions.get(at + 1), Some(Action::Signal(..)))
        {
            actions.remove(at + 1);
        }
    }),
];
