//! The command line of `trcctl verdict`.

use std::ffi::OsString;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Arg, ArgMatches, Command, value_parser};
use trc::client::verdict;

use crate::TEMPLATE;

/// Returns the command.
pub(crate) fn command() -> Command {
    let words = verdict::WORDS.map(|(word, help)| PossibleValue::new(word).help(help));
    Command::new("verdict")
        .about("Report a test's result from within its own command")
        .help_template(TEMPLATE)
        .before_help(
            "Call `trcctl verdict` from the command of a test; trc sets TRC_VERDICT_FD for it. The verdict\n\
             replaces the check that the command exits with 0. In scripts you can also call the shell\n\
             function `verdict`.",
        )
        .override_usage("trcctl verdict pass|fail|skip [WHY…]")
        .after_help(
            "Examples:\n  \
               trcctl verdict pass\n  \
               trcctl verdict fail 'there is no index'; exit\n  \
               ping -c 1 example.org || { trcctl verdict skip no network; exit; }\n\n\
             Exit status:\n  \
               0   the verdict was delivered, whichever it is\n  \
               1   not called from the command of a test\n  \
               64  the command line is wrong",
        )
        .arg(
            Arg::new("verdict")
                .value_name("pass|fail|skip")
                .help("The verdict")
                .required(true)
                .value_parser(PossibleValuesParser::new(words)),
        )
        .arg(
            Arg::new("why")
                .value_name("WHY")
                .help("The reason, for the report")
                .num_args(0..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true)
                .value_parser(value_parser!(OsString)),
        )
}

/// Runs the command. Returns the exit status.
pub(crate) fn run(arguments: &ArgMatches) -> u8 {
    let word = arguments.get_one::<String>("verdict").expect("clap demands it");
    let why = arguments.get_many::<OsString>("why").unwrap_or_default();
    verdict::run(word, &why.cloned().collect::<Vec<_>>())
}
