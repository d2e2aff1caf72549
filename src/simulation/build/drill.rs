//! The configuration of a test run.

use super::super::drill::{Blow, Drill, Point, Test};
use super::super::plan::{Generation, Plan, ms};
use super::place;
use crate::config::{
    self, Address, Asked, During, FaultKind, Origin, Placed, State, StopCheck, Testing,
};

/// Returns the configuration of a test.
pub(in crate::simulation) fn test(
    plan: &Plan,
    test: &Test,
    generation: Generation,
) -> config::Test {
    let fault =
        test.fault.filter(|(victim, _)| plan.has(*victim, generation)).map(|(victim, blow)| {
            let kind = match blow {
                Blow::Kill(signal) => FaultKind::Kill(signal),
                Blow::Stop(time) => FaultKind::Stop(ms(time)),
                Blow::Down => FaultKind::Down,
                Blow::Restart => FaultKind::Restart,
            };
            let unit = place(plan, victim);
            Placed {
                value: config::Fault { unit, kind, restarts: test.restarts },
                origin: Origin::Default,
            }
        });
    config::Test {
        checks: vec![Placed { value: State::Uid(0).into(), origin: Origin::Default }],
        within: test.within.map(ms),
        holds: test.holds.map(ms),
        fault,
        during: test.every.map(|every| {
            let asked = Asked::Tcp(Address { host: "localhost".to_owned(), port: 1 });
            let (every, errors) = (ms(every), None);
            let during = During { asked, every, errors, broken: None, longest_gap: None };
            Placed { value: during, origin: Origin::Default }
        }),
        job: test.job.filter(|job| plan.has(*job, generation)).map(|job| place(plan, job)),
        absent: None,
        after_stop: Vec::new(),
        stop: StopCheck {
            statuses: test.stop_status.into_iter().collect(),
            within: test.stop_within.map(ms),
        },
        allow: Vec::new(),
        start_within: ms(test.start_within),
        max_runtime: ms(test.max_runtime),
        once: false,
    }
}

/// Returns the configuration of the whole test run.
pub(in crate::simulation) fn testing(
    plan: &Plan,
    drill: &Drill,
    generation: Generation,
) -> Testing {
    let name = |at: usize, end| format!("{}.{end}", place(plan, at).value);
    let here = drill.allow.iter().filter(|point| match point {
        Point::Run(at)
        | Point::Stop(at)
        | Point::Log(at)
        | Point::MaxRss(at)
        | Point::AfterStop(at) => plan.has(*at, generation),
        Point::PostStop(at) => plan.has(*at, generation) && plan.units[*at].post_stop.is_some(),
        Point::Orphans | Point::Sessions | Point::Zombies | Point::Shutdown | Point::Oom => true,
    });
    let names = here.map(|point| match point {
        Point::Run(at) => name(*at, "run"),
        Point::Stop(at) => name(*at, "stop"),
        Point::PostStop(at) => name(*at, "post_stop"),
        Point::Log(at) => name(*at, "log"),
        Point::MaxRss(at) => name(*at, "max_rss"),
        Point::AfterStop(at) => name(*at, "after_stop"),
        Point::Orphans => "orphans".to_owned(),
        Point::Sessions => "sessions".to_owned(),
        Point::Zombies => "zombies".to_owned(),
        Point::Shutdown => "shutdown".to_owned(),
        Point::Oom => "oom".to_owned(),
    });
    let by = |name| (Placed { value: name, origin: Origin::Default }, "some test".to_owned());
    Testing {
        only: Vec::new(),
        list: false,
        strict: drill.strict,
        events: false,
        reports: Vec::new(),
        allow: names.map(by).collect(),
        origin: Origin::Default,
    }
}
