//! JSON strings.

/// Appends `bytes` as the inside of a JSON string (RFC 8259, section 7).
///
/// What is not UTF-8 becomes U+FFFD. Control characters, DEL and the C1 ones
/// too, are escaped: a reader's terminal never acts on them, and nothing in a
/// message can end the string or the line.
pub(super) fn escape(bytes: &[u8], to: &mut Vec<u8>) {
    for chunk in bytes.utf8_chunks() {
        escape_str(chunk.valid(), to);
        if !chunk.invalid().is_empty() {
            to.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

fn escape_str(text: &str, to: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let mut copied = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        // C1 controls are C2 80 to C2 9F in UTF-8.
        let (length, code) = match byte {
            b'"' | b'\\' | 0x00..=0x1f | 0x7f => (1, byte),
            0xc2 => match bytes.get(at + 1) {
                Some(&second @ 0x80..=0x9f) => (2, second),
                _ => (0, 0),
            },
            _ => (0, 0),
        };
        if length == 0 {
            at += 1;
            continue;
        }
        to.extend_from_slice(&bytes[copied..at]);
        match code {
            b'"' => to.extend_from_slice(b"\\\""),
            b'\\' => to.extend_from_slice(b"\\\\"),
            b'\n' => to.extend_from_slice(b"\\n"),
            b'\r' => to.extend_from_slice(b"\\r"),
            b'\t' => to.extend_from_slice(b"\\t"),
            code => {
                let hex = |digit: u8| b"0123456789abcdef"[usize::from(digit & 15)];
                to.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex(code >> 4), hex(code)]);
            }
        }
        at += length;
        copied = at;
    }
    to.extend_from_slice(&bytes[copied..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(bytes: &[u8]) -> String {
        let mut to = vec![b'"'];
        escape(bytes, &mut to);
        to.push(b'"');
        String::from_utf8(to).unwrap()
    }

    #[test]
    fn what_is_escaped_and_how() {
        let cases: [(&[u8], &str); 11] = [
            (b"", r#""""#),
            (b"plain", r#""plain""#),
            ("größe ✓ 🦀".as_bytes(), r#""größe ✓ 🦀""#),
            (b"a\"b\\c", r#""a\"b\\c""#),
            (b"a\nb\rc\td", r#""a\nb\rc\td""#),
            (b"\0\x01\x1b[31m\x7f", r#""\u0000\u0001\u001b[31m\u007f""#),
            ("\u{80}\u{9b}\u{9f}\u{a0}\u{ff}".as_bytes(), "\"\\u0080\\u009b\\u009f\u{a0}\u{ff}\""),
            (b"a\xffb", "\"a\u{fffd}b\""),
            (b"\xe2\x9c", "\"\u{fffd}\""),
            (b"\xc2", "\"\u{fffd}\""),
            (
                br#"","level":"error","message":"forged"#,
                r#""\",\"level\":\"error\",\"message\":\"forged""#,
            ),
        ];
        for (bytes, expected) in cases {
            assert_eq!(quoted(bytes), expected);
        }
    }

    #[test]
    fn every_character_comes_back() {
        let all: String = (0..=0x10_ffff).filter_map(char::from_u32).collect();
        let back: String = serde_json::from_str(&quoted(all.as_bytes())).unwrap();
        assert!(back == all);
    }

    #[test]
    fn any_two_bytes_give_valid_json_without_controls() {
        for first in 0..=255_u8 {
            for second in 0..=255_u8 {
                let text = quoted(&[first, second]);
                let back: String = serde_json::from_str(&text).unwrap();
                assert_eq!(back, String::from_utf8_lossy(&[first, second]));
                assert!(!text.chars().any(char::is_control), "{text:?}");
            }
        }
    }
}
