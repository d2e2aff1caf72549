//! The names of events, for programs.

macro_rules! names {
    ($($name:ident = $word:literal,)*) => {
        /// The `event` of a JSON line. `docs/logging.md` says what each of them means.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum EventName {
            $(#[doc = $word] $name,)*
        }

        impl EventName {
            #[cfg(test)]
            const WORDS: &[&str] = &[$($word,)*];

            /// Returns the name.
            pub(crate) fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

names! {
    Blocked = "blocked",
    Configuration = "configuration",
    CutShort = "cut-short",
    Ended = "ended",
    Exited = "exited",
    Failed = "failed",
    GaveUp = "gave-up",
    JobEnded = "job-ended",
    Killing = "killing",
    LeftBehind = "left-behind",
    LetGo = "let-go",
    Log = "log",
    MainProcess = "main-process",
    Memory = "memory",
    NoControl = "no-control",
    NoSubreaper = "no-subreaper",
    NoSyslog = "no-syslog",
    NotReady = "not-ready",
    NotStarted = "not-started",
    NotTried = "not-tried",
    Nothing = "nothing",
    Oom = "oom",
    Overlapped = "overlapped",
    Overran = "overran",
    Oversize = "oversize",
    PostStopFailed = "post-stop-failed",
    PreStart = "pre-start",
    PreStartLeft = "pre-start-left",
    PostStopLeft = "post-stop-left",
    PreStartSlow = "pre-start-slow",
    Ready = "ready",
    Reason = "reason",
    Reloaded = "reloaded",
    Reloading = "reloading",
    Requested = "requested",
    Restarting = "restarting",
    Retrying = "retrying",
    Signalled = "signalled",
    Started = "started",
    StateLost = "state-lost",
    StopCommandFailed = "stop-command-failed",
    Stopped = "stopped",
    Stopping = "stopping",
    StoppingUnit = "stopping-unit",
    Stranger = "stranger",
    Syslog = "syslog",
    Terminating = "terminating",
    TestBegan = "test-began",
    TestEnded = "test-ended",
    Unhealthy = "unhealthy",
    Unheard = "unheard",
    Usage = "usage",
    WaitPolicy = "wait-policy",
    Waiting = "waiting",
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::EventName;

    #[test]
    fn the_page_about_the_log_lists_each_event_once() {
        let page = include_str!("../../docs/logging.md");
        let table = page.split_once("| event | means |\n").unwrap().1.split("\n\n").next().unwrap();
        let rows = table.lines().skip(1).map(|row| row.split('|').nth(1).unwrap());
        let listed: Vec<&str> = rows.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
        // The journal writes these two itself.
        let all: BTreeSet<&str> =
            EventName::WORDS.iter().copied().chain(["dropped", "output"]).collect();
        assert_eq!(listed.iter().copied().collect::<BTreeSet<_>>(), all);
        assert_eq!(listed.len(), all.len());
    }
}
