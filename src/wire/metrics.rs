//! The answer to `GET /v1/metrics`: what a monitoring system collects.
//!
//! It is a text and not JSON: [OpenMetrics 1.0], or the older [text format] of Prometheus for a
//! client that accepts only that one. Both have the same samples. They differ in how a counter is
//! declared, and only `OpenMetrics` has units and an end.
//!
//! [OpenMetrics 1.0]: https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md
//! [text format]: https://prometheus.io/docs/instrumenting/exposition_formats/

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::{HealthState, UnitState};

/// The format of the text.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Exposition {
    /// `OpenMetrics` 1.0.
    #[default]
    OpenMetrics,
    /// Version 0.0.4 of the text format of Prometheus.
    Text,
}

impl Exposition {
    /// Returns the format for a client that accepts these media types, as in its `Accept`.
    pub(crate) fn accepted(accept: &str) -> Self {
        let has = |media: &str| accept.to_ascii_lowercase().contains(media);
        if has("text/plain") && !has("application/openmetrics-text") {
            Self::Text
        } else {
            Self::OpenMetrics
        }
    }

    /// Returns the media type.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The phases of a run, in their order.
const PHASES: [&str; 8] =
    ["boot", "settling", "up", "stopping", "lingering", "sweeping", "halting", "over"];

/// The states of health, from good to bad.
const HEALTH: [(HealthState, &str); 5] = [
    (HealthState::Ready, "ready"),
    (HealthState::Degraded, "degraded"),
    (HealthState::Starting, "starting"),
    (HealthState::Unhealthy, "unhealthy"),
    (HealthState::Stopping, "stopping"),
];

/// The number of times that something has happened, by its kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Counts<const N: usize>(pub [u64; N]);

impl<const N: usize> Default for Counts<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

/// The reason why the restart policy starts a unit again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Restarted {
    /// Its process has exited with success.
    Success,
    /// Its process has failed.
    Failure,
    /// It could not be started.
    NotStarted,
    /// It was not ready in time.
    NotReady,
    /// Its health check has failed.
    Unhealthy,
    /// It was up for longer than it may be.
    MaxRuntime,
}

impl Restarted {
    /// The words for the reasons, in their order.
    const WORDS: [&str; 6] =
        ["success", "failure", "not_started", "not_ready", "unhealthy", "max_runtime"];
}

/// The outcome of a reload of the configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reloaded {
    /// The new configuration has taken over.
    Applied,
    /// The old configuration has come back.
    RolledBack,
    /// The new configuration has errors.
    Invalid,
    /// It was not the moment for it.
    Refused,
}

impl Reloaded {
    /// The words for the outcomes, in their order.
    const WORDS: [&str; 4] = ["applied", "rolled_back", "invalid", "refused"];
}

impl Counts<6> {
    /// Counts a restart.
    pub(crate) fn restart(&mut self, why: Restarted) {
        self.0[why as usize] += 1;
    }

    /// Returns how often each reason was counted that was.
    pub(crate) fn named(&self) -> BTreeMap<String, u64> {
        let all = Restarted::WORDS.iter().zip(self.0);
        all.filter(|(_, count)| *count > 0)
            .map(|(word, count)| ((*word).to_owned(), count))
            .collect()
    }
}

impl Counts<4> {
    /// Counts a reload.
    pub(crate) fn reload(&mut self, outcome: Reloaded) {
        self.0[outcome as usize] += 1;
    }
}

/// What a process uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Usage {
    /// The resident memory, in bytes.
    pub memory: u64,
    /// The CPU time.
    pub cpu: Duration,
    /// The number of open descriptors, if the kernel tells: Linux 6.2.
    pub fds: Option<u64>,
}

/// The output of a unit that trc has read.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Amount {
    /// The number of bytes.
    pub bytes: u64,
    /// The number of newlines among them.
    pub lines: u64,
}

impl Amount {
    /// Adds output.
    pub(crate) fn add(&mut self, bytes: usize, lines: u64) {
        self.bytes += bytes as u64;
        self.lines += lines;
    }
}

