//! `--format`, which several commands have.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches};
use trc::client::check;

/// Returns the argument of a command that prints text or JSON.
pub(crate) fn argument() -> Arg {
    of("text|json", "How to print it [default: text]", &["text", "json"])
}

/// Returns whether to print JSON.
pub(crate) fn is_json(arguments: &ArgMatches) -> bool {
    arguments.get_one::<String>("format").is_some_and(|word| word == "json")
}

/// Returns the argument of a command that prints errors and warnings.
pub(crate) fn of_findings() -> Arg {
    let help = "How to print errors and warnings [default: text]";
    of("text|json|sarif|github", help, &check::Format::WORDS.map(|(word, _)| word))
}

/// Returns the format of errors and warnings.
pub(crate) fn findings(arguments: &ArgMatches) -> check::Format {
    check::Format::named(arguments.get_one::<String>("format").map(String::as_str))
}

fn of(value: &'static str, help: &'static str, words: &[&'static str]) -> Arg {
    Arg::new("format")
        .long("format")
        .value_name(value)
        .help(help)
        .hide_possible_values(true)
        .value_parser(PossibleValuesParser::new(words.iter().copied()))
}
