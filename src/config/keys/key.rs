//! The description of a key, and the kinds of value that a key can have. The keys are in `mod.rs`.

#[cfg(test)]
use std::fmt::Write;

use super::{DIR, FILES, FORWARD, OUTPUT, SECRET, TEST, TOP, UNIT};
#[cfg(test)]
use crate::config::Output;
use crate::config::leaf::variants;
use crate::config::{Access, Condition, Own};

/// The kind of a key's value.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// A string.
    Text,
    Boolean,
    /// A boolean, or a comparison of strings.
    Condition,
    /// A span of time.
    Duration,
    /// A span of time, which can be in days.
    Age,
    /// A path, or a span of time, which can be in days.
    PathOrAge,
    /// One of these words.
    #[cfg_attr(not(any(test, feature = "ctl")), expect(dead_code, reason = "the reference has it"))]
    OneOf(fn() -> &'static [&'static str]),
    /// The wait policy: one of these words, with or without `wait_` in front.
    #[cfg_attr(not(any(test, feature = "ctl")), expect(dead_code, reason = "the reference has it"))]
    Wait(fn() -> &'static [&'static str]),
    /// One of these words, in capital or small letters.
    #[cfg_attr(not(any(test, feature = "ctl")), expect(dead_code, reason = "the reference has it"))]
    Level(fn() -> &'static [&'static str]),
    Signal,
    /// A name or a number.
    Id,
    /// An array of names or numbers.
    Ids,
    /// An array of capabilities.
    Capabilities,
    /// A file mode mask.
    Mode,
    /// The permissions of a file or a directory.
    Permissions,
    /// A command's words: a string split as a shell would, or an array.
    Words,
    /// An array of strings; one string stands for an array of one.
    Texts,
    /// A number, or an array of names.
    Instances,
    /// An exit status, or an array of them.
    Statuses,
    /// An array of unit names, or a table of unit names and conditions.
    After,
    /// A whole number from 0 on.
    Number,
    /// A whole number.
    Integer,
    /// A limit, or a soft and a hard one.
    Limit,
    /// `false`, or a path.
    FalseOrPath,
    /// A boolean, or a path.
    BooleanOrPath,
    /// A table of users and groups, with what each may ask for.
    Allow,
    /// A word, or a table with a file.
    Stdin,
    /// A word, or a table with a file and how it is rotated.
    Output,
    /// An array of paths, or a table of paths and the keys of each.
    Dirs,
    /// A table of paths and the keys of each.
    Files,
    /// A number of bytes.
    Size,
    /// A boolean, or an array of names.
    BooleanOrTexts,
    /// A host and a port, or a port.
    Address,
    /// An array of addresses to listen on.
    Addresses,
    /// HTTP status codes: a number, a string such as `"2xx"` or `"200-299"`, or an array.
    Codes,
    /// A time, or two times with `..` between them.
    Backoff,
    /// A table with these keys.
    Table(Keys),
    /// A table with these keys; a string sets the first of them.
    Short(Keys),
    /// A table of variables.
    Variables,
    /// A variable: a string, or a table with a file.
    Variable,
    /// A table of signals, with the rule for each.
    Signals,
    /// The rule for a signal: a word, or a table.
    Rule,
    /// A table of exit statuses and reasons, with the exit status that replaces each.
    Exit,
    /// A table of units whose own exit status trc exits with.
    Owners,
    /// An exit status.
    Status,
    /// A table of units.
    Units,
    /// A table of tests.
    Tests,
    /// A text to look for, or an array of them.
    Patterns,
    /// A table of headers and texts.
    Headers,
    /// A size or a comparison with one, or an array of them.
    Sizes,
    /// An array of these words.
    #[cfg_attr(not(any(test, feature = "ctl")), expect(dead_code, reason = "the reference has it"))]
    Choices(fn() -> &'static [&'static str]),
    /// A value that something has to be equal to: a string, a number or a boolean.
    Value,
    /// A table of names and what the value of each has to be.
    Values,
    /// A table of names and texts.
    Strings,
    /// A name, with `!` in front if it must not be there, or an array of them.
    Names,
    Ports,
}

