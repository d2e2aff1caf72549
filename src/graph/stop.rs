//! How long the stop takes at most by what the configuration says, and who makes it long.

use std::time::Duration;

use super::{Graph, Node, Rule};
use crate::config::{Origin, Stage};
use crate::signal::Signal;

/// The part of the shutdown timeout that is reserved for SIGKILL and the halt units.
pub(crate) const RESERVE: Duration = Duration::from_secs(2);

/// The units that stop one after another, each after all of its dependents, and have written
/// timeouts.
#[derive(Debug)]
pub(super) struct Chain {
    /// The sum of their timeouts.
    pub takes: Duration,
    /// The units, in the order in which they stop.
    units: Vec<usize>,
}

/// A stop that takes longer than the container has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Overtime {
    /// The time that the stop may take, as the beginning of a sentence.
    pub takes: String,
    /// The key that is to change, if it is written.
    pub key: Vec<String>,
    /// The place of the unit that has the key.
    pub origin: Origin,
    /// The units that stop one after another, with their timeouts.
    pub chain: Option<String>,
    /// What to do.
    pub help: String,
}

impl Graph {
    /// Returns what is wrong if the stop may take longer than the container has until it is killed.
    #[must_use]
    pub(crate) fn overtime(&self, grace: Duration) -> Option<Overtime> {
        if self.budget <= grace {
            return None;
        }
        let chain = longest(&self.nodes);
        let whole = whole(self.budget);
        let longer = format!("give the containers a grace period of at least {} s", whole + 2);
        // The engine measures from the signal on, and trc a little later.
        let room = grace.saturating_sub(Duration::from_secs(1));
        if self.written_budget.is_some() {
            let help = match room.as_secs() {
                0 => longer,
                most => format!("set shutdown.timeout to {most} s or less, or {longer}"),
            };
            return Some(Overtime {
                takes: format!("shutdown.timeout is {} s", self.budget.as_secs_f64()),
                key: ["shutdown", "timeout"].map(str::to_owned).into(),
                origin: Origin::Default,
                chain: chain.shown(&self.nodes),
                help,
            });
        }
        let takes = format!("stopping may take {} s", self.budget.as_secs_f64());
        let excess = (chain.takes + RESERVE).saturating_sub(grace);
        if excess.is_zero() {
            let help = match room.as_secs() {
                0 => longer,
                most => format!("set [shutdown] timeout = \"{most}s\", or {longer}"),
            };
            let origin = Origin::Default;
            return Some(Overtime { takes, key: Vec::new(), origin, chain: None, help });
        }
        // The first of several that take equally long.
        let slowest = chain.units.iter().rev().max_by_key(|at| written(&self.nodes[**at]));
        let node = slowest.map(|at| &self.nodes[*at])?;
        let id = node.unit.id();
        let after = node.unit.post_stop.as_ref().and_then(|hook| hook.within);
        let stop = node.unit.stop.timeout.unwrap_or_default();
        let (time, key) = match after {
            Some(after) if after > stop => (after, ["post_stop", "within"]),
            Some(_) | None => (stop, ["stop", "timeout"]),
        };
        let declared = node.unit.declared_name();
        let shorten = match time.checked_sub(excess).map(|left| left.as_secs()) {
            Some(most @ 1..) => {
                format!("set {} of {id} to {most} s or less", key.join("."))
            }
            Some(0) | None => "shorten the stop timeouts".to_owned(),
        };
        let help = format!(
            "{shorten}; or, if your containers have a grace period of at least {} s, set [shutdown] timeout = \"{whole}s\"",
            whole + 2
        );
        let key = [node.unit.stage.name(), declared, key[0], key[1]].map(str::to_owned).into();
        let origin = node.unit.origin.clone();
        Some(Overtime { takes, key, origin, chain: chain.shown(&self.nodes), help })
    }
}

impl Graph {
    /// Returns what this signal from a container engine does instead of stopping the run, if it does
    /// not stop it, as the end of a sentence.
    ///
    /// # Errors
    /// Returns the reason why it is no signal.
    pub(crate) fn deaf_to(&self, signal: &str) -> Result<Option<String>, String> {
        let signal: Signal = signal.parse()?;
        let in_front = self.nodes.iter().any(|node| node.unit.stage == Stage::Sync);
        let does = match self.rule(signal) {
            _ if signal == Signal::KILL => {
                return Ok(Some("kills trc at once: no unit is asked to stop".to_owned()));
            }
            _ if signal == Signal::STOP => "it suspends trc",
            Rule::Stop | Rule::Forward(..) => return Ok(None),
            Rule::Ignore => "[signals] ignores it",
            Rule::Reopen => "trc reopens its files on it",
            Rule::Reload => "trc reads its configuration anew on it",
            // Apache in the foreground stops on SIGWINCH.
            Rule::Foreground if in_front => return Ok(None),
            Rule::Foreground => "trc passes it to the foreground unit, and there is none",
        };
        Ok(Some(format!(
            "does not stop the container: {does}, so the engine kills it after the grace period"
        )))
    }
}

impl Chain {
    /// Returns the units and their timeouts in one line, if there are several.
    pub(super) fn shown(&self, nodes: &[Node]) -> Option<String> {
        /// The number of units that the line names.
        const NAMED: usize = 8;
        if self.units.len() < 2 {
            return None;
        }
        let one = |at: &usize| {
            let node = &nodes[*at];
            format!("{} ({} s)", node.unit.id(), written(node).as_secs_f64())
        };
        let mut names: Vec<String> = self.units.iter().take(NAMED).map(one).collect();
        if self.units.len() > NAMED {
            names.push(format!("{} more", self.units.len() - NAMED));
        }
        Some(format!("these units stop one after another: {}", names.join(", then ")))
    }
}

/// Returns a time in seconds, rounded up.
fn whole(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// Returns the time that the configuration gives a unit to stop, its `post_stop` included.
fn written(node: &Node) -> Duration {
    let after = node.unit.post_stop.as_ref().and_then(|hook| hook.within);
    node.unit.stop.timeout.unwrap_or_default() + after.unwrap_or_default()
}

/// Returns the longest chain of units that stop one after another, each after all of its dependents,
/// by the stop timeouts in the configuration.
pub(super) fn longest(nodes: &[Node]) -> Chain {
    let mut holding = vec![0_usize; nodes.len()];
    let mut needs = vec![Vec::new(); nodes.len()];
    for (at, node) in nodes.iter().enumerate() {
        holding[at] = node.dependents.len();
        for dependent in &node.dependents {
            needs[dependent.0].push(at);
        }
    }
    let mut behind = vec![(Duration::ZERO, None); nodes.len()];
    let mut free: Vec<usize> = (0..nodes.len()).filter(|at| holding[*at] == 0).collect();
    let (mut takes, mut last) = (Duration::ZERO, None);
    while let Some(at) = free.pop() {
        let until = behind[at].0 + written(&nodes[at]);
        if until > takes {
            (takes, last) = (until, Some(at));
        }
        for need in &needs[at] {
            if until > behind[*need].0 {
                behind[*need] = (until, Some(at));
            }
            holding[*need] -= 1;
            if holding[*need] == 0 {
                free.push(*need);
            }
        }
    }
    let mut units: Vec<usize> = std::iter::successors(last, |at| behind[*at].1).collect();
    units.retain(|at| !written(&nodes[*at]).is_zero());
    units.reverse();
    Chain { takes, units }
}
