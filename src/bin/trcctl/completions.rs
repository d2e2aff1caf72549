//! `trcctl completions`: the shell asks `trcctl` itself what can follow.

use std::ffi::OsStr;
use std::io::Write;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command};
use clap_complete::env::{CompleteEnv, Shells};
use clap_complete::{ArgValueCompleter, CompletionCandidate};
use trc::client::live;

use crate::TEMPLATE;

/// The variable by which the script of a shell asks.
const VARIABLE: &str = "TRCCTL_COMPLETE";
/// The shells that `trcctl` has scripts for.
const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// Answers a shell and exits, if one asks what can follow.
pub(crate) fn answer(program: fn() -> Command) {
    CompleteEnv::with_factory(program).var(VARIABLE).complete();
}

/// Returns the command.
pub(crate) fn command() -> Command {
    Command::new("completions")
        .about("Print a script that lets a shell complete the commands of trcctl")
        .help_template(TEMPLATE)
        .before_help("The names of units come from the trc that runs, if there is one.")
        .override_usage("trcctl completions bash|zsh|fish")
        .arg(
            Arg::new("shell")
                .value_name("bash|zsh|fish")
                .help("The shell")
                .required(true)
                .hide_possible_values(true)
                .value_parser(PossibleValuesParser::new(SHELLS)),
        )
        .after_help(
            "Examples:\n  \
               source <(trcctl completions bash)             In ~/.bashrc\n  \
               source <(trcctl completions zsh)              In ~/.zshrc, after compinit\n  \
               trcctl completions fish | source              In ~/.config/fish/config.fish",
        )
}

/// Prints the script of a shell. Returns the exit status.
pub(crate) fn run(arguments: &ArgMatches) -> u8 {
    let shell = arguments.get_one::<String>("shell").map(String::as_str).unwrap_or_default();
    let shells = Shells::builtins();
    let mut script = Vec::new();
    let written = shells.completer(shell).is_some_and(|shell| {
        shell.write_registration(VARIABLE, "trcctl", "trcctl", "trcctl", &mut script).is_ok()
    });
    u8::from(!written || std::io::stdout().write_all(&script).is_err())
}

/// Completes the names of units.
pub(crate) fn units() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        candidates(typed, live::names().into_iter().map(CompletionCandidate::new))
    })
}

/// Completes what `trcctl wait` waits for.
pub(crate) fn goals() -> ArgValueCompleter {
    ArgValueCompleter::new(|typed: &OsStr| {
        let units = live::names().into_iter().map(|name| format!("{name}=ready"));
        let goals = ["ready", "stopped"].map(str::to_owned).into_iter().chain(units);
        candidates(typed, goals.map(CompletionCandidate::new))
    })
}

/// Completes these words.
pub(crate) fn words(words: Vec<String>) -> ArgValueCompleter {
    ArgValueCompleter::new(move |typed: &OsStr| {
        candidates(typed, words.iter().map(CompletionCandidate::new))
    })
}

/// Completes the names of signals.
pub(crate) fn signals() -> ArgValueCompleter {
    const NAMES: [&str; 10] =
        ["HUP", "TERM", "INT", "QUIT", "USR1", "USR2", "KILL", "STOP", "CONT", "WINCH"];
    ArgValueCompleter::new(|typed: &OsStr| {
        candidates(typed, NAMES.into_iter().map(CompletionCandidate::new))
    })
}

fn candidates(
    typed: &OsStr,
    all: impl Iterator<Item = CompletionCandidate>,
) -> Vec<CompletionCandidate> {
    let typed = typed.as_encoded_bytes();
    all.filter(|one| one.get_value().as_encoded_bytes().starts_with(typed)).collect()
}
