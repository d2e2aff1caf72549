//! Values with `${NAME}`, which are parsed when the configuration is read, and replaced when their
//! unit starts.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// The depth to which defaults may nest, so that a malicious value cannot exhaust the stack.
const DEEPEST: usize = 16;

/// The longest value after its variables are replaced, in bytes: no program can get a longer one
/// (`MAX_ARG_STRLEN`, execve(2)), and a value that doubles another one would grow without limit.
const LONGEST: usize = 128 * 1024 - 1;

/// A value with `${NAME}`, `${NAME:-default}`, `${NAME:?message}` and `$$` in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Template(Vec<Piece>);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    Literal(OsString),
    Variable { name: String, or: Or },
}

/// The value of an undefined variable.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Or {
    Error,
    Default(Template),
    Message(String),
}

/// Why the variables of a value cannot be replaced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Unexpanded {
    /// This variable is not set.
    NotSet(String),
    /// This variable of `${NAME:?message}` is not set, and the message.
    Required(String, String),
    /// The value is longer than a program can get.
    TooLong,
}

impl fmt::Display for Unexpanded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSet(name) => write!(f, "the variable {name} is not set"),
            Self::Required(name, message) => write!(f, "{name}: {message}"),
            Self::TooLong => write!(
                f,
                "after its variables are replaced, this is longer than {} KiB, which is the most that the kernel passes to a program",
                (LONGEST + 1) >> 10
            ),
        }
    }
}

impl Template {
    /// Creates a literal value, including its dollar signs.
    #[must_use]
    pub(crate) fn literal(text: impl Into<OsString>) -> Self {
        Self(vec![Piece::Literal(text.into())])
    }

    /// Parses a value. A `$` that begins none of the forms stands for itself.
    ///
    /// # Errors
    /// Returns what is wrong with it, and the byte it is at.
    pub(crate) fn parse(text: &str) -> Result<Self, (usize, String)> {
        Self::parse_nested(text, 0)
    }

    fn parse_nested(text: &str, depth: usize) -> Result<Self, (usize, String)> {
        if depth > DEEPEST {
            return Err((0, format!("defaults are nested more than {DEEPEST} levels deep")));
        }
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            literal.push_str(&rest[..at]);
            let here = text.len() - rest.len() + at;
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                literal.push('$');
                rest = after;
            } else if let Some(after) = rest.strip_prefix('{') {
                let end = closing_brace(after)
                    .ok_or_else(|| (here, "`${` has no closing `}`".to_owned()))?;
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal).into()));
                }
                pieces.push(
                    variable(&after[..end], depth)
                        .map_err(|(offset, why)| (here + 2 + offset, why))?,
                );
                rest = &after[end + 1..];
            } else {
                literal.push('$');
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Literal(literal.into()));
        }
        Ok(Self(pieces))
    }

    /// Replaces the variables.
    ///
    /// # Errors
    /// Returns which variable is not set, or that the value is too long.
    pub(crate) fn expand(
        &self,
        lookup: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<OsString, Unexpanded> {
        let mut out = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Variable { name, or } => match (lookup(name), or) {
                    (Some(value), Or::Error) => out.extend_from_slice(value.as_bytes()),
                    // As in a shell, `:-` and `:?` treat an empty value as unset.
                    (Some(value), Or::Default(_) | Or::Message(_)) if !value.is_empty() => {
                        out.extend_from_slice(value.as_bytes());
                    }
                    (_, Or::Default(default)) => {
                        out.extend_from_slice(default.expand(lookup)?.as_bytes());
                    }
                    (_, Or::Message(message)) => {
                        return Err(Unexpanded::Required(name.clone(), message.clone()));
                    }
                    (None, Or::Error) => return Err(Unexpanded::NotSet(name.clone())),
                },
            }
            if out.len() > LONGEST && self.0.len() > 1 {
                return Err(Unexpanded::TooLong);
            }
        }
        Ok(OsString::from_vec(out))
    }

    /// Returns the text of the configuration, for people.
    #[must_use]
    pub(crate) fn source(&self) -> OsString {
        let mut out = OsString::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => out.push(text),
                Piece::Variable { name, or } => {
                    out.push("${");
                    out.push(name);
                    match or {
                        Or::Error => {}
                        Or::Default(default) => {
                            out.push(":-");
                            out.push(default.source());
                        }
                        Or::Message(message) => {
                            out.push(":?");
                            out.push(message);
                        }
                    }
                    out.push("}");
                }
            }
        }
        out
    }
}

