//! trc's log, kept in case something fails that the report does not tell.

use std::collections::VecDeque;
use std::io::{self, Write};

/// The largest size of the log that is kept, in bytes. The beginning of a longer log is dropped.
const KEPT: usize = 1024 * 1024;

/// The last lines of the log.
#[derive(Default)]
pub(super) struct Log {
    lines: VecDeque<Vec<u8>>,
    kept: usize,
    dropped: bool,
}

impl Log {
    /// Adds a line, with its newline.
    pub(super) fn push(&mut self, line: &[u8]) {
        self.kept += line.len();
        self.lines.push_back(line.to_vec());
        while self.kept > KEPT
            && let Some(first) = self.lines.pop_front()
        {
            self.kept -= first.len();
            self.dropped = true;
        }
    }

    /// Writes everything that was kept.
    pub(super) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        if self.dropped {
            to.write_all(
                "… (the beginning of the log is left out; -v shows all of it)\n".as_bytes(),
            )?;
        }
        self.lines.iter().try_for_each(|line| to.write_all(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(log: &Log) -> String {
        let mut out = Vec::new();
        log.write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_log_that_never_ends_is_not_kept_as_a_whole() {
        let mut log = Log::default();
        log.push(b"first\n");
        assert_eq!(written(&log), "first\n");
        let line = format!("{}\n", "x".repeat(999));
        for _ in 0..3000 {
            log.push(line.as_bytes());
        }
        let text = written(&log);
        assert!(text.starts_with("… (the beginning") && text.len() <= KEPT + 100);
        assert!(text.ends_with(&line) && !text.contains("first"));
    }
}
