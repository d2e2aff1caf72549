//! trcctl: checks and tests the configuration of trc without a container, and asks a running trc.

mod color;
mod completions;
mod graph;
mod live;
mod man;
mod schema;
mod serve;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::{
    OsStringValueParser, PossibleValue, PossibleValuesParser, StringValueParser, TypedValueParser,
};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use trc::client::{Stage, check, cli, explain, test, verdict};
use trc::status;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    // This is a stage of `trcctl test`, which starts itself again.
    let word = words.next();
    let word = word.as_deref().and_then(OsStr::to_str).unwrap_or_default();
    if let Some(stage) = Stage::named(word) {
        return stage.run(&words.collect::<Vec<_>>()).into();
    }
    if word == test::many::plan::HOLD {
        return test::many::hold(&words.collect::<Vec<_>>()).into();
    }
    completions::answer(program);
    match run() {
        Ok(status) => status.into(),
        Err(error) => {
            // `--help` and `--version` are returned as errors, too.
            let wrong = error.use_stderr();
            _ = error.print();
            if wrong { status::USAGE.into() } else { ExitCode::SUCCESS }
        }
    }
}

fn run() -> Result<u8, clap::Error> {
    let mut program = program();
    let matches = program.try_get_matches_from_mut(std::env::args_os()).map_err(habit)?;
    match matches.subcommand() {
        Some(("check", arguments)) => {
            let wrong = |why: String| check_command().error(ErrorKind::ValueValidation, why);
            let line = cli::from_matches(arguments).map_err(|why| wrong(why.to_owned()))?;
            let environment = std::env::vars_os().collect();
            match line.without_run(&environment).or_else(|| check::no_command(&line)) {
                Some(why) => Err(wrong(why)),
                None => check::run(&line, &environment, &check_options(arguments)).map_err(wrong),
            }
        }
        Some(("explain", arguments)) => {
            let wrong = |why: String| explain_command().error(ErrorKind::ValueValidation, why);
            let line = cli::from_matches(arguments).map_err(|why| wrong(why.to_owned()))?;
            let keys = arguments.get_many::<String>("key").unwrap_or_default();
            let keys: Vec<String> = keys.cloned().collect();
            let environment = std::env::vars_os().collect();
            explain::run(&line, &environment, &keys, arguments.get_flag("json")).map_err(wrong)
        }
        Some(("graph", arguments)) => graph::run(arguments),
        Some(("test", arguments)) => {
            let wrong = |why| test_command().error(ErrorKind::ValueValidation, why);
            Ok(test::run(&test_request(arguments).map_err(wrong)?))
        }
        Some(("verdict", arguments)) => {
            let word = arguments.get_one::<String>("verdict").expect("clap demands it");
            let why = arguments.get_many::<OsString>("why").unwrap_or_default();
            Ok(verdict::run(word, &why.cloned().collect::<Vec<_>>()))
        }
        Some(("serve", arguments)) => Ok(serve::run(arguments)),
        Some(("completions", arguments)) => Ok(completions::run(arguments)),
        Some(("schema", arguments)) => Ok(schema::run(arguments)),
        Some(("man", arguments)) => man::run(program, arguments),
        Some((name, arguments)) => {
            Ok(live::run(name, arguments).expect("clap demands one of the commands"))
        }
        None => unreachable!("clap demands a command"),
    }
}

/// Adds the tip for a word of another program.
fn habit(mut error: clap::Error) -> clap::Error {
    let word = [ContextKind::InvalidSubcommand, ContextKind::InvalidArg].into_iter();
    let word = word.filter_map(|kind| match error.get(kind) {
        Some(ContextValue::String(word)) => Some(word.as_str()),
        _ => None,
    });
    let tip = match word.collect::<Vec<_>>()[..] {
        ["ps" | "ls" | "list" | "units"] => "`trcctl status` shows what runs",
        ["htop" | "monitor"] => "`trcctl top` shows the units on a full screen",
        ["kill"] => "`trcctl signal` sends a signal to a unit, and `trcctl stop` stops it",
        ["log" | "tail"] => "`trcctl logs` shows the last output of units",
        ["up" | "run"] => "`trcctl start` starts a unit",
        ["sh" | "shell" | "attach" | "enter"] => "`trcctl exec UNIT -- sh` runs a shell as a unit",
        ["down"] => "`trcctl stop` stops a unit",
        ["show" | "get" | "config"] => "`trcctl explain` shows where each value comes from",
        ["validate" | "lint"] => "`trcctl check` reports every error in the configuration",
        ["tree" | "dot" | "plot" | "deps"] => "`trcctl graph` shows what waits for what",
        ["-i" | "-it"] => "`trcctl exec` always passes its standard input on: leave this out",
        ["--tail"] => "`trcctl logs -n 10` shows the last 10 lines",
        _ => return error,
    };
    error.remove(ContextKind::SuggestedSubcommand);
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    error
}

