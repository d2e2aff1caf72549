//! The graph as JSON. Its fields are those of `GET /v1/graph` as far as both have them.

use serde::Serialize;

use super::picture::Picture;

/// The whole output.
#[derive(Serialize)]
struct Json<'p> {
    /// The name of the configuration.
    title: &'p str,
    /// The units, in their order.
    units: Vec<Unit<'p>>,
    /// The conditions that they wait for.
    edges: Vec<Edge<'p>>,
    /// The steps of the stop, one after another. The units of a step can stop at the same time.
    stop_order: Vec<Vec<&'p str>>,
}

/// A unit.
#[derive(Serialize)]
struct Unit<'p> {
    /// The full name: `STAGE.NAME`.
    name: &'p str,
    /// The stage: `boot`, `async`, `sync`, `test` or `halt`.
    stage: &'p str,
    /// `service`, `one-shot`, `job`, `test` or `external`.
    kind: &'p str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'p str>,
    /// The key of the readiness check, such as `http`.
    ready: Option<&'p str>,
    /// `no`, `on-failure` or `always`.
    restart: &'p str,
    /// The units with which the unit is restarted.
    restart_with: Vec<&'p str>,
    /// The times at which the unit is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule: Option<&'p str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tz: Option<&'p str>,
    /// Whether the unit starts by itself.
    autostart: bool,
}

/// A condition that a unit waits for.
#[derive(Serialize)]
struct Edge<'p> {
    /// The unit whose state counts.
    from: &'p str,
    /// The unit that waits.
    to: &'p str,
    condition: &'p str,
    /// Whether the configuration names the unit.
    written: bool,
}

/// Returns the graph as indented JSON.
pub(super) fn write(picture: &Picture) -> String {
    let name = |at: &usize| picture.units[*at].id.as_str();
    let units = picture.units.iter().map(|unit| Unit {
        name: &unit.id,
        stage: unit.stage.name(),
        kind: unit.kind.word(),
        description: unit.description.as_deref(),
        ready: unit.ready,
        restart: unit.restart,
        restart_with: unit.with.iter().map(name).collect(),
        schedule: unit.schedule.as_deref(),
        tz: unit.tz.as_deref(),
        autostart: !unit.on_request,
    });
    let edges = picture.links.iter().map(|link| Edge {
        from: name(&link.from),
        to: name(&link.to),
        condition: link.condition,
        written: link.written,
    });
    let json = Json {
        title: &picture.title,
        units: units.collect(),
        edges: edges.collect(),
        stop_order: picture.stop.iter().map(|step| step.iter().map(name).collect()).collect(),
    };
    let mut text = serde_json::to_string_pretty(&json).unwrap_or_default();
    text.push('\n');
    text
}
