//! Every sentence that trc says about a run: a fact goes in, a line comes out.
//!
//! Nothing here asks the kernel, the clock or a file, so that a simulation, a record of a run and a
//! client say the same as PID 1. Whatever only the kernel could tell, such as the reason of a failure
//! or the name of a user, `run/` found out when it happened and passes along.

mod bad_answer;
mod detail;
mod event_name;
mod fact;
mod flaw;
mod gap;
mod line;
mod listeners;
mod no_socket;
mod not_started;
mod observed;
pub(crate) mod reason;
mod request;
mod sender;
mod some;
mod standing;
mod turn;
mod unmade;
mod unprepared;
mod unwritten;
mod wrong;

pub(crate) use bad_answer::{BadAnswer, Missing};
pub(crate) use detail::{detail, not_up, silent};
pub(crate) use event_name::EventName;
pub(crate) use fact::{concerns_trc, fact, pre_started, started};
pub(crate) use flaw::Flaw;
pub(crate) use gap::gap;
pub(crate) use line::{Line, Whose};
pub(crate) use no_socket::NoSocket;
pub(crate) use not_started::{errno, not_started, program_failure};
pub(crate) use observed::{Observed, OomVictim, Why, nothing_starts, observed, out_of_memory};
pub(crate) use reason::end_reason;
pub(crate) use request::{answer, refusal};
pub(crate) use sender::sender;
pub(crate) use some::{last_output, says, some};
pub(crate) use standing::standing;
pub(crate) use turn::turn;
pub(crate) use unmade::{Kind as FileKind, Made, Obstacle, Unfilled, Unmade};
pub(crate) use unprepared::{BadLine, Unprepared};
pub(crate) use unwritten::Unwritten;
pub(crate) use wrong::{Kind, Meanwhile, Wrong};
