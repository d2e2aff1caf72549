//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{
    OsStringValueParser, PossibleValue, PossibleValuesParser, StringValueParser, TypedValueParser,
};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, value_parser};

use super::leaf::LEVELS;
use super::{Diagnostic, Environment, Origin, Stage, WaitPolicy, testing};

/// A parsed command line.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct CommandLine {
    /// The directory of `-w`.
    pub work_dir: Option<PathBuf>,
    /// The arguments of `-c`, in order: FILE or KEY=VALUE.
    pub overrides: Vec<OsString>,
    /// The wait policy of `--wait`.
    pub wait: Option<String>,
    /// The log level of `--log-level`.
    pub log_level: Option<String>,
    /// The names after `--only`.
    pub only: Option<String>,
    /// Whether `--bare` is given.
    pub bare: bool,
    /// The names after `--test`.
    pub test: Option<String>,
    /// Whether `--test-list` is given.
    pub test_list: bool,
    /// Whether `--test-strict` is given.
    pub test_strict: bool,
    /// The arguments of `--report`, in order: KIND=FILE.
    pub reports: Vec<OsString>,
    /// The commands of `-B`, in order.
    pub boot: Vec<OsString>,
    /// The commands of `-D`, `-F` and `-H`, in order.
    pub units: Vec<(Stage, OsString)>,
    /// The trailing command.
    pub trailing: Vec<OsString>,
}

/// The action that a command line asks for.
#[derive(Debug)]
pub enum Invocation {
    /// Run the units.
    Run(Box<CommandLine>),
    /// Print this text and exit with 0: `--help`, `--version`.
    Print(String),
    /// The command line is wrong: print this text to standard error, and exit with
    /// [`crate::status::USAGE`].
    Usage(String),
}

impl Stage {
    /// Returns the letter of the stage's flag, if it has one.
    #[must_use]
    pub fn letter(self) -> Option<char> {
        match self {
            Self::Boot => Some('B'),
            Self::Async => Some('D'),
            Self::Sync => Some('F'),
            Self::Test => None,
            Self::Halt => Some('H'),
        }
    }
}

impl CommandLine {
    /// Returns the rest of the command line, which boot scripts see as `$@` and can rewrite.
    #[must_use]
    pub fn rest(&self) -> Vec<OsString> {
        let mut rest = Vec::new();
        for (stage, command) in &self.units {
            if let Some(letter) = stage.letter() {
                rest.push(format!("-{letter}").into());
                rest.push(command.clone());
            }
        }
        if self.trailing.first().is_some_and(|word| word.as_encoded_bytes().starts_with(b"-")) {
            rest.push("--".into());
        }
        rest.extend(self.trailing.iter().cloned());
        rest
    }

    /// Returns the reason why this makes no sense, if there is a flag that is for test runs only and
    /// nothing asks for a test run.
    #[must_use]
    pub fn without_run(&self, environment: &Environment) -> Option<String> {
        let flags = [("--report", !self.reports.is_empty()), ("--test-strict", self.test_strict)];
        let (flag, _) = flags.into_iter().find(|(_, given)| *given)?;
        let is_on = testing::is_on(self, environment);
        (!is_on).then(|| format!("{flag} needs a test run: add --test or set TRC_TEST=1"))
    }

    /// Returns the reason why this cannot run without a configuration, if there is one.
    #[must_use]
    pub fn not_bare(&self) -> Option<&'static str> {
        if self.trailing.is_empty() {
            Some("--bare needs a command to run: `trc --bare CMD…`")
        } else if !self.boot.is_empty() || !self.units.is_empty() {
            Some("--bare cannot be used with -B, -D, -F or -H: it runs only CMD")
        } else if self.test.is_some() || self.test_list || self.test_strict {
            Some("--bare cannot be used with tests: without a configuration there are none")
        } else if self.only.is_some() {
            Some("--bare cannot be used with --only: without a configuration there is only CMD")
        } else {
            None
        }
    }
}

/// The origin of the rest of the command line in messages, once a boot script has changed it.
const CHANGED: &str = "the command line that a boot script has set";

const ABOUT: &str = "\
trc is a declarative init (PID 1) for containers. It runs the units that are declared in
DIR/trc.toml, in DIR/trc.d/ and on the command line: the boot units first, one at a time; then
the async units in the background and the sync units in the foreground; and the halt units
when everything else has stopped.";

