//! JSON strings.

/// Appends `bytes` as the contents of a JSON string (RFC 8259, section 7).
///
/// Bytes that are not UTF-8 become U+FFFD. Control characters, including DEL and C1, are escaped,
/// so that no terminal interprets them, and nothing in a message can end the string or the line.
pub(crate) fn escape(bytes: &[u8], to: &mut Vec<u8>) {
    for chunk in bytes.utf8_chunks() {
        escape_str(chunk.valid(), to);
        if !chunk.invalid().is_empty() {
            to.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

/// The bytes that may need an escape. C2 begins the C1 controls, which are C2 80 to C2 9F in UTF-8.
const SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        special[byte] = true;
        byte += 1;
    }
    special[b'"' as usize] = true;
    special[b'\\' as usize] = true;
    special[0x7f] = true;
    special[0xc2] = true;
    special
};

fn escape_str(text: &str, to: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|&byte| SPECIAL[usize::from(byte)]) {
        to.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let length = match *rest {
            [0xc2, second, ..] => {
                match second {
                    0x80..=0x9f => escape_control(second, to),
                    _ => to.extend_from_slice(&rest[..2]),
                }
                2
            }
            [byte, ..] => {
                escape_control(byte, to);
                1
            }
            [] => 0,
        };
        rest = &rest[length..];
    }
    to.extend_from_slice(rest);
}

fn escape_control(code: u8, to: &mut Vec<u8>) {
    let hex = |digit: u8| b"0123456789abcdef"[usize::from(digit & 15)];
    match code {
        b'"' => to.extend_from_slice(b"\\\""),
        b'\\' => to.extend_from_slice(b"\\\\"),
        b'\n' => to.extend_from_slice(b"\\n"),
        b'\r' => to.extend_from_slice(b"\\r"),
        b'\t' => to.extend_from_slice(b"\\t"),
        code => to.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex(code >> 4), hex(code)]),
    }
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
