//! The reason why the run ended, in one line, and how units and tests ended.

use std::fmt::Write as _;

use super::detail::{out_of_memory, pid_file};
use super::sender::asker;
use super::{detail, not_started, not_up, sender, some};
use crate::config::Stage;
use crate::engine::{
    Cause, Detail, EndReason, Ended, Ending, Engine, How, Lack, LastWord, Link, Purpose, Reason,
    TestEnd,
};
use crate::graph::{Graph, UnitId};

/// Returns why the run ended, in one line.
pub(crate) fn reason(engine: &Engine, reason: &Reason) -> String {
    let graph = engine.graph();
    let name = |id: UnitId| graph.node(id).unit.id();
    let failed = |id: UnitId| match engine.ended(id) {
        Some(ended) => format!("{} {}", name(id), self::ended(engine, id, ended)),
        None => name(id),
    };
    let told = has_chain(engine, reason).then_some(&reason.behind);
    let is_told = |id| told.is_some_and(|links| links.iter().any(|link| link.unit == id));
    let first = |shown: Option<UnitId>| match reason.first_failure {
        Some(id) if Some(id) != shown && !is_told(id) => format!("; before that {}", failed(id)),
        Some(_) | None => String::new(),
    };
    // The arrow says what a unit has waited for.
    let effect = |id: UnitId| match (engine.ended(id), told) {
        (Some(Ended { how: How::Blocked(_), .. }), Some(_)) => {
            format!("{} could not be started", name(id))
        }
        _ => failed(id),
    };
    let chain = || told.map_or_else(String::new, |links| behind(graph, links));
    let cause = match &reason.cause {
        Cause::Boot(id) => format!("boot failed: {}{}", effect(*id), chain()),
        Cause::CommandLine => {
            "cannot run the command line that the boot scripts have set".to_owned()
        }
        Cause::Ended(id) | Cause::Failed(id) | Cause::AllEnded(Some(id)) => {
            let help = engine.ended(*id).and_then(|ended| meant_to_run(graph, *id, ended));
            let daemon = engine.left_others(*id) && graph.node(*id).unit.pid_file.is_none();
            let help = help.map(|help| if daemon { DAEMON } else { help });
            format!("{}{}{}{}", effect(*id), help.unwrap_or_default(), chain(), first(Some(*id)))
        }
        Cause::AllEnded(None) => "every unit has ended".to_owned(),
        Cause::Tested => format!("{}{}", tested(engine), oom_in_test(engine, reason)),
        Cause::Signal(signal, from) => {
            format!("stopped by {signal} from {}{}", sender(graph, from), first(None))
        }
        Cause::Asked(by) => format!("{} asked to stop the run{}", asker(graph, by), first(None)),
        Cause::Terminal(id, signal) => {
            format!("stopped by {signal} from the terminal, which terminated {}", name(*id))
        }
    };
    match reason.last_word {
        None => cause,
        Some(LastWord::Unit(id)) => format!("{}; before that {cause}", failed(id)),
        Some(LastWord::Late) => {
            let budget = graph.budget.as_secs_f64();
            format!(
                "there was no time left for halt units: shutdown.timeout is {budget} s; \
                 before that {cause}"
            )
        }
        Some(LastWord::Cut(signal)) => {
            format!("{signal} cut the halt units short; before that {cause}")
        }
    }
}

/// Returns whether the last line has the chain of failures from which the end of the run follows. If
/// the unit that ended the run has waited for the only other one, the usual sentence may say the same.
pub(crate) fn has_chain(engine: &Engine, reason: &Reason) -> bool {
    let blocked = |id: UnitId| match engine.ended(id) {
        Some(Ended { how: How::Blocked(by), .. }) => Some(by),
        Some(_) | None => None,
    };
    let effect = match reason.cause {
        Cause::Boot(id) | Cause::Ended(id) | Cause::Failed(id) | Cause::AllEnded(Some(id)) => id,
        Cause::CommandLine
        | Cause::AllEnded(None)
        | Cause::Tested
        | Cause::Signal(..)
        | Cause::Asked(_)
        | Cause::Terminal(..) => return false,
    };
    match &reason.behind[..] {
        [] => false,
        [link] => {
            // The usual sentence says how that unit ended if it was the first to fail, or if it did not
            // fail.
            let said = engine
                .ended(link.unit)
                .is_some_and(|ended| !ended.failed() || Some(link.unit) == reason.first_failure);
            !said || blocked(effect) != Some(link.unit)
        }
        [_, _, ..] => true,
    }
}

