//! trc: a declarative init for containers.
//!
//! Data goes one way through four rooms, and nothing goes back except events:
//! [`config`] (what was written) → [`graph`] (what it means) → [`engine`] (what
//! happens next; pure) → [`run`] (making it happen; syscalls). See
//! `docs/architecture.md`.

pub mod config;
pub mod ctl;
pub mod engine;
pub mod graph;
pub mod journal;
pub mod regex;
#[allow(unsafe_code)]
pub mod run;
pub mod selftest;
pub mod shell;
pub mod signal;
pub mod status;
