//! Builds the graph from a configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::stop::{self, RESERVE};
use super::{Graph, Need, Node, Rule, UnitId, cycle, order, points, testing};
use crate::config::{
    Command, Condition, Config, Diagnostic, OnFailure, Origin, Placed, Probe, SignalRule, Stage,
    StopTo, Unit, UnitRef, When,
};
use crate::signal::Signal;

/// The stop timeout of units that do not set their own.
pub(crate) const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// The default shutdown timeout. docker sends SIGKILL after 10 s.
pub(super) const BUDGET: Duration = Duration::from_secs(9);
/// The time after which docker sends SIGKILL unless `-t` or `--stop-timeout` says otherwise.
const DOCKER_PATIENCE: Duration = Duration::from_secs(10);

/// The unit that another one waits for, the condition, and the place in the configuration.
type Written<'a> = (usize, Option<Condition>, &'a Origin);

impl Graph {
    /// Builds the graph.
    ///
    /// # Errors
    /// Returns every cycle and every condition that can never hold.
    pub(crate) fn build(config: &Config) -> Result<Self, Vec<Diagnostic>> {
        let units = by_stage(&config.units);
        let index = index(&units);
        let mut errors = Vec::new();

        for unit in &units {
            let tests = unit.before.iter().map(|before| &before.unit).filter(|other| {
                index.get(&other.value).is_some_and(|at| units[*at].stage == Stage::Test)
            });
            for test in tests {
                let message = format!(
                    "{} cannot be before {}: a test chooses the units that it waits for",
                    unit.id(),
                    test.value
                );
                let help = "write `after` in the test; without it, the test waits for all units";
                errors.push(Diagnostic::error(test.origin.clone(), message).help(help));
            }
        }
        let written = written(&units, &index);
        for (unit, needs) in units.iter().zip(&written) {
            for (other, condition, origin) in needs {
                if let Some(why) = never(unit, units[*other], *condition) {
                    let mut error = Diagnostic::error((*origin).clone(), why);
                    let unready = *condition == Some(Condition::Ready)
                        && units[*other].ready.is_none()
                        && unit.stage != Stage::Halt;
                    if unready {
                        let help = format!(
                            "add `ready` to {}, or write \"started\" instead of \"ready\"",
                            units[*other].id()
                        );
                        error = error.help(help);
                    }
                    errors.push(error);
                }
            }
        }

        let allowed = points::allowed(config, &units, &mut errors);
        errors.extend(testing::misplaced(config, &units, &index));
        let (sorted, cycles) = sort(&units, &written);
        errors.extend(cycles);
        if !errors.is_empty() {
            return Err(errors);
        }

        // The sorted order is kept within each stage; stages stay together.
        let mut places: Vec<usize> = sorted;
        places.sort_by_key(|at| units[*at].stage);
        let mut ids = vec![UnitId(0); units.len()];
        for (id, at) in places.iter().enumerate() {
            ids[*at] = UnitId(id);
        }
        let mut nodes: Vec<Node> = Vec::with_capacity(units.len());
        let ends =
            |condition: &_| matches!(condition, Some(Condition::Succeeded | Condition::Exited));
        let mut awaited = vec![false; units.len()];
        let mut hoped = vec![false; units.len()];
        for (other, condition, _) in written.iter().flatten() {
            awaited[*other] |= ends(condition);
            hoped[*other] |= *condition == Some(Condition::Succeeded);
        }
        for (id, at) in places.iter().enumerate() {
            let mut node = node(units[*at], *at, awaited[*at]);
            node.ends = units[*at].oneshot.unwrap_or(hoped[*at]);
            // Units that run one at a time wait for the unit before them, however it ended.
            if id > 0
                && nodes[id - 1].unit.stage == node.unit.stage
                && node.unit.stage != Stage::Async
            {
                node.needs.push(Need {
                    unit: UnitId(id - 1),
                    condition: Condition::Exited,
                    written: false,
                    calm: false,
                });
            }
            nodes.push(node);
        }
        for (at, needs) in written.iter().enumerate() {
            let id = ids[at];
            let mut known = BTreeSet::new();
            for (other, condition, _) in needs {
                let unit = ids[*other];
                // When halt units run, nothing is ready any more.
                let halt = nodes[id.0].unit.stage == Stage::Halt;
                let test = nodes[id.0].unit.stage == Stage::Test;
                let bare = match &nodes[unit.0] {
                    node if node.unit.stage == Stage::Test => Condition::Exited,
                    node if test
                        && node.unit.ready.is_none()
                        && (!node.ends || node.is_scheduled()) =>
                    {
                        Condition::Started
                    }
                    node => node.shows_up_by(!halt),
                };
                let named = matches!(condition, None | Some(Condition::Settled));
                let calm = test && named && nodes[unit.0].is_plain();
                let condition = condition.unwrap_or(bare);
                // The condition may be written twice.
                if known.insert((unit, condition, calm)) {
                    nodes[id.0].needs.push(Need { unit, condition, written: true, calm });
                }
                // All conditions of one unit are added in a row.
                if nodes[unit.0].dependents.last() != Some(&id) {
                    nodes[unit.0].dependents.push(id);
                }
            }
            for with in &units[at].restart.with {
                if let Some(other) = index.get(&with.value).map(|other| ids[*other])
                    && nodes[other.0].restarts.last() != Some(&id)
                {
                    nodes[other.0].restarts.push(id);
                    nodes[id.0].with.push(other);
                }
            }
        }

        if config.testing.is_some() {
            for (at, unit) in units.iter().enumerate() {
                let fault = unit.test.as_ref().and_then(|test| test.fault.as_ref());
                let victim = fault.and_then(|fault| index.get(&fault.value.unit.value));
                nodes[ids[at].0].victim = victim.map(|other| ids[*other]);
                let job = unit.test.as_ref().and_then(|test| test.job.as_ref());
                let job = job.and_then(|job| index.get(&job.value));
                nodes[ids[at].0].job = job.map(|other| ids[*other]);
            }
        }
        mark_idle(&mut nodes);
        if config.testing.is_some() {
            testing::complete(&mut nodes);
        }
        let find = |unit: &UnitRef| index.get(&unit.value).map(|at| ids[*at]);
        let rules = config
            .signals
            .iter()
            .map(|(signal, rule)| (*signal, resolve(*signal, rule, &index, &ids)));
        Ok(Self {
            budget: config
                .shutdown
                .timeout
                .unwrap_or_else(|| BUDGET.max(stop::longest(&nodes).takes + RESERVE)),
            written_budget: config.shutdown.timeout,
            transparent: config.testing.is_none()
                && config.shutdown.timeout.is_none()
                && config.exit.stopped.is_none()
                && matches!(nodes.as_slice(), [only] if only.is_transparent()),
            grace: config.shutdown.timeout.unwrap_or(DOCKER_PATIENCE),
            testing: config.testing.is_some(),
            patience: nodes
                .iter()
                .filter_map(|node| node.test().map(|test| test.start_within))
                .max()
                .unwrap_or_default(),
            strict: config.testing.as_ref().is_some_and(|testing| testing.strict),
            allowed,
            wait: config.wait,
            rules: rules.collect(),
            exit: config.exit.statuses.clone(),
            stopped: config.exit.stopped,
            own: config.exit.own.iter().filter_map(find).collect(),
            order: (0..nodes.len()).map(UnitId).collect(),
            nodes,
        })
    }
}

