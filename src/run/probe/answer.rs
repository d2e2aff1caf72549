//! A question over HTTP/1.1, and the first line of its answer: RFC 9112.

use std::ops::RangeInclusive;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{MsgFlags, recv, send};

use crate::config::Http;

/// No answer's first line is longer, in bytes.
const LONGEST: usize = 8 * 1024;

/// What is asked, and which answers will do.
pub struct Request {
    text: Vec<u8>,
    status: Vec<RangeInclusive<u16>>,
}

impl Request {
    /// A GET that closes its connection.
    pub fn new(http: &Http) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let text = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: trc/{version}\r\nAccept: */*\r\nConnection: close\r\n\r\n",
            http.path, http.host
        );
        Self { text: text.into_bytes(), status: http.status.clone() }
    }
}

/// A question that was asked, or is being.
pub struct Answer {
    socket: OwnedFd,
    request: Request,
    /// How much of the question is on its way, in bytes.
    sent: usize,
    line: Vec<u8>,
}

impl Answer {
    /// Asks over a connection.
    pub fn new(socket: OwnedFd, request: Request) -> Self {
        Self { socket, request, sent: 0, line: Vec::new() }
    }

    /// What to poll, and for what.
    pub fn fd(&self) -> (BorrowedFd<'_>, PollFlags) {
        let asked = self.sent == self.request.text.len();
        (self.socket.as_fd(), if asked { PollFlags::POLLIN } else { PollFlags::POLLOUT })
    }

    /// Goes on as far as it can; the verdict once there is one, in words.
    pub fn proceed(&mut self) -> Option<Result<(), String>> {
        let socket = self.socket.as_raw_fd();
        let rest = &self.request.text[self.sent..];
        if !rest.is_empty() {
            return match send(socket, rest, MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT) {
                Ok(count) => {
                    self.sent += count;
                    None
                }
                Err(Errno::EAGAIN | Errno::EINTR) => None,
                Err(errno) => Some(Err(words(errno))),
            };
        }
        let mut bytes = [0; 1024];
        match recv(socket, &mut bytes, MsgFlags::MSG_DONTWAIT) {
            Ok(0) => Some(Err("it closed the connection without an answer".to_owned())),
            Ok(count) => {
                self.line.extend_from_slice(&bytes[..count]);
                self.verdict()
            }
            Err(Errno::EAGAIN | Errno::EINTR) => None,
            Err(errno) => Some(Err(words(errno))),
        }
    }

    fn verdict(&self) -> Option<Result<(), String>> {
        let Some(end) = memchr::memchr(b'\n', &self.line) else {
            let garbage = !b"HTTP/".starts_with(&self.line[..self.line.len().min(5)])
                || self.line.len() > LONGEST;
            return garbage.then(|| Err("its answer is not HTTP".to_owned()));
        };
        let Some(code) = status(&self.line[..end]) else {
            return Some(Err("its answer is not HTTP".to_owned()));
        };
        let right = self.request.status.iter().any(|range| range.contains(&code));
        Some(if right { Ok(()) } else { Err(format!("it answered {code}")) })
    }
}

/// The status code of a status line: `HTTP/1.1 200 OK`.
fn status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let [minor, b' ', code @ ..] = rest else { return None };
    let (digits, after) = code.split_at_checked(3)?;
    let ends = after.first().is_none_or(|byte| matches!(byte, b' ' | b'\r'));
    let number = std::str::from_utf8(digits).ok()?.parse().ok();
    number.filter(|code| minor.is_ascii_digit() && ends && (100..=599).contains(code))
}

fn words(errno: Errno) -> String {
    errno.desc().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::status;

    #[test]
    fn a_status_line_has_a_code() {
        for (line, code) in [
            ("HTTP/1.1 200 OK\r", Some(200)),
            ("HTTP/1.0 404\r", Some(404)),
            ("HTTP/1.1 503", Some(503)),
            ("HTTP/1.1 2000\r", None),
            ("HTTP/1.1 20", None),
            ("HTTP/1.1 999 \r", None),
            ("HTTP/2 200 OK", None),
            ("HTTP/1.1  200 OK", None),
            ("SSH-2.0-OpenSSH", None),
            ("", None),
        ] {
            assert_eq!(status(line.as_bytes()), code, "{line}");
        }
    }
}
