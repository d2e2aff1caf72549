//! Regular expressions, which are compiled in one way only: the expression that is checked when trc
//! reads the configuration is the one that later searches lines and texts.

pub(crate) use regex_lite::Regex;
use regex_lite::RegexBuilder;

/// The largest size of a compiled regular expression, in bytes. A search takes time in proportion
/// to this size and to the length of the text, and PID 1 does nothing else meanwhile: a third of a
/// second for the worst expression in a line of 64 KiB, and a thousandth of a second for `panic`.
const LARGEST: usize = 16 * 1024;

/// Compiles a regular expression of the configuration. `^` and `$` match at the ends of lines, and
/// a line of a terminal or of HTTP may end in CR LF.
///
/// # Errors
/// Returns the reason why it cannot be compiled, as the end of a sentence about it:
/// `is not a valid …`.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    build(pattern, LARGEST).map_err(|error| match error.to_string() {
        why if why.contains("size limit") => format!(
            "is too large: compiled, it takes more than {} KiB; a repetition such as {{0,700}} takes as much as its text written out that many times",
            LARGEST >> 10
        ),
        why => format!("is not a valid regular expression: {why}"),
    })
}

/// Compiles a literal text so that it can be searched for like a regular expression. Returns `None`
/// if the compiled text would take megabytes.
pub(crate) fn literal(text: &str) -> Option<Regex> {
    build(&regex_lite::escape(text), 16 << 20).ok()
}

fn build(pattern: &str, largest: usize) -> Result<Regex, regex_lite::Error> {
    RegexBuilder::new(pattern).multi_line(true).crlf(true).size_limit(largest).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An expression that fits without `crlf`, but not with it, once passed the check and then
    /// failed in the run.
    #[test]
    fn an_expression_that_is_too_large_is_told_to_be() {
        for (pattern, expected) in [
            (".{0,70}", None),
            (".{0,700}", Some("is too large: compiled, it takes more than 16 KiB")),
            ("(a{0,1000}){0,10}b", Some("is too large: ")),
            ("(a{0,40}){0,10}b", Some("is too large: ")),
            ("(", Some("is not a valid regular expression: found open group")),
        ] {
            let found = compile(pattern).err();
            match (&found, expected) {
                (None, None) => {}
                (Some(found), Some(expected)) if found.starts_with(expected) => {}
                _ => panic!("{pattern}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_long_text_is_found_too() {
        let text = "a.b(".repeat(2000);
        let regex = literal(&text).unwrap();
        assert!(regex.is_match(&text) && !regex.is_match(&text.replace('.', "x")));
    }
}
