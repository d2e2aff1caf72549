//! Work that takes time, in a child, so that nothing blocks PID 1.

use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::Signal;
use nix::unistd::ForkResult;

use super::fd::is_ready;
use super::pipe::Pipe;
use super::processes;

/// A child that works something out. Dropping it kills the child.
pub(crate) struct Aside {
    pid: i32,
    answer: std::fs::File,
    text: Vec<u8>,
    /// The longest answer of the child, in bytes.
    longest: u64,
    ended: bool,
}

impl Aside {
    /// Begins work whose answer is no longer than this number of bytes. The rest is cut off.
    ///
    /// # Errors
    /// Returns the reason why there is no child.
    pub(crate) fn begin(longest: u64, work: impl FnOnce() -> String) -> nix::Result<Self> {
        let Pipe { read: answer, write: to } = Pipe::new()?;
        // SAFETY: trc has one thread, so the child may do whatever it likes.
        #[expect(clippy::disallowed_methods, reason = "this is the room that starts processes")]
        match unsafe { nix::unistd::fork() }? {
            ForkResult::Parent { child } => {
                let answer = std::fs::File::from(answer);
                Ok(Self { pid: child.as_raw(), answer, text: Vec::new(), longest, ended: false })
            }
            ForkResult::Child => {
                // The signals of the terminal must not reach it, and it must not outlive trc.
                // SAFETY: no memory is involved.
                unsafe {
                    libc::setpgid(0, 0);
                    libc::prctl(libc::PR_SET_PDEATHSIG, Signal::SIGKILL as libc::c_ulong);
                }
                // If nobody reads the pipe any more, nobody needs the answer.
                _ = std::fs::File::from(to).write_all(work().as_bytes());
                // SAFETY: this ends the process, and runs no code of trc in it any more.
                unsafe { libc::_exit(0) }
            }
        }
    }

    /// Returns the descriptor to poll for input.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.answer.as_fd()
    }

    /// Returns the answer once the child has given it. It is empty if the child has died.
    pub(crate) fn proceed(&mut self) -> Option<String> {
        let left = self.longest.saturating_sub(self.text.len() as u64);
        match (&self.answer).take(left).read_to_end(&mut self.text) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return None,
            Ok(_) => self.ended = left > 0,
            Err(_) => self.ended = true,
        }
        Some(String::from_utf8_lossy(&self.text).into_owned())
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // The child's end of the pipe closes when it exits: while it is open, the pid belongs to
        // the child.
        if !self.ended && !is_ready(self.fd()) {
            processes::signal(self.pid, libc::SIGKILL);
        }
    }
}
