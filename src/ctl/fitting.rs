//! Texts that fit into the columns of a terminal, or into a card of the picture.

use std::io::IsTerminal;
use std::iter::once;

use ratatui::text::Span;

/// Returns the number of columns of the terminal, if standard output is one.
pub(in crate::ctl) fn width() -> Option<usize> {
    let stdout = std::io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    let columns = rustix::termios::tcgetwinsize(&stdout).ok()?.ws_col;
    (columns > 0).then_some(usize::from(columns))
}

/// Returns the number of columns that a text takes on a terminal.
pub(in crate::ctl) fn cells_of(text: &str) -> usize {
    Span::raw(text).width()
}

/// Returns the end of the lines that lead to a unit, if they take more room than this.
pub(in crate::ctl) fn end(guide: &str, width: usize) -> String {
    let length = guide.chars().count();
    if length <= width {
        return guide.to_owned();
    }
    once('…').chain(guide.chars().skip(length - width + 1)).take(width).collect()
}

/// Returns a text that is at most so wide.
pub(in crate::ctl) fn cut(text: &str, width: Option<usize>) -> String {
    match width {
        Some(width) if cells_of(text) > width => shortened(text, width),
        _ => text.to_owned(),
    }
}

/// Returns the beginning of a text, with `…` at the end.
fn shortened(text: &str, width: usize) -> String {
    let mut short = String::new();
    for c in text.chars() {
        if cells_of(&short) + cells_of(c.encode_utf8(&mut [0; 4])) >= width {
            break;
        }
        short.push(c);
    }
    short.extend(once('…').take(width));
    short
}

/// Returns a text as lines of at most this width, broken between words. It has one line at least.
pub(in crate::ctl) fn wrap(text: &str, width: Option<usize>) -> Vec<String> {
    let Some(width) = width else { return vec![text.to_owned()] };
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines
            .last_mut()
            .filter(|line| line.is_empty() || cells_of(line) + 1 + cells_of(word) <= width);
        match line {
            Some(line) if line.is_empty() => *line = cut(word, Some(width)),
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(cut(word, Some(width))),
        }
    }
    lines
}
