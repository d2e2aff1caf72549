//! The part of PID 1 that acts. Except for `main`, only this module has `unsafe`; only it reads the
//! clock; and it makes nearly all system calls. It has one thread and one poll loop. The engine
//! makes the decisions.

mod birthmark;
pub(crate) mod capture;
mod cause;
mod check;
mod control;
mod drill;
pub(crate) mod journal;
mod layout;
mod listen;
mod notify;
mod oom;
pub(crate) mod os;
mod prepare;
mod probe;
mod record;
mod report;
mod sender;
mod spawn;
mod strangers;
pub(crate) mod stream;
mod supervisor;
mod syslog;
mod termination;
mod testing;

use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::config::{self, Command, Config, Diagnostic, Invocation, Loaded, LogFormat, LogTo};
use crate::graph::Graph;
use crate::report::Live;
use crate::status;
use crate::words::EventName;
use journal::Journal;
use os::localtime;
use os::signals::Signals;
use prepare::{Environment, LazyShell};
use record::Recording;
use report::Reporter;
use supervisor::Supervisor;

/// Returns the arguments of C's `main`.
///
/// # Safety
/// `arguments` points at `count` strings that end with a NUL.
pub unsafe fn arguments(count: c_int, arguments: *const *const c_char) -> Vec<OsString> {
    let one = |at: usize| {
        // SAFETY: the caller guarantees it.
        let text = unsafe { CStr::from_ptr(*arguments.add(at)) };
        OsStr::from_bytes(text.to_bytes()).to_owned()
    };
    (0..usize::try_from(count).unwrap_or(0)).map(one).collect()
}

/// Runs all of `trc`: from the command line to the exit status.
pub(crate) fn main(arguments: Vec<OsString>) -> u8 {
    // A panic that nobody catches aborts, because it cannot unwind through the C `main`.
    catch_unwind(AssertUnwindSafe(|| life(arguments))).unwrap_or(status::SOFTWARE)
}

fn life(arguments: Vec<OsString>) -> u8 {
    std::panic::set_hook(Box::new(|info| {
        let _ = writeln!(std::io::stderr(), "trc: this is a bug in trc, please report it: {info}");
    }));
    os::guard::guard_standard_fds();
    // This comes first. The kernel drops the signals to PID 1 that it neither handles nor blocks,
    // and a stop that comes while the configuration is read must not be lost.
    let environment: config::Environment = std::env::vars_os().collect();
    let format = config::log_format(&environment);
    let signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => {
            let why = format!("cannot take over signals: {error}");
            return fail(format, EventName::Failed, &why, status::SOFTWARE);
        }
    };
    let record = config::record_file(&environment);
    let line = match config::cli::parse(arguments, &environment) {
        Invocation::Run(line) => line,
        Invocation::Print(text) => return print(&text),
        Invocation::Usage(text) if format == LogFormat::Json => {
            return fail(format, EventName::Usage, text.trim_end(), status::USAGE);
        }
        Invocation::Usage(text) => {
            // Nobody may be listening, but the exit status says it, too.
            let _ = std::io::stderr().write_all(text.as_bytes());
            return status::USAGE;
        }
    };
    let loaded = match config::load(&line, &environment) {
        Ok(loaded) => loaded,
        Err(refused) => {
            let config = &refused.understood.config;
            let (cycles, format) = (Graph::cycles(config), config.log.format);
            return refuse(format, &refused.beside(cycles));
        }
    };
    let format = loaded.config.log.format;
    let graph = match Graph::build(&loaded.config) {
        Ok(graph) => graph,
        Err(diagnostics) => return refuse(format, &loaded.illustrate(diagnostics)),
    };
    // The variables that trc's own supervisor has set for trc are not meant for units. A command
    // alone takes trc's place.
    let theirs = |name: &OsString| notify::VARIABLES.iter().any(|other| name == other);
    let told = environment.iter().find(|(name, _)| name == notify::VARIABLES[0]);
    let told = told.filter(|_| !graph.transparent).map(|(_, socket)| socket.clone());
    let own = environment
        .into_iter()
        .filter(|(name, _)| !config::is_own_variable(name) && (graph.transparent || !theirs(name)));
    let base = Environment::new(own);
    let shell = LazyShell::new(loaded.config.shell.clone(), base.path());
    if let Some(diagnostic) = needs_shell(&loaded.config)
        && shell.get().is_none()
    {
        return refuse(format, &loaded.illustrate(vec![diagnostic]));
    }
    if loaded.config.testing.as_ref().is_some_and(|testing| testing.list) {
        return print(&testing::listing(&graph));
    }
    if !graph.transparent {
        os::guard::keep_from_units();
    }
    let record = match Recording::open(record.as_deref()) {
        Ok(record) => record,
        Err(why) => return refuse(format, &[why]),
    };
    supervise(loaded, graph, signals, (told.as_deref(), record), (base, shell))
}

