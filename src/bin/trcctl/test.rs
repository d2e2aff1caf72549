//! The command line of `trcctl test`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{
    OsStringValueParser, PossibleValuesParser, StringValueParser, TypedValueParser,
};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use trc::client::{cli, test};

use crate::{TEMPLATE, arguments};

/// Returns the command.
pub(crate) fn command() -> Command {
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

/// Runs the command. Returns the exit status.
pub(crate) fn run(arguments: &ArgMatches) -> Result<u8, clap::Error> {
    let wrong = |why| command().error(ErrorKind::ValueValidation, why);
    Ok(test::run(&request(arguments).map_err(wrong)?))
}

fn request(arguments: &ArgMatches) -> Result<test::Request, String> {
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
