//! The status and headers of an answer over HTTP/1.1: RFC 9112.

use std::collections::BTreeMap;

use memchr::memchr;

use crate::report::excerpt;
use crate::words::BadAnswer;

/// The part of an answer before the body.
#[derive(Default)]
pub(crate) struct Head {
    /// The status code.
    pub status: u16,
    /// The headers by their names in lower case. Headers with the same name are joined.
    headers: BTreeMap<String, Vec<u8>>,
    /// The name of the last header.
    last: String,
}

/// The end of a body.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Framing {
    /// After this many bytes.
    Length(usize),
    /// With an empty chunk.
    Chunks,
    /// With the end of the connection.
    ToEnd,
}

impl Head {
    /// Parses a status line; `None` if it is not one.
    pub(crate) fn begin(line: &[u8]) -> Option<Self> {
        Some(Self { status: status(line)?, ..Self::default() })
    }

    /// Returns the value of a header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.get(name).map(Vec::as_slice)
    }

    /// Adds a line of headers.
    ///
    /// # Errors
    /// Returns an error if the line is not a header.
    pub(crate) fn push(&mut self, line: &[u8]) -> Result<(), BadAnswer> {
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            // A value continues on this line: RFC 9112, 5.2.
            let value = self.headers.get_mut(&self.last).ok_or_else(|| broken(line))?;
            value.push(b' ');
            value.extend_from_slice(line.trim_ascii());
            return Ok(());
        }
        let colon = memchr(b':', line).ok_or_else(|| broken(line))?;
        let (name, value) = (line[..colon].trim_ascii_end(), line[colon + 1..].trim_ascii());
        if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
            return Err(broken(line));
        }
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        self.last.clone_from(&name);
        match self.headers.get_mut(&name) {
            // RFC 9110, 5.3.
            Some(all) => {
                all.extend_from_slice(b", ");
                all.extend_from_slice(value);
            }
            None => drop(self.headers.insert(name, value.to_owned())),
        }
        Ok(())
    }

    /// Returns whether another answer follows: RFC 9110, 15.2. After 101, the connection has
    /// another protocol.
    pub(crate) fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }

    /// Returns how the body ends, by the order of RFC 9112, 6.3.
    ///
    /// # Errors
    /// Returns the reason why that cannot be found out.
    pub(crate) fn framing(&self) -> Result<Framing, BadAnswer> {
        if matches!(self.status, 100..=199 | 204 | 304) {
            return Ok(Framing::Length(0));
        }
        if let Some(coding) = self.header("transfer-encoding") {
            if coding.eq_ignore_ascii_case(b"chunked") {
                return Ok(Framing::Chunks);
            }
            // `identity` used to stand for no coding: RFC 2616, 3.6.
            if !coding.eq_ignore_ascii_case(b"identity") {
                let coding = excerpt(String::from_utf8_lossy(coding));
                return Err(BadAnswer::Coding(coding));
            }
        }
        let length = self.header("content-length").map(content_length).transpose()?;
        Ok(length.map_or(Framing::ToEnd, Framing::Length))
    }
}

/// Returns the length in a header, which may have it once or several times.
fn content_length(value: &[u8]) -> Result<usize, BadAnswer> {
    let value = String::from_utf8_lossy(value);
    let wrong = || BadAnswer::Length(excerpt(&value));
    let mut lengths = value.split(',').map(|length| number(length.trim(), 10));
    let first = lengths.next().flatten().ok_or_else(wrong)?;
    if lengths.all(|length| length == Some(first)) { Ok(first) } else { Err(wrong()) }
}

/// Parses a number without a sign. If it is too large, returns the largest number.
pub(super) fn number(digits: &str, radix: u32) -> Option<usize> {
    let right = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    right.then(|| usize::from_str_radix(digits, radix).unwrap_or(usize::MAX))
}

/// Returns the status code of a status line: `HTTP/1.1 200 OK`.
fn status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let [minor, b' ', code @ ..] = rest else { return None };
    let (digits, after) = code.split_at_checked(3)?;
    let ends = after.first().is_none_or(|byte| matches!(byte, b' ' | b'\r'));
    let number = std::str::from_utf8(digits).ok()?.parse().ok();
    number.filter(|code| minor.is_ascii_digit() && ends && (100..=599).contains(code))
}