/// A key.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    pub name: &'static str,
    /// The kind of its value.
    pub kind: Kind,
    /// The default, as the reference shows it.
    pub default: &'static str,
    /// An example of a value; empty for a table whose keys have examples of their own.
    pub example: &'static str,
    /// Its meaning, as a short phrase.
    pub doc: &'static str,
}

/// The keys of a table, in groups, which tables may share.
pub(crate) type Keys = &'static [&'static [Key]];

/// Declares a group of keys, and the function that reads those that are written into a value:
///
/// ```text
/// STOP_KEYS, stop_keys(Stop) {
///     /// what the key means, for the reference
///     signal: Signal = get(stop_signal), "SIGTERM", r#""SIGQUIT""#;
/// }
/// ```
///
/// A line has the key's name, the kind of its value, its reader, its default and an example. A
/// reader is a method of the decoder. With `=`, the value that the reader returns becomes the field
/// with the name of the key; with `=>`, the reader gets the whole value that the group belongs to.
/// A key therefore cannot be declared without being read, or read without being declared.
macro_rules! keys {
    (
        $(#[$about:meta])*
        $keys:ident, $read:ident($into:ty) {
            $(
                $(#[doc = $doc:literal])+
                $name:ident : $kind:ident $(($of:expr))?
                    $(= $get:ident($($get_with:expr),*))?
                    $(=> $put:ident($($put_with:expr),*))?
                    , $default:literal, $example:literal;
            )+
        }
    ) => {
        $(#[$about])*
        pub(crate) const $keys: &[Key] = &[$(Key {
            name: stringify!($name),
            kind: Kind::$kind $(($of))?,
            default: $default,
            example: $example,
            doc: concat!($($doc),+),
        }),+];

        impl Decoder<'_> {
            /// Reads those keys of the group that are written.
            fn $read(&mut self, fields: &Fields, into: &mut $into) {
                $(
                    if let Some(entry) = fields.entry(stringify!($name)) {
                        let at = &fields.at_of(stringify!($name), entry);
                        $(
                            if let Some(value) = self.$get(at, entry $(, $get_with)*) {
                                into.$name = value.into();
                            }
                        )?
                        $(self.$put(into, at, entry $(, $put_with)*);)?
                    }
                )+
            }
        }
    };
}
pub(super) use keys;

/// The keys of a unit that exclude one another: one in a later layer replaces the one in an earlier
/// layer.
pub(crate) const RUNS: &[&str] = &["exec", "script"];

/// The keys of `ready` and `health` that exclude one another.
pub(crate) const PROBES: &[&str] = &["tcp", "unix", "http", "exec", "file", "log", "notify", "fd"];

/// The keys of `reload` that exclude one another.
pub(crate) const RELOADS: &[&str] = &["signal", "exec"];

/// The keys of a file in `files` that exclude one another.
pub(crate) const SOURCES: &[&str] = &["template", "text"];

/// The keys of `expect.fault` that exclude one another.
pub(crate) const FAULTS: &[&str] = &["kill", "stop", "down"];

/// The top-level keys that are tables of units.
pub(crate) const STAGES: &[&str] = &["boot", "async", "sync", "test", "halt"];

/// Returns the keys as a Markdown table, in which a key of an inner table looks like `stop.signal`.
#[cfg(test)]
pub(crate) fn reference(keys: Keys) -> String {
    let mut out =
        "| key | value | default | example | meaning |\n|---|---|---|---|---|\n".to_owned();
    rows(keys, "", &mut out);
    out
}

#[cfg(test)]
fn rows(keys: Keys, prefix: &str, out: &mut String) {
    for Key { name, kind, default, example, doc } in all(keys) {
        // A line of a doc comment begins with a space.
        let doc = doc.trim_start();
        if !matches!(kind, Kind::Table(_)) {
            let kind = kind.describe();
            // A `|` would end the cell.
            let example = example.replace('|', "\\|");
            _ = writeln!(out, "| `{prefix}{name}` | {kind} | {default} | `{example}` | {doc} |");
        }
        if let Kind::Table(inner) | Kind::Short(inner) = kind {
            rows(inner, &format!("{prefix}{name}."), out);
        }
    }
}

/// Returns the keys of all groups.
pub(crate) fn all(keys: Keys) -> impl Iterator<Item = &'static Key> {
    keys.iter().copied().flatten()
}

pub(crate) fn find(keys: Keys, name: &str) -> Option<&'static Key> {
    all(keys).find(|key| key.name == name)
}