fn program() -> Command {
    let program = Command::new("trcctl")
        .about(
            "Check a trc configuration, run its tests without a container, and ask a running trc",
        )
        .after_help(
            "Examples:\n  \
               trcctl check      Report every error in trc.toml and trc.d/\n  \
               trcctl explain    Show where each value comes from\n  \
               trcctl graph      Show what waits for what\n  \
               trcctl test       Run all tests that these files declare\n  \
               trcctl test web   Run one test\n  \
               trcctl status     Show what runs, inside a container\n  \
               trcctl man logs   Print the manual page of a command\n\n\
             Run `trcctl COMMAND --help` for its options, more examples and its exit statuses.",
        )
        .version(env!("CARGO_PKG_VERSION"))
        .disable_version_flag(true)
        // Not `-v`, which means --verbose.
        .arg(cli::version())
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(check_command())
        .subcommand(explain_command())
        .subcommand(graph::command())
        .subcommand(test_command())
        .subcommand(verdict_command())
        .subcommands(live::commands())
        .subcommand(serve::command())
        .subcommand(schema::command())
        .subcommand(completions::command());
    man::with_command(program)
}

/// Returns the arguments of trc, with the default directory of trcctl in the help.
fn arguments() -> impl Iterator<Item = Arg> {
    cli::arguments().into_iter().map(|argument| match argument.get_id().as_str() {
        "workdir" => {
            argument.help("Where trc.toml and trc.d/ are, not where units run [default: . or /etc]")
        }
        _ => argument,
    })
}

/// clap's own template, with the description of a command below its summary.
const TEMPLATE: &str = "\
{about-with-newline}
{before-help}{usage-heading} {usage}

{all-args}{after-help}";

fn check_command() -> Command {
    // Like the rest of trc's command line, these are accepted, but they change nothing here.
    let own = arguments().map(|argument| match argument.get_id().as_str() {
        "test" => argument
            .help("Also report what is wrong only in a test run: of all tests, or of those named"),
        "test-list" | "test-strict" | "report" | "bare" => argument.hide(true),
        _ => argument,
    });
    Command::new("check")
        .about("Report every error in the configuration, or list the units that would run")
        .help_template(TEMPLATE)
        .before_help(
            "`trcctl check` reads the same files and variables as trc, but starts nothing. Put it in front of\n\
             any command line of trc to check that, too; the options that matter to the check are below.",
        )
        .override_usage("trcctl check [OPTIONS] [--] [CMD…]")
        .after_help(
            "Without -w, DIR is the current directory if it has a trc.toml or a trc.d, otherwise /etc.\n\n\
             Examples:\n  \
               trcctl check                         Check trc.toml and trc.d/ in the current directory\n  \
               trcctl check -w /etc                 Check the configuration of trc in a container\n  \
               trcctl check -c async.web.user=www   Check with one key overridden\n  \
               trcctl check --root / --strict       In a Dockerfile: check the image that is being built\n  \
               trcctl check --root DIR              Check an image that was unpacked into DIR\n\n\
             Exit status:\n  \
               0   the configuration is correct, and with --root the image has what it needs\n  \
               64  the command line is wrong\n  \
               78  there are errors or, with --strict, warnings; or there is no configuration",
        )
        .args_override_self(true)
        .args(own)
        .arg(
            Arg::new("root")
                .long("root")
                .value_name("DIR")
                .help("Also check that the image in DIR (or /) has the programs, users and files that units need")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            Arg::new("strict")
                .long("strict")
                .help("Treat warnings as errors")
                .action(ArgAction::SetTrue),
        )
        .arg(
            Arg::new("format")
                .long("format")
                .value_name("text|json|sarif|github")
                .hide_possible_values(true)
                .help("How to print errors and warnings [default: text]")
                .value_parser(PossibleValuesParser::new(["text", "json", "sarif", "github"])),
        )
}

