//! The command line of `trcctl schema`.

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Arg, ArgMatches, Command};
use trc::client::schema::{self, Root};

use crate::TEMPLATE;

/// Returns the command.
pub(crate) fn command() -> Command {
    let files = [
        PossibleValue::new("trc.toml").help("trc.toml, and any other *.toml in trc.d/"),
        PossibleValue::new("unit").help("STAGE.NAME.toml in trc.d/, which is one unit"),
        PossibleValue::new("test").help("test.NAME.toml in trc.d/, which is one test"),
    ];
    Command::new("schema")
        .about("Print a JSON Schema of trc.toml, for editors and validators")
        .help_template(TEMPLATE)
        .before_help(
            "With the schema, an editor completes keys, shows what they mean, and marks mistakes while you\n\
             type. It accepts everything that trc accepts, but `trcctl check` finds more mistakes.",
        )
        .override_usage("trcctl schema [trc.toml|unit|test]")
        .arg(
            Arg::new("file")
                .value_name("trc.toml|unit|test")
                .help("The kind of file [default: trc.toml]")
                .value_parser(PossibleValuesParser::new(files)),
        )
        .after_help(
            "For Even Better TOML and other editors that use taplo, begin a file with a line such as\n\
             `#:schema ./trc.schema.json`.\n\n\
             Examples:\n  \
               trcctl schema >trc.schema.json        For trc.toml\n  \
               trcctl schema unit >unit.schema.json  For trc.d/async.web.toml\n\n\
             Exit status:\n  \
               0   the schema is printed\n  \
               64  the command line is wrong",
        )
}

/// Runs the command. Returns the exit status.
pub(crate) fn run(arguments: &ArgMatches) -> u8 {
    let file = arguments.get_one::<String>("file").map(String::as_str);
    schema::run(match file {
        Some("unit") => Root::Unit,
        Some("test") => Root::Test,
        _ => Root::Config,
    })
}
