//! Commands of units that stop them, make them reload, or run after their ends: `stop.exec`,
//! `reload.exec` and `post_stop`.

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
use crate::run::os::processes;
use crate::words::{self, BadAnswer, Observed};

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
        // The output of the command goes where the unit's own output goes.
        let file = self.output_file(unit)?;
        let pipes = self.streams(unit, &mut launch, false)?;
        let started = self.start_helper(id, duty, launch, None, None)?;
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
        self.events.push_back(Event::PostStopEnded { unit: id, succeeded: false, why });
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
                let (succeeded, why) = (true, None);
                return self.events.push_back(Event::PostStopEnded { unit: id, succeeded, why });
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
