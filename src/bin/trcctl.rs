//! trcctl: what people do with a container that trc runs.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use trc::client::{Stage, check, cli, test, verdict};
use trc::status;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    // What `trcctl test` starts itself as.
    if let Some(stage) = words.next().and_then(|word| Stage::named(word.to_str()?)) {
        return stage.run(&words.collect::<Vec<_>>()).into();
    }
    match run() {
        Ok(status) => status.into(),
        Err(error) => {
            // `--help` and `--version` come as errors too.
            let wrong = error.use_stderr();
            _ = error.print();
            if wrong { status::USAGE.into() } else { ExitCode::SUCCESS }
        }
    }
}

fn run() -> Result<u8, clap::Error> {
    let mut program = program();
    let matches = program.try_get_matches_from_mut(std::env::args_os())?;
    match matches.subcommand() {
        Some(("check", arguments)) => {
            let line = cli::from_matches(arguments)
                .map_err(|why| check_command().error(ErrorKind::ValueValidation, why))?;
            Ok(check::run(&line, &std::env::vars_os().collect()))
        }
        Some(("test", arguments)) => {
            let wrong = |why| test_command().error(ErrorKind::ValueValidation, why);
            Ok(test::run(&test_request(arguments).map_err(wrong)?))
        }
        Some(("verdict", arguments)) => {
            let word = arguments.get_one::<String>("verdict").expect("clap demands it");
            let why = arguments.get_many::<OsString>("why").unwrap_or_default();
            Ok(verdict::run(word, &why.cloned().collect::<Vec<_>>()))
        }
        _ => unreachable!("clap demands one of the commands above"),
    }
}

fn program() -> Command {
    Command::new("trcctl")
        .about("Check, test and look after containers that trc runs")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_version_flag(true)
        .arg(cli::version())
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(check_command())
        .subcommand(test_command())
        .subcommand(verdict_command())
}

/// Those of trc, with the directory that is read here.
fn arguments() -> impl Iterator<Item = Arg> {
    cli::arguments().into_iter().map(|argument| match argument.get_id().as_str() {
        "workdir" => argument.help("Where trc.toml and trc.d are [default: . or /etc]"),
        _ => argument,
    })
}

fn check_command() -> Command {
    Command::new("check")
        .about("Check the configuration")
        .override_usage("trcctl check [OPTIONS] [--] [CMD…]")
        .after_help(
            "Takes the command line of trc, reads the same files and variables, and starts\n\
             nothing. Exit status: 0 if all is right, 78 if not.\n\n\
             Where DIR is not given, it is the current directory if that has a trc.toml or a trc.d,\n\
             else /etc.\n\n\
             Examples:\n  \
               trcctl check                       trc.toml and trc.d/ of the current directory\n  \
               trcctl check -w /etc               those that trc reads in a container\n  \
               trcctl check -c async.web.user=www with one key set, as trc would have it",
        )
        .args_override_self(true)
        .args(arguments())
}

fn test_command() -> Command {
    // Those that trc needs for a test run and that say what is tested.
    let own = arguments().map(|argument| match argument.get_id().as_str() {
        "command" => argument.trailing_var_arg(false).last(true),
        "test-list" => argument.long("list").alias("test-list"),
        "test-strict" => argument.long("strict").alias("test-strict"),
        // A test is named by its name alone, and without configuration there is none.
        "test" | "bare" => argument.hide(true),
        _ => argument,
    });
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).help(help).action(ArgAction::SetTrue)
    };
    Command::new("test")
        .about("Run an image's tests here, without a container")
        .override_usage("trcctl test [OPTIONS] [NAME…] [-- CMD…]")
        .after_help(
            "Starts all units as in production, with trc as PID 1 of namespaces of its own, runs\n\
             the tests [test.NAME], or those that are named, and stops everything. It uses this\n\
             machine's files, ports and users: only processes and mounts are apart. Without root\n\
             a user namespace is made, in which only your own user exists.\n\n\
             Where DIR is not given, it is the current directory if that has a trc.toml or a trc.d,\n\
             else /etc.\n\
             Ctrl-C stops the run as it stops a container, with a report.\n\n\
             Exit status: that of trc: 0 if every test passed and the run was clean, 1 if not,\n\
             78 if the configuration is wrong.\n\n\
             Examples:\n  \
               trcctl test                    all tests of the current directory\n  \
               trcctl test web smtp           two of them\n  \
               trcctl test -v web             one of them, with trc's log and the units' output\n  \
               trcctl test --list             which there are\n  \
               trcctl test -w DIR -c async.web.env.PORT=8080 --report junit=FILE",
        )
        .args_override_self(true)
        .arg(
            Arg::new("name")
                .value_name("NAME")
                .help("A test to run, instead of all of them")
                .num_args(0..),
        )
        .args(own)
        .arg(flag("verbose", "Show trc's log as it comes").short('v'))
        .arg(flag("no-namespaces", "Run trc as a plain child, not as PID 1"))
        .arg(
            Arg::new("trc")
                .long("trc")
                .value_name("PATH")
                .help("The trc to run [default: the one beside trcctl, or in PATH]")
                .value_parser(value_parser!(PathBuf)),
        )
}

fn test_request(arguments: &ArgMatches) -> Result<test::Request, &'static str> {
    let line = cli::from_matches(arguments)?;
    if line.bare {
        return Err("without configuration there are no tests: --bare can't be given");
    }
    let names = arguments.get_many::<String>("name").unwrap_or_default();
    // `--test=a,b`, as one would tell trc.
    let names = names.chain(line.test.iter().filter(|names| !names.is_empty()));
    Ok(test::Request {
        names: names.cloned().collect(),
        program: arguments.get_one("trc").cloned(),
        namespaces: !arguments.get_flag("no-namespaces"),
        verbose: arguments.get_flag("verbose"),
        list: line.test_list,
        line,
    })
}

fn verdict_command() -> Command {
    let words = verdict::WORDS.map(|(word, help)| PossibleValue::new(word).help(help));
    Command::new("verdict")
        .about("Give a test's verdict from its command")
        .override_usage("trcctl verdict pass|fail|skip [WHY…]")
        .after_help(
            "For the command of a test, which trc runs with TRC_VERDICT_FD in its environment. What\n\
             is said here counts, and not how the command ends. Scripts have the same as a\n\
             function, `verdict`.\n\n\
             Exit status: 0 if trc was told, whatever the verdict; 1 outside of a test.\n\n\
             Examples:\n  \
               trcctl verdict pass\n  \
               trcctl verdict fail 'no index'; exit\n  \
               ping -c 1 example.org || { trcctl verdict skip no network; exit; }",
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
                .help("Why, in the rest of the line")
                .num_args(0..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true)
                .value_parser(value_parser!(OsString)),
        )
}
