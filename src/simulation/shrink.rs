//! Shrinks a life that breaks a rule to the smallest one that breaks the same rule.

use super::drill::{Drill, Test};
use super::life;
use super::mutant::Mutant;
use super::plan::{
    Child, PidFile, Plan, PostRuns, PreRuns, Renewal, Reply, Rule, Settling, Start, StopCommand,
    Unit, Within,
};
use super::witness::Broken;
use crate::config::{Stage, WaitPolicy};
use crate::engine::Ending;

/// The number of outcomes of races that a smaller life may try: leaving something out changes the
/// outcome of every later race.
const TRIES: u64 = 4;

/// Returns the smallest plan found that breaks the same rule.
pub(super) fn shrink(plan: &Plan, broken: Broken, mutant: &Mutant) -> Plan {
    let mut smallest = plan.clone();
    loop {
        let smaller = candidates(&smallest).into_iter().find_map(|candidate| {
            (0..TRIES).find_map(|luck| {
                let luck = if luck == 0 { candidate.luck } else { luck };
                let candidate = Plan { luck, ..candidate.clone() };
                let found = still(&candidate, mutant)?;
                (found.rule == broken.rule).then_some(candidate)
            })
        });
        match smaller {
            Some(smaller) => smallest = smaller,
            None => return smallest,
        }
    }
}

fn still(plan: &Plan, mutant: &Mutant) -> Option<Broken> {
    super::lived(plan, mutant, false).and_then(|lived: life::Lived| lived.broken)
}

/// Returns every plan that is one step simpler, beginning with the boldest steps.
fn candidates(plan: &Plan) -> Vec<Plan> {
    let mut all = Vec::new();
    if plan.drill.is_some() {
        all.push(in_production(plan));
    }
    for at in 0..plan.units.len() {
        all.push(without(plan, at));
    }
    let mut whole = |change: &dyn Fn(&mut Plan)| {
        let mut simpler = plan.clone();
        change(&mut simpler);
        if simpler != *plan {
            all.push(simpler);
        }
    };
    whole(&|plan| plan.signals.clear());
    whole(&|plan| plan.reload = None);
    whole(&|plan| plan.keep = false);
    whole(&|plan| plan.reload = plan.reload.map(|_| 0));
    whole(&|plan| plan.requests.clear());
    whole(&|plan| plan.dues.clear());
    whole(&|plan| plan.cancels.clear());
    whole(&|plan| plan.shutdown = None);
    whole(&|plan| plan.shutdown = plan.shutdown.map(|_| (0, None)));
    whole(&|plan| plan.strays.clear());
    whole(&|plan| plan.rules.clear());
    whole(&|plan| plan.exit.clear());
    whole(&|plan| plan.stopped = None);
    whole(&|plan| plan.own.clear());
    whole(&|plan| plan.budget = None);
    whole(&|plan| plan.sleep = None);
    whole(&|plan| plan.terminal = false);
    whole(&|plan| of_drill(plan, &|drill| drill.allow.clear()));
    whole(&|plan| of_drill(plan, &|drill| drill.zombies = [false; 2]));
    whole(&|plan| of_drill(plan, &|drill| drill.strict = false));
    whole(&|plan| of_drill(plan, &|drill| drill.oom = None));
    whole(&|plan| plan.settling = Settling::Same);
    whole(&|plan| {
        if plan.wait != WaitPolicy::Any {
            plan.wait = WaitPolicy::Forever;
        }
    });
    whole(&|plan| plan.wait = WaitPolicy::Any);
    for at in 0..plan.signals.len() {
        whole(&|plan| _ = plan.signals.remove(at));
        whole(&|plan| plan.signals[at].at = 0);
    }
    for at in 0..plan.requests.len() {
        whole(&|plan| _ = plan.requests.remove(at));
        whole(&|plan| plan.requests[at].at = 0);
    }
    for at in 0..plan.dues.len() {
        whole(&|plan| _ = plan.dues.remove(at));
        whole(&|plan| plan.dues[at].0 = 0);
    }
    for at in 0..plan.cancels.len() {
        whole(&|plan| _ = plan.cancels.remove(at));
        whole(&|plan| plan.cancels[at].0 = 0);
    }
    for at in 0..plan.strays.len() {
        whole(&|plan| _ = plan.strays.remove(at));
        whole(&|plan| plan.strays[at].ends = None);
        whole(&|plan| plan.strays[at].follows = None);
        whole(&|plan| plan.strays[at].session = false);
        whole(&|plan| plan.strays[at].on_stop = Some(0));
        whole(&|plan| plan.strays[at].on_kill = Some(0));
    }
    for at in 0..plan.rules.len() {
        whole(&|plan| _ = plan.rules.remove(at));
    }
    for at in 0..plan.units.len() {
        let usual = Unit::plain(plan.units[at].stage);
        for edge in 0..plan.units[at].after.len() {
            whole(&|plan| _ = plan.units[at].after.remove(edge));
        }
        let of = |change: &dyn Fn(&mut Unit)| whole(&|plan| change(&mut plan.units[at]));
        simplify(of, &usual);
    }
    all
}