/// The measurements of a unit.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct OfUnit {
    /// Its state.
    pub state: UnitState,
    /// Whether it has a health check.
    pub checked: bool,
    /// How often its command was executed.
    pub starts: u64,
    /// How often its restart policy has started it again, by [`Restarted`].
    pub restarts: Counts<6>,
    /// The time from its start until it was ready, when it last became ready.
    pub ready_after: Option<Duration>,
    /// When its command was last executed, since 1970-01-01 00:00 UTC.
    pub started: Option<Duration>,
    /// The usage of its main process.
    pub usage: Option<Usage>,
    /// The output that trc has read.
    pub output: Amount,
    /// The part of it that `GET /v1/logs` cannot send any more.
    pub dropped: Amount,
}

/// All measurements.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Metrics {
    /// The version of trc.
    pub version: String,
    /// The phase of the run.
    pub phase: String,
    /// The health of the run.
    pub health: HealthState,
    /// When the run began, since 1970-01-01 00:00 UTC.
    pub started: Duration,
    /// The number of configurations that have taken over since the first one.
    pub generation: u32,
    /// How often the configuration was reloaded, by [`Reloaded`].
    pub reloads: Counts<4>,
    /// Whether the last reload has succeeded, if there was one.
    pub reload_succeeded: bool,
    /// The number of clients of the control socket.
    pub clients: usize,
    /// What trc itself uses, without its children.
    pub usage: Option<Usage>,
    /// The units, in their order.
    pub units: Vec<OfUnit>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
}

/// A page, family by family.
struct Page {
    text: String,
    format: Exposition,
}

/// The samples of a family.
struct Samples<'a> {
    name: &'a str,
    text: String,
}

impl Page {
    /// Adds a family, unless it has no samples. `unit` is the end of its name.
    fn family(
        &mut self,
        (name, kind): (&str, Kind),
        unit: &str,
        help: &str,
        fill: impl FnOnce(&mut Samples<'_>),
    ) {
        let whole = match kind {
            Kind::Counter => format!("{name}_total"),
            Kind::Gauge => name.to_owned(),
        };
        let mut samples = Samples { name: &whole, text: String::new() };
        fill(&mut samples);
        if samples.text.is_empty() {
            return;
        }
        let declared = match self.format {
            Exposition::OpenMetrics => name,
            Exposition::Text => &whole,
        };
        let word = if kind == Kind::Counter { "counter" } else { "gauge" };
        let to = &mut self.text;
        _ = writeln!(to, "# HELP {declared} {help}\n# TYPE {declared} {word}");
        if self.format == Exposition::OpenMetrics && !unit.is_empty() {
            _ = writeln!(to, "# UNIT {declared} {unit}");
        }
        to.push_str(&samples.text);
    }
}

impl Samples<'_> {
    fn add(&mut self, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.text.push_str(self.name);
        for (at, (label, of)) in labels.iter().enumerate() {
            self.text.push(if at == 0 { '{' } else { ',' });
            _ = write!(self.text, "{label}=\"");
            for letter in of.chars() {
                match letter {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    _ => self.text.push(letter),
                }
            }
            self.text.push('"');
        }
        let end = if labels.is_empty() { "" } else { "}" };
        _ = writeln!(self.text, "{end} {value}");
    }

    /// Adds a sample for each of these words: 1 for the right one, and 0 for the others.
    fn one_of<'w>(
        &mut self,
        labels: &[(&str, &str)],
        label: &str,
        words: impl IntoIterator<Item = &'w str>,
        right: &str,
    ) {
        let mut found = false;
        for word in words {
            found |= word == right;
            let mut labels = labels.to_vec();
            labels.push((label, word));
            self.add(&labels, u8::from(word == right));
        }
        debug_assert!(found || right.is_empty(), "{right} is none of the words for {label}");
    }

    /// Adds a sample for each unit that has a value.
    fn units<V: std::fmt::Display>(
        &mut self,
        units: &[OfUnit],
        value: impl Fn(&OfUnit) -> Option<V>,
    ) {
        for unit in units {
            if let Some(value) = value(unit) {
                self.add(&labels(unit), value);
            }
        }
    }
}