/// Returns the failures behind another one, to follow its sentence: ` <- async.db failed …`. The
/// details of the last one, the root, are those that matter. Of a long chain, some are left out.
fn behind(graph: &Graph, links: &[Link]) -> String {
    const SHOWN: usize = 5;
    let left_out = links.len().saturating_sub(SHOWN);
    let mut text = String::new();
    for (at, link) in links.iter().enumerate() {
        let root = at + 1 == links.len();
        if left_out > 0 && at == SHOWN - 2 {
            _ = write!(text, " <- {} more", left_out + 1);
        }
        if left_out > 0 && at >= SHOWN - 2 && !root {
            continue;
        }
        let how = match link.how {
            _ if root => self::ended_with(graph, link.unit, link.ended(), link.known.as_ref()),
            How::Blocked(_) => "could not be started".to_owned(),
            _ => how(graph, link.ended()),
        };
        _ = write!(text, " <- {} {how}", graph.node(link.unit).unit.id());
    }
    text
}

/// Returns that the OOM killer has killed the first unit that failed, for the end of the result of a
/// test run, which does not say how units ended.
fn oom_in_test(engine: &Engine, reason: &Reason) -> String {
    let victim = reason.first_failure.and_then(|id| Some((id, engine.known(id)?)));
    let killed = victim.and_then(|(id, known)| Some((id, out_of_memory(known)?)));
    killed.map_or_else(String::new, |(id, killed)| {
        format!("; {} was {killed}", engine.graph().node(id).unit.id())
    })
}

/// Returns how a unit ended, to follow its name, with the details that trc knows.
pub(crate) fn ended(engine: &Engine, id: UnitId, ended: Ended) -> String {
    if let How::Blocked(by) = ended.how {
        // The line names a failed unit as the first failure, but not a healthy one.
        let graph = engine.graph();
        let well = match engine.ended(by) {
            Some(other) if !other.failed() => format!(", which {}", how(graph, other)),
            None if graph.node(by).is_outside() => ", which is ready".to_owned(),
            Some(_) | None => String::new(),
        };
        return format!("{}{well}", how(graph, ended));
    }
    ended_with(engine.graph(), id, ended, engine.known(id))
}

/// Returns how a unit ended, to follow its name, with the detail that trc knew about it then.
fn ended_with(graph: &Graph, id: UnitId, ended: Ended, known: Option<&Detail>) -> String {
    let because = |why: Option<String>| why.map_or_else(String::new, |why| format!(": {why}"));
    match ended.how {
        How::NotStarted(stage, errno) => {
            let why = not_started(graph, id, stage, errno, known);
            format!("could not be started: {why}")
        }
        How::NotReady => {
            let why = not_up(graph, id, Purpose::Ready, known);
            format!("{}{}", how(graph, ended), because(why))
        }
        How::Unhealthy => {
            let why = not_up(graph, id, Purpose::Health, known);
            format!("{}{}", how(graph, ended), because(why))
        }
        How::Process(Ending::Signal(_)) if let Some(oom) = known.and_then(out_of_memory) => {
            format!("was {oom}")
        }
        How::Process(Ending::Code(_)) if graph.node(id).unit.stage == Stage::Boot => {
            let place = known.map(|place| format!(" {}", detail(graph, id, place)));
            format!("{}{}", how(graph, ended), place.unwrap_or_default())
        }
        _ => how(graph, ended),
    }
}

/// A hint about a service that has put itself into the background.
const DAEMON: &str = ", but it left processes running; configure the service to stay in the foreground, or set pid_file";

/// Returns a hint about a service that has exited with success: people who know the one-shots of
/// other inits write such services. TrivialRC's forms of a unit cannot be one-shots.
pub(crate) fn meant_to_run(graph: &Graph, id: UnitId, ended: Ended) -> Option<&'static str> {
    let node = graph.node(id);
    let service = node.unit.stage == Stage::Async && !node.oneshot && !node.is_trivialrc();
    let well = matches!(ended.how, How::Process(_)) && !ended.failed();
    let help = ", but it is a service, which should not exit; write oneshot = true if it should";
    (service && well).then_some(help)
}

