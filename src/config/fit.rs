//! What of a unit doesn't go together.

use super::decode::{Decoder, Fields};
use super::{Command, Output, Probe, Stage, Unit, When};

impl Decoder<'_> {
    /// Notes which of a unit's keys make no sense beside its others.
    pub(super) fn fit(&mut self, unit: &Unit, fields: &Fields) {
        let id = unit.id();
        let outside = unit.command == Command::Nothing;
        let (boot, halt) = (unit.stage == Stage::Boot, unit.stage == Stage::Halt);
        let one_by_one = boot || halt;
        let wrong = [
            (
                "ready",
                outside && !matches!(unit.stage, Stage::Boot | Stage::Async),
                format!(
                    "{id} has nothing to run: only boot and async units may stand for something outside"
                ),
            ),
            (
                "ready",
                outside && unit.ready.as_ref().is_some_and(|ready| ready.probe.value.is_told()),
                format!("{id} has nothing to run, and nothing that could say that it is ready"),
            ),
            (
                "ready",
                one_by_one && !outside,
                format!("{id} is waited for to end: {} units run one by one", unit.stage),
            ),
            ("health", outside, format!("{id} has nothing to run, and nothing to watch")),
            (
                "health",
                one_by_one,
                format!("{id} can't be watched: {} units run one by one to their end", unit.stage),
            ),
            ("restart", outside, format!("{id} has nothing to run, and nothing to restart")),
            (
                "restart",
                halt && unit.restart.when != When::No,
                format!("{id} can't be restarted: halt units run once"),
            ),
            (
                "restart",
                unit.oneshot == Some(true) && unit.restart.when == When::Always,
                format!(
                    "{id} is a one-shot, which is over once it has succeeded: restart it `on-failure`"
                ),
            ),
            (
                "always",
                unit.always && !halt,
                format!("{id} is not a halt unit: only halt units can run although boot failed"),
            ),
            (
                "max_runtime",
                outside,
                format!("{id} has nothing to run: `ready.within` says how long it is waited for"),
            ),
            (
                "output",
                matches!(unit.output, Some(Output::Inherit | Output::Null)) && reads_log(unit),
                format!(
                    "{id} is to be recognized by its log, and trc doesn't see that of this output"
                ),
            ),
        ];
        for (key, wrong, message) in wrong {
            if let Some(entry) = fields.entry(key).filter(|_| wrong) {
                self.error(&entry.key, format!("`{key}`: {message}"), None);
                return;
            }
        }
    }
}

/// Whether a unit's own output says how it is.
fn reads_log(unit: &Unit) -> bool {
    unit.probes().any(|probe| matches!(probe, Probe::Log(_)))
}
