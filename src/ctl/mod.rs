//! What people look at: `trcctl`'s commands.

pub mod check;
pub mod test;
pub mod verdict;
