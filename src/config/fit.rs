//! The keys of a unit that cannot be combined.

use super::keys::IDENTITY_KEYS;
use super::keys::decode::{Decoder, Fields};
use super::keys::key::all;
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
                "autostart",
                unit.stage != Stage::Async,
                format!("{id} runs in its turn: only async units can wait until somebody starts them"),
            ),
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
            (
                "reload",
                one_by_one,
                format!(
                    "{id} cannot be reloaded: {} units run one at a time, each until it exits",
                    unit.stage
                ),
            ),
            (
                "reload",
                unit.oneshot == Some(true),
                format!("{id} is a one-shot, which exits by itself: only a service can reload"),
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
                "listen",
                unit.listen.iter().enumerate().any(|(at, one)| {
                    unit.listen[..at].iter().any(|other| other.value == one.value)
                }),
                format!("{id} would listen on the same address twice"),
            ),
            (
                "ready",
                unit.probes().any(|probe| {
                    matches!(probe, Probe::Fd(fd) if (3..3 + unit.listen.len()).contains(&usize::try_from(*fd).unwrap_or(0)))
                }),
                format!("{id} gets the sockets of `listen` as descriptors from 3 on: use another `fd`"),
            ),
            (
                "listen",
                one_by_one,
                format!(
                    "{id} cannot listen: {} units run one at a time, each until it exits",
                    unit.stage
                ),
            ),
            (
                "pid_file",
                unit.stage != Stage::Async,
                format!(
                    "only async units can put themselves into the background, and trc waits until {id} exits"
                ),
            ),
            (
                "pid_file",
                unit.oneshot == Some(true),
                format!("{id} is a one-shot, which exits by itself: only a service can run on in the background"),
            ),
            (
                "pid_file",
                unit.schedule.is_some(),
                format!("{id} has a schedule, so it exits by itself: only a service can run on in the background"),
            ),
            (
                "pid_file",
                !unit.listen.is_empty(),
                format!(
                    "only the process that trc starts can use the sockets of `listen` (LISTEN_PID): let {id} stay in the foreground, or remove `listen`"
                ),
            ),
            (
                "schedule",
                unit.stage != Stage::Async,
                format!("{id} runs in its turn: only async units can have a schedule"),
            ),
            (
                "oneshot",
                unit.schedule.is_some() && unit.oneshot == Some(false),
                format!("{id} has a schedule, so it is a one-shot, which exits by itself"),
            ),
            (
                "restart",
                unit.schedule.is_some() && unit.restart.when == When::Always,
                format!("{id} has a schedule, which starts it again: use `on-failure`"),
            ),
            (
                "restart",
                unit.schedule.is_some() && !unit.restart.with.is_empty(),
                format!("{id} has a schedule, so it cannot be restarted together with others"),
            ),
            (
                "ready",
                unit.schedule.is_some() && !outside,
                format!(
                    "{id} has a schedule: only a service, which runs all the time, can be ready"
                ),
            ),
            (
                "health",
                unit.schedule.is_some(),
                format!("{id} has a schedule: use `max_runtime` to limit how long it runs"),
            ),
            (
                "reload",
                unit.schedule.is_some(),
                format!("{id} has a schedule, so it exits by itself: only a service can reload"),
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
            (
                "output",
                unit.output_pty && unit.own_terminal().is_some(),
                format!("{id} has a `tty`, so it needs no pseudo-terminal"),
            ),
        ];
        for (key, wrong, message) in wrong {
            if let Some(entry) = fields.entry(key).filter(|_| wrong) {
                self.error(&entry.key, format!("`{key}`: {message}"), None);
                return;
            }
        }
        if outside && fields.entry("ready").is_some() {
            self.needs_process(unit, fields);
        }
    }

    /// Reports a key of an external unit that needs a process: its command was probably forgotten.
    fn needs_process(&mut self, unit: &Unit, fields: &Fields) {
        // The command of a probe runs as the unit would.
        let runs =
            unit.ready.as_ref().is_some_and(|ready| matches!(ready.probe.value, Probe::Exec(_)));
        let own =
            all(&[IDENTITY_KEYS]).map(|key| key.name).filter(|name| !runs || *name == "stdin");
        let names = own.chain([
            "autostart",
            "oneshot",
            "listen",
            "pid_file",
            "schedule",
            "success",
            "stop",
            "reload",
            "pre_start",
            "post_stop",
            "pdeathsig",
            "dirs",
            "files",
            "output",
            "tty",
        ]);
        let written = names.filter_map(|name| Some((name, fields.entry(name)?)));
        if let Some((name, entry)) = written.min_by_key(|(_, entry)| entry.order) {
            let message =
                format!("`{name}`: {} has no command, and only a process can have this", unit.id());
            let help = "add `exec` or `script`; without a command, the unit stands for something that \
                        trc does not start";
            self.error(&entry.key, message, Some(help.to_owned()));
        }
    }
}

/// Returns whether a probe of the unit looks at its output.
fn reads_log(unit: &Unit) -> bool {
    unit.probes().any(|probe| matches!(probe, Probe::Log(_)))
}
