//! The control socket: clients ask a running trc, and change it, over HTTP on a Unix socket.
//!
//! Everything here is bounded: the number of clients, their requests, their answers and the time
//! that they may take. A slow or hostile client costs trc its own connection and nothing else. If
//! there are too many clients, the one goes that has kept trc waiting for the longest time, so that
//! a polite client is always served.
//!
//! `socket.rs` is the listening socket, `peer.rs` who a client is and what it may ask for,
//! `http.rs` the text of requests and answers, and `client.rs` one connection. `ring.rs` and
//! `said.rs` keep the past lines of units and of trc, and `tally.rs` counts for metrics. The
//! supervisor decides what trc answers.

pub(super) mod client;
pub(super) mod http;
pub(super) mod peer;
pub(super) mod ring;
pub(super) mod said;
pub(super) mod socket;
pub(super) mod tally;
