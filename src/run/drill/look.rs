//! Looks at the processes that are left.

use super::{Drill, Run, judge};
use crate::config::{Check, Found, Stage, State};
use crate::engine::{Event, Late};
use crate::graph::UnitId;
use crate::report::CheckPoint;
use crate::run::os::proc::{self, Stat};
use crate::run::os::{kin, processes};
use crate::text::harmless;
use crate::words::{Flaw, some};

impl Drill {
    /// Looks for processes that have exited and that their parents do not reap.
    pub(super) fn inspect(&mut self, run: &mut dyn Run) {
        let mut found = kin::zombies();
        found.retain(|pid| {
            !processes::group(*pid).is_some_and(|group| self.groups.contains(&group))
        });
        let lasting: Vec<i32> =
            found.iter().filter(|pid| self.zombies.contains(pid)).copied().collect();
        let again = !self.zombies.is_empty();
        self.zombies = if again { lasting } else { found };
        self.zombie_names = some(self.zombies.iter().map(|pid| name_and_parent(*pid)));
        let escaped = run.escaped();
        let zombies = !self.zombies.is_empty();
        run.happened(Event::Inspected { zombies, escaped });
    }

    /// Looks at the processes that are left when all units have ended.
    pub(super) fn look_at_remains(&mut self, run: &mut dyn Run) {
        self.oom.extend(run.look_for_oom());
        let all: Vec<UnitId> = self.graph.ids().collect();
        self.catch_up(run, &all);
        let mut left = kin::in_care();
        let writers = run.writers();
        let foreign = kin::outsiders();
        left.retain(|pid| !writers.contains(pid) && !foreign.contains(pid));
        let of_tests =
            |pid: &i32| processes::group(*pid).is_some_and(|group| self.groups.contains(&group));
        let mut left = processes::living(left);
        left.retain(|pid| !of_tests(pid));
        let own = processes::session(0);
        let (sessions, orphans): (Vec<i32>, Vec<i32>) =
            left.into_iter().partition(|pid| processes::session(*pid) != own);
        self.orphans = some(orphans.iter().map(|pid| name_and_unit(*pid)));
        self.sessions = some(sessions.iter().map(|pid| name_and_unit(*pid)));
        let passed = |id: &UnitId| run.engine().ended(*id).is_some_and(|ended| !ended.failed());
        let mut said: Vec<UnitId> =
            self.lines.said().map(|(test, ..)| test).filter(passed).collect();
        said.dedup();
        let mut late: Vec<(UnitId, Late)> = said.into_iter().map(|id| (id, Late::Said)).collect();
        for id in self.graph.stage(Stage::Test).filter(passed) {
            late.extend(self.used_too_much(id).map(|_| (id, Late::Used)));
        }
        let tests: Vec<UnitId> = self.graph.stage(Stage::Test).filter(passed).collect();
        for id in tests {
            if self.look_after_stop(id) {
                late.push((id, Late::Left));
            }
        }
        run.happened(Event::Remains {
            orphans: !orphans.is_empty(),
            sessions: !sessions.is_empty(),
            late,
        });
    }

    /// Makes the checks of a test that are about what has been left. Returns whether one has failed.
    fn look_after_stop(&mut self, id: UnitId) -> bool {
        let node = self.graph.node(id);
        let checks = node.test().map_or(&[][..], |test| &test.after_stop);
        let made: Vec<CheckPoint> = checks
            .iter()
            .filter_map(|check| {
                let Check::Found(Found::Now(state)) = &check.value else { return None };
                let found = judge::judge(state, &[]).err().map(|unmet| unmet.why.to_string());
                let name = check.value.to_string();
                Some(CheckPoint { name, passed: found.is_none(), found })
            })
            .collect();
        let failed = made.iter().any(|check| !check.passed);
        if !made.is_empty() {
            self.after_stop.insert(id, made);
        }
        failed
    }

    /// Returns which units have had more memory in a process, by the time that all have ended, than
    /// a test allows. A process that still ran when the test asked may have reaped others since, or
    /// may have used more itself.
    pub(super) fn used_too_much(&self, test: UnitId) -> Option<Flaw> {
        let node = self.graph.node(test);
        let most = node.test()?.checks.iter().find_map(|check| match check.value {
            Check::Found(Found::Now(State::MaxRss(most))) => Some(most),
            _ => None,
        })?;
        let peak = |id: &UnitId| Some((self.graph.node(*id).unit.id(), self.used.get(id)?.peak));
        let peaks = node.about.iter().filter_map(peak);
        let above: Vec<(String, u64)> = peaks.filter(|(_, peak)| *peak > most).collect();
        (!above.is_empty()).then_some(Flaw::Memory(most, above))
    }
}

/// Names a process and its unit. The unit comes from the environment, as long as the process does
/// not change that: a process in a session of its own is in no unit's process group.
fn name_and_unit(pid: i32) -> String {
    let environment = proc::read(pid, "environ").unwrap_or_default();
    let unit = environment.split(|byte| *byte == 0).find_map(|one| one.strip_prefix(b"TRC_UNIT="));
    match unit {
        Some(unit) => {
            format!("{} of {}", processes::named(pid), harmless(&String::from_utf8_lossy(unit)))
        }
        None => processes::named(pid),
    }
}

/// Names a process, and the one that should reap it.
fn name_and_parent(pid: i32) -> String {
    let parent = Stat::of(pid)
        .map_or(String::new(), |stat| format!(" of {}", processes::named(stat.parent)));
    processes::named(pid) + &parent
}
