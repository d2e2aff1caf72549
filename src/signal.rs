//! Signals by name or number, including the real-time signals.

use std::fmt;
use std::str::FromStr;

use nix::sys::signal::Signal as Standard;
use serde::{Deserialize, Serialize};

/// A signal number that the kernel knows, from 1 to 64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Signal(i32);

/// The first and last real-time signals that programs may use; glibc and musl
/// keep 32 and 33 (and musl 34) to themselves (signal(7)).
const RT_MIN: i32 = 34;
const RT_MAX: i32 = 64;

impl Signal {
    pub(crate) const HUP: Self = Self(libc::SIGHUP);
    pub(crate) const INT: Self = Self(libc::SIGINT);
    pub(crate) const QUIT: Self = Self(libc::SIGQUIT);
    pub(crate) const KILL: Self = Self(libc::SIGKILL);
    pub(crate) const SEGV: Self = Self(libc::SIGSEGV);
    pub(crate) const USR1: Self = Self(libc::SIGUSR1);
    pub(crate) const TERM: Self = Self(libc::SIGTERM);
    pub(crate) const CONT: Self = Self(libc::SIGCONT);
    pub(crate) const STOP: Self = Self(libc::SIGSTOP);
    pub(crate) const TSTP: Self = Self(libc::SIGTSTP);
    pub(crate) const TTIN: Self = Self(libc::SIGTTIN);
    pub(crate) const TTOU: Self = Self(libc::SIGTTOU);

    /// Returns the signal with this number, if there is one.
    #[must_use]
    pub(crate) fn from_number(number: i32) -> Option<Self> {
        ((1..=31).contains(&number) || (RT_MIN..=RT_MAX).contains(&number)).then_some(Self(number))
    }

    /// Returns whether the signal is meant to terminate a process: KILL, TERM, or the signal of a
    /// crash. Programs give other signals a meaning of their own; HUP, for example, often makes
    /// them reread their configuration.
    #[must_use]
    pub(crate) fn ends(self) -> bool {
        self == Self::KILL || self == Self::TERM || self.is_crash()
    }

    /// Returns whether the default action of the signal terminates the process: signal(7).
    #[must_use]
    pub(crate) fn is_fatal(self) -> bool {
        let others = [
            Self::CONT,
            Self::STOP,
            Self::TSTP,
            Self::TTIN,
            Self::TTOU,
            Self(libc::SIGCHLD),
            Self(libc::SIGURG),
            Self(libc::SIGWINCH),
        ];
        !others.contains(&self)
    }

    /// Returns whether a process that this signal terminated was itself at fault.
    #[must_use]
    pub(crate) fn is_crash(self) -> bool {
        let crashes =
            [libc::SIGABRT, libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGSYS];
        crashes.contains(&self.0)
    }

    /// Returns whether the default action of the signal suspends the process: signal(7). CONT
    /// discards such a signal.
    #[must_use]
    pub(crate) fn is_job_control(self) -> bool {
        matches!(self, Self::TSTP | Self::TTIN | Self::TTOU)
    }

    #[must_use]
    pub(crate) fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Signal {
    /// `SIGTERM`, `SIGRTMIN+3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Standard::try_from(self.0) {
            Ok(standard) => f.write_str(standard.as_str()),
            Err(_) if self.0 == RT_MIN => f.write_str("SIGRTMIN"),
            Err(_) => write!(f, "SIGRTMIN+{}", self.0 - RT_MIN),
        }
    }
}

impl From<Signal> for String {
    fn from(signal: Signal) -> Self {
        signal.to_string()
    }
}

impl TryFrom<String> for Signal {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        name.parse()
    }
}

impl FromStr for Signal {
    type Err = String;

    /// `SIGTERM`, `TERM`, `term`, `15`, `SIGRTMIN+3`, `RTMAX-1`.
    fn from_str(text: &str) -> Result<Self, String> {
        let unknown =
            || format!("`{text}` is not a signal: expected a name such as SIGTERM or TERM");
        if let Ok(number) = text.parse() {
            return Self::from_number(number).ok_or_else(unknown);
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        let real_time =
            |offset: &str| if offset.is_empty() { Some(0) } else { offset.parse::<i32>().ok() };
        let number = if let Some(offset) = name.strip_prefix("RTMIN") {
            real_time(offset).map(|n| RT_MIN + n)
        } else if let Some(offset) = name.strip_prefix("RTMAX") {
            real_time(offset).map(|n| RT_MAX + n)
        } else {
            Standard::from_str(&format!("SIG{name}")).ok().map(|s| s as i32)
        };
        number.and_then(Self::from_number).ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_known_by_name_short_name_and_number() {
        for (text, number) in [
            ("SIGTERM", 15),
            ("term", 15),
            ("15", 15),
            ("SIGRTMIN+3", 37),
            ("rtmax", 64),
            ("RTMAX-1", 63),
            ("RTMIN", 34),
        ] {
            assert_eq!(text.parse::<Signal>().unwrap().number(), number, "{text}");
        }
        for text in ["", "SIGTREM", "0", "32", "65", "RTMIN+31", "SIG"] {
            assert!(text.parse::<Signal>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_signal_reads_back_what_it_prints() {
        for signal in (1..=64).filter_map(Signal::from_number) {
            assert_eq!(signal.to_string().parse(), Ok(signal));
        }
    }
}
