//! A new graph takes over while the run goes on.

use super::readiness::notified;
use super::restart::ready;
use super::*;

impl World {
    /// Offers a graph of these units, of which the named ones are replaced.
    pub(super) fn reload(&mut self, units: Vec<Unit>, replaced: &[&str]) {
        let graph = Graph::build(&config(WaitPolicy::Forever, units)).unwrap();
        let graph = Rc::new(graph.over_reusing(self.engine.graph(), &self.engine.spare()));
        let named = |id: &UnitId| replaced.contains(&graph.node(*id).unit.id().as_str());
        let replaced = graph.ids().filter(named).collect();
        self.engine.offer(graph, replaced);
        self.feed(Event::Reload { asker: asker(7) });
    }

    fn reloaded(&self) -> bool {
        self.facts.iter().any(|fact| matches!(fact, Fact::Reloaded { .. }))
    }

    fn pid(&self, name: &str) -> Option<i32> {
        self.pids.get(&self.id(name).0).copied()
    }
}

fn web() -> Vec<Unit> {
    vec![unit("async.db"), after(unit("async.app"), "async.db", None), unit("async.log")]
}

#[test]
fn what_stays_keeps_its_process_and_what_goes_stops_in_order_before_the_new_starts() {
    let mut world = World::of(WaitPolicy::Any, web());
    let log = world.pid("async.log");
    let new = after(unit("async.new"), "async.db", None);
    world.reload(vec![unit("async.db"), unit("async.log"), new], &["async.db"]);
    assert_eq!(world.sent(), [to("async.app", Signal::TERM)]);
    world.exit("async.app", 1);
    assert_eq!(world.sent(), [to("async.db", Signal::TERM)]);
    assert!(!world.reloaded());
    world.exit("async.db", 1);
    assert!(world.reloaded() && world.end.is_none());
    assert_eq!(world.running(), ["async.db", "async.log", "async.new"]);
    assert_eq!(world.pid("async.log"), log);
}

#[test]
fn what_is_held_stays_held_and_a_signal_in_the_middle_stops_all() {
    let mut world = World::of(WaitPolicy::Any, web());
    let stop = Request::Job(Task::Stop);
    world.feed(Event::Request { unit: world.id("async.log"), request: stop, asker: asker(7) });
    world.exit("async.log", 0);
    world.reload(web(), &["async.log"]);
    assert_eq!(world.running(), ["async.db", "async.app"]);
    world.reload(vec![unit("async.new")], &[]);
    let refused = Answer::Refused(Refusal::Reloading);
    world.feed(Event::Request { unit: world.id("async.db"), request: stop, asker: asker(7) });
    let answered =
        |fact: &Fact| matches!(fact, Fact::Requested { answer, .. } if *answer == refused);
    assert!(world.facts.iter().any(answered));
    world.signal(Signal::TERM, true);
    world.exit("async.app", 0);
    world.exit("async.db", 0);
    assert_eq!((world.end, world.started.len()), (Some(143), 3));
}

/// A unit that the new graph lacks used to wake the engine forever.
#[test]
fn a_fork_that_fails_once_its_unit_has_to_go_is_not_tried_again() {
    let built = |name| Graph::build(&config(WaitPolicy::Forever, vec![unit(name)])).unwrap();
    let mut engine = Engine::new(Rc::new(built("async.old")), 0);
    let step = |engine: &mut Engine, event| {
        let mut actions = vec![];
        engine.step(Duration::ZERO, event, &mut actions);
        actions
    };
    let old = UnitId(0);
    assert_eq!(step(&mut engine, Event::Begin), [Action::Spawn(old)]);
    let new = built("async.new").over(engine.graph());
    engine.offer(Rc::new(new), vec![]);
    step(&mut engine, Event::Reload { asker: asker(7) });
    let (stage, errno) = (SpawnStage::Fork, Some(Errno::EAGAIN));
    let failed = Event::SpawnFailed { unit: old, stage, errno, why: None };
    let done = step(&mut engine, failed);
    assert!(done.contains(&Action::Tell(Fact::Reloaded { generation: 1 })), "{done:?}");
    assert!(done.contains(&Action::Spawn(UnitId(1))), "{done:?}");
    assert_eq!(engine.next_deadline(), None);
}

#[test]
fn a_thousand_reloads_leave_no_more_behind_than_one() {
    let mut world = World::of(WaitPolicy::Forever, vec![unit("async.base"), unit("async.n0")]);
    let base = world.pid("async.base");
    for number in 1..=1000 {
        let before = format!("async.n{}", number - 1);
        world.reload(vec![unit("async.base"), unit(&format!("async.n{number}"))], &[]);
        world.exit(&before, 0);
    }
    assert_eq!(world.running(), ["async.base", "async.n1000"]);
    assert_eq!(world.pid("async.base"), base);
    let most = world.engine.graph().nodes.len();
    assert!(most <= 3 && world.engine.states.len() == most, "{most}");
}

/// The last line of the log would have blamed another unit.
#[test]
fn the_first_failure_keeps_its_name() {
    let mut world = World::of(WaitPolicy::Forever, vec![unit("async.bad"), unit("async.b")]);
    world.exit("async.bad", 3);
    world.reload(vec![unit("async.b")], &[]);
    world.reload(vec![unit("async.b"), unit("async.new")], &[]);
    world.signal(Signal::TERM, true);
    let first = world.engine.reason().and_then(|reason| reason.first_failure);
    assert_eq!(first.map(|id| world.name(id)), Some("async.bad".to_owned()));
}

impl World {
    fn rolled_back(&self) -> bool {
        self.facts.iter().any(|fact| matches!(fact, Fact::RolledBack { .. }))
    }
}

