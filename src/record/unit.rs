//! A unit of a recorded run.

use std::ffi::OsString;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use crate::config::{
    After, Command, Condition, Fault, FaultKind, Form, Health, Identity, OnFailure, Placed, Probe,
    Ready, ReloadBy, Restart, Stop, Template, Test, Tty, Unit,
};

/// A unit, and what no key of the configuration can hold.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Recorded {
    /// The full name.
    pub id: String,
    /// The form of its declaration.
    pub(super) form: Form,
    /// The place of its declaration.
    pub(super) origin: String,
    /// The place of its command.
    pub(super) command_at: String,
    /// Its command.
    pub(super) runs: Runs,
    /// The words of its `pre_start`, its `post_stop` and its `reload.exec`.
    pub(super) others: [Option<Vec<String>>; 3],
    /// The settings that errors of its start name.
    pub(super) named: Named,
    /// The units that it waits for, in the order in which they were written.
    pub(super) after: Vec<(String, Option<Condition>)>,
    /// The units that wait for it.
    pub(super) before: Vec<(String, Option<Condition>)>,
    /// If it is a test: why there is nothing to test.
    pub(super) absent: Option<String>,
    /// Its keys.
    pub(super) keys: Json,
}

/// The command of a unit, as it is configured.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Runs {
    Exec(Vec<String>),
    Script(String),
    File(String),
    Words(Vec<String>),
    Nothing,
}

/// The settings that errors of a start name, each with its value and its place.
#[derive(Clone, PartialEq, Default, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Named {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tty: Option<(String, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) nice: Option<(i32, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) oom_score_adj: Option<(i32, String)>,
    /// The user, or else the group, or else the first of the groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) who: Option<(String, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cwd: Option<(String, String)>,
    /// The place of the first limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) limits: Option<String>,
    /// The place of the first capability.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) capabilities: Option<String>,
}

impl Named {
    fn of(own: &Identity) -> Self {
        let tty = own.tty.as_ref().and_then(|tty| match &tty.value {
            Tty::Own(path) => Some((path.display().to_string(), tty.origin.place())),
            Tty::No => None,
        });
        let number = |it: &Placed<i32>| (it.value, it.origin.place());
        let who = own.user.as_ref().or(own.group.as_ref());
        let who = who.or_else(|| own.groups.as_ref()?.first());
        let cwd = own.cwd.as_ref();
        let capability = own.capabilities.as_ref().and_then(|kept| kept.first());
        Self {
            tty,
            nice: own.nice.as_ref().map(number),
            oom_score_adj: own.oom_score_adj.as_ref().map(number),
            who: who.map(|who| (who.value.clone(), who.origin.place())),
            cwd: cwd.map(|cwd| (lossy(&cwd.value.source()), cwd.origin.place())),
            limits: own.limits.first().map(|limit| limit.origin.place()),
            capabilities: capability.map(|it| it.origin.place()),
        }
    }
}

/// A stand-in for a command.
pub(super) const STAND_IN: &str = "true";

/// Returns a time as the configuration has it.
pub(super) fn time(time: Duration) -> String {
    format!("{}s", time.as_secs_f64())
}

fn lossy(text: &OsString) -> String {
    text.to_string_lossy().into_owned()
}

/// Returns the words of a command as they are configured.
fn words(exec: &[Template]) -> Vec<String> {
    exec.iter().map(|word| lossy(&word.source())).collect()
}

impl Recorded {
    /// Returns the record of a unit.
    pub(super) fn of(unit: &Unit) -> Self {
        let named = |all: &[After]| {
            all.iter().map(|after| (after.unit.value.clone(), after.condition)).collect()
        };
        Self {
            id: unit.id(),
            form: unit.form,
            origin: unit.origin.place(),
            command_at: unit.command_at.place(),
            runs: match &unit.command {
                Command::Exec(exec) => Runs::Exec(words(exec)),
                Command::Script(text) => Runs::Script(lossy(text)),
                // As the log has it, whatever bytes it has.
                Command::File(_) => Runs::File(unit.label()),
                Command::Words(words) => Runs::Words(words.iter().map(lossy).collect()),
                Command::Nothing => Runs::Nothing,
            },
            others: [
                unit.pre_start.as_ref().map(|hook| words(&hook.exec)),
                unit.post_stop.as_ref().map(|hook| words(&hook.exec)),
                unit.reload.as_ref().and_then(|reload| match &reload.by {
                    ReloadBy::Exec(exec) => Some(words(exec)),
                    ReloadBy::Signal(_) => None,
                }),
            ],
            named: Named::of(&unit.identity),
            after: named(&unit.after),
            before: named(&unit.before),
            absent: unit.test.as_ref().and_then(|test| test.absent.clone()),
            keys: Json::Object(match &unit.test {
                Some(test) => of_test(test),
                None => of_unit(unit),
            }),
        }
    }
}

/// Adds a key if it has a value.
fn put(keys: &mut Map<String, Json>, name: &str, value: impl Serialize) {
    let value = json!(value);
    if !value.is_null() {
        keys.insert(name.to_owned(), value);
    }
}

