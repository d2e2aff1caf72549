//! The results that a test found instead of those that it expects.

use core::net::SocketAddr;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use super::listeners::{on, ports};
use super::{BadAnswer, last_output, silent, some};
use crate::config::expect::{days, size};
use crate::config::{Listening, seconds};
use crate::signal::Signal;

/// What was seen of attempts while a unit was damaged.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Meanwhile {
    pub tries: u32,
    pub failed: u32,
    /// The number of those that had failed after their connections were accepted.
    pub broken: u32,
    pub longest_gap: Duration,
    /// When the first attempt began that failed, since the first attempt, and why it failed.
    pub first: Option<(Duration, String)>,
}

impl Display for Meanwhile {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let milliseconds = |time: Duration| seconds(Duration::from_millis(to_millis(time)));
        let Self { tries, failed, broken, .. } = self;
        let s = if *tries == 1 { "y" } else { "ies" };
        write!(f, "{tries} tr{s}, {failed} failed")?;
        if *broken > 0 {
            write!(f, ", {broken} of them after their connection was accepted")?;
        }
        let Some((after, why)) = &self.first else { return Ok(()) };
        let gap = milliseconds(self.longest_gap);
        write!(f, ", longest gap {gap}; the first failed after {}: {why}", milliseconds(*after))
    }
}