impl Graph {
    /// Returns the cycles in a configuration that has other errors, too. Only the names by which
    /// units refer to one another can be relied on.
    #[must_use]
    pub(crate) fn cycles(config: &Config) -> Vec<Diagnostic> {
        let units = by_stage(&config.units);
        sort(&units, &written(&units, &index(&units))).1
    }

    /// Returns the warnings of `trcctl check`. The graph can run in spite of them.
    ///
    /// `grace` is the time from the stop signal until the container is killed, if somebody has said
    /// it, and `place` returns the place of a key.
    #[must_use]
    pub(crate) fn remarks(
        &self,
        grace: Option<Duration>,
        place: &dyn Fn(&[&str]) -> Option<Origin>,
    ) -> Vec<Diagnostic> {
        let chain = stop::longest(&self.nodes).takes;
        let mut remarks = Vec::new();
        let seconds = |time: Duration| time.as_secs_f64();
        // Somebody who sets the timeout knows the grace period of the container, which is 30 s in
        // Kubernetes.
        if (self.written_budget.is_none() || grace.is_some())
            && let Some(late) = self.overtime(grace.unwrap_or(DOCKER_PATIENCE))
        {
            let killed = match grace {
                None => "docker sends SIGKILL after 10 s".to_owned(),
                Some(grace) => format!("the container is killed after {} s", seconds(grace)),
            };
            let key: Vec<&str> = late.key.iter().map(String::as_str).collect();
            let origin = match late.origin {
                Origin::Default if key.is_empty() && grace.is_some() => {
                    Origin::Flag("--grace".into())
                }
                origin => place(&key).unwrap_or(origin),
            };
            let mut remark = Diagnostic::warning(origin, format!("{}, but {killed}", late.takes));
            remark.note = late.chain;
            remarks.push(remark.help(late.help));
        }
        let winch = Signal::from_number(libc::SIGWINCH);
        let unheard = winch.is_none_or(|winch| !self.rules.contains_key(&winch));
        let apache = |node: &&Node| node.unit.stage == Stage::Async && runs_apache(&node.unit);
        if let Some(node) = self.nodes.iter().find(apache).filter(|_| unheard) {
            let text = format!(
                "{} runs Apache, whose images have `STOPSIGNAL SIGWINCH`, but trc neither \
                 forwards SIGWINCH to units in the background nor stops the run on it",
                node.unit.id()
            );
            remarks.push(
                Diagnostic::warning(node.unit.origin.clone(), text)
                    .help("write `[signals] WINCH = \"stop\"`, or another rule for the signal"),
            );
        }
        let mut ports = BTreeMap::new();
        for Node { unit, .. } in &self.nodes {
            let ready = unit.ready.as_ref().filter(|_| unit.command != Command::Nothing);
            let Some(Placed { value: Probe::Tcp(address), origin }) = ready.map(|it| &it.probe)
            else {
                continue;
            };
            // Foreground units have their turns.
            if unit.stage == Stage::Async
                && let Some(other) = ports.insert((local(&address.host), address.port), unit.id())
            {
                let text = format!(
                    "`ready` of {} and of {other} is the same port: if one of them listens, trc takes \
                     both to be ready",
                    unit.id()
                );
                remarks.push(Diagnostic::warning(origin.clone(), text).help(
                    "give each unit a port of its own, or another `ready`, such as a line of its output",
                ));
            }
        }
        for node in &self.nodes {
            let listens = |port| node.unit.listen.iter().any(|at| at.value.port() == Some(port));
            if let Some(ready) = &node.unit.ready
                && let Probe::Tcp(address) = &ready.probe.value
                && listens(address.port)
            {
                let text = format!(
                    "`ready` of {} always passes: trc itself listens on port {} for it",
                    node.unit.id(),
                    address.port
                );
                remarks.push(
                    Diagnostic::warning(ready.probe.origin.clone(), text).help(
                        "use another `ready`, such as `http`, `notify` or a line of its output",
                    ),
                );
            }
        }
        // 128 + SIGTERM, and 128 + SIGINT.
        let by_number = |status: &u8| self.exit.get(status) == Some(&0);
        if self.stopped.is_none()
            && let Some(status) = [143, 130].into_iter().find(by_number)
        {
            let hidden = match status {
                143 => "one that had to be killed, and a service that exited by itself",
                _ => "and one that had to be killed",
            };
            let text = format!(
                "`[exit] {status} = 0` hides more than a stop: a unit that exited with {status}, \
                 {hidden}"
            );
            let place = place(&["exit", &status.to_string()]).unwrap_or(Origin::Default);
            remarks.push(Diagnostic::warning(place, text).help(
                "write `[exit] stopped = 0`, which applies only if every unit stopped as it should",
            ));
        }
        if chain + RESERVE.min(self.budget / 2) > self.budget {
            let text = format!(
                "shutdown.timeout is {} s, but the units that stop one after another may take {} s",
                seconds(self.budget),
                seconds(chain)
            );
            let place = place(&["shutdown", "timeout"]).unwrap_or(Origin::Default);
            let mut remark = Diagnostic::warning(place, text)
                .help("make it longer, or shorten the stop timeouts: trc kills the units that have not stopped by then");
            remark.note = stop::longest(&self.nodes).shown(&self.nodes);
            remarks.push(remark);
        }
        remarks
    }
}

