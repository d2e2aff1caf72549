//! `pre_start` and `post_stop`.

use super::restart::{ready, restarted};
use super::*;
use crate::config::When;

fn with_pre(name: &str) -> Unit {
    Unit { pre_start: Some(Box::new(hook(None))), ..unit(name) }
}

fn with_post(name: &str) -> Unit {
    Unit { post_stop: Some(Box::new(hook(None))), ..unit(name) }
}

fn finish(world: &mut World, name: &str, succeeded: bool) {
    let unit = world.id(name);
    world.feed(Event::PostStopEnded { unit, succeeded, left: false, why: None });
}

fn has_failed(world: &World, name: &str, how: How) -> bool {
    world.engine.ended(world.id(name)).is_some_and(|ended| ended.how == how && ended.failed())
}

#[test]
fn a_unit_starts_when_its_pre_start_has_succeeded() {
    let mut world = World::of(
        WaitPolicy::Forever,
        vec![with_pre("async.a"), after(unit("async.b"), "async.a", None)],
    );
    assert_eq!(world.started, ["async.a's pre_start"]);
    world.exit("async.a", 0);
    assert_eq!(world.started, ["async.a's pre_start", "async.a", "async.b"]);
}

#[test]
fn a_failed_pre_start_is_the_failure_of_its_unit_and_is_restarted_like_one() {
    let failing = restarted(When::OnFailure, with_pre("async.a"));
    let mut world = World::of(WaitPolicy::Forever, vec![failing, with_pre("async.b")]);
    world.exit("async.b", 3);
    assert!(has_failed(&world, "async.b", How::PreStart(Ending::Code(3))));
    world.exit("async.a", 3);
    let how = How::PreStart(Ending::Code(3));
    let restarts =
        |fact: &Fact| matches!(fact, Fact::Restarting { how: it, status: 3, .. } if *it == how);
    assert!(world.facts.iter().any(restarts), "{:?}", world.facts);
    world.pass(SECOND * 2);
    assert_eq!(world.running(), ["async.a"]);
    assert_eq!(world.started.last().unwrap(), "async.a's pre_start");
}

#[test]
fn a_start_that_is_tried_again_for_want_of_processes_begins_with_the_pre_start() {
    let mut world = World::of(WaitPolicy::Forever, vec![with_pre("async.a")]);
    world.scarce = 1;
    world.exit("async.a", 0);
    assert_eq!(world.running(), Vec::<String>::new());
    world.started.clear();
    world.pass(limits::FORK_BACKOFF);
    assert_eq!(world.started, ["async.a's pre_start"]);
    world.exit("async.a", 0);
    assert_eq!(world.started, ["async.a's pre_start", "async.a"]);
}

#[test]
fn a_pre_start_that_takes_too_long_is_stopped_with_its_process_group_and_fails_with_124() {
    let slow = Unit { pre_start: Some(Box::new(hook(Some(SECOND * 3)))), ..unit("async.a") };
    // The unit's own way to stop is for its own program.
    let slow = Unit { stop: Stop { signal: Some(Signal::QUIT), ..Stop::default() }, ..slow };
    let mut world = World::of(WaitPolicy::Forever, vec![slow]);
    world.pass(Duration::from_millis(2999));
    assert_eq!(world.sent(), []);
    world.pass(Duration::from_millis(1));
    assert_eq!(world.sent(), [to("async.a", Signal::TERM)]);
    world.die("async.a", Ending::Signal(Signal::TERM), Left::Nothing);
    assert!(has_failed(&world, "async.a", How::Unprepared));
    assert_eq!(world.engine.ended(world.id("async.a")).unwrap().status, 124);
}

#[test]
fn whatever_a_pre_start_leaves_running_is_killed_before_its_unit_starts() {
    let mut world = World::of(WaitPolicy::Forever, vec![with_pre("async.a")]);
    world.die("async.a", Ending::Code(0), Left::Others);
    assert_eq!(world.sent(), [to("async.a", Signal::KILL)]);
    assert_eq!(world.running(), ["async.a"]);
}

