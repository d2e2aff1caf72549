//! `trcctl simulate`: what trc would do with a configuration if its units behaved in a certain way.
//! The engine of trc itself decides, in virtual time, and no process is started.
//!
//! `supposition.rs` reads what the command line supposes. `failures.rs` tries every single failure of
//! every unit.

mod failures;
mod supposition;

use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;

use super::check;
use super::fitting::{width, wrap};
use super::here::here;
use super::live::{Color, Look, complain, say};
use super::story::{self, Moment, to_the_millisecond};
use crate::config::{CommandLine, Environment, Loaded, load, seconds};
use crate::engine::Ended;
use crate::graph::Graph;
use crate::simulation::suppose::{End, Fate, Story, suppose};
use crate::status;
use crate::text::harmless;
use crate::words::{self, Observed};
pub use supposition::Supposition;

/// The default of the longest virtual time of a run.
const HOUR: Duration = Duration::from_hours(1);
/// The default if every failure is simulated.
const TEN_MINUTES: Duration = Duration::from_mins(10);
/// The longest virtual time.
const LONGEST: Duration = Duration::from_hours(30 * 24);

/// The options of `trcctl simulate` that trc itself does not have.
#[derive(Clone, Debug)]
pub struct Options {
    /// What happens in the run.
    pub suppositions: Vec<Supposition>,
    /// The virtual time after which the simulation stops.
    pub until: Option<Duration>,
    /// Whether to simulate every single failure instead.
    pub all: bool,
    /// Whether to print JSON.
    pub json: bool,
    /// The exit status that the run is expected to have.
    pub expect: Option<u8>,
    /// Seeds what trc leaves to chance.
    pub chance: u64,
    /// Whether to print colours: always or never.
    pub color: Color,
}

/// The whole output as JSON.
#[derive(Serialize)]
struct Json<'a> {
    /// The lines that trc would write.
    lines: &'a [Moment],
    /// Whether the run ends.
    ends: bool,
    /// The exit status of trc.
    exitcode: Option<u8>,
    /// When the run ends, or how far the simulation goes, in seconds.
    after: f64,
    /// Why the run ends.
    reason: Option<&'a str>,
    units: Vec<JsonUnit>,
}

/// A unit at the end.
#[derive(Serialize)]
struct JsonUnit {
    name: String,
    state: &'static str,
    processes: u32,
    restarts: u32,
}

/// Simulates the run of a configuration, and prints it, or prints the errors of the configuration.
/// Returns the exit status.
///
/// # Errors
/// Returns what is wrong with the command line.
pub fn run(line: &CommandLine, environment: &Environment, options: &Options) -> Result<u8, String> {
    // Like a list of the tests, a simulation does not need the variables that only tests need.
    let line = CommandLine { test_list: line.test.is_some(), ..here(line) };
    let Some(loaded) = loaded(&line, environment) else { return Ok(status::CONFIG) };
    let Ok(graph) = Graph::build(&loaded.config) else { return Ok(status::CONFIG) };
    let graph = Rc::new(graph);
    let until = options.until.unwrap_or(if options.all { TEN_MINUTES } else { HOUR });
    if until > LONGEST {
        return Err(format!("--for is longer than {} h", LONGEST.as_secs() / 3600));
    }
    if options.all && options.until.is_some() {
        return Err(
            "--for cannot be used with --all-single-failures, which simulates 10 minutes each"
                .to_owned(),
        );
    }
    if options.all {
        let tried = failures::all(&graph, until);
        say(&if options.json {
            failures::json(&tried)
        } else {
            failures::table(&tried, options.color)
        });
        return Ok(0);
    }
    let mut story = Story::usual(&graph, until);
    supposition::apply(&options.suppositions, &graph, &mut story)?;
    let level = loaded.config.log.level;
    let mut moments = Vec::new();
    if graph.order.is_empty() {
        let nothing = Observed::NothingToRun(&loaded.config.work_dir);
        moments.push(Moment::new(Duration::ZERO, &words::observed(&graph, &nothing), &graph));
    }
    let end = suppose(&graph, options.chance, &story, &mut |at, line| {
        if line.level <= level {
            moments.push(Moment::new(at, line, &graph));
        }
    });
    say(&if options.json {
        json(&moments, &end)
    } else {
        let told = story::lines(&moments, width(), options.color);
        let gap = if told.is_empty() { "" } else { "\n" };
        format!("{told}{gap}{}", last(&graph, &end, options.color))
    });
    match options.expect {
        Some(status) if end.status != Some(status) => {
            let instead = match end.status {
                Some(other) => format!("it exits with {other}"),
                None => "it goes on".to_owned(),
            };
            complain(&format_args!("the run is expected to exit with {status}, but {instead}"));
            Ok(1)
        }
        Some(_) | None => Ok(0),
    }
}

/// Loads a configuration without errors. The check of it has loaded the tests, too, which can change
/// the kind of a unit.
fn loaded(line: &CommandLine, environment: &Environment) -> Option<Loaded> {
    let checked = check::correct(line, environment)?;
    if checked.config.testing.is_some() && line.test.is_none() {
        return Some(load(line, environment).unwrap_or_else(|refused| *refused.understood));
    }
    Some(checked)
}

/// Returns the end of a story, for people.
pub(super) fn last(graph: &Graph, end: &End, color: Color) -> String {
    let at = seconds(end.at);
    let (look, sentence) = match (end.status, &end.reason) {
        (Some(0), None) => (Look::Good, format!("trc exits with 0 after {at}")),
        (Some(0), Some(why)) => (Look::Good, format!("trc exits with 0 after {at}: {why}")),
        (Some(status), why) => {
            let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            (Look::Bad, format!("trc exits with {status} after {at}{why}"))
        }
        (None, _) if end.cut => (
            Look::Pending,
            format!("too much happens to simulate it all: the simulation stops after {at}"),
        ),
        (None, _) if end.rests => {
            (Look::Good, format!("the run goes on: nothing more happens after {at}"))
        }
        (None, _) => (Look::Good, format!("the run goes on after {at}")),
    };
    let mut text = String::new();
    let mut add = |look: Look, sentence: &str| {
        for line in wrap(&harmless(sentence), width()) {
            _ = writeln!(text, "{}", color.paint(look, &line));
        }
    };
    add(look, &sentence);
    if end.status.is_none() {
        for fate in &end.units {
            let node = graph.node(fate.unit);
            // A service that has exited with 0 is down, too; a job runs again.
            let is_down = |ended: &Ended| ended.failed() || node.counts() && !node.oneshot;
            let ended = fate.last.ended.filter(|ended| is_down(ended) && !node.is_scheduled());
            if let Some(ended) = ended {
                let how = words::reason::how(graph, ended);
                let sentence = format!("{} {how}, and nothing restarts it", fate.last.name);
                add(Look::Bad, &sentence);
            }
        }
    }
    text
}

/// Returns a story and its end as JSON.
pub(super) fn json(lines: &[Moment], end: &End) -> String {
    let unit = |fate: &Fate| JsonUnit {
        name: fate.last.name.clone(),
        state: fate.last.phase.word(),
        processes: fate.processes,
        restarts: fate.restarts,
    };
    let whole = Json {
        lines,
        ends: end.status.is_some(),
        exitcode: end.status,
        after: to_the_millisecond(end.at),
        reason: end.reason.as_deref(),
        units: end.units.iter().map(unit).collect(),
    };
    serde_json::to_string_pretty(&whole).unwrap_or_default() + "\n"
}
