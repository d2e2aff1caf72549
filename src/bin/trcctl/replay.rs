//! The command line of `trcctl replay`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use trc::client::replay::{self, Options};

use crate::{TEMPLATE, color, format};

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
               trcctl replay run.trc                                      Replay it\n  \
               trcctl replay run.trc --with async.db.restart.max=5        Show what would have come instead\n\n\
             Exit status:\n  \
               0   the engine decides the same again, or --with was given\n  \
               1   it decides differently; the output shows the first difference\n  \
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
            Arg::new("with")
                .long("with")
                .value_name("KEY=VALUE")
                .help("Give a key another value, and show what would have come if all units had behaved as they did")
                .value_parser(value_parser!(OsString))
                .action(ArgAction::Append),
        )
        .arg(format::argument())
        .arg(color::argument())
}

/// Runs the command. Returns the exit status.
pub(crate) fn run(arguments: &ArgMatches) -> Result<u8, clap::Error> {
    let file = arguments.get_one::<PathBuf>("file").expect("clap demands it");
    let options = Options {
        with: arguments.get_many("with").into_iter().flatten().cloned().collect(),
        json: format::is_json(arguments),
        color: color::asked(arguments),
    };
    replay::run(file, &options).map_err(|why| command().error(ErrorKind::ValueValidation, why))
}
