//! Messages that programs send to `/dev/log`, as syslog(3) and logger(1) do: RFC 3164, RFC 5424, and
//! what programs make of them.

use std::borrow::Cow;

use log::Level;
use memchr::memchr_iter;

/// The priority of a message that has none: user.notice (RFC 3164, 4.3.3).
const USUAL: u16 = 13;
/// The longest tag and the longest number of a process, in bytes. RFC 3164 allows 32 for both, and
/// RFC 5424 48 and 128. trc repeats them in front of each line, so they must not be any longer.
const HEAD: usize = 128;
/// The number of lines that trc takes of one message.
pub(crate) const LINES: usize = 1000;
const MONTHS: [&[u8]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// A message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Message<'a> {
    /// The level that its severity stands for.
    pub level: Level,
    /// Its tag: the name of the program.
    pub tag: &'a [u8],
    /// The process that it names.
    pub id: &'a [u8],
    /// The rest, which may have several lines.
    pub text: Cow<'a, [u8]>,
}

impl<'a> Message<'a> {
    /// Parses a message. Everything is a message: what trc does not understand is its text.
    /// `host` is the name of this host, which some programs send along, and which says nothing here.
    pub(crate) fn parse(bytes: &'a [u8], host: &[u8]) -> Self {
        let bytes = bytes.trim_ascii_end();
        let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes).trim_ascii_end();
        let (priority, rest) = priority(bytes).unwrap_or((USUAL, bytes));
        let level = match priority & 7 {
            0..=3 => Level::Error,
            4 => Level::Warn,
            5 | 6 => Level::Info,
            _ => Level::Debug,
        };
        if let Some((tag, id, text)) = rest.strip_prefix(b"1 ").and_then(structured) {
            return Self { level, tag, id, text };
        }
        let rest = match undated(rest) {
            Some(rest) => {
                let (first, others) = word(rest);
                let short = host.split(|byte| *byte == b'.').next().unwrap_or(host);
                if !first.is_empty() && [host, short].contains(&first) { others } else { rest }
            }
            None => rest,
        };
        let (tag, id, text) = tagged(rest).unwrap_or((b"", b"", rest));
        Self { level, tag, id, text: text.into() }
    }

    /// Returns the lines of the message, each with the tag. The number of the process that has sent
    /// it says no more.
    pub(crate) fn lines(&self, sender: i32) -> impl Iterator<Item = Cow<'_, [u8]>> {
        let mut head = self.tag.to_vec();
        if !self.id.is_empty() && self.id != sender.to_string().as_bytes() {
            head.push(b'[');
            head.extend_from_slice(self.id);
            head.push(b']');
        }
        if !head.is_empty() {
            head.extend_from_slice(b": ");
        }
        let cut = memchr_iter(b'\n', &self.text).nth(LINES - 1).map(|_| "[…]".as_bytes());
        let lines = self.text.split(|byte| *byte == b'\n').take(LINES).chain(cut);
        lines.map(move |line| {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if head.is_empty() {
                Cow::Borrowed(line)
            } else {
                Cow::Owned([head.as_slice(), line].concat())
            }
        })
    }
}

/// Splits off the priority: `<13>`.
fn priority(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let rest = bytes.strip_prefix(b"<")?;
    let end = rest.iter().take(4).position(|byte| *byte == b'>')?;
    let digits = std::str::from_utf8(&rest[..end]).ok()?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    Some((digits.parse().ok().filter(|_| plain)?, &rest[end + 1..]))
}

/// Splits off the first word, and the space behind it.
fn word(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|byte| *byte == b' ') {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, b""),
    }
}

/// Removes the time: `Nov 27 13:42:44` (RFC 3164), or one of RFC 3339, as in
/// `2026-11-27T13:42:44.5+01:00`. trc notes the time itself.
fn undated(bytes: &[u8]) -> Option<&[u8]> {
    let like = |shape: &[u8]| {
        bytes.len() > shape.len()
            && shape.iter().zip(bytes).all(|(shape, byte)| match shape {
                b'0' => byte.is_ascii_digit(),
                b'_' => byte.is_ascii_digit() || *byte == b' ',
                b'a' => byte.is_ascii_alphabetic(),
                other => other == byte,
            })
    };
    if like(b"aaa _0 00:00:00 ") && MONTHS.contains(&&bytes[..3]) {
        Some(&bytes[16..])
    } else if like(b"0000-00-00T00:00:00") {
        Some(word(bytes).1)
    } else {
        None
    }
}

