//! `--color`, which several commands have.

use clap::{Arg, ArgMatches};
use trc::client::live::Color;

/// Returns the argument.
pub(crate) fn argument() -> Arg {
    Arg::new("color")
        .long("color")
        .value_name("WHEN")
        .help("Print colors: auto (on a terminal), always or never [default: auto]")
        .hide_possible_values(true)
        .value_parser(["auto", "always", "never"])
}

/// Returns whether to print colours. Commands without the argument print them on a terminal.
pub(crate) fn asked(arguments: &ArgMatches) -> Color {
    let word = arguments.try_get_one::<String>("color").ok().flatten();
    let color = match word.map(String::as_str) {
        Some("always") => Color::Always,
        Some("never") => Color::Never,
        Some(_) | None => Color::Auto,
    };
    color.settled()
}