/// Returns a host, or one name for all names of this container.
fn local(host: &str) -> &str {
    match host {
        "localhost" | "127.0.0.1" | "::1" | "0.0.0.0" | "::" => "localhost",
        other => other,
    }
}

/// Returns whether the command of a unit is one of Apache's.
fn runs_apache(unit: &Unit) -> bool {
    const NAMES: [&str; 6] =
        ["httpd", "httpd-foreground", "apache2", "apache2-foreground", "apache2ctl", "apachectl"];
    let Command::Exec(words) = &unit.command else { return false };
    let first = words.first().map(|word| word.source().to_string_lossy().into_owned());
    first.is_some_and(|word| NAMES.contains(&word.rsplit('/').next().unwrap_or_default()))
}

fn by_stage(units: &[Unit]) -> Vec<&Unit> {
    let mut sorted: Vec<&Unit> = units.iter().collect();
    // Tests with faults come last, so that other tests do not see the consequences.
    let with_fault = |unit: &Unit| unit.test.as_ref().is_some_and(|test| test.fault.is_some());
    sorted.sort_by_key(|unit| (unit.stage, with_fault(unit)));
    sorted
}

/// The places of the units in the configuration.
fn index(units: &[&Unit]) -> BTreeMap<String, usize> {
    units.iter().enumerate().map(|(at, unit)| (unit.id(), at)).collect()
}

