//! The flaws in a test run, for its test points.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use crate::config::expect::size;
use crate::config::seconds;
use crate::engine::Lack;
use crate::signal::Signal;

/// Something wrong with a unit, with a test, or with the leftovers of the run. A text about the end
/// of a unit is written so that it can follow "it".
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Flaw {
    /// The unit was restarted this many times, the last time after this.
    Restarted(u32, Option<String>),
    /// The unit ended like this, and should have run on.
    Ended {
        /// The way in which it ended.
        how: String,
        /// Whether trc had told it to stop.
        told: bool,
        /// Whether it daemonized before.
        daemon: bool,
    },
    /// The unit was not up when the tests had finished, and the reason, if trc knows it.
    NotUp(Lack, Option<String>),
    /// There was no time left to run the unit.
    NotRun,
    /// The stop command of the unit failed.
    StopCommand,
    /// The `post_stop` of the unit failed, and the reason, if trc knows it.
    PostStop(Option<String>),
    /// The `post_stop` did not exit within this time and was killed.
    PostStopSlow(Duration),
    /// There was no time left for the `post_stop`, which was killed.
    PostStopCut,
    /// The `post_stop` left these processes running.
    PostStopLeft(String),
    /// The unit ended like this when trc stopped it.
    Stopped(String),
    /// These processes of the unit had to be killed after it had exited.
    LeftKilled(String),
    /// There was no time left to stop the unit.
    NotStopped,
    /// The unit did not exit within this time of this signal.
    Killed(Duration, Signal),
    /// This unit left these processes running, and whether in a session of their own.
    Left(String, String, bool),
    /// These processes still ran when all units had ended.
    Orphans(String),
    /// These processes still ran, in a session of their own.
    Sessions(String),
    /// The parents of these processes have not reaped them.
    Zombies(String),
    /// The stop took longer than `shutdown.timeout` or docker allows.
    Slow {
        /// The time that it took.
        took: Duration,
        /// The time that it may take.
        grace: Duration,
        /// Whether `shutdown.timeout` sets that time.
        written: bool,
    },
    /// These units printed these lines after the test that forbids them.
    Printed(Vec<(String, String)>),
    /// A test allows this many bytes of memory, and a process of each of these units has used more.
    Memory(u64, Vec<(String, u64)>),
    /// trc stopped none of the units that the test is about.
    StoppedNone,
    /// trc did not look at what was left when everything had stopped.
    NotLooked,
    /// trc did not stop the unit.
    DidNotStop,
    /// When trc stopped it, the unit exited with this status, after this time if it was not
    /// killed for want of time.
    StoppedWith(u8, Option<Duration>),
    /// The test was under way when the run ended for this reason.
    CutShort(String),
    /// A check of the test did not stay true, and what was found instead; or a unit was restarted
    /// while the test watched.
    DidNotHold(Option<(String, Option<String>)>),
    /// The unit did not go on after this signal, with which a test has suspended it or which it
    /// should survive; and whether the test says if it may be restarted.
    DidNotContinue(String, Signal, bool),
    /// The unit was not up again after this signal.
    NotRecovered(String, Signal),
    /// The unit, which a test was to keep down, did not stop within this time.
    NotDown(String, Duration),
    /// The unit, which a test had kept down, was not up again within this time, and why not, if trc
    /// knows it.
    NotBack(String, Duration, Option<String>),
    /// The test waits for this unit, which ended like this.
    WaitsFor(String, String),
    /// The unit is not up after this many restarts, the last one after this.
    Loops(String, u32, String),
    /// The unit was not up in time, and the reason, if trc knows it.
    NotInTime(String, Option<String>),
}

impl Flaw {
    /// Joins the texts of all of these; returns `None` if there are none.
    pub(crate) fn all(all: impl IntoIterator<Item = Self>, joint: &str) -> Option<String> {
        let all: Vec<String> = all.into_iter().map(|flaw| flaw.to_string()).collect();
        (!all.is_empty()).then(|| all.join(joint))
    }
}

