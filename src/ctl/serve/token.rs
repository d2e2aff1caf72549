//! The token that changes need.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use subtle::ConstantTimeEq;

use crate::wire::{Code, Problem};

/// The lengths of a token, in bytes. A shorter one could be guessed.
const SHORTEST: usize = 16;
const LONGEST: usize = 1024;

/// A token.
pub(super) struct Token(Vec<u8>);

/// The reason why a file has no token.
#[derive(Debug)]
pub(super) enum NoToken {
    Unread(PathBuf, io::Error),
    Length(PathBuf, usize),
    Characters(PathBuf),
}

impl fmt::Display for NoToken {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HELP: &str = "\n  help: write one with `openssl rand -hex 32`";
        match self {
            Self::Unread(path, why) => {
                write!(to, "cannot read the token file {}: {why}", path.display())
            }
            Self::Length(path, length) => write!(
                to,
                "the token in {} has {length} characters, but needs {SHORTEST} to {LONGEST}{HELP}",
                path.display()
            ),
            Self::Characters(path) => write!(
                to,
                "the token in {} has characters that a header cannot have: use letters, digits and \
                 `-._~+/=` in one line{HELP}",
                path.display()
            ),
        }
    }
}

impl Token {
    /// Reads the token in a file. White space around it does not count.
    pub(super) fn read(path: &Path) -> Result<Self, NoToken> {
        let mut text = Vec::new();
        let file = File::open(path);
        file.and_then(|file| file.take(2 * LONGEST as u64).read_to_end(&mut text))
            .map_err(|why| NoToken::Unread(path.to_owned(), why))?;
        let token = text.trim_ascii();
        // The `token68` of RFC 9110, section 11.2.
        if !token.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte)) {
            return Err(NoToken::Characters(path.to_owned()));
        }
        if !(SHORTEST..=LONGEST).contains(&token.len()) {
            return Err(NoToken::Length(path.to_owned(), token.len()));
        }
        Ok(Self(token.to_owned()))
    }

    /// Returns whether this is the token, in a time that does not tell how much of it is right.
    fn is(&self, other: &[u8]) -> bool {
        self.0.ct_eq(other).into()
    }
}

/// Checks the `Authorization` of a request for a change: RFC 6750.
pub(super) fn check(token: Option<&Token>, authorization: Option<&str>) -> Result<(), Problem> {
    let Some(token) = token else {
        let detail = "this server only answers questions: start it with --allow-operate and \
                      --token-file to change units";
        return Err(Problem::new(Code::Forbidden, detail));
    };
    let unauthorized = |detail: &str| Err(Problem::new(Code::Unauthorized, detail));
    let Some(authorization) = authorization else {
        return unauthorized("a change needs the token: send it as `Authorization: Bearer TOKEN`");
    };
    match authorization.split_once(' ') {
        Some((scheme, given))
            if scheme.eq_ignore_ascii_case("bearer") && token.is(given.trim().as_bytes()) =>
        {
            Ok(())
        }
        _ => unauthorized("this is not the token of this server"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn read(text: &str) -> Result<Token, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Token::read(file.path())
            .map_err(|why| why.to_string().replace(file.path().to_str().unwrap(), "FILE"))
    }

    #[test]
    fn a_token_is_one_word_that_cannot_be_guessed() {
        assert!(read(&format!("\n{TOKEN} \n")).is_ok());
        for (text, says) in [
            ("", "the token in FILE has 0 characters, but needs 16"),
            ("0123456789abcde", "the token in FILE has 15 characters, but needs 16"),
            (&"x".repeat(1025), "the token in FILE has 1025 characters"),
            ("0123456789 abcdef", "has characters that a header cannot have"),
            ("0123456789\nabcdef", "has characters that a header cannot have"),
            ("0123456789abcdeü", "has characters that a header cannot have"),
        ] {
            let why = read(text).err().unwrap_or_default();
            assert!(why.contains(says), "{text:?}: {why}");
        }
        let why = Token::read(Path::new("/nowhere/token")).err().unwrap().to_string();
        assert!(
            why.starts_with("cannot read the token file /nowhere/token: No such file"),
            "{why}"
        );
    }

    #[test]
    fn only_the_token_lets_somebody_change_units() {
        let token = read(TOKEN).ok();
        for (authorization, accepted) in [
            (Some(format!("Bearer {TOKEN}")), true),
            (Some(format!("bearer  {TOKEN}")), true),
            (Some(format!("Bearer {}", &TOKEN[1..])), false),
            (Some(format!("Bearer {TOKEN}0")), false),
            (Some(format!("Bearer {}0", &TOKEN[..31])), false),
            (Some(format!("Basic {TOKEN}")), false),
            (Some(TOKEN.to_owned()), false),
            (Some("Bearer ".to_owned()), false),
            (Some("Bearer".to_owned()), false),
            (Some(String::new()), false),
            (None, false),
        ] {
            let done = check(token.as_ref(), authorization.as_deref());
            assert_eq!(done.is_ok(), accepted, "{authorization:?}");
            if let Err(problem) = done {
                assert_eq!(problem.code, Code::Unauthorized);
            }
        }
        let done = check(None, Some(&format!("Bearer {TOKEN}")));
        assert_eq!(done.unwrap_err().code, Code::Forbidden);
    }
}
