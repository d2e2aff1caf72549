//! `ready` and `health`.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::decode::{Decoder, Fields};
use super::leaf::{self, Problem, one_of};
use super::probe::ANSWERS;
use super::time::positive;
use super::value::{Entry, Table, Value, shown};
use super::{Diagnostic, Environment, Health, Http, Placed, Probe, Ready, http, schema};

/// `every` of `ready`.
const READY_EVERY: Duration = Duration::from_millis(100);
/// `every` of `health`.
const HEALTH_EVERY: Duration = Duration::from_secs(10);
/// `timeout` of both.
const TIMEOUT: Duration = Duration::from_secs(5);
/// `within` of `ready`.
const WITHIN: Duration = Duration::from_mins(1);
/// `failures` of `health`.
const FAILURES: u32 = 3;

impl Decoder<'_> {
    /// `ready`.
    pub(super) fn ready(&mut self, unit: &Fields) -> Option<Ready> {
        let entry = unit.entry("ready")?;
        let table = self.probe_table("ready", entry)?;
        let fields = self.fields(" in `ready`", schema::READY, Some(table));
        let probe = self.probe("ready", entry, &fields);
        let every = self.get(&fields, "every", positive).unwrap_or(READY_EVERY);
        let timeout = self.get(&fields, "timeout", positive).unwrap_or(TIMEOUT);
        let within = self.get(&fields, "within", positive).unwrap_or(WITHIN);
        Some(Ready { probe: probe?, every, timeout, within })
    }

    /// `health`.
    pub(super) fn health(&mut self, unit: &Fields) -> Option<Health> {
        let entry = unit.entry("health")?;
        let table = self.probe_table("health", entry)?;
        let fields = self.fields(" in `health`", schema::HEALTH, Some(table));
        let probe = self.probe("health", entry, &fields);
        let every = self.get(&fields, "every", positive).unwrap_or(HEALTH_EVERY);
        let timeout = self.get(&fields, "timeout", positive).unwrap_or(TIMEOUT);
        let failures = self.get(&fields, "failures", |node, environment| {
            leaf::number(node, environment, 1..=u32::MAX)
        });
        let then = self.get(&fields, "then", leaf::choice).unwrap_or_default();
        Some(Health { probe: probe?, every, timeout, failures: failures.unwrap_or(FAILURES), then })
    }

    /// The table of `ready` or `health`; what stands there instead is told how it is written.
    fn probe_table<'t>(&mut self, key: &str, entry: &'t Entry) -> Option<&'t Table> {
        let node = &entry.node;
        let right = match &node.value {
            Value::Table(table) => return Some(table),
            Value::Integer(port, _) => Some(format!("{{ tcp = {port} }}")),
            Value::Boolean(true) => Some("{ notify = true }".to_owned()),
            Value::String(text) => Some(probe_of(text)),
            _ => None,
        };
        let help = right.map(|right| format!("write {key} = {right}"));
        self.problem(key, node, Problem { help, ..Problem::expected("a table", node) });
        None
    }

    /// The one probe of a table.
    fn probe(&mut self, name: &str, entry: &Entry, fields: &Fields) -> Option<Placed<Probe>> {
        let kinds = schema::PROBES.iter().filter(|kind| fields.has(kind));
        let Some((kind, written)) = kinds.copied().find_map(|k| Some((k, fields.entry(k)?))) else {
            // One of its unknown keys was probably meant, and was reported.
            if fields.has_unknown() {
                return None;
            }
            let kinds: Vec<&str> =
                schema::PROBES.iter().copied().filter(|kind| fields.has(kind)).collect();
            let message = format!("`{name}` needs a probe");
            self.diagnostics.push(
                Diagnostic::error(entry.key.clone(), message)
                    .help(format!("write one of {}", one_of(&kinds))),
            );
            return None;
        };
        let node = &written.node;
        let key = format!("{name}.{kind}");
        let probe = match kind {
            "tcp" => Probe::Tcp(self.read(&key, node, http::address)?),
            "unix" => Probe::Unix(self.path(&key, node)?),
            "http" => Probe::Http(self.http_of(&key, written, schema::HTTP, ANSWERS)?),
            "exec" => Probe::Exec(self.words(&key, node)?),
            "file" => Probe::File(self.path(&key, node)?),
            "log" => Probe::Log(self.read(&key, node, pattern)?),
            "fd" => Probe::Fd(self.read(&key, node, |node, environment| {
                // Beyond its standard streams; RLIMIT_NOFILE is rarely less than this.
                leaf::number(node, environment, 3..=255_i32)
            })?),
            _ => {
                if !self.read(&key, node, leaf::boolean)? {
                    let problem = Problem::new("`false` has no meaning here: leave the key out");
                    self.problem(&key, node, problem);
                    return None;
                }
                Probe::Notify
            }
        };
        Some(Placed { value: probe, origin: written.key.clone() })
    }

    fn path(&mut self, key: &str, node: &super::value::Node) -> Option<PathBuf> {
        self.read(key, node, leaf::line).map(PathBuf::from)
    }

    /// What is asked over HTTP; `keys` are those that may stand there, `codes` will do where no
    /// `status` is written.
    pub(super) fn http_of(
        &mut self,
        key: &str,
        entry: &Entry,
        keys: &'static [schema::Key],
        codes: RangeInclusive<u16>,
    ) -> Option<Http> {
        let table = self.names(key, Some(entry))?;
        let fields = self.fields(&format!(" in `{key}`"), keys, Some(table));
        let path = self.get(&fields, "path", http::path);
        let host = self.get(&fields, "host", http::host);
        let status = fields.entry("status").map(|entry| match &entry.node.value {
            Value::Array(items) if items.is_empty() => {
                let problem = Problem::new("an empty array accepts no answer");
                self.problem("status", &entry.node, problem);
                Vec::new()
            }
            Value::Array(_) => {
                let codes = self.list("status", &entry.node, false, http::codes);
                codes.into_iter().map(|code| code.value).collect()
            }
            _ => self.read("status", &entry.node, http::codes).into_iter().collect::<Vec<_>>(),
        });
        // An unknown key was probably meant to be it, and was reported.
        if fields.entry("url").is_none() && !fields.has_unknown() {
            let message = format!("`{key}` needs a `url`");
            self.diagnostics.push(Diagnostic::error(entry.key.clone(), message));
        }
        let url = self.get(&fields, "url", http::url)?;
        Some(Http {
            address: url.address,
            path: path.or(url.path).unwrap_or_else(|| "/".to_owned()),
            host: host.unwrap_or(url.authority),
            status: status.unwrap_or_else(|| vec![codes]),
        })
    }
}

/// How a probe is probably meant that stands where its table should.
fn probe_of(text: &str) -> String {
    // As Docker and others write an address.
    let text = text.strip_prefix("tcp://").unwrap_or(text);
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
    } else if schema::PROBES.contains(&text) {
        let key = schema::find(schema::READY, text);
        format!("{{ {text} = {} }}", key.map_or("…", |key| key.example))
    } else {
        format!("{{ exec = {shown:?} }}")
    }
}

/// A regular expression that can be compiled.
fn pattern(node: &super::value::Node, environment: &Environment) -> leaf::Leaf<String> {
    let text = leaf::text(node, environment)?;
    if text.is_empty() {
        return Err(Problem::new("this must not be empty: every line would match"));
    }
    match crate::regex::compile(&text) {
        Ok(_) => Ok(text),
        Err(why) => Err(Problem::new(format!("this {why}"))),
    }
}
