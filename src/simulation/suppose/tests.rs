//! Stories of thousands of generated configurations, watched by the witness of the generated lives.
//! `TRC_SIM_STORIES` sets their number, and `TRC_SIM_STORY` tells one of them.

use std::fmt::Write;
use std::rc::Rc;
use std::time::Duration;

use super::{Behavior, Course, End, Listener, Run, Stops, Story, plan as planned, suppose};
use crate::config::WaitPolicy;
use crate::engine::{Action, Engine, Event, Tick};
use crate::graph::Graph;
use crate::simulation::build::{self, Built};
use crate::simulation::generate;
use crate::simulation::plan::{
    Child, Generation, Plan, PostRuns, PreRuns, Renewal, Reply, Settling, Start, Unit, Within, ms,
};
use crate::simulation::story;
use crate::simulation::witness::{Broken, Verdict, Witness};

/// How far a story goes.
const UNTIL: Duration = Duration::from_secs(40);
/// The number of stories unless `TRC_SIM_STORIES` sets it.
const STORIES: u64 = 1_500;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

/// Returns a generated plan without whatever a story does not have.
fn tame(seed: u64) -> Plan {
    let mut plan = generate::plan(seed);
    plan.settling = Settling::Same;
    (plan.reload, plan.sleep, plan.shutdown) = (None, None, None);
    (plan.requests, plan.cancels, plan.strays) = (Vec::new(), Vec::new(), Vec::new());
    plan.terminal = false;
    plan.signals.retain(|told| told.outside);
    for unit in &mut plan.units {
        (unit.within, unit.renewal) = (Within::Both, Renewal::Kept);
    }
    plan
}

fn behavior(child: &Child, unit: &Unit) -> Behavior {
    Behavior {
        fails: match child.start {
            Start::Fails(stage, errno, _) => Some((stage, errno)),
            Start::Executes(_) | Start::Hangs => None,
        },
        ready: child.ready.map(ms),
        ends: child.end.filter(|_| unit.pid_file.is_none()).map(|(at, how)| (ms(at), how)),
        stop: match child.on_stop {
            Reply::Dies(after) => Stops::Dies(ms(after)),
            Reply::Exits(after, status) => Stops::Exits(ms(after), status),
            Reply::Ignores => Stops::Ignores,
        },
        sick: child.sick.map(|(from, to)| (ms(from), Some(ms(to)))),
    }
}

/// Returns the story of a plan.
fn told(plan: &Plan, built: &Built) -> Story {
    let signals = plan.signals.iter().map(|told| (ms(told.at), told.signal)).collect();
    let dues = plan.dues.iter().filter_map(|(at, unit)| Some((ms(*at), built.id(*unit)?)));
    let mut story = Story { signals, dues: dues.collect(), until: UNTIL, ..Story::default() };
    for id in built.graph.ids() {
        let unit = &plan.units[built.unit(id)];
        let usual = Course::usual(built.graph.node(id));
        let again = unit.again.as_ref().unwrap_or(&unit.child);
        let course = Course {
            lives: vec![behavior(&unit.child, unit)],
            later: behavior(again, unit),
            pre_start: match unit.pre_start.map(|hook| hook.runs) {
                Some(PreRuns::Ends(after, ending)) => (ms(after), ending),
                Some(PreRuns::NotStarted(..) | PreRuns::Hangs) | None => usual.pre_start,
            },
            post_stop: match unit.post_stop.map(|hook| hook.runs) {
                Some(PostRuns::Ends { after, succeeds }) => (ms(after), succeeds),
                Some(PostRuns::NotStarted | PostRuns::Hangs) | None => usual.post_stop,
            },
        };
        story.units.insert(id, course);
    }
    story
}

/// The witness, which sees what goes into the engine, and what comes out.
struct Judge<'a> {
    witness: Witness<'a>,
    built: &'a Built,
    verdict: Verdict,
}

impl Judge<'_> {
    fn judge(&mut self, verdict: Verdict) {
        if self.verdict.is_ok() {
            self.verdict = verdict;
        }
    }
}

