//! trcctl
fn main() {}
