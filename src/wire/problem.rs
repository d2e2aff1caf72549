//! Errors of the protocol, as `application/problem+json`: RFC 9457.

use serde::{Deserialize, Serialize};

use super::Method;
use super::ask::quoted;
use crate::config::shown;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $status:literal, $word:literal, $title:literal;)*) => {
        /// The kind of a problem. The list is closed: a program may rely on it.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub(crate) enum Code {
            $($(#[doc = $doc])+ $name,)*
        }

        impl Code {
            /// Every code.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$name),*];

            /// Returns the HTTP status code.
            pub(crate) fn status(self) -> u16 {
                match self {
                    $(Self::$name => $status,)*
                }
            }

            /// Returns the word in the JSON.
            #[cfg(test)]
            pub(crate) fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            /// Returns the meaning, for people.
            pub(crate) fn title(self) -> &'static str {
                match self {
                    $(Self::$name => $title,)*
                }
            }
        }
    };
}

codes! {
    /// The request is not valid HTTP, or has a parameter that is not valid.
    BadRequest = 400, "bad_request", "The request is not valid";
    /// `trcctl serve` changes nothing without its token.
    Unauthorized = 401, "unauthorized", "The token is missing or wrong";
    /// The peer may not ask for this.
    Forbidden = 403, "forbidden", "You may not ask for this";
    /// The configuration has errors.
    InvalidConfig = 422, "invalid_config", "The configuration has errors";
    /// There is no such resource, unit or job.
    NotFound = 404, "not_found", "There is no such thing";
    /// The resource exists, and takes another method.
    BadMethod = 405, "bad_method", "The method is not the right one";
    /// The request was not complete in time.
    TooSlow = 408, "too_slow", "The request was not complete in time";
    /// Boot has not finished.
    Booting = 409, "booting", "The boot units have not finished";
    /// The unit is not one that takes requests.
    NoService = 409, "no_service", "The unit does not take requests";
    /// The unit has no process.
    NotRunning = 409, "not_running", "The unit is not running";
    /// The unit runs, and is not up yet.
    NotUp = 409, "not_up", "The unit is not up yet";
    /// The unit has no `reload`.
    NoReload = 409, "no_reload", "The unit cannot be reloaded";
    /// The unit cannot be started again.
    NotAgain = 409, "not_again", "The unit cannot be started again";
    /// The files or the run have changed since the plan was made.
    StalePlan = 409, "stale_plan", "The plan is out of date";
    /// A unit of the new configuration did not come up, and the old one has come back.
    RolledBack = 409, "rolled_back", "The old configuration has come back";
    /// A new configuration is about to take over.
    Reloading = 409, "reloading", "A new configuration is about to take over";
    /// The run stops.
    Stopping = 409, "stopping", "The run is stopping";
    /// The run is a test run.
    Testing = 409, "testing", "This is a test run";
    /// The job has ended already.
    Over = 409, "over", "The job has ended already";
    /// The request is too large.
    TooLarge = 413, "too_large", "The request is too large";
    /// There are too many clients, or commands that clients have asked for.
    Busy = 503, "busy", "There are too many clients or commands";
    /// `trcctl serve` gets no answer from trc.
    Unreachable = 503, "unreachable", "trc does not answer";
}

/// A problem with a request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Problem {
    /// The kind.
    pub code: Code,
    /// The HTTP status code.
    pub status: u16,
    /// The kind, for people.
    pub title: String,
    /// What is wrong with this request, for people.
    pub detail: String,
    /// The nearest names, if a name is wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nearest: Vec<String>,
    /// Every error in the configuration, if it has errors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<String>,
    /// The methods that the resource takes, if this one is not the right one. They are in the field
    /// `Allow` of the answer: RFC 9110, section 15.5.6.
    #[serde(skip)]
    pub allow: &'static [Method],
}

impl Problem {
    /// Returns a problem of this kind.
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        let (title, detail) = (code.title().to_owned(), detail.into());
        Self {
            code,
            status: code.status(),
            title,
            detail,
            nearest: Vec::new(),
            diagnostics: Vec::new(),
            allow: &[],
        }
    }

    /// Returns the problem that a resource takes these methods, and not this one.
    pub(crate) fn method(path: &str, takes: &'static [Method], method: &str) -> Self {
        let words = Method::list(takes);
        let detail = format!("{} takes {words}, not {}", shown(path), quoted(method));
        Self { allow: takes, ..Self::new(Code::BadMethod, detail) }
    }

    /// Adds the nearest names.
    pub(crate) fn near(self, nearest: Vec<String>) -> Self {
        Self { nearest, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_written_as_the_word_in_the_table() {
        for code in Code::ALL {
            assert_eq!(serde_json::to_string(code).unwrap(), format!("\"{}\"", code.word()));
        }
    }

    #[test]
    fn the_page_about_the_protocol_lists_each_code() {
        let page = include_str!("../../docs/control.md");
        for code in Code::ALL {
            let row = format!("| `{}` | {} | {} |", code.word(), code.status(), code.title());
            assert!(page.contains(&row), "docs/control.md should have the row: {row}");
        }
    }

    #[test]
    fn a_problem_reads_back_what_it_writes() {
        let problem = Problem::new(Code::NotFound, "there is no unit `wbe`");
        let problem = problem.near(vec!["async.web".to_owned()]);
        let text = serde_json::to_string(&problem).unwrap();
        assert_eq!(serde_json::from_str::<Problem>(&text).unwrap(), problem);
    }
}
