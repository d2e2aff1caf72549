//! A request over HTTP/1.1, and the check of its answer: RFC 9112.

use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{MsgFlags, recv, send};

use super::closing::Closing;
use super::head::Head;
use super::message::Message;
use super::{json, redirect};
use crate::config::{Http, HttpCheck, Pattern, Sent};
use crate::report::excerpt;
use crate::words::BadAnswer;

/// The request, and the accepted answers.
pub(super) struct Request {
    text: Vec<u8>,
    status: Vec<RangeInclusive<u16>>,
    /// The expectations besides the status, if there are any.
    expected: Option<Box<HttpCheck>>,
    /// The number of redirects that may still be followed; `None` if none is.
    hops: Option<u32>,
}

/// The part of an answer that is checked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LooksAt {
    Status,
    Headers,
    Whole,
}

/// What an answer has come to.
pub(super) enum Came {
    /// The result of the check.
    Verdict(Result<(), BadAnswer>),
    /// Another place to ask, and how.
    Moved(Http, Request),
}

impl Request {
    /// Creates a GET request that closes its connection.
    pub(super) fn new(http: &Http) -> Self {
        let text = text_of(http, &Sent::default(), false);
        Self { text, status: http.status.clone(), expected: None, hops: None }
    }

    /// The same, with another request, and checks of more than the status.
    pub(super) fn checked(check: &HttpCheck) -> Self {
        let looks = check.reads_body() || !check.headers.is_empty();
        let is_plain = check.sent == Sent::default() && !check.follow;
        if is_plain && !looks && check.answer_within.is_none() {
            return Self::new(&check.http);
        }
        Self {
            // Without this header, the server may use any coding: RFC 9110, 12.5.3.
            text: text_of(&check.http, &check.sent, looks),
            status: check.http.status.clone(),
            expected: Some(Box::new(check.clone())),
            hops: check.follow.then_some(redirect::MOST),
        }
    }

    /// Returns the next request after a redirect; `None` if the answer is to be checked.
    ///
    /// # Errors
    /// Returns the reason why the redirect cannot be followed.
    fn moved(&self, head: &Head) -> Result<Option<(Http, Self)>, BadAnswer> {
        let (Some(check), Some(hops)) = (&self.expected, self.hops) else { return Ok(None) };
        let to = head.header("location").filter(|_| redirect::leads_on(head.status));
        let Some(to) = to.map(String::from_utf8_lossy) else { return Ok(None) };
        let hops = hops.checked_sub(1).ok_or(BadAnswer::Circles(redirect::MOST))?;
        let http =
            redirect::next(&check.http, &to).map_err(|why| BadAnswer::Astray(excerpt(&to), why))?;
        let elsewhere = (&http.address, &http.host) != (&check.http.address, &check.http.host);
        let sent = redirect::next_sent(head.status, &check.sent, elsewhere);
        let next = HttpCheck { http: http.clone(), sent, ..(**check).clone() };
        Ok(Some((http, Self { hops: Some(hops), ..Self::checked(&next) })))
    }

    /// Returns whether an answer with this status may lead on.
    fn follows(&self, code: u16) -> bool {
        self.hops.is_some() && redirect::leads_on(code)
    }

    fn is_head(&self) -> bool {
        self.expected.as_ref().is_some_and(|check| check.sent.method == "HEAD")
    }