fn broken(line: &[u8]) -> BadAnswer {
    let shown = String::from_utf8_lossy(&line[..line.len().min(200)]);
    BadAnswer::InvalidHeader(excerpt(shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Result<Head, BadAnswer> {
        let mut lines = text.lines();
        let mut head = Head::begin(lines.next().unwrap().as_bytes()).unwrap();
        lines.try_for_each(|line| head.push(line.as_bytes())).map(|()| head)
    }

    #[test]
    fn a_status_line_has_a_code() {
        for (line, code) in [
            ("HTTP/1.1 200 OK\r", Some(200)),
            ("HTTP/1.0 404\r", Some(404)),
            ("HTTP/1.1 503", Some(503)),
            ("HTTP/1.1 2000\r", None),
            ("HTTP/1.1 20", None),
            ("HTTP/1.1 +20", None),
            ("HTTP/1.1 999 \r", None),
            ("HTTP/2 200 OK", None),
            ("HTTP/1.1  200 OK", None),
            ("SSH-2.0-OpenSSH", None),
            ("", None),
        ] {
            assert_eq!(status(line.as_bytes()), code, "{line}");
        }
    }

    #[test]
    fn headers_are_found_by_any_case_and_those_of_one_name_are_joined() {
        let text = "HTTP/1.1 200 OK\nX-A:  one \nx-b : two\nX-a:three\n\tfour \nEmpty:\nC:d:e";
        let head = head(text).unwrap();
        for (name, value) in [
            ("x-a", Some("one, three four")),
            ("x-b", Some("two")),
            ("empty", Some("")),
            ("c", Some("d:e")),
            ("x", None),
        ] {
            assert_eq!(head.header(name), value.map(str::as_bytes), "{name}");
        }
    }

    #[test]
    fn what_is_no_header_is_told() {
        for line in [" a: b", "a b: c", ": c", "ab", "ä: b"] {
            let why = head(&format!("HTTP/1.1 200\n{line}")).err();
            let expected = format!("its answer has an invalid header: \"{line}\"");
            assert_eq!(why.unwrap().to_string(), expected);
        }
    }

    #[test]
    fn a_body_ends_as_the_headers_say() {
        let wrong = |value| Err(format!("its content-length is \"{value}\""));
        for (text, expected) in [
            ("200", Ok(Framing::ToEnd)),
            ("200\nContent-Length: 003", Ok(Framing::Length(3))),
            ("200\ncontent-length:3,3\nContent-Length: 3", Ok(Framing::Length(3))),
            ("200\nContent-Length: 99999999999999999999999", Ok(Framing::Length(usize::MAX))),
            ("200\nContent-Length: -1", wrong("-1")),
            ("200\nContent-Length: +1", wrong("+1")),
            ("200\nContent-Length:", wrong("")),
            ("200\nContent-Length: 1\nContent-Length: 2", wrong("1, 2")),
            ("200\nContent-Length: 1\nTransfer-Encoding: Chunked", Ok(Framing::Chunks)),
            ("200\nContent-Length: 1\nTransfer-Encoding: identity", Ok(Framing::Length(1))),
            (
                "200\nTransfer-Encoding: gzip\nTransfer-Encoding: chunked",
                Err("its body has the transfer coding \"gzip, chunked\", which trc cannot decode"
                    .to_owned()),
            ),
            ("204\nContent-Length: 9", Ok(Framing::Length(0))),
            ("304\nTransfer-Encoding: chunked", Ok(Framing::Length(0))),
            ("101\nContent-Length: -", Ok(Framing::Length(0))),
        ] {
            let found = head(&format!("HTTP/1.1 {text}")).unwrap().framing();
            assert_eq!(found.map_err(|why| why.to_string()), expected, "{text}");
        }
    }

    #[test]
    fn interim_answers_are_followed_by_others() {
        for (status, expected) in
            [(100, true), (103, true), (199, true), (101, false), (200, false)]
        {
            assert_eq!(head(&format!("HTTP/1.1 {status}")).unwrap().is_interim(), expected);
        }
    }
}
