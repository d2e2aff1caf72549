//! `trcctl wait`.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use super::ask::{NoAnswer, Trc};
use super::health::sentence;
use super::paint::Color;
use super::{Options, complain, failed, note, say, why};
use crate::config::nearest;
use crate::status as exit;
use crate::wire::{Ask, Code, HealthState, RunHealth, UnitState, Until, Wait};

/// The longest time for which trc holds an answer back. After that, `trcctl` asks again.
const LONGEST: Duration = Duration::from_hours(12);
/// The time after which `trcctl` asks again otherwise, such as a trc that does not listen yet.
const AGAIN: Duration = Duration::from_millis(50);
/// The conditions of a unit, as in `after`.
const CONDITIONS: [&str; 6] = ["started", "ready", "exited", "succeeded", "failed", "settled"];

/// Something to wait for.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Goal {
    /// Every unit is up.
    Ready,
    /// The run has ended.
    Stopped,
    /// A unit meets a condition.
    Unit(String, &'static str),
}

/// How near a goal is.
#[derive(Debug)]
enum Step {
    /// It is reached.
    Met,
    /// It is not reached yet.
    NotYet,
    /// It cannot be reached any more, for this reason.
    Never(String),
}

/// The last answer before the end of a wait.
struct Answer {
    /// In words.
    text: String,
    json: String,
    /// The unit that the answer is about.
    unit: Option<String>,
}

/// Waits for each of the goals, for no longer than `within` in all. Returns the exit status: 0 if
/// all are reached, 1 if one cannot be reached any more, 124 if the time is up.
pub fn wait(options: &Options, goals: &[String], within: Option<Duration>) -> u8 {
    let goals: Result<Vec<Goal>, String> = goals.iter().map(|goal| Goal::read(goal)).collect();
    let goals = match goals {
        Ok(goals) => goals,
        Err(why) => {
            complain(&why);
            return exit::USAGE;
        }
    };
    let trc = Trc::at(options.socket.as_deref());
    let until = within.map(|within| clock() + within);
    let mut goals = VecDeque::from(goals);
    while let Some(goal) = goals.pop_front() {
        let (step, answer) = match goal.wait(&trc, until) {
            Ok(done) => done,
            Err(why) => match goal.of_instances(&trc, &why) {
                none if none.is_empty() => return failed(&why),
                each => {
                    each.into_iter().rev().for_each(|goal| goals.push_front(goal));
                    continue;
                }
            },
        };
        say(&(if options.json { answer.json } else { answer.text.clone() } + "\n"));
        match step {
            Step::Met => {}
            Step::Never(why) => {
                complain(&format_args!("{goal} cannot be reached any more: {why}"));
                return 1;
            }
            Step::NotYet => {
                complain(&format_args!("the time is up before {goal}"));
                let chain = answer.unit.and_then(|unit| why::chain(&trc, &unit).ok());
                if let Some(chain) = chain {
                    let plain = Options { color: Color::Never, ..options.clone() };
                    note(&why::told(&trc, &plain, &chain));
                }
                return exit::TIMED_OUT;
            }
        }
    }
    0
}

impl fmt::Display for Goal {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => to.write_str("`ready`"),
            Self::Stopped => to.write_str("`stopped`"),
            Self::Unit(unit, condition) => write!(to, "`{unit}={condition}`"),
        }
    }
}

impl Goal {
    /// Returns the goals that stand for this one, if trc knows its name only as that of several
    /// instances.
    fn of_instances(&self, trc: &Trc, why: &NoAnswer) -> Vec<Self> {
        match (self, why) {
            (Self::Unit(name, condition), NoAnswer::Refused(problem))
                if problem.code == Code::NotFound =>
            {
                let instances = trc.instances(name).into_iter();
                instances.map(|unit| Self::Unit(unit, condition)).collect()
            }
            _ => Vec::new(),
        }
    }

    fn read(text: &str) -> Result<Self, String> {
        let near = |word: &str, words: &[&'static str]| {
            let near = nearest(word, words.iter().copied());
            near.map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default()
        };
        match text.split_once('=') {
            None if text == "ready" => Ok(Self::Ready),
            None if text == "stopped" => Ok(Self::Stopped),
            None => {
                let hint = near(text, &["ready", "stopped"]);
                Err(format!(
                    "cannot wait for `{text}`: write ready, stopped or UNIT=CONDITION{hint}"
                ))
            }
            Some((unit, word)) => {
                let known = CONDITIONS.into_iter().find(|known| *known == word);
                known.map(|word| Self::Unit(unit.to_owned(), word)).ok_or_else(|| {
                    let (words, hint) = (CONDITIONS.join(", "), near(word, &CONDITIONS));
                    format!("`{word}` is not a condition: write one of {words}{hint}")
                })
            }
        }
    }