impl Listener for Judge<'_> {
    fn before(&mut self, now: Tick, event: &Event) {
        if !self.witness.ended {
            self.witness.before(now, event, self.built);
        }
    }

    fn acted(&mut self, _now: Tick, action: &Action, _pid: Option<i32>, _graph: &Graph) {
        let verdict = self.witness.acted(action, self.built);
        self.judge(verdict);
    }

    fn after(&mut self, engine: &Engine) {
        if self.witness.ended {
            let verdict = self.witness.last_line(engine.reason().as_ref(), self.built);
            self.judge(verdict);
            let verdict = self.witness.findings(engine.findings(), self.built);
            self.judge(verdict);
        }
        let verdict = self.witness.after(engine.next_deadline());
        self.judge(verdict);
    }
}

/// Returns the rule that a story breaks.
fn judged(plan: &Plan, built: &Built, story: &Story) -> Option<Broken> {
    let told = planned::plan(&built.graph, story);
    let mut judge = Judge { witness: Witness::new(plan), built, verdict: Ok(()) };
    let mut run = Run::new(&built.graph, plan.luck, &told);
    run.go(story.until, &mut judge);
    let nothing = run.engine.next_deadline().is_none() && run.world.next().is_none();
    if run.status.is_none() && nothing {
        let verdict = judge.witness.looks_at(&run.engine.snapshot());
        judge.judge(verdict);
        let verdict = judge.witness.rests(run.world.any_main());
        judge.judge(verdict);
    }
    judge.verdict.err()
}

/// Returns the lines of a story, and its end.
fn heard(graph: &Rc<Graph>, chance: u64, story: &Story) -> (String, End) {
    let mut text = String::new();
    let end = suppose(graph, chance, story, &mut |at, line| {
        _ = writeln!(text, "{:>7} {} {}", at.as_millis(), line.level, line.message);
    });
    (text, end)
}

#[test]
fn a_story_is_always_the_same_and_keeps_the_rules_of_the_witness() {
    let only = number("TRC_SIM_STORY");
    let all = only.map_or(0..number("TRC_SIM_STORIES").unwrap_or(STORIES), |seed| seed..seed + 1);
    let (mut ended, mut refused) = (0_u64, 0_u64);
    for seed in all.clone() {
        let plan = tame(seed);
        let Some(built) = build::graph(&plan, Generation::First, None) else {
            refused += 1;
            continue;
        };
        let story = told(&plan, &built);
        let (lines, end) = heard(&built.graph, plan.luck, &story);
        let shown = || format!("story {seed}\n{}\n{lines}\n{end:?}", story::plan(&plan));
        if only.is_some() {
            println!("{}", shown());
        }
        assert!((&lines, &end) == (&heard(&built.graph, plan.luck, &story).0, &end), "{}", shown());
        assert!(!end.cut, "{}", shown());
        let stops = end.status.is_some() || end.rests || end.at == UNTIL;
        assert!(stops, "{}", shown());
        if let Some(broken) = judged(&plan, &built, &story) {
            panic!("{}\n{}", shown(), story::broken(&plan, broken));
        }
        ended += u64::from(end.status.is_some());
    }
    let whole = all.end - all.start;
    assert!(refused * 20 <= whole || only.is_some(), "{refused} of {whole} graphs are refused");
    assert!(ended * 3 >= whole || only.is_some(), "only {ended} of {whole} runs end");
}

#[test]
fn the_witness_of_a_story_finds_a_wrong_status() {
    let wrong = (0..200).filter(|seed| {
        let plan = tame(*seed);
        let Some(built) = build::graph(&plan, Generation::First, None) else { return false };
        let story = told(&plan, &built);
        // The witness expects every unit to be waited for, and the engine does not.
        let other = Plan { wait: WaitPolicy::Forever, ..plan };
        judged(&other, &built, &story).is_some()
    });
    assert!(wrong.count() > 20);
}
