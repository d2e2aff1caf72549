//! The command line of `trcctl timeline`.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use trc::client::timeline::{self, Drawn, Format};

use crate::{TEMPLATE, color};

fn file(id: &'static str, name: &'static str, help: &'static str) -> Arg {
    Arg::new(id).value_name(name).help(help).value_parser(value_parser!(PathBuf))
}

/// Returns the command.
pub(crate) fn command() -> Command {
    Command::new("timeline")
        .about("Show the life of a run, and what it waited for")
        .help_template(TEMPLATE)
        .before_help(
            "`trcctl timeline` draws when each unit waited, started, was up, restarted and stopped, and finds\n\
             the critical paths: the units that the run waited for until it was ready, and until it had\n\
             stopped. Without FILE, it asks the trc that runs. FILE is the JSON report of a test run\n\
             (`trc --report json=FILE`, `trcctl test --report json=FILE`), the record of a run\n\
             (`TRC_RECORD=FILE`), or the JSON of this command.",
        )
        .override_usage(
            "trcctl timeline [OPTIONS] [FILE]\n       \
             trcctl timeline diff [--fail-over PERCENT] OLD NEW",
        )
        .after_help(
            "Examples:\n  \
               trcctl timeline                         Show the run of this container\n  \
               trcctl timeline report.json             Show a test run\n  \
               trcctl timeline --format svg -o run.svg  Draw a picture\n  \
               trcctl timeline diff old.json new.json --fail-over 20%\n                                          \
                                                         Compare two runs\n\n\
             Exit status:\n  \
               0   the timeline was drawn; with diff: nothing has become too slow\n  \
               1   with diff: something has become slower by more than PERCENT and 50 ms\n  \
               64  the command line is wrong, or a file cannot be read\n  \
               69  no trc listens on the socket\n  \
               77  you may not ask",
        )
        .args_conflicts_with_subcommands(true)
        .subcommand_negates_reqs(true)
        .disable_help_subcommand(true)
        .arg(file("file", "FILE", "The file to draw, or - for standard input"))
        .arg(
            Arg::new("format")
                .long("format")
                .value_name("FORMAT")
                .help("text, svg or json [default: text]")
                .hide_possible_values(true)
                .value_parser(PossibleValuesParser::new(Format::WORDS.map(|(word, _)| word))),
        )
        .arg(file("output", "FILE", "Write to this file").short('o').long("output"))
        .arg(
            Arg::new("whole")
                .long("whole")
                .help("Draw the whole run, also if it went on for long")
                .action(ArgAction::SetTrue),
        )
        .arg(
            file("socket", "PATH", "The control socket of trc [default: TRC_SOCKET, or /run/trc.sock]")
                .long("socket"),
        )
        .arg(color::argument())
        .subcommand(
            Command::new("diff")
                .about("Compare two runs")
                .help_template(TEMPLATE)
                .before_help(
                    "The table has the time until the run was ready, the time of its stop, and the time that\n\
                     each unit took from its own start until it was up.",
                )
                .override_usage("trcctl timeline diff [--fail-over PERCENT] OLD NEW")
                .after_help(
                    "Exit status:\n  \
                       0   nothing has become too slow\n  \
                       1   something has become slower by more than PERCENT and 50 ms\n  \
                       64  the command line is wrong, or a file cannot be read",
                )
                .arg(file("old", "OLD", "The run to compare with").required(true))
                .arg(file("new", "NEW", "The run to compare").required(true))
                .arg(
                    Arg::new("fail-over")
                        .long("fail-over")
                        .value_name("PERCENT")
                        .help("Exit with 1 if something is slower by more than this, such as 20%")
                        .value_parser(timeline::percentage),
                )
                .arg(color::argument()),
        )
}

/// Runs the command. Returns the exit status.
pub(crate) fn run(arguments: &ArgMatches) -> u8 {
    let path = |arguments: &'_ ArgMatches, name: &str| {
        arguments.get_one::<PathBuf>(name).expect("clap demands it").clone()
    };
    if let Some(("diff", arguments)) = arguments.subcommand() {
        let percent = arguments.get_one::<u64>("fail-over").copied();
        let (old, new) = (path(arguments, "old"), path(arguments, "new"));
        return timeline::compare(&old, &new, percent, color::asked(arguments));
    }
    let word = arguments.get_one::<String>("format").map(String::as_str);
    let format = Format::WORDS.into_iter().find(|(known, _)| Some(*known) == word);
    timeline::run(Drawn {
        file: arguments.get_one::<PathBuf>("file").map(PathBuf::as_path),
        socket: arguments.get_one::<PathBuf>("socket").map(PathBuf::as_path),
        format: format.map_or_else(Format::default, |it| it.1),
        whole: arguments.get_flag("whole"),
        output: arguments.get_one::<PathBuf>("output").map(PathBuf::as_path),
        color: color::asked(arguments),
    })
}
