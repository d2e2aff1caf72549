//! Turns a unit of the configuration into everything that its process needs.

mod command;
mod envfile;
mod environment;
mod file_env;
mod identity;
mod layout;
pub(crate) mod privilege;
mod problem;
mod secret;
mod shell;
mod streams;

use std::ffi::{CString, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::config::{
    Command, Config, Form, Hook, LogFormat, Output, Probe, Stage, Template, Unit, endings, reason,
};
use crate::run::spawn::{Ids, Launch};
use crate::shell::{Body, Errors, Job, Lines, Own, Prepared, Saved, Shell, State, VERDICT_FD};
use crate::words::Unprepared;
use command::{c_string, candidates, expand_words, needs_no_shell, words};
use file_env::Resolved;
use identity::identity;

pub(crate) use environment::Environment;
pub(crate) use problem::Problem;
pub(crate) use shell::LazyShell;
pub(crate) use streams::{output, stdin};

/// The context of all units.
pub(crate) struct Surroundings<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The environment that units start from: trc's own without its settings, or the one that boot
    /// scripts have left.
    pub base: &'a Environment,
    /// The shell, if one exists.
    pub shell: &'a LazyShell,
    /// The boot state so far.
    pub state: Option<&'a State>,
    /// The `NOTIFY_SOCKET` of the unit.
    pub socket: Option<&'a str>,
    /// For halt units: the exit status so far, and the reason.
    pub end: Option<(u8, String)>,
}

/// A unit that is ready to be started, except for its streams and the terminal.
pub(crate) struct Ready {
    /// The process to start.
    pub launch: Launch,
    /// The place where a boot script will leave its state, and the environment that the script
    /// gets.
    pub saved: Option<(Saved, Vec<(OsString, OsString)>)>,
}

