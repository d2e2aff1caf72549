//! Passes the streams of a command to a running trc.

use std::io::{self, BufReader, IoSlice, Write};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use serde::de::DeserializeOwned;

use crate::ctl::live::ask::{Answer, NoAnswer, Trc, broken, head};
use crate::wire::{Ask, Exec};

impl Trc {
    /// Asks for a command, and passes its standard streams on.
    pub(crate) fn pass(
        &self,
        exec: Exec,
        streams: [BorrowedFd<'_>; 3],
    ) -> Result<Passed, NoAnswer> {
        let ask = Ask::Exec(exec);
        let (method, target) = ask.written();
        let body = ask.body();
        let mut stream = self.connect()?;
        let text = format!(
            "{} {target} HTTP/1.1\r\nHost: trc\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            method.word(),
            body.len()
        );
        let (begin, last) = text.as_bytes().split_at(text.len() - 1);
        let streams = streams.map(|fd| fd.as_raw_fd());
        let with = [ControlMessage::ScmRights(&streams)];
        let sent = stream.write_all(begin).and_then(|()| {
            let socket = stream.as_raw_fd();
            let parts = [IoSlice::new(last)];
            sendmsg::<()>(socket, &parts, &with, MsgFlags::MSG_NOSIGNAL, None)?;
            Ok(())
        });
        match sent {
            // trc has refused the request before its end.
            Err(why) if why.kind() == io::ErrorKind::BrokenPipe => {}
            sent => sent.map_err(broken)?,
        }
        Ok(Passed(BufReader::new(stream)))
    }
}

/// A request for a command that runs, or has run.
pub(crate) struct Passed(BufReader<UnixStream>);

impl Passed {
    /// Returns the connection: whoever shuts it down ends the command.
    pub(super) fn connection(&self) -> io::Result<UnixStream> {
        self.0.get_ref().try_clone()
    }

    /// Waits for the answer.
    pub(crate) fn answer<T: DeserializeOwned>(mut self) -> Result<T, NoAnswer> {
        head(&mut self.0)?;
        Answer::rest(self.0)?.read()
    }
}
