//! Replaces the variables of a template: `${NAME}`, `${NAME:-default}` and `${NAME:?message}`.
//!
//! Templates are in the languages of other programs, so everything else stays as it is: `$NAME`,
//! `$${`, and braces with something else than the name of a variable and one of these endings.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use crate::words::Unfilled;

/// The depth to which defaults may nest.
const DEEPEST: usize = 16;

/// The largest result, in bytes.
const LARGEST: usize = 16 << 20;

/// A fault at a byte of a template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Fault {
    at: usize,
    pub why: Unfilled,
}

impl Fault {
    /// Returns the line and the column, both counted from 1.
    pub(super) fn place(&self, template: &[u8]) -> (usize, usize) {
        let before = &template[..self.at.min(template.len())];
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        let start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        (line, String::from_utf8_lossy(&before[start..]).chars().count() + 1)
    }
}

/// The variables that are replaced.
pub(super) struct Variables<'a> {
    /// Their names, if not all of them are.
    pub names: Option<&'a [String]>,
    /// Their values.
    pub lookup: &'a dyn Fn(&str) -> Option<OsString>,
}

impl Variables<'_> {
    /// Replaces the variables of a template.
    ///
    /// # Errors
    /// Returns the first variable that is not set, or another fault, and its place.
    pub(super) fn fill(&self, template: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut out = Vec::with_capacity(template.len());
        self.add(template, 0, 0, &mut out)?;
        Ok(out)
    }

    /// Adds a part of the template, which begins at the byte `base`.
    fn add(&self, text: &[u8], base: usize, depth: usize, out: &mut Vec<u8>) -> Result<(), Fault> {
        let mut rest = text;
        while let Some(dollar) = memchr::memchr(b'$', rest) {
            let at = base + text.len() - rest.len() + dollar;
            let fault = |why| Fault { at, why };
            out.extend_from_slice(&rest[..dollar]);
            let after = &rest[dollar..];
            rest = match self.variable(after) {
                None => {
                    out.push(b'$');
                    &after[1..]
                }
                Some((name, ending)) => {
                    let head = "${".len() + name.len();
                    let tail = &after[head..];
                    let (inner, end) = match ending {
                        Ending::Brace => (&tail[..0], 0),
                        Ending::Default | Ending::Message => {
                            let close = closing_brace(&tail[2..])
                                .ok_or_else(|| fault(Unfilled::Open(name.to_owned())))?;
                            (&tail[2..2 + close], 2 + close)
                        }
                    };
                    match ((self.lookup)(name), ending) {
                        (Some(value), Ending::Brace) => out.extend_from_slice(value.as_bytes()),
                        // As in a shell, these treat an empty value as unset.
                        (Some(value), Ending::Default | Ending::Message) if !value.is_empty() => {
                            out.extend_from_slice(value.as_bytes());
                        }
                        (_, Ending::Default) if depth == DEEPEST => {
                            return Err(fault(Unfilled::Deep(DEEPEST)));
                        }
                        (_, Ending::Default) => {
                            self.add(inner, at + head + 2, depth + 1, out)?;
                        }
                        (_, Ending::Message) => {
                            let message = String::from_utf8_lossy(inner).into_owned();
                            return Err(fault(Unfilled::Required(name.to_owned(), message)));
                        }
                        (None, Ending::Brace) => {
                            return Err(fault(Unfilled::NotSet(name.to_owned())));
                        }
                    }
                    &tail[end + 1..]
                }
            };
            if out.len() > LARGEST {
                return Err(fault(Unfilled::Large(LARGEST)));
            }
        }
        out.extend_from_slice(rest);
        Ok(())
    }

    /// Returns the variable that a text begins with, if it is to be replaced.
    fn variable<'t>(&self, text: &'t [u8]) -> Option<(&'t str, Ending)> {
        let inner = text.strip_prefix(b"${")?;
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let length = inner.iter().position(|byte| !is_name(byte))?;
        let name = std::str::from_utf8(&inner[..length]).ok()?;
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let ending = match &inner[length..] {
            [b'}', ..] => Ending::Brace,
            [b':', b'-', ..] => Ending::Default,
            [b':', b'?', ..] => Ending::Message,
            _ => return None,
        };
        let listed = self.names.is_none_or(|names| names.iter().any(|known| known == name));
        listed.then_some((name, ending))
    }
}

/// What follows the name of a variable.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Brace,
    Default,
    Message,
}

