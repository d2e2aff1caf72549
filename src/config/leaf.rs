//! The readers of single values, such as strings, numbers and signals.

use std::ffi::OsString;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::value::StrDeserializer;

use super::suggest::{begun, nearest};
use super::template::Unexpanded;
use super::value::{Node, Value, shown};
use super::{Environment, Listen, Template, WaitPolicy};
use crate::signal::Signal;

/// The log levels.
pub(crate) const LEVELS: &[&str] = &["off", "error", "warn", "info", "debug", "trace"];

/// A problem with a value.
#[derive(Debug)]
pub(super) struct Problem {
    pub message: String,
    /// The help: a way to correct the value.
    pub help: Option<String>,
    /// The byte offset in the string that the problem is about.
    pub at: usize,
    /// The reason why the variables cannot be replaced, which does not matter in a disabled unit.
    pub unexpanded: Option<Unexpanded>,
}

impl Problem {
    /// Returns a problem with the value as a whole.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, at: 0, unexpanded: None }
    }

    /// Returns the problem of a value of the wrong kind.
    pub(super) fn expected(what: &str, node: &Node) -> Self {
        Self::new(format!("expected {what}, found {}", node.value.describe()))
    }

    /// Returns the problem of variables that cannot be replaced.
    pub(super) fn unexpanded(why: Unexpanded) -> Self {
        Self { message: why.to_string(), help: None, at: 0, unexpanded: Some(why) }
    }

    /// Sets the byte offset of the part of the string that the problem is about.
    #[must_use]
    pub(super) fn at(mut self, at: usize) -> Self {
        self.at = at;
        self
    }
}

/// A value, or the problem with it.
pub(super) type Leaf<T> = Result<T, Problem>;

/// A function that reads one value. The environment is for `${NAME}`.
pub(super) trait Reader<T>: Fn(&Node, &Environment) -> Leaf<T> {}

impl<T, F: Fn(&Node, &Environment) -> Leaf<T>> Reader<T> for F {}

/// Returns the value of a variable.
pub(super) fn lookup(environment: &Environment, name: &str) -> Option<OsString> {
    environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
}

/// Reads a string and replaces its variables.
pub(super) fn os_text(node: &Node, environment: &Environment) -> Leaf<OsString> {
    let Value::String(text) = &node.value else { return Err(Problem::expected("a string", node)) };
    let text = template_text(text)?
        .expand(&|name| lookup(environment, name))
        .map_err(Problem::unexpanded)?;
    no_nul(text.as_bytes())?;
    Ok(text)
}

/// Does the same, but the text must be UTF-8.
pub(super) fn text(node: &Node, environment: &Environment) -> Leaf<String> {
    os_text(node, environment)?
        .into_string()
        .map_err(|text| Problem::new(format!("{} is not UTF-8", text.display())))
}

/// Reads a text of one line that is not empty, such as a name or a path.
/// An address to listen on: a port, an IP address and a port, or the path of a Unix socket.
pub(super) fn listen(node: &Node, environment: &Environment) -> Leaf<Listen> {
    let text = match &node.value {
        Value::Integer(port, _) => port.to_string(),
        _ => text(node, environment)?,
    };
    text.parse().map_err(|()| {
        let help = "write a port, an IP address and a port, or the path of a Unix socket: \"8080\", \"127.0.0.1:8080\", \"[::1]:8080\" or \"/run/web.sock\"";
        let problem = Problem::new(format!("{} is not an address to listen on", node.value.describe()));
        Problem { help: Some(help.to_owned()), ..problem }
    })
}

pub(super) fn line(node: &Node, environment: &Environment) -> Leaf<OsString> {
    let text = os_text(node, environment)?;
    if text.is_empty() {
        return Err(Problem::new("this must not be empty"));
    }
    if text.as_bytes().contains(&b'\n') {
        return Err(Problem::new("this must not contain a newline"));
    }
    Ok(text)
}

/// Reads a path.
pub(super) fn path(node: &Node, environment: &Environment) -> Leaf<PathBuf> {
    line(node, environment).map(PathBuf::from)
}

/// Reads a path that begins with `/`.
pub(super) fn absolute(node: &Node, environment: &Environment) -> Leaf<PathBuf> {
    let path = path(node, environment)?;
    if path.is_absolute() { Ok(path) } else { Err(Problem::new("the path must begin with `/`")) }
}

/// Reads a size of at least 1 byte.
pub(super) fn size(node: &Node, environment: &Environment) -> Leaf<u64> {
    let size = match &node.value {
        Value::Integer(number, _) => u64::try_from(*number).ok(),
        Value::String(_) => super::size::bytes(&text(node, environment)?),
        _ => None,
    };
    size.filter(|size| *size > 0)
        .ok_or_else(|| Problem::expected("a size such as \"10MB\" or \"512KiB\"", node))
}

/// Reads the size at which trc rotates a log file. With a smaller one, trc would rotate the file
/// every few lines, which costs more than writing them.
pub(super) fn file_size(node: &Node, environment: &Environment) -> Leaf<u64> {
    const LEAST: u64 = 4096;
    let size = size(node, environment)?;
    if size < LEAST {
        let least = super::expect::size(LEAST);
        return Err(Problem::new(format!("a log file must be allowed at least {least}")));
    }
    Ok(size)
}

