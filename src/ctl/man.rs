//! `trcctl man`: manual pages, made of the help of the commands.

use std::io::Write as _;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};

/// The heading of the manual.
const MANUAL: &str = "trc manual";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Prints the manual page of a command. Returns the exit status.
pub fn run(command: &Command) -> u8 {
    u8::from(write!(std::io::stdout().lock(), "{}", page(command)).is_err())
}

/// Returns the manual page of a command, in the language of man(7). The command has to be built.
fn page(command: &Command) -> String {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let man = Man::new(command.clone());
    let help = Help::of(command);
    // The crate leaves out the date, which a version does not have, and not only its text.
    let mut out = format!(".TH {name} 1 \"\" \"trc {VERSION}\" \"{MANUAL}\"\n").into_bytes();
    // Nothing can fail: a `Vec` takes any text.
    _ = summary(&name, command).to_writer(&mut out);
    _ = man.render_synopsis_section(&mut out);
    _ = section("DESCRIPTION", |roff| paragraphs(roff, &help.paragraphs)).to_writer(&mut out);
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        _ = man.render_options_section(&mut out);
    }
    if command.has_subcommands() {
        _ = man.render_subcommands_section(&mut out);
    }
    for list in &help.lists {
        _ = section(&list.heading, |roff| list.write(roff)).to_writer(&mut out);
    }
    let others = match (name.as_str(), name.split_once('-')) {
        (_, Some((program, _))) => format!("{program}(1), trc(1)"),
        ("trc", None) => "trcctl(1)".to_owned(),
        _ => "trc(1)".to_owned(),
    };
    _ = section("SEE ALSO", |roff| roff_text(roff, &others)).to_writer(&mut out);
    ascii(&String::from_utf8_lossy(&out))
}

/// Returns a section with this heading.
fn section(heading: &str, write: impl FnOnce(&mut Roff)) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [heading]);
    write(&mut roff);
    roff
}

/// Returns the section with the name and what it is in half a line, which apropos(1) looks for.
fn summary(name: &str, command: &Command) -> Roff {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let about = about.lines().next().unwrap_or_default();
    let about = about.split_once(". ").map_or(about, |(first, _)| first);
    let about = about.strip_prefix(&format!("{name} is ")).unwrap_or(about);
    section("NAME", |roff| roff_text(roff, &format!("{name} - {about}")))
}

/// The text of a command's help around its options.
struct Help {
    /// The description of the command, one text for each paragraph.
    paragraphs: Vec<String>,
    /// The examples, the exit statuses and the like.
    lists: Vec<List>,
}

/// Lines with a heading.
#[derive(Default)]
struct List {
    heading: String,
    rows: Vec<Row>,
}

/// A row of a list: a command or an exit status, and its meaning.
#[derive(Debug, PartialEq)]
enum Row {
    Both(String, String),
    /// A text without columns.
    Text(String),
}

impl Help {
    fn of(command: &Command) -> Self {
        let about = command.get_about().map(ToString::to_string);
        let before = command.get_before_help().map(ToString::to_string);
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let mut help = Self { paragraphs: Vec::new(), lists: Vec::new() };
        for text in about.into_iter().chain(before) {
            help.paragraphs.extend(text.split("\n\n").map(str::to_owned));
        }
        for block in after.split("\n\n") {
            let (first, rest) = block.split_once('\n').unwrap_or((block, ""));
            match first.split_once(':').filter(|_| rest.starts_with("  ")) {
                Some((heading, text)) => help.lists.push(List::read(heading, text.trim(), rest)),
                None if block.trim().is_empty() => {}
                None => help.paragraphs.push(block.to_owned()),
            }
        }
        help
    }
}

