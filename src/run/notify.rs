//! Messages that units send by the protocol of systemd's `NOTIFY_SOCKET`, `sd_notify(3)`: datagrams
//! of `NAME=value` lines.
//!
//! Each start of a unit has a socket of its own, at a path that only processes of this container
//! can reach (`private.rs`), or, if trc can write to no directory, in the abstract namespace with a
//! name that the kernel chooses: unix(7). Containers that share a network share that namespace. The
//! kernel names each sender: `SO_PASSCRED`. A sender in another PID namespace has the process ID 0.
//!
//! Senders may pass descriptors. `rights.rs` describes how trc avoids touching them.

use std::fmt::Write as _;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, bind, getsockname, setsockopt, socket, sockopt,
};

use super::os::private::{self, Owner};
use super::os::rest::Rest;
use super::os::rights::{Guarded, Head, Sender};
use crate::engine::Notice;
use crate::text::harmless;

/// The longest message in bytes, which is the same as systemd's.
const LONGEST: usize = 4096;
/// The number of characters of a status that are kept.
const STATUS: usize = 200;
/// The time for which trc does not poll a socket if it cannot fork a child to take what a message
/// carries.
const REST: Duration = Duration::from_secs(1);

/// The protocol's variables.
pub(super) const VARIABLES: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

/// The socket of a unit.
pub(super) struct Socket {
    fd: Guarded,
    name: String,
    /// The path, unless the socket is in the abstract namespace.
    path: Option<PathBuf>,
    /// After trc could not fork a child to take what a message carries.
    rest: Rest,
    /// Whether trc has logged that somebody else writes to the socket.
    pub warned: bool,
}

/// A message and its sender.
pub(super) struct Message {
    /// The process ID of the sender; 0 in another PID namespace.
    pub pid: i32,
    /// The user ID of the sender.
    pub uid: u32,
    /// The lines of the message.
    pub fields: Vec<Field>,
}

/// One line of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Field {
    /// A line for the engine.
    Notice(Notice),
    /// The status, for people.
    Status(String),
    /// When the unit has begun to reload: the time since the machine has booted.
    Since(Duration),
}

impl Socket {
    /// Creates a socket.
    ///
    /// # Errors
    /// Returns the errors of socket(2) and bind(2).
    pub(super) fn new() -> nix::Result<Self> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let fd = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
        setsockopt(&fd, sockopt::PassCred, &true)?;
        let path = private::bind(fd.as_fd());
        let name = match &path {
            Some(path) => path.display().to_string(),
            None => in_the_abstract(fd.as_fd())?,
        };
        Ok(Self { fd: Guarded::new(fd), name, path, rest: Rest::new(REST), warned: false })
    }

    /// Lets the user of a unit and root send to the socket. `None` lets everybody, because a
    /// process that starts as trc's own user may become any other.
    pub(super) fn give_to(&self, owner: Option<Owner>) {
        if let Some(path) = &self.path {
            private::give(path, owner);
        }
    }

    /// Returns the value for `NOTIFY_SOCKET`.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the descriptor to poll for input, unless the socket rests.
    pub(super) fn fd(&self, now: Instant) -> Option<BorrowedFd<'_>> {
        let rests = self.fd.is_taken_from() || self.rest.until(now).is_some();
        (!rests).then(|| self.fd.as_fd())
    }

    /// Returns the time at which the socket is polled again, if it rests.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        self.rest.until(now)
    }

    /// Returns the next message, if one can be read now.
    pub(super) fn receive(&mut self, now: Instant) -> Option<Message> {
        if self.rest.until(now).is_some() {
            return None;
        }
        let mut bytes = [0; LONGEST];
        match self.fd.receive(&mut bytes) {
            Ok(head) => Some(Message::new(&head, &bytes)),
            Err(Errno::EAGAIN | Errno::EINTR) => None,
            Err(_) => {
                self.rest.begin(now);
                None
            }
        }
    }

    /// Handles the exit of a child, which may have taken what a message carried.
    pub(super) fn ended(&mut self, pid: i32) {
        self.fd.ended(pid);
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            private::unlink(path);
        }
    }
}

/// Gives a socket a name that the kernel chooses, and returns the name.
fn in_the_abstract(fd: BorrowedFd<'_>) -> nix::Result<String> {
    bind(fd.as_raw_fd(), &UnixAddr::new_unnamed())?;
    let address: UnixAddr = getsockname(fd.as_raw_fd())?;
    let mut name = "@".to_owned();
    for byte in address.as_abstract().ok_or(Errno::EADDRNOTAVAIL)? {
        // Five digits: unix(7), autobind.
        _ = write!(name, "{}", char::from(*byte));
    }
    Ok(name)
}

