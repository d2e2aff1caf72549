//! What the command line supposes about a run.

use std::time::Duration;

use nix::errno::Errno;

use crate::config::{Stage, nearest, parse_time, seconds};
use crate::engine::{Ending, SpawnStage};
use crate::graph::{Graph, UnitId};
use crate::signal::Signal;
use crate::simulation::suppose::{Behavior, Stops, Story, success};

/// One thing that happens in a run.
#[derive(Clone, PartialEq, Debug)]
pub struct Supposition(Kind);

#[derive(Clone, PartialEq, Debug)]
enum Kind {
    /// A process of a unit exits by itself, and so does every later one if the flag is set.
    Ends {
        unit: String,
        ending: Ending,
        at: Duration,
        later: bool,
    },
    NeverReady(String),
    Ready(String, Duration),
    NotStarted(String),
    Unhealthy(String, Duration),
    IgnoresStop(String),
    StopTakes(String, Duration),
    Signal(Signal, Duration),
    Due(String, Duration),
}

impl Supposition {
    /// Reads `UNIT:STATUS@TIME`, with a `+` at the end if it holds for all later processes, too.
    ///
    /// # Errors
    /// Returns what is wrong.
    pub fn ends(text: &str) -> Result<Self, String> {
        let expected =
            || "expected UNIT:STATUS@TIME, such as db:1@10s or db:SIGKILL@10s".to_owned();
        let (rest, later) = match text.strip_suffix('+') {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let (rest, at) = rest.rsplit_once('@').ok_or_else(expected)?;
        let (unit, status) = rest.rsplit_once(':').ok_or_else(expected)?;
        let ending = match status.parse::<u32>() {
            Ok(code) => Ending::Code(
                u8::try_from(code)
                    .map_err(|_| format!("an exit status is at most 255, not {code}"))?,
            ),
            Err(_) => Ending::Signal(signal_named(status)?),
        };
        Ok(Self(Kind::Ends { unit: named(unit)?, ending, at: time(at)?, later }))
    }

    /// Reads the name of a unit that is never ready.
    ///
    /// # Errors
    /// Returns what is wrong.
    pub fn never_ready(text: &str) -> Result<Self, String> {
        Ok(Self(Kind::NeverReady(named(text)?)))
    }

    /// Reads `UNIT@TIME`, when a unit is ready.
    ///
    /// # Errors
    /// Returns what is wrong.
    pub fn ready(text: &str) -> Result<Self, String> {
        unit_at(text).map(|(unit, at)| Self(Kind::Ready(unit, at)))
    }

    /// Reads the name of a unit whose command cannot be executed.
    ///
    /// # Errors
    /// Returns what is wrong.
    pub fn not_started(text: &str) -> Result<Self, String> {
        Ok(Self(Kind::NotStarted(named(text)?)))
    }

    /// Reads `UNIT@TIME`, when a unit becomes unhealthy.
    ///
    /// # Errors
    /// Returns what is wrong.
    pub fn unhealthy(text: &str) -> Result<Self, String> {
        unit_at(text).map(|(unit, at)| Self(Kind::Unhealthy(unit, at)))
    }

    /// Reads the name of a unit that ignores its stop signal.
    ///
    /// # Errors
    /// Returns what is wrong.
    pub fn ignores_stop(text: &str) -> Result<Self, String> {
        Ok(Self(Kind::IgnoresStop(named(text)?)))
    }

    /// Reads `UNIT:TIME`, how long a unit takes to stop.
    ///
    /// # Errors
    /// Returns what is wrong.
    pub fn stop_takes(text: &str) -> Result<Self, String> {
        let parts = text.rsplit_once(':');
        let (unit, takes) = parts.ok_or("expected UNIT:TIME, such as db:3s")?;
        Ok(Self(Kind::StopTakes(named(unit)?, time(takes)?)))
    }

    /// Reads `SIGNAL@TIME`, when trc gets a signal.
    ///
    /// # Errors
    /// Returns what is wrong.
    pub fn signal(text: &str) -> Result<Self, String> {
        let parts = text.rsplit_once('@');
        let (name, at) = parts.ok_or("expected SIGNAL@TIME, such as TERM@20s")?;
        let signal = signal_named(name)?;
        if signal == Signal::KILL || signal == Signal::STOP {
            return Err(format!("no program gets to know of {signal}, and neither does trc"));
        }
        if signal.number() == nix::libc::SIGCHLD {
            return Err("SIGCHLD only tells trc that a process has exited".to_owned());
        }
        Ok(Self(Kind::Signal(signal, time(at)?)))
    }

    /// Reads `UNIT@TIME`, when a unit is due by its schedule.
    ///
    /// # Errors
    /// Returns what is wrong.
    pub fn due(text: &str) -> Result<Self, String> {
        unit_at(text).map(|(unit, at)| Self(Kind::Due(unit, at)))
    }
}

fn unit_at(text: &str) -> Result<(String, Duration), String> {
    let parts = text.rsplit_once('@');
    let (unit, at) = parts.ok_or("expected UNIT@TIME, such as db@10s")?;
    Ok((named(unit)?, time(at)?))
}

fn named(unit: &str) -> Result<String, String> {
    match unit {
        "" => Err("the name of the unit is missing".to_owned()),
        _ => Ok(unit.to_owned()),
    }
}

fn time(text: &str) -> Result<Duration, String> {
    parse_time(text).ok_or_else(|| format!("`{text}` is not a time such as 10s, 200ms or 1m30s"))
}

fn signal_named(name: &str) -> Result<Signal, String> {
    name.parse()
}

/// Adds suppositions to a story.
///
/// # Errors
/// Returns the first one that is impossible.
pub(super) fn apply(all: &[Supposition], graph: &Graph, story: &mut Story) -> Result<(), String> {
    // Those about each process come first, and then those about all of them.
    let (ends, others): (Vec<_>, Vec<_>) =
        all.iter().partition(|one| matches!(one.0, Kind::Ends { .. }));
    let mut closed: Vec<UnitId> = Vec::new();
    for Supposition(kind) in ends.into_iter().chain(others) {
        match kind {
            Kind::Ends { unit, ending, at, later } => {
                let id = with_process(graph, unit)?;
                if closed.contains(&id) {
                    let name = graph.node(id).unit.id();
                    return Err(format!("only the last --ends of {name} can have a `+`"));
                }
                let usual = Behavior::usual(graph.node(id));
                let life = Behavior { ends: Some((*at, *ending)), ..usual };
                let course = story.course(graph, id);
                course.lives.push(life);
                if *later {
                    course.later = life;
                    closed.push(id);
                }
            }
            Kind::NeverReady(unit) => {
                let id = with_ready(graph, unit)?;
                story.course(graph, id).each(|life| life.ready = None);
            }
            Kind::Ready(unit, at) => {
                let id = with_ready(graph, unit)?;
                story.course(graph, id).each(|life| life.ready = Some(*at));
            }
            Kind::NotStarted(unit) => {
                let id = with_process(graph, unit)?;
                let fails = Some((SpawnStage::Execute, Some(Errno::ENOENT)));
                story.course(graph, id).each(|life| life.fails = fails);
            }
            Kind::Unhealthy(unit, at) => {
                let id = find(graph, unit)?;
                if graph.node(id).unit.health.is_none() {
                    return Err(format!("{} has no `health`", graph.node(id).unit.id()));
                }
                story.course(graph, id).first().sick = Some((*at, None));
            }
            Kind::IgnoresStop(unit) => {
                let id = with_process(graph, unit)?;
                story.course(graph, id).each(|life| life.stop = Stops::Ignores);
            }
            Kind::StopTakes(unit, takes) => {
                let id = with_process(graph, unit)?;
                let stop = Stops::Exits(*takes, success(graph.node(id)));
                story.course(graph, id).each(|life| life.stop = stop);
            }
            Kind::Signal(signal, at) => story.signals.push((*at, *signal)),
            Kind::Due(unit, at) => {
                let id = find(graph, unit)?;
                if !graph.node(id).is_scheduled() {
                    return Err(format!("{} has no `schedule`", graph.node(id).unit.id()));
                }
                story.dues.push((*at, id));
            }
        }
    }
    let last = story.signals.iter().map(|(at, _)| *at).max().unwrap_or_default();
    if last > story.until {
        return Err(format!(
            "a signal at {} comes after the end of the simulation: --for is {}",
            seconds(last),
            seconds(story.until)
        ));
    }
    Ok(())
}

/// Returns the unit of this name, which trc starts.
fn with_process(graph: &Graph, name: &str) -> Result<UnitId, String> {
    let id = find(graph, name)?;
    let node = graph.node(id);
    match node.unit.stage {
        Stage::Test => Err(format!("{} is a test, which has no process", node.unit.id())),
        Stage::Boot | Stage::Async | Stage::Sync | Stage::Halt if node.is_outside() => {
            Err(format!("{} is external: trc starts no process for it", node.unit.id()))
        }
        Stage::Boot | Stage::Async | Stage::Sync | Stage::Halt => Ok(id),
    }
}

fn with_ready(graph: &Graph, name: &str) -> Result<UnitId, String> {
    let id = find(graph, name)?;
    match graph.node(id).unit.ready {
        Some(_) => Ok(id),
        None => Err(format!("{} has no `ready`", graph.node(id).unit.id())),
    }
}

/// Returns the unit of a name, which may lack the stage.
fn find(graph: &Graph, name: &str) -> Result<UnitId, String> {
    let units: Vec<(UnitId, String)> =
        graph.ids().map(|id| (id, graph.node(id).unit.id())).collect();
    if let Some((id, _)) = units.iter().find(|(_, full)| full == name) {
        return Ok(*id);
    }
    let short = |full: &str| full.split_once('.').map_or(String::new(), |(_, it)| it.to_owned());
    let found: Vec<&(UnitId, String)> =
        units.iter().filter(|(_, full)| short(full) == name).collect();
    match found[..] {
        [(id, _)] => Ok(*id),
        [] => {
            let shorts: Vec<String> = units.iter().map(|(_, full)| short(full)).collect();
            let fulls = units.iter().map(|(_, full)| full);
            let tip = nearest(name, shorts.iter().chain(fulls).map(String::as_str));
            let tip = tip.map(|right| format!(" (did you mean `{right}`?)")).unwrap_or_default();
            Err(format!("there is no unit `{name}`{tip}"))
        }
        [..] => {
            let names: Vec<&str> = found.iter().map(|(_, full)| full.as_str()).collect();
            Err(format!("`{name}` is ambiguous: it may be {}", names.join(" or ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(unit: &str, ending: Ending, ms: u64, later: bool) -> Supposition {
        let at = Duration::from_millis(ms);
        Supposition(Kind::Ends { unit: unit.to_owned(), ending, at, later })
    }

    #[test]
    fn an_end_has_a_unit_a_status_or_a_signal_and_a_time() {
        let killed = Ending::Signal(Signal::KILL);
        for (text, expected) in [
            ("db:137@10s", ends("db", Ending::Code(137), 10_000, false)),
            ("db:SIGKILL@10s", ends("db", killed, 10_000, false)),
            ("async.db:kill@1m30s", ends("async.db", killed, 90_000, false)),
            ("worker@1:0@200ms+", ends("worker@1", Ending::Code(0), 200, true)),
        ] {
            assert_eq!(Supposition::ends(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_wrong_end_says_what_is_expected() {
        let form = "expected UNIT:STATUS@TIME, such as db:1@10s or db:SIGKILL@10s";
        for (text, expected) in [
            ("db", form),
            ("db:1", form),
            ("db@10s", form),
            (":1@10s", "the name of the unit is missing"),
            ("db:256@10s", "an exit status is at most 255, not 256"),
            ("db:KIL@10s", "`KIL` is not a signal: expected a name such as SIGTERM or TERM"),
            ("db:1@soon", "`soon` is not a time such as 10s, 200ms or 1m30s"),
            ("db:1@", "`` is not a time such as 10s, 200ms or 1m30s"),
        ] {
            assert_eq!(Supposition::ends(text), Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn signals_that_trc_cannot_handle_are_refused() {
        let why = "no program gets to know of SIGKILL, and neither does trc";
        assert_eq!(Supposition::signal("KILL@1s"), Err(why.to_owned()));
        let term = Supposition(Kind::Signal(Signal::TERM, Duration::from_secs(20)));
        assert_eq!(Supposition::signal("TERM@20s"), Ok(term));
        assert!(Supposition::signal("TERM").is_err());
    }

    #[test]
    fn other_suppositions_name_a_unit_and_a_time() {
        let at = |kind: fn(String, Duration) -> Kind| {
            Ok(Supposition(kind("worker@1".to_owned(), Duration::from_secs(3))))
        };
        assert_eq!(Supposition::ready("worker@1@3s"), at(Kind::Ready));
        assert_eq!(Supposition::unhealthy("worker@1@3s"), at(Kind::Unhealthy));
        assert_eq!(Supposition::due("worker@1@3s"), at(Kind::Due));
        assert_eq!(Supposition::stop_takes("worker@1:3s"), at(Kind::StopTakes));
        assert!(Supposition::ready("worker").is_err());
        assert!(Supposition::stop_takes("worker@3s").is_err());
        assert!(Supposition::never_ready("").is_err());
    }
}
