//! From a unit as it was written to everything its process needs.

use std::cell::OnceCell;
use std::ffi::{CString, OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::stat::{Mode, SFlag, fstat};

use super::envfile;
use super::environment::Environment;
use super::identity::identity;
use super::privilege;
use super::proc::Status;
use super::secret;
use super::spawn::{Ids, Launch};
use super::trusted;
use crate::config::{
    Command, Config, Form, LogFormat, Output, Placed, Probe, Stage, Stdin, StdinWord, Template,
    Unit, endings, reason,
};
use crate::shell::{self, Body, Errors, Job, Lines, Own, Prepared, Saved, Shell, State};
use crate::signal::Signal;
use crate::words;

/// Where a test's command gives its verdict, by `TRC_VERDICT_FD`: a descriptor that every
/// shell can name.
pub(super) const VERDICT_FD: i32 = 3;

/// The shell, looked for when a unit first needs one.
pub(super) struct LazyShell {
    configured: Option<Vec<OsString>>,
    path: OsString,
    found: OnceCell<Option<Shell>>,
}

impl LazyShell {
    /// The configured shell, or the first of `bash` and `sh` in `path`.
    pub(super) fn new(configured: Option<Vec<OsString>>, path: &OsStr) -> Self {
        Self { configured, path: path.to_owned(), found: OnceCell::new() }
    }

    /// The shell, if there is one.
    pub(super) fn get(&self) -> Option<&Shell> {
        self.found.get_or_init(|| Shell::find(self.configured.as_deref(), &self.path)).as_ref()
    }
}

impl LazyShell {
    /// Whether a process is the shell, and would die of a signal: then it has only been
    /// waiting for the programs that it runs.
    pub(super) fn only_waits(&self, pid: i32, signal: Signal) -> bool {
        let is = |path: &OsStr| {
            let file = std::fs::metadata(format!("/proc/{pid}/exe")).ok();
            let shell = std::fs::metadata(path).ok();
            file.zip(shell).is_some_and(|(a, b)| (a.dev(), a.ino()) == (b.dev(), b.ino()))
        };
        signal.is_fatal()
            && self.get().and_then(|shell| shell.words.first()).is_some_and(|word| is(word))
            && Status::of(pid).is_some_and(|status| !status.handles(signal.number()))
    }
}

/// What surrounds every unit.
pub(super) struct Surroundings<'a> {
    /// Everything that was written.
    pub config: &'a Config,
    /// What units start from: trc's own environment less its settings, or what boot
    /// has made of it.
    pub base: &'a Environment,
    /// The shell, if there is one.
    pub shell: &'a LazyShell,
    /// What boot scripts have left so far.
    pub state: Option<&'a State>,
    /// Where the unit says how it is: its `NOTIFY_SOCKET`.
    pub socket: Option<&'a str>,
    /// The exit status so far and the reason, for halt units.
    pub end: Option<(u8, String)>,
}

/// Why trc cannot prepare a unit.
pub(super) struct Problem {
    /// In words.
    pub why: String,
    /// What the kernel said, or 0.
    pub errno: i32,
    /// Whether that stays so: a variable that is not set. A file may come.
    pub lasts: bool,
}

impl From<Errno> for Problem {
    fn from(errno: Errno) -> Self {
        Self { why: words::errno(errno), errno: errno as i32, lasts: false }
    }
}

impl From<String> for Problem {
    fn from(why: String) -> Self {
        Self { why, errno: 0, lasts: false }
    }
}

impl From<&str> for Problem {
    fn from(why: &str) -> Self {
        why.to_owned().into()
    }
}

impl Problem {
    /// What the kernel said to a step.
    pub(super) fn kernel(what: &str, error: &std::io::Error) -> Self {
        Self {
            why: format!("{what}: {}", crate::config::reason(error)),
            errno: error.raw_os_error().unwrap_or(0),
            lasts: false,
        }
    }

    /// What a variable lacks.
    pub(super) fn lasting(why: String) -> Self {
        Self { why, errno: 0, lasts: true }
    }
}

/// A unit ready to be started, but for its streams and the terminal.
pub(super) struct Ready {
    /// What to start.
    pub launch: Launch,
    /// Where a boot script will leave its state, and the environment it is given.
    pub saved: Option<(Saved, Vec<(OsString, OsString)>)>,
}

