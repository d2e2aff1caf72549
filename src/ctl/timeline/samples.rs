//! Timelines for tests.

use crate::report::timeline::{Life, Need, Span, State, Timeline};

pub(super) fn life(name: &str, spans: &[(State, u64, Option<u64>)]) -> Life {
    let span = |(state, from_ms, to_ms): &(State, u64, Option<u64>)| Span {
        state: *state,
        from_ms: *from_ms,
        to_ms: *to_ms,
    };
    let counts = !name.starts_with("halt.") && !name.starts_with("test.");
    let spans: Vec<Span> = spans.iter().map(span).collect();
    Life { name: name.to_owned(), counts, spans, ..Life::default() }
}

pub(super) fn needs(mut unit: Life, other: &str, condition: &str) -> Life {
    let (other, condition) = (other.to_owned(), condition.to_owned());
    unit.needs.push(Need { unit: other, condition, written: true });
    unit
}

/// A run with a database, a migration, a web server and a worker beside them.
pub(super) fn stack() -> Timeline {
    use State::{Ended, Ready, Restarting, Running, Starting, Stopping, Waiting};
    let oneshot = |unit: Life| Life { oneshot: true, ..unit };
    let dirs = oneshot(life(
        "boot.dirs",
        &[(Waiting, 0, Some(4)), (Running, 4, Some(20)), (Ended, 20, None)],
    ));
    let db = life(
        "async.db",
        &[
            (Waiting, 0, Some(30)),
            (Starting, 30, Some(800)),
            (Ready, 800, Some(2300)),
            (Stopping, 2300, Some(2400)),
            (Ended, 2400, None),
        ],
    );
    let migrate = oneshot(life(
        "async.migrate",
        &[(Waiting, 0, Some(800)), (Running, 800, Some(1000)), (Ended, 1000, None)],
    ));
    let migrate = needs(migrate, "async.db", "ready");
    let web = life(
        "async.web",
        &[
            (Waiting, 0, Some(1000)),
            (Starting, 1000, Some(1250)),
            (Ready, 1250, Some(2000)),
            (Stopping, 2000, Some(2300)),
            (Ended, 2300, None),
        ],
    );
    let web = needs(web, "async.migrate", "succeeded");
    let worker = life(
        "async.worker",
        &[
            (Waiting, 0, Some(30)),
            (Running, 30, Some(600)),
            (Restarting, 600, Some(850)),
            (Running, 850, Some(2000)),
            (Stopping, 2000, Some(2050)),
            (Ended, 2050, None),
        ],
    );
    let halt = life(
        "halt.clean",
        &[(Waiting, 0, Some(2420)), (Running, 2420, Some(2470)), (Ended, 2470, None)],
    );
    let units = vec![dirs, db, migrate, web, worker, oneshot(halt)];
    Timeline { stop_ms: Some(2000), ended_ms: Some(2500), ..Timeline::of(units, 2500) }
}
