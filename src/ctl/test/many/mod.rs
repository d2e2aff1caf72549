//! A series of test runs: the same one again and again, or one for each fault or unit that is held
//! back.

pub mod plan;
mod text;
mod times;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::hash::{BuildHasher as _, RandomState};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::image::Refused;
use super::progress::Progress;
use super::summary::{self, Style};
use super::{Place, Request, Runner};
use crate::config::{Environment, load};
use crate::graph::Graph;
use crate::report::{Outcome, Suite};
use crate::status;
use plan::{Faults, Left, Variant};
use times::{Spread, Times};

/// The version of the JSON report of a series.
const VERSION: u32 = 1;

/// The share of a time limit, in percent, above which a time is near to it.
const NEAR: u128 = 50;

/// The series that was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Series {
    /// The same run again and again. With `jitter`, units start at random moments up to this time
    /// later.
    Repeat {
        /// How often.
        times: u32,
        /// The longest delay.
        jitter: Option<Duration>,
    },
    /// A run for each service and fault.
    Faults(Faults),
    /// A run for each service that is held back for this time.
    Delay(Duration),
}

/// A series, and the form of its results.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// The series.
    pub series: Series,
    /// Whether the results are printed as JSON.
    pub json: bool,
}

impl Series {
    fn name(self) -> &'static str {
        match self {
            Self::Repeat { .. } => "repeat",
            Self::Faults(_) => "faults",
            Self::Delay(_) => "delay",
        }
    }
}

/// The result of one run.
#[derive(Debug, Serialize)]
struct Ran {
    name: String,
    what: Option<String>,
    unit: Option<String>,
    passed: bool,
    status: u8,
    #[serde(rename = "took_ms", serialize_with = "times::milliseconds")]
    took: Duration,
    /// The test points that failed.
    failed: Vec<Failed>,
    /// What would prevent that.
    advice: Vec<String>,
}

/// A test point that failed.
#[derive(Clone, Debug, Serialize)]
struct Failed {
    name: String,
    why: String,
}

/// The times of a unit or a test.
#[derive(Debug, Serialize)]
struct Timed {
    name: String,
    /// The time limit, and its key.
    #[serde(
        rename = "limit_ms",
        skip_serializing_if = "Option::is_none",
        serialize_with = "optional"
    )]
    limit: Option<Duration>,
    key: &'static str,
    #[serde(flatten)]
    spread: Spread,
    count: usize,
    /// The share of the limit that the longest time used, in percent.
    used_percent: Option<u64>,
    #[serde(skip)]
    histogram: Option<String>,
}

#[expect(clippy::ref_option, reason = "serde asks for it")]
fn optional<S: serde::Serializer>(time: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    times::milliseconds(&time.unwrap_or_default(), to)
}

/// A test point that passed in some runs only.
#[derive(Debug, Serialize)]
struct Flaky {
    name: String,
    passed: usize,
    of: usize,
    /// Why it failed the first time.
    why: String,
}

/// A run that would make no sense.
#[derive(Debug, Serialize)]
struct Skipped {
    name: String,
    why: String,
}

/// The report of a whole series.
#[derive(Debug, Serialize)]
struct Report {
    version: u32,
    series: &'static str,
    passed: bool,
    /// Whether a signal ended it early.
    interrupted: bool,
    planned: usize,
    runs: Vec<Ran>,
    skipped: Vec<Skipped>,
    units: Vec<Timed>,
    tests: Vec<Timed>,
    flaky: Vec<Flaky>,
}

/// What is known of the configuration: the graph of a test run.
fn graph(request: &Request, place: &Place) -> Result<Graph, String> {
    let (line, environment): (_, Environment) = match place {
        Place::Here(_) => (request.loaded_by_trc(), std::env::vars_os().collect()),
        Place::Container(image) => {
            let (line, environment) = image.seen_from_here().ok_or(
                "the configuration of an image that has its own trc cannot be seen from here\n  \
                 put trcctl into the image, and run it there",
            )?;
            (request.with_tests(line), environment)
        }
    };
    let loaded = load(&line, &environment);
    let graph = loaded.ok().and_then(|loaded| Graph::build(&loaded.config).ok());
    graph.ok_or_else(|| "the configuration has errors".to_owned())
}