    fn looks_at(&self) -> LooksAt {
        match &self.expected {
            Some(check) if check.reads_body() || check.answer_within.is_some() => LooksAt::Whole,
            Some(check) if !check.headers.is_empty() => LooksAt::Headers,
            None | Some(_) => LooksAt::Status,
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

/// Returns the bytes of a request.
fn text_of(http: &Http, sent: &Sent, identity: bool) -> Vec<u8> {
    let agent = concat!("trc/", env!("CARGO_PKG_VERSION"));
    let mut text = format!("{} {} HTTP/1.1\r\nHost: {}\r\n", sent.method, http.path, http.host);
    let mut add = |name: &str, value: &str| _ = write!(text, "{name}: {value}\r\n");
    let usual = [("User-Agent", agent), ("Accept", "*/*"), ("Accept-Encoding", "identity")];
    for (name, value) in usual {
        let written = sent.headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
        if !written && (identity || name != "Accept-Encoding") {
            add(name, value);
        }
    }
    for (name, value) in &sent.headers {
        add(name, value);
    }
    let body = sent.body.as_deref().unwrap_or_default();
    // RFC 9110, 8.6: a method that usually has a body tells that it has none.
    if sent.body.is_some() || matches!(sent.method.as_str(), "POST" | "PUT" | "PATCH") {
        add("Content-Length", &body.len().to_string());
    }
    add("Connection", "close");
    text.push_str("\r\n");
    text.push_str(body);
    text.into_bytes()
}

/// Returns everything in an answer that differs from the expectations.
fn problems(check: &HttpCheck, head: &Head, body: &[u8]) -> Vec<BadAnswer> {
    let mut problems = Vec::new();
    for (name, patterns) in &check.headers {
        match head.header(name) {
            Some(value) => {
                let whose = format!("its header {name}");
                let check = |one: &Pattern| one.check_of(&whose, value).err().map(BadAnswer::Text);
                problems.extend(patterns.iter().filter_map(check));
            }
            // A missing header has no text that it must not have.
            None if patterns.iter().all(|one| one.negated) => {}
            None => problems.push(BadAnswer::NoHeader(name.clone())),
        }
    }
    let check_body = |one: &Pattern| one.check_of("its body", body).err().map(BadAnswer::Text);
    problems.extend(check.body.iter().filter_map(check_body));
    if !check.json.is_empty() {
        problems.extend(json::problems(body, &check.json));
    }
    problems
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
        let keeps = request.expected.as_ref().is_some_and(|check| check.reads_body());
        let came = if request.is_head() { Message::without_body() } else { Message::new(keeps) };
        let came = Box::new(came);
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
    pub(super) fn proceed(&mut self) -> Option<Came> {
        let socket = self.socket.as_raw_fd();
        let rest = &self.request.text[self.sent..];
        let failed = |why| Some(Came::Verdict(Err(why)));
        if !rest.is_empty() {
            return match send(socket, rest, MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT) {
                Ok(count) => {
                    self.sent += count;
                    None
                }
                Err(Errno::EAGAIN | Errno::EINTR) => None,
                Err(errno) => failed(BadAnswer::Kernel(errno)),
            };
        }
        let mut bytes = [0; 16 * 1024];
        match recv(socket, &mut bytes, MsgFlags::MSG_DONTWAIT) {
            Ok(count) => self.take(&bytes[..count]),
            Err(Errno::EAGAIN | Errno::EINTR) => None,
            Err(errno) => {
                let rest = self.without_rest(BadAnswer::NoRest(errno));
                failed(rest.unwrap_or(BadAnswer::Kernel(errno)))
            }
        }
    }

    /// Takes the bytes that have arrived. No bytes mean the end of the connection.
    fn take(&mut self, bytes: &[u8]) -> Option<Came> {
        let came =
            if bytes.is_empty() { self.came.end().map(|()| true) } else { self.came.push(bytes) };
        if self.came.status().is_some_and(|code| self.request.follows(code)) {
            // A connection that is closed after the whole answer surprises no server.
            return match (came, self.came.head()) {
                (Ok(false), _) => None,
                (Err(why), None) => Some(Came::Verdict(Err(why))),
                (_, None) => Some(Came::Verdict(Err(BadAnswer::None))),
                (_, Some(head)) => Some(match self.request.moved(head) {
                    Ok(Some((http, request))) => Came::Moved(http, request),
                    Ok(None) => Came::Verdict(self.whole()),
                    Err(why) => Came::Verdict(Err(why)),
                }),
            };
        }
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
                    let verdict = self.request.verdict(code, self.came.head(), Vec::new());
                    return Some(Came::Verdict(verdict));
                }
            }
            LooksAt::Headers if self.came.head().is_some() => {
                return Some(Came::Verdict(self.whole()));
            }
            LooksAt::Headers | LooksAt::Whole => {}
        }
        match came {
            Ok(false) => None,
            Ok(true) => Some(Came::Verdict(self.whole())),
            Err(why) => Some(Came::Verdict(match self.came.head() {
                Some(head) => self.request.verdict(head.status, Some(head), vec![why]),
                None => Err(why),
            })),
        }
    }

    /// Returns the result for an answer of which enough has arrived.
    fn whole(&self) -> Result<(), BadAnswer> {
        match (self.came.head(), &self.request.expected) {
            (Some(head), Some(expected)) => {
                let problems = problems(expected, head, self.came.body());
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
