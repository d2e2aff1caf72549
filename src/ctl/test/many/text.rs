//! The results of a series, for people.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Ran, Report, Timed};
use crate::config::seconds;
use crate::ctl::test::summary::{FAINT, GREEN, RED, Style, YELLOW, long};
use crate::report::Outcome;

/// The number of failed test points that the line of a run names.
const NAMED: usize = 3;

/// Returns the line of a run. In a series of equal runs only those that failed have one, unless
/// `all`.
pub(super) fn run(ran: &Ran, width: usize, style: Style, all: bool) -> String {
    if ran.passed && !all {
        return String::new();
    }
    let outcome = if ran.passed { Outcome::Passed } else { Outcome::Failed };
    let names: Vec<&str> = ran.failed.iter().map(|failed| failed.name.as_str()).collect();
    let broken = match names.len() {
        0 => String::new(),
        count if count > NAMED => {
            format!("{} and {} more", names[..NAMED].join(", "), count - NAMED)
        }
        _ => names.join(", "),
    };
    let what = ran.what.as_deref().filter(|_| broken.is_empty() || !all).unwrap_or_default();
    let parts: Vec<&str> =
        [broken.as_str(), what].into_iter().filter(|it| !it.is_empty()).collect();
    let line = format!(
        "{}  {:width$}  {}  {}",
        style.mark(outcome),
        ran.name,
        style.paint(FAINT, &format!("{:>8}", long(ran.took))),
        parts.join("; ")
    );
    line.trim_end().to_owned() + "\n"
}

/// Returns everything that follows the lines of the runs, whose names are this wide.
pub(super) fn end(report: &Report, width: usize, style: Style) -> String {
    let mut out = String::new();
    for skipped in &report.skipped {
        let _ = writeln!(
            out,
            "{}  {:width$}            {}",
            style.mark(Outcome::Skipped),
            skipped.name,
            skipped.why
        );
    }
    table(&mut out, "time to ready", &report.units, style);
    table(&mut out, "time of tests", &report.tests, style);
    for timed in report.units.iter().chain(&report.tests).filter(|timed| timed.is_near()) {
        let used = timed.used_percent.unwrap_or_default();
        let limit = seconds(timed.limit.unwrap_or_default());
        let text =
            format!("near its limit: {} used {used} % of {} = {limit}", timed.name, timed.key);
        let _ = writeln!(out, "\n{}", style.paint(YELLOW, &text));
    }
    for flaky in &report.flaky {
        let text = format!("flaky: {} passed in {} of {} runs", flaky.name, flaky.passed, flaky.of);
        let _ = writeln!(out, "\n{}\n  {}", style.paint(RED, &text), flaky.why);
    }
    let single = report.series != "repeat";
    for ran in report.runs.iter().filter(|ran| single && !ran.passed) {
        let title = match &ran.what {
            Some(what) => format!("{}: {what}", ran.name),
            None => ran.name.clone(),
        };
        let _ = writeln!(out, "\n{}", style.paint(RED, &title));
        let width = ran.failed.iter().map(|failed| failed.name.chars().count()).max().unwrap_or(0);
        for failed in &ran.failed {
            let _ = writeln!(out, "  {:width$}  {}", failed.name, failed.why);
        }
        for advice in &ran.advice {
            let _ = writeln!(out, "  help: {advice}");
        }
    }
    let _ = writeln!(out, "\n{}", whole(report, style));
    // The lines of the runs come directly before this.
    if report.skipped.is_empty()
        && report.series == "repeat"
        && report.runs.iter().all(|ran| ran.passed)
    {
        out.trim_start_matches('\n').to_owned()
    } else {
        out
    }
}

