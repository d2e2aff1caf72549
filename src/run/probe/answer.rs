//! A request over HTTP/1.1, and the check of its answer: RFC 9112.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{MsgFlags, recv, send};

use super::closing::Closing;
use super::head::Head;
use super::message::Message;
use crate::config::{Http, HttpCheck, Pattern};
use crate::report::excerpt;
use crate::words::BadAnswer;

/// The request, and the accepted answers.
pub(super) struct Request {
    text: Vec<u8>,
    status: Vec<RangeInclusive<u16>>,
    /// The expectations besides the status, if there are any.
    expected: Option<Expected>,
}

/// The part of an answer that is checked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LooksAt {
    Status,
    Headers,
    Body,
}

/// The expectations for an answer.
struct Expected {
    body: Vec<Pattern>,
    headers: BTreeMap<String, Vec<Pattern>>,
}

impl Request {
    /// Creates a GET request that closes its connection.
    pub(super) fn new(http: &Http) -> Self {
        Self::with(http, "")
    }

    /// The same, with checks of the headers and the body of the answer.
    pub(super) fn checked(check: &HttpCheck) -> Self {
        let HttpCheck { http, body, headers } = check;
        if body.is_empty() && headers.is_empty() {
            return Self::new(http);
        }
        // Without this header, the server may use any coding: RFC 9110, 12.5.3.
        let mut request = Self::with(http, "Accept-Encoding: identity\r\n");
        request.expected = Some(Expected { body: body.clone(), headers: headers.clone() });
        request
    }