const HELP: &str = "\
Examples:
  trc                                   Run the units of /etc/trc.toml and /etc/trc.d/
  trc nginx -g 'daemon off;'            Also run nginx, in the foreground
  trc -D 'crond -f' -F 'make check'     Run crond until make exits
  trc -c async.web.enabled=false        Leave out one unit
  trc -c log.level=debug -c site.toml   Set one key, and load another file
  trc --bare sh                         Run a shell, whatever the configuration says
  trc --health                          Tell whether the container that runs can do its work,
                                        for `HEALTHCHECK` in a Dockerfile
  trc --test                            Start the units, run all tests, stop the units
  trc --test=smtp,web --report junit=/report/junit.xml
                                        Run two tests, and write a report

Settings, in increasing order of precedence:
  1. DIR/trc.toml, DIR/trc.STAGE.NAME and DIR/trc.d/
  2. the files in $TRC_CONFIG, then each --config FILE
  3. variables: RC_…, then TRC_…, such as TRC_WAIT=all and TRC_LOG__LEVEL=debug
  4. --config KEY=VALUE, then --wait and --log-level
`trcctl check` takes the same command line and reports every error in the configuration.

Exit status:
  the exit status of the unit that ended the run, or 128 + N if signal N stopped the run;
  143 if a service exited with 0; halt units and [exit] can change it
  64   the command line is wrong
  70   an internal error of trc
  78   the configuration is wrong
  126  a command cannot be executed
  127  a command does not exist
  With --test: 0 if every test passed and the run was clean, otherwise 1.
  With --health: 0 if the container can do its work, otherwise 1; 69 if no trc listens on the socket.";

/// The headings of the options in `--help`.
const UNITS: &str = "Units";
const CONFIGURATION: &str = "Configuration";
const TESTS: &str = "Tests";

/// Returns the arguments of `trc`, and of those commands of `trcctl` that load the same
/// configuration.
#[must_use]
pub fn arguments() -> Vec<Arg> {
    let commands = |name: &'static str, letter, help: &'static str| {
        Arg::new(name)
            .short(letter)
            .value_name("CMD")
            .help(help)
            .help_heading(UNITS)
            .action(ArgAction::Append)
            // getopts accepts a value that begins with `-`, too.
            .allow_hyphen_values(true)
            .value_parser(value_parser!(OsString))
    };
    let policies = [WaitPolicy::Any, WaitPolicy::All, WaitPolicy::Err, WaitPolicy::Forever];
    let policies = policies.map(|policy| {
        let long = policy.trivialrc();
        PossibleValue::new(long.trim_start_matches("wait_")).alias(long)
    });
    vec![
        commands("boot", 'B', "Run a command in a shell, before all other units"),
        commands("async", 'D', "Run a command in a shell, as a background unit"),
        commands("sync", 'F', "Run a command in a shell, as a foreground unit"),
        commands("halt", 'H', "Run a command in a shell, when everything else has stopped"),
        Arg::new("workdir")
            .short('w')
            .long("workdir")
            .value_name("DIR")
            .help("Where trc.toml and trc.d/ are, not where units run [default: /etc]")
            .help_heading(CONFIGURATION)
            .value_parser(value_parser!(PathBuf)),
        Arg::new("config")
            .short('c')
            .long("config")
            .value_name("FILE|KEY=VALUE")
            .help("Load another file (./FILE if its name contains =), or set one key")
            .help_heading(CONFIGURATION)
            .action(ArgAction::Append)
            .value_parser(value_parser!(OsString)),
        Arg::new("wait")
            .long("wait")
            .value_name("POLICY")
            .help("When the run ends: any, all, err (at the first failure) or forever")
            .help_heading(CONFIGURATION)
            .hide_possible_values(true)
            .value_parser(PossibleValuesParser::new(policies)),
        Arg::new("log-level")
            .long("log-level")
            .value_name("LEVEL")
            .help("The log level: off, error, warn, info, debug or trace")
            .help_heading(CONFIGURATION)
            .hide_possible_values(true)
            .value_parser(PossibleValuesParser::new(LEVELS)),
        Arg::new("only")
            .long("only")
            .value_name("UNIT,…")
            .help("Run only these units and what they stand on, with all boot and halt units")
            .help_heading(CONFIGURATION)
            .value_parser(StringValueParser::new().try_map(units_named)),
        Arg::new("bare")
            .long("bare")
            .help("Run only CMD; ignore all configuration files and variables")
            .help_heading(CONFIGURATION)
            .action(ArgAction::SetTrue),
        Arg::new("test")
            .long("test")
            .value_name("NAME,…")
            .help("Run all tests, or only those named, and then stop the units")
            .help_heading(TESTS)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("")
            .value_parser(StringValueParser::new().try_map(names)),
        Arg::new("test-list")
            .long("test-list")
            .help("List the tests, and run nothing")
            .help_heading(TESTS)
            .action(ArgAction::SetTrue),
        Arg::new("test-strict")
            .long("test-strict")
            .help("Also fail if a test is skipped or a warning is logged")
            .help_heading(TESTS)
            .action(ArgAction::SetTrue),
        Arg::new("report")
            .long("report")
            .value_name("junit=FILE|json=FILE")
            .help("Also write a report to FILE; events=- prints JSON lines instead of TAP")
            .help_heading(TESTS)
            .action(ArgAction::Append)
            .value_parser(OsStringValueParser::new().try_map(report)),
        Arg::new("command")
            .value_name("CMD")
            .help("The command to run in the foreground, with its arguments")
            .num_args(0..)
            .trailing_var_arg(true)
            .value_parser(value_parser!(OsString)),
    ]
}