impl Surroundings<'_> {
    /// Prepares a unit.
    ///
    /// # Errors
    /// Returns what is wrong.
    pub(crate) fn unit(&self, unit: &Unit) -> Result<Ready, Problem> {
        // A file of variables may change.
        let may_change = !unit.identity.env_file.is_empty();
        let ready = self.ready(unit);
        ready.map_err(|problem| Problem { lasts: problem.lasts && !may_change, ..problem })
    }

    /// Prepares the `pre_start` of a unit, which makes what the unit needs first.
    ///
    /// # Errors
    /// Returns what is wrong.
    pub(crate) fn pre_start(&self, unit: &Unit, hook: &Hook) -> Result<Launch, Problem> {
        let may_change = !unit.identity.env_file.is_empty();
        let launch = self.command(unit, &hook.exec, &[]).and_then(|launch| {
            let (environment, ids) = self.environment(unit)?;
            let layout = layout::layout(unit, &environment, ids.as_ref())?;
            Ok(Launch { layout, pdeathsig: pdeathsig(unit), ..launch })
        });
        launch.map_err(|problem| Problem { lasts: problem.lasts && !may_change, ..problem })
    }

    fn ready(&self, unit: &Unit) -> Result<Ready, Problem> {
        let (mut environment, ids) = self.environment(unit)?;
        // What the unit needs was made before its `pre_start`, which may have changed it.
        let layout = match &unit.pre_start {
            Some(_) => None,
            None => layout::layout(unit, &environment, ids.as_ref())?,
        };
        let mut saved = None;
        let mut descriptors = Vec::new();
        let (files, argv) = match self.shell_body(unit, &environment) {
            None => words(unit, &environment)?,
            Some(body) => {
                let found = self.shell.get().ok_or(Unprepared::NoShell)?;
                let text = unix_text(&body);
                let body = text.as_deref().map_or(body, Body::Text);
                let trace = environment.get("SHELLOPTS").is_some_and(crate::shell::asks_for_trace);
                let prepared = self.script(unit, found, body, trace)?;
                for (name, value) in prepared.env {
                    environment.set(name, value);
                }
                saved = prepared.saved.map(|saved| (saved, environment.clone().into_variables()));
                environment.retain(|name| !crate::shell::is_withheld(name));
                descriptors = prepared.files;
                (candidates(&found.words[0], environment.path())?, prepared.argv)
            }
        };
        let mut launch = launch(unit, &environment, ids, files, argv)?;
        launch.descriptors = descriptors;
        launch.layout = layout;
        launch.pdeathsig = pdeathsig(unit);
        Ok(Ready { launch, saved })
    }

    /// Prepares another command of a unit than its own, and sets these variables for it.
    ///
    /// # Errors
    /// Returns what is wrong.
    pub(crate) fn command(
        &self,
        unit: &Unit,
        words: &[Template],
        variables: &[(&str, String)],
    ) -> Result<Launch, Problem> {
        let (mut environment, ids) = self.environment(unit)?;
        for (name, value) in variables {
            environment.set(name, value);
        }
        let (files, argv) = expand_words(unit, words, &environment)?;
        // The unit's own terminal belongs to its session, and cannot belong to another one:
        // ioctl_tty(2).
        Ok(Launch { tty: None, ..launch(unit, &environment, ids, files, argv)? })
    }

    /// Returns the environment and the identity of the unit. The configuration takes precedence
    /// over the variables that the user implies, and may refer to them.
    fn environment(&self, unit: &Unit) -> Result<(Environment, Option<Ids>), Problem> {
        let mut environment =
            if unit.identity.env_clear { self.base.clone().cleared() } else { self.base.clone() };
        if let Some(instance) = &unit.instance {
            environment.set("INSTANCE", instance);
        }
        let ids = identity(unit, &mut environment)?;
        let mut from_files = Resolved::default();
        from_files.resolve(&self.config.file_env, &mut environment)?;
        environment.set_written(&self.config.env, None)?;
        for file in &unit.identity.env_file {
            envfile::read(&file.value, self.base, &mut environment)
                .map_err(|why| why.at(&file.origin))?;
        }
        // A value may refer to the previous value of the variable: PATH = "/opt/bin:${PATH}". It
        // cannot refer to another variable of the same table, because a table has no order.
        let before = environment.clone();
        environment.set_written(&unit.identity.env, Some(&before))?;
        from_files.resolve(&self.config.file_env, &mut environment)?;
        environment.set("TRC_UNIT", unit.id());
        environment.set("TRC_STAGE", unit.stage.name());
        if let Some(socket) = self.socket {
            environment.set("NOTIFY_SOCKET", socket);
            // Programs report twice in each period: `sd_watchdog_enabled(3)`.
            let health = unit.health.as_ref().filter(|h| h.probe.value == Probe::Notify);
            if let Some(health) = health {
                environment.set("WATCHDOG_USEC", health.every.as_micros().to_string());
            }
        }
        if unit.stage == Stage::Test {
            environment.set("TRC_VERDICT_FD", VERDICT_FD.to_string());
        }
        if let Some((status, reason)) = &self.end {
            environment.set("TRC_EXIT_STATUS", status.to_string());
            environment.set("TRC_EXIT_REASON", reason);
        }
        Ok((environment, ids))
    }

    /// Returns the script of a unit, if it needs a shell.
    fn shell_body<'u>(&self, unit: &'u Unit, environment: &Environment) -> Option<Body<'u>> {
        match &unit.command {
            Command::Exec(_) | Command::Nothing => None,
            Command::Script(text) => Some(Body::Text(text)),
            Command::File(path) => Some(Body::File(path)),
            Command::Words(words) => {
                let direct =
                    needs_no_shell(&words[0], environment.path()) || self.shell.get().is_none();
                (!direct).then_some(Body::Words(words))
            }
        }
    }

    fn script(
        &self,
        unit: &Unit,
        shell: &Shell,
        body: Body,
        trace: bool,
    ) -> Result<Prepared, Problem> {
        let own = &unit.identity;
        let alone = own.user.is_some()
            || own.group.is_some()
            || own.env_clear
            || !own.env.is_empty()
            || !own.env_file.is_empty();
        let job = Job {
            stage: unit.stage,
            errors: errors(unit),
            body,
            state: self.state,
            main_pid: std::process::id().cast_signed(),
            work_dir: &self.config.work_dir,
            self_name: "trc",
            wait_policy: self.config.wait.trivialrc(),
            xtrace: self.config.xtrace || trace,
            level: self.config.log.level,
            lines: match (output(self.config, unit), self.config.log.format) {
                (Output::Prefix, _) => Lines::Plain,
                (Output::Inherit | Output::Null, LogFormat::Json) => Lines::Json,
                (Output::Inherit | Output::Null, LogFormat::Trc) => Lines::Stamped,
            },
            exit_status: self.end.as_ref().map(|(status, _)| *status),
            args: &self.config.rest,
            own: Own { cwd: own.cwd.is_some(), umask: own.umask.is_some() },
            waits: matches!(unit.form, Form::Flag | Form::Script)
                && matches!(unit.stage, Stage::Async | Stage::Sync),
            save: unit.stage == Stage::Boot && !alone,
        };
        crate::shell::prepare(shell, &job)
            .map_err(|error| Problem::kernel(Unprepared::NoScript(reason(&error)), &error))
    }
}

