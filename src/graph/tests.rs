//! Tests of the errors and the order of a graph.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{
    After, Command, Condition, Config, Diagnostic, Log, LogFormat, Origin, Placed, Probe, Ready,
    Restart, Shutdown, Stage, Unit, WaitPolicy, When,
};
use crate::graph::{Graph, UnitId};

/// A unit `STAGE.NAME`. The lines in its `after` count from 1.
fn unit(id: &str, after: &[(&str, Option<Condition>)]) -> Unit {
    let (stage, name) = id.split_once('.').unwrap();
    let place = |line: usize| Origin::File {
        path: Arc::from(std::path::Path::new(name)),
        line: u32::try_from(line).unwrap(),
        column: 1,
    };
    let after = after.iter().enumerate().map(|(line, (other, condition))| After {
        unit: Placed { value: (*other).to_owned(), origin: place(line + 1) },
        condition: *condition,
    });
    let stage = *Stage::ALL.iter().find(|known| known.name() == stage).unwrap();
    let unit = Unit::new(stage, name, place(0), Command::Exec(vec![]));
    Unit { after: after.collect(), ..unit }
}

/// The same unit with `before`. The lines in it count from 101.
fn before(unit: Unit, others: &[(&str, Option<Condition>)]) -> Unit {
    let Origin::File { path, .. } = &unit.origin else { panic!() };
    let before = others.iter().zip(101..).map(|((other, condition), line)| After {
        unit: Placed {
            value: (*other).to_owned(),
            origin: Origin::File { path: path.clone(), line, column: 1 },
        },
        condition: *condition,
    });
    let before = before.collect();
    Unit { before, ..unit }
}

/// A unit without a command.
fn outside(id: &str) -> Unit {
    Unit { command: Command::Nothing, ..with_ready(unit(id, &[])) }
}

fn with_ready(unit: Unit) -> Unit {
    let probe = Placed { value: Probe::Notify, origin: Origin::Default };
    let second = Duration::from_secs(1);
    let ready = Ready { probe, every: second, timeout: second, within: second };
    Unit { ready: Some(ready), ..unit }
}

fn restarted(when: When, unit: Unit) -> Unit {
    Unit { restart: Restart { when, ..Restart::NO }, ..unit }
}

fn build(units: Vec<Unit>) -> Result<Graph, Vec<Diagnostic>> {
    Graph::build(&Config {
        wait: WaitPolicy::Any,
        shell: None,
        shutdown: Shutdown::default(),
        log: Log {
            level: log::LevelFilter::Info,
            asked: false,
            format: LogFormat::Trc,
            to: crate::config::LogTo::Both,
            output: None,
            termination: crate::config::Termination::default(),
            syslog: None,
        },
        control: crate::config::Control::default(),
        env: std::collections::BTreeMap::new(),
        file_env: crate::config::FileEnv::No,
        signals: std::collections::BTreeMap::new(),
        exit: crate::config::Exit::default(),
        left_out: std::collections::BTreeMap::new(),
        xtrace: false,
        work_dir: "/etc".into(),
        units,
        rest: vec![],
        testing: None,
        remarks: vec![],
    })
}

fn errors(units: Vec<Unit>) -> Vec<(String, String)> {
    let errors = build(units).unwrap_err();
    errors.into_iter().map(|error| (error.origin.to_string(), error.message)).collect()
}

fn order(units: Vec<Unit>) -> Vec<String> {
    build(units).unwrap().nodes.iter().map(|node| node.unit.id()).collect()
}

#[test]
fn a_cycle_is_named_in_full_with_a_place_on_it() {
    let found = errors(vec![
        unit("async.a", &[("async.b", None)]),
        unit("async.b", &[("async.c", None)]),
        unit("async.c", &[("async.a", None)]),
        unit("async.behind", &[("async.c", None)]),
    ]);
    let text = "these units wait for one another: async.a -> async.b -> async.c -> async.a";
    assert_eq!(found, [("a:1:1".to_owned(), text.to_owned())]);
}

#[test]
fn every_cycle_is_named_at_once() {
    let found = errors(vec![
        unit("async.self", &[("async.self", None)]),
        unit("sync.a", &[("async.b", None)]),
        unit("async.b", &[("sync.a", None)]),
    ]);
    let texts: Vec<&str> = found.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "these units wait for one another: async.self -> async.self",
            "these units wait for one another: async.b -> sync.a -> async.b",
        ]
    );
}

#[test]
fn who_waits_for_a_unit_without_readiness_is_told_what_to_write() {
    let ready = Some(Condition::Ready);
    for (waits, advice) in [("async.a", true), ("halt.a", false)] {
        let units = vec![unit(waits, &[("async.b", ready)]), unit("async.b", &[])];
        let help = build(units).unwrap_err().remove(0).help;
        let expected = "add `ready` to async.b, or write \"started\" instead of \"ready\"";
        assert_eq!(help.as_deref(), advice.then_some(expected), "{waits}");
    }
}

