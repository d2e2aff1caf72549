//! Looks up names in a child, so that nothing blocks PID 1.
//!
//! The child uses the C library, which reads `/etc/hosts` and asks the servers of
//! `/etc/resolv.conf`. A static glibc does both by itself since 2.34, and ignores everything else
//! in `/etc/nsswitch.conf`.

use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::BorrowedFd;

use crate::run::os::aside::Aside;
use crate::words::BadAnswer;

/// The number of addresses of a name that are tried.
const MOST: usize = 16;
/// The longest answer of a child, in bytes.
const LONGEST: u64 = 4 * 1024;
/// The beginning of an answer that is an error.
const FAILED: char = '!';

/// A child that looks up a name. Dropping it kills the child.
pub(super) struct Resolver(Aside);

impl Resolver {
    /// Begins to look up a name.
    ///
    /// # Errors
    /// Returns the reason why there is no child.
    pub(super) fn begin(host: &str, port: u16) -> nix::Result<Self> {
        Aside::begin(LONGEST, || look_up(host, port)).map(Self)
    }

    /// Returns the descriptor to poll for input.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.0.fd()
    }

    /// Returns the addresses, or the reason why there are none, once the child has answered.
    pub(super) fn proceed(&mut self) -> Option<Result<Vec<SocketAddr>, BadAnswer>> {
        let text = self.0.proceed()?;
        if let Some(why) = text.strip_prefix(FAILED) {
            return Some(Err(BadAnswer::Unresolved(why.trim_end().to_owned())));
        }
        let addresses: Vec<SocketAddr> =
            text.lines().take(MOST).filter_map(|line| line.parse().ok()).collect();
        Some(if addresses.is_empty() {
            Err(BadAnswer::Unresolved(String::new()))
        } else {
            Ok(addresses)
        })
    }
}

/// Returns the answer of the child.
fn look_up(host: &str, port: u16) -> String {
    match (host, port).to_socket_addrs() {
        Ok(addresses) => {
            addresses.take(MOST).map(|address| address.to_string()).collect::<Vec<_>>().join("\n")
        }
        Err(error) => format!("{FAILED}{error}\n"),
    }
}
