//! Shell quoting in both directions, byte by byte, because values do not have to be UTF-8.

/// Appends `text`, quoted as one literal word (POSIX XCU 2.2.2).
pub(super) fn push(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'\'');
    for &byte in text {
        if byte == b'\'' {
            out.extend_from_slice(b"'\\''");
        } else {
            out.push(byte);
        }
    }
    out.push(b'\'');
}

/// Reads one word as shells print it: bare, `\c`, `'…'`, `"…"`, `$'…'` and combinations of these.
/// The word ends at a blank, a newline or a `)`. Returns the word and the rest.
pub(super) fn word(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b' ' | b'\t' | b'\n' | b')' => return (out, &text[at - 1..]),
            b'\\' => {
                out.extend(text.get(at));
                at += 1;
            }
            b'\'' => {
                let end = find(&text[at..], b'\'');
                out.extend_from_slice(&text[at..at + end]);
                at += end + 1;
            }
            b'"' => at = double_quoted(text, at, &mut out),
            b'$' if text.get(at) == Some(&b'\'') => at = ansi_quoted(text, at + 1, &mut out),
            _ => out.push(byte),
        }
        at = at.min(text.len());
    }
    (out, &[])
}

/// Returns the length of the compound value `(…)` at the start of `text`. Quotes are respected.
pub(super) fn compound(text: &[u8]) -> usize {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b')' => return at + 1,
            b' ' | b'\t' | b'\n' => at += 1,
            _ => at = text.len() - word(&text[at..]).1.len(),
        }
    }
    text.len()
}

fn find(text: &[u8], byte: u8) -> usize {
    memchr::memchr(byte, text).unwrap_or(text.len())
}

fn double_quoted(text: &[u8], mut at: usize, out: &mut Vec<u8>) -> usize {
    while let Some(&byte) = text.get(at) {
        at += 1;
        match byte {
            b'"' => return at,
            b'\\' => match text.get(at) {
                Some(&escaped @ (b'"' | b'\\' | b'$' | b'`')) => {
                    out.push(escaped);
                    at += 1;
                }
                Some(b'\n') => at += 1,
                _ => out.push(byte),
            },
            _ => out.push(byte),
        }
    }
    at
}

/// bash(1), QUOTING: what bash itself prints, and octal and hexadecimal digits.
fn ansi_quoted(text: &[u8], mut at: usize, out: &mut Vec<u8>) -> usize {
    while let Some(&byte) = text.get(at) {
        at += 1;
        if byte == b'\'' {
            return at;
        }
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let Some(&escaped) = text.get(at) else { return at };
        at += 1;
        match escaped {
            b'a' => out.push(7),
            b'b' => out.push(8),
            b'e' | b'E' => out.push(27),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'v' => out.push(11),
            b'0'..=b'7' => {
                let (value, length) = digits(&text[at - 1..], 8, 3);
                out.push(value);
                at += length - 1;
            }
            b'x' => {
                let (value, length) = digits(&text[at..], 16, 2);
                out.push(value);
                at += length;
            }
            other => out.push(other),
        }
    }
    at
}

fn digits(text: &[u8], radix: u32, most: usize) -> (u8, usize) {
    let mut value = 0_u32;
    let mut length = 0;
    for digit in text.iter().take(most).map_while(|&b| char::from(b).to_digit(radix)) {
        value = value * radix + digit;
        length += 1;
    }
    (u8::try_from(value & 0xff).unwrap_or(0), length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_as_shells_print_it() {
        for (text, value, rest) in [
            (&b"plain rest"[..], &b"plain"[..], &b" rest"[..]),
            (b"'it'\"'\"'s'\n", b"it's", b"\n"),
            (b"'it'\\''s'", b"it's", b""),
            (b"\"a\\\"b\\$c\\`d\\\\e\\f\nx\"\n", b"a\"b$c`d\\e\\f\nx", b"\n"),
            (b"$'a\\nb\\001\\377\\'\\\\\\E\\x41' x", b"a\nb\x01\xff'\\\x1bA", b" x"),
            (b"''", b"", b""),
            (b"'never closed", b"never closed", b""),
            (b"\"never \\", b"never \\", b""),
            (b"$'never\\", b"never", b""),
            (b"\\", b"", b""),
        ] {
            assert_eq!(word(text), (value.to_vec(), rest), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn what_is_quoted_reads_back() {
        let every: Vec<u8> = (1..=255).collect();
        let mut quoted = Vec::new();
        push(&mut quoted, &every);
        assert_eq!(word(&quoted), (every, &[][..]));
    }

    #[test]
    fn a_compound_value_ends_at_its_own_parenthesis() {
        for (text, length) in [
            (&b"()\nx"[..], 2),
            (b"([0]=\"a)b\" [1]=')' [2]=$'\\')')\nx", 30),
            (b"([\"k )\"]=\"v\" )\n", 14),
            (b"(open", 5),
        ] {
            assert_eq!(compound(text), length, "{}", text.escape_ascii());
        }
    }
}