#[test]
fn a_condition_that_can_never_hold_is_refused_with_its_place() {
    for (units, text) in [
        (
            vec![unit("boot.b", &[("async.a", None)]), unit("async.a", &[])],
            "boot.b cannot wait for async.a: boot units run before all others",
        ),
        (
            vec![unit("sync.s", &[("halt.h", None)]), unit("halt.h", &[])],
            "sync.s cannot wait for halt.h: halt units run after everything has stopped",
        ),
        (
            vec![unit("async.a", &[("boot.b", Some(Condition::Failed))]), unit("boot.b", &[])],
            "async.a cannot wait for boot.b to fail: the failure of a boot unit ends the run",
        ),
        (
            vec![unit("async.a", &[("async.b", Some(Condition::Ready))]), unit("async.b", &[])],
            "async.a cannot wait for async.b to be ready: it has no `ready`",
        ),
        (
            vec![unit("async.a", &[("async.b", Some(Condition::Started))]), outside("async.b")],
            "async.a can wait for the external unit async.b only to be ready or to fail",
        ),
        (
            vec![
                unit("async.a", &[("async.b", Some(Condition::Succeeded))]),
                restarted(When::Always, unit("async.b", &[])),
            ],
            "async.a cannot wait for async.b to succeed: it is always restarted",
        ),
    ] {
        let name = units[0].name.clone();
        assert_eq!(errors(units), [(format!("{name}:1:1"), text.to_owned())]);
    }
}

#[test]
fn units_that_run_one_by_one_keep_the_order_written_unless_an_edge_says_otherwise() {
    assert_eq!(
        order(vec![unit("sync.a", &[]), unit("boot.b", &[]), unit("sync.c", &[])]),
        ["boot.b", "sync.a", "sync.c"]
    );
    assert_eq!(
        order(vec![
            unit("boot.first", &[("boot.second", None)]),
            unit("boot.second", &[]),
            unit("boot.third", &[])
        ]),
        ["boot.second", "boot.first", "boot.third"]
    );
    // This also works through another stage.
    assert_eq!(
        order(vec![
            unit("sync.a", &[("async.x", None)]),
            unit("sync.b", &[]),
            unit("async.x", &[("sync.b", None)])
        ]),
        ["async.x", "sync.b", "sync.a"]
    );
}

#[test]
fn a_bare_name_waits_for_readiness_else_for_a_one_shots_success_else_for_the_start() {
    let units = vec![
        unit("boot.setup", &[]),
        unit("async.migrate", &[]),
        unit("async.app", &[("async.migrate", None)]),
        unit("async.other", &[("async.migrate", Some(Condition::Succeeded)), ("boot.setup", None)]),
        unit("async.last", &[("async.app", None)]),
        with_ready(unit("async.db", &[])),
        unit("async.web", &[("async.db", None)]),
        unit("test.t", &[("async.migrate", None), ("async.app", None), ("async.db", None)]),
        unit("halt.save", &[("async.db", None)]),
    ];
    let graph = build(units).unwrap();
    let conditions = |at: usize| {
        graph
            .node(UnitId(at))
            .needs
            .iter()
            .filter(|need| need.written)
            .map(|need| need.condition)
            .collect::<Vec<_>>()
    };
    assert_eq!(conditions(2), [Condition::Succeeded]);
    assert_eq!(conditions(3), [Condition::Succeeded, Condition::Succeeded]);
    assert_eq!(conditions(4), [Condition::Started]);
    assert_eq!(conditions(6), [Condition::Ready]);
    assert_eq!(conditions(7), [Condition::Succeeded, Condition::Started, Condition::Ready]);
    assert_eq!(conditions(8), [Condition::Started], "nothing is ready any more by then");
}

#[test]
fn what_is_restarted_with_another_waits_for_it() {
    let with = Placed { value: "async.db".to_owned(), origin: Origin::Default };
    let restart = Restart { with: vec![with], ..Restart::NO };
    let app = Unit { restart, ..unit("async.app", &[]) };
    let graph = build(vec![app.clone(), with_ready(unit("async.db", &[]))]).unwrap();
    let (db, app_id) = (UnitId(0), UnitId(1));
    assert_eq!(graph.node(app_id).unit.name, "app");
    assert_eq!(graph.node(db).restarts, [app_id]);
    assert_eq!(graph.node(db).dependents, [app_id]);
    assert_eq!(graph.node(app_id).needs[0].condition, Condition::Ready);
    // A unit chooses the conditions itself.
    let after = After { unit: app.restart.with[0].clone(), condition: Some(Condition::Started) };
    let app = Unit { after: vec![after], ..app };
    let graph = build(vec![app, with_ready(unit("async.db", &[]))]).unwrap();
    let conditions: Vec<_> = graph.node(app_id).needs.iter().map(|need| need.condition).collect();
    assert_eq!(conditions, [Condition::Started]);
}

