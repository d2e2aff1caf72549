//! Looks up names in a child, so that nothing blocks PID 1.
//!
//! The child uses the C library, which reads `/etc/hosts` and asks the servers of
//! `/etc/resolv.conf`. A static glibc does both by itself since 2.34, and ignores everything else
//! in `/etc/nsswitch.conf`.

use std::io::{Read, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::signal::Signal;
use nix::unistd::ForkResult;

use crate::run::os::fd::is_ready;
use crate::run::os::pipe::Pipe;
use crate::run::os::processes;
use crate::words::BadAnswer;

/// The number of addresses of a name that are tried.
const MOST: usize = 16;
/// The longest answer of a child, in bytes.
const LONGEST: u64 = 4 * 1024;
/// The beginning of an answer that is an error.
const FAILED: char = '!';

/// A child that looks up a name. Dropping it kills the child.
pub(super) struct Resolver {
    pid: i32,
    answer: std::fs::File,
    text: Vec<u8>,
    ended: bool,
}

impl Resolver {
    /// Begins to look up a name.
    ///
    /// # Errors
    /// Returns the reason why there is no child.
    pub(super) fn begin(host: &str, port: u16) -> nix::Result<Self> {
        let Pipe { read: answer, write: to } = Pipe::new()?;
        // SAFETY: trc has one thread, so the child may do whatever it likes.
        #[expect(clippy::disallowed_methods, reason = "this is the room that starts processes")]
        match unsafe { nix::unistd::fork() }? {
            ForkResult::Parent { child } => {
                let answer = std::fs::File::from(answer);
                Ok(Self { pid: child.as_raw(), answer, text: Vec::new(), ended: false })
            }
            ForkResult::Child => {
                child(host, port, to);
                // SAFETY: this ends the process, and runs no code of trc in it any more.
                unsafe { libc::_exit(0) }
            }
        }
    }

    /// Returns the descriptor to poll for input.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.answer.as_fd()
    }

    /// Returns the addresses, or the reason why there are none, once the child has answered.
    pub(super) fn proceed(&mut self) -> Option<Result<Vec<SocketAddr>, BadAnswer>> {
        let left = LONGEST.saturating_sub(self.text.len() as u64);
        match (&self.answer).take(left).read_to_end(&mut self.text) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return None,
            Ok(_) => self.ended = left > 0,
            Err(_) => self.ended = true,
        }
        let text = String::from_utf8_lossy(&self.text);
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

impl Drop for Resolver {
    fn drop(&mut self) {
        // The child's end of the pipe closes when it exits: while it is open, the pid belongs to
        // the child.
        if !self.ended && !is_ready(self.fd()) {
            processes::signal(self.pid, libc::SIGKILL);
        }
    }
}

/// The main function of the child.
fn child(host: &str, port: u16, to: OwnedFd) {
    // The signals of the terminal must not reach it, and it must not outlive trc.
    // SAFETY: no memory is involved.
    unsafe {
        libc::setpgid(0, 0);
        libc::prctl(libc::PR_SET_PDEATHSIG, Signal::SIGKILL as libc::c_ulong);
    }
    let text = match (host, port).to_socket_addrs() {
        Ok(addresses) => {
            addresses.take(MOST).map(|address| address.to_string()).collect::<Vec<_>>().join("\n")
        }
        Err(error) => format!("{FAILED}{error}\n"),
    };
    // If nobody reads the pipe any more, nobody needs the answer.
    _ = std::fs::File::from(to).write_all(text.as_bytes());
}