/// Splits `tag[id]: text` or `tag: text`.
fn tagged(bytes: &[u8]) -> Option<Parts<'_, &[u8]>> {
    let (first, _) = word(bytes);
    let first = first.split(|byte| *byte == b'\n').next().unwrap_or(first);
    let tag = first.strip_suffix(b":")?;
    let text = bytes[first.len()..].strip_prefix(b" ").unwrap_or(&bytes[first.len()..]);
    let (tag, id) =
        match tag.strip_suffix(b"]").map(|tag| (tag, tag.iter().position(|b| *b == b'['))) {
            Some((tag, Some(at))) => (&tag[..at], &tag[at + 1..]),
            _ => (tag, &b""[..]),
        };
    (!tag.is_empty() && tag.len() <= HEAD && id.len() <= HEAD).then_some((tag, id, text))
}

/// The name of a program, its process, and a text.
type Parts<'a, Text> = (&'a [u8], &'a [u8], Text);

/// Splits what follows the version in a message of RFC 5424 into the name of the program, its
/// process, and the text, with the name and the data of the message in front of it if it has any.
fn structured(bytes: &[u8]) -> Option<Parts<'_, Cow<'_, [u8]>>> {
    let (time, rest) = word(bytes);
    let (_host, rest) = word(rest);
    let (name, rest) = word(rest);
    let (id, rest) = word(rest);
    let (kind, rest) = word(rest);
    let (data, text) = rest.split_at(data(rest)?);
    if time != b"-" && undated(bytes).is_none() || name.len() > HEAD || id.len() > HEAD {
        return None;
    }
    let text = text.strip_prefix(b" ").unwrap_or(text);
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    let some = |word: &&[u8]| *word != b"-" && !word.is_empty();
    let parts: Vec<&[u8]> = [kind, data, text].into_iter().filter(some).collect();
    let text = match parts[..] {
        [one] => Cow::Borrowed(one),
        _ => parts.join(&b' ').into(),
    };
    let none = &bytes[..0];
    let value = |word| if some(&word) { word } else { none };
    Some((value(name), value(id), text))
}