fn check_options(arguments: &ArgMatches) -> check::Options {
    check::Options {
        root: arguments.get_one("root").cloned(),
        strict: arguments.get_flag("strict"),
        format: match arguments.get_one::<String>("format").map(String::as_str) {
            Some("json") => check::Format::Json,
            Some("sarif") => check::Format::Sarif,
            Some("github") => check::Format::Github,
            Some(_) | None => check::Format::Text,
        },
    }
}

fn explain_command() -> Command {
    let own = arguments().map(|argument| match argument.get_id().as_str() {
        "command" => argument.trailing_var_arg(false).last(true),
        "test" | "test-list" | "test-strict" | "report" | "bare" => argument.hide(true),
        _ => argument,
    });
    Command::new("explain")
        .about("Show the value of each key, where it comes from, and which values it has replaced")
        .help_template(TEMPLATE)
        .before_help(
            "`trcctl explain` reads the same files and variables as trc, and takes the same options. Without\n\
             KEY, it lists every key that is set. The values of variables are hidden.",
        )
        .override_usage("trcctl explain [OPTIONS] [KEY…] [-- CMD…]")
        .after_help(
            "Without -w, DIR is the current directory if it has a trc.toml or a trc.d, otherwise /etc.\n\n\
             Examples:\n  \
               trcctl explain                         List every key that is set\n  \
               trcctl explain web                     List the keys of a unit\n  \
               trcctl explain web.stop.timeout        Describe a key, even one that is not set\n  \
               trcctl explain -c async.web.user=www   Show what an override changes\n\n\
             Exit status:\n  \
               0   the configuration is correct\n  \
               64  the command line is wrong, or there is no such key\n  \
               78  the configuration has errors; the list shows the part that trc understands",
        )
        .args_override_self(true)
        .arg(
            Arg::new("key")
                .value_name("KEY")
                .help("A key, a table or a unit, such as web.user, log or async.web [default: all]")
                .num_args(0..),
        )
        .args(own)
        .arg(
            Arg::new("json")
                .long("json")
                .help("Print JSON, for programs")
                .action(ArgAction::SetTrue),
        )
}

fn test_command() -> Command {
    // The arguments that trc needs for a test run, and those that choose the tests.
    let own = arguments().map(|argument| match argument.get_id().as_str() {
        "command" => argument.trailing_var_arg(false).last(true),
        "test-list" => argument.long("list").alias("test-list"),
        "test-strict" => argument.long("strict").alias("test-strict"),
        // trcctl reads the events itself.
        "report" => argument.help("Also write a report to FILE"),
        // NAME chooses the tests, and without a configuration there are none.
        "test" | "bare" => argument.hide(true),
        _ => argument,
    });
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).help(help).action(ArgAction::SetTrue)
    };
    Command::new("test")
        .about("Run the declared tests, on this machine or in a container")
        .help_template(TEMPLATE)
        .before_help(
            "`trcctl test` starts all units as in production, with trc as PID 1 of its own namespaces,\n\
             runs the tests, and stops everything. The units use the files, the ports and the users of\n\
             this machine: only processes and mounts are isolated. If you are not root, the units run in a\n\
             user namespace, in which only your own user exists.\n\n\
             With --image the tests run in a container. If the image has no trc, `trcctl test` mounts a static\n\
             one, and the image's command becomes the unit async.app. CMD then replaces the image's CMD.",
        )
        .override_usage("trcctl test [OPTIONS] [NAME…] [-- CMD…]")
        .after_help(
            "Without -w, DIR is the current directory if it has a trc.toml or a trc.d, otherwise /etc.\n\
             Ctrl-C stops the run as `docker stop` does; you still get the report.\n\n\
             Examples:\n  \
               trcctl test            Run all tests of the current directory\n  \
               trcctl test web smtp   Run two tests\n  \
               trcctl test -v web     Run one test, and show the log and the output of the units\n  \
               trcctl test --list     List the tests\n  \
               trcctl test -w DIR -c async.web.env.PORT=8080 --report junit=FILE\n                         \
                                      Run the tests of DIR with one key overridden, and write a report\n  \
               trcctl test --image nginx --tests tests.toml --run-arg '-e PORT=8080'\n                         \
                                      Run the tests of a file in a container of an image without trc\n  \
               trcctl test --repeat 20 --jitter\n                         \
                                      Find tests that pass only sometimes, and limits that are too near\n  \
               trcctl test --image nginx --tests tests.toml --repeat 2 --same-container\n                         \
                                      Find out whether a container can be started a second time\n  \
               trcctl test --faults all\n                         \
                                      Find services that do not come back\n  \
               trcctl test --delay-each\n                         \
                                      Find services that lack an `after`\n\n\
             Exit status:\n  \
               0    every test passed and the run was clean; in a series, every run\n  \
               1    a test failed, or the run was not clean; in a series, at least one run, or Ctrl-C ended it\n  \
               64   the command line is wrong\n  \
               78   the configuration has errors, or a series has nothing to try\n  \
               125  the container engine has failed\n  \
               126  trc cannot be executed\n  \
               127  trc or the container engine does not exist",
        )
        .args_override_self(true)
        .arg(
            Arg::new("name")
                .value_name("NAME")
                .help("The tests to run [default: all]")
                .num_args(0..)
                .value_parser(StringValueParser::new().try_map(cli::names)),
        )
        .args(own)
        .arg(flag("verbose", "Show trc's log and the output of the units").short('v'))
        .arg(flag("coverage", "Also list the units, ports and restarts that no test is about"))
        .arg(flag("no-namespaces", "Run trc as an ordinary process, not as PID 1 of its own namespaces"))
        .arg(
            Arg::new("trc")
                .long("trc")
                .value_name("PATH")
                .help("The trc binary to run [default: the one next to trcctl, or in PATH]")
                .value_parser(value_parser!(PathBuf)),
        )
        .args(series_arguments())
        .args(image_arguments())
}

