//! The command line of `trcctl simulate`.

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use trc::client::simulate::{self, Options, Supposition};
use trc::client::{check, cli, live};

use crate::{TEMPLATE, arguments, color, format};

/// Reads a supposition.
type Reader = fn(&str) -> Result<Supposition, String>;

/// The options that suppose something, each with its value, what it says, and its reader.
const SUPPOSITIONS: [(&str, &str, &str, Reader); 9] = [
    (
        "ends",
        "UNIT:STATUS@TIME",
        "The unit's process exits with STATUS, or is killed by a signal such as SIGKILL, after TIME; \
         repeat it for the next process, and add a + for all later ones",
        Supposition::ends,
    ),
    (
        "not-started",
        "UNIT",
        "The command of the unit is not there, so it cannot be started",
        Supposition::not_started,
    ),
    ("ready", "UNIT@TIME", "The unit is ready after TIME [default: at once]", Supposition::ready),
    ("never-ready", "UNIT", "The unit is never ready", Supposition::never_ready),
    (
        "unhealthy",
        "UNIT@TIME",
        "The unit's first process becomes unhealthy after TIME",
        Supposition::unhealthy,
    ),
    (
        "stop-takes",
        "UNIT:TIME",
        "The unit exits with 0, TIME after its stop signal",
        Supposition::stop_takes,
    ),
    ("ignores-stop", "UNIT", "The unit ignores its stop signal", Supposition::ignores_stop),
    (
        "due",
        "UNIT@TIME",
        "The unit is due by its schedule, TIME after trc has started",
        Supposition::due,
    ),
    (
        "signal",
        "SIGNAL@TIME",
        "trc gets a signal from outside, such as TERM, TIME after it has started",
        Supposition::signal,
    ),
];

/// Returns the command.
pub(crate) fn command() -> Command {
    let own = arguments().map(|argument| match argument.get_id().as_str() {
        "test" => argument.help("Also simulate the tests, or only those named, which pass"),
        "test-list" | "test-strict" | "report" => argument.hide(true),
        _ => argument,
    });
    let supposed = SUPPOSITIONS.map(|(name, value, help, reader)| {
        Arg::new(name)
            .long(name)
            .value_name(value)
            .help(help)
            .action(ArgAction::Append)
            .value_parser(reader)
    });
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).help(help).action(ArgAction::SetTrue)
    };
    Command::new("simulate")
        .about("Show what trc would do if units exited, were never ready or ignored their stop signal")
        .help_template(TEMPLATE)
        .before_help(
            "`trcctl simulate` reads the same files and variables as trc, but starts nothing: trc's own engine\n\
             decides what happens, in virtual time, and the log of that run comes out, with its exit status.\n\n\
             Without options, every unit behaves as it should: it is ready at once, a service runs until it is\n\
             asked to stop and then dies of the signal, and everything else exits with 0 at once.",
        )
        .override_usage("trcctl simulate [OPTIONS] [--] [CMD…]")
        .after_help(
            "UNIT is a name such as db or async.db, and TIME such as 10s, 200ms or 1m30s. The times of a unit count\n\
             from when its command was executed. Without -w, DIR is the current directory if it has a trc.toml\n\
             or a trc.d, otherwise /etc.\n\n\
             Examples:\n  \
               trcctl simulate                             Let everything start, and go on\n  \
               trcctl simulate --signal TERM@20s           Stop the run, as `docker stop` does\n  \
               trcctl simulate --ends db:SIGKILL@10s       Kill a unit\n  \
               trcctl simulate --ends db:1@10s+            Let each process of it fail\n  \
               trcctl simulate --never-ready web           Let a unit never be ready\n  \
               trcctl simulate --all-single-failures       Try every failure of every unit\n  \
               trcctl simulate --ends db:1@5s --expect 1   In CI: fail unless trc exits with 1\n\n\
             Exit status:\n  \
               0   the run was simulated\n  \
               1   the run does not exit with the status that --expect names\n  \
               64  the command line is wrong\n  \
               78  the configuration has errors, or there is no configuration",
        )
        .args_override_self(true)
        .args(supposed)
        .arg(
            Arg::new("for")
                .long("for")
                .value_name("TIME")
                .help("The longest virtual time [default: 1h; with --all-single-failures: 10m]")
                .value_parser(live::time),
        )
        .arg(flag(
            "all-single-failures",
            "Print a table of what the container does after each failure of each unit",
        ))
        .arg(
            Arg::new("expect")
                .long("expect")
                .value_name("STATUS")
                .help("Exit with 1 unless the run exits with this status")
                .value_parser(value_parser!(u8)),
        )
        .arg(
            Arg::new("chance")
                .long("chance")
                .value_name("NUMBER")
                .help("Let the delays of restarts, which trc leaves to chance, come out differently")
                .value_parser(value_parser!(u64)),
        )
        .arg(format::argument())
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
    let options = options(arguments);
    if options.all && (options.expect.is_some() || !options.suppositions.is_empty()) {
        let why =
            "--all-single-failures chooses what happens itself, and has no single exit status";
        return Err(wrong(why.to_owned()));
    }
    simulate::run(&line, &environment, &options).map_err(wrong)
}

fn options(arguments: &ArgMatches) -> Options {
    let of = |name: &str| arguments.get_many::<Supposition>(name).into_iter().flatten().cloned();
    Options {
        suppositions: SUPPOSITIONS.iter().flat_map(|(name, ..)| of(name)).collect(),
        until: arguments.get_one("for").copied(),
        all: arguments.get_flag("all-single-failures"),
        json: format::is_json(arguments),
        expect: arguments.get_one("expect").copied(),
        chance: arguments.get_one("chance").copied().unwrap_or(0),
        color: color::asked(arguments),
    }
}