#[test]
fn a_stop_ends_a_pre_start_and_the_unit_never_starts() {
    let mut world = World::of(WaitPolicy::Forever, vec![with_pre("async.a")]);
    world.signal(Signal::TERM, true);
    assert_eq!(world.sent(), [to("async.a", Signal::TERM)]);
    // It has just succeeded.
    world.exit("async.a", 0);
    assert_eq!(world.started, ["async.a's pre_start"]);
    assert_eq!(world.end, Some(143));
}

#[test]
fn everything_that_waits_for_the_end_of_a_unit_waits_for_its_post_stop() {
    let once = Unit { oneshot: Some(true), ..with_post("async.once") };
    let next = after(unit("async.next"), "async.once", Some(Condition::Succeeded));
    let mut world = World::of(WaitPolicy::Forever, vec![once, next]);
    world.exit("async.once", 0);
    assert_eq!(world.post_stops, [("async.once".to_owned(), 0, EndReason::Exited)]);
    assert_eq!(world.running(), Vec::<String>::new());
    finish(&mut world, "async.once", true);
    assert_eq!(world.running(), ["async.next"]);
}

#[test]
fn a_restart_waits_for_post_stop_and_its_failure_changes_nothing() {
    let unit = restarted(When::Always, with_post("async.a"));
    let mut world = World::of(WaitPolicy::Forever, vec![unit]);
    world.die("async.a", Ending::Signal(Signal::SEGV), Left::Nothing);
    world.pass(Duration::from_secs(2));
    assert_eq!(world.started.len(), 1);
    finish(&mut world, "async.a", false);
    let failed = |fact: &Fact| matches!(fact, Fact::PostStopFailed { .. });
    assert!(world.facts.iter().any(failed));
    world.pass(Duration::from_secs(2));
    assert_eq!(world.started.len(), 2);
    assert_eq!(world.post_stops, [("async.a".to_owned(), 139, EndReason::Killed)]);
}

#[test]
fn the_stop_of_a_run_waits_for_post_stop_and_so_do_the_units_below() {
    let user = after(with_post("async.web"), "async.db", Some(Condition::Started));
    let mut world = World::of(WaitPolicy::Forever, vec![unit("async.db"), user]);
    world.signal(Signal::TERM, true);
    assert_eq!(world.sent(), [to("async.web", Signal::TERM)]);
    world.die("async.web", Ending::Signal(Signal::TERM), Left::Nothing);
    assert_eq!(world.post_stops, [("async.web".to_owned(), 143, EndReason::Stopped)]);
    assert_eq!(world.sent(), []);
    finish(&mut world, "async.web", true);
    assert_eq!(world.sent(), [to("async.db", Signal::TERM)]);
    world.exit("async.db", 0);
    assert_eq!(world.end, Some(143));
}

#[test]
fn a_post_stop_that_takes_too_long_is_killed_and_nobody_waits_for_it_any_more() {
    let slow = Unit { post_stop: Some(Box::new(hook(Some(SECOND * 3)))), ..unit("sync.a") };
    let mut world = World::of(WaitPolicy::Any, vec![slow]);
    world.exit("sync.a", 7);
    world.pass(Duration::from_millis(2999));
    assert_eq!(world.end, None);
    world.pass(Duration::from_millis(1));
    assert_eq!(world.killed_commands, ["sync.a"]);
    assert_eq!(world.end, Some(7));
}

