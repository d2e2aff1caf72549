//! The durations and bounds of the engine that no configuration changes.

use std::time::Duration;

pub(super) use crate::graph::{RESERVE, STOP_TIMEOUT};

/// The time that a `pre_start` may take, unless the configuration says otherwise.
pub(crate) const PRE_START: Duration = Duration::from_mins(1);
/// The time that a `post_stop` may take, unless the configuration says otherwise.
pub(crate) const POST_STOP: Duration = Duration::from_secs(5);

/// The time from SIGKILL until trc gives up. A process that survives it hangs in the kernel (state
/// D).
pub(crate) const UNKILLABLE_AFTER: Duration = Duration::from_secs(2);
/// The time before SIGKILL at which the processes of a unit that have had no stop signal get TERM,
/// so that a wrapper that ignores the signal does not keep its program from a clean exit. It is
/// half of the stop timeout if that is less.
pub(super) const REST: Duration = Duration::from_secs(2);
/// The time that killed processes have to exit if trc has overslept the end of the stop.
pub(super) const DYING: Duration = Duration::from_secs(1);
/// The time from TERM to SIGKILL for processes that remain after all units.
pub(super) const SWEEP: Duration = STOP_TIMEOUT;
/// The number of times that trc repeats a start, or an attempt of a test, that failed for lack of
/// processes, memory or file descriptors.
pub(super) const FORK_RETRIES: u32 = 6;
/// The delay before the first of these repetitions. Each further delay is twice as long.
pub(super) const FORK_BACKOFF: Duration = Duration::from_millis(50);
/// The number of signals that trc keeps for a command that has not been executed yet.
pub(super) const HELD_SIGNALS: usize = 64;
/// The time that a unit which stops the run by a signal has to exit by itself before trc stops it:
/// the `kill -10 $MAINPID` of a test is its last command, not a failure.
pub(super) const SENDER: Duration = Duration::from_millis(100);
/// The delay after the first attempt of a readiness check. Each further delay is twice as long, up
/// to `every`.
pub(super) const FIRST_TRY: Duration = Duration::from_millis(10);
/// The longest delay between two attempts of a test.
pub(super) const TRY_EVERY: Duration = Duration::from_millis(100);
/// The delay between two attempts of a test while its checks have to hold.
pub(super) const HOLD_EVERY: Duration = TRY_EVERY;
/// The time that the last attempt of a test may take, even if less of `within` is left.
pub(super) const LAST_TRY: Duration = Duration::from_secs(1);
/// A zombie that is older than this is a finding: its parent does not wait for it.
pub(super) const ZOMBIE: Duration = Duration::from_millis(200);
/// In test mode: the time that processes have to exit after their unit has exited and asked them
/// to.
pub(super) const LINGER: Duration = Duration::from_millis(200);
/// In test mode: a unit that has been up for this long is expected to stay up. A unit without a
/// readiness check counts as up from then on.
pub(super) const CALM: Duration = Duration::from_millis(500);
/// In test mode: after this many restarts in a row, no test waits for the unit any more.
pub(super) const LOOP: u32 = 5;
/// The number of restarts that trc remembers for each unit, and the upper limit of `restart.max`.
pub(super) const RESTARTS: usize = 1000;
