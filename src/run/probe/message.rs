//! An answer over HTTP/1.1 while it arrives: RFC 9112.

use memchr::memchr;

use super::head::{Framing, Head, number};
use crate::words::{BadAnswer, Missing};

/// The longest body, in bytes.
const LONGEST_BODY: usize = 1024 * 1024;
/// The longest headers and trailers together, in bytes.
const LONGEST_HEAD: usize = 64 * 1024;
/// The longest status line, and the longest line between chunks, in bytes.
const LONGEST_LINE: usize = 8 * 1024;

/// The state of an answer.
#[derive(PartialEq, Eq, Debug)]
enum State {
    /// The status line is next, or the one after an interim answer.
    Status,
    /// Headers, until an empty line.
    Headers,
    /// This many bytes of a body with a known length.
    Length(usize),
    /// A body that ends with the connection.
    ToEnd,
    /// The size of a chunk.
    Size,
    /// This many bytes of a chunk.
    Chunk(usize),
    /// The line that ends a chunk.
    ChunkEnd,
    /// The trailers, until an empty line.
    Trailers,
    /// The answer is complete.
    Whole,
}

/// An answer, as far as it has arrived.
pub(crate) struct Message {
    state: State,
    /// Whether the body is kept. Otherwise, it is only read.
    keeps_body: bool,
    /// The bytes that have not been parsed yet.
    rest: Vec<u8>,
    /// The number of bytes that may still be added to the head.
    room: usize,
    head: Head,
    body: Vec<u8>,
    /// Whether the answer ends with its head, whatever the head says: the answer to HEAD.
    bodiless: bool,
}

impl Message {
    /// Creates an answer of which nothing has arrived. A body that is not kept may have any length
    /// and any coding.
    pub(crate) fn new(keeps_body: bool) -> Self {
        Self {
            state: State::Status,
            keeps_body,
            rest: Vec::new(),
            room: LONGEST_HEAD,
            head: Head::default(),
            body: Vec::new(),
            bodiless: false,
        }
    }

    /// Creates the same for an answer without a body: RFC 9112, 6.3.
    pub(crate) fn without_body() -> Self {
        Self { bodiless: true, ..Self::new(false) }
    }

    /// Returns the status, once the status line has arrived.
    pub(crate) fn status(&self) -> Option<u16> {
        let told = self.state != State::Status && !self.head.is_interim();
        told.then_some(self.head.status)
    }

    /// Returns whether the answer is complete.
    pub(crate) fn is_whole(&self) -> bool {
        self.state == State::Whole
    }

    /// Discards the body, including the part that has arrived.
    pub(crate) fn forget_body(&mut self) {
        self.keeps_body = false;
        self.body = Vec::new();
    }

    /// Returns the status and the headers, once they have arrived.
    pub(crate) fn head(&self) -> Option<&Head> {
        (!matches!(self.state, State::Status | State::Headers)).then_some(&self.head)
    }

