//! The words of a command.

use super::leaf::{Leaf, Problem, no_nul};
use super::value::shown;

/// Splits a string into words as a shell would.
pub(super) fn split(text: &str) -> Leaf<Vec<String>> {
    no_nul(text.as_bytes())?;
    let words = shell_words::split(text).map_err(|_| {
        let (at, quote) = unclosed_quote(text);
        Problem::new(format!("the quote {quote} is never closed")).at(at)
    })?;
    if words.is_empty() {
        return Err(Problem::new("the command is empty"));
    }
    Ok(words)
}

/// Returns the place of the quote that is never closed, and the quote. The rules are those of
/// `shell_words::split`, whose error does not have the place.
fn unclosed_quote(text: &str) -> (usize, char) {
    let mut open = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match (open, c) {
            _ if escaped => escaped = false,
            (None | Some((_, '"')), '\\') => escaped = true,
            (None, '\'' | '"') => open = Some((at, c)),
            (Some((_, quote)), _) if c == quote => open = None,
            _ => {}
        }
    }
    open.unwrap_or((0, '"'))
}

/// Returns a shell operator that is a word of its own in a text: a command without a shell was
/// probably meant to have one.
pub(super) fn operator<'a>(text: &'a str, words: &[String]) -> Option<&'a str> {
    const OPERATORS: &[&str] = &["&&", "||", "|", ";", "&", ">", ">>", "<", "2>&1", "2>"];
    // A quoted operator is part of a longer word, either in `words` or in the text with its quotes.
    text.split_whitespace()
        .find(|word| OPERATORS.contains(word) && words.iter().any(|other| other == word))
}

/// Returns what is wrong with a command whose first word is no program, and what to write. `by_shell`
/// is the help for a command that a shell should run; a `unit` has keys for some of its settings.
pub(super) fn of_shell(words: &[String], by_shell: &str, unit: bool) -> Option<(String, String)> {
    const BUILTINS: &[&str] = &[
        "cd", "source", ".", "export", "set", "unset", "exec", "eval", "ulimit", "umask", "trap",
        "alias", "shift", "if", "for", "while", "until", "case", "function", "{", "(", "[[", "!",
    ];
    let first = words.first()?;
    let one = words.len() == 1;
    if matches!(first.as_str(), "CMD" | "CMD-SHELL") {
        let what = format!("`{first}` is docker's word, and not part of the command");
        let help = match words.get(1) {
            Some(command) if first == "CMD-SHELL" => {
                format!("write exec = [\"sh\", \"-c\", {:?}]", shown(command))
            }
            _ => "leave it out".to_owned(),
        };
        return Some((what, help));
    }
    let home = words.iter().find_map(|word| word.strip_prefix("~/"));
    if let Some(path) = home.filter(|_| !reads_dollars(words)) {
        let what = "`~` has no meaning here, because no shell runs this command".to_owned();
        return Some((what, format!("write ${{HOME}}/{}", shown(path))));
    }
    if BUILTINS.contains(&first.as_str()) {
        let what = format!("`{first}` is a command of the shell, and no shell runs this command");
        let key = match first.as_str() {
            "exec" => {
                let help = "leave `exec` out: trc executes the command without a shell";
                return Some((what, help.to_owned()));
            }
            "cd" => "write the directory as `cwd`, or ",
            "export" | "unset" => "write variables as `env`, or ",
            "ulimit" => "write limits as `limits`, or ",
            "umask" => "write the mask as `umask`, or ",
            _ => "",
        };
        return Some((what, format!("{}{by_shell}", if unit { key } else { "" })));
    }
    if let Some((name, value)) = first.split_once('=')
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !one
    {
        let what = format!(
            "`{}` is not a command: no shell runs this command, and sets the variable",
            shown(first)
        );
        let help = format!("write env = {{ {name} = {:?} }}", shown(value));
        return Some((what, if unit { help } else { by_shell.to_owned() }));
    }
    if one && first.trim().contains(' ') {
        let what = "the array has only one word, which contains spaces".to_owned();
        return Some((
            what,
            format!("write exec = {:?}, or each word as an element of its own", shown(first)),
        ));
    }
    None
}

/// Returns a variable without braces, such as `$HOME`, which trc does not replace. It must look
/// like the name of an environment variable: two or more capital letters, digits and underscores,
/// with a letter first. `$$HOME` is not one.
pub(super) fn unbraced(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let after = &rest[at + 1..];
        if let Some(after) = after.strip_prefix('$') {
            rest = after;
            continue;
        }
        let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let name = &after[..after.find(|c| !is_name(c)).unwrap_or(after.len())];
        let next = after[name.len()..].chars().next();
        let whole = next.is_none_or(|c| !c.is_ascii_alphanumeric());
        if whole && name.starts_with(|c: char| c.is_ascii_uppercase()) && name.len() > 1 {
            return Some(&rest[at..=at + name.len()]);
        }
        rest = after;
    }
    None
}

/// Tells whether a command reads `$NAME` itself: a shell, or a language with such names.
pub(super) fn reads_dollars(words: &[String]) -> bool {
    const SHELLS: &[&str] = &["sh", "bash", "dash", "ash", "zsh", "ksh", "fish", "perl", "php"];
    words.iter().any(|word| {
        let name = word.rsplit('/').next().unwrap_or(word);
        SHELLS.contains(&name) || name.ends_with("awk")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_without_braces_is_found() {
        for (text, found) in [
            ("$HOME/x", Some("$HOME")),
            ("a:$PATH", Some("$PATH")),
            ("${HOME}:$A_1", Some("$A_1")),
            ("$$HOME", None),
            ("${HOME}", None),
            ("$host $1 $ $(id) $A $Home", None),
        ] {
            assert_eq!(unbraced(text), found, "{text}");
        }
    }

    #[test]
    fn an_operator_is_one_only_without_quotes() {
        for (text, found) in [
            ("a && b", Some("&&")),
            ("a | b", Some("|")),
            ("sh -c 'a && b'", None),
            ("awk -F '|' x", None),
            ("a 'b", None),
        ] {
            let words = split(text).unwrap_or_default();
            assert_eq!(operator(text, &words), found, "{text}");
        }
    }
}