impl List {
    /// Reads lines that are indented by two spaces. Lines that are indented further continue them.
    /// `text` follows the heading in its own line.
    fn read(heading: &str, text: &str, lines: &str) -> Self {
        // `Settings, in increasing order of precedence` becomes SETTINGS, and the rest a text.
        let (title, order) = heading.split_once(", ").unwrap_or((heading, ""));
        let mut rows = Vec::new();
        if !order.is_empty() {
            rows.push(Row::Text(format!("{heading}:")));
        }
        if !text.is_empty() {
            rows.push(Row::Text(text.to_owned()));
        }
        for line in lines.lines() {
            let indent = line.len() - line.trim_start().len();
            let line = line.trim();
            match rows.last_mut() {
                Some(Row::Both(_, text)) if indent > 2 => *text = format!("{text} {line}"),
                Some(Row::Text(term)) if indent > 2 => {
                    let row = Row::Both(std::mem::take(term), line.to_owned());
                    rows.pop();
                    rows.push(row);
                }
                _ => rows.push(match line.split_once("  ") {
                    Some((term, text)) => Row::Both(term.to_owned(), text.trim().to_owned()),
                    None => Row::Text(line.to_owned()),
                }),
            }
        }
        Self { heading: title.to_uppercase(), rows }
    }

    fn write(&self, roff: &mut Roff) {
        let is_examples = self.heading == "EXAMPLES";
        for (number, row) in self.rows.iter().enumerate() {
            match row {
                Row::Both(term, text) => {
                    roff.control("TP", []);
                    roff.text([bold(term)]);
                    roff_text(roff, text);
                }
                Row::Text(text) if is_examples => {
                    roff.control("TP", []);
                    roff.text([bold(text)]);
                }
                Row::Text(text) => {
                    // A text goes on, unless it is an item or follows one, or a sentence ends.
                    let ends = |row: &Row| match row {
                        Row::Text(text) => text.ends_with(['.', ':']) || is_item(text),
                        Row::Both(..) => true,
                    };
                    if is_item(text) || number > 0 && ends(&self.rows[number - 1]) {
                        roff.control("PP", []);
                    }
                    roff_text(roff, text);
                }
            }
        }
    }
}

/// Returns whether a text begins with a number and a full stop.
fn is_item(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit()) && text.get(1..3) == Some(". ")
}

/// Returns the lines of a paragraph as one.
fn joined(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

fn paragraphs(roff: &mut Roff, texts: &[String]) {
    for text in texts {
        roff.control("PP", []);
        if text.lines().any(|line| line.trim().contains("  ")) {
            // It has columns.
            roff.control("nf", []);
            text.lines().for_each(|line| roff_text(roff, line.trim_end()));
            roff.control("fi", []);
            continue;
        }
        let text = joined(text);
        // A summary has no full stop.
        let stop = if text.ends_with(['.', ':']) { "" } else { "." };
        roff_text(roff, &format!("{text}{stop}"));
    }
}

/// Writes a text, in which words in backticks become bold.
fn roff_text(roff: &mut Roff, text: &str) {
    let pieces = text.split('`').enumerate();
    let pieces: Vec<Inline> = pieces
        .map(|(number, piece)| if number % 2 == 1 { bold(piece) } else { roman(piece) })
        .collect();
    roff.text(pieces);
}

/// Writes other characters by their numbers, which every roff understands.
fn ascii(text: &str) -> String {
    let one = |c: char| match c {
        c if c.is_ascii() => c.to_string(),
        // Not every output device has this character.
        '…' => "...".to_owned(),
        c => format!("\\[u{:04X}]", u32::from(c)),
    };
    text.chars().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(term: &str, text: &str) -> Row {
        Row::Both(term.to_owned(), text.to_owned())
    }

    #[test]
    fn a_list_has_two_columns_and_lines_that_go_on() {
        let list = List::read(
            "Exit status",
            "",
            "  any status\n  0   right\n  64  wrong,\n      for once\n  trc --test=smtp\n        Run it",
        );
        let rows = [
            Row::Text("any status".to_owned()),
            both("0", "right"),
            both("64", "wrong, for once"),
            both("trc --test=smtp", "Run it"),
        ];
        assert_eq!((list.heading.as_str(), &list.rows[..]), ("EXIT STATUS", &rows[..]));
    }

    #[test]
    fn a_heading_may_say_more() {
        let list = List::read("Settings, in order", "", "  1. files\n  2. variables");
        assert_eq!(list.heading, "SETTINGS");
        assert_eq!(list.rows.len(), 3);
        assert_eq!(list.rows[0], Row::Text("Settings, in order:".to_owned()));
    }
}
