//! The report of a test run on standard output.

use std::time::Instant;

use super::{Drill, Run};
use crate::report::{Outcome, Point};
use crate::run::os::clock::now;
use crate::words::Unwritten;

impl Drill {
    /// Writes a point, and keeps it for the reports.
    pub(super) fn point(&mut self, run: &mut dyn Run, mut point: Point) {
        if point.outcome == Outcome::Failed
            && !point.is_test()
            && let Some(test) = self.graph.allowed.get(&point.name)
        {
            (point.outcome, point.allowed_by) = (Outcome::Excused, Some(test.clone()));
        }
        self.points.push(point.explained());
        self.say_points(run);
    }

    /// Writes the points that standard output has room for. Returns whether all of them are
    /// written. The points that a slow reader has not taken yet come with the next point, or at the
    /// end.
    pub(super) fn say_points(&mut self, run: &mut dyn Run) -> bool {
        while let Some(point) = self.points.get(self.said) {
            let text = self.live.point(self.said + 1, point);
            if !run.journal().report(text.as_bytes()) {
                return false;
            }
            self.said += 1;
        }
        true
    }

    /// Writes something to standard output, once there is room, and waits for its reader until the
    /// deadline at most.
    pub(super) fn say_until(
        &mut self,
        run: &mut dyn Run,
        deadline: Instant,
        mut say: impl FnMut(&mut Self, &mut dyn Run) -> bool,
    ) -> Result<(), Unwritten> {
        let mut said = false;
        loop {
            said = said || say(self, run);
            let journal = run.journal();
            if let Some(errno) = journal.report_error() {
                return Err(Unwritten::Output(errno.desc().to_owned()));
            }
            if said && journal.is_reported() {
                return Ok(());
            }
            if now() >= deadline {
                return Err(Unwritten::SlowReader);
            }
            journal.await_reported(deadline);
        }
    }
}
