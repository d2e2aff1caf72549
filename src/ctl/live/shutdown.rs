//! `trcctl shutdown`.

use super::ask::Trc;
use super::{Options, failed, say};
use crate::wire::{About, Ask};

/// Stops the run, as `docker stop` does, and lets trc exit with a status. Returns the exit status.
pub fn shutdown(options: &Options, exit: Option<u8>) -> u8 {
    match Trc::at(options.socket.as_deref()).get::<About>(&Ask::Shutdown(exit)) {
        Ok(_) => {
            say("the run is stopping\n");
            0
        }
        Err(why) => failed(&why),
    }
}