fn labels(unit: &OfUnit) -> [(&str, &str); 2] {
    let name = unit.state.name.as_str();
    let stage = name.split_once('.').map_or("", |(stage, _)| stage);
    [("unit", name), ("stage", stage)]
}

fn seconds(time: Duration) -> String {
    format!("{}.{:03}", time.as_secs(), time.subsec_millis())
}

impl Metrics {
    /// Returns the text.
    pub(crate) fn text(&self, format: Exposition) -> String {
        use Kind::{Counter, Gauge};
        let mut page = Page { text: String::new(), format };
        self.of_run(&mut page);
        let units = &self.units[..];
        page.family(
            ("trc_unit_state", Gauge),
            "",
            "1 for the state of the unit, 0 for every other state.",
            |to| {
                for unit in units {
                    to.one_of(&labels(unit), "state", UnitState::STATES, unit.state.state());
                }
            },
        );
        page.family(("trc_unit_up", Gauge), "", "1 if the unit is as it should be.", |to| {
            to.units(units, |unit| Some(u8::from(unit.state.is_up())));
        });
        page.family(
            ("trc_unit_ready", Gauge),
            "",
            "1 if the unit is ready; only for units with a readiness check.",
            |to| to.units(units, |unit| unit.state.ready.map(u8::from)),
        );
        page.family(
            ("trc_unit_healthy", Gauge),
            "",
            "0 if the health check of the unit has failed `failures` times in a row; only for units with one.",
            |to| to.units(units, |unit| unit.checked.then(|| u8::from(unit.state.healthy))),
        );
        page.family(
            ("trc_unit_starts", Counter),
            "",
            "The number of times that the command of the unit was executed.",
            |to| to.units(units, |unit| Some(unit.starts)),
        );
        page.family(
            ("trc_unit_restarts", Counter),
            "",
            "The number of times that the restart policy has started the unit again, by the reason.",
            |to| {
                for unit in units {
                    for (word, count) in Restarted::WORDS.iter().zip(unit.restarts.0) {
                        let [name, stage] = labels(unit);
                        to.add(&[name, stage, ("reason", word)], count);
                    }
                }
            },
        );
        page.family(
            ("trc_unit_last_exit_status", Gauge),
            "",
            "The status of the last exit or end of the unit, 128 + n for signal n.",
            |to| to.units(units, |unit| unit.state.last_end.as_ref().map(|end| end.status)),
        );
        page.family(
            ("trc_unit_ready_after_seconds", Gauge),
            "seconds",
            "The time from the start of the unit until it was ready, when it last became ready.",
            |to| to.units(units, |unit| unit.ready_after.map(seconds)),
        );
        page.family(
            ("trc_unit_start_time_seconds", Gauge),
            "seconds",
            "When the command of the unit was last executed, in seconds since 1970.",
            |to| to.units(units, |unit| unit.started.map(seconds)),
        );
        page.family(
            ("trc_unit_resident_memory_bytes", Gauge),
            "bytes",
            "The resident memory of the main process of the unit.",
            |to| to.units(units, |unit| unit.usage.map(|usage| usage.memory)),
        );
        page.family(
            ("trc_unit_cpu_seconds", Counter),
            "seconds",
            "The CPU time of the main process of the unit and of the children that it has waited for.",
            |to| to.units(units, |unit| unit.usage.map(|usage| seconds(usage.cpu))),
        );
        page.family(
            ("trc_unit_open_fds", Gauge),
            "",
            "The number of open descriptors of the main process of the unit.",
            |to| to.units(units, |unit| unit.usage.and_then(|usage| usage.fds)),
        );
        page.family(
            ("trc_unit_output_bytes", Counter),
            "bytes",
            "The output of the unit that trc has read.",
            |to| to.units(units, |unit| Some(unit.output.bytes)),
        );
        page.family(
            ("trc_unit_output_lines", Counter),
            "",
            "The lines of output of the unit that trc has read.",
            |to| to.units(units, |unit| Some(unit.output.lines)),
        );
        page.family(
            ("trc_unit_output_dropped_bytes", Counter),
            "bytes",
            "The output of the unit that trcctl logs cannot show any more, because log_buffer is full.",
            |to| to.units(units, |unit| Some(unit.dropped.bytes)),
        );
        page.family(
            ("trc_unit_output_dropped_lines", Counter),
            "",
            "The lines of the unit that trcctl logs cannot show any more, because log_buffer is full.",
            |to| to.units(units, |unit| Some(unit.dropped.lines)),
        );
        if format == Exposition::OpenMetrics {
            page.text.push_str("# EOF\n");
        }
        page.text
    }