/// Returns the result of a test run: the tests that failed, and the other findings. If there are
/// many, it names some: the reason is a variable of halt units, and the kernel does not take one
/// that is longer than 128 KiB (execve(2)).
fn tested(engine: &Engine) -> String {
    let graph = engine.graph();
    let failed = |id: &UnitId| engine.ended(*id).is_some_and(Ended::failed);
    let tests: Vec<String> =
        graph.stage(Stage::Test).filter(failed).map(|id| graph.node(id).unit.id()).collect();
    let mut points: Vec<String> =
        engine.findings().iter().map(|finding| finding.point(graph)).collect();
    points.retain(|point| !graph.allowed.contains_key(point));
    points.dedup();
    let count = graph.stage(Stage::Test).count();
    let failed = match tests.len() {
        0 => None,
        many => Some(format!("{many} of {count} tests failed: {}", some(tests))),
    };
    let unclean = match points.len() {
        0 => None,
        _ => Some(format!("the run was not clean: {}", some(points))),
    };
    let skipped: Vec<String> =
        engine.tests_with(TestEnd::Skipped).map(|id| graph.node(id).unit.id()).collect();
    let skipped = match skipped.len() {
        0 => None,
        1 if count == 1 => Some("the only test was skipped: nothing was tested".to_owned()),
        many if many == count => {
            Some(format!("all {count} tests were skipped: nothing was tested"))
        }
        many if graph.strict => {
            Some(format!("{many} of {count} tests were skipped: {}", some(skipped)))
        }
        _ => None,
    };
    match [failed, skipped, unclean].into_iter().flatten().collect::<Vec<_>>().join("; ") {
        nothing if nothing.is_empty() => "all tests passed".to_owned(),
        text => text,
    }
}

/// Returns what a unit lacks to be up, to follow its name.
pub(crate) fn lack(lack: Lack) -> &'static str {
    match lack {
        Lack::NeverStarted => "was never started",
        Lack::NotReady => "is not ready",
        Lack::NotBack => "is not up again",
        Lack::StillRuns => "is a one-shot and has not exited",
    }
}

/// Returns the word for the end of a unit that its `post_stop` gets, as `docs/restart.md` has it.
pub(crate) fn end_reason(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Exited => "exited",
        EndReason::Killed => "killed",
        EndReason::Stopped => "stopped",
        EndReason::PreStart => "pre-start",
        EndReason::NotStarted => "not-started",
        EndReason::NotReady => "not-ready",
        EndReason::Unhealthy => "unhealthy",
        EndReason::Overran => "max-runtime",
    }
}

/// Returns how a unit ended, to follow its name.
pub(crate) fn how(graph: &Graph, ended: Ended) -> String {
    match ended.how {
        How::Process(ending) if !ended.failed() => format!("exited with {}", ending.status()),
        How::Process(Ending::Code(0)) if ended.failed() => {
            "exited with 0, which is not a success for it".to_owned()
        }
        How::Process(Ending::Code(code)) => format!("failed with status {code}"),
        How::Process(Ending::Signal(signal)) => format!("was killed by {signal}"),
        How::Lost(id, ending) => {
            let last = match ending {
                Ending::Code(0) => String::new(),
                Ending::Code(code) => format!("; the last one exited with {code}"),
                Ending::Signal(signal) => format!("; the last one was killed by {signal}"),
            };
            let file = pid_file(graph, id);
            format!("put itself into the background, but {file} named none of its processes{last}")
        }
        How::PreStart(Ending::Code(code)) => {
            format!("could not be started: its pre_start failed with status {code}")
        }
        How::PreStart(Ending::Signal(signal)) => {
            format!("could not be started: its pre_start was killed by {signal}")
        }
        How::Unprepared => "could not be started: its pre_start did not exit in time".to_owned(),
        How::NotStarted(..) => "could not be started".to_owned(),
        How::Blocked(by) => {
            format!("could not be started: it waits for {}", graph.node(by).unit.id())
        }
        How::Unkillable => "survived SIGKILL".to_owned(),
        How::NotReady => "was not ready in time".to_owned(),
        How::Unhealthy => "was unhealthy".to_owned(),
        How::Overran => "exceeded its max_runtime".to_owned(),
        How::Found => "was ready".to_owned(),
        How::Test(end) => match end {
            TestEnd::Passed => "passed",
            TestEnd::Skipped => "was skipped",
            TestEnd::Failed => "failed",
            TestEnd::TimedOut => "timed out",
            TestEnd::DidNotHold => "failed: its checks did not stay true",
            TestEnd::NotRecovered => "failed: the unit did not recover from the fault",
        }
        .to_owned(),
    }
}