/// Returns the arguments of `trcctl test` that make it run the tests more than once.
fn series_arguments() -> [Arg; 5] {
    let about = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).help(help).help_heading("Series of runs")
    };
    let time = |argument: Arg, default: &'static str| {
        let argument = argument.value_name("TIME").num_args(0..=1).require_equals(true);
        argument.default_missing_value(default).value_parser(trc::client::live::time)
    };
    [
        about("repeat", "Run the tests N times; show the times, and what passes only sometimes")
            .value_name("N")
            .conflicts_with_all(["faults", "delay-each"])
            .value_parser(value_parser!(u32).range(1..=100_000)),
        time(
            about(
                "jitter",
                "With --repeat: start units up to TIME later, at random [default: 500ms]",
            ),
            "500ms",
        )
        .requires("repeat"),
        about("faults", "Kill and freeze each service in turn; show what does not come back")
            .value_name("all|kill|freeze")
            .hide_possible_values(true)
            .conflicts_with("delay-each")
            .value_parser(PossibleValuesParser::new(["all", "kill", "freeze"])),
        time(
            about(
                "delay-each",
                "Hold each service back in turn, to find a missing `after` [default: 5s]",
            ),
            "5s",
        ),
        about("json", "Print the results of a series as JSON").action(ArgAction::SetTrue),
    ]
}

/// Returns the series of runs that was asked for, if there is one.
fn series(arguments: &ArgMatches) -> Option<test::many::Series> {
    use test::many::Series;
    use test::many::plan::Faults;
    if let Some(times) = arguments.get_one("repeat") {
        return Some(Series::Repeat {
            times: *times,
            jitter: arguments.get_one("jitter").copied(),
        });
    }
    if let Some(faults) = arguments.get_one::<String>("faults") {
        return Some(Series::Faults(match faults.as_str() {
            "kill" => Faults::Kill,
            "freeze" => Faults::Freeze,
            _ => Faults::All,
        }));
    }
    arguments.get_one("delay-each").map(|time| Series::Delay(*time))
}