    fn of_run(&self, page: &mut Page) {
        use Kind::{Counter, Gauge};
        page.family(("trc_build_info", Gauge), "", "The version of trc.", |to| {
            to.add(&[("version", &self.version)], 1);
        });
        page.family(
            ("trc_start_time_seconds", Gauge),
            "seconds",
            "When the run began, in seconds since 1970.",
            |to| to.add(&[], seconds(self.started)),
        );
        page.family(
            ("trc_run_phase", Gauge),
            "",
            "1 for the phase of the run, 0 for every other phase.",
            |to| to.one_of(&[], "phase", PHASES, &self.phase),
        );
        page.family(
            ("trc_health", Gauge),
            "",
            "1 for the health of the run, 0 for every other state of health.",
            |to| {
                let right = HEALTH.iter().find(|(state, _)| *state == self.health);
                let right = right.map_or("", |(_, word)| word);
                to.one_of(&[], "state", HEALTH.map(|(_, word)| word), right);
            },
        );
        page.family(
            ("trc_config_generation", Gauge),
            "",
            "The number of configurations that have taken over since the first one.",
            |to| to.add(&[], self.generation),
        );
        page.family(
            ("trc_config_reloads", Counter),
            "",
            "The number of times that a new configuration was applied, was rolled back after that, had errors, or was refused because trc was busy.",
            |to| {
                for (word, count) in Reloaded::WORDS.iter().zip(self.reloads.0) {
                    to.add(&[("outcome", word)], count);
                }
            },
        );
        page.family(
            ("trc_config_last_reload_successful", Gauge),
            "",
            "0 if the configuration that was last read has errors or was rolled back, otherwise 1.",
            |to| to.add(&[], u8::from(self.reload_succeeded)),
        );
        page.family(
            ("trc_control_clients", Gauge),
            "",
            "The number of clients of the control socket, this one included.",
            |to| to.add(&[], self.clients),
        );
        page.family(
            ("trc_process_resident_memory_bytes", Gauge),
            "bytes",
            "The resident memory of trc itself.",
            |to| self.usage.iter().for_each(|usage| to.add(&[], usage.memory)),
        );
        page.family(
            ("trc_process_cpu_seconds", Counter),
            "seconds",
            "The CPU time of trc itself.",
            |to| self.usage.iter().for_each(|usage| to.add(&[], seconds(usage.cpu))),
        );
        page.family(
            ("trc_process_open_fds", Gauge),
            "",
            "The number of open descriptors of trc itself.",
            |to| self.usage.iter().filter_map(|it| it.fds).for_each(|fds| to.add(&[], fds)),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_states_of_health_are_those_of_the_protocol() {
        for (state, word) in HEALTH {
            assert_eq!(serde_json::to_value(state).unwrap(), word);
        }
    }

    fn unit(name: &str) -> OfUnit {
        let state = format!(
            r#"{{"name": {}, "phase": "running", "wanted": "up", "since_ms": 1, "ready": true,
                "healthy": true, "restarts": 1,
                "last_end": {{"status": 3, "why": "failed", "ago_ms": 1}}}}"#,
            serde_json::to_string(name).unwrap()
        );
        let mut restarts = Counts::default();
        restarts.restart(Restarted::Unhealthy);
        OfUnit {
            state: serde_json::from_str(&state).unwrap(),
            checked: true,
            starts: 2,
            restarts,
            ready_after: Some(Duration::from_millis(1_050)),
            started: Some(Duration::from_millis(1_700_000_000_007)),
            usage: Some(Usage { memory: 4096, cpu: Duration::from_millis(30), fds: Some(4) }),
            output: Amount { bytes: 70, lines: 7 },
            dropped: Amount { bytes: 10, lines: 1 },
        }
    }

