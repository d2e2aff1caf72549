//! The request of `trcctl test`, and the command line of the trc that carries it out.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{Extra, image, many::Wanted};
use crate::config::CommandLine;
use crate::ctl::here::here;

/// The request, as it was typed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// The part that is trc's own.
    pub line: CommandLine,
    /// The names of the tests; all tests if it is empty.
    pub names: Vec<String>,
    /// The path of another trc.
    pub program: Option<PathBuf>,
    /// Whether trc should be PID 1.
    pub namespaces: bool,
    /// Whether the log is shown as it comes.
    pub verbose: bool,
    /// The output at the end.
    pub shown: Shown,
    /// The series of runs, if there is more than one.
    pub series: Option<Wanted>,
    /// The image to test, if the tests run in a container.
    pub image: Option<image::Asked>,
}

/// The output of `trcctl test`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shown {
    /// The results of the tests.
    Results,
    /// The results, and what no test is about.
    Coverage,
    /// The names of the tests, none of which runs.
    Names,
}

impl Request {
    /// Returns the trc to run: the one that was named, the one beside this program, or one in
    /// `PATH`.
    ///
    /// # Errors
    /// Returns the advice to print if there is none.
    pub fn trc(&self) -> Result<PathBuf, String> {
        self.trcs().into_iter().next().ok_or_else(|| {
            "cannot find trc, neither next to trcctl nor in PATH: name it with --trc PATH"
                .to_owned()
        })
    }

    /// Returns each trc that could run, the one to prefer first.
    pub(super) fn trcs(&self) -> Vec<PathBuf> {
        if let Some(program) = &self.program {
            return vec![program.clone()];
        }
        let own = std::env::current_exe().ok();
        let beside = own.as_deref().and_then(Path::parent).map(Path::to_owned);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let dirs = beside.into_iter().chain(std::env::split_paths(&path));
        dirs.map(|dir| dir.join("trc")).filter(|program| executable(program)).collect()
    }

    /// Returns the command line as trc will read it.
    #[must_use]
    pub fn loaded_by_trc(&self) -> CommandLine {
        self.with_tests(here(&self.line))
    }

    /// Returns the command line with the tests that were asked for.
    pub(super) fn with_tests(&self, line: CommandLine) -> CommandLine {
        let list = self.shown == Shown::Names;
        let test = (!list).then(|| self.names.join(","));
        CommandLine { test, test_list: list, ..line }
    }

    /// Returns the command line of trc. trc writes events, unless the tests are only listed.
    #[must_use]
    pub fn arguments(&self, trc: PathBuf) -> Vec<OsString> {
        self.arguments_of(trc, &here(&self.line))
    }

    /// Returns the command line of trc for this line.
    pub(super) fn arguments_of(&self, trc: PathBuf, line: &CommandLine) -> Vec<OsString> {
        let mut out = vec![trc.into_os_string()];
        out.extend(self.options(line));
        out
    }

    /// Returns the request with the tests of one run of a series.
    pub(super) fn of_run(&self, extra: Extra<'_>) -> Self {
        let names = if extra.tests.is_empty() { &self.names } else { extra.tests };
        Self { names: names.to_vec(), ..self.clone() }
    }

    /// Returns the options of trc for this command line and these tests.
    pub(super) fn options(&self, line: &CommandLine) -> Vec<OsString> {
        let line = self.with_tests(line.clone());
        let mut out: Vec<OsString> = Vec::new();
        let mut option = |name: &str, value: &OsStr| out.extend([name.into(), value.to_owned()]);
        if let Some(dir) = &line.work_dir {
            option("-w", dir.as_os_str());
        }
        for value in &line.overrides {
            option("-c", value);
        }
        if let Some(wait) = &line.wait {
            option("--wait", wait.as_ref());
        }
        if let Some(level) = &line.log_level {
            option("--log-level", level.as_ref());
        }
        if let Some(only) = &line.only {
            option("--only", only.as_ref());
        }
        for command in &line.boot {
            option("-B", command);
        }
        for (stage, command) in &line.units {
            if let Some(letter) = stage.letter() {
                option(&format!("-{letter}"), command);
            }
        }
        if line.test_strict {
            out.push("--test-strict".into());
        }
        let mut option = |name: &str, value: &OsStr| out.extend([name.into(), value.to_owned()]);
        for report in &line.reports {
            option("--report", report);
        }
        if self.shown != Shown::Names {
            option("--report", "events=-".as_ref());
        }
        out.push(match line.test.as_deref() {
            None => "--test-list".into(),
            Some("") => "--test".into(),
            Some(names) => format!("--test={names}").into(),
        });
        if !line.trailing.is_empty() {
            out.push("--".into());
            out.extend(line.trailing.iter().cloned());
        }
        out
    }
}

fn executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Stage;

    fn request(line: CommandLine) -> Request {
        Request {
            line: CommandLine { work_dir: Some("dir".into()), ..line },
            names: Vec::new(),
            program: None,
            namespaces: true,
            verbose: false,
            shown: Shown::Results,
            image: None,
            series: None,
        }
    }

    fn typed(request: &Request) -> String {
        let arguments = request.arguments("trc".into());
        let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
        words.join("|")
    }

    #[test]
    fn what_trc_understands_is_handed_on() {
        let all = Request {
            names: vec!["web".into(), "test.smtp".into()],
            ..request(CommandLine {
                overrides: vec!["a.b=c".into(), "more.toml".into()],
                wait: Some("all".into()),
                boot: vec!["true".into()],
                units: vec![(Stage::Halt, "h".into()), (Stage::Async, "d".into())],
                reports: vec!["junit=j".into()],
                trailing: vec!["-x".into(), "y z".into()],
                ..CommandLine::default()
            })
        };
        assert_eq!(
            typed(&all),
            "trc|-w|dir|-c|a.b=c|-c|more.toml|--wait|all|-B|true|-H|h|-D|d|--report|junit=j|\
             --report|events=-|--test=web,test.smtp|--|-x|y z"
        );
    }

    #[test]
    fn without_names_all_tests_run() {
        let few = request(CommandLine::default());
        assert_eq!(typed(&few), "trc|-w|dir|--report|events=-|--test");
    }
}
