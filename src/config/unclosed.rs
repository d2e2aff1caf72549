//! The bracket or string that a text never closes, which makes correct lines of TOML look wrong.

/// A bracket or string that is never closed.
pub(super) struct Unclosed {
    /// The byte offset of its beginning.
    pub at: usize,
    /// The bracket or the quotes that open it.
    pub opener: &'static str,
}

impl Unclosed {
    /// Finds the bracket or string that a text, which the parser has refused, never closes.
    pub(super) fn find(text: &str) -> Option<Self> {
        let mut open: Vec<Self> = Vec::new();
        // The number of braces among them.
        let mut braces = 0;
        let mut swallowing = None;
        let mut at = 0;
        while let Some(found) = text[at..].find(['"', '\'', '#', '[', ']', '{', '}']) {
            at += found;
            let rest = &text[at..];
            let opener = ["\"\"\"", "'''", "\"", "'", "[", "{", "]", "}", "#"]
                .into_iter()
                .find(|opener| rest.starts_with(opener))?;
            match opener {
                "#" => at += rest.find('\n').unwrap_or(rest.len()),
                "[" | "{" => {
                    braces += usize::from(opener == "{");
                    open.push(Self { at, opener });
                    at += 1;
                }
                "]" | "}" => {
                    let alike = if opener == "}" { braces } else { open.len() - braces };
                    if open.last().is_some_and(|innermost| innermost.closer() == opener) {
                        braces -= usize::from(opener == "}");
                        open.pop();
                    } else if alike > 0 {
                        // The brackets within the one that this closes are still open.
                        return open.pop();
                    }
                    at += 1;
                }
                quotes => {
                    let string = Self { at, opener: quotes };
                    match end_of_string(text, &string) {
                        Some(end) => {
                            at = end;
                            // A string that ends with `KEY = '''` has swallowed another one.
                            if quotes.len() == 3 && ends_with_key(text, end - 3) {
                                swallowing.get_or_insert(string);
                            }
                        }
                        None if quotes.len() == 3 => return Some(swallowing.unwrap_or(string)),
                        None if !open.is_empty() => return Some(string),
                        // The parser continues in the next line.
                        None => at += rest.find('\n').unwrap_or(rest.len()),
                    }
                }
            }
        }
        // The innermost bracket in the line of the outermost one.
        let first = open.first()?.at;
        let line = text[first..].find('\n').map_or(text.len(), |length| first + length);
        open.into_iter().take_while(|one| one.at < line).last()
    }

    /// Returns the message of the error.
    pub(super) fn message(&self) -> String {
        match self.opener {
            "[" | "{" => format!("this `{}` is never closed", self.opener),
            quotes => format!("the string that begins here with {quotes} is never closed"),
        }
    }

    /// Returns the help for the error.
    pub(super) fn help(&self) -> String {
        let closer = self.closer();
        match self.opener {
            "[" => "write `]` after its last value, or after the name of the table".to_owned(),
            "{" => "write `}` after its last key".to_owned(),
            quotes if quotes.len() == 1 => format!("write {closer} at its end, in the same line"),
            _ => format!(
                "write {closer} after its last line, or after the last line of an earlier string that these quotes were meant to close"
            ),
        }
    }

    fn closer(&self) -> &'static str {
        match self.opener {
            "[" => "]",
            "{" => "}",
            quotes => quotes,
        }
    }
}

/// Returns the byte offset after a string, if the string is closed.
fn end_of_string(text: &str, Unclosed { at, opener }: &Unclosed) -> Option<usize> {
    let mut inside = at + opener.len();
    loop {
        inside += text[inside..].find(['\\', '"', '\'', '\n'])?;
        let rest = &text[inside..];
        if rest.starts_with(opener) {
            return Some(inside + opener.len());
        }
        if rest.starts_with('\n') && opener.len() == 1 {
            return None;
        }
        let escaped = rest.starts_with('\\') && opener.starts_with('"');
        let skipped = rest.chars().take(if escaped { 2 } else { 1 });
        inside += skipped.map(char::len_utf8).sum::<usize>();
    }
}

/// Tells whether a place in a line has only a key and `=` before it.
fn ends_with_key(text: &str, at: usize) -> bool {
    /// No key is longer. A line may be as long as the file, and have many strings.
    const LONGEST: usize = 256;
    let before = &text.as_bytes()[at.saturating_sub(LONGEST)..at];
    let line = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let key = line.trim_ascii().strip_suffix(b"=").map(<[u8]>::trim_ascii);
    let is_of_key = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    line.len() < LONGEST && key.is_some_and(|key| !key.is_empty() && key.iter().all(is_of_key))
}
