//! The runs of a series: which units get a fault or are held back, and the drop-in that does it.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use crate::config::{Condition, Stage, When};
use crate::graph::{Graph, Node, UnitId};

/// The word with which `trcctl` starts itself as the process that holds a unit back.
pub const HOLD: &str = "__hold";

/// How the name of a unit begins that holds another one back.
const HOLDER: &str = "hold-back-";

/// The time for which a process is suspended.
pub(super) const FREEZE: Duration = Duration::from_secs(5);

/// The faults to try.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Faults {
    /// SIGKILL, and then SIGSTOP for a while.
    All,
    /// SIGKILL.
    Kill,
    /// SIGSTOP for a while.
    Freeze,
}

/// One run that differs from the others.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Variant {
    /// The name, such as `kill-web`.
    pub name: String,
    /// What happens in the run, for people.
    pub what: String,
    /// The unit that it happens to.
    pub unit: String,
    /// The settings that make it happen.
    pub toml: String,
    /// The tests to run; all, if empty.
    pub tests: Vec<String>,
    /// The units that the settings add.
    pub added: Vec<String>,
}

/// A run that would make no sense.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Left {
    /// The name that it would have.
    pub name: String,
    /// Why there is no such run, as a sentence about the unit.
    pub why: String,
}

/// Tells whether a test point is about a unit that holds another one back.
pub(super) fn is_holder(point: &str) -> bool {
    point.strip_prefix("async.").is_some_and(|name| name.starts_with(HOLDER))
}

/// Returns a name for a test or a unit that has the name of a unit in it.
fn named(word: &str, node: &Node) -> String {
    format!("{word}{}", node.unit.name.replace('@', "-"))
}

/// Returns the services, in the order of the configuration.
pub(super) fn services(graph: &Graph) -> impl Iterator<Item = UnitId> + '_ {
    graph.stage(Stage::Async).chain(graph.stage(Stage::Sync))
}

/// Returns why nothing can be done to a unit, if it is so.
fn untouchable(node: &Node) -> Option<&'static str> {
    if node.is_outside() {
        Some("has no command")
    } else if node.is_scheduled() {
        Some("runs on a schedule")
    } else {
        None
    }
}

/// Returns a run for each unit and fault. `chosen` names the tests; all without a fault, if it is
/// empty.
pub(super) fn faults(
    graph: &Graph,
    faults: Faults,
    chosen: &[String],
) -> (Vec<Variant>, Vec<Left>) {
    let (mut out, mut left) = (Vec::new(), Vec::new());
    let tests: Vec<&Node> = graph
        .stage(Stage::Test)
        .map(|id| graph.node(id))
        .filter(|node| node.test().is_some_and(|test| test.fault.is_none()))
        .filter(|node| {
            let id = node.unit.id();
            chosen.is_empty() || chosen.iter().any(|name| *name == id || *name == node.unit.name)
        })
        .collect();
    let kinds: &[(&str, bool)] = match faults {
        Faults::All => &[("kill-", true), ("freeze-", false)],
        Faults::Kill => &[("kill-", true)],
        Faults::Freeze => &[("freeze-", false)],
    };
    for id in services(graph) {
        let node = graph.node(id);
        let unit = node.unit.id();
        if let Some(why) = untouchable(node).or_else(|| node.oneshot.then_some("is a one-shot")) {
            left.push(Left { name: unit.clone(), why: format!("it {why}") });
            continue;
        }
        for (word, kill) in kinds {
            let mut name = named(word, node);
            if *kill && node.unit.restart.when == When::No {
                left.push(Left { name, why: format!("{unit} has no `restart`") });
                continue;
            }
            let is_taken = |name: &str| {
                graph.stage(Stage::Test).any(|test| graph.node(test).unit.name == name)
            };
            while is_taken(&name) {
                name.push_str("-again");
            }
            let (fault, what) = if *kill {
                ("kill = \"SIGKILL\"".to_owned(), format!("{unit} gets SIGKILL"))
            } else {
                let time = FREEZE.as_secs();
                (format!("stop = \"{time}s\""), format!("{unit} is suspended for {time} s"))
            };
            let mut toml = format!(
                "[test.\"{name}\"]\ndescription = \"{what}\"\n\
                 expect = {{ fault = {{ unit = \"{unit}\", {fault} }} }}\n"
            );
            for test in &tests {
                let _ = writeln!(
                    toml,
                    "[test.\"{}\"]\nafter = {}",
                    test.unit.name,
                    after(graph, test, &name)
                );
            }
            let all = std::iter::once(name.clone());
            let tests = all.chain(tests.iter().map(|test| test.unit.id())).collect();
            out.push(Variant { name, what, unit: unit.clone(), toml, tests, added: Vec::new() });
        }
    }
    (out, left)
}

/// Returns the `after` of a test that now comes after another test, too.
fn after(graph: &Graph, test: &Node, other: &str) -> String {
    let written = &test.unit.after;
    if written.iter().all(|after| after.condition.is_none()) {
        let units = written.iter().map(|after| format!("\"{}\"", after.unit.value));
        let units: Vec<String> = units.chain([format!("\"test.{other}\"")]).collect();
        return format!("[{}]", units.join(", "));
    }
    let needs = test.needs.iter().filter(|need| need.written).map(|need| {
        format!("\"{}\" = \"{}\"", graph.node(need.unit).unit.id(), need.condition.name())
    });
    let needs: Vec<String> = needs.chain([format!("\"test.{other}\" = \"exited\"")]).collect();
    format!("{{ {} }}", needs.join(", "))
}

