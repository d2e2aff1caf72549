//! Asks a running trc over its control socket.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use serde::de::DeserializeOwned;

use crate::wire::{Ask, Code, Problem, SOCKET, Units, VARIABLE};

/// The longest answer that is read, in bytes.
const LONGEST: u64 = 64 * 1024 * 1024;

/// The usual patience with trc.
const PATIENCE: Duration = Duration::from_secs(10);

/// The reason why there is no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// There is no trc at this path.
    Unreachable(PathBuf, io::Error),
    /// trc has not answered within this time.
    Silent(Duration),
    /// The connection broke off.
    Broken(io::Error),
    /// trc has refused the request.
    Refused(Problem),
    /// trc has answered something else.
    Odd(String),
}

/// A running trc.
pub(crate) struct Trc {
    path: PathBuf,
    /// The longest time for trc to answer, beside the time for which it holds the answer back.
    patience: Duration,
}

/// Returns this path, or else the one that `TRC_SOCKET` or the usual place says.
pub(crate) fn socket_path(path: Option<&Path>) -> PathBuf {
    let variable = || std::env::var_os(VARIABLE).filter(|path| !path.is_empty());
    let path = path.map(Path::to_owned).or_else(|| variable().map(PathBuf::from));
    path.unwrap_or_else(|| PathBuf::from(SOCKET))
}

/// The answer to a request.
pub(crate) struct Answer {
    /// The JSON.
    pub body: Vec<u8>,
}

impl Trc {
    /// Returns the trc at this path, or else where `TRC_SOCKET` or the usual place says.
    pub(crate) fn at(path: Option<&Path>) -> Self {
        Self { path: socket_path(path), patience: PATIENCE }
    }

    /// Sets the longest time for trc to answer.
    pub(crate) fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Connects. Neither this nor a write to the connection waits for longer than the patience: a trc
    /// that is suspended accepts nobody, and the queue of those who wait for it can be full.
    pub(super) fn connect(&self) -> Result<UnixStream, NoAnswer> {
        let unreachable = |why: Errno| NoAnswer::Unreachable(self.path.clone(), why.into());
        let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None);
        let stream = UnixStream::from(socket.map_err(unreachable)?);
        stream.set_write_timeout(Some(self.patience)).map_err(NoAnswer::Broken)?;
        let address = UnixAddr::new(&self.path).map_err(unreachable)?;
        loop {
            match connect(stream.as_raw_fd(), &address) {
                Ok(()) => return Ok(stream),
                // A signal has interrupted the wait, such as the one of another size of the terminal.
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Err(NoAnswer::Silent(self.patience)),
                Err(why) => return Err(unreachable(why)),
            }
        }
    }

    fn send(&self, ask: &Ask) -> Result<BufReader<UnixStream>, NoAnswer> {
        let (method, target) = ask.written();
        let mut stream = self.connect()?;
        let head = format!(
            "{} {target} HTTP/1.1\r\nHost: trc\r\nConnection: close\r\n\r\n",
            method.word()
        );
        let within = ask.patience().map(|held| self.patience.saturating_add(held));
        stream.set_read_timeout(within).map_err(NoAnswer::Broken)?;
        stream.write_all(head.as_bytes()).map_err(broken)?;
        Ok(BufReader::new(stream))
    }

    /// Asks, and returns the answer, whatever its status code is.
    pub(crate) fn ask(&self, ask: &Ask) -> Result<Answer, NoAnswer> {
        let mut from = self.send(ask)?;
        head(&mut from)?;
        Answer::rest(from)
    }

    /// Asks, and returns the answer if it is not a problem.
    pub(crate) fn get<T: DeserializeOwned>(&self, ask: &Ask) -> Result<T, NoAnswer> {
        self.ask(ask)?.read()
    }

    /// Asks about the unit with a name, or, if the name stands for several instances, about each.
    pub(crate) fn get_each<T: DeserializeOwned>(
        &self,
        name: &str,
        ask: impl Fn(String) -> Ask,
    ) -> Vec<Result<T, NoAnswer>> {
        let answer = self.get(&ask(name.to_owned()));
        let Err(NoAnswer::Refused(problem)) = &answer else { return vec![answer] };
        let instances = match problem.code {
            Code::NotFound => self.instances(name),
            _ => Vec::new(),
        };
        if instances.is_empty() {
            return vec![answer];
        }
        instances.into_iter().map(|unit| self.get(&ask(unit))).collect()
    }

    /// Returns the names of the instances of the unit with a name.
    pub(super) fn instances(&self, name: &str) -> Vec<String> {
        let Ok(Units { units }) = self.get(&Ask::Units) else { return Vec::new() };
        let is_meant = |unit: &str| {
            let all = unit.rsplit_once('@').map(|(all, _)| all);
            let bare = all.and_then(|all| all.split_once('.')).map(|(_, bare)| bare);
            all == Some(name) || bare == Some(name)
        };
        units.into_iter().map(|unit| unit.name).filter(|unit| is_meant(unit)).collect()
    }

    /// Asks for records, and hands each of them over as its JSON, until `take` returns false.
    pub(crate) fn stream(&self, ask: &Ask, take: impl FnMut(&str) -> bool) -> Result<(), NoAnswer> {
        self.stream_held(ask, |_| (), take)
    }

    /// Does what [`Trc::stream`] does, and hands the connection to `hold` first: whoever shuts it down
    /// ends the stream.
    pub(crate) fn stream_held(
        &self,
        ask: &Ask,
        hold: impl FnOnce(&UnixStream),
        mut take: impl FnMut(&str) -> bool,
    ) -> Result<(), NoAnswer> {
        let mut from = self.send(ask)?;
        hold(from.get_ref());
        // Only the records may let somebody wait, not the head.
        let within = from.get_ref().read_timeout().map_err(NoAnswer::Broken)?;
        from.get_ref().set_read_timeout(Some(self.patience)).map_err(NoAnswer::Broken)?;
        let status = head(&mut from)?;
        from.get_ref().set_read_timeout(within).map_err(NoAnswer::Broken)?;
        if status != 200 {
            return Err(Answer::rest(from)?.problem());
        }
        let mut line = String::new();
        while from.read_line(&mut line).map_err(broken)? > 0 {
            if !take(line.trim_end()) {
                break;
            }
            line.clear();
        }
        Ok(())
    }
}

