//! Requests and their answers, as lines of the log.

use log::Level;

use super::detail;
use super::event_name::EventName;
use super::line::Line;
use super::reason::how;
use super::sender::asker;
use super::some;
use crate::config::{ReloadBy, seconds, typed};
use crate::engine::{
    Answer, Asker, Detail, Failing, JobEnd, NoJob, NotReloaded, Refusal, Request, Task,
};
use crate::graph::{Graph, UnitId};

/// Returns the line for a request and its answer.
pub(super) fn requested(
    graph: &Graph,
    id: UnitId,
    request: Request,
    by: &Asker,
    answer: Answer,
    dependents: &[UnitId],
) -> Line {
    let name = graph.node(id).unit.id();
    let what = match request {
        Request::Job(Task::Reload) => match graph.node(id).unit.reload.as_ref().map(|it| &it.by) {
            Some(ReloadBy::Signal(signal)) => format!("reload {name} ({signal})"),
            Some(ReloadBy::Exec(words)) => format!("reload {name} (`{}`)", typed(words)),
            None => format!("reload {name}"),
        },
        Request::Job(task) => format!("{} {name}", verb(task)),
        Request::Signal(signal) => format!("send {signal} to {name}"),
        Request::StopWithDependents => format!("stop {name} and what depends on it"),
        Request::Reset => format!("forget the restarts of {name}"),
    };
    let (level, then) = match answer {
        Answer::Begun(_) if !dependents.is_empty() && request == Request::Job(Task::Stop) => {
            let names = dependents.iter().map(|id| graph.node(*id).unit.id());
            (Level::Info, format!("; still needed by {}", some(names)))
        }
        Answer::Begun(_) | Answer::Sent | Answer::Forgotten => (Level::Info, String::new()),
        Answer::Joined(_) => (Level::Info, ": that is being done already".to_owned()),
        Answer::Unchanged => (Level::Info, ": there is nothing to do".to_owned()),
        Answer::Refused(why) => (Level::Warn, format!(", but {}", refusal(&name, why))),
    };
    let message = format!("{} asked to {what}{then}", asker(graph, by));
    Line::about(level, EventName::Requested, id, message)
}

/// Returns the answer to a request for whoever has asked.
pub(crate) fn answer(graph: &Graph, id: UnitId, request: Request, answer: Answer) -> String {
    let name = graph.node(id).unit.id();
    match (answer, request) {
        (Answer::Refused(why), _) => refusal(&name, why),
        (Answer::Sent, Request::Signal(signal)) => format!("sent {signal} to {name}"),
        (Answer::Unchanged, Request::Job(Task::Stop) | Request::StopWithDependents) => {
            format!("{name} has stopped already")
        }
        (Answer::Unchanged, Request::Reset) => format!("{name} has no restarts to forget"),
        (Answer::Unchanged, _) => format!("{name} is up already"),
        (Answer::Joined(_), Request::Job(task)) => {
            format!("somebody has asked to {} {name} already", verb(task))
        }
        (Answer::Forgotten, _) => format!("trc has forgotten the restarts of {name}"),
        (_, Request::Job(task)) => format!("asked trc to {} {name}", verb(task)),
        (_, Request::StopWithDependents) => {
            format!("asked trc to stop {name} and what depends on it")
        }
        (_, Request::Signal(signal)) => format!("asked trc to send {signal} to {name}"),
        (_, Request::Reset) => format!("asked trc to forget the restarts of {name}"),
    }
}

/// Returns the line for a job that is done, or comes to nothing.
pub(super) fn job_ended(
    graph: &Graph,
    id: UnitId,
    task: Task,
    end: JobEnd,
    why: Option<&Detail>,
) -> Line {
    let name = graph.node(id).unit.id();
    let (level, message) = match end {
        JobEnd::Done => {
            let done = match task {
                Task::Start => "is up, as asked",
                Task::Stop => "has stopped, as asked, and stays so until somebody starts it",
                Task::Restart => "is up again, as asked",
                Task::Reload => "has reloaded, as asked",
            };
            (Level::Info, format!("{name} {done}"))
        }
        JobEnd::Failed(ended) => {
            let why = how(graph, ended);
            (Level::Error, format!("could not {} {name}: it {why}", verb(task)))
        }
        JobEnd::NotReloaded(reason) => {
            let why = not_reloaded_because(graph, id, reason, why);
            (Level::Error, format!("could not reload {name}: {why}"))
        }
        JobEnd::Superseded => (
            Level::Info,
            format!("no longer trying to {} {name}: asked for something else", verb(task)),
        ),
        JobEnd::Cancelled => {
            (Level::Info, format!("no longer trying to {} {name}: cancelled", verb(task)))
        }
        JobEnd::RunStops => {
            (Level::Info, format!("no longer trying to {} {name}: the run is stopping", verb(task)))
        }
    };
    Line::about(level, EventName::JobEnded, id, message)
}