/// Returns a time in whole milliseconds.
fn to_millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The result that a check has found instead of the expected one, or why trc cannot find out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Wrong {
    /// A text has, or lacks, something, which this says in words.
    Text(String),
    /// The kernel's answer, in its own words.
    Kernel(String),
    /// The attempt over a socket, or to start the test's command, has failed.
    Answer(BadAnswer),
    /// Something could not be read, and the kernel's answer.
    NotRead(&'static str, String),
    /// Each of these.
    All(Vec<Wrong>),

    /// The test's command exited with this status, at this place of its script, with this last
    /// output.
    Exited(u8, Option<String>, Vec<String>),
    /// This signal terminated the test's command, whose last output is this.
    KilledBy(Signal, Vec<String>),
    /// The test has no command that was executed.
    NotRun,
    /// The test's command could not be started, for this reason.
    NotStarted(String),
    /// The test's command, or the operation that the test is about, took longer than this.
    Slow(Duration),
    /// More was seen than may be, of attempts while a unit was damaged.
    Meanwhile(Meanwhile),
    /// The job of the test ended like this, after "it".
    Job(String),
    /// The job still ran after this time.
    SlowJob(Duration),
    /// After this time the job had not started, because it waits for this unit.
    JobWaits(Duration, Option<String>),
    /// The test's command survived SIGKILL.
    Unkillable,
    /// A stream has more bytes than this, which trc does not keep.
    TooMuch(usize),
    /// The test reported that it failed, for this reason.
    Reported(String),
    /// The output has this line, which is forbidden.
    Printed(String),
    /// No line matches; this unit has written nothing.
    NoLine(Option<String>),
    /// None of the units that the test is about has a readiness check.
    NoReadiness,
    /// These units were ready after this time, or not at all.
    NotReady(Vec<(String, Option<Duration>)>),
    /// The signal of a fault has not terminated its process yet.
    StillThere,

    /// The file does not exist.
    Absent,
    /// The file is a symbolic link to this path, which does not exist.
    LeadsNowhere(String),
    /// The file exists, and is of this kind.
    Exists(Kind),
    /// The mode of the file, and the one that is expected.
    Mode(u32, u32),
    /// The owner of the file, and the one that is expected.
    Owner(String, String),
    /// trc does not look into files of this kind.
    NotRegular(Kind),
    /// The file is of the first kind, and not of the second one.
    OfKind(Kind, &'static str),
    /// The file was modified this long ago, which is longer than the second time.
    Old(Duration, Duration),
    /// The file is not newer than this one.
    NotNewer(String),
    /// It is not a directory.
    NoDirectory,
    /// Files of a kind, the first of them, and how many there are.
    Files(&'static str, Vec<String>, usize),
    /// Everything takes this much disk space, which is more than the second number.
    Takes(u64, u64),
    /// The file has no certificate.
    NoCertificates,
    /// There is no certificate that trc can read at this line.
    NoCertificate(u32),
    /// The certificate at this line is valid from this day on.
    NotYetValid(u32, String),
    /// The certificate at this line expired on this day.
    Expired(u32, String),
    /// The certificate at this line expires on this day, in this number of days, which is sooner
    /// than the time.
    Expires(u32, String, i64, Duration),
    /// There is no such user.
    NoUser(String),
    /// There is no such group.
    NoGroup(String),
    /// It exists, and its number of this kind is this.
    HasNumber(&'static str, u32),
    /// This property of it is the first text, and not the second one.
    Differs(&'static str, String, String),
    /// It lacks these things of a kind, and has those.
    Lacks(&'static str, Vec<String>, Vec<String>),
    /// It has these things of a kind, which it must not have.
    Has(&'static str, Vec<String>),
    /// `/proc` does not list the mounts.
    NoMounts,
    /// Nothing is mounted there; the path is in this mount of this type.
    NotMounted(Option<(String, String)>),
    /// A file system of this type, from this source, is mounted there.
    Mounted(String, String),
    /// No variables of this unit can be seen.
    NoVariables(String),
    /// This variable of this unit is not set.
    NotSet(String, String),
    /// This variable of this unit is set.
    Set(String, String),

    /// These sockets are bound, to which nothing should listen.
    Listens(Vec<SocketAddr>, bool),
    /// Nothing listens where the test expects it; something listens on these ports of the protocol.
    Silent(Listening, Vec<u16>),
    /// Something listens on the port that is expected, but on these addresses only.
    Elsewhere(Listening, Vec<SocketAddr>),
    /// Something listens on this port, but no process of this unit does; these processes do.
    OfOthers(Listening, String, Vec<String>),
    /// There are too many sockets to look at.
    ManySockets,

    /// `/proc` does not list the processes.
    NoProcesses,
    /// These processes run.
    Running(Vec<String>),
    /// The number of processes other than trc, and some of them, none of which is an expected one.
    OthersRun(usize, Vec<String>),
    /// These processes, or units, run as these users.
    RunsAs(Vec<(String, String)>),
    /// This unit has no process.
    NotRunning(String),
    /// None of the units that the test is about has a process.
    NoneRuns,

    /// A unit uses this many bytes of memory in this many processes.
    UsesMemory(String, u64, usize),
    /// A process of a unit has used this many bytes of memory.
    UsedMemory(String, u64),
    /// A unit has used this much CPU time.
    UsedCpu(String, Duration),
    /// A unit has this many processes.
    Processes(String, usize),
    /// A unit has this many threads.
    Threads(String, u64),
    /// A unit has written this many lines in this time.
    Wrote(String, u64, Duration),
    /// trc does not read the output of a unit.
    Uncounted(String),
    /// These processes of a unit have too many file descriptors, or could not be looked at.
    Descriptors(String, Vec<(i32, Result<usize, Wrong>)>),

    NoNewPrivs(bool),
    /// Whether the root file system is read-only.
    ReadOnlyRoot(bool),
    /// The user that trc runs as.
    RunsAsUser(u32),
    /// The capabilities that something in the container can get, too.
    Capabilities(Vec<String>),
    /// `/proc/self/status` does not list the capabilities.
    NoCapabilities,
    /// The container has used this many bytes of memory, and whether it needed more.
    Memory(u64, bool),
    /// No cgroup reports the memory of the container.
    NoMemoryPeak,
}

/// The kind of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Directory,
    Fifo,
    Socket,
    BlockDevice,
    /// A character device.
    CharDevice,
    /// A regular file of this many bytes.
    File(u64),
}

impl Wrong {
    /// Creates the answer to a system call.
    pub(crate) fn kernel(error: &std::io::Error) -> Self {
        Self::Kernel(crate::config::reason(error).to_lowercase())
    }

    /// Creates one of several; returns `Ok` if there are none.
    pub(crate) fn all(mut all: Vec<Self>) -> Result<(), Self> {
        match all.len() {
            0 => Ok(()),
            1 => Err(all.remove(0)),
            _ => Err(Self::All(all)),
        }
    }
}

impl Display for Kind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory => f.write_str("a directory"),
            Self::Fifo => f.write_str("a FIFO"),
            Self::Socket => f.write_str("a socket"),
            Self::BlockDevice => f.write_str("a block device"),
            Self::CharDevice => f.write_str("a character device"),
            Self::File(bytes) => write!(f, "a file of {}", size(*bytes)),
        }
    }
}

impl Display for Wrong {
    #[expect(clippy::too_many_lines, reason = "one sentence each")]
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let strings = |all: &[String]| some(all.iter().cloned());
        match self {
            Self::Text(text) | Self::Kernel(text) => f.write_str(text),
            Self::Answer(why) => write!(f, "{why}"),
            Self::NotRead(what, why) => write!(f, "cannot {what}: {why}"),
            Self::All(all) => {
                let all: Vec<String> = all.iter().map(ToString::to_string).collect();
                f.write_str(&all.join("; "))
            }
            Self::Exited(code, place, last) => {
                let place = place.as_ref().map_or_else(String::new, |place| format!(" {place}"));
                write!(f, "it exited with {code}{place}{}", last_output(None, last))
            }
            Self::KilledBy(signal, last) => {
                write!(f, "it was killed by {signal}{}", last_output(None, last))
            }
            Self::NotRun => f.write_str("it did not run"),
            Self::NotStarted(why) => write!(f, "it could not be started: {why}"),
            Self::Slow(limit) => write!(f, "it did not exit within {}", seconds(*limit)),
            Self::Meanwhile(seen) => seen.fmt(f),
            Self::Job(how) => write!(f, "it {how}"),
            Self::SlowJob(limit) => write!(f, "it still ran after {}", seconds(*limit)),
            Self::JobWaits(limit, by) => {
                write!(f, "it had not started after {}", seconds(*limit))?;
                by.as_ref().map_or(Ok(()), |by| write!(f, ": it waits for {by}"))
            }
            Self::Unkillable => f.write_str("it survived SIGKILL"),
            Self::TooMuch(kept) => write!(
                f,
                "it is longer than {}, and trc keeps no more than that",
                size(*kept as u64)
            ),
            Self::Reported(why) if why.is_empty() => {
                f.write_str("the test reported that it failed")
            }
            Self::Reported(why) => f.write_str(why),
            Self::Printed(line) => write!(f, "it printed the line {line:?}"),
            Self::NoLine(None) => f.write_str("no line matches"),
            Self::NoLine(Some(unit)) => write!(f, "no line matches{}", silent(unit)),
            Self::NoReadiness => {
                f.write_str("none of the units that the test is about has a readiness check")
            }
            Self::NotReady(units) => {
                let each = units.iter().map(|(unit, after)| match after {
                    Some(after) => format!("{unit} was ready after {}", seconds(*after)),
                    None => format!("{unit} was not ready"),
                });
                f.write_str(&each.collect::<Vec<_>>().join(", "))
            }
            Self::StillThere => f.write_str("the signal has not terminated it yet"),
            Self::Absent => f.write_str("it does not exist"),
            Self::LeadsNowhere(to) => write!(f, "it is a link to {to}, which does not exist"),
            Self::Exists(kind) => write!(f, "it exists: it is {kind}"),
            Self::Mode(found, wanted) => {
                write!(f, "its mode is {found:04o}, not {wanted:04o}")
            }
            Self::Owner(found, wanted) => write!(f, "its owner is {found}, not {wanted}"),
            Self::NotRegular(kind) => write!(f, "it is {kind}, and trc reads regular files only"),
            Self::NoUser(user) => write!(f, "there is no user {user}"),
            Self::NoGroup(group) => write!(f, "there is no group {group}"),
            Self::OfKind(found, wanted) => write!(f, "it is {found}, not {wanted}"),
            Self::Old(age, most) => write!(
                f,
                "it was modified {} ago, which is longer ago than {}",
                days(*age),
                days(*most)
            ),
            Self::NotNewer(than) => write!(f, "it is not newer than {than}"),
            Self::NoDirectory => f.write_str("it is not a directory"),
            Self::Files(what, shown, count) => {
                write!(f, "{what}: {}", shown.join(", "))?;
                match count - shown.len() {
                    0 => Ok(()),
                    more => write!(f, ", and {more} more"),
                }
            }
            Self::Takes(found, most) => {
                write!(f, "it takes {}, more than {}", size(*found), size(*most))
            }
            Self::NoCertificates => f.write_str("it has no certificate"),
            Self::NoCertificate(line) => {
                write!(f, "the certificate at line {line} cannot be read")
            }
            Self::NotYetValid(line, day) => {
                write!(f, "the certificate at line {line} is not valid before {day}")
            }
            Self::Expired(line, day) => {
                write!(f, "the certificate at line {line} expired on {day}")
            }
            Self::Expires(line, day, left, most) => {
                let left = match left {
                    0 => "today or tomorrow".to_owned(),
                    1 => "in one day".to_owned(),
                    left => format!("in {left} days"),
                };
                let most = days(*most);
                write!(
                    f,
                    "the certificate at line {line} expires on {day}, {left}: sooner than in {most}"
                )
            }
            Self::HasNumber(what, number) => write!(f, "it exists: its {what} is {number}"),
            Self::Differs(what, found, wanted) => {
                write!(f, "its {what} is {found}, not {wanted}")
            }
            Self::Lacks(what, lacks, has) if has.is_empty() => {
                write!(f, "it lacks {what} {} and has none", strings(lacks))
            }
            Self::Lacks(what, lacks, has) => {
                write!(f, "it lacks {what} {} and has {}", strings(lacks), strings(has))
            }
            Self::Has(what, has) => {
                write!(f, "it has {what} {}, which it must not have", strings(has))
            }
            Self::NoMounts => f.write_str("/proc does not list the mounts"),
            Self::NotMounted(None) => f.write_str("nothing is mounted there"),
            Self::NotMounted(Some((path, kind))) => {
                write!(f, "nothing is mounted there: it is in {path}, which is {kind}")
            }
            Self::Mounted(kind, source) => {
                write!(f, "something is mounted there: {kind} from {source}")
            }
            Self::NoVariables(unit) => write!(
                f,
                "no variable of {unit} can be seen: it has none, or has written its title over them"
            ),
            Self::NotSet(name, unit) => write!(f, "{name} of {unit} is not set"),
            Self::Set(name, unit) => write!(f, "{name} of {unit} is set"),
            Self::Listens(sockets, udp) => write!(f, "{}", on(sockets, *udp)),
            Self::Silent(wanted, listening) => {
                write!(f, "nothing listens on {wanted}; {}", ports(listening, wanted.udp))
            }
            Self::Elsewhere(wanted, sockets) if wanted.ip.is_some() => {
                write!(f, "nothing listens on {wanted}, but {}", on(sockets, wanted.udp))
            }
            Self::Elsewhere(wanted, sockets) => write!(
                f,
                "{wanted} can be reached from within the container only: {}; if that is intended, \
                 write the address in the check",
                on(sockets, wanted.udp)
            ),
            Self::OfOthers(port, unit, others) if others.is_empty() => write!(
                f,
                "something listens on {port}, but no process of {unit} does, and trc cannot see \
                 which one does"
            ),
            Self::OfOthers(port, unit, others) => {
                write!(f, "no process of {unit} listens on {port}, but {} does", strings(others))
            }
            Self::ManySockets => f.write_str("there are too many sockets to look at"),
            Self::NoProcesses => f.write_str("/proc does not list the processes"),
            Self::Running(processes) => write!(f, "{} is running", strings(processes)),
            Self::OthersRun(0, _) => f.write_str("no process other than trc is running"),
            Self::OthersRun(1, shown) => {
                write!(f, "no such process; one other is running: {}", strings(shown))
            }
            Self::OthersRun(count, shown) => {
                write!(f, "no such process; {count} others are running: {}", strings(shown))
            }
            Self::RunsAs(all) => {
                f.write_str(&some(all.iter().map(|(who, user)| format!("{who} runs as {user}"))))
            }
            Self::NotRunning(unit) => write!(f, "{unit} is not running"),
            Self::NoneRuns => f.write_str("none of the units that the test is about is running"),
            Self::UsesMemory(unit, bytes, count) => {
                write!(f, "{unit} uses {} in {}", size(*bytes), processes(*count))
            }
            Self::UsedMemory(unit, peak) => {
                write!(f, "a process of {unit} has used {}", size(*peak))
            }
            Self::UsedCpu(unit, time) => {
                write!(f, "{unit} has used {} of CPU time", seconds(*time))
            }
            Self::Processes(unit, count) => write!(f, "{unit} has {}", processes(*count)),
            Self::Wrote(unit, count, time) => {
                write!(f, "{unit} has written {count} lines in {:.1} s", time.as_secs_f64())
            }
            Self::Uncounted(unit) => {
                write!(f, "trc does not read the output of {unit}, so it cannot count the lines")
            }
            Self::Threads(unit, 1) => write!(f, "{unit} has one thread"),
            Self::Threads(unit, count) => write!(f, "{unit} has {count} threads"),
            Self::Descriptors(unit, all) => {
                let each = all.iter().map(|(pid, found)| match found {
                    Ok(found) => format!("process {pid} has {found}"),
                    Err(why) => format!("those of process {pid} cannot be counted: {why}"),
                });
                write!(f, "file descriptors of {unit}: {}", some(each))
            }
            Self::NoNewPrivs(true) => f.write_str("no_new_privs is set"),
            Self::NoNewPrivs(false) => f.write_str("no_new_privs is not set"),
            Self::ReadOnlyRoot(true) => f.write_str("the root file system is read-only"),
            Self::ReadOnlyRoot(false) => f.write_str("the root file system is writable"),
            Self::RunsAsUser(user) => write!(f, "trc runs as user {user}"),
            Self::Capabilities(names) => write!(f, "it also has {}", strings(names)),
            Self::NoCapabilities => f.write_str("/proc/self/status does not list the capabilities"),
            Self::Memory(peak, false) => write!(f, "it has used {}", size(*peak)),
            Self::Memory(peak, true) => write!(
                f,
                "it has used {} and needed more: the OOM killer has killed a process",
                size(*peak)
            ),
            Self::NoMemoryPeak => f.write_str(
                "no cgroup reports it: trc is not in a container, or the kernel is older than \
                 Linux 5.19",
            ),
        }
    }
}

fn processes(count: usize) -> String {
    if count == 1 { "one process".to_owned() } else { format!("{count} processes") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_finding_is_a_sentence_about_what_was_expected() {
        let web = || "web".to_owned();
        let some = || vec!["sh".to_owned(), "cron".to_owned()];
        for (wrong, expected) in [
            (Wrong::Mode(0o4750, 0o750), "its mode is 4750, not 0750"),
            (Wrong::Exists(Kind::File(2)), "it exists: it is a file of 2 bytes"),
            (Wrong::NotRead("read it", "denied".to_owned()), "cannot read it: denied"),
            (Wrong::OthersRun(0, vec![]), "no process other than trc is running"),
            (Wrong::OthersRun(3, some()), "no such process; 3 others are running: sh, cron"),
            (Wrong::RunsAs(vec![(web(), "root".to_owned())]), "web runs as root"),
            (Wrong::UsesMemory(web(), 1024, 2), "web uses 1 KiB in 2 processes"),
            (Wrong::UsedCpu(web(), Duration::from_secs(9)), "web has used 9 s of CPU time"),
            (Wrong::Processes(web(), 1), "web has one process"),
            (
                Wrong::Descriptors(
                    web(),
                    vec![(7, Ok(9)), (8, Err(Wrong::Kernel("denied".to_owned())))],
                ),
                "file descriptors of web: process 7 has 9, those of process 8 cannot be counted: \
                 denied",
            ),
            (
                Wrong::All(vec![Wrong::NoNewPrivs(true), Wrong::RunsAsUser(0)]),
                "no_new_privs is set; trc runs as user 0",
            ),
        ] {
            assert_eq!(wrong.to_string(), expected);
        }
    }
}
