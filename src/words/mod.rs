//! Every sentence that trc says about a run: a fact goes in, a line comes out.
//!
//! Nothing here asks the kernel, the clock or a file, so that a simulation, a record of a run and a
//! client say what PID 1 says. What only the kernel could tell was found out when it happened and
//! comes along: the reason of a failure, the name of a user.

mod fact;
mod line;
mod not_started;
mod observed;
pub(crate) mod reason;
mod sender;
mod some;

pub(crate) use fact::{fact, started};
pub(crate) use line::{Line, Whose};
pub(crate) use not_started::{errno, not_started, program_failure};
pub(crate) use observed::{Observed, OomVictim, Why, observed, out_of_memory};
pub(crate) use sender::sender;
pub(crate) use some::some;
