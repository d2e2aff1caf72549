//! The command line of `trcctl man`.

use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Command};
use trc::client::{cli, man};

use crate::{TEMPLATE, completions};

/// Adds the command to a program, whose other commands it knows.
pub(crate) fn with_command(program: Command) -> Command {
    let own = program.get_subcommands().map(|command| command.get_name().to_owned());
    let pages: Vec<String> = ["trc".to_owned()].into_iter().chain(own).collect();
    let command = Command::new("man")
        .about("Print a manual page of trcctl, of one of its commands, or of trc")
        .help_template(TEMPLATE)
        .before_help("The page is in the language of man(7), and has the text of `--help`.")
        .override_usage("trcctl man [COMMAND]")
        .arg(
            Arg::new("command")
                .value_name("COMMAND")
                .help("A command of trcctl, or `trc` [default: trcctl itself]")
                .add(completions::words(pages)),
        )
        .after_help(
            "Examples:\n  \
               trcctl man logs | man -l -                       Read about `trcctl logs`\n  \
               trcctl man trc >/usr/local/share/man/man1/trc.1  Install the page of trc\n  \
               trcctl man >/usr/local/share/man/man1/trcctl.1   Install the page of trcctl\n\n\
             Exit status:\n  \
               0   the page is printed\n  \
               64  the command line is wrong, or there is no such command",
        );
    program.subcommand(command)
}

/// Runs the command. Returns the exit status.
///
/// # Errors
/// Returns an error if there is no command with this name.
pub(crate) fn run(mut program: Command, arguments: &ArgMatches) -> Result<u8, clap::Error> {
    let mut trc = cli::program();
    trc.build();
    program.build();
    let name = arguments.get_one::<String>("command").map(String::as_str);
    let page = match name {
        None => Some(&program),
        Some("trc") => Some(&trc),
        Some(name) => program.find_subcommand(name),
    };
    match page {
        Some(page) => Ok(man::run(page)),
        None => Err(program.error(
            ErrorKind::InvalidSubcommand,
            format!(
                "there is no command `{}`: `trcctl --help` lists all commands",
                name.unwrap_or_default().escape_debug()
            ),
        )),
    }
}