/// Checks the names of tests.
///
/// # Errors
/// Returns the problem with them.
pub fn names(names: String) -> Result<String, &'static str> {
    if testing::names_nothing(&names) { Err("this names no test") } else { Ok(names) }
}

/// Checks the value of `--only`.
fn units_named(names: String) -> Result<String, &'static str> {
    let is_empty = names.split(',').all(|name| name.trim().is_empty());
    if is_empty { Err("this names no unit") } else { Ok(names) }
}

/// Checks the value of `--report`.
fn report(report: OsString) -> Result<OsString, &'static str> {
    testing::asked(&report).map(|_| report)
}

/// Returns the command line of `trc`.
#[must_use]
pub fn program() -> clap::Command {
    clap::Command::new("trc")
        .about(ABOUT)
        .override_usage("trc [OPTIONS] [--] [CMD…]")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_version_flag(true)
        .args_override_self(true)
        .after_help(HELP)
        .args(arguments())
        .arg(
            Arg::new("health")
                .long("health")
                .value_name("UNIT")
                .help("Ask the trc that runs whether all units, or these, can do their work")
                .num_args(0..),
        )
        // TrivialRC's flag.
        .arg(version().short_alias('v'))
}

/// Returns the flags `-V` and `--version`.
#[must_use]
pub fn version() -> Arg {
    Arg::new("version")
        .short('V')
        .long("version")
        .help("Print the version")
        .action(ArgAction::Version)
}

/// Returns the reason why a trailing command cannot be one: it is a file with settings, or `test`.
fn settings(line: &CommandLine) -> Option<String> {
    if !line.bare && line.trailing == ["test"] {
        return Some(
            "`test` alone always fails: to run the tests, write `trc --test` or `trcctl test`"
                .to_owned(),
        );
    }
    let path = std::path::Path::new(line.trailing.first()?);
    (!line.bare && path.extension()? == "toml").then(|| {
        let path = path.display();
        format!("{path} is a file with settings, not a command: write -c {path}, or -w with its directory")
    })
}

/// Reads the command line, whose first argument is the program's name.
#[must_use]
pub fn parse(argv: Vec<OsString>, environment: &Environment) -> Invocation {
    let line = parse_line(argv).and_then(|line| {
        match line.without_run(environment).or_else(|| settings(&line)) {
            Some(why) => Err(program().error(ErrorKind::MissingRequiredArgument, why)),
            None => Ok(line),
        }
    });
    match line {
        Ok(line) => Invocation::Run(Box::new(line)),
        Err(error)
            if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) =>
        {
            Invocation::Print(error.to_string())
        }
        Err(error) => Invocation::Usage(error.to_string()),
    }
}

fn parse_line(argv: Vec<OsString>) -> Result<CommandLine, clap::Error> {
    // The command lines of most containers need no parser.
    let first = argv.get(1).map(|first| first.as_encoded_bytes());
    if first.is_none_or(|first| !first.is_empty() && !first.starts_with(b"-")) {
        return Ok(CommandLine {
            trailing: argv.into_iter().skip(1).collect(),
            ..Default::default()
        });
    }
    let mut program = program();
    let matches = program.try_get_matches_from_mut(argv).map_err(of_tini)?;
    // Alone, it never comes here: a container is asked without reading its configuration.
    if matches.contains_id("health") {
        let why = "--health must be the first argument: write `trc --health [UNIT…]`";
        return Err(program.error(ErrorKind::ValueValidation, why));
    }
    from_matches(&matches).map_err(|why| program.error(ErrorKind::ValueValidation, why))
}

