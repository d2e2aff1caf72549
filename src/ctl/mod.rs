//! The commands of `trcctl`.

pub mod check;
mod endings;
pub mod explain;
mod here;
pub mod live;
mod scripts;
#[cfg(feature = "ctl")]
pub mod serve;
pub mod test;
pub mod verdict;
