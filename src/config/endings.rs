//! Windows line endings in scripts: `\r\n`, whose `\r` becomes part of the last word for a shell,
//! and part of the interpreter's name for the kernel.

/// The number of bytes that the kernel reads of a script's first line: `BINPRM_BUF_SIZE`,
/// execve(2).
pub(crate) const HEAD: usize = 256;

/// The largest script file in which trc looks for line endings, in bytes.
pub(crate) const LARGEST: usize = 1 << 20;

/// Returns the text with `\n` for every `\r\n`; `None` if it has none.
#[must_use]
pub(crate) fn unix(text: &[u8]) -> Option<Vec<u8>> {
    memchr::memmem::find(text, b"\r\n")?;
    let mut out = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_suffix(b"\r\n") {
            Some(line) => out.extend_from_slice(&[line, b"\n"].concat()),
            None => out.extend_from_slice(line),
        }
    }
    Some(out)
}

/// Returns the interpreter in the `#!` line of a file as the kernel reads it: up to a blank or the
/// end of the line, including a `\r`.
#[must_use]
pub(crate) fn interpreter(head: &[u8]) -> Option<String> {
    let line = head.strip_prefix(b"#!")?;
    let line = &line[..memchr::memchr(b'\n', line).unwrap_or(line.len())];
    let line = line.trim_ascii_start();
    let end = line.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(line.len());
    let name = String::from_utf8_lossy(&line[..end]).into_owned();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_cr_before_a_newline_goes() {
        for (text, unix_text) in [
            (&b"a\r\nb\r\n"[..], Some(&b"a\nb\n"[..])),
            (b"a\nb\r\n", Some(b"a\nb\n")),
            (b"\r\n", Some(b"\n")),
            (b"a\r\r\nb\rc\r", Some(b"a\r\nb\rc\r")),
            (b"a\nb\rc\r", None),
            (b"", None),
        ] {
            assert_eq!(unix(text).as_deref(), unix_text, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn an_interpreter_is_read_as_the_kernel_reads_it() {
        for (head, name) in [
            (&b"#!/bin/sh\necho"[..], Some("/bin/sh")),
            (b"#!/bin/sh\r\necho", Some("/bin/sh\r")),
            (b"#! /usr/bin/env bash\r\n", Some("/usr/bin/env")),
            (b"#!/bin/sh", Some("/bin/sh")),
            (b"#!\n", None),
            (b"echo", None),
        ] {
            assert_eq!(interpreter(head).as_deref(), name, "{}", head.escape_ascii());
        }
    }
}
