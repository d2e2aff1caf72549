//! trcctl: checks and tests the configuration of trc without a container, and asks a running trc.

mod check;
mod color;
mod completions;
mod explain;
mod format;
mod graph;
mod lint;
mod live;
mod man;
mod replay;
mod schema;
mod serve;
mod simulate;
mod test;
mod timeline;
mod verdict;

use std::ffi::OsStr;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Command};
use trc::client::{Stage, cli, test as tests};
use trc::status;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    // This is a stage of `trcctl test`, which starts itself again.
    let word = words.next();
    let word = word.as_deref().and_then(OsStr::to_str).unwrap_or_default();
    if let Some(stage) = Stage::named(word) {
        return stage.run(&words.collect::<Vec<_>>()).into();
    }
    if word == tests::many::plan::HOLD {
        return tests::many::hold(&words.collect::<Vec<_>>()).into();
    }
    completions::answer(program);
    match run() {
        Ok(status) => status.into(),
        Err(error) => {
            // `--help` and `--version` are returned as errors, too.
            let wrong = error.use_stderr();
            _ = error.print();
            if wrong { status::USAGE.into() } else { ExitCode::SUCCESS }
        }
    }
}

fn run() -> Result<u8, clap::Error> {
    let mut program = program();
    let matches = program.try_get_matches_from_mut(std::env::args_os()).map_err(habit)?;
    match matches.subcommand() {
        Some(("check", arguments)) => check::run(arguments),
        Some(("lint", arguments)) => lint::run(arguments),
        Some(("explain", arguments)) => explain::run(arguments),
        Some(("graph", arguments)) => graph::run(arguments),
        Some(("simulate", arguments)) => simulate::run(arguments),
        Some(("replay", arguments)) => replay::run(arguments),
        Some(("test", arguments)) => test::run(arguments),
        Some(("timeline", arguments)) => Ok(timeline::run(arguments)),
        Some(("verdict", arguments)) => Ok(verdict::run(arguments)),
        Some(("serve", arguments)) => Ok(serve::run(arguments)),
        Some(("completions", arguments)) => Ok(completions::run(arguments)),
        Some(("schema", arguments)) => Ok(schema::run(arguments)),
        Some(("man", arguments)) => man::run(program, arguments),
        Some((name, arguments)) => {
            Ok(live::run(name, arguments).expect("clap demands one of the commands"))
        }
        None => unreachable!("clap demands a command"),
    }
}

/// Adds the tip for a word of another program.
fn habit(mut error: clap::Error) -> clap::Error {
    let word = [ContextKind::InvalidSubcommand, ContextKind::InvalidArg].into_iter();
    let word = word.filter_map(|kind| match error.get(kind) {
        Some(ContextValue::String(word)) => Some(word.as_str()),
        _ => None,
    });
    let tip = match word.collect::<Vec<_>>()[..] {
        ["ps" | "ls" | "list" | "units"] => "`trcctl status` shows what runs",
        ["htop" | "monitor"] => "`trcctl top` shows the units on a full screen",
        ["kill"] => "`trcctl signal` sends a signal to a unit, and `trcctl stop` stops it",
        ["log" | "tail"] => "`trcctl logs` shows the last output of units",
        ["up" | "run"] => "`trcctl start` starts a unit",
        ["sh" | "shell" | "attach" | "enter"] => "`trcctl exec UNIT -- sh` runs a shell as a unit",
        ["down"] => "`trcctl stop` stops a unit",
        ["show" | "get" | "config"] => "`trcctl explain` shows where each value comes from",
        ["validate"] => "`trcctl check` reports every error in the configuration",
        ["tree" | "dot" | "plot" | "deps"] => "`trcctl graph` shows what waits for what",
        ["-i" | "-it"] => "`trcctl exec` always passes its standard input on: leave this out",
        ["--tail"] => "`trcctl logs -n 10` shows the last 10 lines",
        _ => return error,
    };
    error.remove(ContextKind::SuggestedSubcommand);
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    error
}

fn program() -> Command {
    let program = Command::new("trcctl")
        .about(
            "Check a trc configuration, run its tests without a container, and ask a running trc",
        )
        .after_help(
            "Examples:\n  \
               trcctl check      Report every error in trc.toml and trc.d/\n  \
               trcctl explain    Show where each value comes from\n  \
               trcctl graph      Show what waits for what\n  \
               trcctl simulate   Show what trc would do, in virtual time
  \
               trcctl test       Run all tests that these files declare\n  \
               trcctl test web   Run one test\n  \
               trcctl status     Show what runs, inside a container\n  \
               trcctl man logs   Print the manual page of a command\n\n\
             Run `trcctl COMMAND --help` for its options, more examples and its exit statuses.",
        )
        .version(env!("CARGO_PKG_VERSION"))
        .disable_version_flag(true)
        // Not `-v`, which means --verbose.
        .arg(cli::version())
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(check::command())
        .subcommand(lint::command())
        .subcommand(explain::command())
        .subcommand(graph::command())
        .subcommand(simulate::command())
        .subcommand(replay::command())
        .subcommand(test::command())
        .subcommand(timeline::command())
        .subcommand(verdict::command())
        .subcommands(live::commands())
        .subcommand(serve::command())
        .subcommand(schema::command())
        .subcommand(completions::command());
    man::with_command(program)
}

/// Returns the arguments of trc, with the default directory of trcctl in the help.
fn arguments() -> impl Iterator<Item = Arg> {
    cli::arguments().into_iter().map(|argument| match argument.get_id().as_str() {
        "workdir" => {
            argument.help("Where trc.toml and trc.d/ are, not where units run [default: . or /etc]")
        }
        _ => argument,
    })
}

/// clap's own template, with the description of a command below its summary.
const TEMPLATE: &str = "\
{about-with-newline}
{before-help}{usage-heading} {usage}

{all-args}{after-help}";
