//! The command line of `trcctl explain`.

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command};
use trc::client::{cli, explain};

use crate::{TEMPLATE, arguments, color};

/// Returns the command.
pub(crate) fn command() -> Command {
    let own = arguments().map(|argument| match argument.get_id().as_str() {
        "command" => argument.trailing_var_arg(false).last(true),
        "test" | "test-list" | "test-strict" | "report" | "bare" => argument.hide(true),
        _ => argument,
    });
    Command::new("explain")
        .about("Show the value of each key, where it comes from, and which values it has replaced")
        .help_template(TEMPLATE)
        .before_help(
            "`trcctl explain` reads the same files and variables as trc, and takes the same options. Without\n\
             KEY, it lists every key that is set. The values of variables are hidden.",
        )
        .override_usage("trcctl explain [OPTIONS] [KEY…] [-- CMD…]")
        .after_help(
            "Without -w, DIR is the current directory if it has a trc.toml or a trc.d, otherwise /etc.\n\n\
             Examples:\n  \
               trcctl explain                         List every key that is set\n  \
               trcctl explain web                     List the keys of a unit\n  \
               trcctl explain web.stop.timeout        Describe a key, even one that is not set\n  \
               trcctl explain -c async.web.user=www   Show what an override changes\n\n\
             Exit status:\n  \
               0   the configuration is correct\n  \
               64  the command line is wrong, or there is no such key\n  \
               78  the configuration has errors, and the list shows the part that trc understands; or there\n      \
               is no configuration",
        )
        .args_override_self(true)
        .arg(
            Arg::new("key")
                .value_name("KEY")
                .help("A key, a table or a unit, such as web.user, log or async.web [default: all]")
                .num_args(0..),
        )
        .args(own)
        .arg(
            Arg::new("json")
                .long("json")
                .help("Print JSON, for programs")
                .action(ArgAction::SetTrue),
        )
        .arg(color::argument())
}

/// Runs the command. Returns the exit status.
pub(crate) fn run(arguments: &ArgMatches) -> Result<u8, clap::Error> {
    let wrong = |why: String| command().error(ErrorKind::ValueValidation, why);
    let line = cli::from_matches(arguments).map_err(|why| wrong(why.to_owned()))?;
    let keys = arguments.get_many::<String>("key").unwrap_or_default();
    let keys: Vec<String> = keys.cloned().collect();
    let environment = std::env::vars_os().collect();
    let json = arguments.get_flag("json");
    explain::run(&line, &environment, &keys, json, color::asked(arguments)).map_err(wrong)
}
