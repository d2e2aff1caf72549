//! One thing that is wrong: what, where, why, and what to do.

use std::fmt;

use super::Origin;

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// Nothing is started.
    Error,
    /// It is said, and the run goes on.
    Warning,
    /// Said at debug level.
    Note,
}

/// One thing that is wrong with what was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Where, if it has a place.
    pub origin: Origin,
    /// The line of the file itself, and how many characters from the column on are meant.
    pub excerpt: Option<(String, usize)>,
    /// What is wrong and what was expected.
    pub message: String,
    /// What to do about it, such as the nearest right spelling.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(origin: Origin, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            origin,
            excerpt: None,
            message: message.into(),
            help: None,
        }
    }

    /// A warning at a place.
    pub fn warning(origin: Origin, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(origin, message) }
    }

    /// The same with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for Diagnostic {
    /// ```text
    /// error: unknown key `exce` in `[async.web]`
    ///   --> /etc/trc.toml:7:1
    ///    |
    ///  7 | exce = "nginx"
    ///    | ^^^^
    ///    = help: did you mean `exec`?
    /// ```
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        write!(f, "{severity}: {}", self.message)?;
        let mut gutter = 2;
        if self.origin != Origin::Default {
            write!(f, "\n  --> {}", self.origin)?;
        }
        if let (Some((text, length)), Origin::File { line, column, .. }) =
            (&self.excerpt, &self.origin)
        {
            let number = line.to_string();
            gutter = number.len() + 1;
            // Tabs stay tabs, so that the caret lines up however wide they are shown.
            let indent: String = text
                .chars()
                .take(*column as usize - 1)
                .map(|c| if c == '\t' { '\t' } else { ' ' })
                .collect();
            let carets = "^".repeat((*length).max(1));
            write!(f, "\n{:gutter$} |\n {number} | {text}\n{:gutter$} | {indent}{carets}", "", "")?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n{:gutter$} = help: {help}", "")?;
        }
        Ok(())
    }
}
