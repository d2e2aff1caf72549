//! The configuration files: their texts, and places in them.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use super::{Diagnostic, Origin};

/// The largest configuration file. A larger one is a mistake, such as a disk image, and would need
/// sixty times its size as memory.
const LARGEST: u64 = 4 << 20;

/// The longest line that is shown completely.
const WIDEST: usize = 200;

/// A file and its text.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// The path of the file.
    pub path: Arc<Path>,
    /// The text of the file.
    pub text: Arc<str>,
}

/// Turns byte offsets into places.
pub(super) struct Places<'a> {
    source: &'a Source,
    /// The beginnings of the lines.
    lines: Vec<usize>,
    /// The last result: line, offset and column, counted from 0.
    last: (usize, usize, usize),
}

impl<'a> Places<'a> {
    /// Creates the index of a file.
    pub(super) fn new(source: &'a Source) -> Self {
        let ends = memchr::memchr_iter(b'\n', source.text.as_bytes());
        let lines = std::iter::once(0).chain(ends.map(|end| end + 1)).collect();
        Self { source, lines, last: (0, 0, 0) }
    }

    /// Returns the place of a byte. Within a line it continues from the last result, because a line
    /// may be as long as the file, and counting from its beginning each time would be quadratic.
    pub(super) fn origin(&mut self, offset: usize) -> Origin {
        let text = self.source.text.as_bytes();
        let offset = offset.min(text.len());
        let line = self.lines.partition_point(|start| *start <= offset) - 1;
        let start = self.lines[line];
        // A byte that does not continue a character begins one.
        let characters = |from: usize, to: usize| {
            text[from..to].iter().filter(|byte| **byte & 0xc0 != 0x80).count()
        };
        let (last_line, last, column) = self.last;
        let column = if last_line != line || offset.abs_diff(last) > offset - start {
            characters(start, offset)
        } else if last <= offset {
            column + characters(last, offset)
        } else {
            column - characters(offset, last)
        };
        self.last = (line, offset, column);
        let whole = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let (line, column) = (whole(line + 1), whole(column + 1));
        Origin::File { path: self.source.path.clone(), line, column }
    }
}

impl Source {
    /// Returns a line by its number, from 1, without its newline.
    fn line(&self, line: u32) -> Option<&str> {
        let line = self.text.split('\n').nth(line.checked_sub(1)? as usize)?;
        Some(line.strip_suffix('\r').unwrap_or(line))
    }
}

/// Adds the line of the file to a diagnostic that has a place.
pub(super) fn illustrate(sources: &[Source], diagnostic: &mut Diagnostic) {
    let Origin::File { path, line, column } = &diagnostic.origin else { return };
    let Some(source) = sources.iter().find(|source| source.path == *path) else { return };
    let Some(text) = source.line(*line) else { return };
    let before = *column as usize - 1;
    let mut shown: String = text.chars().take(WIDEST).collect();
    if before <= WIDEST {
        let length = token(text.chars().skip(before)).min(WIDEST - before);
        if shown.len() < text.len() {
            shown.push('…');
        }
        // A terminal must not obey control characters in a file.
        shown = shown.replace(|c: char| c.is_control() && c != '\t', "�");
        diagnostic.excerpt = Some(Box::new((shown, length)));
    }
}

/// Adds the line of a file that is not part of the configuration.
pub(crate) fn show_line(path: &Path, text: &str, diagnostic: &mut Diagnostic) {
    illustrate(&[Source { path: path.into(), text: text.into() }], diagnostic);
}

/// Returns the length in characters of the key or value that begins here.
fn token(mut rest: impl Iterator<Item = char>) -> usize {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '+' | '.' | ':');
    match rest.next() {
        Some(quote @ ('"' | '\'')) => {
            let mut length = 1;
            let mut escaped = false;
            for c in rest {
                length += 1;
                match c {
                    '\\' if quote == '"' => escaped = !escaped,
                    c if c == quote && !escaped => break,
                    _ => escaped = false,
                }
            }
            length
        }
        // A key of a dotted key ends at the dot.
        Some(c) if c.is_alphabetic() => {
            1 + rest.take_while(|c| is_word(*c) && *c != '.' && *c != ':').count()
        }
        Some(c) if is_word(c) => 1 + rest.take_while(|c| is_word(*c)).count(),
        _ => 1,
    }
}