    /// Returns the body, as far as it has arrived.
    pub(crate) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Parses the bytes that have arrived. Returns true once the answer is complete.
    ///
    /// # Errors
    /// Returns the reason why they cannot be read.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<bool, BadAnswer> {
        let mut rest = std::mem::take(&mut self.rest);
        rest.extend_from_slice(bytes);
        let mut left = rest.as_slice();
        while self.take(&mut left)? {}
        self.rest = left.to_vec();
        Ok(self.is_whole())
    }

    /// Handles the end of the connection.
    ///
    /// # Errors
    /// Returns the part of the answer that is missing.
    pub(crate) fn end(&self) -> Result<(), BadAnswer> {
        let missing = match &self.state {
            State::Whole | State::ToEnd => return Ok(()),
            State::Status => return Err(BadAnswer::None),
            State::Headers => Missing::Head,
            State::Length(left) => Missing::Bytes(*left),
            State::Size | State::Chunk(_) | State::ChunkEnd | State::Trailers => Missing::Body,
        };
        Err(BadAnswer::Cut(missing))
    }

    /// Parses one part; false if more bytes have to arrive first.
    fn take(&mut self, left: &mut &[u8]) -> Result<bool, BadAnswer> {
        let (is_head, most) = match self.state {
            State::Whole => return Ok(false),
            State::Status if !b"HTTP/".starts_with(&left[..left.len().min(5)]) => {
                return Err(BadAnswer::NotHttp);
            }
            State::Status | State::Headers | State::Trailers => (true, self.room),
            State::Size | State::ChunkEnd => (false, LONGEST_LINE),
            State::ToEnd => return self.keep(left, usize::MAX).map(|_| false),
            State::Length(missing) | State::Chunk(missing) => {
                let missing = missing - self.keep(left, missing)?;
                let in_chunk = matches!(self.state, State::Chunk(_));
                self.state = match (in_chunk, missing) {
                    (true, 0) => State::ChunkEnd,
                    (false, 0) => State::Whole,
                    (true, _) => State::Chunk(missing),
                    (false, _) => State::Length(missing),
                };
                return Ok(missing == 0);
            }
        };
        let end = memchr(b'\n', left);
        if self.state == State::Status && end.unwrap_or(left.len()) >= LONGEST_LINE {
            return Err(BadAnswer::NotHttp);
        }
        if end.unwrap_or(left.len()) >= most {
            return Err(if is_head {
                BadAnswer::LongHead(LONGEST_HEAD)
            } else {
                BadAnswer::Chunks
            });
        }
        let Some(end) = end else { return Ok(false) };
        if is_head {
            self.room -= end + 1;
        }
        let line = &left[..end];
        *left = &left[end + 1..];
        self.state = self.after(line.strip_suffix(b"\r").unwrap_or(line))?;
        Ok(true)
    }

    /// Returns the bytes after a line.
    fn after(&mut self, line: &[u8]) -> Result<State, BadAnswer> {
        match self.state {
            State::Status => {
                self.head = Head::begin(line).ok_or(BadAnswer::NotHttp)?;
                Ok(State::Headers)
            }
            State::Headers if line.is_empty() => self.after_head(),
            State::Headers => self.head.push(line).map(|()| State::Headers),
            State::Size => match chunk_size(line)? {
                0 => Ok(State::Trailers),
                length if self.keeps_body && length > LONGEST_BODY - self.body.len() => {
                    Err(BadAnswer::LongBody(LONGEST_BODY))
                }
                length => Ok(State::Chunk(length)),
            },
            State::ChunkEnd if line.is_empty() => Ok(State::Size),
            State::ChunkEnd => Err(BadAnswer::Chunks),
            State::Trailers if line.is_empty() => Ok(State::Whole),
            // RFC 9110, 6.5.1: trailers may be ignored.
            State::Trailers => Ok(State::Trailers),
            // These parts have no lines.
            State::Length(_) | State::ToEnd | State::Chunk(_) | State::Whole => Ok(State::Whole),
        }
    }

    fn after_head(&self) -> Result<State, BadAnswer> {
        // The answer is still to come: RFC 9110, 15.2.
        if self.head.is_interim() {
            return Ok(State::Status);
        }
        if self.bodiless {
            return Ok(State::Whole);
        }
        let framing = match self.head.framing() {
            Ok(framing) => framing,
            Err(why) if self.keeps_body => return Err(why),
            Err(_) => Framing::ToEnd,
        };
        match framing {
            Framing::Length(0) => Ok(State::Whole),
            Framing::Length(length) if self.keeps_body && length > LONGEST_BODY => {
                Err(BadAnswer::LongBody(LONGEST_BODY))
            }
            Framing::Length(length) => Ok(State::Length(length)),
            Framing::Chunks => Ok(State::Size),
            Framing::ToEnd => Ok(State::ToEnd),
        }
    }

    /// Takes at most this many of the bytes for the body.
    fn keep(&mut self, left: &mut &[u8], most: usize) -> Result<usize, BadAnswer> {
        let (part, after) = left.split_at(left.len().min(most));
        if !self.keeps_body {
            *left = after;
            return Ok(part.len());
        }
        if part.len() > LONGEST_BODY - self.body.len() {
            return Err(BadAnswer::LongBody(LONGEST_BODY));
        }
        self.body.extend_from_slice(part);
        *left = after;
        Ok(part.len())
    }
}

