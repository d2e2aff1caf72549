//! `autostart = false`.

use std::rc::Rc;

use super::*;

fn idle(name: &str) -> Unit {
    Unit { autostart: false, ..unit(name) }
}

fn wanted(world: &World, name: &str) -> Wanted {
    world.engine.unit_snapshot(world.id(name)).wanted
}

fn ask(world: &mut World, name: &str, task: Task) -> Answer {
    let (unit, request) = (world.id(name), Request::Job(task));
    world.feed(Event::Request { unit, request, asker: asker(1) });
    let answer = world.facts.iter().rev().find_map(|fact| match fact {
        Fact::Requested { answer, .. } => Some(*answer),
        _ => None,
    });
    answer.unwrap()
}

fn reload(world: &mut World, units: Vec<Unit>) {
    let graph = Graph::build(&config(WaitPolicy::Forever, units)).unwrap();
    let graph = graph.over(world.engine.graph());
    world.engine.offer(Rc::new(graph), vec![]);
    world.feed(Event::Reload { asker: asker(1) });
}

#[test]
fn a_unit_without_autostart_waits_until_somebody_asks_for_it() {
    let mut world = World::of(WaitPolicy::Forever, vec![idle("async.a"), unit("async.b")]);
    assert_eq!(world.running(), ["async.b"]);
    assert_eq!(wanted(&world, "async.a"), Wanted::Idle);
    assert_eq!(world.engine.health(world.engine.graph().ids()).0, Health::Ready);
    assert_eq!(ask(&mut world, "async.a", Task::Stop), Answer::Unchanged);
    assert_eq!(ask(&mut world, "async.a", Task::Start), Answer::Begun(1));
    assert_eq!(world.running(), ["async.a", "async.b"]);
    assert_eq!(wanted(&world, "async.a"), Wanted::Up);
}

#[test]
fn a_unit_that_starts_takes_along_all_that_it_stands_on() {
    let chain = || {
        vec![
            idle("async.a"),
            after(idle("async.b"), "async.a", None),
            after(unit("async.c"), "async.b", None),
            after(unit("halt.h"), "async.d", None),
            idle("async.d"),
        ]
    };
    let world = World::of(WaitPolicy::Forever, chain());
    assert_eq!(world.started, ["async.a", "async.b", "async.c"]);
    assert_eq!(wanted(&world, "async.d"), Wanted::Idle);
    // And so does one that somebody asks for.
    let mut units = chain();
    units[2].autostart = false;
    let mut world = World::of(WaitPolicy::Forever, units);
    assert_eq!(world.started, Vec::<String>::new());
    ask(&mut world, "async.c", Task::Start);
    assert_eq!(world.started, ["async.a", "async.b", "async.c"]);
}

#[test]
fn no_wait_policy_counts_a_unit_before_it_has_been_asked_for() {
    for (wait, status) in [(WaitPolicy::Any, 143), (WaitPolicy::All, 0), (WaitPolicy::Err, 0)] {
        let mut world = World::of(wait, vec![idle("async.a"), unit("async.b")]);
        world.exit("async.b", 0);
        assert_eq!(world.end, Some(status), "{wait:?}");
        let mut world = World::of(wait, vec![idle("async.a"), unit("async.b")]);
        ask(&mut world, "async.a", Task::Start);
        world.exit("async.a", 3);
        let ends = wait != WaitPolicy::All;
        assert_eq!(!world.sent().is_empty(), ends, "{wait:?}");
    }
    assert_eq!(World::of(WaitPolicy::Any, vec![idle("async.a")]).end, Some(0));
    assert_eq!(World::of(WaitPolicy::Forever, vec![idle("async.a")]).end, None);
}

#[test]
fn a_cancelled_start_takes_an_idle_unit_back_if_it_has_no_process() {
    let units = vec![idle("async.a"), after(idle("async.b"), "async.a", Some(Condition::Exited))];
    let mut world = World::of(WaitPolicy::Forever, units);
    ask(&mut world, "async.b", Task::Start);
    world.feed(Event::Cancel { job: 1, asker: asker(1) });
    assert_eq!(wanted(&world, "async.b"), Wanted::Idle);
    world.exit("async.a", 0);
    assert_eq!(world.started, ["async.a"]);
}

#[test]
fn a_reload_changes_what_has_not_run_and_leaves_what_has() {
    let mut world = World::of(WaitPolicy::Forever, vec![idle("async.a"), unit("async.b")]);
    reload(&mut world, vec![unit("async.a"), idle("async.b"), idle("async.c")]);
    assert_eq!(world.running(), ["async.a", "async.b"]);
    assert_eq!(wanted(&world, "async.b"), Wanted::Up);
    assert_eq!(wanted(&world, "async.c"), Wanted::Idle);
}
