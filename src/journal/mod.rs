//! The formats of the log: trc's own lines and the output of units, as text and as JSON.
//! `docs/logging.md` describes them. Nothing here writes: bytes go to `run/journal`.

mod entry;
pub(crate) mod json;
pub(crate) mod line;
pub(crate) mod syslog;
pub(crate) mod time;

pub(crate) use entry::Stream;
pub(crate) use entry::{Entry, main_entry};
pub use entry::{Side, Source};
pub(crate) use time::{Clock, Local, utc};