/// The units that each unit waits for, with their places in the configuration.
fn written<'a>(units: &[&'a Unit], index: &BTreeMap<String, usize>) -> Vec<Vec<Written<'a>>> {
    let find = |name: &str| index.get(name).copied();
    let mut written: Vec<Vec<Written>> = units
        .iter()
        .map(|unit| {
            let after = unit.after.iter();
            let found =
                after.filter_map(|it| Some((find(&it.unit.value)?, it.condition, &it.unit.origin)));
            found.collect()
        })
        .collect();
    for (at, unit) in units.iter().enumerate() {
        for before in &unit.before {
            if let Some(other) = find(&before.unit.value) {
                written[other].push((at, before.condition, &before.unit.origin));
            }
        }
    }
    // A unit that is restarted with another one waits for it each time.
    for (unit, needs) in units.iter().zip(&mut written) {
        let named: BTreeSet<usize> = match unit.restart.with.as_slice() {
            [] => continue,
            _ => needs.iter().map(|need| need.0).collect(),
        };
        let with = unit.restart.with.iter();
        let with = with.filter_map(|with| Some((find(&with.value)?, None, &with.origin)));
        needs.extend(with.filter(|(other, _, _)| !named.contains(other)));
    }
    written
}

/// Returns an order that satisfies every edge, without the units that lie on a cycle or behind one,
/// and the cycles.
fn sort(units: &[&Unit], written: &[Vec<Written>]) -> (Vec<usize>, Vec<Diagnostic>) {
    let before = |at: usize| written[at].iter().map(|need| need.0).collect::<Vec<_>>();
    let sorted = order::stable(units.len(), &before);
    let mut stuck = vec![true; units.len()];
    for at in &sorted {
        stuck[*at] = false;
    }
    let cycles = cycle::all(&stuck, &before).iter().map(|around| circular(units, around)).collect();
    (sorted, cycles)
}

/// Explains why this condition of `other` can never hold for `unit`.
fn never(unit: &Unit, other: &Unit, condition: Option<Condition>) -> Option<String> {
    let (id, other_id) = (unit.id(), other.id());
    // A test without a command is nothing outside: trc makes its checks itself.
    let outside = other.command == Command::Nothing && other.stage != Stage::Test;
    match (condition, outside, &other.ready) {
        (Some(Condition::Ready), _, _) if unit.stage == Stage::Halt => {
            return Some(format!(
                "{id} cannot wait for {other_id} to be ready: halt units run after everything has stopped"
            ));
        }
        (Some(Condition::Ready), _, None) => {
            return Some(format!("{id} cannot wait for {other_id} to be ready: it has no `ready`"));
        }
        (Some(Condition::Started | Condition::Exited | Condition::Succeeded), true, _) => {
            return Some(format!(
                "{id} can wait for the external unit {other_id} only to be ready or to fail"
            ));
        }
        (Some(Condition::Succeeded), _, _) if other.restart.when == When::Always => {
            return Some(format!(
                "{id} cannot wait for {other_id} to succeed: it is always restarted"
            ));
        }
        _ => {}
    }
    if other.schedule.is_some() {
        return Some(format!(
            "{id} cannot wait for {other_id}, which has a schedule: it runs again and again"
        ));
    }
    match (unit.stage, other.stage) {
        (Stage::Boot, Stage::Async | Stage::Sync) => {
            Some(format!("{id} cannot wait for {other_id}: boot units run before all others"))
        }
        (Stage::Boot | Stage::Async | Stage::Sync | Stage::Halt, Stage::Test) => {
            Some(format!("{id} cannot wait for {other_id}: tests run in test mode only"))
        }
        (Stage::Boot | Stage::Async | Stage::Sync | Stage::Test, Stage::Halt) => Some(format!(
            "{id} cannot wait for {other_id}: halt units run after everything has stopped"
        )),
        (_, Stage::Boot)
            if condition == Some(Condition::Failed) && other.on_failure != OnFailure::Ignore =>
        {
            Some(format!(
                "{id} cannot wait for {other_id} to fail: the failure of a boot unit ends the run"
            ))
        }
        (Stage::Boot | Stage::Async | Stage::Sync | Stage::Test | Stage::Halt, _) => None,
    }
}

