//! The findings of `run/` that are not facts of the engine, as lines of the log.

use std::ffi::OsStr;
use std::fmt::Write as _;

use log::Level;

use super::event_name::EventName;
use super::line::Line;
use super::no_socket::NoSocket;
use super::reason::how;
use super::sender::asker;
use super::some;
use super::unwritten::Unwritten;
use crate::config::shown;
use crate::engine::{Asker, Ended, Ending, How, Purpose, TestEnd};
use crate::graph::{Graph, Node, UnitId};

/// One thing that trc found out.
pub(crate) enum Observed<'a> {
    /// The wait policy, by TrivialRC's name.
    WaitPolicy(&'a str),
    /// There is neither a unit nor a command.
    NothingToRun(&'a std::path::Path),
    /// Nothing starts: all units wait until somebody asks for them.
    OnlyIdle,
    /// All units are external: trc starts nothing.
    OnlyExternal,
    /// trc could not make itself the parent of orphans.
    NoSubreaper(&'a str),
    /// There is no control socket at this path; the flag says whether the configuration asks for
    /// it.
    NoControl(&'a std::path::Path, NoSocket, bool),
    /// There is no socket for syslog at this path.
    NoSyslog(&'a std::path::Path, NoSocket),
    /// Somebody runs this program as a unit.
    Executes(UnitId, &'a Asker, &'a str),
    /// Another trc writes the record of its run to the file that was meant for this one.
    RecordTaken,
    /// The record of the run could not be written on to this file, for this reason.
    RecordLost(&'a std::path::Path, &'a str),
    /// A signal asked for a reload, and the configuration has not changed.
    NothingToReload,
    /// Somebody has set the clock, and there are schedules.
    ClockSet,
    /// There is no timer for the schedules.
    NoTimer(&'a str),
    /// The kernel gave no more memory; the number is what is left of the reserve, in KiB.
    NoMemory(usize),
    /// A unit's stop command could not be started.
    NoStopCommand(UnitId, &'a str),
    /// A unit that is waited for is not ready yet.
    NotReadyYet(UnitId, &'a str),
    /// A probe could not be attempted, which says nothing about the unit.
    NotTried(UnitId, Purpose, &'a str),
    /// A background unit was suspended because it wrote to the terminal (or set it) or, if `true`,
    /// read from it.
    StoppedByTerminal(UnitId, bool),
    /// A process that does not belong to a unit has sent a notification for it: the number and the
    /// user of the process, and its command if it still ran.
    Stranger(UnitId, i32, u32, Option<String>),
    /// The `pid_file` of a unit could not be removed before its start, for this reason.
    PidFileStays(UnitId, &'a std::path::Path, &'a str),
    /// A unit has put itself into the background, and its `pid_file` does not name its main process,
    /// for this reason.
    NotMain(UnitId, &'a str),
    /// Leftovers of a unit still write, and trc no longer reads their output: the number of the
    /// unit's main process.
    NotRead(UnitId, i32),
    /// A unit's main process has exited, and these processes of the unit still run.
    LeftBehind(UnitId, Ending, &'a str),
    /// A unit's `pre_start` has exited, and these processes of it, which are killed, still run.
    PreStartLeft(UnitId, &'a str),
    /// A unit's `post_stop` has left these processes running, which are killed.
    PostStopLeft(UnitId, &'a str),
    /// A test has finished, and its result, unless it passed.
    TestEnded(UnitId, Ended, Option<&'a str>),
    /// The OOM killer has killed these processes, and this many others.
    OutOfMemory(Vec<OomVictim>, u64),
    /// A variable that a boot script has set is too long for the environment of programs.
    TooLong(&'a OsStr),
    /// The state that a boot script has left could not be read.
    StateLost(UnitId, &'a str),
    /// The run has ended.
    Over(u8),
    /// The reason could not be written to this file, which the configuration asks for.
    NoTermination(&'a std::path::Path, &'a str),
    /// The reason, which is the last line.
    Why(&'a Why),
}

/// A process that the OOM killer has killed.
pub(crate) struct OomVictim {
    /// Its number.
    pub pid: i32,
    pub command: String,
    /// The unit that it came from.
    pub unit: Option<UnitId>,
}

/// The reason why a run ended as it did.
pub(crate) struct Why {
    /// The reports that could not be written, and why.
    pub unwritten: Vec<Unwritten>,
    /// The reason in words.
    pub reason: String,
    /// The status after and before `[exit]`, if that has changed it.
    pub mapped: Option<(u8, u8)>,
    /// Processes that have survived SIGKILL, and their commands.
    pub survivors: Vec<(i32, String)>,
}

impl Why {
    /// Returns the reason in one line, which is also the termination message of Kubernetes.
    pub(crate) fn text(&self) -> String {
        let mut text = self.reason.clone();
        if !self.unwritten.is_empty() {
            let unwritten: Vec<String> = self.unwritten.iter().map(ToString::to_string).collect();
            text = format!("{}; {text}", unwritten.join("; "));
        } else if let Some((to, from)) = self.mapped {
            _ = write!(text, "; [exit] changes the exit status from {from} to {to}");
        }
        if !self.survivors.is_empty() {
            let named = self.survivors.iter().map(|(pid, command)| format!("{pid} ({command})"));
            _ = write!(text, "; could not be killed: {}", some(named));
        }
        text
    }
}

/// Returns what there is to say if no unit of a graph starts by itself.
pub(crate) fn nothing_starts(graph: &Graph) -> Option<Observed<'static>> {
    let mut nodes = graph.order.iter().map(|id| graph.node(*id));
    if graph.order.is_empty() {
        None
    } else if nodes.clone().all(Node::is_outside) {
        Some(Observed::OnlyExternal)
    } else if nodes.all(|node| node.is_outside() || node.idle) {
        Some(Observed::OnlyIdle)
    } else {
        None
    }
}

/// Returns the line of one observation.
pub(crate) fn observed(graph: &Graph, observed: &Observed<'_>) -> Line {
    let name = |id: &UnitId| graph.node(*id).unit.id();
    match observed {
        Observed::WaitPolicy(wait) => {
            Line::of_run(Level::Info, EventName::WaitPolicy, format!("The wait policy: {wait}"))
        }
        Observed::NothingToRun(directory) => {
            let parent = directory.parent().filter(|_| directory.ends_with("trc.d"));
            let advice = parent.map_or_else(String::new, |parent| {
                format!("; -w names the directory that trc.d is in: -w {}", parent.display())
            });
            let message = format!(
                "there is nothing to run: no unit in trc.toml or trc.d of {}, and no command{advice}",
                directory.display()
            );
            Line::of_run(Level::Warn, EventName::Nothing, message)
        }
        Observed::OnlyIdle => {
            let message = "nothing starts by itself: all units have `autostart = false`".to_owned();
            Line::of_run(Level::Warn, EventName::Nothing, message)
        }
        Observed::OnlyExternal => {
            let message =
                "nothing is started: all units are external, because none has a command".to_owned();
            Line::of_run(Level::Warn, EventName::Nothing, message)
        }
        Observed::NoControl(path, why, asked) => {
            let level = if *asked { Level::Warn } else { Level::Info };
            let path = path.display();
            let message = format!(
                "cannot create the control socket {path}: {why}; set [control] socket to another path, \
                 or to false"
            );
            Line::of_run(level, EventName::NoControl, message)
        }
        Observed::NoSyslog(path, why) => {
            let path = path.display();
            let message = format!(
                "cannot create the socket {path} for syslog: {why}; set [log] syslog to another path, or \
                 to false"
            );
            Line::of_run(Level::Warn, EventName::NoSyslog, message)
        }
        Observed::Executes(unit, by, program) => {
            let program = shown(program);
            let message = format!("{} asked to run {program} as {}", asker(graph, by), name(unit));
            Line::about(Level::Info, EventName::Requested, *unit, message)
        }
        Observed::RecordTaken => {
            let message =
                "another trc writes its record to the file in TRC_RECORD; this run has none";
            Line::of_run(Level::Warn, EventName::Log, message)
        }
        Observed::RecordLost(path, why) => {
            let path = path.display();
            let message =
                format!("cannot write to {path}: {why}; the record of this run ends there");
            Line::of_run(Level::Warn, EventName::Log, message)
        }
        Observed::NothingToReload => Line::of_run(
            Level::Info,
            EventName::Reloading,
            "the configuration has not changed, so there is nothing to reload",
        ),
        Observed::ClockSet => {
            let message = "the clock was set: schedules follow it".to_owned();
            Line::of_run(Level::Info, EventName::Log, message)
        }
        Observed::NoTimer(why) => {
            let message = format!("cannot set a timer for the schedules: {why}");
            Line::of_run(Level::Warn, EventName::Log, message)
        }
        Observed::NoSubreaper(why) => {
            let message = format!(
                "cannot become a subreaper, so daemons that units start may outlive trc: {why}"
            );
            Line::of_run(Level::Warn, EventName::NoSubreaper, message)
        }
        Observed::NoMemory(left) => {
            let message = format!(
                "the kernel gives trc no more memory; continuing with a reserve, of which {left} KiB are left"
            );
            Line::of_run(Level::Error, EventName::Memory, message)
        }
        Observed::NoStopCommand(unit, why) => {
            let message = format!("cannot start the stop command of {}: {why}", name(unit));
            Line::about(Level::Error, EventName::StopCommandFailed, *unit, message)
        }
        Observed::NotReadyYet(unit, why) => {
            let message = format!("{} is not ready yet: {why}", name(unit));
            Line::about(Level::Info, EventName::Waiting, *unit, message)
        }
        Observed::NotTried(unit, purpose, why) => {
            let what = match purpose {
                Purpose::Ready => "ready",
                Purpose::Health => "healthy",
            };
            let message = format!(
                "cannot check whether {} is {what}: {why} (not counted as a failure); trying again",
                name(unit)
            );
            Line::about(Level::Warn, EventName::NotTried, *unit, message)
        }
        Observed::StoppedByTerminal(unit, reading) => {
            let what = if *reading { "read from" } else { "wrote to or configured" };
            let message = format!(
                "{} is suspended: it {what} the terminal, which background units cannot use",
                name(unit)
            );
            Line::about(Level::Warn, EventName::Stopped, *unit, message)
        }
        Observed::Stranger(unit, pid, uid, command) => {
            let message = stranger(&name(unit), *pid, *uid, command.as_deref());
            Line::about(Level::Warn, EventName::Stranger, *unit, message)
        }
        Observed::PidFileStays(unit, path, why) => {
            let path = shown(&path.to_string_lossy());
            let message = format!(
                "cannot remove {path} before the start of {}: {why}; trc ignores the file until it \
                 changes",
                name(unit)
            );
            Line::about(Level::Warn, EventName::MainProcess, *unit, message)
        }
        Observed::NotMain(unit, why) => {
            let message = format!("{} has no main process yet: {why}", name(unit));
            Line::about(Level::Info, EventName::MainProcess, *unit, message)
        }
        Observed::NotRead(unit, pid) => {
            let message = format!(
                "no longer reading the output of the leftovers of {} <pid={pid}>",
                name(unit)
            );
            Line::about(Level::Warn, EventName::LetGo, *unit, message)
        }
        Observed::LeftBehind(unit, ending, who) => left_behind(graph, *unit, *ending, who),
        Observed::PreStartLeft(unit, who) => {
            let message = hook_left("pre_start", &name(unit), who);
            Line::about(Level::Warn, EventName::PreStartLeft, *unit, message)
        }
        Observed::PostStopLeft(unit, who) => {
            let message = hook_left("post_stop", &name(unit), who);
            Line::about(Level::Warn, EventName::PostStopLeft, *unit, message)
        }
        Observed::TestEnded(unit, ended, why) => test_ended(graph, *unit, *ended, *why),
        Observed::OutOfMemory(victims, others) => {
            Line::of_run(Level::Warn, EventName::Oom, out_of_memory(graph, victims, *others))
        }
        Observed::TooLong(variable) => {
            let variable = variable.display();
            let message = format!(
                "the variable {variable} is too long for the environment of a program; only scripts get it"
            );
            Line::of_run(Level::Warn, EventName::Oversize, message)
        }
        Observed::StateLost(unit, why) => {
            let message = format!("the boot state of {} is lost: {why}", name(unit));
            Line::about(Level::Warn, EventName::StateLost, *unit, message)
        }
        Observed::Over(status) => {
            Line::of_run(Level::Info, EventName::Ended, format!("Exited (exitcode={status})"))
        }
        Observed::NoTermination(path, why) => {
            let path = path.display();
            let message = format!(
                "cannot write the reason to {path}: {why}; set [log] termination to the \
                 terminationMessagePath of the container, or to false"
            );
            Line::of_run(Level::Warn, EventName::Reason, message)
        }
        Observed::Why(why) => Line::of_run(Level::Error, EventName::Reason, why.text()),
    }
}

fn stranger(name: &str, pid: i32, uid: u32, command: Option<&str>) -> String {
    match command {
        Some(command) => {
            format!(
                "ignoring a notification for {name} from process {pid} ({command}), which does not \
                 belong to {name}"
            )
        }
        None if pid == 0 => {
            format!("ignoring a notification for {name} from a process outside the container")
        }
        None => format!(
            "ignoring a notification for {name} from process {pid} of user {uid}: it exited before \
             trc could find out whether it belonged to {name}, and other units may have the same \
             user; give {name} a user of its own, or notify with `systemd-notify`, which waits until \
             trc has read the notification"
        ),
    }
}

fn hook_left(hook: &str, unit: &str, who: &str) -> String {
    format!(
        "killing the processes that the {hook} of {unit} has left running: {who}; declare a service as a unit of its own"
    )
}

/// Returns the line for leftovers. A service that daemonizes is lost to trc, and to everything that
/// waits for its exit.
fn left_behind(graph: &Graph, id: UnitId, ending: Ending, who: &str) -> Line {
    let node = graph.node(id);
    let (name, status) = (node.unit.id(), ending.status());
    let serves = !node.oneshot && !node.is_trivialrc() && node.counts();
    let level = if serves { Level::Warn } else { Level::Info };
    let advice = if serves && status == 0 && node.unit.pid_file.is_none() {
        "; trc supervises the process that it starts: configure the service to stay in the foreground, or, if it cannot, set pid_file"
    } else {
        ""
    };
    let message = format!("{name} exited (exitcode={status}) and left {who} running{advice}");
    Line::about(level, EventName::LeftBehind, id, message)
}

fn test_ended(graph: &Graph, id: UnitId, ended: Ended, why: Option<&str>) -> Line {
    let how = match ended.how {
        How::Test(TestEnd::Passed | TestEnd::Skipped | TestEnd::TimedOut) => how(graph, ended),
        // The rest of the line says how.
        _ => "failed".to_owned(),
    };
    let why = why.map_or_else(String::new, |why| format!(": {why}"));
    let level = if ended.failed() { Level::Error } else { Level::Info };
    let message = format!("{} {how}{why}", graph.node(id).unit.id());
    Line::about(level, EventName::TestEnded, id, message).with_status(ended.status)
}

/// Returns the processes that the OOM killer has killed, which is also a finding of a test run.
pub(crate) fn out_of_memory(graph: &Graph, victims: &[OomVictim], others: u64) -> String {
    let known = victims.iter().map(|OomVictim { pid, command, unit }| {
        let of = unit.map(|id| format!(" of {}", graph.node(id).unit.id())).unwrap_or_default();
        format!("{command} <pid={pid}>{of}")
    });
    let whom = match (victims.len(), others) {
        (0, 1) => "a process that was not the main process of a unit".to_owned(),
        (0, many) => format!("{many} processes that were not the main process of a unit"),
        _ => some(known),
    };
    format!("the OOM killer killed {whom}: the container reached its memory limit")
}