#[test]
fn the_old_graph_comes_back_if_a_replaced_unit_fails_and_the_others_run_on() {
    let old = || vec![unit("async.db"), ready(unit("async.web")), unit("async.log")];
    for fails in [true, false] {
        let mut world = World::of(WaitPolicy::Any, old());
        notified(&mut world, "async.web", Notice::Ready);
        let log = world.pid("async.log");
        let new = vec![unit("async.new"), ready(unit("async.web")), unit("async.log")];
        world.reload(new, &["async.web"]);
        world.exit("async.db", 0);
        world.exit("async.web", 0);
        assert_eq!(world.running(), ["async.web", "async.log", "async.new"]);
        if fails {
            world.exit("async.web", 3);
        } else {
            world.pass(SECOND * 10);
            assert_eq!(world.sent().last(), Some(&to("async.web", Signal::TERM)));
            world.exit("async.web", 0);
        }
        assert!(world.rolled_back());
        world.exit("async.new", 0);
        assert_eq!(world.running(), ["async.db", "async.web", "async.log"]);
        assert_eq!((world.pid("async.log"), world.end), (log, None));
    }
}

#[test]
fn a_new_graph_stays_once_all_is_up_or_if_it_is_to_be_kept_or_a_person_takes_over() {
    let web = || vec![ready(unit("async.web")), unit("async.log")];
    let reloaded = || {
        let mut world = World::of(WaitPolicy::Err, web());
        world.reload(web(), &["async.web"]);
        world.exit("async.web", 0);
        world
    };
    let mut world = reloaded();
    notified(&mut world, "async.web", Notice::Ready);
    world.exit("async.web", 3);
    assert!(!world.rolled_back());

    let mut world = reloaded();
    let request = Request::Job(Task::Stop);
    world.feed(Event::Request { unit: world.id("async.web"), request, asker: asker(7) });
    world.exit("async.web", 3);
    assert!(!world.rolled_back() && world.end.is_none());

    let mut world = World::of(WaitPolicy::Err, web());
    let graph = Graph::build(&config(WaitPolicy::Err, web())).unwrap();
    let graph = Rc::new(graph.over(world.engine.graph()));
    world.engine.offer_for_good(graph, vec![world.id("async.web")]);
    world.feed(Event::Reload { asker: asker(7) });
    world.exit("async.web", 0);
    world.exit("async.web", 3);
    assert!(!world.rolled_back());
    assert_eq!(world.sent().last(), Some(&to("async.log", Signal::TERM)));
}

/// What waits for a unit that has failed its probation waits on.
#[test]
fn nobody_is_blocked_by_what_the_old_graph_has_otherwise() {
    let units = || {
        let app = after(unit("async.app"), "async.web", Some(Condition::Ready));
        vec![ready(unit("async.web")), app]
    };
    let mut world = World::of(WaitPolicy::All, units());
    world.reload(units(), &["async.web"]);
    world.exit("async.web", 0);
    world.exit("async.web", 3);
    assert!(world.rolled_back());
    assert_eq!(world.running(), ["async.web"]);
    notified(&mut world, "async.web", Notice::Ready);
    assert_eq!(world.running(), ["async.web", "async.app"]);
}

/// The identities of its units may be those of others by now.
#[test]
fn a_graph_that_was_offered_before_another_took_over_is_refused() {
    let mut world = World::of(WaitPolicy::Any, web());
    world.reload(vec![unit("async.db"), unit("async.log")], &[]);
    let late = Graph::build(&config(WaitPolicy::Any, vec![unit("async.late")])).unwrap();
    let late = Rc::new(late.over(world.engine.graph()));
    world.engine.offer(late, vec![]);
    world.exit("async.app", 0);
    assert!(world.reloaded());
    world.feed(Event::Reload { asker: asker(7) });
    let refused = Fact::NotReloaded { why: Refusal::Reloading };
    assert!(world.facts.contains(&refused));
    assert_eq!(world.running(), ["async.db", "async.log"]);
}

#[test]
fn the_timeline_of_a_unit_names_those_that_are_gone_and_none_that_came_in_their_place() {
    let quiet = |name| Unit { on_failure: OnFailure::Ignore, ..unit(name) };
    let waits = after(quiet("async.b"), "async.a", Some(Condition::Succeeded));
    let mut world = World::of(WaitPolicy::Forever, vec![quiet("async.a"), waits]);
    let gone = world.id("async.a");
    world.exit("async.a", 1);
    world.reload(vec![quiet("async.b")], &[]);
    world.pass(SECOND);
    world.job("async.b", Task::Start);
    world.reload(vec![quiet("async.b"), unit("async.new")], &[]);
    assert_eq!(world.running(), ["async.b", "async.new"]);
    let (spans, _) = world.engine.timeline(world.id("async.b"));
    let blocked = spans.filter_map(|span| span.ended).map(|ended| ended.how);
    assert_eq!(blocked.collect::<Vec<_>>(), [How::Blocked(gone)]);
    assert_eq!(world.name(gone), "async.a");
}

#[test]
fn a_probation_does_not_wait_for_what_nobody_knows_when_it_starts() {
    let service = |name| Unit { oneshot: Some(false), ..unit(name) };
    let old = || vec![service("async.db"), service("sync.app")];
    let new = [
        after(service("async.web"), "async.db", None),
        after(service("async.end"), "sync.app", Some(Condition::Exited)),
        service("sync.next"),
    ];
    for new in new {
        let mut world = World::of(WaitPolicy::Any, old());
        world.job("async.db", Task::Stop);
        world.exit("async.db", 0);
        let units = old().into_iter().chain([new.clone()]).collect();
        world.reload(units, &[]);
        assert!(!world.engine.is_reloading(), "{}", new.id());
    }
}