/// Returns the error for a cycle, which names the units along it.
fn circular(units: &[&Unit], around: &[usize]) -> Diagnostic {
    /// The number of units that the error names at the beginning of a long cycle. One more is named
    /// at the end.
    const NAMED: usize = 20;
    let first = units[around[0]];
    let next = units[around[1]].id();
    let mut names: Vec<String> = around.iter().take(NAMED).map(|at| units[*at].id()).collect();
    if around.len() > NAMED + 1 {
        names.push(format!("… {} more …", around.len() - NAMED - 1));
    }
    if around.len() > NAMED {
        names.push(first.id());
    }
    let id = first.id();
    let waits = first.after.iter().map(|after| &after.unit).chain(&first.restart.with);
    let waits = waits.filter(|unit| unit.value == next);
    let told = units[around[1]].before.iter().map(|before| &before.unit);
    let told = told.filter(|unit| unit.value == id);
    let origin = waits.chain(told).next().map(|unit| &unit.origin);
    let message = format!("these units wait for one another: {}", names.join(" -> "));
    // The names of the units that are before a unit on the cycle are in their `before`.
    let has_before = around.windows(2).any(|pair| {
        let waits = units[pair[0]].id();
        units[pair[1]].before.iter().any(|before| before.unit.value == waits)
    });
    let help = if has_before {
        "remove one of these names from the `after` or `restart.with` of the unit to the left of it, \
         or from the `before` of the unit to the right of it"
    } else {
        "remove one of these names from the `after` or `restart.with` of the unit before it"
    };
    Diagnostic::error(origin.unwrap_or(&first.origin).clone(), message).help(help)
}

fn node(unit: &Unit, declared: usize, awaited: bool) -> Node {
    let implied = awaited || matches!(unit.stage, Stage::Boot | Stage::Test | Stage::Halt);
    let own_process = match unit.command {
        Command::Exec(_) | Command::Words(_) | Command::Nothing => StopTo::Process,
        Command::Script(_) | Command::File(_) => StopTo::Group,
    };
    let mut unit = unit.clone();
    if unit.schedule.is_some() && unit.on_failure == OnFailure::Policy {
        unit.on_failure = OnFailure::Ignore;
    }
    let implied = implied || unit.schedule.is_some();
    Node {
        declared,
        oneshot: unit.oneshot.unwrap_or(implied),
        idle: false,
        ends: false,
        needs: Vec::new(),
        dependents: Vec::new(),
        restarts: Vec::new(),
        with: Vec::new(),
        about: Vec::new(),
        victim: None,
        job: None,
        stop_statuses: Vec::new(),
        stop_signal: unit.stop.signal.unwrap_or(Signal::TERM),
        stop_timeout: unit.stop.timeout.unwrap_or(STOP_TIMEOUT),
        stop_to: unit.stop.to.unwrap_or(own_process),
        unit,
    }
}

fn resolve(
    signal: Signal,
    rule: &SignalRule,
    index: &BTreeMap<String, usize>,
    ids: &[UnitId],
) -> Rule {
    match rule {
        SignalRule::Stop => Rule::Stop,
        SignalRule::Ignore => Rule::Ignore,
        SignalRule::Reopen => Rule::Reopen,
        SignalRule::Reload => Rule::Reload,
        SignalRule::Forward { signal: other, to } => {
            let units =
                to.iter().filter_map(|unit| index.get(&unit.value)).map(|at| ids[*at]).collect();
            Rule::Forward(other.unwrap_or(signal), units)
        }
    }
}

/// Marks the units that nobody starts: with `autostart = false`, and without a unit that starts and
/// waits for them, if only by way of others. Whoever runs when everything has stopped starts nothing.
fn mark_idle(nodes: &mut [Node]) {
    let starts = |node: &&Node| node.unit.autostart && node.unit.stage != Stage::Halt;
    let mut next: Vec<&Node> = nodes.iter().filter(starts).collect();
    let mut started: Vec<bool> = nodes.iter().map(|node| node.unit.autostart).collect();
    while let Some(node) = next.pop() {
        let needs = node.needs.iter().filter(|need| need.written).map(|need| need.unit);
        for other in needs.chain(node.victim) {
            if !std::mem::replace(&mut started[other.0], true) {
                next.push(&nodes[other.0]);
            }
        }
    }
    for (node, started) in nodes.iter_mut().zip(started) {
        node.idle = !started;
    }
}
