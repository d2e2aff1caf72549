//! Exit statuses with a meaning of their own.

/// `EX_USAGE` of `sysexits.h`: the command line can't be understood.
pub const USAGE: u8 = 64;
/// `EX_SOFTWARE`: trc itself failed (a panic).
pub const SOFTWARE: u8 = 70;
/// `EX_CONFIG`: the user's configuration is wrong; nothing was started.
pub const CONFIG: u8 = 78;
/// Time ran out, as `timeout(1)` has it: not ready, not healthy, or still running.
pub const TIMED_OUT: u8 = 124;
/// A command was found but can't be executed, as POSIX shells have it.
pub const CANNOT_EXECUTE: u8 = 126;
/// A command was not found, as POSIX shells have it.
pub const NOT_FOUND: u8 = 127;
/// What a shell adds to the number of the signal that ended a command.
pub const SIGNAL_BASE: u8 = 128;
/// What stands for "a service ended that was not meant to": 128 + SIGTERM.
pub const SERVICE_ENDED: u8 = 143;

/// The status of an end by a signal: 128 + its number.
#[must_use]
pub fn of_signal(number: i32) -> u8 {
    SIGNAL_BASE.wrapping_add(u8::try_from(number & 0x7f).unwrap_or(0))
}
