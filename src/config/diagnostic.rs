//! One problem of a configuration: where it is, what is wrong, and what to do.

use std::fmt;

use super::Origin;

/// How serious a problem is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// trc starts nothing.
    Error,
    /// trc reports it and continues.
    Warning,
    /// trc logs it at level debug.
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

/// One problem of a configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// How serious it is.
    pub severity: Severity,
    /// The place of the problem, if it has one.
    pub origin: Origin,
    /// The line of the file, and how many characters from the column on the carets mark.
    pub excerpt: Option<Box<(String, usize)>>,
    /// The problem, and what was expected.
    pub message: String,
    /// What else belongs to it, such as the place of the value that this one overrides.
    pub note: Option<String>,
    /// Advice, such as the nearest correct spelling.
    pub help: Option<String>,
    /// How many problems it stands for: more than one if there are too many to show.
    pub count: u32,
}

/// The most errors that are shown, and the most warnings; the number of the rest follows.
const SHOWN: usize = 50;

impl Diagnostic {
    /// An error at a place.
    pub fn error(origin: Origin, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            origin,
            excerpt: None,
            message: message.into(),
            note: None,
            help: None,
            count: 1,
        }
    }

    /// A warning at a place.
    pub fn warning(origin: Origin, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(origin, message) }
    }

    /// A line that stands for further problems, which are too many to show.
    pub(super) fn others(severity: Severity, count: u32) -> Self {
        let (what, s) = (severity.name(), if count == 1 { "" } else { "s" });
        let message = format!(
            "{count} more {what}{s} like these {} not shown",
            if count == 1 { "is" } else { "are" }
        );
        Self { severity, count, ..Self::error(Origin::Others, message) }
    }

    /// Keeps the first problems of each severity, and the number of the others.
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

    /// The same problem with advice.
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
        if let (Some(excerpt), Origin::File { line, column, .. }) = (&self.excerpt, &self.origin) {
            let ((text, length), number) = (&**excerpt, line.to_string());
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
        for (what, text) in [("note", &self.note), ("help", &self.help)] {
            if let Some(text) = text {
                write!(f, "\n{:gutter$} = {what}: {text}", "")?;
            }
        }
        Ok(())
    }
}
