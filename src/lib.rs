//! trc: a declarative init for containers.
//!
//! Data goes one way through four rooms, and nothing goes back except events:
//! `config` (what was written) → `graph` (what it means) → `engine` (what happens next; pure) →
//! `run` (making it happen; syscalls). See `docs/architecture.md`.
//!
//! This is the library of two programs, and nobody else's: what is public is what these, and
//! the benchmarks, begin with.

mod config;
mod ctl;
mod engine;
mod graph;
mod journal;
mod regex;
mod report;
#[allow(unsafe_code)]
mod run;
mod shell;
mod signal;
mod simulation;
pub mod status;
mod text;
mod words;

/// What `trc` is.
pub mod init {
    pub use crate::run::{arguments, main};
}

/// What `trcctl` is.
pub mod client {
    pub use crate::config::cli;
    pub use crate::ctl::test::namespace::Stage;
    pub use crate::ctl::{check, test, verdict};
}

/// What is measured.
pub mod bench {
    pub use crate::config::LogFormat;
    pub use crate::journal::{Side, Source};
    pub use crate::run::capture::{Capture, Progress, READ, pipe};
    pub use crate::run::journal::Journal;
    pub use crate::run::os::localtime::CLOCK;
    pub use crate::run::stream::Streams;
    pub use crate::simulation::{is_sound, tell};
}
