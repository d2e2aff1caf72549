//! trc: a declarative init for containers.
//!
//! Data flows in one direction through four modules, and only events flow back: `config` (what was
//! written) → `graph` (what it means) → `engine` (what happens next; pure) → `run` (making it
//! happen; syscalls). See `docs/architecture.md`.
//!
//! This library is for its two programs and the benchmarks only; its public items are those that
//! they need.

mod civil;
mod config;
mod ctl;
mod engine;
mod graph;
mod journal;
mod record;
mod regex;
mod report;
#[allow(unsafe_code)]
mod run;
mod schedule;
mod shell;
mod signal;
mod simulation;
pub mod status;
mod text;
mod wire;
mod words;

/// The entry points of `trc`.
pub mod init {
    pub use crate::run::arguments;

    /// Runs `trc`: asks the trc that runs already for its health, or runs a container.
    pub fn main(arguments: Vec<std::ffi::OsString>) -> u8 {
        match crate::ctl::live::health_asked(&arguments) {
            Some(status) => status,
            None => crate::run::main(arguments),
        }
    }
}

/// The entry points of `trcctl`.
pub mod client {
    pub use crate::config::cli;
    pub use crate::ctl::test::namespace::Stage;
    pub use crate::ctl::{check, explain, live, test, verdict};
    #[cfg(feature = "ctl")]
    pub use crate::ctl::{graph, lint, man, replay, schema, serve, simulate, timeline};
}

/// The code that the benchmarks measure.
pub mod bench {
    pub use crate::config::LogFormat;
    pub use crate::journal::{Side, Source};
    pub use crate::run::capture::{Capture, Progress, READ, pipe};
    pub use crate::run::journal::Journal;
    pub use crate::run::os::localtime::CLOCK;
    pub use crate::run::stream::Streams;
    pub use crate::simulation::{is_sound, tell};
}
