//! The sockets that trc listens on for a unit.

use std::ffi::CString;
use std::io;

use super::super::listen::Listener;
use super::super::spawn::Launch;
use super::Supervisor;
use super::source::Source;
use crate::config::{Listen, Unit};
use crate::graph::UnitId;

/// The number of the first socket that a unit gets: `SD_LISTEN_FDS_START` of `sd_listen_fds(3)`.
const FIRST: i32 = 3;
/// The variables that tell a unit of its sockets.
const VARIABLES: [&[u8]; 3] = [b"LISTEN_PID=", b"LISTEN_FDS=", b"LISTEN_FDNAMES="];

/// An address that trc cannot listen on.
pub(super) struct NotListening {
    pub at: Listen,
    pub why: io::Error,
}

pub(super) const SOURCE: Source =
    Source { watch: |_, _| {}, settle: |it, _| it.stop_listening(), postpone: |_, _| {} };

impl Supervisor {
    /// Closes the sockets of units that are not about to come back: nobody would take a connection.
    fn stop_listening(&mut self) {
        let engine = &self.engine;
        for id in self.listening.extract_if(.., |id| !engine.is_or_comes_up(*id)) {
            self.units[id.0].listeners.clear();
        }
    }

    /// Passes the sockets on that trc listens on for a unit. Those of the last start stay open.
    ///
    /// # Errors
    /// Returns the first address that trc cannot listen on.
    pub(super) fn pass_listeners(
        &mut self,
        id: UnitId,
        unit: &Unit,
        launch: &mut Launch,
    ) -> Result<(), NotListening> {
        let held = &mut self.units[id.0];
        held.listeners.retain(|it| unit.listen.iter().any(|at| at.value == it.at));
        if unit.listen.is_empty() {
            return Ok(());
        }
        self.listening.insert(id);
        for (at, number) in unit.listen.iter().map(|at| &at.value).zip(FIRST..) {
            let failed = |why| NotListening { at: at.clone(), why };
            let place = held.listeners.iter().position(|listener| listener.at == *at);
            let place = if let Some(place) = place {
                place
            } else {
                held.listeners.push(Listener::open(at, launch.owner()).map_err(failed)?);
                held.listeners.len() - 1
            };
            let copy = held.listeners[place].fd.try_clone().map_err(failed)?;
            launch.descriptors.push((copy, number));
        }
        let known =
            |entry: &CString| VARIABLES.iter().any(|name| entry.as_bytes().starts_with(name));
        launch.envp.retain(|entry| !known(entry));
        let count = format!("LISTEN_FDS={}", unit.listen.len());
        launch.envp.extend(CString::new(count));
        launch.listen_pid = true;
        Ok(())
    }
}
