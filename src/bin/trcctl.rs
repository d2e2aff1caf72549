//! trcctl: what people do with a container that trc runs.

use std::process::ExitCode;

use clap::Command;
use trc::config::cli;
use trc::ctl::check;
use trc::status;

fn main() -> ExitCode {
    let matches = match program().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            // `--help` and `--version` come as errors too.
            let wrong = error.use_stderr();
            _ = error.print();
            return if wrong { status::USAGE.into() } else { ExitCode::SUCCESS };
        }
    };
    let status = match matches.subcommand() {
        Some(("check", arguments)) => {
            check::run(&cli::from_matches(arguments), &std::env::vars_os().collect())
        }
        _ => unreachable!("clap demands one of the commands above"),
    };
    status.into()
}

fn program() -> Command {
    Command::new("trcctl")
        .about("What people do with a container that trc runs")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("check")
                .about("Say whether the configuration is right")
                .override_usage("trcctl check [OPTIONS] [--] [CMD…]")
                .after_help(
                    "Takes the command line of trc and reads the same files and variables.\n\
                     Exit status: 0 if all is right, 78 if not.",
                )
                .args_override_self(true)
                .args(cli::arguments()),
        )
}