impl Surroundings<'_> {
    /// Prepares a unit.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(super) fn unit(&self, unit: &Unit) -> Result<Ready, Problem> {
        // A file of variables may be written anew.
        let may_change = !unit.identity.env_file.is_empty();
        let ready = self.ready(unit);
        ready.map_err(|problem| Problem { lasts: problem.lasts && !may_change, ..problem })
    }

    fn ready(&self, unit: &Unit) -> Result<Ready, Problem> {
        let (mut environment, ids) = self.environment(unit)?;
        let mut saved = None;
        let mut descriptors = Vec::new();
        let (files, argv) = match self.shell_body(unit, &environment) {
            None => words(unit, &environment)?,
            Some(body) => {
                let found = self
                    .shell
                    .get()
                    .ok_or("it needs a shell, and the image has neither bash nor sh")?;
                let text = unix_text(&body);
                let body = text.as_deref().map_or(body, Body::Text);
                let trace = environment.get("SHELLOPTS").is_some_and(shell::asks_for_trace);
                let prepared = self.script(unit, found, body, trace)?;
                for (name, value) in prepared.env {
                    environment.set(name, value);
                }
                saved = prepared.saved.map(|saved| (saved, environment.clone().into_variables()));
                environment.retain(|name| !shell::is_withheld(name));
                descriptors = prepared.files;
                (candidates(&found.words[0], environment.path())?, prepared.argv)
            }
        };
        let mut launch = launch(unit, &environment, ids, files, argv)?;
        launch.descriptors = descriptors;
        let own = std::process::id().cast_signed();
        launch.pdeathsig = unit.pdeathsig.map(|signal| (signal.number(), own));
        Ok(Ready { launch, saved })
    }

    /// Prepares a command that belongs to a unit: one that stops it, or finds out how it
    /// is. It sees the unit's process, if there is one, as `TRC_PID`.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(super) fn command(
        &self,
        unit: &Unit,
        words: &[Template],
        pid: Option<i32>,
    ) -> Result<Launch, Problem> {
        let (mut environment, ids) = self.environment(unit)?;
        if let Some(pid) = pid {
            environment.set("TRC_PID", pid.to_string());
        }
        let (files, argv) = expand_words(unit, words, &environment)?;
        // A terminal of the unit's own is its session's, and can't be another's: ioctl_tty(2).
        Ok(Launch { tty: None, ..launch(unit, &environment, ids, files, argv)? })
    }

    /// The unit's environment, and who it becomes. What is written stands on what its user
    /// gives it, and beats that.
    fn environment(&self, unit: &Unit) -> Result<(Environment, Option<Ids>), Problem> {
        let mut environment =
            if unit.identity.env_clear { self.base.clone().cleared() } else { self.base.clone() };
        let ids = identity(unit, &mut environment)?;
        environment.set_written(&self.config.env, None)?;
        for file in &unit.identity.env_file {
            envfile::read(&file.value, self.base, &mut environment)
                .map_err(|why| format!("{why} ({})", file.origin))?;
        }
        // A value may stand on what the variable was before: PATH = "/opt/bin:${PATH}".
        // One of the same table it can't, for a table has no order.
        let before = environment.clone();
        environment.set_written(&unit.identity.env, Some(&before))?;
        secret::resolve(&self.config.file_env, &mut environment)?;
        environment.set("TRC_UNIT", unit.id());
        environment.set("TRC_STAGE", unit.stage.name());
        if let Some(socket) = self.socket {
            environment.set("NOTIFY_SOCKET", socket);
            // Those who are to report do so twice in each period: `sd_watchdog_enabled(3)`.
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

    /// What the shell is to run of a unit, if it needs one.
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
            .map_err(|error| Problem::kernel("cannot pass its script to the shell", &error))
    }
}

/// The most of a script file that is looked through for its line endings.
const LARGEST_SCRIPT: usize = 1 << 20;

/// The text of a script file that has `\r\n` at the ends of its lines, which a shell would take
/// for parts of words, without the `\r`.
fn unix_text(body: &Body) -> Option<OsString> {
    let Body::File(path) = body else { return None };
    // If it cannot be read, the shell says so itself.
    let bytes = endings::head(path, LARGEST_SCRIPT + 1).ok()?;
    // Half a script is not a script.
    let bytes = (bytes.len() <= LARGEST_SCRIPT).then_some(bytes)?;
    endings::unix(&bytes).map(OsString::from_vec)
}

/// What ends a unit's script: in TrivialRC's own forms, and in declared async and sync units,
/// which are as often its scripts moved into TOML, what does there.
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
        streams: [None, None, None],
        descriptors: Vec::new(),
    })
}

fn words(unit: &Unit, environment: &Environment) -> Result<(Vec<CString>, Vec<CString>), Problem> {
    match &unit.command {
        Command::Exec(words) => expand_words(unit, words, environment),
        Command::Words(words) => {
            let argv =
                words.iter().map(|word| c_string(word.as_bytes())).collect::<Result<_, _>>()?;
            Ok((candidates(&words[0], environment.path())?, argv))
        }
        Command::Script(_) | Command::File(_) => Err("it needs a shell".into()),
        Command::Nothing => Err("it has no command".into()),
    }
}