fn table(out: &mut String, title: &str, all: &[Timed], style: Style) {
    if all.is_empty() {
        return;
    }
    let width = all.iter().map(|timed| timed.name.chars().count()).max().unwrap_or(0);
    let width = width.max(title.len());
    let head = format!(
        "{title:width$}  {:>8}  {:>8}  {:>8}  {:>8}  {:>8}",
        "min", "median", "p90", "max", "limit"
    );
    let _ = writeln!(out, "\n{}", style.paint(FAINT, &head));
    for timed in all {
        let spread = timed.spread;
        let [min, median, p90, max] = [spread.min, spread.median, spread.p90, spread.max]
            .map(|time| format!("{:>8}", long(time)));
        let limit = timed.limit.map_or_else(|| "–".to_owned(), seconds);
        let limit = format!("{limit:>8}");
        let limit = if timed.is_near() { style.paint(YELLOW, &limit) } else { limit };
        let histogram = timed.histogram.as_deref().unwrap_or_default();
        let name = &timed.name;
        let line = format!("{name:width$}  {min}  {median}  {p90}  {max}  {limit}  {histogram}");
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

/// Returns the last line.
fn whole(report: &Report, style: Style) -> String {
    let count = report.runs.len();
    let passed = report.runs.iter().filter(|ran| ran.passed).count();
    let took: Duration = report.runs.iter().map(|ran| ran.took).sum();
    let runs = |count| if count == 1 { "run" } else { "runs" };
    let mut parts = Vec::new();
    if passed > 0 || count == 0 {
        parts.push(style.paint(GREEN, &format!("{passed} {} passed", runs(passed))));
    }
    let failed = count - passed;
    if failed > 0 {
        let noun = if passed == 0 { format!(" {}", runs(failed)) } else { String::new() };
        parts.push(style.paint(RED, &format!("{failed}{noun} failed")));
    }
    if !report.skipped.is_empty() {
        parts.push(style.paint(YELLOW, &format!("{} skipped", report.skipped.len())));
    }
    let mut line = format!("{}; {}", parts.join(", "), long(took));
    if report.interrupted {
        let text = format!("interrupted: {count} of {} runs", report.planned);
        let _ = write!(line, "\n{}", style.paint(RED, &text));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::super::times::{Spread, Times};
    use super::super::{Failed, Flaky, Skipped, timed};
    use super::*;

    const PLAIN: Style = Style { marks: false, colours: false };

    fn ran(name: &str, failed: &[(&str, &str)]) -> Ran {
        Ran {
            name: name.to_owned(),
            what: Some(format!("{name} happens")),
            unit: None,
            passed: failed.is_empty(),
            status: u8::from(!failed.is_empty()),
            took: Duration::from_millis(1500),
            failed: failed
                .iter()
                .map(|(name, why)| Failed { name: (*name).to_owned(), why: (*why).to_owned() })
                .collect(),
            advice: Vec::new(),
        }
    }

    fn report(series: &'static str, runs: Vec<Ran>) -> Report {
        Report {
            version: 1,
            series,
            passed: false,
            interrupted: false,
            planned: runs.len(),
            runs,
            skipped: Vec::new(),
            units: Vec::new(),
            tests: Vec::new(),
            flaky: Vec::new(),
        }
    }

    #[test]
    fn a_run_has_a_line_that_names_what_it_broke() {
        let broken = [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")];
        for (ran, all, line) in [
            (ran("kill-web", &[]), true, "ok    kill-web     1.5 s  kill-web happens\n"),
            (ran("run 1", &[]), false, ""),
            (ran("kill-web", &broken[..1]), true, "FAIL  kill-web     1.5 s  a\n"),
            (
                ran("run 1", &broken),
                false,
                "FAIL  run 1        1.5 s  a, b, c and 1 more; run 1 happens\n",
            ),
        ] {
            assert_eq!(run(&ran, 8, PLAIN, all), line);
        }
    }

    #[test]
    fn a_series_of_different_runs_ends_with_what_they_broke() {
        let mut broken = ran("delay-db", &[("async.web.run", "it failed"), ("test.a", "no web")]);
        broken.advice.push("write after".to_owned());
        let mut report = report("delay", vec![ran("as it is", &[]), broken]);
        report.skipped.push(Skipped { name: "async.x".to_owned(), why: "it is odd".to_owned() });
        let expected = "\
skip  async.x             it is odd

delay-db: delay-db happens
  async.web.run  it failed
  test.a         no web
  help: write after

1 run passed, 1 failed, 1 skipped; 3.0 s
";
        assert_eq!(end(&report, 8, PLAIN), expected);
    }

    #[test]
    fn equal_runs_end_with_their_times() {
        let mut times = Times::default();
        for ms in [100, 600, 200] {
            times.add(Duration::from_millis(ms));
        }
        assert!(matches!(times.spread(), Some(Spread { .. })));
        let second = Duration::from_secs(1);
        let mut report =
            report("repeat", vec![ran("run 1", &[]), ran("run 2", &[("test.a", "no")])]);
        report.units.extend(timed("async.web", &times, Some(second), "ready.within"));
        report.units.extend(timed("async.db", &times, Some(second * 60), "ready.within"));
        report.tests.extend(timed("test.a", &times, None, "within"));
        report.flaky.push(Flaky {
            name: "test.a".to_owned(),
            passed: 1,
            of: 2,
            why: "no".to_owned(),
        });
        (report.interrupted, report.planned) = (true, 9);
        let expected = "
time to ready       min    median       p90       max     limit
async.web        100 ms    200 ms    600 ms    600 ms       1 s
async.db         100 ms    200 ms    600 ms    600 ms      60 s

time of tests       min    median       p90       max     limit
test.a           100 ms    200 ms    600 ms    600 ms         –

near its limit: async.web used 60 % of ready.within = 1 s

flaky: test.a passed in 1 of 2 runs
  no

1 run passed, 1 failed; 3.0 s
interrupted: 2 of 9 runs
";
        assert_eq!(end(&report, 8, PLAIN), expected);
    }
}
