//! What `trcctl test` is asked for, and the command line of trc that does it.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::config::CommandLine;
use crate::ctl::here::here;

/// What was typed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// What of it is trc's own.
    pub line: CommandLine,
    /// The tests, by name; all where none is named.
    pub names: Vec<String>,
    /// Another trc.
    pub program: Option<PathBuf>,
    /// Whether trc is to be PID 1.
    pub namespaces: bool,
    /// Whether the log is shown as it comes.
    pub verbose: bool,
    /// They are listed only.
    pub list: bool,
}

impl Request {
    /// The trc to run: the one that was named, the one beside this program, or one in `PATH`.
    ///
    /// # Errors
    /// Returns what to do where there is none, as text.
    pub fn trc(&self) -> Result<PathBuf, String> {
        if let Some(program) = &self.program {
            return Ok(program.clone());
        }
        let own = std::env::current_exe().ok();
        let beside = own.as_deref().and_then(Path::parent).map(Path::to_owned);
        let path = std::env::var_os("PATH").unwrap_or_default();
        beside
            .into_iter()
            .chain(std::env::split_paths(&path))
            .map(|dir| dir.join("trc"))
            .find(|program| executable(program))
            .ok_or_else(|| {
                "cannot find trc, neither next to trcctl nor in PATH: name it with --trc PATH"
                    .to_owned()
            })
    }

    /// What trc reads from its command line.
    #[must_use]
    pub fn loaded_by_trc(&self) -> CommandLine {
        CommandLine {
            test: (!self.list).then(|| self.names.join(",")),
            test_list: self.list,
            ..here(&self.line)
        }
    }

    /// The command line of trc, which tells what happens unless the tests are listed only.
    #[must_use]
    pub fn arguments(&self, trc: PathBuf) -> Vec<OsString> {
        let line = self.loaded_by_trc();
        let mut out = vec![trc.into_os_string()];
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
        if !self.list {
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
            list: false,
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