impl Message {
    fn new(head: &Head, bytes: &[u8]) -> Self {
        // Nothing about a message that was cut off is certain.
        let fields = if head.cut { Vec::new() } else { parse(&bytes[..head.length]) };
        let Sender { pid, uid } = head.sender.unwrap_or(Sender { pid: 0, uid: u32::MAX });
        Self { pid, uid, fields }
    }
}

/// Parses the lines of a message that trc understands.
fn parse(bytes: &[u8]) -> Vec<Field> {
    let text = String::from_utf8_lossy(bytes);
    text.lines().filter_map(|line| line.split_once('=')).filter_map(field).collect()
}

fn field((name, value): (&str, &str)) -> Option<Field> {
    Some(Field::Notice(match (name, value) {
        ("READY", "1") => Notice::Ready,
        ("STOPPING", "1") => Notice::Stopping,
        ("RELOADING", "1") => Notice::Reloading,
        ("WATCHDOG", "1") => Notice::Alive,
        ("WATCHDOG", "trigger") => Notice::Sick,
        ("EXTEND_TIMEOUT_USEC", micros) => {
            // A year is as good as forever, and can be added to any time.
            const YEAR: Duration = Duration::from_hours(24 * 365);
            Notice::Extend(Duration::from_micros(number(micros)?).min(YEAR))
        }
        ("MAINPID", pid) => Notice::MainPid(main_pid(pid)?),
        ("STATUS", status) => {
            return Some(Field::Status(harmless(status).chars().take(STATUS).collect()));
        }
        ("MONOTONIC_USEC", micros) => {
            return Some(Field::Since(Duration::from_micros(number(micros)?)));
        }
        ("ERRNO", errno) => {
            let errno = i32::try_from(number(errno)?).ok()?;
            return Some(Field::Status(Errno::from_raw(errno).desc().to_owned()));
        }
        _ => return None,
    }))
}

/// Parses the number of a process that may be the main process of a unit: not PID 1.
pub(super) fn main_pid(text: &str) -> Option<i32> {
    i32::try_from(number(text)?).ok().filter(|pid| *pid > 1)
}

/// Parses a number that consists of digits only.
fn number(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_lines_of_names_and_values() {
        use Field::{Notice as N, Since, Status};
        for (text, fields) in [
            ("READY=1", vec![N(Notice::Ready)]),
            ("READY=1\n", vec![N(Notice::Ready)]),
            (
                "STATUS=Loading…\nREADY=1\nMAINPID=4711",
                vec![Status("Loading…".to_owned()), N(Notice::Ready), N(Notice::MainPid(4711))],
            ),
            (
                "RELOADING=1\nMONOTONIC_USEC=1234",
                vec![N(Notice::Reloading), Since(Duration::from_micros(1234))],
            ),
            ("STOPPING=1\nWATCHDOG=1", vec![N(Notice::Stopping), N(Notice::Alive)]),
            ("WATCHDOG=trigger", vec![N(Notice::Sick)]),
            ("EXTEND_TIMEOUT_USEC=1500000", vec![N(Notice::Extend(Duration::from_millis(1500)))]),
            ("ERRNO=2", vec![Status("No such file or directory".to_owned())]),
            ("STATUS=a\tb\x1b[31m", vec![Status("a b [31m".to_owned())]),
        ] {
            assert_eq!(parse(text.as_bytes()), fields, "{text:?}");
        }
    }

    #[test]
    fn what_is_odd_means_nothing() {
        for text in [
            "",
            "\n\n",
            "READY",
            "READY=",
            "READY=0",
            "READY=11",
            " READY=1",
            "ready=1",
            "MAINPID=0",
            "MAINPID=1",
            "MAINPID=-5",
            "MAINPID=99999999999999999999",
            "MAINPID=4294967297",
            "MAINPID= 5",
            "EXTEND_TIMEOUT_USEC=-1",
            "EXTEND_TIMEOUT_USEC=1e3",
            "WATCHDOG=",
            "MONOTONIC_USEC=-1",
            "FDSTORE=1",
            "\0READY=1",
            "=1",
        ] {
            assert_eq!(parse(text.as_bytes()), [], "{text:?}");
        }
        assert_eq!(parse(&[0xff; 100]), []);
        let most = parse(format!("EXTEND_TIMEOUT_USEC={}", u64::MAX).as_bytes());
        assert!(matches!(most[..], [Field::Notice(Notice::Extend(_))]));
        assert_eq!(parse(format!("STATUS={}", "x".repeat(4000)).as_bytes()).len(), 1);
    }
}
