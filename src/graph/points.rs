//! The names of the test points of the stop drill.

use std::collections::BTreeMap;

use crate::config::{Config, Diagnostic, Stage, Unit, nearest_of_many};

/// No process of a unit's process group is left.
pub(crate) const ORPHANS: &str = "orphans";
/// No process that has created a session of its own is left.
pub(crate) const SESSIONS: &str = "sessions";
/// No process has exited whose parent does not wait for it.
pub(crate) const ZOMBIES: &str = "zombies";

/// The test points that do not belong to a unit.
pub(crate) const ALL: [&str; 4] = [ORPHANS, SESSIONS, ZOMBIES, SHUTDOWN];
/// The whole stop took no longer than the grace period.
pub(crate) const SHUTDOWN: &str = "shutdown";

/// The OOM killer has killed no process in the container.
pub(crate) const OOM: &str = "oom";
/// In a strict test run: trc has logged no warning.
pub(crate) const WARNINGS: &str = "warnings";

/// Returns the name of the test point for how a unit ran: it did not exit unless it should, and was
/// not restarted.
#[must_use]
pub(crate) fn run(unit: &Unit) -> String {
    format!("{}.run", unit.id())
}

/// Returns the name of the test point for how a unit stopped: on its stop signal, without SIGKILL,
/// and with an exit status that does not mean failure. For a test, the point says whether the units
/// that it is about stopped as it expects.
#[must_use]
pub(crate) fn stop(unit: &Unit) -> String {
    format!("{}.stop", unit.id())
}

/// Returns the name of the test point for the `post_stop` of a unit, which has to succeed each time.
#[must_use]
pub(crate) fn post_stop(unit: &Unit) -> String {
    format!("{}.post_stop", unit.id())
}

/// Returns the name of the test point that fails if a line that a test forbids appears after the
/// test.
#[must_use]
pub(crate) fn log(unit: &Unit) -> String {
    format!("{}.log", unit.id())
}

/// Returns the name of the test point that fails if a process uses more memory than a test allows
/// after the test.
#[must_use]
pub(crate) fn max_rss(unit: &Unit) -> String {
    format!("{}.max_rss", unit.id())
}

/// Returns the name of the test point for the checks that a test makes once everything has stopped.
#[must_use]
pub(crate) fn after_stop(unit: &Unit) -> String {
    format!("{}.after_stop", unit.id())
}

/// Returns the test points that tests allow to fail, with the tests.
pub(crate) fn allowed(
    config: &Config,
    units: &[&Unit],
    errors: &mut Vec<Diagnostic>,
) -> BTreeMap<String, String> {
    let mut allowed = BTreeMap::new();
    let Some(testing) = &config.testing else { return allowed };
    let mut known: Vec<String> = ALL.map(str::to_owned).into();
    known.push(OOM.to_owned());
    for unit in units {
        match unit.stage {
            Stage::Boot | Stage::Async | Stage::Sync | Stage::Halt => {
                known.extend([run(unit), stop(unit)]);
                known.extend(unit.post_stop.as_ref().map(|_| post_stop(unit)));
            }
            Stage::Test => known.extend([log(unit), stop(unit), max_rss(unit), after_stop(unit)]),
        }
    }
    let mut meant: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for point in &known {
        let bare = point.split_once('.').map(|(_, rest)| rest);
        for name in bare.into_iter().chain([point.as_str()]) {
            meant.entry(name).or_default().push(point);
        }
    }
    for (name, test) in &testing.allow {
        match meant.get(name.value.as_str()).map_or(&[][..], Vec::as_slice) {
            [point] => _ = allowed.insert((*point).to_owned(), test.clone()),
            [] => {
                let message = format!("`allow`: there is no test point `{}`", name.value);
                let error = Diagnostic::error(name.origin.clone(), message);
                let names = known.iter().map(String::as_str);
                let right = nearest_of_many(errors.len(), &name.value, names);
                let help = right.map_or_else(
                    || {
                        format!(
                            "the test points are {}, STAGE.NAME.run and STAGE.NAME.stop",
                            ALL.join(", ")
                        )
                    },
                    |right| format!("did you mean `{right}`?"),
                );
                errors.push(error.help(help));
            }
            several => {
                let message = format!(
                    "`allow`: `{}` is ambiguous: it may be {}",
                    name.value,
                    several.join(" or ")
                );
                let error = Diagnostic::error(name.origin.clone(), message);
                errors.push(error.help("write the stage before the name"));
            }
        }
    }
    allowed
}