/// Returns the signal that a unit's process gets if trc is killed, and trc's process ID.
fn pdeathsig(unit: &Unit) -> Option<(i32, i32)> {
    unit.pdeathsig.map(|signal| (signal.number(), std::process::id().cast_signed()))
}

/// Returns the text of a script file with CRLF line endings, without the `\r`, which a shell would
/// take for parts of words.
fn unix_text(body: &Body) -> Option<OsString> {
    let Body::File(path) = body else { return None };
    // If the file cannot be read, the shell says so itself.
    let bytes = crate::config::head(path, endings::LARGEST + 1).ok()?;
    // Half a script is not a script.
    let bytes = (bytes.len() <= endings::LARGEST).then_some(bytes)?;
    endings::unix(&bytes).map(OsString::from_vec)
}

/// Returns the rule for failures in the script of a unit. TrivialRC's forms follow TrivialRC, and
/// so do declared async and sync units, which often are its scripts moved to TOML.
fn errors(unit: &Unit) -> Errors {
    match (unit.stage, unit.form) {
        (Stage::Test, _) | (Stage::Boot | Stage::Halt, Form::Declared) => Errors::Strict,
        (Stage::Boot | Stage::Halt, Form::Script | Form::Flag | Form::Trailing)
        | (Stage::Async | Stage::Sync, _) => Errors::TrivialRc,
    }
}

fn launch(
    unit: &Unit,
    environment: &Environment,
    ids: Option<Ids>,
    files: Vec<CString>,
    argv: Vec<CString>,
) -> Result<Launch, Problem> {
    let cwd = unit.identity.cwd.as_ref().map(|cwd| environment.expand(cwd)).transpose()?;
    Ok(Launch {
        files,
        argv,
        envp: environment.vector()?,
        listen_pid: false,
        cwd: cwd.map(|cwd| c_string(cwd.into_vec())).transpose()?,
        umask: unit.identity.umask,
        ids,
        limits: privilege::limits(&unit.identity.limits)?,
        birthmark: None,
        nice: unit.identity.nice.as_ref().map(|nice| nice.value),
        oom_score_adj: unit.identity.oom_score_adj.as_ref().map(|adj| adj.value.to_string()),
        no_new_privs: unit.identity.no_new_privs,
        capabilities: privilege::kept(unit)?,
        tty: unit.own_terminal().map(|path| c_string(path.as_os_str().as_bytes())).transpose()?,
        own_group: true,
        inherited: None,
        pdeathsig: None,
        terminal: None,
        passed: None,
        streams: [None, None, None],
        descriptors: Vec::new(),
        layout: None,
    })
}
