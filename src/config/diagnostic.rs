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

impl Severity {
    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
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
    /// How many it stands for: more than itself where there are too many to show.
    pub count: u32,
}

/// So many errors are shown, and so many warnings; that there are more is said.
const SHOWN: usize = 50;

impl Diagnostic {
    /// An error at a place.
    pub fn error(origin: Origin, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            origin,
            excerpt: None,
            message: message.into(),
            help: None,
            count: 1,
        }
    }

    /// A warning at a place.
    pub fn warning(origin: Origin, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(origin, message) }
    }

    /// Stands for others that are too many to show.
    pub(super) fn others(severity: Severity, count: u32) -> Self {
        let (what, s) = (severity.name(), if count == 1 { "" } else { "s" });
        let message = format!(
            "{count} more {what}{s} like these {} not shown",
            if count == 1 { "is" } else { "are" }
        );
        Self { severity, count, ..Self::error(Origin::Others, message) }
    }

    /// Leaves the first of each severity, and how many others there are.
    pub(super) fn shorten(diagnostics: &mut Vec<Self>) {
        let severities = [Severity::Error, Severity::Warning, Severity::Note];
        let mut shown = severities.map(|_| 0);
        let mut others = severities.map(|_| 0_u32);
        diagnostics.retain(|found| {
            let at = found.severity as usize;
            let stays = found.origin != Origin::Others && shown[at] < SHOWN;
            if stays {
                shown[at] += 1;
            } else {
                others[at] = others[at].saturating_add(found.count);
            }
            stays
        });
        let others = severities.into_iter().zip(others).filter(|(_, count)| *count > 0);
        diagnostics.extend(others.map(|(severity, count)| Self::others(severity, count)));
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
        write!(f, "{}: {}", self.severity.name(), self.message)?;
        let mut gutter = 2;
        if !matches!(self.origin, Origin::Default | Origin::Others) {
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