    fn metrics() -> Metrics {
        let mut reloads = Counts::default();
        reloads.reload(Reloaded::RolledBack);
        Metrics {
            version: "1.2.3".to_owned(),
            phase: "up".to_owned(),
            health: HealthState::Ready,
            started: Duration::from_secs(1_700_000_000),
            generation: 3,
            reloads,
            reload_succeeded: false,
            clients: 1,
            usage: Some(Usage { memory: 1, cpu: Duration::ZERO, fds: None }),
            units: vec![unit("async.web"), unit("sync.a\"\\\nb ü")],
        }
    }

    #[test]
    fn a_sample_has_the_labels_of_its_unit() {
        let text = metrics().text(Exposition::OpenMetrics);
        for line in [
            "trc_build_info{version=\"1.2.3\"} 1",
            "trc_start_time_seconds 1700000000.000",
            "trc_run_phase{phase=\"up\"} 1",
            "trc_run_phase{phase=\"boot\"} 0",
            "trc_health{state=\"ready\"} 1",
            "trc_config_reloads_total{outcome=\"rolled_back\"} 1",
            "trc_unit_state{unit=\"async.web\",stage=\"async\",state=\"ready\"} 1",
            "trc_unit_state{unit=\"async.web\",stage=\"async\",state=\"held\"} 0",
            "trc_unit_restarts_total{unit=\"async.web\",stage=\"async\",reason=\"unhealthy\"} 1",
            "trc_unit_ready_after_seconds{unit=\"async.web\",stage=\"async\"} 1.050",
            "trc_unit_start_time_seconds{unit=\"async.web\",stage=\"async\"} 1700000000.007",
            r#"trc_unit_starts_total{unit="sync.a\"\\\nb ü",stage="sync"} 2"#,
        ] {
            assert!(text.lines().any(|it| it == line), "{line}\n{text}");
        }
        assert!(text.ends_with("\n# EOF\n"));
        // What is not known is left out, with its family.
        assert!(!text.contains("trc_process_open_fds"), "{text}");
    }

    #[test]
    fn the_page_about_metrics_lists_each_of_them() {
        let page = include_str!("../../docs/metrics.md");
        let mut all = metrics();
        all.usage = all.units[0].usage;
        let text = all.text(Exposition::Text);
        let declared =
            text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
        let declared: std::collections::BTreeSet<&str> = declared.collect();
        let rows = page.lines().filter(|line| line.starts_with("| `trc_"));
        let names = rows.flat_map(|row| row.split('|').nth(1).unwrap_or_default().split(", "));
        let listed = names.map(|name| name.trim().trim_matches('`')).collect();
        assert_eq!(declared, listed);
    }

    #[test]
    fn both_formats_have_the_same_samples() {
        let samples = |format| -> Vec<String> {
            let text = metrics().text(format);
            text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
        };
        assert_eq!(samples(Exposition::OpenMetrics), samples(Exposition::Text));
        let text = metrics().text(Exposition::Text);
        assert!(text.contains("# TYPE trc_unit_starts_total counter\n"), "{text}");
        assert!(!text.contains("# UNIT") && !text.contains("# EOF"), "{text}");
        let text = metrics().text(Exposition::OpenMetrics);
        assert!(text.contains("# TYPE trc_unit_starts counter\n"), "{text}");
        assert!(text.contains("# UNIT trc_unit_cpu_seconds seconds\n"), "{text}");
    }

    #[test]
    fn a_client_gets_the_format_that_it_accepts() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2";
        for (accept, format) in [
            (prometheus, Exposition::OpenMetrics),
            ("*/*", Exposition::OpenMetrics),
            ("Text/Plain; version=0.0.4", Exposition::Text),
        ] {
            assert_eq!(Exposition::accepted(accept), format, "{accept}");
        }
    }
}
