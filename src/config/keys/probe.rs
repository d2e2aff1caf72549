//! Reads `ready` and `health`.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use super::decode::{At, Decoder, Fields};
use super::key::{Keys, PROBES, find};
use super::{HEALTH, HTTP, READY, READY_LOG};
use crate::config::http::Url;
use crate::config::leaf::{self, Leaf, Problem, Reader, one_of};
use crate::config::probe::ANSWERS;
use crate::config::value::{Entry, Node, Value, shown};
use crate::config::{Environment, Health, Http, LogLine, Placed, Probe, Ready, Then, Unit};

/// The default of `every` in `ready`.
const READY_EVERY: Duration = Duration::from_millis(100);
/// The default of `every` in `health`.
const HEALTH_EVERY: Duration = Duration::from_secs(10);
/// The default of `timeout` in both.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The default of `within` in `ready`.
const WITHIN: Duration = Duration::from_mins(1);
/// The default of `failures` in `health`.
const FAILURES: u32 = 3;

/// The keys of `ready` and `health`.
#[derive(Default)]
pub(super) struct Probing {
    pub probe: Option<Placed<Probe>>,
    pub every: Option<Duration>,
    pub timeout: Option<Duration>,
    pub within: Option<Duration>,
    pub failures: Option<u32>,
    pub then: Option<Then>,
}

/// The keys of `ready.log`.
#[derive(Default)]
pub(super) struct LogKeys {
    pub pattern: Option<String>,
    pub count: Option<u32>,
}

/// The keys of `http`.
#[derive(Default)]
pub(super) struct HttpKeys {
    pub url: Option<Url>,
    pub path: Option<String>,
    pub host: Option<String>,
}

/// The status codes that count as a success.
pub(super) struct Codes {
    pub status: Vec<RangeInclusive<u16>>,
}

impl Decoder<'_> {
    /// Reads `ready`.
    pub(super) fn ready(&mut self, at: &At, entry: &Entry) -> Option<Ready> {
        let (fields, mut keys) = self.probing(at, entry, READY)?;
        self.ready_keys(&fields, &mut keys);
        if self.has_pid_file && PROBES.iter().all(|kind| fields.lacks(kind)) {
            keys.probe = placed(entry, Some(Probe::PidFile));
        } else {
            self.one_probe(&fields, entry);
        }
        ready(keys)
    }

    /// Adds the readiness check of a unit with a `pid_file` that has no `ready`.
    pub(super) fn ready_by_pid_file(unit: &mut Unit) {
        if let (Some(Placed { origin, .. }), None) = (&unit.pid_file, &unit.ready) {
            let probe = Some(Placed { value: Probe::PidFile, origin: origin.clone() });
            unit.ready = ready(Probing { probe, ..Probing::default() });
        }
    }

    /// Reads `health`.
    pub(super) fn health(&mut self, at: &At, entry: &Entry) -> Option<Health> {
        let (fields, mut keys) = self.probing(at, entry, HEALTH)?;
        self.health_keys(&fields, &mut keys);
        self.one_probe(&fields, entry);
        Some(Health {
            probe: keys.probe?,
            every: keys.every.unwrap_or(HEALTH_EVERY),
            timeout: keys.timeout.unwrap_or(TIMEOUT),
            failures: keys.failures.unwrap_or(FAILURES),
            then: keys.then.unwrap_or_default(),
        })
    }

    /// Reads the table of `ready` or `health`, with the keys that both have. The help for any other
    /// value shows how to write it as a table.
    fn probing<'t>(
        &mut self,
        at: &'t At<'t>,
        entry: &'t Entry,
        keys: Keys,
    ) -> Option<(Fields<'t>, Probing)> {
        let node = &entry.node;
        let right = match &node.value {
            Value::Table(table) => {
                let (fields, mut keys) = (self.fields(*at, keys, table), Probing::default());
                self.probe_keys(&fields, &mut keys);
                return Some((fields, keys));
            }
            Value::Integer(port, _) => Some(format!("{{ tcp = {port} }}")),
            Value::Boolean(true) => Some("{ notify = true }".to_owned()),
            Value::String(text) => Some(probe_of(text)),
            _ => None,
        };
        let help = right.map(|right| format!("write {at} = {right}"));
        self.problem(at, node, Problem { help, ..Problem::expected("a table", node) });
        None
    }

    /// Reports a table without a probe.
    fn one_probe(&mut self, fields: &Fields, entry: &Entry) {
        let kinds: Vec<&str> = PROBES.iter().copied().filter(|kind| fields.has(kind)).collect();
        if kinds.iter().all(|kind| fields.lacks(kind)) {
            let help = format!("write one of {}", one_of(&kinds));
            self.error(&entry.key, format!("`{}` needs a probe", fields.at), Some(help));
        }
    }

    /// Reads a probe that consists of one value.
    pub(super) fn probe<T>(
        &mut self,
        keys: &mut Probing,
        at: &At,
        entry: &Entry,
        leaf: impl Reader<T>,
        probe: impl FnOnce(T) -> Probe,
    ) {
        keys.probe = placed(entry, self.get(at, entry, leaf).map(probe));
    }

    /// Reads `exec`.
    pub(super) fn exec_probe(&mut self, keys: &mut Probing, at: &At, entry: &Entry) {
        keys.probe = placed(entry, self.words(at, entry).map(Probe::Exec));
    }

    /// Reads `notify`.
    pub(super) fn notify_probe(&mut self, keys: &mut Probing, at: &At, entry: &Entry) {
        let notify = |node: &Node, environment: &Environment| {
            if leaf::boolean(node, environment)? {
                return Ok(Probe::Notify);
            }
            Err(Problem::new("`false` has no meaning here: leave the key out"))
        };
        keys.probe = placed(entry, self.get(at, entry, notify));
    }

    /// Reads `ready.log`.
    pub(super) fn log_probe(&mut self, keys: &mut Probing, at: &At, entry: &Entry) {
        let Some(fields) = self.table(at, entry, READY_LOG) else { return };
        let mut log = LogKeys::default();
        self.ready_log_keys(&fields, &mut log);
        if fields.lacks("pattern") {
            let message = format!("`{}` needs a `pattern`", fields.at);
            let help = "write the regular expression that the line matches";
            self.error(&entry.key, message, Some(help.to_owned()));
        }
        let count = log.count.unwrap_or(1);
        let probe = log.pattern.map(|pattern| Probe::Log(LogLine { pattern, count }));
        keys.probe = placed(entry, probe);
    }

    /// Reads `http`.
    pub(super) fn http_probe(&mut self, keys: &mut Probing, at: &At, entry: &Entry) {
        let Some(fields) = self.table(at, entry, HTTP) else { return };
        let mut codes = Codes { status: vec![ANSWERS] };
        self.codes_keys(&fields, &mut codes);
        keys.probe = placed(entry, self.http_of(&fields, entry, codes.status).map(Probe::Http));
    }

    /// Reads the URL of an HTTP probe, and the status codes that count as a success.
    pub(super) fn http_of(
        &mut self,
        fields: &Fields,
        entry: &Entry,
        status: Vec<RangeInclusive<u16>>,
    ) -> Option<Http> {
        let mut keys = HttpKeys::default();
        self.http_keys(fields, &mut keys);
        if fields.lacks("url") {
            self.error(&entry.key, format!("`{}` needs a `url`", fields.at), None);
        }
        let url = keys.url?;
        Some(Http {
            address: url.address,
            path: keys.path.or(url.path).unwrap_or_else(|| "/".to_owned()),
            host: keys.host.unwrap_or(url.authority),
            status,
        })
    }
}