/// Returns the arguments of `trcctl test` that are about images.
fn image_arguments() -> [Arg; 5] {
    let heading = "Images";
    let about = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help).help_heading(heading)
    };
    [
        about("image", "IMAGE", "Run the tests in a container of this image, which needs no trc")
            .conflicts_with_all(["workdir", "no-namespaces"])
            .value_parser(OsStringValueParser::new()),
        about("tests", "FILE", "With --image: also use the tests and units in this file")
            .requires("image")
            .action(ArgAction::Append)
            .value_parser(value_parser!(PathBuf)),
        about("engine", "PATH", "With --image: the container engine [default: docker, or podman]")
            .requires("image")
            .value_parser(value_parser!(PathBuf)),
        about(
            "run-arg",
            "OPTION",
            "With --image: an option for `docker run`, such as '-e PORT=80'",
        )
        .requires("image")
        .action(ArgAction::Append)
        .allow_hyphen_values(true),
        Arg::new("same-container")
            .long("same-container")
            .help("With --image and --repeat: start one container again and again, as `docker restart` does")
            .help_heading(heading)
            .requires("image")
            .requires("repeat")
            .conflicts_with("jitter")
            .action(ArgAction::SetTrue),
    ]
}

fn test_request(arguments: &ArgMatches) -> Result<test::Request, String> {
    let line = cli::from_matches(arguments)?;
    if line.bare {
        return Err("--bare cannot be used here: without a configuration there are no tests".into());
    }
    if line.reports.iter().any(|report| report == "events=-") {
        return Err(
            "trcctl reads the events itself: use `trc --test --report events=-` to get them".into(),
        );
    }
    let image = arguments.get_one::<OsString>("image").map(|image| {
        let options: Vec<String> =
            arguments.get_many("run-arg").unwrap_or_default().cloned().collect();
        Ok::<_, String>(test::image::Asked {
            image: image.clone(),
            tests: arguments.get_many("tests").unwrap_or_default().cloned().collect(),
            engine: arguments.get_one("engine").cloned(),
            options: test::image::run_options(&options)?,
            same_container: arguments.get_flag("same-container"),
        })
    });
    let image = image.transpose()?;
    let (series, json) = (series(arguments), arguments.get_flag("json"));
    if json && series.is_none() {
        return Err(
            "--json is for --repeat, --faults and --delay-each: use --report json=FILE".into()
        );
    }
    if series.is_some() && !line.reports.is_empty() {
        return Err("--report is for a single run: use --json for the results of a series".into());
    }
    if series.is_some() && arguments.get_flag("coverage") {
        return Err(
            "--coverage is for a single run, not for --repeat, --faults or --delay-each".into()
        );
    }
    if series.is_some() && line.test_list {
        return Err("--list runs nothing, so there is no series of runs".into());
    }
    let names = arguments.get_many::<String>("name").unwrap_or_default();
    // `--test=a,b` works as in trc.
    let names = names.chain(line.test.iter().filter(|names| !names.is_empty()));
    Ok(test::Request {
        names: names.cloned().collect(),
        program: arguments.get_one("trc").cloned(),
        namespaces: !arguments.get_flag("no-namespaces"),
        verbose: arguments.get_flag("verbose"),
        shown: match (line.test_list, arguments.get_flag("coverage")) {
            (true, _) => test::Shown::Names,
            (false, true) => test::Shown::Coverage,
            (false, false) => test::Shown::Results,
        },
        image,
        series: series.map(|series| test::many::Wanted { series, json }),
        line,
    })
}

fn verdict_command() -> Command {
    let words = verdict::WORDS.map(|(word, help)| PossibleValue::new(word).help(help));
    Command::new("verdict")
        .about("Report a test's result from within its own command")
        .help_template(TEMPLATE)
        .before_help(
            "Call `trcctl verdict` from the command of a test; trc sets TRC_VERDICT_FD for it. The verdict\n\
             replaces the check that the command exits with 0. In scripts you can also call the shell\n\
             function `verdict`.",
        )
        .override_usage("trcctl verdict pass|fail|skip [WHY…]")
        .after_help(
            "Examples:\n  \
               trcctl verdict pass\n  \
               trcctl verdict fail 'there is no index'; exit\n  \
               ping -c 1 example.org || { trcctl verdict skip no network; exit; }\n\n\
             Exit status:\n  \
               0   the verdict was delivered, whichever it is\n  \
               1   not called from the command of a test\n  \
               64  the command line is wrong",
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
                .help("The reason, for the report")
                .num_args(0..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true)
                .value_parser(value_parser!(OsString)),
        )
}