/// Returns the position of the brace that closes the one before `text`. `${…}` nests.
fn closing_brace(text: &[u8]) -> Option<usize> {
    let mut depth = 0;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'{' if at > 0 && text[at - 1] == b'$' => depth += 1,
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use super::*;

    fn fill(template: &str, names: Option<&[&str]>) -> Result<String, String> {
        let names: Option<Vec<String>> =
            names.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        let lookup = |name: &str| match name {
            "A" => Some("a b".into()),
            "LINES" => Some("1\n2".into()),
            "DOLLAR" => Some("${A}".into()),
            "EMPTY" => Some("".into()),
            _ => None,
        };
        let variables = Variables { names: names.as_deref(), lookup: &lookup };
        let filled = variables.fill(template.as_bytes()).map_err(|fault| {
            let (line, column) = fault.place(template.as_bytes());
            format!("{line}:{column}: {}", fault.why)
        })?;
        Ok(String::from_utf8(filled).unwrap())
    }

    #[test]
    fn variables_in_braces_are_replaced_and_nothing_else() {
        for (template, filled) in [
            ("", ""),
            ("x ${A} y\n", "x a b y\n"),
            ("${A}${A}", "a ba b"),
            ("${LINES}", "1\n2"),
            // A value is no template.
            ("${DOLLAR}", "${A}"),
            ("${EMPTY}", ""),
            ("${EMPTY:-d}", "d"),
            ("${NO:-d}", "d"),
            ("${NO:-}", ""),
            ("${NO:-<${A}>}", "<a b>"),
            ("${NO:-${NO:-${A}}}!", "a b!"),
            ("${A:-${NO}}", "a b"),
            ("${A:?needed}", "a b"),
            // Other languages.
            ("$A $host $1 $$ $", "$A $host $1 $$ $"),
            ("$${A}", "$a b"),
            ("${}", "${}"),
            (
                "${1} ${a.b} ${A.b} ${A+x} ${A:x} ${A-x} ${#A} ${A",
                "${1} ${a.b} ${A.b} ${A+x} ${A:x} ${A-x} ${#A} ${A",
            ),
            ("${ A } ${env:A} {A}", "${ A } ${env:A} {A}"),
            ("${x.${A}}", "${x.a b}"),
            ("${${A}}", "${a b}"),
        ] {
            assert_eq!(fill(template, None).as_deref(), Ok(filled), "{template}");
        }
    }

    #[test]
    fn only_the_variables_that_are_listed_are_replaced() {
        for (template, filled) in [
            ("${A} ${host} ${LINES:-x} ${NO:?y} $A", "a b ${host} ${LINES:-x} ${NO:?y} $A"),
            ("${host:-${A}}", "${host:-a b}"),
        ] {
            assert_eq!(fill(template, Some(&["A"])).as_deref(), Ok(filled), "{template}");
        }
        assert_eq!(fill("${A}", Some(&[])).as_deref(), Ok("${A}"));
    }

    #[test]
    fn a_fault_has_a_line_and_a_column() {
        for (template, why) in [
            ("${NO}", "1:1: the variable NO is not set"),
            ("a\nbü ${NO}", "2:4: the variable NO is not set"),
            ("a\n${NO:-\n ${WHAT}}", "3:2: the variable WHAT is not set"),
            ("\n  ${NO:?set it}", "2:3: NO: set it"),
            ("${EMPTY:?}", "1:1: the variable EMPTY is not set, or is empty"),
            ("x${NO:-${A}", "1:2: `${NO` has no closing `}`"),
        ] {
            assert_eq!(fill(template, None), Err(why.to_owned()), "{template}");
        }
    }

    #[test]
    fn a_template_that_nests_or_grows_without_end_is_an_error() {
        let deep = format!("{}{}", "${NO:-".repeat(100_000), "}".repeat(100_000));
        assert!(
            fill(&deep, None)
                .unwrap_err()
                .ends_with("defaults are nested more than 16 levels deep")
        );
        let lookup = |_: &str| Some(OsString::from("x".repeat(100_000)));
        let variables = Variables { names: None, lookup: &lookup };
        let why = variables.fill("${A}".repeat(1000).as_bytes()).unwrap_err().why;
        assert_eq!(why, Unfilled::Large(LARGEST));
    }

    /// Where both know the syntax, trc and envsubst of GNU gettext agree: `${NAME}`, and a list of
    /// the names.
    #[test]
    fn two_thousand_random_templates_are_filled_as_envsubst_fills_them() {
        // Between two templates. envsubst is started once for all of them.
        const BETWEEN: &str = "\n\u{1}\n";
        let known = ["A", "host", "_x1", "LONG_NAME"];
        let value = |name: &str| format!("<{name} $host ${{A}}\n>");
        let parts = [
            "${A}",
            "${host}",
            "${_x1}",
            "${LONG_NAME}",
            "${other}",
            "${",
            "}",
            "{",
            "$",
            "$$",
            "A",
            " ",
            "\n",
            "$other",
            "$1",
            "${1}",
            "${A.b}",
            "${A",
            "${other:-x}",
            "ü",
            "\\",
            "'",
            "\"",
            "${}",
            "$(x)",
            "${ A}",
            "#",
        ];
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % below as u64).unwrap()
        };
        let mut templates = Vec::new();
        while templates.len() < 2000 {
            let count = random(12);
            let template: String = (0..count).map(|_| parts[random(parts.len())]).collect();
            // envsubst replaces these without braces, too.
            let is_bare = known.iter().any(|name| template.contains(&format!("${name}")));
            if !is_bare {
                templates.push(template);
            }
        }
        let lookup = |name: &str| known.contains(&name).then(|| value(name).into());
        let names = known.map(str::to_owned);
        let variables = Variables { names: Some(&names), lookup: &lookup };
        let own: Vec<String> = templates
            .iter()
            .map(|template| {
                String::from_utf8(variables.fill(template.as_bytes()).unwrap()).unwrap()
            })
            .collect();

        let list = known.map(|name| format!("${{{name}}}")).concat();
        #[expect(clippy::disallowed_methods, reason = "a test starts what it compares trc with")]
        let mut command = Command::new("envsubst");
        command.arg(list).envs(known.map(|name| (name, value(name))));
        let mut child = match command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() {
            Ok(child) => child,
            Err(why) => {
                assert!(std::env::var_os("CI").is_none(), "envsubst: {why}");
                return;
            }
        };
        let mut input = child.stdin.take().unwrap();
        let all = templates.join(BETWEEN);
        // It reads everything before it ends, but writes before that.
        #[expect(clippy::disallowed_methods, reason = "a test, not PID 1")]
        let writer = std::thread::spawn(move || input.write_all(all.as_bytes()).unwrap());
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let theirs: Vec<&str> = text.split(BETWEEN).collect();
        assert_eq!(theirs.len(), own.len());
        for ((template, own), theirs) in templates.iter().zip(&own).zip(theirs) {
            assert_eq!(own, theirs, "{template:?}");
        }
    }
}