/// Adds the tip for a flag of tini.
fn of_tini(mut error: clap::Error) -> clap::Error {
    let tip = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(flag)) => match flag.as_str() {
            "-g" => "to signal a process group, write stop.to = \"group\" in the table of the unit",
            "-s" => "leave it out: trc becomes the parent of orphans by itself",
            "-p" => "write pdeathsig = \"SIGTERM\" in the table of the unit",
            "-e" => "to replace the exit status 143 by 0, write -c exit.143=0",
            _ => return error,
        },
        _ => return error,
    };
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    error
}

/// Returns the command line from the arguments that [`arguments`] describes.
///
/// # Errors
/// Returns the reason why the arguments cannot be used together.
pub fn from_matches(matches: &ArgMatches) -> Result<CommandLine, &'static str> {
    let all = |name: &str| matches.get_many::<OsString>(name).unwrap_or_default().cloned();
    let mut units: Vec<(usize, Stage, OsString)> = Vec::new();
    for stage in [Stage::Async, Stage::Sync, Stage::Halt] {
        let places = matches.indices_of(stage.name()).unwrap_or_default();
        units.extend(places.zip(all(stage.name())).map(|(at, command)| (at, stage, command)));
    }
    units.sort_by_key(|(at, ..)| *at);
    let line = CommandLine {
        work_dir: matches.get_one("workdir").cloned(),
        overrides: all("config").collect(),
        wait: matches.get_one("wait").cloned(),
        log_level: matches.get_one("log-level").cloned(),
        only: matches.get_one("only").cloned(),
        bare: matches.get_flag("bare"),
        test: matches.get_one("test").cloned(),
        test_list: matches.get_flag("test-list"),
        test_strict: matches.get_flag("test-strict"),
        reports: matches.get_many("report").unwrap_or_default().cloned().collect(),
        boot: all("boot").collect(),
        units: units.into_iter().map(|(_, stage, command)| (stage, command)).collect(),
        trailing: all("command").collect(),
    };
    let mut commands = line.boot.iter().chain(line.units.iter().map(|(_, command)| command));
    if line.overrides.iter().any(|argument| argument.is_empty()) {
        Err("--config needs a FILE or KEY=VALUE")
    } else if commands.any(|command| command.is_empty()) {
        Err("the command of -B, -D, -F or -H is empty")
    } else if line.trailing.first().is_some_and(|word| word.is_empty()) {
        Err("the name of the command is empty")
    } else if let Some(why) = line.not_bare().filter(|_| line.bare) {
        Err(why)
    } else {
        Ok(line)
    }
}

/// Reads the rest of the command line as a boot script has left it. The settings that the script
/// cannot change come from `line`.
///
/// # Errors
/// Returns the problem with it.
pub fn parse_rest(rest: Vec<OsString>, line: &CommandLine) -> Result<CommandLine, Diagnostic> {
    let error = |flag: &str, message: String| Diagnostic::error(Origin::Flag(flag.into()), message);
    let argv: Vec<OsString> = std::iter::once("trc".into()).chain(rest).collect();
    let new = parse_line(argv).map_err(|why| match why.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            error(CHANGED, "--help and --version cannot be used here".to_owned())
        }
        _ => {
            let text = why.to_string();
            let first = text.lines().next().unwrap_or_default();
            error(CHANGED, first.strip_prefix("error: ").unwrap_or(first).to_owned())
        }
    })?;
    let late = [
        ("-B", !new.boot.is_empty()),
        ("-w", new.work_dir.is_some()),
        ("-c", !new.overrides.is_empty()),
        ("--only", new.only.is_some()),
        ("--bare", new.bare),
        (
            "--test",
            new.test.is_some() || new.test_list || new.test_strict || !new.reports.is_empty(),
        ),
    ];
    if let Some((flag, _)) = late.iter().find(|(_, given)| *given) {
        let message = format!("{flag} has no effect in {CHANGED}: the boot units have already run");
        return Err(error(flag, message));
    }
    Ok(CommandLine {
        work_dir: line.work_dir.clone(),
        overrides: line.overrides.clone(),
        only: line.only.clone(),
        bare: line.bare,
        test: line.test.clone(),
        test_list: line.test_list,
        test_strict: line.test_strict,
        reports: line.reports.clone(),
        boot: line.boot.clone(),
        wait: new.wait.or_else(|| line.wait.clone()),
        log_level: new.log_level.or_else(|| line.log_level.clone()),
        units: new.units,
        trailing: new.trailing,
    })
}
