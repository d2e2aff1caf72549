//! What scripts may rely on, with the real shells: bash, dash and busybox sh.
// Tests start processes themselves; src does so in run/ alone.
#![allow(clippy::disallowed_methods, unsafe_code)]

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use log::LevelFilter;
use trc::config::Stage;
use trc::shell::{Body, Job, Kind, Own, Shell, State, prepare};

type Environment = Vec<(OsString, OsString)>;

/// The shells that are here, by name; the first three must be.
fn shells() -> Vec<(&'static str, Shell)> {
    [("bash", &["bash"][..]), ("dash", &["dash"]), ("busybox", &["busybox", "sh", "-c"])]
        .into_iter()
        .map(|(name, words)| {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            let path = OsStr::new("/usr/local/bin:/usr/bin:/bin");
            (name, Shell::find(Some(&words), path).unwrap_or_else(|| panic!("no {name}")))
        })
        .collect()
}

fn bash() -> Shell {
    shells().remove(0).1
}

fn posix() -> Vec<(&'static str, Shell)> {
    shells().split_off(1)
}

fn job(stage: Stage, script: &str) -> Job<'_> {
    Job {
        stage,
        body: Body::Text(OsStr::new(script)),
        state: None,
        main_pid: 1,
        work_dir: Path::new("/etc"),
        self_name: "trc",
        wait_policy: "wait_any",
        xtrace: false,
        level: LevelFilter::Info,
        json: false,
        exit_status: None,
        args: &[],
        own: Own::default(),
        save: stage == Stage::Boot,
    }
}

fn given() -> Environment {
    [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("LC_ALL", "C.UTF-8"), ("HOME", "/")]
        .map(|(name, value)| (name.into(), value.into()))
        .to_vec()
}

/// What came of a script.
#[derive(Debug)]
struct Ran {
    status: i32,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    state: Result<Option<State>, String>,
}

impl Ran {
    fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    fn state(self) -> State {
        assert_eq!(self.status, 0, "{} {}", self.out(), self.err());
        assert_eq!(self.err(), "");
        self.state.unwrap().expect("no state was written")
    }
}

fn run_with(shell: &Shell, job: &Job, given: &Environment) -> Ran {
    let prepared = prepare(shell, job).unwrap();
    let words: Vec<OsString> =
        prepared.argv.iter().map(|w| OsStr::from_bytes(w.as_bytes()).to_owned()).collect();
    let mut env = given.clone();
    for (name, value) in &prepared.env {
        env.retain(|(known, _)| known != name);
        env.push((name.clone(), value.clone()));
    }
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).env_clear().envs(env.clone());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let files: Vec<(i32, i32)> =
        prepared.files.iter().map(|(fd, n)| (fd.as_raw_fd(), *n)).collect();
    // SAFETY: only async-signal-safe calls between fork and exec.
    unsafe {
        command.pre_exec(move || {
            for (from, to) in &files {
                let high = libc::fcntl(*from, libc::F_DUPFD_CLOEXEC, 100);
                if high < 0 || libc::dup2(high, *to) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
    let output = command.output().unwrap();
    let state = prepared.saved.as_ref().map_or(Ok(None), |saved| State::read(saved, &env));
    Ran {
        status: output.status.code().unwrap_or(-1),
        stdout: output.stdout,
        stderr: output.stderr,
        state,
    }
}

fn run(shell: &Shell, job: &Job) -> Ran {
    let given = job.state.map_or_else(given, |state| state.environment().to_vec());
    run_with(shell, job, &given)
}

/// Runs boot scripts one after the other, then an async one; what that printed.
fn boot_then(shell: &Shell, boots: &[&str], then: &str) -> String {
    let mut state = None;
    for boot in boots {
        let ran = run(shell, &Job { state: state.as_ref(), ..job(Stage::Boot, boot) });
        assert!(matches!(ran.state, Ok(Some(_))), "{shell:?} {boot:?}: {ran:?}");
        state = Some(ran.state());
    }
    let ran = run(shell, &Job { state: state.as_ref(), ..job(Stage::Async, then) });
    assert_eq!((ran.status, ran.err().as_str()), (0, ""), "{}", ran.out());
    ran.out()
}

/// One script after another, and what the second prints, in every shell.
fn carried(table: &[(&str, &str, &str)], shells: &[(&'static str, Shell)]) {
    for (name, shell) in shells {
        for (boot, then, expected) in table {
            let printed = boot_then(shell, &[boot, ":"], then);
            assert_eq!(printed, *expected, "{name}: {boot:?} then {then:?}");
        }
    }
}

#[test]
fn variables_exported_or_not_are_seen_later() {
    carried(
        &[
            ("x='a b'; export y=c", "echo \"$x,$y\"; sh -c 'echo $x,$y'", "a b,c\n,c\n"),
            ("HOME=/root", "sh -c 'echo $HOME'", "/root\n"),
            ("unset HOME", "echo ${HOME-none}", "none\n"),
            ("x=\"it's \\\"\\$x\\\" \\`a\\`\"", "printf %s \"$x\"", "it's \"$x\" `a`"),
            (
                "x='\n\na\n\n'; export y=\"$x\"",
                "printf '%s|%s' \"$x\" \"$y\"",
                "\n\na\n\n|\n\na\n\n",
            ),
            ("x=", "echo ${x-none}.", ".\n"),
            ("export x", "echo ${x-none}; x=1; sh -c 'echo $x'", "none\n1\n"),
            ("IFS=:; x=a:b", "for i in $x; do echo $i; done", "a\nb\n"),
            ("unset IFS", "echo ${IFS-none}", "none\n"),
            (
                "readonly r=1; export e=2; readonly e",
                "(r=2) 2>/dev/null || echo $r; sh -c 'echo $e'",
                "1\n2\n",
            ),
            ("export RC_MINE=1 TRC_MINE=2", "echo $RC_MINE$TRC_MINE", "12\n"),
            ("work_dir=/opt", "echo $work_dir", "/opt\n"),
        ],
        &shells(),
    );
}
