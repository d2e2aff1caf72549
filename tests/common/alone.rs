//! Tests that measure time run alone: on a machine with two processors, another test would make
//! everything late, trc included.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

/// The runs of trc that are going on.
struct Runs {
    together: usize,
    alone: bool,
}

static RUNS: Mutex<Runs> = Mutex::new(Runs { together: 0, alone: false });
static CHANGED: Condvar = Condvar::new();

thread_local! {
    /// The number of runs that this thread's test has begun, and whether it runs alone.
    static OWN: Cell<(usize, bool)> = const { Cell::new((0, false)) };
}

/// Waits until the runs are as `ready` wants them, and then changes them.
fn change(ready: impl Fn(&Runs) -> bool, change: impl FnOnce(&mut Runs)) {
    let runs = RUNS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut runs =
        CHANGED.wait_while(runs, |runs| !ready(runs)).unwrap_or_else(PoisonError::into_inner);
    change(&mut runs);
    CHANGED.notify_all();
}

/// A test that runs alone, until this is dropped.
pub(crate) struct Alone(PhantomData<*const ()>);

/// Waits until no other test runs trc, and keeps the next ones waiting. A test calls this first.
pub(crate) fn alone() -> Alone {
    assert_eq!(
        OWN.get(),
        (0, false),
        "a test that runs alone has to say so before it runs anything"
    );
    change(|runs| runs.together == 0 && !runs.alone, |runs| runs.alone = true);
    OWN.set((0, true));
    Alone(PhantomData)
}

impl Drop for Alone {
    fn drop(&mut self) {
        OWN.set((0, false));
        change(|_| true, |runs| runs.alone = false);
    }
}

/// A run of trc that may go on beside those of other tests.
pub(crate) struct Together(Option<thread::ThreadId>);

impl Together {
    /// Waits while a test runs alone, unless that is the caller. Threads that a test has started
    /// have no names, and go on with their test.
    pub(crate) fn begin() -> Self {
        let (count, alone) = OWN.get();
        if alone || thread::current().name().is_none() {
            return Self(None);
        }
        // A test that has already begun must not wait for a test that waits for its end.
        change(|runs| !runs.alone, |runs| runs.together += 1);
        OWN.set((count + 1, false));
        Self(Some(thread::current().id()))
    }
}

impl Drop for Together {
    fn drop(&mut self) {
        let Some(thread) = self.0 else { return };
        if thread == thread::current().id() {
            OWN.set((OWN.get().0 - 1, false));
        }
        change(|_| true, |runs| runs.together -= 1);
    }
}