/// Resets single fields of a unit to their values in the plainest unit.
fn simplify(mut of: impl FnMut(&dyn Fn(&mut Unit)), plain: &Unit) {
    of(&|unit| unit.child = plain.child.clone());
    of(&|unit| unit.within = Within::Both);
    of(&|unit| unit.renewal = Renewal::Kept);
    of(&|unit| {
        // A transparent command is transparent because of its form.
        if unit.form != crate::config::Form::Trailing {
            unit.form = plain.form;
        }
    });
    of(&|unit| unit.shell = false);
    of(&|unit| unit.oneshot = None);
    of(&|unit| unit.always = false);
    of(&|unit| unit.autostart = true);
    of(&|unit| unit.success = None);
    of(&|unit| unit.on_failure = plain.on_failure);
    of(&|unit| unit.stop_signal = None);
    of(&|unit| unit.stop_timeout = None);
    of(&|unit| unit.stop_to = None);
    of(&|unit| unit.stop_exec = None);
    of(&|unit| {
        if unit.stop_exec.is_some() {
            unit.stop_exec = Some(StopCommand::NotStarted);
        }
    });
    of(&|unit| unit.reload = None);
    of(&|unit| unit.pre_start = None);
    of(&|unit| unit.post_stop = None);
    of(&|unit| {
        if let Some(hook) = &mut unit.pre_start {
            hook.runs = PreRuns::Ends(0, Ending::Code(0));
        }
    });
    of(&|unit| {
        if let Some(hook) = &mut unit.pre_start {
            (hook.on_stop, hook.leaves, hook.within) = (Reply::Dies(0), false, None);
        }
    });
    of(&|unit| {
        if let Some(hook) = &mut unit.post_stop {
            hook.runs = PostRuns::Ends { after: 0, succeeds: true };
        }
    });
    of(&|unit| {
        if let Some(hook) = &mut unit.post_stop {
            (hook.leaves, hook.within) = (false, None);
        }
    });
    of(&|unit| {
        if let Some(reload) = &mut unit.reload {
            reload.within = 60_000;
        }
    });
    of(&|unit| {
        // Some units need a readiness check.
        if !unit.outside && unit.pid_file.is_none() {
            unit.ready = None;
        }
    });
    of(&|unit| {
        if unit.pid_file.take().is_some_and(|file| file.alone) {
            unit.ready = None;
        }
    });
    of(&|unit| {
        if let Some(file) = &mut unit.pid_file {
            *file = PidFile { early: None, late: Some(0), ends: None, ..*file };
        }
    });
    of(&|unit| unit.health = None);
    of(&|unit| unit.restart = plain.restart.clone());
    of(&|unit| unit.restart.with.clear());
    of(&|unit| unit.restart.max = None);
    of(&|unit| unit.restart.window = plain.restart.window);
    of(&|unit| unit.restart.first = plain.restart.first);
    of(&|unit| unit.restart.longest = plain.restart.longest);
    of(&|unit| unit.max_runtime = None);
    of(&|unit| unit.again = None);
    of(&|unit| unit.test = plain.test);
    let mut of_test =
        |change: &dyn Fn(&mut Test)| of(&|unit| unit.test.iter_mut().for_each(change));
    of_test(&|test| test.fault = None);
    of_test(&|test| test.job = None);
    of_test(&|test| test.every = None);
    of_test(&|test| test.within = test.fault.and(test.within));
    of_test(&|test| test.holds = None);
    of_test(&|test| test.start_within = Test::plain().start_within);
    of_test(&|test| test.max_runtime = Test::plain().max_runtime);
    of_test(&|test| test.skips = false);
    of_test(&|test| test.said = false);
    of_test(&|test| test.used = false);
    of_test(&|test| test.lacks = false);
    of_test(&|test| test.restarts = None);
    of_test(&|test| test.stop_status = None);
    of_test(&|test| test.stop_within = None);
    let child = &plain.child;
    let mut of = |change: &dyn Fn(&mut Child)| of(&|unit| change(&mut unit.child));
    of(&|it| it.scarce = 0);
    of(&|it| it.scarce_late = None);
    of(&|it| it.unmade = 0);
    of(&|it| it.start = Start::Executes(0));
    of(&|it| it.end = child.end);
    of(&|it| it.end = it.end.map(|(_, ending)| (0, ending)));
    of(&|it| it.on_stop = child.on_stop);
    of(&|it| it.reloads = child.reloads);
    of(&|it| it.on_kill = child.on_kill);
    of(&|it| it.leaves = None);
    of(&|it| it.tells = None);
    of(&|it| it.pauses = None);
    of(&|it| it.ready = child.ready);
    of(&|it| it.sick = None);
    of(&|it| it.try_takes = 0);
    of(&|it| it.try_hangs = false);
    of(&|it| it.says = None);
}

