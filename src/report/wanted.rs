//! Compares single values with what they have to be.

use crate::config::{Needle, Pattern, Wanted};
use crate::regex;

impl Wanted {
    /// Checks a value, of which this text is compared and that one shown.
    ///
    /// # Errors
    /// Returns a sentence: `$.status is "starting", not "ok"`.
    pub(crate) fn check_of(&self, whose: &str, found: &str, shown: &str) -> Result<(), String> {
        let holds = match self {
            Self::Number(relation, than) => {
                match Self::number_holds(*relation, found.trim(), than) {
                    Some(holds) => holds,
                    None => {
                        return Err(format!(
                            "{whose} is {shown}, which is not a number, so it cannot be {self}"
                        ));
                    }
                }
            }
            Self::Text(Pattern { needle: Needle::Text(text), negated }) => {
                (found == text) != *negated
            }
            Self::Text(Pattern { needle: Needle::Regex(pattern), negated }) => {
                let regex = regex::compile(pattern).map_err(|why| format!("/{pattern}/ {why}"))?;
                regex.is_match(found) != *negated
            }
        };
        if holds {
            return Ok(());
        }
        Err(match self {
            Self::Text(Pattern { needle: Needle::Regex(pattern), negated: true }) => {
                format!("{whose} is {shown}, which matches /{pattern}/")
            }
            Self::Text(Pattern { needle: Needle::Regex(pattern), negated: false }) => {
                format!("{whose} is {shown}, which does not match /{pattern}/")
            }
            Self::Text(Pattern { negated: true, .. }) => {
                format!("{whose} is {shown}, which it must not be")
            }
            Self::Text(_) | Self::Number(..) => format!("{whose} is {shown}, not {self}"),
        })
    }
}
