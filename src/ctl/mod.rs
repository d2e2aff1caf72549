//! The commands of `trcctl`.

pub mod check;
mod endings;
mod here;
pub mod live;
mod scripts;
pub mod test;
pub mod verdict;
