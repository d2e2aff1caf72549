//! The command line of `trcctl lint`.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use trc::client::{cli, lint};

use crate::{TEMPLATE, arguments, format};

/// Returns the command.
pub(crate) fn command() -> Command {
    let own = arguments().map(|argument| match argument.get_id().as_str() {
        "workdir" | "config" | "only" => argument,
        "command" => argument.trailing_var_arg(false).last(true).hide(true),
        _ => argument.hide(true),
    });
    Command::new("lint")
        .about("Check compose files and manifests of Kubernetes against the configuration of their image")
        .help_template(TEMPLATE)
        .before_help(
            "`trcctl lint` reads compose files and Pods, Deployments, StatefulSets, DaemonSets, Jobs and CronJobs.\n\
             It says what they take from the units of the image: time to stop, directories, capabilities, ports.",
        )
        .override_usage("trcctl lint [OPTIONS] FILE…")
        .after_help(
            "Without --service or --container, trcctl looks at each service that has a `build`, or at all if none\n\
             has one, and at each container whose `command` does not run another program.\n\n\
             Examples:\n  \
               trcctl lint compose.yaml                   With the configuration in the current directory\n  \
               trcctl lint -w docker compose.yaml         With the configuration in docker/\n  \
               trcctl lint --service web compose.yaml     Only one service\n  \
               helm template shop | trcctl lint -         What helm makes of a chart\n\n\
             Exit status:\n  \
               0   the files fit the configuration\n  \
               64  the command line is wrong, or no container in the files can run trc\n  \
               78  there are errors or, with --strict, warnings; or the configuration has errors",
        )
        .args_override_self(true)
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .help("Compose files and manifests; - is the standard input")
                .value_parser(value_parser!(PathBuf))
                .num_args(1..)
                .required(true),
        )
        .arg(
            Arg::new("service")
                .long("service")
                .visible_alias("container")
                .value_name("NAME")
                .help("The service or the container that runs trc; may be repeated")
                .action(ArgAction::Append),
        )
        .arg(
            Arg::new("root")
                .long("root")
                .value_name("DIR")
                .help("The image, unpacked into DIR: its configuration and its users")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            Arg::new("strict")
                .long("strict")
                .help("Treat warnings as errors")
                .action(ArgAction::SetTrue),
        )
        .arg(format::of_findings())
        .args(own)
}

/// Runs the command. Returns the exit status.
pub(crate) fn run(arguments: &ArgMatches) -> Result<u8, clap::Error> {
    let wrong = |why: String| command().error(ErrorKind::ValueValidation, why);
    let line = cli::from_matches(arguments).map_err(|why| wrong(why.to_owned()))?;
    let environment = std::env::vars_os().collect();
    let options = lint::Options {
        files: arguments.get_many("file").unwrap_or_default().cloned().collect(),
        names: arguments.get_many("service").unwrap_or_default().cloned().collect(),
        root: arguments.get_one("root").cloned(),
        strict: arguments.get_flag("strict"),
        format: format::findings(arguments),
    };
    lint::run(&line, &environment, &options).map_err(wrong)
}