/// Returns the kind of the value at a path of keys, if there is such a key.
pub(crate) fn kind_at(path: &[String]) -> Option<Kind> {
    path.iter().try_fold(Kind::Table(TOP), |kind, name| kind.below(name))
}

/// Returns the key at a path, if it is one that the reference has.
pub(crate) fn key_at(path: &[String]) -> Option<&'static Key> {
    let (name, above) = path.split_last()?;
    match kind_at(above)? {
        Kind::Table(keys) | Kind::Short(keys) => find(keys, name),
        _ => None,
    }
}

/// Returns the names of the keys that the table at a path can have; none if they are free.
pub(crate) fn keys_in(path: &[String]) -> Vec<&'static str> {
    match kind_at(path) {
        Some(Kind::Table(keys) | Kind::Short(keys)) => all(keys).map(|key| key.name).collect(),
        _ => Vec::new(),
    }
}

impl Kind {
    /// Returns the kind of a key's value in a table of this kind, if such a key can exist.
    pub(crate) fn below(self, name: &str) -> Option<Self> {
        Some(match self {
            Kind::Table(keys) | Kind::Short(keys) => find(keys, name)?.kind,
            Kind::Units => Kind::Table(UNIT),
            Kind::Tests => Kind::Table(TEST),
            Kind::Headers | Kind::Values => Kind::Patterns,
            Kind::Strings => Kind::Text,
            // Below the name of a variable: the key of a file.
            Kind::Variables => Kind::Variable,
            Kind::Variable | Kind::Stdin => find(SECRET, name)?.kind,
            Kind::Output => find(OUTPUT, name)?.kind,
            Kind::Dirs => Kind::Table(DIR),
            Kind::Files => Kind::Table(FILES),
            Kind::After => Kind::OneOf(variants::<Condition>),
            Kind::Signals => Kind::Rule,
            Kind::Rule => find(FORWARD, name)?.kind,
            Kind::Exit if name == "unit" => Kind::Owners,
            Kind::Exit => Kind::Status,
            Kind::Owners => Kind::OneOf(variants::<Own>),
            Kind::Allow => Kind::OneOf(variants::<Access>),
            _ => return None,
        })
    }