#[test]
fn the_shutdown_timeout_kills_a_post_stop_and_lets_none_begin() {
    let long = Some(Duration::from_mins(1));
    let units = ["async.a", "async.b"].map(|name| Unit {
        post_stop: Some(Box::new(hook(long))),
        stop: Stop { timeout: long, ..Stop::default() },
        ..unit(name)
    });
    let mut config = config(WaitPolicy::Forever, units.to_vec());
    config.shutdown.timeout = Some(Duration::from_secs(9));
    let mut world = World::new(&config);
    world.signal(Signal::TERM, true);
    world.exit("async.a", 0);
    assert_eq!(world.post_stops.len(), 1);
    world.pass(Duration::from_secs(7));
    assert_eq!(world.killed_commands, ["async.a"]);
    world.die("async.b", Ending::Signal(Signal::KILL), Left::Nothing);
    assert_eq!(world.post_stops.len(), 1);
    let skipped = |fact: &Fact| matches!(fact, Fact::PostStopSkipped { .. });
    assert!(world.facts.iter().any(skipped));
    assert_eq!(world.end, Some(143));
}

#[test]
fn processes_that_a_post_stop_has_left_are_killed_and_its_unit_ends() {
    let mut world = World::of(WaitPolicy::Any, vec![with_post("sync.a")]);
    world.exit("sync.a", 7);
    let unit = world.id("sync.a");
    world.feed(Event::PostStopEnded { unit, succeeded: true, left: true, why: None });
    assert_eq!(world.killed_commands, ["sync.a"]);
    let left = |fact: &Fact| matches!(fact, Fact::PostStopLeft { .. });
    assert!(world.facts.iter().any(left));
    assert_eq!(world.end, Some(7));
}

#[test]
fn post_stop_knows_why_its_unit_has_ended() {
    let unready = ready(with_post("async.a"));
    let both = |name: &str| Unit { pre_start: Some(Box::new(hook(None))), ..with_post(name) };
    let sick = Unit { max_runtime: Some(Duration::from_secs(1)), ..with_post("async.c") };
    let mut world = World::of(WaitPolicy::Forever, vec![unready, both("async.b"), sick]);
    world.exit("async.b", 5);
    world.pass(Duration::from_secs(1));
    world.die("async.c", Ending::Signal(Signal::TERM), Left::Nothing);
    world.pass(SECOND * 9);
    world.exit("async.a", 0);
    assert_eq!(
        world.post_stops,
        [
            ("async.b".to_owned(), 5, EndReason::PreStart),
            ("async.c".to_owned(), 143, EndReason::Overran),
            ("async.a".to_owned(), 0, EndReason::NotReady),
        ]
    );
}

#[test]
fn post_stop_runs_after_a_failed_start_only_if_something_was_executed() {
    let both = Unit { pre_start: Some(Box::new(hook(None))), ..with_post("async.b") };
    let mut world = World::of(WaitPolicy::Forever, vec![with_post("async.a"), both]);
    // The command of the first one is missing.
    let (stage, errno) = (SpawnStage::Execute, Some(Errno::ENOENT));
    world.exit("async.a", 0);
    finish(&mut world, "async.a", true);
    world.post_stops.clear();
    world.commands = Commands::Missing;
    let (unit, request) = (world.id("async.a"), Request::Job(Task::Start));
    world.feed(Event::Request { unit, request, asker: asker(1) });
    assert!(has_failed(&world, "async.a", How::NotStarted(stage, errno)));
    assert_eq!(world.post_stops, []);
    world.exit("async.b", 0);
    assert_eq!(world.post_stops, [("async.b".to_owned(), 127, EndReason::NotStarted)]);
    finish(&mut world, "async.b", true);
    assert!(has_failed(&world, "async.b", How::NotStarted(stage, errno)));
}

#[test]
fn a_stop_by_hand_in_the_middle_of_a_post_stop_holds_the_unit() {
    let unit = restarted(When::Always, with_post("async.a"));
    let mut world = World::of(WaitPolicy::Forever, vec![unit]);
    world.exit("async.a", 1);
    let (id, request) = (world.id("async.a"), Request::Job(Task::Stop));
    world.feed(Event::Request { unit: id, request, asker: asker(1) });
    finish(&mut world, "async.a", true);
    world.pass(Duration::from_mins(1));
    assert_eq!(world.started.len(), 1);
    let request = Request::Job(Task::Start);
    world.feed(Event::Request { unit: id, request, asker: asker(1) });
    assert_eq!(world.started.len(), 2);
}
