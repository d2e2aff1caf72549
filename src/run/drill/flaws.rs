//! The flaws of a unit in a test run, from the engine's findings and the drill's notes.

use super::{Drill, Run};
use crate::engine::{Ended, Ending, Finding, How, Lack, Purpose, Stopped};
use crate::graph::UnitId;
use crate::words::{self, Flaw, reason};

impl Drill {
    pub(super) fn has_run(&self, run: &dyn Run, id: UnitId) -> bool {
        let ran = self.stopped.contains_key(&id) || self.told.contains_key(&id);
        ran || run.engine().ended(id).is_some()
    }

    /// Returns why a unit did not run as it should have.
    pub(super) fn why_run(
        &self,
        run: &dyn Run,
        id: UnitId,
        findings: &[Finding],
    ) -> Option<String> {
        let mut flaws = Vec::new();
        let ended = run.engine().ended(id).filter(|_| findings.contains(&Finding::Ended(id)));
        let how = ended.map(|ended| how_it_ended(run, id, ended));
        if findings.contains(&Finding::Restarted(id)) {
            let (times, last) = self.restarts.get(&id).cloned().unwrap_or_default();
            // If it exited in the same way as before, the message says so once.
            flaws
                .push(Flaw::Restarted(times, Some(last).filter(|last| how.as_ref() != Some(last))));
        }
        if let (Some(ended), Some(mut how)) = (ended, how) {
            // trc stopped a unit that was not ready or was unhealthy, because of that.
            let told = self.told.contains_key(&id) && matches!(ended.how, How::Process(_));
            // The session that the unit left is a point of its own, and this is its cause.
            let escaped = findings.contains(&Finding::Escaped(id));
            let daemon = escaped && ended.how == How::Process(Ending::Code(0));
            let daemon = daemon && self.graph.node(id).unit.pid_file.is_none();
            if !told && !daemon {
                let help = reason::meant_to_run(&self.graph, id, ended);
                how.push_str(help.unwrap_or_default());
            }
            flaws.push(Flaw::Ended { how, told, daemon });
        }
        for finding in findings {
            if let Finding::NotUp(unit, lack) = finding
                && *unit == id
            {
                flaws.push(Flaw::NotUp(*lack, self.why_not_up(run, id, *lack)));
            }
        }
        if findings.contains(&Finding::CutShort(id)) {
            flaws.push(Flaw::NotRun);
        }
        Flaw::all(flaws, ", and then ")
    }

    /// Returns why a unit lacked something when the tests had finished, as far as trc knows.
    fn why_not_up(&self, run: &dyn Run, id: UnitId, lack: Lack) -> Option<String> {
        match lack {
            Lack::NotReady => {
                words::not_up(&self.graph, id, Purpose::Ready, run.engine().known(id))
            }
            Lack::NeverStarted | Lack::NotBack => {
                let unmet = self.unmet.get(&id).map(|other| self.graph.node(*other).unit.id());
                unmet.map(|other| format!("it waits for {other}"))
            }
            Lack::StillRuns => None,
        }
    }

    /// Returns why a unit did not stop as it should have.
    pub(super) fn why_stop(
        &self,
        run: &dyn Run,
        id: UnitId,
        findings: &[Finding],
    ) -> Option<String> {
        let node = self.graph.node(id);
        let mut flaws = Vec::new();
        if findings.contains(&Finding::StopCommand(id)) {
            flaws.push(Flaw::StopCommand);
        }
        if findings.contains(&Finding::StopStatus(id))
            && let Some(Stopped { status, .. }) = run.engine().stopped(id)
        {
            let ended = run.engine().ended(id).map(|ended| ended.how);
            let how = if let Some(How::Process(Ending::Signal(signal))) = ended {
                format!("was killed by {signal}")
            } else {
                format!("exited with {status} (if it may, write success = [0, {status}])")
            };
            flaws.push(Flaw::Stopped(format!("{how}{}", run.last_output(id))));
        }
        if findings.contains(&Finding::Killed(id)) {
            flaws.push(match self.left.get(&id) {
                Some(left) => Flaw::LeftKilled(left.clone()),
                None if !self.told.contains_key(&id) => Flaw::NotStopped,
                None => Flaw::Killed(node.stop_timeout, node.stop_signal),
            });
        }
        Flaw::all(flaws, ", and ")
    }

    /// Returns which units have left processes, and which processes trc found only at the end.
    pub(super) fn why_orphans(&self, findings: &[Finding]) -> Vec<Flaw> {
        let by = self.left_by(findings, Finding::Orphaned, false);
        by.chain(left(&self.orphans, Flaw::Orphans)).collect()
    }

    /// Returns the same for processes in sessions of their own.
    pub(super) fn why_sessions(&self, findings: &[Finding]) -> Vec<Flaw> {
        let by = self.left_by(findings, Finding::Escaped, true);
        by.chain(left(&self.sessions, Flaw::Sessions)).collect()
    }

    fn left_by(
        &self,
        findings: &[Finding],
        kind: fn(UnitId) -> Finding,
        escaped: bool,
    ) -> impl Iterator<Item = Flaw> {
        let ids = self.graph.ids().filter(move |id| findings.contains(&kind(*id)));
        ids.map(move |id| {
            let left = self.left.get(&id).cloned().unwrap_or_default();
            Flaw::Left(self.graph.node(id).unit.id(), left, escaped)
        })
    }
}

/// Returns the flaw that these processes are left, if there are any.
pub(super) fn left(names: &str, flaw: fn(String) -> Flaw) -> Vec<Flaw> {
    if names.is_empty() { Vec::new() } else { vec![flaw(names.to_owned())] }
}

/// Returns how a unit ended, after its name, with its last output if it failed by itself.
pub(super) fn how_it_ended(run: &dyn Run, id: UnitId, ended: Ended) -> String {
    let mut text = reason::ended(run.engine(), id, ended);
    if let (How::Process(_), true) = (ended.how, ended.failed()) {
        text.push_str(&run.last_output(id));
    }
    text
}