#[test]
fn before_is_after_told_from_the_other_side() {
    let job = || Unit { oneshot: Some(true), ..unit("async.job", &[]) };
    let db = || with_ready(unit("async.db", &[]));
    let conditions = [None, Some(Condition::Started), Some(Condition::Exited)];
    for condition in conditions {
        let web = unit("sync.web", &[("async.db", condition), ("async.job", condition)]);
        let after = build(vec![db(), job(), web]).unwrap();
        let told = |other| before(other, &[("sync.web", condition)]);
        let before = build(vec![told(db()), told(job()), unit("sync.web", &[])]).unwrap();
        for (after, before) in after.nodes.iter().zip(&before.nodes) {
            assert_eq!((&after.needs, after.oneshot), (&before.needs, before.oneshot));
            assert_eq!(after.dependents, before.dependents);
        }
    }
    let first = before(unit("sync.late", &[]), &[("sync.web", None)]);
    assert_eq!(order(vec![unit("sync.web", &[]), first]), ["sync.late", "sync.web"]);
}

#[test]
fn what_before_cannot_mean_is_refused_with_its_place() {
    for (id, other, condition, message) in [
        (
            "async.a",
            "boot.b",
            None,
            "boot.b cannot wait for async.a: boot units run before all others",
        ),
        (
            "halt.a",
            "sync.b",
            None,
            "sync.b cannot wait for halt.a: halt units run after everything has stopped",
        ),
        (
            "async.a",
            "async.b",
            Some(Condition::Ready),
            "async.b cannot wait for async.a to be ready: it has no `ready`",
        ),
        (
            "async.a",
            "test.b",
            None,
            "async.a cannot be before test.b: a test chooses the units that it waits for",
        ),
    ] {
        let first = before(unit(id, &[]), &[(other, condition)]);
        let found = errors(vec![first, unit(other, &[])]);
        assert_eq!(found, [("a:101:1".to_owned(), message.to_owned())]);
    }
}

#[test]
fn a_cycle_by_way_of_before_is_named_with_the_place_of_it() {
    let units = || {
        let b = before(unit("async.b", &[]), &[("async.c", None)]);
        let first = before(unit("async.a", &[]), &[("async.b", None)]);
        vec![
            first,
            b,
            unit("async.c", &[]),
            before(unit("async.d", &[("async.c", None)]), &[("async.a", None)]),
        ]
    };
    let text =
        "these units wait for one another: async.a -> async.d -> async.c -> async.b -> async.a";
    assert_eq!(errors(units()), [("d:101:1".to_owned(), text.to_owned())]);
    let help = build(units()).unwrap_err().remove(0).help.unwrap();
    assert!(help.contains("`before` of the unit to the right"), "{help}");
}

#[test]
fn no_policy_counts_what_stands_for_something_outside() {
    let graph = build(vec![outside("async.db"), unit("async.app", &[])]).unwrap();
    let counted: Vec<bool> = graph.nodes.iter().map(super::Node::counts).collect();
    assert_eq!(counted, [false, true]);
}

#[test]
fn over_another_graph_names_keep_their_ids_and_the_order_is_new() {
    let ids = |graph: &Graph| -> Vec<(usize, String)> {
        graph.ids().map(|id| (id.0, graph.node(id).unit.id())).collect()
    };
    let old = build(vec![unit("async.app", &[]), unit("async.old", &[])]).unwrap();
    let new = vec![unit("async.app", &[("async.db", None)]), unit("async.db", &[])];
    let graph = build(new).unwrap().over(&old);
    assert_eq!(ids(&graph), [(2, "async.db".to_owned()), (0, "async.app".to_owned())]);
    assert_eq!(graph.node(UnitId(0)).needs[0].unit, UnitId(2));
    assert_eq!(graph.node(UnitId(2)).dependents, [UnitId(0)]);
    // A unit that is no longer in the graph is still known, and gets the same id if it comes back.
    assert_eq!(graph.node(UnitId(1)).unit.id(), "async.old");
    let again = build(vec![unit("async.old", &[])]).unwrap().over(&graph);
    assert_eq!(ids(&again), [(1, "async.old".to_owned())]);
}

#[test]
fn a_new_name_gets_the_id_of_a_unit_that_is_gone_for_good_unless_its_name_comes_back() {
    let old = build(vec![unit("async.app", &[]), unit("async.old", &[])]).unwrap();
    let new = |name| build(vec![unit("async.app", &[]), unit(name, &[])]).unwrap();
    let spare = [UnitId(1)];
    let graph = new("async.new").over_reusing(&old, &spare);
    assert_eq!(graph.node(UnitId(1)).unit.id(), "async.new");
    let graph = build(vec![unit("async.new", &[]), unit("async.old", &[])]).unwrap();
    let graph = graph.over_reusing(&old, &spare);
    assert_eq!(graph.node(UnitId(1)).unit.id(), "async.old");
    assert_eq!(graph.node(UnitId(2)).unit.id(), "async.new");
}