/// Returns a readiness check, if there is a probe, with the defaults of the keys that are not set.
fn ready(keys: Probing) -> Option<Ready> {
    Some(Ready {
        probe: keys.probe?,
        every: keys.every.unwrap_or(READY_EVERY),
        timeout: keys.timeout.unwrap_or(TIMEOUT),
        within: keys.within.unwrap_or(WITHIN),
    })
}

/// Returns a probe with the place of its key.
fn placed(entry: &Entry, probe: Option<Probe>) -> Option<Placed<Probe>> {
    probe.map(|value| Placed { value, origin: entry.key.clone() })
}

/// Returns the probe that was probably meant by a text in the place of the table.
fn probe_of(text: &str) -> String {
    // Docker and other programs write an address with `tcp://`.
    let text = text.strip_prefix("tcp://").or_else(|| text.strip_prefix("tcp:")).unwrap_or(text);
    if let Some(path) = text.strip_prefix("unix://") {
        return format!("{{ unix = {:?} }}", self::shown(path));
    }
    let shown = shown(text);
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    let is_address = text.rsplit_once(':').is_some_and(|(_, port)| is_port(port));
    if text.starts_with("http://") || text.starts_with("https://") {
        format!("{{ http = {shown:?} }}")
    } else if is_port(text) || is_address && !text.contains([' ', '/']) {
        format!("{{ tcp = {shown:?} }}")
    } else if text.starts_with('/') && Path::new(text).extension().is_some_and(|end| end == "sock")
    {
        format!("{{ unix = {shown:?} }}")
    } else if PROBES.contains(&text) {
        let key = find(READY, text);
        format!("{{ {text} = {} }}", key.map_or("…", |key| key.example))
    } else {
        format!("{{ exec = {shown:?} }}")
    }
}

/// Returns the probe that any line with this regular expression passes.
pub(super) fn any_line(pattern: String) -> Probe {
    Probe::Log(LogLine { pattern, count: 1 })
}

/// Reads a regular expression, and compiles it to check it.
pub(super) fn line_pattern(node: &Node, environment: &Environment) -> Leaf<String> {
    let text = leaf::text(node, environment)?;
    if text.is_empty() {
        return Err(Problem::new("this must not be empty: every line would match"));
    }
    match crate::regex::compile(&text) {
        Ok(_) => Ok(text),
        Err(why) => Err(Problem::new(format!("this {why}"))),
    }
}