/// Where a unit's output goes: what is written, else its own terminal, else background
/// units' `[log] output`, else through trc for declared ones.
///
/// In test mode nothing is inherited: standard output is for the report, and tests ask for
/// what units say.
pub(super) fn output(config: &Config, unit: &Unit) -> Output {
    match config.output_of(unit) {
        Output::Inherit if config.testing.is_some() && unit.own_terminal().is_none() => {
            Output::Prefix
        }
        output => output,
    }
}

/// Whether the trailing command can be executed as it is.
pub(super) fn needs_no_shell(word: &OsStr, path: &OsStr) -> bool {
    let executable = |file: &CString| {
        let file = Path::new(OsStr::from_bytes(file.as_bytes()));
        nix::unistd::access(file, nix::unistd::AccessFlags::X_OK).is_ok() && !file.is_dir()
    };
    word.as_bytes().contains(&b'/')
        || candidates(word, path).is_ok_and(|files| files.iter().any(executable))
}

fn expand_words(
    unit: &Unit,
    words: &[Template],
    environment: &Environment,
) -> Result<(Vec<CString>, Vec<CString>), Problem> {
    let lookup = |name: &str| environment.lookup(name);
    let words = words
        .iter()
        .map(|word| word.expand(&lookup))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|why| Problem::lasting(format!("{why} ({})", unit.origin)))?;
    let files = candidates(words.first().ok_or("it has no command")?, environment.path())?;
    let argv = words.into_iter().map(|word| c_string(word.into_vec())).collect::<Result<_, _>>()?;
    Ok((files, argv))
}

/// The files that a command may be, along `PATH` if it has no `/`.
fn candidates(word: &OsStr, path: &OsStr) -> Result<Vec<CString>, String> {
    let word = word.as_bytes();
    if word.contains(&b'/') {
        return Ok(vec![c_string(word)?]);
    }
    if word.is_empty() {
        return Ok(Vec::new());
    }
    let file = |directory: &[u8]| {
        let directory = if directory.is_empty() { b"." } else { directory };
        c_string([directory, b"/", word].concat())
    };
    path.as_bytes().split(|byte| *byte == b':').map(file).collect()
}

fn c_string(bytes: impl Into<Vec<u8>>) -> Result<CString, String> {
    CString::new(bytes).map_err(|error| {
        format!(
            "`{}` contains a NUL byte",
            String::from_utf8_lossy(&error.into_vec()).escape_debug()
        )
    })
}

/// What background units read, and where output nobody wants goes: `/dev/null`, or
/// in an image without it a pipe that has ended.
///
/// # Errors
/// What the kernel says.
pub(super) fn null(write: bool) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_CLOEXEC | if write { OFlag::O_WRONLY } else { OFlag::O_RDONLY };
    match open("/dev/null", flags, Mode::empty()) {
        Ok(null) => Ok(null),
        Err(error) if write => Err(error),
        Err(_) => nix::unistd::pipe2(OFlag::O_CLOEXEC).map(|(read, _)| read),
    }
}

/// What a unit reads; None where that is what trc reads.
///
/// # Errors
/// Why it can't be opened.
pub(super) fn stdin(unit: &Unit) -> Result<Option<OwnedFd>, Problem> {
    let words =
        |errno: Errno| Problem { why: errno.desc().to_owned(), errno: errno as i32, lasts: false };
    let Some(Placed { value, origin }) = &unit.identity.stdin else {
        let nothing = unit.stage == Stage::Async && unit.own_terminal().is_none();
        return if nothing { null(false).map(Some).map_err(words) } else { Ok(None) };
    };
    match value {
        Stdin::Word(StdinWord::Inherit) => Ok(None),
        Stdin::Word(StdinWord::Null) => null(false).map(Some).map_err(words),
        Stdin::File(path) => {
            // Opening a FIFO does not wait for its writer; the unit's own reads are to wait.
            let opened = trusted::open(path, OFlag::O_RDONLY)
                .map(OwnedFd::from)
                .and_then(|fd| Ok(fcntl(&fd, FcntlArg::F_SETFL(OFlag::empty())).map(|_| fd)?))
                .and_then(|fd| if is_directory(&fd)? { Err(Errno::EISDIR.into()) } else { Ok(fd) });
            opened.map(Some).map_err(|error| Problem {
                why: format!("cannot read {}: {} ({origin})", path.display(), reason(&error)),
                errno: error.raw_os_error().unwrap_or(0),
                lasts: false,
            })
        }
    }
}

fn is_directory(fd: &OwnedFd) -> nix::Result<bool> {
    let kind = SFlag::from_bits_truncate(fstat(fd)?.st_mode) & SFlag::S_IFMT;
    Ok(kind == SFlag::S_IFDIR)
}
