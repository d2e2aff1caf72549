//! Colours, for a terminal.

use std::io::IsTerminal;

/// Whether to print colours.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The look of a piece of text.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(in crate::ctl) enum Look {
    /// As the rest of the terminal.
    #[default]
    Plain,
    /// The head of a table.
    Bold,
    /// What matters less.
    Dim,
    /// All is well.
    Good,
    /// It may become so by itself.
    Pending,
    /// Something is wrong.
    Bad,
    /// Somebody has made it so.
    Asked,
    /// One of the units.
    Unit(usize),
}

impl Look {
    /// Returns the word that the page of `trcctl serve` has for it.
    #[cfg(feature = "ctl")]
    pub(in crate::ctl) fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Pending => "pending",
            Self::Bad => "bad",
            Self::Asked => "asked",
            Self::Plain | Self::Bold | Self::Dim | Self::Unit(_) => "dim",
        }
    }

    /// Returns the look of a level of the log.
    pub(in crate::ctl) fn of_level(level: &str) -> Self {
        match level {
            "error" => Self::Bad,
            "warn" => Self::Pending,
            "info" => Self::Good,
            _ => Self::Dim,
        }
    }
}

/// The colours of units.
const UNITS: [&str; 6] = ["36", "33", "35", "34", "32", "96"];

impl Color {
    /// Returns whether colours are printed: always or never.
    #[must_use]
    pub fn settled(self) -> Self {
        let unset = |name| std::env::var_os(name).is_none_or(|value| value.is_empty());
        let dumb = || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        match self {
            Self::Always | Self::Never => self,
            Self::Auto if unset("NO_COLOR") && !dumb() && std::io::stdout().is_terminal() => {
                Self::Always
            }
            Self::Auto => Self::Never,
        }
    }

    /// Returns a text as it is printed.
    pub(in crate::ctl) fn paint(self, look: Look, text: &str) -> String {
        let code = match look {
            Look::Plain => return text.to_owned(),
            Look::Bold => "1",
            Look::Dim => "2",
            Look::Good => "32",
            Look::Pending => "33",
            Look::Bad => "31",
            Look::Asked => "35",
            Look::Unit(number) => UNITS[number % UNITS.len()],
        };
        match self {
            Self::Always => format!("\x1b[{code}m{text}\x1b[0m"),
            Self::Auto | Self::Never => text.to_owned(),
        }
    }
}