/// Runs a series, and prints its results. Returns the exit status.
pub(super) fn run(request: &Request, place: &Place, wanted: Wanted) -> u8 {
    let Wanted { series, json } = wanted;
    let graph = graph(request, place);
    let planned = planned(request, place, series, graph.as_ref());
    let (variants, left) = match planned {
        Ok(planned) => planned,
        Err((why, status)) => return super::problem(&why, status),
    };
    let style = Style::of_stdout();
    let repeats = matches!(series, Series::Repeat { .. });
    let skipped = left.into_iter().map(|left| Skipped { name: left.name, why: left.why });
    let mut report = Report {
        version: VERSION,
        series: series.name(),
        passed: false,
        interrupted: false,
        planned: variants.len(),
        runs: Vec::new(),
        skipped: skipped.collect(),
        units: Vec::new(),
        tests: Vec::new(),
        flaky: Vec::new(),
    };
    let graph = graph.ok();
    let skipped = report.skipped.iter().map(|skipped| &skipped.name);
    let names = variants.iter().map(|variant| &variant.name).chain(skipped);
    let width = names.map(|name| name.chars().count()).max().unwrap_or(0);
    let mut runner = Runner::new(request, place);
    let mut seen = Seen::default();
    for (at, variant) in variants.iter().enumerate() {
        let mut progress = Progress::new(request.verbose);
        progress.title = format!("{} ({} of {})", variant.name, at + 1, variants.len());
        let suite = match runner.run(variant_of(variant), &mut progress) {
            Ok(status) => match progress.report(status) {
                Some(suite) => suite,
                None => return super::tell(request, place, &[], &mut progress, status),
            },
            Err(why) => return super::problem(&why, status::SOFTWARE),
        };
        let suite = without_holders(suite);
        seen.add(&suite, &progress.ready);
        let ran = ran(variant, &suite, graph.as_ref());
        let first_failed = at == 0 && !ran.passed && !repeats;
        if !json {
            say(&text::run(&ran, width, style, !repeats));
        }
        report.runs.push(ran);
        if progress.interrupted {
            report.interrupted = true;
            break;
        }
        if first_failed && !json {
            say(&format!("\n{}", summary::summary(&suite, style)));
            say("\nthe tests fail as they are: nothing else was tried\n");
            return 1;
        }
        if first_failed {
            break;
        }
    }
    report.passed = !report.interrupted && report.runs.iter().all(|ran| ran.passed);
    if repeats {
        (report.units, report.tests) = seen.timed(graph.as_ref());
        report.flaky = seen.flaky();
    }
    if json {
        say(&(serde_json::to_string_pretty(&report).unwrap_or_default() + "\n"));
    } else {
        say(&text::end(&report, width, style));
    }
    u8::from(!report.passed)
}

fn variant_of(variant: &Variant) -> super::Extra<'_> {
    super::Extra { toml: &variant.toml, tests: &variant.tests, added: &variant.added }
}

/// Returns the runs of a series, and those that would make no sense.
fn planned(
    request: &Request,
    place: &Place,
    series: Series,
    graph: Result<&Graph, &String>,
) -> Result<(Vec<Variant>, Vec<Left>), Refused> {
    let known = || graph.map_err(|why| (why.clone(), status::CONFIG));
    let holder = || trcctl(place).map_err(|why| (why, status::CANNOT_EXECUTE));
    let as_it_is = || Variant { name: "as it is".to_owned(), ..Variant::default() };
    let chosen = || -> Vec<String> {
        let names = request.names.iter().flat_map(|names| names.split(','));
        names.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
    };
    let (runs, left) = match series {
        Series::Repeat { times, jitter } => {
            let name = |at: u32| format!("run {at}");
            let mut runs = Vec::new();
            let mut chance = Chance::new();
            for at in 1..=times {
                let variant = match jitter {
                    None => Variant::default(),
                    Some(most) => plan::jitter(known()?, &holder()?, most, || chance.thousandths()),
                };
                runs.push(Variant { name: name(at), ..variant });
            }
            return Ok((runs, Vec::new()));
        }
        Series::Faults(faults) => plan::faults(known()?, faults, &chosen()),
        Series::Delay(time) => plan::delays(known()?, &holder()?, time),
    };
    if runs.is_empty() {
        let whys: Vec<String> =
            left.iter().map(|left| format!("{}: {}", left.name, left.why)).collect();
        let whys = if whys.is_empty() { "there is no service".to_owned() } else { whys.join("; ") };
        return Err((format!("there is nothing to try: {whys}"), status::CONFIG));
    }
    Ok((std::iter::once(as_it_is()).chain(runs).collect(), left))
}

/// Returns the path of `trcctl` where trc runs.
fn trcctl(place: &Place) -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|why| format!("cannot find trcctl itself: {why}"))?;
    match place {
        Place::Here(_) => Ok(own),
        Place::Container(image) => image.add_trcctl(&own),
    }
}

/// Numbers that nobody can foresee.
struct Chance(u64);

impl Chance {
    fn new() -> Self {
        Self(RandomState::new().hash_one(0) | 1)
    }

    /// Returns a number from 0 to 1000: xorshift.
    fn thousandths(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 % 1001).unwrap_or_default()
    }
}

/// Returns the suite without the units that hold others back.
fn without_holders(suite: Suite) -> Suite {
    let points = suite.points.into_iter().filter(|point| !plan::is_holder(&point.name));
    Suite { points: points.collect(), ..suite }
}