/// Returns the line for a job that somebody has cancelled.
pub(super) fn cancelled(graph: &Graph, id: UnitId, job: u32, task: Task, by: &Asker) -> Line {
    let (name, by) = (graph.node(id).unit.id(), asker(graph, by));
    let message = format!("{by} asked to cancel job {job}, which is to {} {name}", verb(task));
    Line::about(Level::Info, EventName::Requested, id, message)
}

/// Returns the line for a job that cannot be cancelled.
pub(super) fn not_cancelled(graph: &Graph, job: u32, by: &Asker, why: NoJob) -> Line {
    let why = match why {
        NoJob::Over => "it is over",
        NoJob::Unknown => "there has never been such a job",
    };
    let message = format!("{} asked to cancel job {job}, but {why}", asker(graph, by));
    Line::of_run(Level::Warn, EventName::Requested, message)
}

/// Returns the line for a request to stop the run.
pub(super) fn shut_down(
    graph: &Graph,
    exit: Option<u8>,
    by: &Asker,
    refused: Option<Refusal>,
) -> Line {
    let with = exit.map_or_else(String::new, |status| format!(" with exit status {status}"));
    let (level, then) = match refused {
        None => (Level::Info, String::new()),
        Some(why) => (Level::Warn, format!(", but {}", refusal("it", why))),
    };
    let message = format!("{} asked to stop the run{with}{then}", asker(graph, by));
    Line::of_run(level, EventName::Requested, message)
}

fn verb(task: Task) -> &'static str {
    match task {
        Task::Start => "start",
        Task::Stop => "stop",
        Task::Restart => "restart",
        Task::Reload => "reload",
    }
}

/// Returns why a unit did not reload.
fn not_reloaded_because(
    graph: &Graph,
    id: UnitId,
    reason: NotReloaded,
    why: Option<&Detail>,
) -> String {
    let within = graph.node(id).unit.reload.as_ref().map(|reload| reload.within);
    let within =
        within.map_or_else(|| "in time".to_owned(), |it| format!("within {}", seconds(it)));
    let why = why.map(|why| detail(graph, id, why));
    let because = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    let what = match reason {
        NotReloaded::Gone => return "it did not stay up".to_owned(),
        NotReloaded::Command => why.unwrap_or_else(|| "its command failed".to_owned()),
        NotReloaded::SlowCommand => format!("its command did not exit {within}"),
        NotReloaded::NotBegun => format!(
            "it sent no RELOADING=1 {within} to the socket in NOTIFY_SOCKET, as `ready.notify` asks for"
        ),
        NotReloaded::NotReady => {
            format!("it sent RELOADING=1, but no READY=1 after it {within}{because}")
        }
        NotReloaded::NotFound => format!("it was not ready again {within}{because}"),
    };
    format!("{what}; it runs on")
}

/// Returns the line for a new configuration that takes over when these units are gone.
pub(super) fn reloading(graph: &Graph, going: &[UnitId], by: &Asker) -> Line {
    let names = going.iter().map(|id| graph.node(*id).unit.id());
    let stops =
        if going.is_empty() { String::new() } else { format!("; stopping {}", some(names)) };
    let message = format!("{} asked to reload the configuration{stops}", asker(graph, by));
    Line::of_run(Level::Info, EventName::Reloading, message)
}

/// Returns the line for an old configuration that comes back, because a unit of the new one has
/// failed.
pub(super) fn rolled_back(graph: &Graph, id: UnitId, why: Failing) -> Line {
    let name = graph.node(id).unit.id();
    let why = match why {
        Failing::Ended(ended) => how(graph, ended),
        Failing::NotReady => "was not up in time".to_owned(),
        Failing::Exited => "exited before it was up".to_owned(),
    };
    let message = format!("going back to the previous configuration, because {name} {why}");
    Line::about(Level::Error, EventName::Reloading, id, message)
}

/// Returns the line for a new configuration that does not take over.
pub(super) fn not_reloaded(why: Refusal) -> Line {
    let why = refusal("it", why);
    Line::of_run(
        Level::Warn,
        EventName::Reloading,
        format!("cannot reload the configuration: {why}"),
    )
}

/// Returns why a request for a unit, or for the run, is refused.
pub(crate) fn refusal(name: &str, why: Refusal) -> String {
    match why {
        Refusal::Booting => "the boot units have not finished".to_owned(),
        Refusal::Stopping => "the run is stopping".to_owned(),
        Refusal::Testing => "this is a test run".to_owned(),
        Refusal::NoService => {
            format!("{name} takes no requests: only async and sync units with a command do")
        }
        Refusal::HadItsTurn => {
            format!("{name} has ended, and a foreground unit runs only when it is its turn")
        }
        Refusal::Unkillable => format!("a process of {name} has survived SIGKILL"),
        Refusal::Reloading => "another configuration is about to take over".to_owned(),
        Refusal::NotRunning => format!("{name} is not running"),
        Refusal::NotUp => format!("{name} is not up yet, and only a unit that is up can reload"),
        Refusal::NoReload => format!(
            "{name} has no `reload` in the configuration: add reload = {{ signal = \"SIGHUP\" }}, or use \
             `trcctl restart`"
        ),
    }
}