    /// Returns the values that can be written, for the reference.
    #[cfg(test)]
    pub(crate) fn describe(self) -> String {
        let words = |words: &[&str]| {
            words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(" ")
        };
        match self {
            Self::Text => "string".to_owned(),
            Self::Boolean => "boolean".to_owned(),
            Self::Condition => "boolean or comparison".to_owned(),
            Self::Duration | Self::Age => "time".to_owned(),
            Self::PathOrAge => "path or time".to_owned(),
            Self::OneOf(variants) | Self::Wait(variants) | Self::Level(variants) => {
                words(variants())
            }
            Self::Choices(variants) => format!("array of {}", words(variants())),
            Self::Sizes => "size, comparison or array of them".to_owned(),
            Self::Signal => "signal".to_owned(),
            Self::Id => "name or number".to_owned(),
            Self::Mode => "octal mask".to_owned(),
            Self::Permissions => "octal permissions".to_owned(),
            Self::Dirs => "array or table of paths".to_owned(),
            Self::Files => "table of paths".to_owned(),
            Self::Words | Self::Patterns | Self::Names => "string or array of strings".to_owned(),
            Self::Texts => "array of strings".to_owned(),
            Self::Ids => "array of names or numbers".to_owned(),
            Self::Addresses => "array of addresses".to_owned(),
            Self::Capabilities => "array of capabilities".to_owned(),
            Self::Instances => "number or array of strings".to_owned(),
            Self::Statuses => "number from 0 to 255, or array of them".to_owned(),
            Self::After => "array or table of units".to_owned(),
            Self::Number | Self::Integer => "number".to_owned(),
            Self::Limit => "limit or `\"SOFT:HARD\"`".to_owned(),
            Self::FalseOrPath => "false or path".to_owned(),
            Self::BooleanOrPath => "boolean or path".to_owned(),
            Self::Allow => "table of users and groups".to_owned(),
            Self::Output => {
                let words = words(variants::<Output>());
                format!("{words}, `{{ file, max_size, keep, pty }}` or array of them")
            }
            Self::Size => "size".to_owned(),
            Self::Stdin => "`\"null\"` `\"inherit\"` or `{ file = … }`".to_owned(),
            Self::BooleanOrTexts => "boolean or array of strings".to_owned(),
            Self::Address => "`\"HOST:PORT\"` or port".to_owned(),
            Self::Codes => "number, string or array of them".to_owned(),
            Self::Backoff => "time or `\"TIME..TIME\"`".to_owned(),
            Self::Table(_) => "table".to_owned(),
            Self::Variables => "table of variables".to_owned(),
            Self::Variable => "string or `{ file = … }`".to_owned(),
            Self::Signals => "table of signals".to_owned(),
            Self::Short(_) | Self::Rule => "string or table".to_owned(),
            Self::Exit => "table of exit statuses and reasons".to_owned(),
            Self::Status => "number from 0 to 255".to_owned(),
            Self::Units | Self::Owners => "table of units".to_owned(),
            Self::Tests => "table of tests".to_owned(),
            Self::Headers | Self::Strings => "table of strings".to_owned(),
            Self::Value => "string, number or boolean".to_owned(),
            Self::Values => "table of values".to_owned(),
            Self::Ports => "port, string or array of them".to_owned(),
        }
    }

    /// Tells whether the value can be an array.
    pub(crate) fn takes_array(self) -> bool {
        matches!(
            self,
            Self::Words
                | Self::Texts
                | Self::Ids
                | Self::Addresses
                | Self::Capabilities
                | Self::Instances
                | Self::BooleanOrTexts
                | Self::Statuses
                | Self::Codes
                | Self::After
                | Self::Dirs
                | Self::Output
                | Self::Patterns
                | Self::Names
                | Self::Sizes
                | Self::Choices(_)
                | Self::Ports
        )
    }

    /// Tells whether the value can be a table.
    pub(crate) fn takes_table(self) -> bool {
        matches!(
            self,
            Self::After
                | Self::Table(_)
                | Self::Short(_)
                | Self::Variables
                | Self::Stdin
                | Self::Output
                | Self::Dirs
                | Self::Files
                | Self::Signals
                | Self::Rule
                | Self::Exit
                | Self::Owners
                | Self::Allow
                | Self::Units
                | Self::Tests
                | Self::Headers
                | Self::Values
                | Self::Strings
        )
    }

    /// Tells whether the value can be any text, so that quotes belong to the text.
    pub(crate) fn takes_any_text(self) -> bool {
        matches!(
            self,
            Self::Text
                | Self::Variable
                | Self::Words
                | Self::Texts
                | Self::Ids
                | Self::Addresses
                | Self::Capabilities
                | Self::PathOrAge
                | Self::Value
                | Self::Id
                | Self::Patterns
                | Self::Names
        )
    }
}
