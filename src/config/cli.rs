//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, value_parser};

use super::{Diagnostic, Origin, Stage, WaitPolicy, schema};

/// What was typed.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct CommandLine {
    /// `-w`.
    pub work_dir: Option<PathBuf>,
    /// `-c`, in order: FILE or KEY=VALUE.
    pub overrides: Vec<OsString>,
    /// `--wait`, one of the policies.
    pub wait: Option<String>,
    /// `--log-level`, one of the levels.
    pub log_level: Option<String>,
    /// `--bare`.
    pub bare: bool,
    /// `--test`, with the names after it.
    pub test: Option<String>,
    /// `--test-list`.
    pub test_list: bool,
    /// `--test-strict`.
    pub test_strict: bool,
    /// `--report`, in order: KIND=FILE.
    pub reports: Vec<OsString>,
    /// `-B`, in order.
    pub boot: Vec<OsString>,
    /// `-D`, `-F` and `-H`, in order.
    pub units: Vec<(Stage, OsString)>,
    /// The trailing command.
    pub trailing: Vec<OsString>,
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Invocation {
    /// To run.
    Run(CommandLine),
    /// To print this and end with 0: `--help`, `--version`.
    Print(String),
    /// Something that can't be understood: this goes to standard error, and the status
    /// is [`crate::status::USAGE`].
    Usage(String),
}

impl Stage {
    /// The letter of its flag, if it has one.
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
    /// What boot scripts see as `$@`, and may rewrite.
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

    /// Why this can't be run without any configuration.
    #[must_use]
    pub fn not_bare(&self) -> Option<&'static str> {
        if self.trailing.is_empty() {
            Some("there is no command to run: bare is for `trc --bare CMD…`")
        } else if !self.boot.is_empty() || !self.units.is_empty() {
            Some("bare runs a command alone: -B, -D, -F and -H can't be given with it")
        } else if self.test.is_some() || self.test_list || self.test_strict {
            Some("bare runs a command alone: there are no tests without configuration")
        } else {
            None
        }
    }
}

/// Where the rest of the command line comes from in the end, for messages.
const CHANGED: &str = "the command line that a boot script has set";

const HELP: &str = "\
Runs the units of DIR/trc.toml, DIR/trc.d/ and the command line as one container:
boot units one by one, async units in the background, sync units one by one in the
foreground, and, when all has stopped, halt units.

Examples:
  trc                                 runs what /etc/trc.toml and /etc/trc.d/ declare
  trc nginx -g 'daemon off;'          the same, with nginx in the foreground
  trc -D 'crond -f' -F 'make check'   two commands; the end of make stops crond
  trc -c async.web.enabled=false      without one unit
  trc -c log.level=debug -c site.toml with one setting and one more file
  trc --bare sh                       a shell, whatever the configuration says
  trc --test                          starts all of it, runs its tests, stops all of it
  trc --test=smtp,web --report junit=/report/junit.xml   two tests, and a report

Where settings come from, the later wins:
  DIR/trc.toml, DIR/trc.STAGE.NAME, DIR/trc.d/, $TRC_CONFIG and --config FILE,
  $TRC_… (TRC_WAIT=all, TRC_LOG__LEVEL=debug) and $RC_…, --config KEY=VALUE and
  flags, units given here. `trcctl check` reads them and reports what is wrong.

Exit status: that of what ended the run; 128 + N for the signal N; 126 and 127 for
a command that can't be executed or isn't there; 64 wrong usage, 70 a failure of trc
itself, 78 wrong configuration. With --test: 0 if every test passed and the run was
clean, else 1.";