/// Moves a place to the byte `at` of a string's value, if the file shows the value as it is: not
/// after escapes, and not in later lines.
pub(super) fn within(sources: &[Source], origin: &Origin, value: &str, at: usize) -> Origin {
    let Origin::File { path, line, column } = origin else { return origin.clone() };
    let found = sources.iter().find(|source| source.path == *path).and_then(|source| {
        let rest = source.line(*line)?.chars().skip(*column as usize - 1).collect::<String>();
        let quotes = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|q| rest.starts_with(q))?;
        let before = value.get(..at)?;
        rest[quotes.len()..].starts_with(before).then(|| quotes.len() + before.chars().count())
    });
    let shift = u32::try_from(found.unwrap_or(0)).unwrap_or(0);
    Origin::File { path: path.clone(), line: *line, column: column + shift }
}

/// Returns the place of a line, from 1, of a string of several lines; that of the string if it is
/// not known.
pub(super) fn line_within(sources: &[Source], string: &Origin, line: u32) -> Origin {
    let Origin::File { path, line: first, column } = string else { return string.clone() };
    let begins = sources.iter().find(|source| source.path == *path).and_then(|source| {
        let rest: String = source.line(*first)?.chars().skip(*column as usize - 1).collect();
        let quotes = ["\"\"\"", "'''"].into_iter().find(|quotes| rest.starts_with(quotes))?;
        // A newline right after the quotes is not part of the string.
        Some(*first + u32::from(rest.len() == quotes.len()))
    });
    match begins {
        Some(begins) => Origin::File { path: path.clone(), line: begins + line - 1, column: 1 },
        None => string.clone(),
    }
}

/// Opens a regular file. Anything else, such as a FIFO, could block or have side effects, and is
/// not opened.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let regular = |metadata: Metadata| {
        if metadata.is_file() {
            Ok(())
        } else if metadata.is_dir() {
            Err(io::Error::other("it is a directory"))
        } else {
            Err(io::Error::other("it is not a regular file"))
        }
    };
    // Check the file before, because opening a device may have side effects (a watchdog starts),
    // and after, because the file may have been replaced in between.
    regular(std::fs::metadata(path)?)?;
    let file =
        OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    regular(file.metadata()?)?;
    Ok(file)
}

/// Reads the first bytes of a regular file.
///
/// # Errors
/// Returns the reason why it can't be read.
pub(crate) fn head(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(most as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a file of text.
///
/// # Errors
/// Returns the reason why it cannot be read, with a place if it is not UTF-8.
pub(super) fn read(path: &Path, shown_as: &Arc<Path>) -> Result<Source, Box<ReadError>> {
    let mut bytes = Vec::new();
    let read = open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
    read.map_err(|error| Box::new(ReadError::Io(error)))?;
    if bytes.len() as u64 > LARGEST {
        let error = io::Error::other(format!("it is larger than {} MiB", LARGEST >> 20));
        return Err(Box::new(ReadError::Io(error)));
    }
    // The file may have been written on Windows: its scripts and values must not contain `\r`. TOML
    // allows a reader to remove it.
    let bytes = super::endings::unix(&bytes).unwrap_or(bytes);
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source { path: shown_as.clone(), text: text.into() }),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let byte = error.as_bytes()[at];
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let source = Source { path: shown_as.clone(), text: text.into() };
            // The lossy text has the same bytes up to there.
            let origin = Places::new(&source).origin(at);
            let message = format!("the file is not UTF-8: byte {at} is 0x{byte:02x}");
            Err(Box::new(ReadError::NotText(source, Diagnostic::error(origin, message))))
        }
    }
}

/// The reason why a file cannot be read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// An error of the system.
    Io(io::Error),
    /// The file is not UTF-8: its text with marks, and the message.
    NotText(Source, Diagnostic),
}

/// Returns the message of the system, without Rust's `(os error 2)`.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source { path: Path::new("f").into(), text: text.into() }
    }

    #[test]
    fn a_column_counts_characters() {
        let source = source("a\nключ = é\n\nx");
        let mut places = Places::new(&source);
        for (offset, place) in [
            (0, "f:1:1"),
            (1, "f:1:2"),
            (2, "f:2:1"),
            (11, "f:2:6"),
            (13, "f:2:8"),
            (2, "f:2:1"),
            (16, "f:3:1"),
            (17, "f:4:1"),
            (18, "f:4:2"),
            (99, "f:4:2"),
            (13, "f:2:8"),
            (11, "f:2:6"),
            (10, "f:2:5"),
        ] {
            assert_eq!(places.origin(offset).to_string(), place, "{offset}");
        }
    }

    #[test]
    fn the_caret_is_as_long_as_what_it_points_at() {
        for (text, length) in [
            ("exec = 1", 4),
            ("a.b = 1", 1),
            ("\"a b\" = 1", 5),
            (r#""a\"b" x"#, 6),
            ("1.5, 2", 3),
            ("[1, 2]", 1),
            ("", 1),
            ("my-web]", 6),
        ] {
            assert_eq!(token(text.chars()), length, "{text}");
        }
    }
}
