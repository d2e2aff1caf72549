//! The command line of `trcctl replay`.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use trc::client::replay;

use crate::TEMPLATE;

/// Returns the command.
pub(crate) fn command() -> Command {
    Command::new("replay")
        .about("Decide a recorded run again, and print every line that trc has logged about it")
        .help_template(TEMPLATE)
        .before_help(
            "trc writes a record of its run if you start it with TRC_RECORD=FILE. The record has the events of\n\
             the run, and neither the output of units nor the values of variables.",
        )
        .override_usage("trcctl replay [OPTIONS] FILE")
        .after_help(
            "Examples:\n  \
               docker run -e TRC_RECORD=/rec/run.trc -v \"$PWD\":/rec IMAGE   Record a run\n  \
               trcctl replay run.trc                                      Replay it\n\n\
             Exit status:\n  \
               0   the engine decides the same again\n  \
               1   it decides something else; the output shows the first difference\n  \
               64  the command line is wrong, or FILE is not a record",
        )
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .help("The record of a run")
                .value_parser(value_parser!(PathBuf))
                .required(true),
        )
        .arg(
            Arg::new("json")
                .long("json")
                .help("Print JSON, for programs")
                .action(ArgAction::SetTrue),
        )
}

/// Runs the command. Returns the exit status.
pub(crate) fn run(arguments: &ArgMatches) -> Result<u8, clap::Error> {
    let file = arguments.get_one::<PathBuf>("file").expect("clap demands it");
    replay::run(file, arguments.get_flag("json"))
        .map_err(|why| command().error(ErrorKind::ValueValidation, why))
}
