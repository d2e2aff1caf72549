//! trc
fn main() {}
