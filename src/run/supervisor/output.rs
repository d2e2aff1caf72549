//! The output of units: the pipes that trc reads it from, and the files that it goes to.

use std::io::ErrorKind;
use std::os::fd::{AsFd as _, OwnedFd};
use std::rc::Rc;

use nix::errno::Errno;

use super::super::capture::{self, Capture, LogFile, Matcher};
use super::super::prepare::{self, Problem};
use super::super::spawn::Launch;
use super::Supervisor;
use super::source::{Call, Source, Watch};
use crate::config::{LogTo, Output, Placed, Stage, Unit, reason};
use crate::graph::UnitId;
use crate::journal::{Side, Source as Origin};
use crate::run::os::clock::now;
use crate::run::os::fd::null;
use crate::run::os::reopen;
use crate::words::{Observed, Unprepared};

/// The number of outputs of earlier starts of a unit that trc keeps until it has read them to their
/// ends.
const CAPTURES: usize = 16;

pub(super) const SOURCE: Source = Source::new(Supervisor::watch_output);

impl Supervisor {
    fn watch_output<'s>(&'s self, watch: &mut Watch<'s>) {
        for (id, held) in self.units.iter().enumerate() {
            for (which, capture) in held.captures.iter().enumerate() {
                if let Some(fd) = capture.fd()
                    && capture.wants_read(self.reporter.journal(), watch.now)
                {
                    watch.input(fd, Call::Output(Self::read_capture, UnitId(id), which));
                }
                watch.until(capture.next_deadline(watch.now));
            }
        }
    }

    fn read_capture(&mut self, id: UnitId, which: usize) {
        let journal = self.reporter.journal();
        if let Some(capture) = self.units[id.0].captures.get_mut(which) {
            capture.readable(journal, now());
            let matched = capture.take_matched();
            self.matched(id, matched);
        }
    }

    /// Writes the output of a unit that has exited, ahead of the line that says that it exited.
    pub(super) fn drain_captures(&mut self, id: UnitId) {
        let journal = self.reporter.journal();
        let mut matched = Vec::new();
        for capture in &mut self.units[id.0].captures {
            capture.drain_available(journal, now());
            matched.extend(capture.take_matched());
        }
        self.matched(id, matched);
    }

    /// Reads the output of a unit's process, or of its stop command, from these pipes.
    pub(super) fn capture(
        &mut self,
        id: UnitId,
        pid: i32,
        pipes: Vec<(Side, OwnedFd)>,
        file: Option<&Rc<LogFile>>,
        probes: &dyn Fn() -> Vec<Matcher>,
    ) {
        let unit = &self.graph.node(id).unit;
        for (side, read) in pipes {
            let source = Origin::new(unit.stage.name(), &unit.name, pid, side);
            let mut capture = Capture::new(read, source);
            let asked = self.drill.iter().flat_map(|drill| drill.matchers(id));
            capture.look_for(probes().into_iter().chain(asked).collect());
            if self.loaded.config.is_hidden(unit) {
                capture.hide();
            }
            if let Some(file) = file {
                capture.write_to(Rc::clone(file), unit.output == Some(Output::Prefix));
            }
            if let Some(control) = &self.control {
                capture.keep(control.tap(id));
            }
            self.units[id.0].captures.push(capture);
        }
    }

    /// Drops the oldest outputs of a unit that were not read to their ends, because the log's
    /// reader is slower than the unit's restarts, or because leftovers of the unit live on.
    pub(super) fn let_go_of_captures(&mut self, id: UnitId) {
        let journal = self.reporter.journal().clone();
        while self.units[id.0].captures.len() > CAPTURES {
            let mut oldest = self.units[id.0].captures.remove(0);
            if oldest.let_go(&journal, now()) {
                self.observed(&Observed::NotRead(id, oldest.source().pid()));
            }
            self.matched(id, oldest.take_matched());
        }
    }

    /// Returns the file that a unit's output goes to, if it goes to one. All units that name the
    /// same file share it.
    pub(super) fn output_file(&mut self, unit: &Unit) -> Result<Option<Rc<LogFile>>, Problem> {
        let Some(Placed { value, origin }) = &unit.output_file else { return Ok(None) };
        if let Some(file) = self.files.get(&value.path) {
            return Ok(Some(Rc::clone(file)));
        }
        let file = LogFile::open(value).map_err(|error| {
            let why = (error.kind() != ErrorKind::NotFound).then(|| reason(&error));
            let why = Unprepared::NoOutputFile(value.path.clone(), why).at(origin);
            Problem::kernel(why, &error)
        })?;
        // Two paths to one file must not rotate it independently.
        let known = self.files.values().find(|known| known.is_same(&file)).map(Rc::clone);
        let file = known.unwrap_or_else(|| Rc::new(file));
        self.files.insert(value.path.clone(), Rc::clone(&file));
        Ok(Some(file))
    }

    /// Sets up the standard output and standard error of a unit, or of another command of the unit if
    /// not `main`. Returns trc's ends of the pipes.
    pub(super) fn streams(
        &self,
        unit: &Unit,
        launch: &mut Launch,
        main: bool,
    ) -> Result<Vec<(Side, OwnedFd)>, Problem> {
        let owner = launch.owner();
        let mut pipes = Vec::new();
        match prepare::output(&self.loaded.config, unit) {
            Output::Inherit if unit.own_terminal().is_some() => {}
            Output::Inherit => {
                // Standard output belongs to the command, whatever else is written.
                let has_stdout = main && unit.stage == Stage::Sync;
                let apart = self.loaded.config.log.to == LogTo::Stderr && !has_stdout;
                if apart {
                    let err = std::io::stderr().as_fd().try_clone_to_owned();
                    launch.streams[1] = Some(err.map_err(|_| Errno::last())?);
                }
                if let Some((user, _)) = owner {
                    for number in if apart { 2..=2 } else { 1..=2 } {
                        reopen::allow(user, number);
                    }
                }
            }
            Output::Null => {
                launch.streams[1] = Some(null(true)?);
                launch.streams[2] = Some(null(true)?);
            }
            Output::Prefix if unit.output_pty && main => {
                let pty = capture::pty(owner).map_err(|errno| {
                    Problem::kernel(Unprepared::NoPty(errno.desc().to_owned()), &errno.into())
                })?;
                let both = pty.write.try_clone();
                launch.streams[1] = Some(both.map_err(|_| Errno::last())?);
                launch.streams[2] = Some(pty.write);
                pipes.push((Side::Out, pty.read));
            }
            // The log tells the streams apart.
            Output::Prefix if unit.output_file.is_some() && unit.output.is_none() => {
                // One pipe carries both, to keep the order of the lines.
                let pipe = capture::pipe(owner)?;
                let both = pipe.write.try_clone();
                launch.streams[1] = Some(both.map_err(|_| Errno::last())?);
                launch.streams[2] = Some(pipe.write);
                pipes.push((Side::Out, pipe.read));
            }
            Output::Prefix => {
                for (side, number) in [(Side::Out, 1), (Side::Err, 2)] {
                    let pipe = capture::pipe(owner)?;
                    launch.streams[number] = Some(pipe.write);
                    pipes.push((side, pipe.read));
                }
            }
        }
        Ok(pipes)
    }
}