/// The arguments of `trc`, and of those commands of `trcctl` that load as it would.
#[must_use]
pub fn arguments() -> Vec<Arg> {
    let commands = |name: &'static str, letter, help: &'static str| {
        Arg::new(name)
            .short(letter)
            .value_name("CMD")
            .help(help)
            .action(ArgAction::Append)
            // As getopts takes it.
            .allow_hyphen_values(true)
            .value_parser(value_parser!(OsString))
    };
    let policies = [WaitPolicy::Any, WaitPolicy::All, WaitPolicy::Err, WaitPolicy::Forever];
    let policies = policies.map(|policy| {
        let long = policy.trivialrc();
        PossibleValue::new(long.trim_start_matches("wait_")).alias(long)
    });
    vec![
        commands("boot", 'B', "Run a command before all else"),
        commands("async", 'D', "Run a command in the background"),
        commands("sync", 'F', "Run a command in the foreground"),
        commands("halt", 'H', "Run a command when everything has stopped"),
        Arg::new("workdir")
            .short('w')
            .long("workdir")
            .value_name("DIR")
            .help("Where trc.toml and trc.d are [default: /etc]")
            .value_parser(value_parser!(PathBuf)),
        Arg::new("config")
            .short('c')
            .long("config")
            .value_name("FILE|KEY=VALUE")
            .help("Read one more file, or set one key; a file with a = is ./FILE")
            .action(ArgAction::Append)
            .value_parser(value_parser!(OsString)),
        Arg::new("wait")
            .long("wait")
            .value_name("POLICY")
            .help("When the run ends by itself")
            .value_parser(PossibleValuesParser::new(policies)),
        Arg::new("log-level")
            .long("log-level")
            .value_name("LEVEL")
            .help("The least important messages to log")
            .value_parser(PossibleValuesParser::new(schema::LEVELS)),
        Arg::new("bare")
            .long("bare")
            .help("Read no configuration and run CMD alone")
            .action(ArgAction::SetTrue),
        Arg::new("test")
            .long("test")
            .value_name("NAME,…")
            .help("Run the image's tests, or these; the exit status is 0 only if all is well")
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value(""),
        Arg::new("test-list")
            .long("test-list")
            .help("List the tests and run nothing")
            .action(ArgAction::SetTrue),
        Arg::new("test-strict")
            .long("test-strict")
            .help("Let a skipped test and a warning fail the test run, too")
            .action(ArgAction::SetTrue),
        Arg::new("report")
            .long("report")
            .value_name("junit|json=FILE")
            .help("Write a report of the tests to a file, too; events=-: JSON lines instead of TAP")
            .action(ArgAction::Append)
            .value_parser(value_parser!(OsString)),
        Arg::new("command")
            .value_name("CMD")
            .help("A command to run in the foreground, with its arguments")
            .num_args(0..)
            .trailing_var_arg(true)
            .value_parser(value_parser!(OsString)),
    ]
}

fn program() -> clap::Command {
    clap::Command::new("trc")
        .about("A declarative init for containers")
        .override_usage("trc [OPTIONS] [--] [CMD…]")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_version_flag(true)
        .args_override_self(true)
        .after_help(HELP)
        .args(arguments())
        .arg(version())
}

/// `-v`, `-V` and `--version`.
#[must_use]
pub fn version() -> Arg {
    Arg::new("version")
        .short('v')
        .short_alias('V')
        .long("version")
        .help("Print the version")
        .action(ArgAction::Version)
}

/// Reads the command line, with the program's name as its first argument.
#[must_use]
pub fn parse(argv: Vec<OsString>) -> Invocation {
    match parse_line(argv) {
        Ok(line) => Invocation::Run(line),
        Err(error)
            if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) =>
        {
            Invocation::Print(error.to_string())
        }
        Err(error) => Invocation::Usage(error.to_string()),
    }
}

fn parse_line(argv: Vec<OsString>) -> Result<CommandLine, clap::Error> {
    // What most containers are started with needs no parser.
    let first = argv.get(1).map(|first| first.as_encoded_bytes());
    if first.is_none_or(|first| !first.is_empty() && !first.starts_with(b"-")) {
        return Ok(CommandLine {
            trailing: argv.into_iter().skip(1).collect(),
            ..Default::default()
        });
    }
    let mut program = program();
    let matches = program.try_get_matches_from_mut(argv)?;
    from_matches(&matches).map_err(|why| program.error(ErrorKind::ValueValidation, why))
}

/// What was typed, from arguments that [`arguments`] describes.
///
/// # Errors
/// What makes no sense in it.
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
        Err("--config wants a FILE or KEY=VALUE")
    } else if commands.any(|command| command.is_empty()) {
        Err("a command is empty")
    } else if line.trailing.first().is_some_and(|word| word.is_empty()) {
        Err("the name of the command is empty")
    } else if let Some(why) = line.not_bare().filter(|_| line.bare) {
        Err(why)
    } else {
        Ok(line)
    }
}

/// Reads the rest of the command line as a boot script has left it; the settings that
/// it can't change are those of `line`.
///
/// # Errors
/// What is wrong with it.
pub fn parse_rest(rest: Vec<OsString>, line: &CommandLine) -> Result<CommandLine, Diagnostic> {
    let error = |flag: &str, message: String| Diagnostic::error(Origin::Flag(flag.into()), message);
    let argv: Vec<OsString> = std::iter::once("trc".into()).chain(rest).collect();
    let new = parse_line(argv).map_err(|why| match why.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            error(CHANGED, "--help and --version can't be asked for here".to_owned())
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
        ("--bare", new.bare),
        (
            "--test",
            new.test.is_some() || new.test_list || new.test_strict || !new.reports.is_empty(),
        ),
    ];
    if let Some((flag, _)) = late.iter().find(|(_, given)| *given) {
        let message = format!("{flag} comes too late in {CHANGED}: boot is over");
        return Err(error(flag, message));
    }
    Ok(CommandLine {
        work_dir: line.work_dir.clone(),
        overrides: line.overrides.clone(),
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
