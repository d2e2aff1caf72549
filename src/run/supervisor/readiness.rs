//! What units write to say that they are ready: `ready.fd`.

use std::os::fd::AsFd;

use super::Supervisor;
use super::source::{Call, Source, Watch};
use crate::graph::UnitId;

pub(super) const SOURCE: Source = Source::new(Supervisor::watch_readiness);

impl Supervisor {
    fn watch_readiness<'s>(&'s self, watch: &mut Watch<'s>) {
        for (id, held) in self.units.iter().enumerate() {
            if let Some(fd) = &held.readiness {
                watch.input(fd.as_fd(), Call::Unit(Self::read_readiness, UnitId(id)));
            }
        }
    }
}
