//! Commands of units that stop them, make them reload, or run after their ends: `stop.exec`,
//! `reload.exec` and `post_stop`.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::super::prepare::Problem;
use super::super::spawn::Launch;
use super::Supervisor;
use super::helper::{Duty, NotExecuted};
use crate::config::{self, ReloadBy, Template, Unit};
use crate::engine::{Answer, Detail, EndReason, Ending, Event, Fact, Request, Task};
use crate::graph::UnitId;
use crate::run::os::clock::since_boot;
use crate::run::os::fd::null;
use crate::run::os::proc::{self, Stat};
use crate::run::os::processes;
use crate::words::{self, BadAnswer, Flaw, Observed};

impl Supervisor {
    pub(super) fn start_stop_command(&mut self, id: UnitId) {
        let graph = Rc::clone(&self.graph);
        let unit = &graph.node(id).unit;
        let Some(words) = &unit.stop.exec else { return };
        // If the main process has left a daemon behind, the stop command stops the daemon.
        let held = &self.units[id.0];
        let Some(pid) = held.pid.or_else(|| held.adopted.first().copied()) else {
            // The unit exited just now.
            self.events.push_back(Event::StopCommandEnded { unit: id, succeeded: true });
            return;
        };
        // There is nothing yet that the command could stop.
        if self.is_laying_out(pid) {
            for signal in [graph.node(id).stop_signal.number(), libc::SIGCONT] {
                processes::signal(pid, signal);
            }
            self.events.push_back(Event::StopCommandEnded { unit: id, succeeded: true });
            return;
        }
        let pid = [("TRC_PID", pid.to_string())];
        if let Err(problem) = self.launch_command(id, unit, words, &pid, Duty::Stop) {
            self.no_stop_command(id, &problem.why.to_string());
        }
    }

    fn no_stop_command(&mut self, id: UnitId, why: &str) {
        self.observed(&Observed::NoStopCommand(id, why));
        self.events.push_back(Event::StopCommandEnded { unit: id, succeeded: false });
    }

    pub(super) fn start_reload_command(&mut self, id: UnitId) {
        let graph = Rc::clone(&self.graph);
        let unit = &graph.node(id).unit;
        // A unit that exited just now does not reload.
        let Some(words) = reload_command(unit) else { return };
        let Some(pid) = self.units[id.0].pid else { return };
        let pid = [("TRC_PID", pid.to_string())];
        if let Err(problem) = self.launch_command(id, unit, words, &pid, Duty::Reload) {
            self.no_reload(id, problem.why.to_string());
        }
    }

    fn no_reload(&mut self, id: UnitId, why: String) {
        let why = Some(Detail::Words(why));
        self.events.push_back(Event::ReloadCommandEnded { unit: id, succeeded: false, why });
    }

    fn launch_command(
        &mut self,
        id: UnitId,
        unit: &Unit,
        words: &[Template],
        variables: &[(&str, String)],
        duty: Duty,
    ) -> Result<(), Problem> {
        let mut launch: Launch = self.surroundings(None).command(unit, words, variables)?;
        launch.streams[0] = Some(null(false)?);
        if duty == Duty::PostStop {
            launch.birthmark = self.birthmarks.post_stop_limit(id);
        }
        // The output of the command goes where the unit's own output goes.
        let file = self.output_file(unit)?;
        let pipes = self.streams(unit, &mut launch, false)?;
        let started = self.start_helper(id, duty, launch, None, None)?;
        if duty == Duty::PostStop {
            self.units[id.0].post_stop = Some(started);
            self.drill(|drill, _| drill.post_stop_runs(id));
        }
        // But it says nothing about the state of the unit.
        self.capture(id, started, pipes, file.as_ref(), &Vec::new);
        Ok(())
    }

    /// Handles a unit's stop command that has exited, or that could not be executed.
    pub(super) fn stop_command_ended(&mut self, id: UnitId, ending: Result<Ending, NotExecuted>) {
        match ending {
            Ok(ending) => {
                self.drain_captures(id);
                let succeeded = ending == Ending::Code(0);
                self.events.push_back(Event::StopCommandEnded { unit: id, succeeded });
            }
            Err(not) => {
                let command = self.graph.node(id).unit.stop.exec.as_deref();
                let program = command.and_then(<[_]>::first);
                let why = program.map(|program| not.told(&self.graph, id, program));
                self.no_stop_command(id, &why.unwrap_or_default());
            }
        }
    }

    /// Handles the command that makes a unit reload, which has exited or could not be executed.
    pub(super) fn reload_command_ended(&mut self, id: UnitId, ending: Result<Ending, NotExecuted>) {
        self.drain_captures(id);
        let graph = Rc::clone(&self.graph);
        // A new configuration may have another one.
        let words = reload_command(&graph.node(id).unit).unwrap_or_default();
        match ending {
            Ok(Ending::Code(0)) => {
                let (succeeded, why) = (true, None);
                self.events.push_back(Event::ReloadCommandEnded { unit: id, succeeded, why });
            }
            // Its last lines are in the log.
            Ok(Ending::Code(code)) => {
                let why = BadAnswer::Exited(config::typed(words), code, String::new());
                self.no_reload(id, why.to_string());
            }
            Ok(Ending::Signal(signal)) => {
                let why = BadAnswer::Killed(config::typed(words), signal, String::new());
                self.no_reload(id, why.to_string());
            }
            Err(not) => {
                let why = words.first().map(|program| not.told(&graph, id, program));
                self.no_reload(id, why.unwrap_or_default());
            }
        }
    }

