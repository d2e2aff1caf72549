//! Commands that stop units: `stop.exec`.

use std::rc::Rc;

use super::super::prepare::Problem;
use super::super::spawn::Launch;
use super::Supervisor;
use super::helper::{Duty, NotExecuted};
use crate::engine::{Ending, Event};
use crate::graph::UnitId;
use crate::run::os::fd::null;
use crate::words::Observed;

impl Supervisor {
    pub(super) fn start_stop_command(&mut self, id: UnitId) {
        if let Err(problem) = self.launch_stop_command(id) {
            self.no_stop_command(id, &problem.why.to_string());
        }
    }

    fn no_stop_command(&mut self, id: UnitId, why: &str) {
        self.observed(&Observed::NoStopCommand(id, why));
        self.events.push_back(Event::StopCommandEnded { unit: id, succeeded: false });
    }

    fn launch_stop_command(&mut self, id: UnitId) -> Result<(), Problem> {
        let graph = Rc::clone(&self.graph);
        let unit = &graph.node(id).unit;
        let Some(words) = &unit.stop.exec else { return Ok(()) };
        // If the main process has left a daemon behind, the stop command stops the daemon.
        let held = &self.units[id.0];
        let Some(pid) = held.pid.or_else(|| held.adopted.first().copied()) else {
            // The unit exited just now.
            self.events.push_back(Event::StopCommandEnded { unit: id, succeeded: true });
            return Ok(());
        };
        let mut launch: Launch = self.surroundings(None).command(unit, words, Some(pid))?;
        launch.streams[0] = Some(null(false)?);
        // The output of the stop command goes where the unit's own output goes.
        let file = self.output_file(unit)?;
        let pipes = self.streams(unit, &mut launch)?;
        let started = self.start_helper(id, Duty::Stop, launch, None, None)?;
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
}
