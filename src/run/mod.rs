//! TODO
pub mod capture;
pub mod localtime;
pub mod stream;
