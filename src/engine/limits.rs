//! All durations and bounds that the engine knows of its own.

use std::time::Duration;

pub(super) use crate::graph::{RESERVE, STOP_TIMEOUT};

/// From KILL to giving up: what survives it sits in the kernel (state D).
pub(crate) const UNKILLABLE_AFTER: Duration = Duration::from_secs(2);
/// How long before KILL those processes of a unit get TERM that have had no stop signal: a
/// wrapper that ignores it must not cost its program a clean end. Half of the unit's stop
/// timeout, where that is less.
pub(super) const REST: Duration = Duration::from_secs(2);
/// What is killed has that long to die when the time for it was overslept.
pub(super) const DYING: Duration = Duration::from_secs(1);
/// From TERM to KILL for what remains once all units are gone.
pub(super) const SWEEP: Duration = STOP_TIMEOUT;
/// How often a start, or the try of a test, that failed for want of processes, memory or
/// descriptors is made again.
pub(super) const FORK_RETRIES: u32 = 6;
/// The wait before the first of these tries; each next one takes twice as long.
pub(super) const FORK_BACKOFF: Duration = Duration::from_millis(50);
/// How many signals are held for a command that has not been executed yet.
pub(super) const HELD_SIGNALS: usize = 64;
/// How long a unit that stops the run by a signal has to end by itself before it is told
/// to: a test's `kill -10 $MAINPID` is its last command, and not its failure.
pub(super) const SENDER: Duration = Duration::from_millis(100);
/// The wait after the first try of a readiness check; each next one is twice as long, up to
/// what is written.
pub(super) const FIRST_TRY: Duration = Duration::from_millis(10);
/// The wait between a test's tries, at most.
pub(super) const TRY_EVERY: Duration = Duration::from_millis(100);
/// The wait between a test's tries while it has to hold.
pub(super) const HOLD_EVERY: Duration = TRY_EVERY;
/// What a test's last try may take, whenever it begins.
pub(super) const LAST_TRY: Duration = Duration::from_secs(1);
/// Who has ended for longer than that is not about to be waited for by its parent.
pub(super) const ZOMBIE: Duration = Duration::from_millis(200);
/// In test mode: whom a unit that has ended told to end is gone after that.
pub(super) const LINGER: Duration = Duration::from_millis(200);
/// In test mode: what has been up for so long is believed to stay so. What nothing says of
/// whether it is ready counts as up for a test from then on.
pub(super) const CALM: Duration = Duration::from_millis(500);
/// In test mode: who was restarted so often in a row will not be up, and no test waits for it.
pub(super) const LOOP: u32 = 5;
/// How many restarts of a unit are remembered; `restart.max` is no larger.
pub(super) const RESTARTS: usize = 1000;