impl Answer {
    pub(super) fn rest(from: impl Read) -> Result<Self, NoAnswer> {
        let mut body = Vec::new();
        from.take(LONGEST).read_to_end(&mut body).map_err(broken)?;
        Ok(Self { body })
    }

    /// Returns the contents, if the answer is not a problem.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, NoAnswer> {
        match serde_json::from_slice(&self.body) {
            Ok(contents) => Ok(contents),
            Err(_) => Err(self.problem()),
        }
    }

    fn problem(&self) -> NoAnswer {
        let text = || String::from_utf8_lossy(&self.body).chars().take(200).collect();
        serde_json::from_slice(&self.body).map_or_else(|_| NoAnswer::Odd(text()), NoAnswer::Refused)
    }
}

/// Returns the reason why nothing could be read or written.
pub(super) fn broken(why: io::Error) -> NoAnswer {
    match why.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => NoAnswer::Silent(PATIENCE),
        _ => NoAnswer::Broken(why),
    }
}

/// Reads the head of an answer. Returns the status code.
pub(super) fn head(from: &mut impl BufRead) -> Result<u16, NoAnswer> {
    let mut status = None;
    loop {
        let mut line = String::new();
        if from.take(16 * 1024).read_line(&mut line).map_err(broken)? == 0 {
            return Err(NoAnswer::Broken(io::ErrorKind::UnexpectedEof.into()));
        }
        let line = line.trim_end();
        match status {
            None => {
                let code =
                    line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
                status = Some(code.ok_or_else(|| NoAnswer::Odd(line.to_owned()))?);
            }
            Some(code) if line.is_empty() => return Ok(code),
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use nix::sys::socket::{Backlog, listen};

    use super::*;
    use crate::wire::{Select, Units};

    /// A trc that is suspended: the kernel accepts connections, and nobody reads.
    fn suspended() -> (tempfile::TempDir, UnixListener, Trc) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("trc.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let trc = Trc::at(Some(&path)).patient(Duration::from_millis(20));
        (dir, listener, trc)
    }

    #[track_caller]
    fn is_silent<T>(answer: Result<T, NoAnswer>) {
        let why = answer.err();
        assert!(matches!(why, Some(NoAnswer::Silent(_))), "{why:?}");
    }

    #[test]
    fn a_trc_that_does_not_answer_is_not_waited_for_without_end() {
        let (_dir, _listener, trc) = suspended();
        is_silent(trc.get::<Units>(&Ask::Units));
        let follow = Select { units: Vec::new(), last: 0, since: None, grep: None, follow: true };
        is_silent(trc.stream(&Ask::Events(follow), |_| true));
    }

    #[test]
    fn a_trc_that_does_not_accept_is_not_waited_for_without_end() {
        let (_dir, listener, trc) = suspended();
        listen(&listener, Backlog::new(0).unwrap()).unwrap();
        let _first = UnixStream::connect(&trc.path).unwrap();
        is_silent(trc.get::<Units>(&Ask::Units));
        #[cfg(feature = "ctl")]
        {
            let input = std::io::stdin();
            let streams = [std::os::fd::AsFd::as_fd(&input); 3];
            let exec = crate::wire::Exec {
                unit: "web".to_owned(),
                command: vec!["true".to_owned()],
                tty: false,
                term: None,
            };
            is_silent(trc.pass(exec, streams));
        }
    }
}
