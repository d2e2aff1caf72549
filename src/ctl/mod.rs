//! What people look at: `trcctl`'s commands.

pub mod check;