impl Display for Flaw {
    #[expect(clippy::too_many_lines, reason = "one sentence each")]
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let because =
            |why: &Option<String>| why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        match self {
            Self::Restarted(0, _) => f.write_str("it was restarted"),
            Self::Restarted(1, None) => f.write_str("it was restarted once"),
            Self::Restarted(1, Some(last)) => write!(f, "it was restarted once, after it {last}"),
            Self::Restarted(times, None) => write!(f, "it was restarted {times} times"),
            Self::Restarted(times, Some(last)) => {
                write!(f, "it was restarted {times} times, the last time after it {last}")
            }
            Self::Ended { how, told: true, .. } | Self::Stopped(how) => {
                write!(f, "when trc stopped it, it {how}")
            }
            Self::Ended { how, daemon: true, .. } => write!(
                f,
                "it {how}; it put itself into the background: let it run in the foreground, as \
                 `nginx -g 'daemon off;'` does, or, if it cannot, set `pid_file`"
            ),
            Self::Ended { how, .. } => write!(f, "it {how}"),
            Self::NotUp(Lack::StillRuns, _) => f.write_str(
                "it is a one-shot, but had not exited when the tests had finished: remove `oneshot` \
                 if it is a service, or raise the `start_within` of a test if it needs more time",
            ),
            Self::NotUp(Lack::NeverStarted, why) => {
                write!(f, "it was never started{}", because(why))
            }
            Self::NotUp(Lack::NotReady, why) => {
                write!(f, "it was not ready when the tests had finished{}", because(why))
            }
            Self::NotUp(Lack::NotBack, why) => {
                write!(f, "it was not up again when the tests had finished{}", because(why))
            }
            Self::NotRun => {
                f.write_str("there was no time left to run it: raise shutdown.timeout")
            }
            Self::PostStop(why) => write!(f, "it failed{}", because(why)),
            Self::PostStopSlow(within) => write!(
                f,
                "it did not exit within {} and was killed: raise post_stop.within",
                seconds(*within)
            ),
            Self::PostStopCut => {
                f.write_str("there was no time left for it, so it was killed: raise shutdown.timeout")
            }
            Self::PostStopLeft(left) => write!(
                f,
                "it left {left} running, which trc killed: post_stop has to wait for the processes that it starts"
            ),
            Self::StopCommand => f.write_str("its stop command failed: see the log"),
            Self::LeftKilled(left) => write!(
                f,
                "{left} did not exit and had to be killed: it has to exit on the stop signal of the \
                 unit, or the unit has to stop it"
            ),
            Self::NotStopped => {
                f.write_str("there was no time left to stop it: raise shutdown.timeout")
            }
            Self::Killed(timeout, signal) => write!(
                f,
                "it did not exit within {} of {signal} and was killed: let it handle {signal}, name \
                 another signal in stop.signal, or raise stop.timeout",
                seconds(*timeout)
            ),
            Self::Left(unit, left, false) => {
                write!(f, "{unit} left {left} running: it has to stop its processes before it exits")
            }
            Self::Left(unit, left, true) => write!(
                f,
                "{unit} left {left} running in a session of its own: run it in the foreground, as a \
                 unit of its own"
            ),
            Self::Orphans(who) => write!(
                f,
                "still running when all units had ended: {who}; whoever starts a process has to \
                 stop it"
            ),
            Self::Sessions(who) => write!(
                f,
                "still running in a session of their own: {who}; run daemons in the foreground, as \
                 units of their own"
            ),
            Self::Zombies(who) => write!(
                f,
                "zombies that their parents have not reaped: {who}; a program that starts others \
                 has to wait for them"
            ),
            Self::Slow { took, grace, written } => {
                let grace = grace.as_secs_f64();
                let limit = if *written {
                    format!("shutdown.timeout is {grace} s")
                } else {
                    format!("docker sends SIGKILL after {grace} s")
                };
                write!(
                    f,
                    "stopping took {:.1} s, but {limit}: make the stop faster, or give the \
                     containers more time (`docker run --stop-timeout`) and set shutdown.timeout \
                     accordingly",
                    took.as_secs_f64()
                )
            }
            Self::Printed(lines) => {
                let each =
                    lines.iter().map(|(unit, line)| format!("{unit} printed the line {line:?}"));
                f.write_str(&each.collect::<Vec<_>>().join(", "))
            }
            Self::Memory(most, above) => {
                let each = above
                    .iter()
                    .map(|(unit, peak)| format!("a process of {unit} has used {}", size(*peak)));
                let each = each.collect::<Vec<_>>().join(", ");
                write!(f, "more than {}: {each}", size(*most))
            }
            Self::StoppedNone => f.write_str(
                "trc stopped none of the units that the test is about: name a service in `after`",
            ),
            Self::DidNotStop => f.write_str("trc did not stop it, because it had exited before"),
            Self::StoppedWith(status, Some(after)) => {
                write!(f, "it exited with {status} after {:.3} s", after.as_secs_f64())
            }
            Self::StoppedWith(status, None) => {
                write!(f, "it exited with {status} when it was killed")
            }
            Self::CutShort(why) => write!(f, "cut short: {why}"),
            Self::DidNotHold(None) => {
                f.write_str("it stayed true, but a unit was restarted meanwhile")
            }
            Self::DidNotHold(Some((check, found))) => {
                let found = found.as_ref().map_or_else(String::new, |it| format!("; found: {it}"));
                write!(f, "it did not stay true: {check}{found}")
            }
            Self::DidNotContinue(unit, signal, told) => {
                let help = if *told {
                    ""
                } else {
                    "; if trc should restart it then, write restarts = true in expect.fault"
                };
                write!(f, "{unit} did not continue after {signal}{help}")
            }
            Self::NotRecovered(unit, signal) => write!(
                f,
                "{unit} was not up again after {signal}: it needs a `restart` that starts it again, \
                 and a `within` that is long enough"
            ),
            Self::NotLooked => {
                f.write_str("there was no time left to look: raise shutdown.timeout")
            }
            Self::NotDown(unit, limit) => {
                write!(f, "{unit} still ran {} after trc had begun to stop it", seconds(*limit))
            }
            Self::NotBack(unit, limit, why) => write!(
                f,
                "the test kept {unit} down, and it was not up again {} later{}",
                seconds(*limit),
                because(why)
            ),
            Self::WaitsFor(unit, how) => write!(f, "it waits for {unit}, which {how}"),
            Self::Loops(unit, times, last) => {
                write!(f, "{unit} is not up after {times} restarts: it {last}")
            }
            Self::NotInTime(unit, why) => write!(f, "{unit} was not up in time{}", because(why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_flaw_is_a_sentence_about_whom_its_point_names() {
        let text = |text: &str| text.to_owned();
        let ended = |told, daemon| Flaw::Ended { how: text("exited with 0"), told, daemon };
        let slow = |written| Flaw::Slow {
            took: Duration::from_millis(12_340),
            grace: Duration::from_secs(10),
            written,
        };
        for (flaw, expected) in [
            (Flaw::Restarted(1, Some(text("failed"))), "it was restarted once, after it failed"),
            (
                Flaw::Restarted(3, Some(text("failed"))),
                "it was restarted 3 times, the last time after it failed",
            ),
            (Flaw::Restarted(3, None), "it was restarted 3 times"),
            (ended(false, false), "it exited with 0"),
            (ended(true, true), "when trc stopped it, it exited with 0"),
            (ended(false, true), "it exited with 0; it put itself into the background"),
            (
                Flaw::NotUp(Lack::NotReady, Some(text("it sent no READY=1"))),
                "it was not ready when the tests had finished: it sent no READY=1",
            ),
            (Flaw::NotUp(Lack::StillRuns, None), "it is a one-shot, but had not exited"),
            (
                Flaw::Killed(Duration::from_secs(7), Signal::TERM),
                "it did not exit within 7 s of SIGTERM and was killed: let it handle SIGTERM, name",
            ),
            (Flaw::NotRun, "there was no time left to run it: raise shutdown.timeout"),
            (Flaw::NotStopped, "there was no time left to stop it: raise shutdown.timeout"),
            (
                Flaw::Left(text("async.a"), text("cat <pid=7>"), false),
                "async.a left cat <pid=7> running: it has to stop its processes",
            ),
            (
                Flaw::Orphans(text("cat <pid=7>")),
                "still running when all units had ended: cat <pid=7>; whoever starts a process",
            ),
            (
                Flaw::Zombies(text("cat <pid=7>")),
                "zombies that their parents have not reaped: cat <pid=7>; a program that starts",
            ),
            (
                Flaw::NotRecovered(text("async.a"), Signal::KILL),
                "async.a was not up again after SIGKILL: it needs a `restart`",
            ),
            (slow(true), "stopping took 12.3 s, but shutdown.timeout is 10 s: "),
            (slow(false), "stopping took 12.3 s, but docker sends SIGKILL after 10 s: "),
            (
                Flaw::Printed(vec![(text("sync.a"), text("a\tb"))]),
                "sync.a printed the line \"a\\tb\"",
            ),
            (
                Flaw::Memory(1024, vec![(text("sync.a"), 2048)]),
                "more than 1 KiB: a process of sync.a has used 2 KiB",
            ),
            (
                Flaw::StoppedWith(143, Some(Duration::from_millis(1500))),
                "it exited with 143 after 1.500 s",
            ),
            (
                Flaw::DidNotHold(Some((text("80/tcp"), Some(text("nothing"))))),
                "it did not stay true: 80/tcp; found: nothing",
            ),
            (
                Flaw::DidNotContinue(text("sync.a"), Signal::HUP, false),
                "sync.a did not continue after SIGHUP; if trc should restart it then",
            ),
        ] {
            assert!(flaw.to_string().starts_with(expected), "{flaw}");
        }
    }
}