fn of_unit(unit: &Unit) -> Map<String, Json> {
    let mut keys = Map::new();
    if unit.command != Command::Nothing {
        put(&mut keys, "exec", STAND_IN);
    }
    put(&mut keys, "autostart", (!unit.autostart).then_some(false));
    put(&mut keys, "oneshot", unit.oneshot);
    put(&mut keys, "always", unit.always.then_some(true));
    put(&mut keys, "pid_file", unit.pid_file.as_ref().map(|file| &file.value));
    put(&mut keys, "ready", unit.ready.as_ref().map(ready));
    put(&mut keys, "health", unit.health.as_ref().map(health));
    put(&mut keys, "restart", (unit.restart != Restart::NO).then(|| restart(&unit.restart)));
    let schedule = unit.schedule.as_ref().map(|it| {
        // Events tell when the unit is due.
        json!({ "when": "@daily", "overlap": it.overlap, "at_start": it.at_start })
    });
    put(&mut keys, "schedule", schedule);
    put(&mut keys, "max_runtime", unit.max_runtime.map(time));
    put(&mut keys, "success", &unit.success);
    put(&mut keys, "on_failure", (unit.on_failure != OnFailure::Policy).then_some(unit.on_failure));
    put(&mut keys, "stop", (unit.stop != Stop::default()).then(|| stop(&unit.stop)));
    let reload = unit.reload.as_ref().map(|it| {
        let (signal, exec) = match &it.by {
            ReloadBy::Signal(signal) => (Some(signal), None),
            ReloadBy::Exec(_) => (None, Some(STAND_IN)),
        };
        json!({ "signal": signal, "exec": exec, "within": time(it.within) })
    });
    put(&mut keys, "reload", reload);
    for (name, hook) in [("pre_start", &unit.pre_start), ("post_stop", &unit.post_stop)] {
        let hook = hook.as_ref();
        let hook = hook.map(|it| json!({ "exec": STAND_IN, "within": it.within.map(time) }));
        put(&mut keys, name, hook);
    }
    keys
}

/// Returns the keys of a probe. Only its kind matters.
fn probe(probe: &Probe) -> Map<String, Json> {
    let mut keys = Map::new();
    match probe {
        Probe::Tcp(_) | Probe::Unix(_) | Probe::Http(_) | Probe::Exec(_) | Probe::File(_) => {
            put(&mut keys, "file", "/");
        }
        Probe::Log(line) => put(&mut keys, "log", json!({ "pattern": ".", "count": line.count })),
        Probe::Notify => put(&mut keys, "notify", true),
        Probe::Fd(number) => put(&mut keys, "fd", number),
        Probe::PidFile => {}
    }
    keys
}

fn ready(ready: &Ready) -> Json {
    let mut keys = probe(&ready.probe.value);
    put(&mut keys, "every", time(ready.every));
    if !ready.probe.value.is_told() {
        put(&mut keys, "timeout", time(ready.timeout));
    }
    put(&mut keys, "within", time(ready.within));
    Json::Object(keys)
}

fn health(health: &Health) -> Json {
    let mut keys = probe(&health.probe.value);
    if let Probe::Log(_) = health.probe.value {
        put(&mut keys, "log", ".");
    }
    put(&mut keys, "every", time(health.every));
    put(&mut keys, "failures", health.failures);
    put(&mut keys, "then", health.then);
    Json::Object(keys)
}

fn restart(restart: &Restart) -> Json {
    let with: Vec<&String> = restart.with.iter().map(|with| &with.value).collect();
    json!({
        "when": restart.when,
        "max": restart.max,
        "window": time(restart.window),
        "backoff": format!("{}..{}", time(restart.backoff.first), time(restart.backoff.longest)),
        "with": (!with.is_empty()).then_some(with),
    })
}

fn stop(stop: &Stop) -> Json {
    json!({
        "signal": stop.signal,
        "timeout": stop.timeout.map(time),
        "to": stop.to,
        "exec": stop.exec.as_ref().map(|_| STAND_IN),
    })
}

fn of_test(test: &Test) -> Map<String, Json> {
    let mut keys = Map::new();
    put(&mut keys, "exec", STAND_IN);
    put(&mut keys, "start_within", time(test.start_within));
    put(&mut keys, "max_runtime", time(test.max_runtime));
    let mut expect = Map::new();
    put(&mut expect, "within", test.within.map(time));
    put(&mut expect, "holds", test.holds.map(time));
    let statuses = &test.stop.statuses;
    put(&mut expect, "stop_status", (!statuses.is_empty()).then_some(statuses));
    put(&mut expect, "stop_within", test.stop.within.map(time));
    put(&mut expect, "job", test.job.as_ref().map(|job| &job.value));
    match test.fault.as_ref().map(|fault| &fault.value) {
        Some(Fault { unit, kind: FaultKind::Restart, .. }) => {
            put(&mut expect, "restart", &unit.value);
        }
        Some(Fault { unit, kind, restarts }) => {
            let (kill, stop, down) = match kind {
                FaultKind::Kill(signal) => (Some(signal), None, None),
                FaultKind::Stop(span) => (None, Some(time(*span)), None),
                FaultKind::Down | FaultKind::Restart => (None, None, Some(true)),
            };
            let fault = json!({
                "unit": unit.value, "kill": kill, "stop": stop, "down": down, "restarts": restarts,
            });
            put(&mut expect, "fault", fault);
        }
        None => {}
    }
    let during = test.during.as_ref();
    put(&mut expect, "during", during.map(|it| json!({ "tcp": 1, "every": time(it.value.every) })));
    put(&mut keys, "expect", expect);
    keys
}
