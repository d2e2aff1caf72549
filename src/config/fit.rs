//! The keys of a unit that cannot be combined.

use super::keys::decode::{Decoder, Fields};
use super::{Command, Output, Probe, Stage, Unit, When};

impl Decoder<'_> {
    /// Reports the keys of a unit that make no sense together with its other keys.
    pub(super) fn fit(&mut self, unit: &Unit, fields: &Fields) {
        let id = unit.id();
        let outside = unit.command == Command::Nothing;
        let (boot, halt) = (unit.stage == Stage::Boot, unit.stage == Stage::Halt);
        let one_by_one = boot || halt;
        let wrong = [
            (
                "ready",
                outside && !matches!(unit.stage, Stage::Boot | Stage::Async),
                format!("{id} has no command: only boot and async units can be external units"),
            ),
            (
                "ready",
                outside && unit.ready.as_ref().is_some_and(|ready| ready.probe.value.is_told()),
                format!(
                    "{id} has no command, so it cannot report that it is ready: use `tcp`, `unix`, `http`, `exec` or `file`"
                ),
            ),
            (
                "ready",
                one_by_one && !outside,
                format!(
                    "{id} cannot have a readiness check: {} units run one at a time, each until it exits",
                    unit.stage
                ),
            ),
            ("health", outside, format!("{id} has no command, so there is nothing to check")),
            (
                "health",
                one_by_one,
                format!(
                    "{id} cannot have a health check: {} units run one at a time, each until it exits",
                    unit.stage
                ),
            ),
            ("restart", outside, format!("{id} has no command, so there is nothing to restart")),
            (
                "restart",
                halt && unit.restart.when != When::No,
                format!("{id} cannot be restarted: halt units run once"),
            ),
            (
                "restart",
                unit.oneshot == Some(true) && unit.restart.when == When::Always,
                format!("{id} is a one-shot, which ends when it succeeds: use `on-failure`"),
            ),
            (
                "always",
                unit.always && !halt,
                format!(
                    "{id} is not a halt unit: only halt units can run after a boot unit has failed"
                ),
            ),
            (
                "max_runtime",
                outside,
                format!(
                    "{id} has no command: use `ready.within` to limit how long trc waits for it"
                ),
            ),
            (
                "output",
                matches!(unit.output, Some(Output::Inherit | Output::Null)) && reads_log(unit),
                format!("{id} has a `log` probe, but trc cannot read its output with this setting"),
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

/// Returns whether a probe of the unit looks at its output.
fn reads_log(unit: &Unit) -> bool {
    unit.probes().any(|probe| matches!(probe, Probe::Log(_)))
}
