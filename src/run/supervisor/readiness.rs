//! The newline that units write to say that they are ready: `ready.fd`.

use std::os::fd::AsFd;

use nix::errno::Errno;

use super::super::capture;
use super::super::spawn::Launch;
use super::Supervisor;
use super::probe::find;
use super::source::{Call, Source, Watch};
use crate::config::{Probe, Unit};
use crate::engine::{Detail, Event, Notice, Purpose};
use crate::graph::UnitId;
use crate::run::os::pipe::Pipe;

pub(super) const SOURCE: Source = Source::new(Supervisor::watch_readiness);

impl Supervisor {
    fn watch_readiness<'s>(&'s self, watch: &mut Watch<'s>) {
        for (id, held) in self.units.iter().enumerate() {
            if let Some(fd) = &held.readiness {
                watch.input(fd.as_fd(), Call::Unit(Self::read_readiness, UnitId(id)));
            }
        }
    }

    /// Handles a unit that has written to its notification descriptor, or has closed it.
    pub(super) fn read_readiness(&mut self, id: UnitId) {
        let Some(fd) = &self.units[id.0].readiness else { return };
        let mut bytes = [0; 256];
        match nix::unistd::read(fd, &mut bytes) {
            Ok(0) => {
                self.units[id.0].readiness = None;
                let why = Some(Detail::Closed);
                self.events.push_back(Event::Learnt { unit: id, why });
            }
            Ok(count) if bytes[..count].contains(&b'\n') => {
                self.units[id.0].readiness = None;
                self.has_spoken(id);
                self.events.push_back(Event::Notified { unit: id, notice: Notice::Ready });
            }
            Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => self.units[id.0].readiness = None,
        }
    }

    /// Gives a unit the descriptor by which it says that it is ready, if it needs one.
    pub(super) fn notification(
        &mut self,
        id: UnitId,
        unit: &Unit,
        launch: &mut Launch,
    ) -> nix::Result<()> {
        self.units[id.0].readiness = None;
        if let Some((Probe::Fd(number), _)) = find(unit, Purpose::Ready) {
            let Pipe { read, write } = Pipe::new()?;
            // The unit's user must be able to open the pipe by its name.
            capture::give(&write, launch.owner());
            launch.descriptors.push((write, *number));
            self.units[id.0].readiness = Some(read);
        }
        Ok(())
    }
}
