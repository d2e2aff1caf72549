//! `trc`: PID 1 of a container.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(trc::run::main())
}