impl From<&OsStr> for Template {
    fn from(text: &OsStr) -> Self {
        Self::literal(text)
    }
}

/// Returns the position of the brace that closes the one before `text`. `${…}` in a default nests.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0;
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'{' if at > 0 && bytes[at - 1] == b'$' => depth += 1,
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn variable(inner: &str, depth: usize) -> Result<Piece, (usize, String)> {
    let end = inner.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(inner.len());
    let (name, rest) = inner.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err((0, format!("`${{{inner}}}` has no variable name")));
    }
    let or = if rest.is_empty() {
        Or::Error
    } else if let Some(default) = rest.strip_prefix(":-") {
        Or::Default(
            Template::parse_nested(default, depth + 1).map_err(|(at, why)| (end + 2 + at, why))?,
        )
    } else if let Some(message) = rest.strip_prefix(":?") {
        Or::Message(if message.is_empty() { "is not set".to_owned() } else { message.to_owned() })
    } else {
        return Err((
            end,
            "only `:-default` and `:?message` may follow a variable's name".to_owned(),
        ));
    };
    Ok(Piece::Variable { name: name.to_owned(), or })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> Result<String, String> {
        let lookup = |name: &str| match name {
            "A" => Some("a b".into()),
            "EMPTY" => Some("".into()),
            _ => None,
        };
        let template = Template::parse(text).map_err(|(at, why)| format!("{at}: {why}"))?;

        let expanded = template.expand(&lookup).map_err(|why| why.to_string())?;
        Ok(expanded.into_string().unwrap())
    }

    #[test]
    fn variables_are_filled_in() {
        for (text, value) in [
            ("", ""),
            ("plain", "plain"),
            ("${A}", "a b"),
            ("x${A}y$", "xa by$"),
            ("$A $(id)", "$A $(id)"),
            ("${NO:-d}", "d"),
            ("${EMPTY:-d}", "d"),
            ("${EMPTY}", ""),
            ("${NO:-${A}!}", "a b!"),
            ("${NO:-}", ""),
            ("${A:?needed}", "a b"),
        ] {
            assert_eq!(expand(text).as_deref(), Ok(value), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_one_has_a_place() {
        for (text, error) in [
            ("${NO}", "the variable NO is not set"),
            ("${NO:?set it}", "NO: set it"),
            ("a${A", "1: `${` has no closing `}`"),
            ("${}", "2: `${}` has no variable name"),
            ("${A+x}", "3: only `:-default` and `:?message` may follow a variable's name"),
        ] {
            assert_eq!(expand(text), Err(error.to_owned()), "{text}");
        }
    }

    #[test]
    fn endless_nesting_is_an_error_and_no_crash() {
        let text = format!("{}{}", "${A:-".repeat(100_000), "}".repeat(100_000));
        assert!(Template::parse(&text).is_err());
    }

    /// 32 variables, each twice as long as the one before, would have 4 GiB.
    #[test]
    fn a_value_that_grows_without_end_is_an_error_and_no_abort() {
        let double = Template::parse("${A}${A}").unwrap();
        let mut value = OsString::from("x");
        let mut doublings = 0;
        let why = loop {
            match double.expand(&|_| Some(value.clone())) {
                Ok(longer) => value = longer,
                Err(why) => break why,
            }
            doublings += 1;
        };
        assert_eq!((doublings, value.len()), (16, 65_536));
        assert_eq!(why, Unexpanded::TooLong);
        // A text without variables, such as a script, may be longer.
        let text = "x".repeat(200_000);
        assert_eq!(Template::parse(&text).unwrap().expand(&|_| None), Ok(text.into()));
    }

    #[test]
    fn a_doubled_dollar_is_one() {
        let template = Template::parse("$${A}").unwrap();
        assert_eq!(template.expand(&|_| None), Ok("${A}".into()));
    }
}
