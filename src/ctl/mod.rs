//! The commands of `trcctl`.

pub mod check;
mod elf;
mod endings;
pub mod explain;
mod found;
#[cfg(feature = "ctl")]
pub mod graph;
mod here;
pub mod live;
#[cfg(feature = "ctl")]
pub mod man;
#[cfg(feature = "ctl")]
pub mod replay;
mod root;
#[cfg(feature = "ctl")]
pub mod schema;
mod scripts;
#[cfg(feature = "ctl")]
pub mod serve;
pub mod test;
pub mod verdict;
