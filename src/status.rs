//! Exit statuses with a fixed meaning.

/// The command line is wrong (`EX_USAGE` of `sysexits.h`).
pub const USAGE: u8 = 64;
/// There is no running trc to ask (`EX_UNAVAILABLE`).
pub const UNAVAILABLE: u8 = 69;
/// trc itself failed with a panic (`EX_SOFTWARE`).
pub const SOFTWARE: u8 = 70;
/// The user may not ask for this (`EX_NOPERM`).
pub const FORBIDDEN: u8 = 77;
/// The configuration is wrong, and nothing was started (`EX_CONFIG`).
pub const CONFIG: u8 = 78;
/// A unit was not ready in time, was unhealthy, or ran for too long, as with `timeout(1)`.
pub const TIMED_OUT: u8 = 124;
/// A command exists, but cannot be executed, as in POSIX shells.
pub const CANNOT_EXECUTE: u8 = 126;
/// A command does not exist, as in POSIX shells.
pub const NOT_FOUND: u8 = 127;
/// The number that shells add to the number of the signal that terminated a command.
pub const SIGNAL_BASE: u8 = 128;
/// The exit status of a run that ended because a service exited with 0: 128 + SIGTERM.
pub const SERVICE_ENDED: u8 = 143;

/// Returns the exit status for a process that a signal terminated: 128 + its number.
#[must_use]
pub fn of_signal(number: i32) -> u8 {
    SIGNAL_BASE.wrapping_add(u8::try_from(number & 0x7f).unwrap_or(0))
}