/// Returns the length of the structured data at the beginning: `-`, or elements in brackets.
fn data(bytes: &[u8]) -> Option<usize> {
    if bytes.first() == Some(&b'-') {
        return matches!(bytes.get(1), None | Some(b' ')).then_some(1);
    }
    let (mut quoted, mut escaped, mut inside) = (false, false, false);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' if inside => quoted = !quoted,
            _ if quoted => {}
            b'[' if !inside => inside = true,
            b']' if inside => inside = false,
            b' ' if !inside => return (at > 0).then_some(at),
            _ if !inside => return None,
            _ => {}
        }
    }
    (!inside && !bytes.is_empty()).then_some(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> (Level, Vec<String>) {
        let message = Message::parse(text.as_bytes(), b"box.example.org");
        let lines = message.lines(42).map(|line| String::from_utf8_lossy(&line).into_owned());
        (message.level, lines.collect())
    }

    #[test]
    fn messages_as_programs_write_them() {
        use Level::{Debug, Error, Info, Warn};
        for (program, text, level, line) in [
            (
                "glibc",
                "<30>Nov 27 13:42:44 cron[42]: (root) CMD (true)",
                Info,
                "cron: (root) CMD (true)",
            ),
            (
                "a child",
                "<22>Nov  7 13:42:44 postfix/smtpd[7]: connect",
                Info,
                "postfix/smtpd[7]: connect",
            ),
            ("logger", "<13>Nov 27 13:42:44 root: hello", Info, "root: hello"),
            ("logger --rfc3164", "<11>Nov 27 13:42:44 box root: hello", Error, "root: hello"),
            (
                "nginx",
                "<187>Nov 27 13:42:44 box.example.org nginx: 2026/11/27 [error]",
                Error,
                "nginx: 2026/11/27 [error]",
            ),
            (
                "haproxy",
                "<133>Nov 27 13:42:44 haproxy[42]: Proxy web started.\n",
                Info,
                "haproxy: Proxy web started.",
            ),
            ("Python", "<12>something is odd\0", Warn, "something is odd"),
            ("Go", "<14>2026-11-27T13:42:44+01:00 box app[42]: hello", Info, "app: hello"),
            (
                "logger --rfc5424",
                "<15>1 2026-11-27T13:42:44.123456+00:00 box root - - [timeQuality tzKnown=\"1\"] hello",
                Debug,
                "root: [timeQuality tzKnown=\"1\"] hello",
            ),
            (
                "RFC 5424",
                "<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time",
                Info,
                "myproc[8710]: %% It's time",
            ),
            (
                "a message ID",
                "<34>1 2003-10-11T22:14:15.003Z host su - ID47 - \u{feff}'su root' failed",
                Error,
                "su: ID47 'su root' failed",
            ),
            ("a mark of bytes", "<34>1 - - su - - - \u{feff}failed", Error, "su: failed"),
            (
                "data",
                "<34>1 - - su - - [a b=\"]\\\"\"][c] text",
                Error,
                "su: [a b=\"]\\\"\"][c] text",
            ),
            ("only data", "<34>1 - - su - - [a]", Error, "su: [a]"),
            ("nothing", "", Info, ""),
            ("a colon", ": odd", Info, ": odd"),
            ("no priority", "hello there", Info, "hello there"),
            ("an empty priority", "<>hello", Info, "<>hello"),
            ("a word as priority", "<abc>hello", Info, "<abc>hello"),
            ("a sign", "<+1>hello", Info, "<+1>hello"),
            ("no text", "<13>Nov 27 13:42:44 root:", Info, "root: "),
            ("another month", "<13>Foo 27 13:42:44 x", Info, "Foo 27 13:42:44 x"),
            ("another host", "<13>Nov 27 13:42:44 other: x", Info, "other: x"),
            ("a sentence", "<13>Nov 27 13:42:44 disk is full", Info, "disk is full"),
            ("a broken structure", "<34>1 - - su - - [a text", Error, "1 - - su - - [a text"),
        ] {
            assert_eq!(lines(text), (level, vec![line.to_owned()]), "{program}");
        }
    }

    #[test]
    fn each_line_of_a_message_has_the_tag() {
        let text = "<27>Nov 27 13:42:44 app[1]: one\r\ntwo\n\n";
        assert_eq!(lines(text).1, ["app[1]: one", "app[1]: two"]);
        assert_eq!(lines("<27>a:\nb: c").1, ["a: ", "a: b: c"]);
    }

    #[test]
    fn a_repeated_prefix_is_short_and_a_message_has_a_bounded_number_of_lines() {
        let long = "x".repeat(HEAD + 1);
        for text in [
            format!("<13>{long}: text"),
            format!("<13>a[{long}]: text"),
            format!("<13>1 - - {long} - - - text"),
            format!("<13>1 - - a {long} - - text"),
        ] {
            assert_eq!(lines(&text).1, [&text[4..]]);
        }
        let most = format!("<13>a: {}", vec!["x"; LINES].join("\n"));
        assert_eq!(lines(&most).1, vec!["a: x"; LINES]);
        let (_, cut) = lines(&format!("{most}\nmore\nmore"));
        assert_eq!((cut.len(), cut.last().unwrap().as_str()), (LINES + 1, "a: […]"));
    }

    #[test]
    fn whatever_is_sent_is_a_message() {
        let text =
            b"<34>1 2003-10-11T22:14:15.003Z host su[1]: ID [x y=\"\\\"\"] Nov 27 13:42:44 \xff";
        for from in 0..text.len() {
            for to in from..=text.len() {
                let message = Message::parse(&text[from..to], b"");
                assert!(message.lines(1).count() == 1);
            }
        }
    }
}
