//! The part of a test run in the supervisor: a drill that is told what happens, and asks for more.

use std::time::Instant;

use nix::errno::Errno;

use super::Supervisor;
use super::helper::Duty;
use super::source::{Call, Source, Watch};
use crate::engine::{Engine, Event, Left};
use crate::graph::UnitId;
use crate::report::Live;
use crate::run::capture::Capture;
use crate::run::drill::{Drill, Run, Said};
use crate::run::journal::Journal;
use crate::run::os::clock::now;
use crate::run::os::processes;
use crate::run::prepare::Surroundings;
use crate::run::probe::Closing;
use crate::run::spawn::Launch;
use crate::run::testing::Report;
use crate::words::{self, Observed};

pub(super) const SOURCE: Source = Source {
    watch: Supervisor::watch_drill,
    settle: |it, late| _ = it.drill(|drill, run| drill.end_late(run, late)),
    postpone: |it, by| _ = it.drill(|drill, _| drill.postpone(by)),
};

impl Supervisor {
    fn watch_drill<'s>(&'s self, watch: &mut Watch<'s>) {
        let Some(drill) = &self.drill else { return };
        let proceed = Call::Once(|it| _ = it.drill(|drill, run| drill.proceed(run)));
        for (fd, flags) in drill.fds() {
            watch.on(fd, flags, proceed);
        }
        watch.until(drill.deadline());
    }

    /// Makes this a test run. Standard output gets `live`, and the reports are written at the end.
    pub(crate) fn drills(&mut self, live: Live, reports: Vec<Report>) {
        let limited = self.loaded.config.shutdown.timeout.is_some();
        self.drill = Some(Box::new(Drill::new(self.graph.clone(), limited, live, reports)));
    }

    /// Calls a function with the drill, if this is a test run. While the function runs, the
    /// supervisor has no drill.
    pub(super) fn drill<T>(&mut self, told: impl FnOnce(&mut Drill, &mut Self) -> T) -> Option<T> {
        let mut drill = self.drill.take()?;
        let done = told(&mut drill, self);
        self.drill = Some(drill);
        Some(done)
    }

    /// Returns, in a test run, the unit that a process belongs to. The process is about to be
    /// reaped, and can still be asked for its process group.
    pub(super) fn whose(&self, pid: i32) -> Option<UnitId> {
        self.drill.as_ref()?;
        self.children.unit_of(pid).or_else(|| {
            let group = processes::group(pid)?;
            self.graph.ids().find(|id| self.units[id.0].group == Some(group))
        })
    }
}

impl Run for Supervisor {
    fn engine(&self) -> &Engine {
        &self.engine
    }

    fn journal(&self) -> &Journal {
        self.reporter.journal()
    }

    fn observed(&self, observed: &Observed<'_>) {
        Self::observed(self, observed);
    }

    fn pid(&self, unit: UnitId) -> Option<i32> {
        self.units[unit.0].pid
    }

    fn group(&self, unit: UnitId) -> Option<i32> {
        self.units[unit.0].group
    }

    fn captures(&self, unit: UnitId) -> &[Capture] {
        &self.units[unit.0].captures
    }

    fn kept_back(&self, units: &[UnitId]) -> Option<String> {
        let silent = units.iter().find(|id| self.units[id.0].pid.is_some() && self.is_silent(**id));
        silent.map(|id| self.graph.node(*id).unit.id())
    }

    fn last_output(&self, unit: UnitId) -> String {
        words::last_output(None, &self.last_lines(unit))
    }

    fn reason(&self) -> String {
        self.reason_text()
    }

    fn writers(&self) -> Vec<i32> {
        Self::writers(self)
    }

    fn surroundings(&self) -> Surroundings<'_> {
        Self::surroundings(self, None)
    }

    fn escaped(&mut self) -> Vec<UnitId> {
        let left = self.leftovers.clone();
        left.into_iter().filter(|id| self.left_of(*id) == Left::Escaped).collect()
    }

    fn look_for_oom(&mut self) -> Option<String> {
        self.oom_killed()
    }

    fn catch_up(&mut self, units: &[UnitId]) -> Vec<Said> {
        let mut said = Vec::new();
        for id in units {
            let journal = self.reporter.journal();
            let mut matched = Vec::new();
            for capture in &mut self.units[id.0].captures {
                capture.catch_up(journal, now());
                matched.extend(capture.take_matched());
            }
            said.extend(self.heard(*id, matched));
        }
        said
    }

    fn start(
        &mut self,
        test: UnitId,
        launch: Launch,
        until: Option<Instant>,
    ) -> Result<i32, Errno> {
        self.start_helper(test, Duty::Test, launch, None, until)
    }

    fn kill(&mut self, test: UnitId) {
        self.kill_helpers(test, |duty| duty == Duty::Test);
    }

    fn close(&mut self, closing: Closing) {
        self.probes.closings.push(closing, now());
    }

    fn happened(&mut self, event: Event) {
        self.events.push_back(event);
    }
}