fn supervise(
    loaded: Loaded,
    graph: Graph,
    signals: Signals,
    (told, record): (Option<&OsStr>, Recording),
    (base, shell): (Environment, LazyShell),
) -> u8 {
    let journal = journal(loaded.config.log.format, loaded.config.log.level);
    if loaded.config.log.to == LogTo::Stderr {
        journal.set_to_stderr();
    }
    let mut drill = None;
    if let Some(testing) = &loaded.config.testing {
        let reports = match testing::open_reports(testing) {
            Ok(reports) => reports,
            Err(why) => return refuse(loaded.config.log.format, &[why]),
        };
        journal.set_apart();
        let live = if testing.events { Live::Events } else { Live::Tap };
        // There is room for the first line, or an error that is reported at the end.
        journal.report(live.begin(testing::planned(&graph)).as_bytes());
        drill = Some((live, reports));
    }
    let silent = graph.transparent && !loaded.config.log.asked;
    let reporter = Reporter::new(journal.clone(), silent);
    reporter.diagnostics(&loaded.config.remarks);
    if graph.strict {
        // A strict run also logs what `trcctl check` would say.
        reporter.diagnostics(&graph.remarks(None, &|key| loaded.place_of(key)));
    }
    std::panic::set_hook(Box::new(|info| {
        log::error!("this is a bug in trc, please report it: {info}");
    }));

    let mut supervisor = Supervisor::new(loaded, graph, signals, reporter, base, shell);
    if let Some((live, reports)) = drill {
        supervisor.drills(live, reports);
    }
    supervisor.record(record);
    supervisor.introduce();
    supervisor.listen();
    supervisor.listen_to_syslog();
    if let Some(socket) = told {
        supervisor.tell_to(socket);
    }
    let status = catch_unwind(AssertUnwindSafe(|| supervisor.run())).unwrap_or_else(|_| {
        let _ = catch_unwind(AssertUnwindSafe(|| supervisor.abandon()));
        status::SOFTWARE
    });
    // The kernel frees everything at once.
    std::mem::forget(supervisor);
    status
}

/// Returns a journal on trc's standard streams, and lets the `log` macros write to it.
fn journal(format: LogFormat, level: log::LevelFilter) -> Journal {
    let own = std::process::id().cast_signed();
    let journal = Journal::new(format, level, own, localtime::CLOCK, stream::Streams::standard());
    // This cannot fail, because it is the first logger of this process.
    let _ = journal.install();
    journal
}

/// Logs all errors in the configuration. Nothing was started.
fn refuse(format: LogFormat, diagnostics: &[Diagnostic]) -> u8 {
    let journal = journal(format, log::LevelFilter::Warn);
    let reporter = Reporter::new(journal.clone(), false);
    reporter.diagnostics(diagnostics);
    journal.flush_at_exit(stream::flush_deadline());
    status::CONFIG
}

fn fail(format: LogFormat, event: EventName, message: &str, status: u8) -> u8 {
    let journal = journal(format, log::LevelFilter::Warn);
    Reporter::new(journal.clone(), false).refused(event, message);
    journal.flush_at_exit(stream::flush_deadline());
    status
}

fn print(text: &str) -> u8 {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

/// Returns the error for an image without a shell, if any unit needs one.
fn needs_shell(config: &Config) -> Option<Diagnostic> {
    let needy: Vec<_> = config
        .units
        .iter()
        .filter(|unit| matches!(unit.command, Command::Script(_) | Command::File(_)))
        .collect();
    let names: Vec<String> = needy.iter().map(|unit| unit.id()).collect();
    let first = needy.first()?;
    let what = match &config.shell {
        Some(words) => format!("the shell `{}` does not exist", words.first()?.display()),
        None => "neither bash nor sh is in PATH".to_owned(),
    };
    let (need, them) = if names.len() == 1 { ("needs", "it") } else { ("need", "them") };
    let message = format!("{} {need} a shell, and {what}", names.join(", "));
    Some(Diagnostic::error(first.origin.clone(), message).help(format!(
        "declare {them} with `exec`, which needs no shell, or set one: shell = [\"/bin/ash\", \"-c\"]"
    )))
}
