//! Where timelines come from: a running trc, the JSON report of a test run, a record of a run, or the
//! JSON of `trcctl timeline` itself.

use std::io::Read;
use std::path::Path;

use serde_json::Value;

use super::super::live::{NoAnswer, Trc};
use crate::record::Entry;
use crate::record::replay::{load, read, replay};
use crate::report::timeline::{Life, Need, Phase, Timeline};
use crate::wire::{self, Ask, Drawing};

/// The reason with which units stop when the run stops, as `words/turn.rs` has it.
const RUN_STOPS: &str = "the run stops";

/// Asks a running trc.
pub(super) fn live(socket: Option<&Path>) -> Result<Timeline, NoAnswer> {
    let trc = Trc::at(socket);
    let graph: Drawing = trc.get(&Ask::Graph)?;
    let timeline: wire::Timeline = trc.get(&Ask::Timeline)?;
    Ok(of_answers(&graph, &timeline))
}

/// Returns the timeline of the units in the answers of a running trc.
fn of_answers(graph: &Drawing, timeline: &wire::Timeline) -> Timeline {
    let spans = timeline.units.iter().flat_map(|unit| &unit.spans);
    let stops = spans.filter(|span| span.why == RUN_STOPS).map(|span| span.from_ms);
    let stop_ms = stops.min();
    let units = timeline.units.iter().map(|unit| {
        let drawn = graph.units.iter().find(|drawn| drawn.name == unit.name);
        let phases = unit.spans.iter().map(|span| Phase {
            word: &span.phase,
            from_ms: span.from_ms,
            to_ms: span.to_ms,
            ready_ms: span.ready_ms,
            failed: span.failed,
        });
        let needs = graph.edges.iter().filter(|edge| edge.to == unit.name).map(|edge| Need {
            unit: edge.from.clone(),
            condition: edge.condition.clone(),
            written: edge.written,
        });
        let asleep = drawn
            .is_some_and(|drawn| ["idle", "held", "scheduled"].contains(&drawn.state.as_str()));
        let stage = unit.name.split('.').next().unwrap_or_default();
        let runs = unit.spans.iter().find(|span| span.phase == "running");
        Life {
            name: unit.name.clone(),
            oneshot: drawn.is_some_and(|drawn| drawn.oneshot),
            counts: !asleep && ["boot", "async", "sync"].contains(&stage),
            needs: needs.collect(),
            started_ms: runs.map(|span| span.from_ms),
            spans: Life::spans(phases, drawn.is_some_and(|drawn| drawn.checked)),
            missing: unit.missing,
        }
    });
    Timeline { stop_ms, ..Timeline::of(units.collect(), timeline.now_ms) }
}

/// Reads a file, or standard input for `-`.
///
/// # Errors
/// Returns why there is no timeline.
pub(super) fn file(path: &Path) -> Result<Timeline, String> {
    let shown = path.display();
    let mut text = Vec::new();
    let got = if path == Path::new("-") {
        std::io::stdin().read_to_end(&mut text).map(|_| ())
    } else {
        load(path).map(|read| text = read)
    };
    got.map_err(|why| format!("cannot read {shown}: {}", crate::config::reason(&why)))?;
    if let Some(timeline) = of_record(path, &text) {
        return timeline.map_err(|why| format!("cannot replay {shown}: {why}"));
    }
    let value: Value =
        serde_json::from_slice(&text).map_err(|why| format!("{shown} is not JSON: {why}"))?;
    let inner = match &value {
        Value::Object(fields) if fields.contains_key("points") => {
            fields.get("timeline").cloned().ok_or_else(|| {
                format!(
                    "the report {shown} has no timeline: a version of trc without it has written it"
                )
            })?
        }
        Value::Object(fields) if fields.contains_key("units") => value,
        _ => {
            return Err(format!(
                "{shown} is neither the JSON report of a test run, nor a record of a run, nor the JSON of `trcctl \
                 timeline`"
            ));
        }
    };
    serde_json::from_value(inner).map_err(|why| format!("{shown} has no valid timeline: {why}"))
}

/// Returns the timeline of a record, if the text is one: the run is decided again.
fn of_record(path: &Path, text: &[u8]) -> Option<Result<Timeline, String>> {
    let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let first: Entry = serde_json::from_slice(first).ok()?;
    let of_head = || {
        let unplayable = |why| super::super::replay::unplayable(&why);
        let entries = read(text).map_err(unplayable)?;
        let replayed = replay(path, &entries, &mut ()).map_err(unplayable)?;
        match replayed.differs {
            None => Ok(replayed.timeline),
            Some(difference) => Err(format!(
                "trcctl decides the run differently after {:.3} s than trc {}, which has written the record; \
                 use the trcctl of that version",
                difference.at.as_secs_f64(),
                replayed.by
            )),
        }
    };
    matches!(first, Entry::Head(_)).then(of_head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(graph: &str, timeline: &str) -> Timeline {
        of_answers(&serde_json::from_str(graph).unwrap(), &serde_json::from_str(timeline).unwrap())
    }

    #[test]
    fn the_answers_of_a_running_trc_make_a_timeline() {
        let timeline = answers(
            r#"{"units":[
                {"name":"async.db","stage":"async","state":"ready","up":true,"checked":true},
                {"name":"async.job","stage":"async","state":"ended","up":true,"oneshot":true},
                {"name":"async.idle","stage":"async","state":"idle","up":true}],
              "edges":[{"from":"async.db","to":"async.job","condition":"ready","written":true}]}"#,
            r#"{"began":"2017-03-16T20:40:50.007Z","now_ms":900,"units":[
                {"name":"async.db","missing":0,"spans":[
                    {"phase":"running","from_ms":3,"to_ms":800,"ready_ms":100,"why":"x"},
                    {"phase":"stopping","from_ms":800,"why":"the run stops"}]},
                {"name":"async.job","missing":0,"spans":[
                    {"phase":"waiting","from_ms":0,"to_ms":100,"why":"x"},
                    {"phase":"running","from_ms":100,"to_ms":150,"why":"x"},
                    {"phase":"ended","from_ms":150,"why":"x"}]},
                {"name":"async.idle","missing":0,"spans":[
                    {"phase":"waiting","from_ms":0,"why":"x"}]}]}"#,
        );
        assert_eq!(
            (timeline.ready_ms, timeline.stop_ms, timeline.ended_ms),
            (Some(150), Some(800), None)
        );
        let ups: Vec<Option<u64>> = timeline.units.iter().map(Life::up).collect();
        assert_eq!(ups, [Some(100), Some(150), None]);
        assert_eq!(timeline.units[1].needs[0].unit, "async.db");
    }

    #[test]
    fn what_is_no_timeline_is_told_with_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.json");
        for (text, why) in [
            ("nonsense", "is not JSON"),
            ("[]", "is neither"),
            (r#"{"points":[]}"#, "has no timeline"),
            (r#"{"units":7}"#, "has no valid timeline"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = file(&path).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        assert!(file(&dir.path().join("none")).unwrap_err().contains("cannot read"));
    }
}
