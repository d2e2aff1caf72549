//! The commands of `trcctl`.

pub mod check;
mod endings;
mod here;
mod scripts;
pub mod test;
pub mod verdict;
