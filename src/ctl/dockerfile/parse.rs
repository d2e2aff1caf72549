//! Takes a Dockerfile apart: its instructions with their places.
//!
//! There is no crate for it that knows heredocs and every instruction, and a check needs few of them.

/// One instruction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Instruction {
    /// The name in capital letters.
    pub name: String,
    /// The line of its name, from 1.
    pub line: u32,
    /// The column of its name, from 1.
    pub column: u32,
    /// The flags, such as `--chown=app`.
    pub flags: Vec<String>,
    /// The rest, in one line, without what a heredoc has.
    pub text: String,
}

/// The two forms of a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// `["a", "b"]`: a program and its arguments.
    Exec(Vec<String>),
    /// A text for `/bin/sh -c`.
    Shell(String),
}

impl Instruction {
    /// Returns the form in which a command is written. Like docker, this takes an array that is not
    /// JSON for a text.
    pub(super) fn form(&self) -> Form {
        form(&self.text)
    }
}

/// Returns the form in which a command is written.
pub(super) fn form(text: &str) -> Form {
    match serde_json::from_str::<Vec<String>>(text.trim()) {
        Ok(words) => Form::Exec(words),
        Err(_) => Form::Shell(text.trim().to_owned()),
    }
}

/// Returns the instructions of a Dockerfile. A text that is none has no instructions that are known.
pub(super) fn instructions(text: &str) -> Vec<Instruction> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let escape = escape(text);
    let mut found: Vec<Instruction> = Vec::new();
    let mut lines = text.lines().zip(1_u32..);
    while let Some((line, number)) = lines.next() {
        let trimmed = line.trim_start();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let column = u32::try_from(line.chars().count() - trimmed.chars().count()).unwrap_or(0) + 1;
        let mut whole = String::new();
        let mut part = trimmed;
        while let Some(begin) = part.trim_end().strip_suffix(escape) {
            whole.push_str(begin);
            whole.push(' ');
            // Comments and empty lines do not end an instruction.
            let is_part = |line: &str| !(line.is_empty() || line.starts_with('#'));
            let next = lines.by_ref().map(|(line, _)| line.trim_start()).find(|it| is_part(it));
            part = next.unwrap_or_default();
        }
        whole.push_str(part.trim_end());
        let (name, rest) = whole.split_once(char::is_whitespace).unwrap_or((&whole, ""));
        let name = name.to_ascii_uppercase();
        if ["RUN", "COPY", "ADD"].contains(&name.as_str()) {
            for (end, strips) in heredocs(rest) {
                let mut body = lines.by_ref().map(|(line, _)| line);
                let is_end =
                    |line: &str| end == if strips { line.trim_start_matches('\t') } else { line };
                body.find(|line| is_end(line));
            }
        }
        let (flags, text) = flags(rest);
        found.push(Instruction { name, line: number, column, flags, text });
    }
    found
}

/// Returns the character that continues a line: `# escape=` in the first lines can change it.
fn escape(text: &str) -> char {
    for line in text.lines() {
        let Some(comment) = line.trim().strip_prefix('#') else { break };
        let Some((name, value)) = comment.split_once('=') else { break };
        if name.trim().eq_ignore_ascii_case("escape") {
            return value.trim().chars().next().unwrap_or('\\');
        }
    }
    '\\'
}

/// Returns the words that end the heredocs of an instruction, and whether tabs before them do not
/// count.
fn heredocs(text: &str) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("<<") {
        let rest = &text[at + 2..];
        // `<<<` is a here-string of bash, and `$((1<<N))` is arithmetic. A digit is a descriptor.
        let before = text[..at].trim_end_matches(|c: char| c.is_ascii_digit());
        if rest.starts_with('<') || !(before.is_empty() || before.ends_with(char::is_whitespace)) {
            continue;
        }
        let (rest, strips) = match rest.strip_prefix('-') {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let rest = rest.trim_start_matches(['"', '\'']);
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let word = &rest[..end];
        if word.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            found.push((word.to_owned(), strips));
        }
    }
    found
}

/// Takes the flags at the beginning of an instruction away.
fn flags(text: &str) -> (Vec<String>, String) {
    let mut found = Vec::new();
    let mut rest = text.trim();
    while rest.starts_with("--") {
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        found.push(rest[..end].to_owned());
        rest = rest[end..].trim_start();
    }
    (found, rest.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Form, Instruction, form, instructions};

    fn said(text: &str) -> Vec<String> {
        let one = |it: Instruction| {
            format!("{}:{} {} {:?} {}", it.line, it.column, it.name, it.flags, it.text)
        };
        instructions(text).into_iter().map(one).collect()
    }

    #[test]
    fn an_instruction_goes_on_after_the_escape_character() {
        assert_eq!(
            said(
                "FROM a\n# no\n  run b \\\n  # a comment\n\n  && c\nHEALTHCHECK --interval=1s \\\n CMD d"
            ),
            ["1:1 FROM [] a", "3:3 RUN [] b  && c", "7:1 HEALTHCHECK [\"--interval=1s\"] CMD d"]
        );
        assert_eq!(said("# escape=`\nRUN a\\\nRUN b `\nc"), ["2:1 RUN [] a\\", "3:1 RUN [] b  c"]);
    }

    #[test]
    fn a_heredoc_is_no_instruction() {
        let shifted = said("RUN a=$((1<<N)) b << c\nUSER d");
        assert_eq!(shifted, ["1:1 RUN [] a=$((1<<N)) b << c", "2:1 USER [] d"]);
        assert_eq!(said("RUN cat 3<<E\nUSER a\nE\nUSER b").len(), 2);
        assert_eq!(
            said(
                "RUN <<EOF\nCMD a\nEOF\nCOPY <<-'X' /b <<Y /c\nCMD d\n\tX\nUSER e\nY\nUSER f\nRUN cat <<< g"
            ),
            [
                "1:1 RUN [] <<EOF",
                "4:1 COPY [] <<-'X' /b <<Y /c",
                "9:1 USER [] f",
                "10:1 RUN [] cat <<< g"
            ]
        );
    }

    #[test]
    fn a_command_is_an_array_of_json_or_a_text() {
        assert_eq!(form(r#" ["a", "b c"] "#), Form::Exec(vec!["a".into(), "b c".into()]));
        assert_eq!(form("['a']"), Form::Shell("['a']".into()));
        assert_eq!(form("a b"), Form::Shell("a b".into()));
    }

    #[test]
    fn no_text_makes_it_fail() {
        for text in ["", "\\", "RUN <<", "RUN <<E", "FROM a \\", "#", "\u{feff}FROM a", "--", "CMD"]
        {
            _ = instructions(text);
        }
    }
}
