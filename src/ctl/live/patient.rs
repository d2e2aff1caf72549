//! Standard streams that somebody else may have made non-blocking.
//!
//! Whoever has the same terminal or pipe, such as another program of a shell's job, shares this
//! property of it. To a program that does not expect it, a full pipe then looks like an error.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{read, write};

/// A descriptor whose reads and writes wait, whether it blocks or not. It has no buffer.
pub(super) struct Patient<T>(pub T);

impl<T: AsFd> Patient<T> {
    /// Waits until this can be done.
    fn wait<R>(
        &self,
        until: PollFlags,
        mut done: impl FnMut(&T) -> nix::Result<R>,
    ) -> io::Result<R> {
        loop {
            match done(&self.0) {
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => {
                    _ = poll(&mut [PollFd::new(self.0.as_fd(), until)], PollTimeout::NONE);
                }
                done => return Ok(done?),
            }
        }
    }
}

impl<T: AsFd> Read for Patient<T> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.wait(PollFlags::POLLIN, |it| read(it, to))
    }
}

impl<T: AsFd> Write for Patient<T> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.wait(PollFlags::POLLOUT, |it| write(it, from))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use nix::fcntl::{FcntlArg, OFlag, fcntl};

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "somebody has to read meanwhile")]
    fn what_does_not_block_is_waited_for() {
        let (reader, writer) = io::pipe().unwrap();
        for end in [reader.as_fd(), writer.as_fd()] {
            fcntl(end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        }
        let sent: Vec<u8> = (0..=u8::MAX).cycle().take(1 << 20).collect();
        let bytes = sent.clone();
        let write = thread::spawn(move || Patient(writer).write_all(&bytes));
        let (mut got, mut reader) = (Vec::<u8>::new(), Patient(reader));
        // Small reads keep the pipe full.
        let mut some = [0; 1000];
        while let count @ 1.. = reader.read(&mut some).unwrap() {
            got.extend(&some[..count]);
        }
        write.join().unwrap().unwrap();
        assert!(got == sent, "{} bytes", got.len());
    }
}