/// Reads the text of a script, which is left to the shell as it is.
pub(super) fn script(node: &Node, _: &Environment) -> Leaf<OsString> {
    let Value::String(text) = &node.value else { return Err(Problem::expected("a string", node)) };
    no_nul(text.as_bytes())?;
    if text.trim().is_empty() {
        return Err(Problem::new("the script is empty"));
    }
    Ok(text.into())
}

/// Reads the name or the number of a user or a group.
pub(super) fn id(node: &Node, environment: &Environment) -> Leaf<String> {
    match &node.value {
        Value::Integer(number, _) if u32::try_from(*number).is_ok() => Ok(number.to_string()),
        Value::String(_) => {
            let name = text(node, environment)?;
            let odd = |c: char| c.is_control() || c == ':' || c.is_whitespace();
            if name.is_empty() || name.contains(odd) {
                let parts = name.split_once(':').filter(|(user, group)| {
                    !(user.is_empty() || group.is_empty() || group.contains(odd))
                });
                return Err(Problem {
                    help: parts.map(|(user, group)| {
                        format!("write user = {:?} and group = {:?}", shown(user), shown(group))
                    }),
                    ..Problem::new(format!("\"{}\" is not a valid name", shown(&name)))
                });
            }
            Ok(name)
        }
        _ => Err(Problem::expected("a name or a number", node)),
    }
}

/// Reads a value whose variables are replaced when its unit starts.
pub(super) fn template(node: &Node, _: &Environment) -> Leaf<Template> {
    match &node.value {
        Value::String(text) => template_text(text),
        Value::Integer(number, _) => Ok(Template::literal(number.to_string())),
        Value::Float(number) => Ok(Template::literal(number)),
        Value::Boolean(yes) => Ok(Template::literal(yes.to_string())),
        _ => Err(Problem::expected("a string, a number or a boolean", node)),
    }
}

/// Reads a word of a command. Its variables are replaced when its unit starts.
pub(super) fn word(node: &Node, environment: &Environment) -> Leaf<Template> {
    if !matches!(node.value, Value::String(_)) {
        return Err(Problem::expected("a string", node));
    }
    template(node, environment)
}

/// Reads a path whose variables are replaced when its unit starts.
pub(super) fn path_template(node: &Node, environment: &Environment) -> Leaf<Template> {
    match &node.value {
        Value::String(path) if path.is_empty() => Err(Problem::new("this must not be empty")),
        Value::String(path) if path == "~" || path.starts_with("~/") => Err(Problem {
            help: Some(format!("write \"${{HOME}}{}\"", shown(&path[1..]))),
            ..Problem::new("`~` stands for a home directory only in a shell")
        }),
        _ => word(node, environment),
    }
}

fn template_text(text: &str) -> Leaf<Template> {
    no_nul(text.as_bytes())?;
    Template::parse(text).map_err(|(at, why)| Problem::new(why).at(at))
}

/// Checks that bytes can be passed to `execve`: that none of them is NUL.
pub(super) fn no_nul(bytes: &[u8]) -> Leaf<()> {
    match bytes.iter().position(|byte| *byte == 0) {
        Some(at) => Err(Problem::new("this must not contain a NUL character").at(at)),
        None => Ok(()),
    }
}

/// Reads a boolean.
pub(super) fn boolean(node: &Node, environment: &Environment) -> Leaf<bool> {
    match &node.value {
        Value::Boolean(yes) => Ok(*yes),
        Value::String(_) => match text(node, environment)?.as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            other => {
                let problem = format!("expected true or false, found \"{}\"", shown(other));
                let right = match other.to_lowercase().as_str() {
                    "yes" | "on" | "y" | "enable" | "enabled" | "1" | "true" => Some("true"),
                    "no" | "off" | "n" | "disable" | "disabled" | "0" | "false" => Some("false"),
                    _ => None,
                };
                let help = right.map(|right| format!("write {right}"));
                Err(Problem { help, ..Problem::new(problem) })
            }
        },
        _ => Err(Problem::expected("true or false", node)),
    }
}

/// Reads a whole number in a range.
pub(super) fn number<N>(node: &Node, environment: &Environment, range: RangeInclusive<N>) -> Leaf<N>
where
    N: TryFrom<i64> + FromStr + PartialOrd + Display,
{
    let number = match &node.value {
        Value::Integer(number, _) => N::try_from(*number).ok(),
        Value::String(_) => text(node, environment)?.parse().ok(),
        _ => None,
    };
    number.filter(|number| range.contains(number)).ok_or_else(|| {
        let (least, most) = (range.start(), range.end());
        Problem::expected(&format!("a number from {least} to {most}"), node)
    })
}

/// Returns the reader of a whole number in a range.
pub(super) fn within<N>(range: RangeInclusive<N>) -> impl Fn(&Node, &Environment) -> Leaf<N>
where
    N: TryFrom<i64> + FromStr + PartialOrd + Display + Clone,
{
    move |node, environment| number(node, environment, range.clone())
}

