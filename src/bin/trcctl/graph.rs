//! The command line of `trcctl graph`.

use clap::builder::PossibleValuesParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Command};
use trc::client::graph::{self, Format};
use trc::client::{check, cli};

use crate::{TEMPLATE, arguments, color};

/// Returns the command.
pub(crate) fn command() -> Command {
    let own = arguments().map(|argument| match argument.get_id().as_str() {
        "test" => {
            argument.long("tests").alias("test").help("Also show the tests, or only those named")
        }
        "test-list" | "test-strict" | "report" => argument.hide(true),
        _ => argument,
    });
    Command::new("graph")
        .about("Show what waits for what, as a tree or as a picture")
        .help_template(TEMPLATE)
        .before_help(
            "`trcctl graph` reads the same files and variables as trc, but starts nothing. In the tree,\n\
             each unit is below the last of the units that it waits for, and the others name it as well. The\n\
             order in which the units stop comes last.",
        )
        .override_usage("trcctl graph [OPTIONS] [--] [CMD…]")
        .after_help(
            "Without -w, DIR is the current directory if it has a trc.toml or a trc.d, otherwise /etc.\n\n\
             Examples:\n  \
               trcctl graph                           Show the units as a tree\n  \
               trcctl graph --tests                   Show the tests, too\n  \
               trcctl graph --format svg >graph.svg   Draw a picture, for a README\n  \
               trcctl graph --format dot | dot -Tpdf  Let Graphviz draw it\n\n\
             Exit status:\n  \
               0   the configuration is correct\n  \
               64  the command line is wrong\n  \
               78  the configuration has errors, or there is no configuration",
        )
        .args_override_self(true)
        .arg(
            Arg::new("format")
                .long("format")
                .value_name("FORMAT")
                .help("tree, svg, dot (Graphviz), mermaid or json [default: tree]")
                .hide_possible_values(true)
                .value_parser(PossibleValuesParser::new(Format::WORDS.map(|(word, _)| word))),
        )
        .arg(color::argument())
        .args(own)
}

/// Runs the command. Returns the exit status.
pub(crate) fn run(arguments: &ArgMatches) -> Result<u8, clap::Error> {
    let wrong = |why: String| command().error(ErrorKind::ValueValidation, why);
    let line = cli::from_matches(arguments).map_err(|why| wrong(why.to_owned()))?;
    let environment = std::env::vars_os().collect();
    if let Some(why) = line.without_run(&environment).or_else(|| check::no_command(&line)) {
        return Err(wrong(why));
    }
    let word = arguments.get_one::<String>("format").map(String::as_str);
    let format = Format::WORDS.into_iter().find(|(known, _)| Some(*known) == word);
    Ok(graph::run(
        &line,
        &environment,
        format.map_or_else(Format::default, |it| it.1),
        color::asked(arguments),
    ))
}
