//! The command line of `trcctl check`.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use trc::client::{check, cli};

use crate::{TEMPLATE, arguments, format};

/// Returns the command.
pub(crate) fn command() -> Command {
    // Like the rest of trc's command line, these are accepted, but they change nothing here.
    let own = arguments().map(|argument| match argument.get_id().as_str() {
        "test" => argument
            .help("Also report what is wrong only in a test run: of all tests, or of those named"),
        "test-list" | "test-strict" | "report" | "bare" => argument.hide(true),
        _ => argument,
    });
    Command::new("check")
        .about("Report every error in the configuration, or list the units that would run")
        .help_template(TEMPLATE)
        .before_help(
            "`trcctl check` reads the same files and variables as trc, but starts nothing. Put it in front of\n\
             any command line of trc to check that, too; the options that matter to the check are below.",
        )
        .override_usage("trcctl check [OPTIONS] [--] [CMD…]")
        .after_help(
            "Without -w, DIR is the current directory if it has a trc.toml or a trc.d, otherwise /etc.\n\n\
             Examples:\n  \
               trcctl check                         Check trc.toml and trc.d/ in the current directory\n  \
               trcctl check -w /etc                 Check the configuration of trc in a container\n  \
               trcctl check -c async.web.user=www   Check with one key overridden\n  \
               trcctl check --root / --strict       In a Dockerfile: check the image that is being built\n  \
               trcctl check --root DIR              Check an image that was unpacked into DIR\n  \
               trcctl check --dockerfile Dockerfile Check a Dockerfile beside the configuration\n\n\
             Exit status:\n  \
               0   the configuration is correct, and with --root the image has what it needs\n  \
               64  the command line is wrong\n  \
               78  there are errors or, with --strict, warnings; or there is no configuration",
        )
        .args_override_self(true)
        .args(own)
        .arg(
            Arg::new("root")
                .long("root")
                .value_name("DIR")
                .help("Also check that the image in DIR (or /) has the programs, users and files that units need")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            Arg::new("dockerfile")
                .long("dockerfile")
                .value_name("FILE")
                .help("Also check ENTRYPOINT, CMD, USER, HEALTHCHECK and STOPSIGNAL of a Dockerfile")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            Arg::new("grace")
                .long("grace")
                .value_name("TIME")
                .help("How long a stop may take until the engine kills the container [default: 10s]")
                .value_parser(check::grace),
        )
        .arg(
            Arg::new("strict")
                .long("strict")
                .help("Treat warnings as errors")
                .action(ArgAction::SetTrue),
        )
        .arg(format::of_findings())
}

/// Runs the command. Returns the exit status.
pub(crate) fn run(arguments: &ArgMatches) -> Result<u8, clap::Error> {
    let wrong = |why: String| command().error(ErrorKind::ValueValidation, why);
    let line = cli::from_matches(arguments).map_err(|why| wrong(why.to_owned()))?;
    let environment = std::env::vars_os().collect();
    match line.without_run(&environment).or_else(|| check::no_command(&line)) {
        Some(why) => Err(wrong(why)),
        None => check::run(&line, &environment, &options(arguments)).map_err(wrong),
    }
}

fn options(arguments: &ArgMatches) -> check::Options {
    check::Options {
        root: arguments.get_one("root").cloned(),
        dockerfile: arguments.get_one("dockerfile").cloned(),
        grace: arguments.get_one("grace").copied(),
        strict: arguments.get_flag("strict"),
        format: format::findings(arguments),
    }
}