fn ran(variant: &Variant, suite: &Suite, graph: Option<&Graph>) -> Ran {
    let failed = suite.points.iter().filter(|point| point.outcome.fails());
    let failed = failed.map(|point| Failed { name: point.name.clone(), why: point.message() });
    let mut failed: Vec<Failed> = failed.collect();
    if failed.is_empty() && suite.status != 0 {
        let why =
            suite.reason.clone().unwrap_or_else(|| format!("trc exited with {}", suite.status));
        failed.push(Failed { name: "trc".to_owned(), why });
    }
    let names: Vec<String> = failed.iter().map(|failed| failed.name.clone()).collect();
    let advice = graph.filter(|_| !variant.unit.is_empty()).map(|graph| {
        let advise = if variant.added.is_empty() { plan::together } else { plan::missing };
        advise(graph, &variant.unit, &names)
    });
    let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    Ran {
        name: variant.name.clone(),
        what: some(&variant.what),
        unit: some(&variant.unit),
        passed: suite.status == 0,
        status: suite.status,
        took: suite.took,
        failed,
        advice: advice.unwrap_or_default(),
    }
}

/// What the runs have shown so far.
#[derive(Default)]
struct Seen {
    runs: usize,
    /// The names in the order in which they came, with the times.
    units: Vec<(String, Times)>,
    tests: Vec<(String, Times)>,
    /// How often each test point failed, and why the first time.
    failed: BTreeMap<String, (usize, String)>,
}

fn add(to: &mut Vec<(String, Times)>, name: &str, time: Duration) {
    let at = to.iter().position(|(other, _)| other == name).unwrap_or_else(|| {
        to.push((name.to_owned(), Times::default()));
        to.len() - 1
    });
    to[at].1.add(time);
}

impl Seen {
    fn add(&mut self, suite: &Suite, ready: &[(String, Duration)]) {
        self.runs += 1;
        for (unit, time) in ready.iter().filter(|(unit, _)| !plan::is_holder(unit)) {
            add(&mut self.units, unit, *time);
        }
        for point in &suite.points {
            if point.is_test() && point.outcome != Outcome::NotRun {
                add(&mut self.tests, &point.name, point.took);
            }
            if point.outcome.fails() {
                let first = || (0, point.message());
                self.failed.entry(point.name.clone()).or_insert_with(first).0 += 1;
            }
        }
    }

    fn flaky(&self) -> Vec<Flaky> {
        let some = self.failed.iter().filter(|(_, (count, _))| *count < self.runs);
        let flaky = |(name, (count, why)): (&String, &(usize, String))| Flaky {
            name: name.clone(),
            passed: self.runs - count,
            of: self.runs,
            why: why.clone(),
        };
        some.map(flaky).collect()
    }

    /// Returns the times of units and of tests, with the limits that the configuration sets.
    fn timed(&self, graph: Option<&Graph>) -> (Vec<Timed>, Vec<Timed>) {
        let node = |name: &str| {
            let graph = graph?;
            let mut ids = graph.ids();
            ids.find(|id| graph.node(*id).unit.id() == name).map(|id| graph.node(id))
        };
        let ready = |name: &str| node(name)?.unit.ready.as_ref().map(|ready| ready.within);
        let within = |name: &str| node(name)?.test()?.within;
        let units = self.units.iter();
        let units =
            units.filter_map(|(name, times)| timed(name, times, ready(name), "ready.within"));
        let tests = self.tests.iter();
        let tests = tests.filter_map(|(name, times)| timed(name, times, within(name), "within"));
        (units.collect(), tests.collect())
    }
}

fn timed(name: &str, times: &Times, limit: Option<Duration>, key: &'static str) -> Option<Timed> {
    let spread = times.spread()?;
    let used = limit.filter(|limit| !limit.is_zero()).map(|limit| {
        let percent = spread.max.as_millis() * 100 / limit.as_millis().max(1);
        u64::try_from(percent).unwrap_or(u64::MAX)
    });
    Some(Timed {
        name: name.to_owned(),
        limit,
        key,
        spread,
        count: times.all().len(),
        used_percent: used,
        histogram: times.histogram(),
    })
}

impl Timed {
    /// Tells whether the longest time was near the limit.
    fn is_near(&self) -> bool {
        self.used_percent.is_some_and(|used| u128::from(used) > NEAR)
    }
}

/// Writes to standard output. A reader that has gone away does not change the exit status.
fn say(text: &str) {
    let mut stdout = std::io::stdout().lock();
    _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Runs the process that holds a unit back. `arguments` are those after the word that starts it.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this process does nothing but wait")]
pub fn hold(arguments: &[OsString]) -> u8 {
    let time = arguments.first().and_then(|time| time.to_str()).and_then(|time| time.parse().ok());
    let Some(time) = time else { return status::USAGE };
    std::thread::sleep(Duration::from_millis(time));
    0
}