    pub(super) fn start_post_stop(&mut self, id: UnitId, status: u8, reason: EndReason) {
        let graph = Rc::clone(&self.graph);
        let unit = &graph.node(id).unit;
        let Some(hook) = &unit.post_stop else { return self.no_post_stop(id, None) };
        self.units[id.0].post_stop = None;
        let variables = [
            ("TRC_UNIT_STATUS", status.to_string()),
            ("TRC_UNIT_REASON", words::end_reason(reason).to_owned()),
        ];
        if let Err(problem) = self.launch_command(id, unit, &hook.exec, &variables, Duty::PostStop)
        {
            self.no_post_stop(id, Some(problem.why.to_string()));
        }
    }

    fn no_post_stop(&mut self, id: UnitId, why: Option<String>) {
        let why = why.map(Detail::Words);
        let left = self.post_stop_has_left(id);
        self.events.push_back(Event::PostStopEnded { unit: id, succeeded: false, left, why });
    }

    /// Returns whether the `post_stop` of a unit, which has just been reaped, has left processes.
    fn post_stop_has_left(&mut self, id: UnitId) -> bool {
        let Some(group) = self.units[id.0].post_stop else { return false };
        let is_its = |pid: &i32| {
            self.birthmarks.unit_of_post_stop(*pid) == Some(id)
                && Stat::of(*pid).is_some_and(|stat| stat.lives())
        };
        let left = processes::lives_in_group(group) || self.children.strangers().iter().any(is_its);
        self.units[id.0].post_stop = Some(group).filter(|_| left);
        left
    }

    /// Returns the live processes of a unit's `post_stop`: those in its process group, and those that
    /// bear its mark.
    fn post_stop_members(&self, id: UnitId) -> Vec<i32> {
        let group = self.units[id.0].post_stop;
        let is_its = |pid: &i32| {
            Stat::of(*pid).is_some_and(|stat| {
                let marked = || self.birthmarks.unit_of_post_stop(*pid) == Some(id);
                stat.lives() && (group == Some(stat.group) || marked())
            })
        };
        proc::pids().into_iter().filter(is_its).collect()
    }

    /// Logs the processes that the `post_stop` of a unit has left running.
    pub(super) fn tell_post_stop_left(&mut self, id: UnitId) {
        let members = self.post_stop_members(id);
        if !members.is_empty() {
            let who = words::some(members.into_iter().map(processes::named));
            self.observed(&Observed::PostStopLeft(id, &who));
            self.drill(|drill, _| drill.post_stop_fails(id, || Flaw::PostStopLeft(who)));
        }
    }

    /// Kills the `post_stop` of a unit, and the processes that it has left running.
    pub(super) fn kill_post_stop(&mut self, id: UnitId) {
        /// The number of looks for processes that others have forked in the meantime.
        const LOOKS: u32 = 8;
        self.kill_helpers(id, |duty| duty == Duty::PostStop);
        if let Some(group) = self.units[id.0].post_stop {
            processes::signal(-group, libc::SIGKILL);
        }
        let mut done = BTreeSet::new();
        for _ in 0..LOOKS {
            let members = self.post_stop_members(id);
            let new: Vec<i32> = members.into_iter().filter(|pid| done.insert(*pid)).collect();
            if new.is_empty() {
                break;
            }
            for pid in new {
                processes::signal(pid, libc::SIGKILL);
            }
        }
        self.units[id.0].post_stop = None;
    }

    /// Handles a unit's `post_stop` that has exited, or that could not be executed.
    pub(super) fn post_stop_ended(&mut self, id: UnitId, ending: Result<Ending, NotExecuted>) {
        self.drain_captures(id);
        let graph = Rc::clone(&self.graph);
        let hook = graph.node(id).unit.post_stop.as_ref();
        // A new configuration may have another one.
        let words = hook.map(|hook| hook.exec.as_slice()).unwrap_or_default();
        let why = match ending {
            Ok(Ending::Code(0)) => {
                let (succeeded, left, why) = (true, self.post_stop_has_left(id), None);
                let ended = Event::PostStopEnded { unit: id, succeeded, left, why };
                return self.events.push_back(ended);
            }
            // Its last lines are in the log.
            Ok(Ending::Code(code)) => {
                Some(BadAnswer::Exited(config::typed(words), code, String::new()).to_string())
            }
            Ok(Ending::Signal(signal)) => {
                Some(BadAnswer::Killed(config::typed(words), signal, String::new()).to_string())
            }
            Err(not) => words.first().map(|program| not.told(&graph, id, program)),
        };
        self.no_post_stop(id, why);
    }

    /// Returns why the `pre_start` of a unit could not be executed.
    pub(super) fn why_not_prepared(&self, id: UnitId, not: &NotExecuted) -> Option<Detail> {
        let hook = self.graph.node(id).unit.pre_start.as_ref();
        let program = hook.and_then(|hook| hook.exec.first())?;
        let why = not.told(&self.graph, id, program);
        Some(Detail::PreStart(why))
    }

    /// Notes when a unit is made to reload: what it says about an earlier reload does not count.
    pub(super) fn own_reload_told(&mut self, fact: &Fact) {
        if let Fact::Requested { unit, request, answer: Answer::Begun(_), .. } = fact
            && *request == Request::Job(Task::Reload)
        {
            self.units[unit.0].reloads_since = Some(since_boot());
        }
    }
}

/// Returns the command that makes a unit reload, if it has one.
fn reload_command(unit: &Unit) -> Option<&[Template]> {
    match &unit.reload.as_ref()?.by {
        ReloadBy::Exec(words) => Some(words),
        ReloadBy::Signal(_) => None,
    }
}
