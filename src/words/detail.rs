//! Details about the state of a unit.

use crate::config::{LogLine, Probe, shown};
use crate::engine::{Detail, NotMain, Purpose};
use crate::graph::{Graph, UnitId};

/// Returns a detail in words, about a unit that the sentence has named.
pub(crate) fn detail(graph: &Graph, id: UnitId, detail: &Detail) -> String {
    match detail {
        Detail::Words(words) | Detail::Place(words) | Detail::PreStart(words) => words.clone(),
        Detail::NoInterpreter(name) => {
            let help = if name.ends_with('\r') {
                ": the file has CRLF line endings, and the CR is part of the name; convert them"
            } else {
                ""
            };
            format!("its interpreter {} does not exist{help}", name.escape_debug())
        }
        Detail::OutOfMemory { .. } => {
            format!("it was {}", out_of_memory(detail).unwrap_or_default())
        }
        Detail::NotRoot => "trc is not root, and only root can do that".to_owned(),
        Detail::Status(status) => format!("it last said: {status}"),
        Detail::NotMain(why) => {
            let file = pid_file(graph, id);
            let why = match why {
                NotMain::Missing => " does not exist".to_owned(),
                NotMain::Unreadable(why) => format!(" cannot be read: {why}"),
                NotMain::OldFile => " is still the file from before its start".to_owned(),
                NotMain::NoNumber => " has no process ID in it".to_owned(),
                NotMain::Stranger(pid) => {
                    format!(" names {pid}, which is not one of its live processes")
                }
            };
            format!("it put itself into the background, but {file}{why}")
        }
        Detail::Closed => "it closed its notification descriptor without a newline".to_owned(),
        Detail::Silent => {
            format!("no line of its output matches{}", silent(&graph.node(id).unit.id()))
        }
    }
}

/// Returns, to follow "was", that the OOM killer has killed a unit, if this detail says so.
pub(super) fn out_of_memory(detail: &Detail) -> Option<String> {
    let Detail::OutOfMemory { used, limit } = detail else { return None };
    let memory = match (used, limit) {
        (Some(used), Some(limit)) => {
            format!(" ({} of {} MiB)", mebibytes(*used), mebibytes(*limit))
        }
        (None, Some(limit)) => format!(" (the limit is {} MiB)", mebibytes(*limit)),
        (Some(used), None) => format!(" ({} MiB)", mebibytes(*used)),
        (None, None) => String::new(),
    };
    Some(format!("killed by the OOM killer{memory}"))
}

/// Rounds a number of bytes to MiB.
fn mebibytes(bytes: u64) -> u64 {
    bytes.saturating_add(1 << 19) >> 20
}

/// Returns the `pid_file` of a unit; a reload may have taken it away.
pub(super) fn pid_file(graph: &Graph, id: UnitId) -> String {
    let file = graph.node(id).unit.pid_file.as_ref();
    file.map_or_else(|| "its pid_file".to_owned(), |file| shown(&file.value.to_string_lossy()))
}

/// Returns why a unit is not ready or not healthy: the detail, or else what its probe has waited
/// for.
pub(crate) fn not_up(
    graph: &Graph,
    id: UnitId,
    purpose: Purpose,
    known: Option<&Detail>,
) -> Option<String> {
    let unit = &graph.node(id).unit;
    let probe = match purpose {
        Purpose::Ready => unit.ready.as_ref().map(|ready| &ready.probe.value),
        Purpose::Health => unit.health.as_ref().map(|health| &health.probe.value),
    };
    let probe = probe?;
    match known {
        Some(Detail::Silent) if !matches!(probe, Probe::Log(_)) => {}
        Some(known) => return Some(detail(graph, id, known)),
        None => {}
    }
    match (probe, purpose) {
        (Probe::Log(LogLine { count: 1, .. }), _) => {
            Some("no line of its output matches".to_owned())
        }
        (Probe::Log(LogLine { count, .. }), _) => {
            Some(format!("fewer than {count} lines of its output match"))
        }
        (Probe::Notify, Purpose::Ready) => Some(
            "it sent no READY=1 to the socket in NOTIFY_SOCKET; many programs do so only with an \
             option, such as `redis-server --supervised systemd`"
                .to_owned(),
        ),
        (Probe::Notify, Purpose::Health) => {
            Some("it sent no WATCHDOG=1 to the socket in NOTIFY_SOCKET".to_owned())
        }
        (Probe::Fd(number), _) => Some(format!("it wrote no newline to descriptor {number}")),
        (
            Probe::Tcp(_)
            | Probe::Unix(_)
            | Probe::Http(_)
            | Probe::Exec(_)
            | Probe::File(_)
            | Probe::PidFile,
            _,
        ) => None,
    }
}

/// Returns, for the end of a sentence about a missing line, that the unit has written nothing:
/// programs buffer their output if it is a pipe and not a terminal.
pub(crate) fn silent(unit: &str) -> String {
    format!(
        "; {unit} has not written anything to its standard output yet: many programs buffer it while \
         it is a pipe (output = {{ pty = true }}, PYTHONUNBUFFERED=1 or `stdbuf -oL` helps)"
    )
}