/// Returns a plan as it would be without test mode.
fn in_production(plan: &Plan) -> Plan {
    let mut plan = Plan { drill: None, ..plan.clone() };
    while let Some(test) = plan.units.iter().position(|unit| unit.stage == Stage::Test) {
        plan = without(&plan, test);
    }
    plan
}

fn of_drill(plan: &mut Plan, change: &dyn Fn(&mut Drill)) {
    plan.drill.iter_mut().for_each(change);
}

/// Returns a plan without a unit, and without all references to it.
fn without(plan: &Plan, gone: usize) -> Plan {
    let moved = |at: usize| if at > gone { at - 1 } else { at };
    let mut plan = plan.clone();
    plan.units.remove(gone);
    for unit in &mut plan.units {
        unit.after.retain(|(other, _)| *other != gone);
        for (other, _) in &mut unit.after {
            *other = moved(*other);
        }
        unit.restart.with.retain(|other| *other != gone);
        for other in &mut unit.restart.with {
            *other = moved(*other);
        }
        if let Some(test) = &mut unit.test {
            test.fault = test.fault.filter(|(victim, _)| *victim != gone);
            test.job = test.job.filter(|job| *job != gone).map(moved);
            test.fault = test.fault.map(|(victim, blow)| (moved(victim), blow));
        }
    }
    plan.dues.retain(|(_, unit)| *unit != gone);
    for (_, unit) in &mut plan.dues {
        *unit = moved(*unit);
    }
    plan.requests.retain(|asked| asked.unit != gone);
    for asked in &mut plan.requests {
        asked.unit = moved(asked.unit);
    }
    if let Some(drill) = &mut plan.drill {
        drill.allow = drill.allow.iter().filter_map(|point| point.without(gone)).collect();
    }
    for (_, rule) in &mut plan.rules {
        if let Rule::Forward(_, to) = rule {
            to.retain(|other| *other != gone);
            for other in to {
                *other = moved(*other);
            }
        }
    }
    if plan.units.iter().all(|unit| unit.stage != Stage::Boot) {
        plan.settling = Settling::Same;
    }
    plan
}
