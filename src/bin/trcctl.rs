//! trcctl: what people do with a container that trc runs.

use std::process::ExitCode;

use clap::Command;
use clap::error::ErrorKind;
use trc::config::cli;
use trc::ctl::check;
use trc::status;

fn main() -> ExitCode {
    match run() {
        Ok(status) => status.into(),
        Err(error) => {
            // `--help` and `--version` come as errors too.
            let wrong = error.use_stderr();
            _ = error.print();
            if wrong { status::USAGE.into() } else { ExitCode::SUCCESS }
        }
    }
}

fn run() -> Result<u8, clap::Error> {
    let mut program = program();
    let matches = program.try_get_matches_from_mut(std::env::args_os())?;
    match matches.subcommand() {
        Some(("check", arguments)) => {
            let line = cli::from_matches(arguments)
                .map_err(|why| check_command().error(ErrorKind::ValueValidation, why))?;
            Ok(check::run(&line, &std::env::vars_os().collect()))
        }
        _ => unreachable!("clap demands one of the commands above"),
    }
}

fn program() -> Command {
    Command::new("trcctl")
        .about("What people do with a container that trc runs")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_version_flag(true)
        .arg(cli::version())
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(check_command())
}

fn check_command() -> Command {
    Command::new("check")
        .about("Say whether the configuration is right")
        .override_usage("trcctl check [OPTIONS] [--] [CMD…]")
        .after_help(
            "Takes the command line of trc, reads the same files and variables, and starts\n\
             nothing. Exit status: 0 if all is right, 78 if not.\n\n\
             Examples:\n  \
               trcctl check                       /etc/trc.toml and /etc/trc.d/\n  \
               trcctl check -w DIR                those in DIR\n  \
               trcctl check -c async.web.user=www with one key set, as trc would have it",
        )
        .args_override_self(true)
        .args(cli::arguments())
}
