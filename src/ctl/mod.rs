//! The commands of `trcctl`.

pub mod check;
mod dockerfile;
mod elf;
mod endings;
pub mod explain;
#[cfg(feature = "ctl")]
mod fitting;
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
#[cfg(feature = "ctl")]
pub mod simulate;
mod started;
#[cfg(feature = "ctl")]
mod story;
pub mod test;
#[cfg(feature = "ctl")]
pub mod timeline;
pub mod verdict;