/// Parses the size of a chunk. Extensions are ignored.
fn chunk_size(line: &[u8]) -> Result<usize, BadAnswer> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let digits = std::str::from_utf8(digits).ok();
    digits.and_then(|digits| number(digits.trim(), 16)).ok_or(BadAnswer::Chunks)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the result of an answer that arrives in pieces of this size, and then ends.
    fn came(answer: &[u8], piece: usize) -> Result<Message, BadAnswer> {
        let mut message = Message::new(true);
        for bytes in answer.chunks(piece) {
            if message.push(bytes)? {
                return Ok(message);
            }
        }
        message.end().map(|()| message)
    }

    #[test]
    fn a_body_ends_as_its_head_says_however_it_arrives() {
        for (answer, status, body) in [
            ("HTTP/1.1 200 OK\r\n\r\nall\n of it", 200, "all\n of it"),
            ("HTTP/1.0 200\n\nall", 200, "all"),
            ("HTTP/1.1 200 \r\n\r\n", 200, ""),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nallmore", 200, "all"),
            ("HTTP/1.1 200 OK\r\ncontent-length:003,3\r\nContent-Length: 3\r\n\r\nall", 200, "all"),
            ("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\nmore", 404, ""),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nall\r\n0\r\n\r\nx",
                200,
                "all",
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n\
                 0001 ;a=b\r\na\r\nA\n23456789ab\n00\r\nTrailer: x\r\n\r\n",
                200,
                "a23456789ab",
            ),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nall", 200, "all"),
            ("HTTP/1.1 204 No\r\nContent-Length: 9\r\n\r\nx", 204, ""),
            ("HTTP/1.1 304 No\r\nTransfer-Encoding: chunked\r\n\r\nx", 304, ""),
            ("HTTP/1.1 101 Up\r\nContent-Length: 9\r\n\r\nx", 101, ""),
            (
                "HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 103 Hints\r\nContent-Length: 99\r\n\r\n\
                 HTTP/1.1 200 OK\r\n\r\nall",
                200,
                "all",
            ),
        ] {
            for piece in [1, 2, 3, 7, answer.len()] {
                let message = came(answer.as_bytes(), piece).unwrap();
                let status_of = message.head().map(|head| head.status);
                let found = (status_of, String::from_utf8_lossy(message.body()));
                assert_eq!(found, (Some(status), body.into()), "{piece}: {answer:?}");
            }
        }
    }

    #[test]
    fn an_answer_that_is_cut_short_or_broken_is_none() {
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let told = "HTTP/1.1 200 OK\r\nContent-Length: ";
        let none = "it closed the connection without an answer";
        let end = "it closed the connection before the end of its body";
        let long = "its body is longer than 1 MiB";
        let broken = "its body has invalid chunks";
        for (answer, why) in [
            (String::new(), none),
            ("HTTP/1.1 20".to_owned(), none),
            ("HTTP/1.1 100 Go\r\n\r\n".to_owned(), none),
            (
                "HTTP/1.1 200\r\nA: b\r\n".to_owned(),
                "it closed the connection before the end of its headers",
            ),
            (
                format!("{told}3\r\n\r\na"),
                "it closed the connection before the last 2 bytes of its body",
            ),
            (chunked.to_owned(), end),
            (format!("{chunked}3\r\nal"), end),
            (format!("{chunked}3\r\nall\r\n"), end),
            (format!("{chunked}0\r\n"), end),
            ("SSH-2.0-OpenSSH\r\n".to_owned(), "its answer is not HTTP"),
            ("HTTP/2 200\r\n".to_owned(), "its answer is not HTTP"),
            (format!("{told}1048577\r\n\r\n"), long),
            (format!("{told}99999999999999999999999\r\n\r\n"), long),
            (format!("{chunked}100001\r\n"), long),
            (format!("{chunked}ffffffffffffffffffffff\r\n"), long),
            (format!("{chunked}-1\r\n"), broken),
            (format!("{chunked}\r\n"), broken),
            (format!("{chunked}1\r\nab\r\n"), broken),
            ("HTTP/1.1 200\r\n a: b\r\n".to_owned(), "its answer has an invalid header: \" a: b\""),
            (
                "HTTP/1.1 200\r\na b: c\r\n".to_owned(),
                "its answer has an invalid header: \"a b: c\"",
            ),
            ("HTTP/1.1 200\r\n: c\r\n".to_owned(), "its answer has an invalid header: \": c\""),
            ("HTTP/1.1 200\r\nab\r\n".to_owned(), "its answer has an invalid header: \"ab\""),
        ] {
            for piece in [1, 5, answer.len().max(1)] {
                let found = came(answer.as_bytes(), piece).err();
                assert_eq!(found.unwrap().to_string(), why, "{piece}: {answer:?}");
            }
        }
    }

    #[test]
    fn a_status_and_a_head_are_there_before_the_body() {
        let mut message = Message::new(true);
        assert_eq!(message.push(b"HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 200"), Ok(false));
        assert_eq!(message.status(), None);
        assert_eq!(message.push(b"\r\nContent-Length: 2\r\n"), Ok(false));
        assert_eq!(message.status(), Some(200));
        assert!(message.head().is_none());
        assert_eq!(message.push(b"\r\n"), Ok(false));
        assert_eq!(message.head().map(|head| head.status), Some(200));
    }

    #[test]
    fn a_body_that_is_not_kept_is_read_to_its_end_whatever_its_length_and_coding() {
        let length = 3 * LONGEST_BODY;
        let told = format!("HTTP/1.1 200\r\nContent-Length: {length}\r\n\r\n");
        let chunk = format!("HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n");
        for (head, end) in [(told, ""), (chunk, "\r\n0\r\n\r\n")] {
            let mut message = Message::new(false);
            assert_eq!(message.push(head.as_bytes()), Ok(false));
            for _ in 0..3 {
                assert!(!message.is_whole());
                message.push(&vec![b'x'; LONGEST_BODY]).unwrap();
            }
            message.push(end.as_bytes()).unwrap();
            assert!(message.is_whole() && message.body().is_empty(), "{head:?}");
        }
        let mut message = Message::new(false);
        let coded = b"HTTP/1.1 200\r\nTransfer-Encoding: gzip, chunked\r\n\r\nx";
        assert_eq!(message.push(coded), Ok(false));
        assert_eq!(message.end(), Ok(()));
    }

    #[test]
    fn what_has_no_end_is_bounded() {
        let head = "HTTP/1.1 200 OK\r\n";
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let headers = "its headers are longer than 64 KiB";
        let long = "its body is longer than 1 MiB";
        let broken = "its body has invalid chunks";
        for (begin, again, why) in [
            (String::new(), "HTTP/1.1 100 Go\r\n\r\n", headers),
            ("HTTP/1.1 ".to_owned(), "2", "its answer is not HTTP"),
            (head.to_owned(), "A: b\r\n", headers),
            (head.to_owned(), "x", headers),
            (format!("{head}A: b\r\n"), " c\r\n", headers),
            (format!("{head}\r\n"), "x", long),
            (chunked.to_owned(), "1\r\nx\r\n", long),
            (chunked.to_owned(), "0", broken),
            (format!("{chunked}1;"), "x", broken),
            (format!("{chunked}0\r\n"), "A: b\r\n", headers),
        ] {
            let mut message = Message::new(true);
            message.push(begin.as_bytes()).unwrap();
            let piece = again.repeat(4096 / again.len());
            let found = (0..10_000).find_map(|_| {
                let found = message.push(piece.as_bytes()).err();
                assert!(message.rest.len() <= LONGEST_HEAD && message.body.len() <= LONGEST_BODY);
                found
            });
            assert_eq!(found.unwrap().to_string(), why, "{begin:?} {again:?}");
        }
    }
}
