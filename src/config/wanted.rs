//! What a single value has to be: `"ok"`, `"!off"`, `"/^v2/"`, `"> 3"`.

use std::fmt;

use super::Pattern;
use super::expect::Needle;

/// How a number compares with another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Relation {
    Less,
    AtMost,
    Equal,
    Other,
    AtLeast,
    More,
}

/// The signs, the longer ones first.
const SIGNS: [(&str, Relation); 6] = [
    ("<=", Relation::AtMost),
    (">=", Relation::AtLeast),
    ("==", Relation::Equal),
    ("!=", Relation::Other),
    ("<", Relation::Less),
    (">", Relation::More),
];

impl Relation {
    /// Splits `> 3` into the relation and the text after its sign. `None` without a sign.
    pub(crate) fn split(text: &str) -> Option<(Self, &str)> {
        let text = text.trim();
        SIGNS.iter().find_map(|(sign, relation)| Some((*relation, text.strip_prefix(sign)?.trim())))
    }

    /// Returns whether a number compares like this with another one.
    pub(crate) fn holds<T: PartialOrd>(self, found: &T, than: &T) -> bool {
        match self {
            Self::Less => found < than,
            Self::AtMost => found <= than,
            Self::Equal => found == than,
            Self::Other => found != than,
            Self::AtLeast => found >= than,
            Self::More => found > than,
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = SIGNS.iter().find(|(_, relation)| relation == self);
        f.write_str(sign.map_or("", |(sign, _)| sign))
    }
}

/// What a single value has to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Wanted {
    /// A number that compares like this with this one, in the form in which it was written.
    Number(Relation, String),
    /// Exactly this text, or one that matches this regular expression; or not.
    Text(Pattern),
}

impl Wanted {
    /// Returns whether the value is asked to be there, whatever it is.
    pub(crate) fn needs_a_value(&self) -> bool {
        match self {
            Self::Text(Pattern { needle: Needle::Text(text), negated: true }) => text == "null",
            Self::Text(pattern) => !pattern.negated,
            Self::Number(..) => true,
        }
    }

    /// Returns whether a number that was found compares as wanted; `None` if the text that was
    /// found is not a number.
    pub(crate) fn number_holds(relation: Relation, found: &str, than: &str) -> Option<bool> {
        // A float cannot tell large whole numbers apart.
        if let (Ok(found), Ok(than)) = (found.parse::<i128>(), than.parse::<i128>()) {
            return Some(relation.holds(&found, &than));
        }
        let (found, than): (f64, f64) = (found.parse().ok()?, than.parse().ok()?);
        Some(relation.holds(&found, &than))
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(Relation::Equal, than) => f.write_str(than),
            Self::Number(relation, than) => write!(f, "{relation} {than}"),
            Self::Text(pattern) => {
                write!(f, "{}{}", if pattern.negated { "!" } else { "" }, pattern.needle)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_as_numbers() {
        for (found, wanted, expected) in [
            ("10", "> 9", Some(true)),
            ("9", "> 9", Some(false)),
            ("9", ">= 9", Some(true)),
            ("-1", "< 0", Some(true)),
            ("1.5", "<= 1.5", Some(true)),
            ("2", "== 2.0", Some(true)),
            ("2", "!= 2", Some(false)),
            ("9007199254740993", "== 9007199254740992", Some(false)),
            ("ten", "> 9", None),
            ("", "> 9", None),
        ] {
            let (relation, than) = Relation::split(wanted).unwrap();
            assert_eq!(Wanted::number_holds(relation, found, than), expected, "{found} {wanted}");
        }
        assert_eq!(Relation::split("9"), None);
    }
}
