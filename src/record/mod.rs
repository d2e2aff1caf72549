//! Records of runs: everything that the engine was told, from which it decides the same again.
//!
//! A record is a file of lines, each of which is a JSON object, an [`Entry`]. The first line is the
//! head: the version of the format, the number that seeds the engine's choices, and the configuration
//! as far as the engine and its sentences depend on it. Each event has a line of its own, with its
//! time and the decisions that followed. A line that was not written to its end, because trc was
//! killed, does not count.
//!
//! A record has no output of units and no values of variables. It has what trc's own log lines have:
//! the commands of units as they are configured, and the names and commands of those who have asked
//! trc for something.

mod entry;
#[cfg(feature = "ctl")]
mod rebuild;
#[cfg(feature = "ctl")]
pub(crate) mod replay;
mod settings;
#[cfg(all(test, feature = "ctl"))]
pub(crate) mod tests;
mod timeline;
mod unit;

pub(crate) use entry::{Entry, Head, Offered, Said, Step, VERSION};
pub(crate) use settings::Settings;
pub(crate) use timeline::timeline;