/// Reads a number of things, of which there has to be at least one.
pub(super) fn count(node: &Node, environment: &Environment) -> Leaf<u64> {
    number(node, environment, 1..=u64::MAX).map_err(|problem| {
        if problem.unexpanded.is_some() {
            problem
        } else {
            Problem::expected("a number of 1 or more", node)
        }
    })
}

/// Reads an exit status.
pub(super) fn status(node: &Node, environment: &Environment) -> Leaf<u8> {
    let any = number(node, environment, u8::MIN..=u8::MAX);
    any.map_err(|problem| {
        let what = "an exit status from 0 to 255";
        if problem.unexpanded.is_some() { problem } else { Problem::expected(what, node) }
    })
}

/// Reads a file mode creation mask.
pub(super) fn mode(node: &Node, environment: &Environment) -> Leaf<u32> {
    octal(node, environment, 0o777, "an octal mask such as \"022\" or 0o022")
}

/// Reads permission bits, including set-user-ID, set-group-ID and sticky.
pub(super) fn permissions(node: &Node, environment: &Environment) -> Leaf<u32> {
    octal(node, environment, 0o7777, "permissions such as \"640\" or 0o640")
}

fn octal(node: &Node, environment: &Environment, most: u32, expected: &str) -> Leaf<u32> {
    let mode = match &node.value {
        // A decimal 22 would be 0o26, which nobody means.
        Value::Integer(number, base) if *base == 8 || (0..8).contains(number) => {
            u32::try_from(*number).ok()
        }
        Value::String(_) => {
            let text = text(node, environment)?;
            let digits = text.strip_prefix("0o").unwrap_or(&text);
            let is_octal = digits.bytes().all(|digit| digit.is_ascii_digit());
            is_octal.then(|| u32::from_str_radix(digits, 8).ok()).flatten()
        }
        _ => None,
    };
    mode.filter(|mode| *mode <= most).ok_or_else(|| Problem::expected(expected, node))
}

/// Reads a signal.
pub(super) fn signal(node: &Node, environment: &Environment) -> Leaf<Signal> {
    let name = match &node.value {
        Value::Integer(number, _) => number.to_string(),
        _ => text(node, environment)?,
    };
    signal_name(&name)
}

/// Reads the name of a signal.
pub(super) fn signal_name(name: &str) -> Leaf<Signal> {
    Signal::from_str(name).map_err(|_| {
        let known: Vec<String> =
            (1..32).filter_map(Signal::from_number).map(|signal| signal.to_string()).collect();
        // Without `SIG`, which would make any two names similar.
        let upper = name.to_uppercase();
        let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
        let known = known.iter().filter_map(|name| name.strip_prefix("SIG"));
        Problem {
            help: nearest(bare, known).map(|name| format!("did you mean `SIG{name}`?")),
            ..Problem::new(format!("there is no signal \"{}\"", shown(name)))
        }
    })
}

/// Reads a word that stands for a variant of `T`.
pub(super) fn choice<T: for<'de> Deserialize<'de>>(
    node: &Node,
    environment: &Environment,
) -> Leaf<T> {
    let word = text(node, environment)?;
    T::deserialize(StrDeserializer::<Unknown>::new(&word))
        .map_err(|Unknown(expected)| not_one_of(&word, expected))
}

/// Reads the wait policy. TrivialRC's names begin with `wait_`.
pub(super) fn wait(node: &Node, environment: &Environment) -> Leaf<WaitPolicy> {
    let word = text(node, environment)?;
    let plain = Node::text(word.strip_prefix("wait_").unwrap_or(&word), node.origin.clone());
    choice(&plain, &Environment::new()).map_err(|problem| Problem {
        help: problem.help,
        ..not_one_of(&word, variants::<WaitPolicy>())
    })
}

/// Reads a log level.
pub(super) fn level(node: &Node, environment: &Environment) -> Leaf<log::LevelFilter> {
    let word = text(node, environment)?;
    word.parse().map_err(|_| not_one_of(&word, LEVELS))
}

fn not_one_of(word: &str, expected: &[&'static str]) -> Problem {
    Problem {
        help: nearest(word, expected.iter().copied())
            .or_else(|| begun(word, expected))
            .map(|right| format!("did you mean `{right}`?")),
        ..Problem::new(format!("expected {}, found \"{}\"", one_of(expected), shown(word)))
    }
}

/// Returns `a, b or c`.
pub(super) fn one_of(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [word] => (*word).to_owned(),
        [words @ .., last] => format!("{} or {last}", words.join(", ")),
    }
}

/// Returns the words that stand for the variants of `T`.
pub(super) fn variants<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    match T::deserialize(StrDeserializer::<Unknown>::new("")) {
        Ok(_) => &[],
        Err(Unknown(expected)) => expected,
    }
}

/// The error for a word that is not a variant, with the words that are.
#[derive(Debug)]
struct Unknown(&'static [&'static str]);

impl std::fmt::Display for Unknown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&one_of(self.0))
    }
}

impl std::error::Error for Unknown {}

impl serde::de::Error for Unknown {
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self(&[])
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self(expected)
    }
}