    /// Waits until the goal is reached, or cannot be reached any more, or the time is up.
    fn wait(&self, trc: &Trc, until: Option<Instant>) -> Result<(Step, Answer), NoAnswer> {
        let mut connected = false;
        loop {
            let left = until.map(|until| until.saturating_duration_since(clock()));
            // trc begins to count later, so that its answer never comes before the time is up.
            let held = left.unwrap_or(LONGEST).min(LONGEST).as_millis().saturating_add(1);
            let held = Duration::from_millis(u64::try_from(held).unwrap_or(u64::MAX));
            let is_late = || until.is_some_and(|until| until <= clock());
            match self.ask(trc, held) {
                Ok((step, answer)) => {
                    connected = true;
                    let over = match step {
                        // The end of the run has answered it.
                        Step::Met if *self == Self::Stopped => !is_late(),
                        Step::Met | Step::Never(_) => true,
                        Step::NotYet => false,
                    };
                    if over {
                        return Ok((step, answer));
                    }
                    if is_late() {
                        return Ok((Step::NotYet, answer));
                    }
                }
                // trc was killed, or has let this client go because it has too many.
                Err(NoAnswer::Broken(_)) if *self == Self::Stopped => connected = true,
                Err(NoAnswer::Unreachable(..)) if *self == Self::Stopped && connected => {
                    return Ok((Step::Met, Answer::gone()));
                }
                // It may be about to begin.
                Err(NoAnswer::Unreachable(_, why))
                    if until.is_some()
                        && !is_late()
                        && [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused]
                            .contains(&why.kind()) => {}
                Err(why) => return Err(why),
            }
            pause();
        }
    }

    /// Asks trc to answer when the goal is reached, or after a time.
    fn ask(&self, trc: &Trc, within: Duration) -> Result<(Step, Answer), NoAnswer> {
        let about_run = |until| {
            let ask = Ask::Health(Vec::new(), Some(Wait { until, within }));
            trc.ask(&ask)?.read::<RunHealth>()
        };
        match self {
            Self::Ready => {
                let health = about_run(Until::Ready)?;
                let step = match health.state {
                    HealthState::Ready | HealthState::Degraded => Step::Met,
                    HealthState::Starting | HealthState::Unhealthy => Step::NotYet,
                    HealthState::Stopping => Step::Never("the run is stopping".to_owned()),
                };
                Ok((step, Answer::of_run(&health)))
            }
            Self::Stopped => {
                let health = about_run(Until::Stopped)?;
                match health.state {
                    HealthState::Stopping => Ok((Step::Met, Answer::gone())),
                    HealthState::Ready
                    | HealthState::Degraded
                    | HealthState::Starting
                    | HealthState::Unhealthy => Ok((Step::NotYet, Answer::of_run(&health))),
                }
            }
            Self::Unit(name, condition) => {
                let until = match *condition {
                    "started" => Until::Started,
                    "ready" | "settled" => Until::Ready,
                    _ => Until::Ended,
                };
                let ask = Ask::Unit(name.clone(), Some(Wait { until, within }));
                let unit: UnitState = trc.get(&ask)?;
                Ok((step(&unit, condition), Answer::of_unit(&unit)))
            }
        }
    }
}

/// Returns how near a unit is to a condition.
fn step(unit: &UnitState, condition: &str) -> Step {
    let ended = unit.phase == "ended";
    let because = || unit.why.clone().unwrap_or_else(|| "it has succeeded".to_owned());
    let gone = unit.wanted == "held" && unit.process.is_none();
    match condition {
        "started" | "ready" | "settled" if unit.wanted == "down" => {
            Step::Never("trc has stopped it, or is about to".to_owned())
        }
        "started" | "ready" if ended => match &unit.why {
            None => Step::Met,
            Some(why) => Step::Never(format!("{} {why}", unit.name)),
        },
        "started" if ["running", "watching"].contains(&unit.phase.as_str()) => Step::Met,
        "ready" if unit.is_up() && unit.wanted != "idle" => Step::Met,
        "settled" if ended || unit.is_up() && unit.wanted != "idle" => Step::Met,
        "exited" if ended || gone => Step::Met,
        "succeeded" if ended && unit.why.is_none() => Step::Met,
        "failed" if ended && unit.why.is_some() => Step::Met,
        "succeeded" | "failed" if ended || gone => {
            Step::Never(format!("{} {}", unit.name, because()))
        }
        _ => Step::NotYet,
    }
}

impl Answer {
    fn of_run(health: &RunHealth) -> Self {
        let json = serde_json::to_string(health).unwrap_or_default();
        Self { text: sentence(health), json, unit: health.unit.clone() }
    }

    fn of_unit(unit: &UnitState) -> Self {
        let (word, _) = super::status::state(unit);
        let what = unit.why.clone().unwrap_or_else(|| format!("is {word}"));
        let json = serde_json::to_string(unit).unwrap_or_default();
        Self { text: format!("{} {what}", unit.name), json, unit: Some(unit.name.clone()) }
    }

    /// trc is gone.
    fn gone() -> Self {
        let health = RunHealth { state: HealthState::Stopping, unit: None, why: None };
        Self { text: "stopped".to_owned(), ..Self::of_run(&health) }
    }
}

#[expect(clippy::disallowed_methods, reason = "trcctl is not PID 1")]
fn clock() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "trcctl is not PID 1")]
fn pause() {
    std::thread::sleep(AGAIN);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_goal_is_told_with_the_nearest_word() {
        for (text, says) in [
            (
                "redy",
                "cannot wait for `redy`: write ready, stopped or UNIT=CONDITION (did you mean `ready`?)",
            ),
            (
                "web=exitd",
                "`exitd` is not a condition: write one of started, ready, exited, succeeded, failed, settled (did you mean `exited`?)",
            ),
        ] {
            assert_eq!(Goal::read(text), Err(says.to_owned()));
        }
        let goal = Goal::Unit("web".to_owned(), "ready");
        assert_eq!(Goal::read("web=ready"), Ok(goal));
    }
}
