//! What people look at: `trcctl`'s commands.

pub mod check;
mod endings;
mod here;
mod scripts;
pub mod test;
pub mod verdict;
