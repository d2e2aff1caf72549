//! The commands of `trcctl`.

pub mod check;
mod dockerfile;
mod elf;
mod endings;
pub mod explain;
mod found;
#[cfg(feature = "ctl")]
pub mod graph;
mod here;
#[cfg(feature = "ctl")]
pub mod lint;
pub mod live;
#[cfg(feature = "ctl")]
pub mod man;
mod needs;
mod ports;
mod readiness;
#[cfg(feature = "ctl")]
pub mod replay;
mod root;
#[cfg(feature = "ctl")]
pub mod schema;
mod scripts;
#[cfg(feature = "ctl")]
pub mod serve;
mod started;
pub mod test;
#[cfg(feature = "ctl")]
pub mod timeline;
pub mod verdict;