    fn with(http: &Http, header: &str) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let text = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: trc/{version}\r\nAccept: */*\r\n{header}Connection: close\r\n\r\n",
            http.path, http.host
        );
        Self { text: text.into_bytes(), status: http.status.clone(), expected: None }
    }

    fn looks_at(&self) -> LooksAt {
        match &self.expected {
            None => LooksAt::Status,
            Some(expected) if expected.body.is_empty() => LooksAt::Headers,
            Some(_) => LooksAt::Body,
        }
    }

    fn accepts(&self, code: u16) -> bool {
        self.status.iter().any(|range| range.contains(&code))
    }

    /// Returns the result for an answer with this status, these headers, if they have arrived, and
    /// these problems.
    fn verdict(
        &self,
        code: u16,
        head: Option<&Head>,
        problems: Vec<BadAnswer>,
    ) -> Result<(), BadAnswer> {
        let accepted = self.accepts(code);
        if accepted && problems.is_empty() {
            return Ok(());
        }
        let to = head.and_then(|head| head.header("location"));
        let to = to.filter(|_| is_redirect(code) && !accepted);
        let redirect = to.map(|to| excerpt(String::from_utf8_lossy(to)));
        Err(BadAnswer::Status { code, accepted, redirect, problems })
    }
}

impl Expected {
    /// Returns everything that differs from the expectations.
    fn problems(&self, head: &Head, body: &[u8]) -> Vec<BadAnswer> {
        let mut problems = Vec::new();
        for (name, patterns) in &self.headers {
            match head.header(name) {
                Some(value) => {
                    let whose = format!("its header {name}");
                    let check =
                        |one: &Pattern| one.check_of(&whose, value).err().map(BadAnswer::Text);
                    problems.extend(patterns.iter().filter_map(check));
                }
                // A missing header has no text that it must not have.
                None if patterns.iter().all(|one| one.negated) => {}
                None => problems.push(BadAnswer::NoHeader(name.clone())),
            }
        }
        let check = |one: &Pattern| one.check_of("its body", body).err().map(BadAnswer::Text);
        problems.extend(self.body.iter().filter_map(check));
        problems
    }
}

/// A request in progress.
pub(super) struct Answer {
    socket: OwnedFd,
    request: Request,
    /// The number of bytes of the request that have been sent.
    sent: usize,
    came: Box<Message>,
}

impl Answer {
    /// Sends a request over a connection.
    pub(super) fn new(socket: OwnedFd, request: Request) -> Self {
        let came = Box::new(Message::new(request.looks_at() == LooksAt::Body));
        Self { socket, request, sent: 0, came }
    }

    /// Returns the descriptor to poll, and the events.
    pub(super) fn fd(&self) -> (BorrowedFd<'_>, PollFlags) {
        let flags = if self.is_asked() { PollFlags::POLLIN } else { PollFlags::POLLOUT };
        (self.socket.as_fd(), flags)
    }

    /// Returns whether the whole request has been sent.
    fn is_asked(&self) -> bool {
        self.sent == self.request.text.len()
    }

    /// Returns the connection that remains to be closed when the result is known, or no longer
    /// needed.
    pub(super) fn close(self) -> Closing {
        if self.is_asked() {
            Closing::after(self.socket, self.came)
        } else {
            Closing::new(self.socket)
        }
    }

    /// Continues as far as possible. Returns the result once it is known.
    pub(super) fn proceed(&mut self) -> Option<Result<(), BadAnswer>> {
        let socket = self.socket.as_raw_fd();
        let rest = &self.request.text[self.sent..];
        if !rest.is_empty() {
            return match send(socket, rest, MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT) {
                Ok(count) => {
                    self.sent += count;
                    None
                }
                Err(Errno::EAGAIN | Errno::EINTR) => None,
                Err(errno) => Some(Err(BadAnswer::Kernel(errno))),
            };
        }
        let mut bytes = [0; 16 * 1024];
        match recv(socket, &mut bytes, MsgFlags::MSG_DONTWAIT) {
            Ok(count) => self.take(&bytes[..count]),
            Err(Errno::EAGAIN | Errno::EINTR) => None,
            Err(errno) => {
                let rest = self.without_rest(BadAnswer::NoRest(errno));
                Some(Err(rest.unwrap_or(BadAnswer::Kernel(errno))))
            }
        }
    }

    /// Takes the bytes that have arrived. No bytes mean the end of the connection.
    fn take(&mut self, bytes: &[u8]) -> Option<Result<(), BadAnswer>> {
        let came =
            if bytes.is_empty() { self.came.end().map(|()| true) } else { self.came.push(bytes) };
        match self.request.looks_at() {
            // trc ignores everything after the status, so nothing can be wrong with it.
            LooksAt::Status => {
                let code = self.came.status();
                // The headers say where an unexpected redirect leads.
                let more = |code: u16| {
                    let wrong = is_redirect(code) && !self.request.accepts(code);
                    wrong && self.came.head().is_none() && came == Ok(false)
                };
                if let Some(code) = code.filter(|code| !more(*code)) {
                    return Some(self.request.verdict(code, self.came.head(), Vec::new()));
                }
            }
            LooksAt::Headers if self.came.head().is_some() => return Some(self.whole()),
            LooksAt::Headers | LooksAt::Body => {}
        }
        match came {
            Ok(false) => None,
            Ok(true) => Some(self.whole()),
            Err(why) => Some(match self.came.head() {
                Some(head) => self.request.verdict(head.status, Some(head), vec![why]),
                None => Err(why),
            }),
        }
    }

    /// Returns the result for an answer of which enough has arrived.
    fn whole(&self) -> Result<(), BadAnswer> {
        match (self.came.head(), &self.request.expected) {
            (Some(head), Some(expected)) => {
                let problems = expected.problems(head, self.came.body());
                self.request.verdict(head.status, Some(head), problems)
            }
            // There is no such answer.
            _ => Err(BadAnswer::None),
        }
    }

    /// Returns the result if nothing more arrives, and why. `None` if not even all headers have
    /// arrived.
    pub(super) fn without_rest(&self, why: BadAnswer) -> Option<BadAnswer> {
        let (code, head) = (self.came.status()?, self.came.head());
        if self.request.looks_at() == LooksAt::Status {
            return self.request.verdict(code, head, Vec::new()).err();
        }
        self.request.verdict(code, Some(head?), vec![why]).err()
    }
}

fn is_redirect(code: u16) -> bool {
    (300..=399).contains(&code)
}