/// Returns why a unit cannot be held back, if it is so.
fn cannot_wait(node: &Node) -> Option<&'static str> {
    let late = |condition| matches!(condition, Condition::Exited | Condition::Failed);
    if let Some(why) = untouchable(node) {
        Some(why)
    } else if node.unit.stage == Stage::Sync && node.needs.iter().any(|need| !need.written) {
        Some("waits for another unit in the foreground")
    } else if node.needs.iter().any(|need| need.written && late(need.condition)) {
        Some("starts only when another unit has ended")
    } else {
        None
    }
}

/// Returns the unit that holds another one back, for this time after all that it waits for.
fn holder(graph: &Graph, node: &Node, trcctl: &Path, time: Duration) -> (String, String) {
    let name = named(HOLDER, node);
    let needs = node.needs.iter().filter(|need| need.written).map(|need| {
        format!("\"{}\" = \"{}\"", graph.node(need.unit).unit.id(), need.condition.name())
    });
    let needs: Vec<String> = needs.collect();
    let program = serde_json::to_string(&trcctl.to_string_lossy().replace('$', "$$"));
    let toml = format!(
        "[async.\"{name}\"]\nexec = [{}, \"{HOLD}\", \"{}\"]\noneshot = true\n\
         after = {{ {} }}\nbefore = {{ \"{}\" = \"succeeded\" }}\n",
        program.unwrap_or_default(),
        time.as_millis(),
        needs.join(", "),
        node.unit.id(),
    );
    (format!("async.{name}"), toml)
}

/// Returns a run for each unit that can be held back.
pub(super) fn delays(graph: &Graph, trcctl: &Path, time: Duration) -> (Vec<Variant>, Vec<Left>) {
    let (mut out, mut left) = (Vec::new(), Vec::new());
    for id in services(graph) {
        let node = graph.node(id);
        let (name, unit) = (named("delay-", node), node.unit.id());
        if let Some(why) = cannot_wait(node) {
            left.push(Left { name, why: format!("{unit} {why}") });
            continue;
        }
        let (holder, toml) = holder(graph, node, trcctl, time);
        let what = format!("{unit} starts {} later", crate::config::seconds(time));
        out.push(Variant { name, what, unit, toml, tests: Vec::new(), added: vec![holder] });
    }
    (out, left)
}

/// Returns a run in which each unit is held back for a part of `most`, in thousandths that `chance`
/// returns.
pub(super) fn jitter(
    graph: &Graph,
    trcctl: &Path,
    most: Duration,
    mut chance: impl FnMut() -> u32,
) -> Variant {
    let mut out = Variant::default();
    let mut told = Vec::new();
    for id in services(graph) {
        let node = graph.node(id);
        if cannot_wait(node).is_some() {
            continue;
        }
        let time = most * chance().min(1000) / 1000;
        let time = Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or_default());
        let (holder, toml) = holder(graph, node, trcctl, time);
        out.toml.push_str(&toml);
        out.added.push(holder);
        told.push(format!("{} +{} ms", node.unit.name, time.as_millis()));
    }
    out.what = told.join(", ");
    out
}

/// Tells whether a unit waits for another one, directly or through others.
fn waits_for(graph: &Graph, unit: UnitId, other: UnitId) -> bool {
    let mut seen = std::collections::BTreeSet::new();
    let mut to_see = vec![unit];
    while let Some(at) = to_see.pop() {
        if at == other {
            return true;
        }
        if seen.insert(at) {
            to_see.extend(graph.node(at).needs.iter().map(|need| need.unit));
        }
    }
    false
}

/// Returns the unit that a test point is about, or the test.
fn unit_of(graph: &Graph, point: &str) -> Option<UnitId> {
    let ends = [".run", ".stop", ".post_stop"];
    let name = ends.iter().find_map(|end| point.strip_suffix(end));
    let name = name.unwrap_or(point);
    graph.ids().find(|id| graph.node(*id).unit.id() == name)
}

/// Returns how the other units can come back, if these test points failed after a fault of a unit.
pub(super) fn together(graph: &Graph, hurt: &str, failed: &[String]) -> Vec<String> {
    let Some(hurt) = graph.ids().find(|id| graph.node(*id).unit.id() == hurt) else {
        return Vec::new();
    };
    let name = &graph.node(hurt).unit.name;
    let runs = failed.iter().filter_map(|point| point.strip_suffix(".run"));
    let others = runs.filter_map(|unit| unit_of(graph, unit)).filter(|id| *id != hurt);
    let advice = |id| {
        let unit = graph.node(id).unit.id();
        format!(
            "{unit} did not survive it: if it shall restart with {name}, write restart = {{ when = \
             \"always\", with = [\"{name}\"] }} in [{unit}]"
        )
    };
    others.map(advice).collect()
}

/// Returns the `after` that is missing, if these test points failed when a unit was held back.
pub(super) fn missing(graph: &Graph, held: &str, failed: &[String]) -> Vec<String> {
    let Some(held) = graph.ids().find(|id| graph.node(*id).unit.id() == held) else {
        return Vec::new();
    };
    let found = |tests: bool| {
        let units = failed.iter().filter_map(|point| unit_of(graph, point));
        let mut units: Vec<UnitId> = units
            .filter(|id| *id != held && (graph.node(*id).unit.stage == Stage::Test) == tests)
            .filter(|id| !waits_for(graph, *id, held))
            .collect();
        units.dedup();
        units
    };
    // If a unit failed, its tests failed because of that.
    let services = found(false);
    let guilty = if services.is_empty() { found(true) } else { services };
    let name = &graph.node(held).unit.name;
    let advice = |id: UnitId| {
        let unit = graph.node(id).unit.id();
        format!("{unit} does not wait for {name}: write after = [\"{name}\"] in [{unit}]")
    };
    guilty.into_iter().map(advice).collect()
}
