//! Tests of everything that scripts can rely on, with the real shells: bash, dash and busybox sh.
// Tests start processes themselves. All other code does so in run/ only.
#![allow(clippy::disallowed_methods, unsafe_code)]

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::config::Stage;
use crate::shell::{
    Body, Errors, Job, Kind, Lines, Own, Prepared, Shell, State, prepare, prepare_without_proc,
};
use log::LevelFilter;

type Environment = Vec<(OsString, OsString)>;

/// The shells to try, by name. If `CI` is set, all of them must be installed, and otherwise bash
/// must.
fn shells() -> Vec<(&'static str, Shell)> {
    [("bash", &["bash"][..]), ("dash", &["dash"]), ("busybox", &["busybox", "sh", "-c"])]
        .into_iter()
        .filter_map(|(name, words)| {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            let path = OsStr::new("/usr/local/bin:/usr/bin:/bin");
            let shell = Shell::find(Some(&words), path);
            let needed = name == "bash" || std::env::var_os("CI").is_some();
            assert!(shell.is_some() || !needed, "no {name}");
            Some((name, shell?))
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
        errors: Errors::TrivialRc,
        body: Body::Text(OsStr::new(script)),
        state: None,
        main_pid: 1,
        work_dir: Path::new("/etc"),
        self_name: "trc",
        wait_policy: "wait_any",
        xtrace: false,
        level: LevelFilter::Info,
        lines: Lines::Stamped,
        exit_status: None,
        args: &[],
        own: Own::default(),
        waits: false,
        save: stage == Stage::Boot,
    }
}

fn given() -> Environment {
    [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("LC_ALL", "C.UTF-8"), ("HOME", "/")]
        .map(|(name, value)| (name.into(), value.into()))
        .to_vec()
}

/// The result of a script.
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
    start(&prepare(shell, job).unwrap(), given)
}

fn start(prepared: &Prepared, given: &Environment) -> Ran {
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
    let mut high = [-1; 3];
    // SAFETY: only async-signal-safe calls between fork and exec.
    unsafe {
        command.pre_exec(move || {
            let check = |result| {
                if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(result) }
            };
            // Move them all away first: one may have a number that another one needs.
            for (index, (from, _)) in files.iter().enumerate() {
                high[index] = check(libc::fcntl(*from, libc::F_DUPFD_CLOEXEC, 100))?;
            }
            // The script must not get the descriptors that the tests inherited.
            for fd in 3..=9 {
                libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
            }
            for (index, (_, to)) in files.iter().enumerate() {
                check(libc::dup2(high[index], *to))?;
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

/// Runs one script after another in every shell, and checks what the second one prints.
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

#[test]
fn the_directory_the_umask_and_the_limits_are_seen_later() {
    carried(
        &[
            ("cd /usr/lib", "pwd; echo $PWD", "/usr/lib\n/usr/lib\n"),
            ("cd /usr; cd lib", "cd - >/dev/null; pwd", "/usr\n"),
            ("umask 027", "umask", "0027\n"),
            ("ulimit -S -n 1000", "ulimit -S -n", "1000\n"),
            ("ulimit -n 1000", "ulimit -S -n; ulimit -H -n", "1000\n1000\n"),
            ("ulimit -c 0", "ulimit -S -c; ulimit -H -c", "0\n0\n"),
        ],
        &shells(),
    );
}

#[test]
fn options_are_seen_later() {
    carried(
        &[
            ("set -u", "(echo $nothing) 2>/dev/null || echo unset", "unset\n"),
            ("set -f; set -u; set +u", "echo /et[c]; case $- in *u*) echo u;; esac", "/et[c]\n"),
            ("set -a", "x=1; sh -c 'echo $x$__trc_body'", "1\n"),
            ("set -o noglob", "echo /et[c]", "/et[c]\n"),
        ],
        &shells(),
    );
    carried(
        &[
            ("set -o pipefail", "false | true || echo failed", "failed\n"),
            (
                "shopt -s extglob nullglob",
                "case abab in +(ab)) echo yes;; esac; echo /no*such",
                "yes\n\n",
            ),
            (
                "shopt -u sourcepath; set -E",
                "shopt -q sourcepath || echo off; trap 'echo E' ERR; f() { false; return 0; }; f",
                "off\nE\n",
            ),
            ("shopt -s extglob; f() { [[ $1 == @(a|b) ]] && echo yes; }", "f a", "yes\n"),
        ],
        &shells()[..1],
    );
    carried(
        &[("set -o pipefail", "false | true || echo failed", "failed\n")],
        shells().get(2..).unwrap_or_default(),
    );
}

#[test]
fn each_stage_has_its_own_errexit() {
    carried(
        &[("set +e", "case $- in *e*) echo e;; esac; trap true ERR; false; echo on", "on\n")],
        &shells()[..1],
    );
    carried(&[("set +e", "case $- in *e*) echo e;; esac", "e\n")], &posix());
}

#[test]
fn positional_parameters_may_be_rewritten() {
    for (name, shell) in shells() {
        let args = ["-F".into(), "it's a \"b\"".into(), "".into(), "\n".into()];
        let boot =
            Job { args: &args, ..job(Stage::Boot, "echo $#; set -- \"$@\" -D 'x\n'; shift") };
        let ran = run(&shell, &boot);
        assert_eq!(ran.out(), "4\n", "{name}");
        let state = ran.state();
        assert_eq!(state.args(), ["it's a \"b\"", "", "\n", "-D", "x\n"], "{name}");
        let next =
            Job { state: Some(&state), args: &args, ..job(Stage::Sync, "printf '%s|' \"$@\"") };
        assert_eq!(run(&shell, &next).out(), "it's a \"b\"||\n|-D|x\n|", "{name}");
    }
}

#[test]
fn arrays_attributes_and_functions_are_seen_later_in_bash() {
    carried(
        &[
            (
                "a=(1 'b c' $'d\\ne' \"it's)\" ''); a[9]=x",
                "declare -p a | head -c 11; printf '<%s>' \"${a[@]}\" \"${!a[*]}\"",
                "declare -a <1><b c><d\ne><it's)><><x><0 1 2 3 4 9>",
            ),
            (
                "declare -A m=([\"k ']\\\"\"]='v )' [$'\\001']=$'\\xff')",
                "k=\"k ']\\\"\"; printf '%s|' \"${m[$k]}\"; [[ ${m[$'\\001']} = $'\\xff' ]] && echo same",
                "v )|same\n",
            ),
            ("declare -A m=(); a=()", "declare -p m a", "declare -A m=()\ndeclare -a a=()\n"),
            ("declare -a a; declare -i i", "declare -p a i", "declare -a a\ndeclare -i i\n"),
            (
                "declare -i n=2+3; declare -xi e=7; declare -l l=ABC; declare -u u=abc",
                "n+=1; e+=1; l+=D; u+=d; echo $n $e $l $u; sh -c 'echo $e'",
                "6 8 abcd ABCD\n8\n",
            ),
            (
                "t=x; declare -n r=t; declare -n dangling=nope; declare -n empty",
                "echo $r; r=y; echo $t; dangling=z; echo $nope",
                "x\ny\nz\n",
            ),
            (
                "declare -ar a=(1 2); declare -rx e=3",
                "declare -p a e",
                "declare -ar a=([0]=\"1\" [1]=\"2\")\ndeclare -rx e=\"3\"\n",
            ),
            (
                "f() { local x=\"$1\"; cat <<E\n$x}\nE\n} 2>&1\nfunction g-h { (echo gh); }; export -f g-h",
                "f a; g-h; bash -c g-h",
                "a}\ngh\ngh\n",
            ),
            ("log() { echo mine \"$@\"; }; cd() { echo no; }", "log x; cd", "mine x\nno\n"),
            ("shopt -s expand_aliases; alias hi='echo hello'", "hi", "hello\n"),
            ("f() { :; }; unset -f say", "unset -f f; say x", "x\n"),
            ("declare -g x=1; declare y=2; typeset z=3", "echo $x$y$z", "123\n"),
        ],
        &shells()[..1],
    );
}

#[test]
fn any_bytes_survive_in_any_locale() {
    let every: Vec<u8> = (1..=255).collect();
    let mut odd: Vec<u8> = Vec::new();
    for lead in [0x01, 0x5c, 0x7f, 0x81, 0x88, 0xc3, 0xe2, 0xf0, 0xff] {
        for follow in [0x01, 0x22, 0x24, 0x27, 0x28, 0x29, 0x5c, 0x60, 0x7f, 0x81, 0x88, 0xff, 0x0a]
        {
            odd.extend([lead, follow]);
        }
    }
    for value in [every, odd] {
        for locale in ["C", "C.UTF-8"] {
            for (name, shell) in shells() {
                let mut env = given();
                env[1].1 = locale.into();
                env.push(("value".into(), OsString::from_vec(value.clone())));
                env.push(("my.var".into(), OsString::from_vec(value.clone())));
                let boot = run_with(
                    &shell,
                    &job(
                        Stage::Boot,
                        "plain=$value; set -- \"$value\"; unset value; export value=$plain",
                    ),
                    &env,
                );
                let state = boot.state();
                let again = Job { state: Some(&state), ..job(Stage::Boot, ":") };
                let state = run_with(&shell, &again, &state.environment().to_vec()).state();
                assert_eq!(state.args()[0].as_bytes(), value, "{name} {locale}");
                for variable in ["value", "my.var"] {
                    let found = state.environment().iter().find(|(n, _)| n == variable).unwrap();
                    assert_eq!(found.1.as_bytes(), value, "{name} {locale} {variable}");
                }
                let then = Job { state: Some(&state), ..job(Stage::Async, "printf %s \"$plain\"") };
                assert_eq!(run(&shell, &then).stdout, value, "{name} {locale}");
            }
            let mut env = given();
            env[1].1 = locale.into();
            env.push(("value".into(), OsString::from_vec(value.clone())));
            let boot =
                job(Stage::Boot, "a=(\"$value\" \"$value\"); declare -A m=([\"$value\"]=$value)");
            let state = run_with(&bash(), &boot, &env).state();
            let then = "[[ ${a[1]} = \"$value\" ]] && printf %s \"${!m[@]}\" \"${m[@]}\"";
            let ran = run(&bash(), &Job { state: Some(&state), ..job(Stage::Async, then) });
            assert_eq!(ran.stdout, [value.clone(), value.clone()].concat(), "array {locale}");
        }
    }
}

#[test]
fn a_megabyte_is_carried() {
    for (name, shell) in shells() {
        let big = "x=0123456789abcde\"; x=$x$x$x$x; x=$x$x$x$x; x=$x$x$x$x; x=$x$x$x$x; x=$x$x$x$x; x=$x$x$x$x; x=$x$x$x$x; x=$x$x$x$x";
        let boot = format!("{}; export y=$x", big.replace("e\"", "e\\'"));
        let state = run(&shell, &job(Stage::Boot, &boot)).state();
        assert_eq!(state.oversize(), ["y"], "{name}");
        assert!(state.environment().iter().all(|(n, _)| n != "y"), "{name}");
        let then = Job { state: Some(&state), ..job(Stage::Async, "echo ${#x} ${#y}; export -p") };
        let out = run(&shell, &then).out();
        assert!(out.starts_with("1048576 1048576\n"), "{name} {}", &out[..20]);
    }
}

#[test]
fn the_environment_is_complete_and_only_changed_where_it_was_changed() {
    for (name, shell) in shells() {
        let mut env = given();
        for (name, value) in [
            ("my.var", "1"),
            ("1st", "2"),
            ("UID", "7"),
            ("SHLVL", "5"),
            ("PWD", "/somewhere"),
            ("gone", "x"),
            ("hidden", "x"),
            ("changed", "x"),
            ("TRC_UNIT", "boot.x"),
        ] {
            env.push((name.into(), value.into()));
        }
        let script =
            "unset gone; h=$hidden; unset hidden; hidden=$h; changed=y; export new=z; cd /usr";
        let state = run_with(&shell, &job(Stage::Boot, script), &env).state();
        let mut left: Vec<String> = state
            .environment()
            .iter()
            .map(|(n, v)| format!("{}={}", n.display(), v.display()))
            .collect();
        left.sort();
        assert_eq!(
            left,
            [
                "1st=2",
                "HOME=/",
                "LC_ALL=C.UTF-8",
                "PATH=/usr/local/bin:/usr/bin:/bin",
                "PWD=/somewhere",
                "SHLVL=5",
                "TRC_UNIT=boot.x",
                "UID=7",
                "changed=y",
                "my.var=1",
                "new=z",
            ],
            "{name}"
        );
    }
}

#[test]
fn an_exported_function_of_the_environment_stays_one() {
    let mut env = given();
    env.push(("BASH_FUNC_hi%%".into(), "() {  echo \"hi $1\"\n}".into()));
    env.push(("BASH_FUNC_bye%%".into(), "() {  echo bye\n}".into()));
    let state = run_with(&bash(), &job(Stage::Boot, "unset -f bye; hi boot"), &env).state();
    let names: Vec<_> = state.environment().iter().map(|(n, _)| n.to_str().unwrap()).collect();
    assert!(names.contains(&"BASH_FUNC_hi%%") && !names.contains(&"BASH_FUNC_bye%%"), "{names:?}");
    let then = Job { state: Some(&state), ..job(Stage::Async, "hi a; bash -c 'hi b'") };
    assert_eq!(run(&bash(), &then).out(), "hi a\nhi b\n");
    for (name, shell) in posix() {
        let state = run_with(&shell, &job(Stage::Boot, ":"), &env).state();
        assert!(state.environment().iter().any(|(n, _)| n == "BASH_FUNC_hi%%"), "{name}");
    }
}

#[test]
fn what_trc_sets_is_no_part_of_the_state_until_it_is_changed() {
    for (name, shell) in shells() {
        let state = run(&shell, &job(Stage::Boot, "export RC_WAIT_POLICY=wait_all")).state();
        let names: Vec<_> = state.environment().iter().map(|(n, _)| n.to_str().unwrap()).collect();
        assert_eq!(names, ["PATH", "LC_ALL", "HOME", "RC_WAIT_POLICY"], "{name}");
        assert_eq!(state.environment()[3].1, "wait_all", "{name}");
    }
}

#[test]
fn exit_and_return_end_one_boot_script_only() {
    carried(
        &[
            ("x=1; set -- a; exit 0; x=2", "echo $x $1", "1 a\n"),
            ("x=1; set -- a; return 0; x=2", "echo $x $1", "1 a\n"),
            ("f() { x=1; exit; }; f; x=2", "echo $x", "1\n"),
            ("x=1; (exit 3) || :; (exit 0)", "echo $x", "1\n"),
        ],
        &shells(),
    );
}

#[test]
fn a_failing_boot_script_has_its_status_and_no_state() {
    for (name, shell) in shells() {
        for (script, status) in [
            ("false; echo no", 1),
            ("f() { (exit 3); echo no; }; f", 3),
            ("exit 4", 4),
            ("return 5", 5),
            ("trap 'echo bye' EXIT; (exit 6)", 6),
            ("kill -9 $$", -1),
            ("exec true", 0),
        ] {
            let ran = run(&shell, &job(Stage::Boot, script));
            assert_eq!(ran.status, status, "{name} {script}");
            assert_eq!(ran.state, Ok(None), "{name} {script}");
            assert_eq!(
                (ran.out().contains("no"), ran.err().as_str()),
                (false, ""),
                "{name} {script}"
            );
        }
    }
}

#[test]
fn an_exit_trap_of_a_boot_script_runs_and_the_state_is_kept() {
    for (name, shell) in shells() {
        for (script, out, x) in [
            ("x=1; trap 'echo bye $? $x' EXIT", "bye 0 1\n", "1"),
            ("trap -- 'echo bye' 0; x=1; exit 0", "bye\n", "1"),
            ("f() { trap 'echo bye; exit' EXIT TERM; }; f; x=1", "bye\n", "1"),
            ("trap 'echo bye' EXIT; trap - EXIT; x=1", "", "1"),
            ("trap 'echo bye' EXIT; trap 0; x=1", "", "1"),
            ("trap '' EXIT; x=1", "", "1"),
            ("x=1; (trap 'echo sub' EXIT; x=2)", "sub\n", "1"),
            (
                "x=1; trap 'echo got' USR1; kill -USR1 $$; trap - USR1; trap >/dev/null",
                "got\n",
                "1",
            ),
            ("set -u; trap 'echo bye' EXIT; x=1", "bye\n", "1"),
        ] {
            let ran = run(&shell, &job(Stage::Boot, script));
            assert_eq!(ran.out(), out, "{name} {script}");
            let state = ran.state();
            let then = Job { state: Some(&state), ..job(Stage::Async, "echo $x") };
            assert_eq!(run(&shell, &then).out(), format!("{x}\n"), "{name} {script}");
        }
        let ran = run(&shell, &job(Stage::Boot, "trap 'echo bye $?' EXIT; (exit 3)"));
        assert_eq!((ran.status, ran.out().as_str()), (3, "bye 3\n"), "{name}");
    }
}

#[test]
fn a_child_left_behind_by_boot_delays_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for (name, shell) in shells() {
        // It ends when the FIFO gets a writer, which is after the state has been read.
        let script = format!("(read x <'{0}') >/dev/null 2>&1 & x=1", fifo.display());
        let state = run(&shell, &job(Stage::Boot, &script)).state();
        fs::write(&fifo, "go\n").unwrap();
        let then = Job { state: Some(&state), ..job(Stage::Async, "echo $x") };
        assert_eq!(run(&shell, &then).out(), "1\n", "{name}");
    }
}

#[test]
fn async_and_sync_scripts_are_the_body_of_a_function() {
    for (name, shell) in shells() {
        for stage in [Stage::Async, Stage::Sync] {
            let ran = run(&shell, &job(stage, "local x=1; echo $x; return 3; echo no"));
            assert_eq!(
                (ran.status, ran.out().as_str(), ran.err().as_str()),
                (3, "1\n", ""),
                "{name}"
            );
        }
    }
}

#[test]
fn a_failing_command_ends_an_async_script_with_its_status() {
    for (name, shell) in shells() {
        for stage in [Stage::Async, Stage::Sync, Stage::Halt] {
            let ran = run(&shell, &job(stage, "echo a; (exit 3); echo b"));
            assert_eq!(
                (ran.status, ran.out().as_str(), ran.err().as_str()),
                (3, "a\n", ""),
                "{name} {stage}"
            );
        }
    }
}

#[test]
fn the_err_trap_may_be_replaced_and_is_not_inherited_by_functions() {
    for (script, status, out) in [
        ("trap true ERR; false; echo on", 0, "on\n"),
        ("f() { false; echo on; }; f", 0, "on\n"),
        ("f() { false; }; f; echo no", 1, ""),
        ("trap 'echo trapped; exit 9' ERR; false", 9, "trapped\n"),
    ] {
        let ran = run(&bash(), &job(Stage::Async, script));
        assert_eq!(
            (ran.status, ran.out().as_str(), ran.err().as_str()),
            (status, out, ""),
            "{script}"
        );
    }
}

#[test]
fn a_script_ends_with_the_status_of_its_last_command() {
    for (name, shell) in shells() {
        for stage in [Stage::Boot, Stage::Async, Stage::Sync, Stage::Halt] {
            for (script, status) in [
                ("exit 7", 7),
                ("! true", 1),
                ("", 0),
                ("# nothing", 0),
                ("(exit 4) || :", 0),
                ("exec sh -c 'exit 5'", 5),
            ] {
                let ran = run(&shell, &job(stage, script));
                assert_eq!(
                    (ran.status, ran.err().as_str()),
                    (status, ""),
                    "{name} {stage} {script}"
                );
            }
        }
    }
}

#[test]
fn a_syntax_error_fails_the_script() {
    for (name, shell) in shells() {
        for stage in [Stage::Boot, Stage::Async, Stage::Sync, Stage::Halt] {
            for script in ["echo a\nif", "echo a\nreturn 0 ) (", "'"] {
                let ran = run(&shell, &job(stage, script));
                assert!(
                    ran.status > 0 && !ran.stderr.is_empty(),
                    "{name} {stage} {script} {ran:?}"
                );
            }
        }
    }
}

#[test]
fn words_are_run_as_they_are_and_one_word_is_a_text() {
    for (name, shell) in shells() {
        for (words, status, out) in [
            (&["exit", "7"][..], 7, ""),
            (&["echo a; exit 3"], 3, "a\n"),
            (&["echo", "a  b", "$HOME", "'", ""], 0, "a  b $HOME ' \n"),
            (&["say", "x"], 0, "x\n"),
        ] {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            let ran = run(&shell, &Job { body: Body::Words(&words), ..job(Stage::Sync, "") });
            assert_eq!((ran.status, ran.out().as_str()), (status, out), "{name} {words:?}");
        }
    }
}

#[test]
fn a_file_is_sourced_whatever_its_name() {
    let dir = tempfile::tempdir().unwrap();
    for name in [
        &b"async.plain"[..],
        b"async.with space",
        b"async.it's \"$x\" `y`",
        b"async.new\nline",
        b"async.\xff\xe2'\x01",
        b"-async.dash",
    ] {
        let file = dir.path().join(OsStr::from_bytes(name));
        fs::write(&file, "local x=1; printf %s \"${BASH_SOURCE-}\"; return 3; echo no").unwrap();
        for (shell_name, shell) in shells() {
            let ran = run(&shell, &Job { body: Body::File(&file), ..job(Stage::Async, "") });
            let out = if shell_name == "bash" { file.as_os_str().as_bytes() } else { b"" };
            assert_eq!(
                (ran.status, ran.stdout.as_slice(), ran.err().as_str()),
                (3, out, ""),
                "{shell_name} {name:?}"
            );
        }
    }
}

#[test]
fn a_relative_file_is_found_wherever_boot_went() {
    let cwd = std::env::current_dir().unwrap();
    let dir = tempfile::tempdir_in(&cwd).unwrap();
    fs::write(dir.path().join("async.x"), "echo x; pwd").unwrap();
    let file = dir.path().strip_prefix(&cwd).unwrap().join("async.x");
    for (name, shell) in shells() {
        let state = run(&shell, &job(Stage::Boot, "cd /usr")).state();
        let ran = run(
            &shell,
            &Job { body: Body::File(&file), state: Some(&state), ..job(Stage::Async, "") },
        );
        assert_eq!(ran.out(), "x\n/usr\n", "{name}");
    }
}

#[test]
fn a_boot_file_may_return_early() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("boot.x");
    fs::write(&file, "x=1\nset -- a\nreturn 0\nx=2\n").unwrap();
    for (name, shell) in shells() {
        let state = run(&shell, &Job { body: Body::File(&file), ..job(Stage::Boot, "") }).state();
        let ran = run(&shell, &Job { state: Some(&state), ..job(Stage::Async, "echo $x $1") });
        assert_eq!(ran.out(), "1 a\n", "{name}");
    }
}

#[test]
fn a_script_may_be_larger_than_an_argument() {
    let script = format!("x='{}'\necho ${{#x}}; return 3", "a b\n".repeat(100_000));
    for (name, shell) in shells() {
        for stage in [Stage::Boot, Stage::Async, Stage::Halt] {
            let ran = run(&shell, &job(stage, &script));
            assert_eq!((ran.status, ran.out().as_str()), (3, "400000\n"), "{name} {stage}");
        }
    }
}

/// Else a line would have two times and two names.
#[test]
fn what_trc_captures_is_left_to_trc_to_stamp() {
    for (name, shell) in shells() {
        let script = "say one; log two; warn three";
        let ran = run(&shell, &Job { lines: Lines::Plain, ..job(Stage::Async, script) });
        assert_eq!((ran.out(), ran.err()), ("one\ntwo\n".into(), "three\n".into()), "{name}");
    }
}

#[test]
fn scripts_see_the_variables_of_trivialrc() {
    for (name, shell) in shells() {
        let script = "echo $MAINPID $work_dir $SELF_NAME $RC_WAIT_POLICY ${_exit_status-none} $0; sh -c 'echo $MAINPID $SELF_NAME ${RC_WAIT_POLICY-none}'";
        let ran = run(&shell, &job(Stage::Async, script));
        assert_eq!(ran.out(), "1 /etc trc wait_any none trc\n1 trc none\n", "{name}");
        let halt =
            Job { exit_status: Some(138), ..job(Stage::Halt, "exit $((_exit_status - 100))") };
        assert_eq!(run(&shell, &halt).status, 38, "{name}");
    }
}

#[test]
fn descriptors_3_to_9_are_the_scripts_own() {
    for (name, shell) in shells() {
        for stage in [Stage::Boot, Stage::Async, Stage::Halt] {
            let script = "for i in 3 4 5 6 7 8 9; do if [ -e /proc/$$/fd/$i ]; then echo $i; fi; done; exec 3>/dev/null 8>/dev/null 9>/dev/null";
            let ran = run(&shell, &job(stage, script));
            assert_eq!(
                (ran.status, ran.out().as_str(), ran.err().as_str()),
                (0, "", ""),
                "{name} {stage}"
            );
        }
    }
}

/// `2017-03-16 21:40:50` becomes `T`, a pid `P`.
fn blind(text: &str) -> String {
    let mut lines = String::new();
    for line in text.lines() {
        let rest =
            line.get(19..).filter(|_| line.as_bytes()[4] == b'-' && line.as_bytes()[13] == b':');
        let line = rest.map_or(line.to_owned(), |rest| format!("T{rest}"));
        let line = match (line.find('/'), line.find("]: ")) {
            (Some(from), Some(to)) if line.starts_with('T') => {
                assert!(line[from + 1..to].parse::<u32>().is_ok(), "{line}");
                format!("{}P{}", &line[..=from], &line[to..])
            }
            _ => line,
        };
        lines.push_str(&line);
        lines.push('\n');
    }
    lines
}

#[test]
fn log_lines_look_like_trivialrcs() {
    for (name, shell) in shells() {
        for (stage, space) in
            [(Stage::Async, "async"), (Stage::Halt, "halt"), (Stage::Boot, "main")]
        {
            let script =
                "say a  b; log 'c  d' e; debug f; warn g; run -v say; run echo h; err i; echo no";
            let ran = run(&shell, &Job { level: LevelFilter::Debug, ..job(stage, script) });
            assert_eq!(ran.status, 1, "{name}");
            let out = format!("a b\nT trc [{space}/P]: c  d e\nT trc [{space}/P]:  - f\nsay\nh\n");
            assert_eq!(blind(&ran.out()), out, "{name}");
            let err = format!("T trc [{space}/P]: g\nT trc [{space}/P]: i\n");
            assert_eq!(blind(&ran.err()), err, "{name}");
        }
        let boot = Job { main_pid: 4711, ..job(Stage::Boot, "log x") };
        assert!(run(&shell, &boot).out().ends_with(" trc [main/4711]: x\n"), "{name}");
    }
}

#[test]
fn each_level_shows_what_it_should() {
    for (name, shell) in shells() {
        for (level, out, err) in [
            (LevelFilter::Off, 0, 0),
            (LevelFilter::Error, 0, 1),
            (LevelFilter::Warn, 0, 2),
            (LevelFilter::Info, 2, 2),
            (LevelFilter::Debug, 3, 2),
            (LevelFilter::Trace, 3, 2),
        ] {
            let ran = run(
                &shell,
                &Job { level, ..job(Stage::Async, "say a; log b; debug c; warn d; err e") },
            );
            let lines = (ran.out().lines().count(), ran.err().lines().count());
            assert_eq!((ran.status, lines), (1, (out, err)), "{name} {level}");
        }
    }
}

#[test]
fn a_message_that_can_t_be_written_ends_no_script() {
    for (name, shell) in shells() {
        let ran = run(
            &shell,
            &job(
                Stage::Async,
                "exec 3>&1 >/dev/full; say a; log b; warn c 2>/dev/full; echo on >&3",
            ),
        );
        assert_eq!((ran.status, ran.out().as_str()), (0, "on\n"), "{name} {ran:?}");
    }
}

#[test]
fn json_messages_are_one_object_a_line() {
    for (name, shell) in shells() {
        let mut env = given();
        env.push(("TRC_UNIT".into(), "async.it's \"x\"".into()));
        let script = "log 'a \"b\" \\ é'; say 'c\n\td\u{1}\u{7f}'; warn w; debug d";
        let json =
            Job { lines: Lines::Json, level: LevelFilter::Debug, ..job(Stage::Async, script) };
        let ran = run_with(&shell, &json, &env);
        let mut messages = Vec::new();
        for line in ran.out().lines().chain(ran.err().lines()) {
            let time = line.strip_prefix("{\"time\":\"").unwrap();
            let (time, rest) = time.split_once('"').unwrap();
            assert_eq!((time.len(), &time[10..11], &time[19..20]), (29, "T", "."), "{name} {time}");
            let (head, message) = rest.split_once(",\"message\":").unwrap();
            let (head, pid) = head.rsplit_once(':').unwrap();
            assert!(pid.parse::<u32>().is_ok(), "{name} {line}");
            let level = head.split('"').nth(3).unwrap().to_owned();
            assert!(
                head.ends_with(",\"unit\":\"async.it's \\\"x\\\"\",\"stage\":\"async\",\"pid\""),
                "{name} {line}"
            );
            messages.push((level, message.to_owned()));
        }
        let newline = if name == "bash" { ("\\n", "\\t") } else { ("\\u000a", "\\u0009") };
        let expected = [
            ("info", r#""a \"b\" \\ é"}"#.to_owned()),
            ("info", format!("\"c{}{}d\\u0001\\u007f\"}}", newline.0, newline.1)),
            ("debug", "\"d\"}".to_owned()),
            ("warn", "\"w\"}".to_owned()),
        ];
        assert_eq!(messages, expected.map(|(l, m)| (l.to_owned(), m)), "{name}");
    }
}

#[test]
fn xtrace_shows_the_scripts_commands_and_nothing_of_ours() {
    for (name, shell) in shells() {
        for stage in [Stage::Boot, Stage::Async, Stage::Halt] {
            let script = "x=1\nlog hi\necho $x\ntrap 'echo bye' EXIT";
            let ran = run(&shell, &Job { xtrace: true, ..job(stage, script) });
            assert_eq!(ran.status, 0, "{name} {ran:?}");
            let trace: Vec<String> = ran
                .err()
                .lines()
                .map(|line| line.trim_start_matches('+').trim().to_owned())
                .collect();
            let trap = if name != "bash" && stage == Stage::Boot {
                "__trc_trap 'echo bye' EXIT"
            } else {
                "trap 'echo bye' EXIT"
            };
            let mut trace: Vec<&str> = trace.iter().map(String::as_str).collect();
            let trap_without_quotes = trap.replace('\'', "");
            for line in &mut trace {
                if *line == trap_without_quotes {
                    *line = trap;
                }
            }
            assert_eq!(trace, ["x=1", "log hi", "echo 1", trap, "echo bye"], "{name} {stage}");
        }
    }
}

#[test]
fn what_boot_did_to_xtrace_is_seen_later() {
    for (name, shell) in shells() {
        for (xtrace, boot, traced) in [
            (false, "set -x", true),
            (true, "set +x", false),
            (false, ":", false),
            (true, ":", true),
            (false, "set -x; set +x", false),
        ] {
            let state =
                run(&shell, &Job { xtrace, ..job(Stage::Boot, boot) }).state.unwrap().unwrap();
            let again = Job { xtrace, state: Some(&state), ..job(Stage::Boot, ":") };
            let state = run(&shell, &again).state.unwrap().unwrap();
            let ran = run(&shell, &Job { xtrace, state: Some(&state), ..job(Stage::Async, "x=1") });
            assert_eq!(ran.err().contains("x=1"), traced, "{name} {xtrace} {boot}");
        }
    }
}

#[test]
fn what_a_unit_has_of_its_own_boot_does_not_change() {
    for (name, shell) in shells() {
        let boot = "cd /usr; umask 077";
        let state = run(&shell, &job(Stage::Boot, boot)).state();
        let own = Own { cwd: true, umask: true };
        let then = "[ \"$(pwd)\" != /usr ] && [ \"$(umask)\" != 0077 ] && echo own";
        let ran = run(&shell, &Job { state: Some(&state), own, ..job(Stage::Async, then) });
        assert_eq!(ran.out(), "own\n", "{name}");
        // A boot unit with settings of its own does not change the state that others have left.
        let state = run(&shell, &Job { state: Some(&state), own, ..job(Stage::Boot, ":") }).state();
        let ran = run(&shell, &Job { state: Some(&state), ..job(Stage::Async, "pwd; umask") });
        assert_eq!(ran.out(), "/usr\n0077\n", "{name}");
    }
}

#[test]
fn a_directory_that_is_gone_fails_the_unit() {
    let dir = tempfile::tempdir().unwrap();
    let gone = dir.path().join("gone");
    fs::create_dir(&gone).unwrap();
    for (name, shell) in shells() {
        fs::create_dir_all(&gone).unwrap();
        let state = run(&shell, &job(Stage::Boot, &format!("cd '{}'", gone.display()))).state();
        fs::remove_dir(&gone).unwrap();
        let ran = run(&shell, &Job { state: Some(&state), ..job(Stage::Async, "echo no") });
        assert_ne!(ran.status, 0, "{name}");
        assert_eq!(ran.out(), "", "{name}");
        assert!(ran.err().contains("gone"), "{name} {}", ran.err());
    }
}

#[test]
fn a_descriptor_of_ours_that_a_script_closed_is_noticed() {
    // dash cannot close it, because it supports no descriptor above 9.
    let ran = run(&bash(), &job(Stage::Boot, "exec 57>&-"));
    assert_eq!(ran.state, Ok(None));
}

#[test]
fn a_nul_byte_is_an_error() {
    for (name, shell) in shells() {
        let error = prepare(&shell, &job(Stage::Async, "echo \0")).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{name}");
    }
}

#[test]
fn ps_shows_the_script() {
    for (name, shell) in shells() {
        let prepared = prepare(&shell, &job(Stage::Async, "nginx -g 'daemon off;'")).unwrap();
        let argv: Vec<_> = prepared.argv.iter().map(|w| w.to_str().unwrap()).collect();
        assert!(argv.ends_with(&["trc", "nginx -g 'daemon off;'"]), "{name} {argv:?}");
    }
}

#[test]
fn the_kind_of_each_shell_is_known() {
    assert_eq!(bash().kind, Kind::Bash);
    for (name, shell) in posix() {
        assert_eq!(shell.kind, Kind::Posix, "{name}");
    }
}

#[test]
fn verbose_shows_the_scripts_lines_and_nothing_of_ours() {
    let state = run(&bash(), &job(Stage::Boot, "set -v")).state.unwrap().unwrap();
    let ran = run(&bash(), &Job { state: Some(&state), ..job(Stage::Async, "echo a") });
    assert_eq!((ran.out().as_str(), ran.err().as_str()), ("a\n", "echo a\n"));
}

#[test]
fn a_posix_shell_tells_the_time_as_well_as_its_date_can() {
    // This is dash, with the `date` of busybox.
    let [(_, shell), (_, _)] = &posix()[..] else { return };
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/bin/busybox", dir.path().join("date")).unwrap();
    let mut env = given();
    let json = Job { lines: Lines::Json, ..job(Stage::Async, "log x") };

    env[0].1 = dir.path().into();
    let line = run_with(shell, &json, &env).out();
    assert_eq!((&line[28..33], line.find("\",\"level")), (".000+", Some(38)), "{line}");
    env[0].1 = "/nowhere".into();
    assert!(run_with(shell, &json, &env).out().starts_with("{\"time\":null,\"level\""));
    let ran = run_with(shell, &job(Stage::Async, "log x"), &env);
    assert!(ran.out().starts_with("????-??-?? ??:??:?? trc [async/"), "{ran:?}");
    assert_eq!((ran.status, ran.err().as_str()), (0, ""));
}

#[test]
fn without_proc_everything_still_works() {
    let long = format!("# {}\n", "é'".repeat(200_000));
    for (name, shell) in shells() {
        for comment in ["", &long] {
            let script =
                format!("{comment}x=it\\'s; set -- a; f() {{ echo f; }}; trap 'echo bye' EXIT");
            let boot = job(Stage::Boot, &script);
            let ran = start(&prepare_without_proc(&shell, &boot).unwrap(), &given());
            assert_eq!(ran.out(), "bye\n", "{name}");
            let state = ran.state();
            let then = Job { state: Some(&state), ..job(Stage::Async, "echo $x $1; exit 3") };
            let prepared = prepare_without_proc(&shell, &then).unwrap();
            let ran = start(&prepared, &state.environment().to_vec());
            assert_eq!((ran.status, ran.out().as_str()), (3, "it's a\n"), "{name}");
        }
        let script = "# ".to_owned() + &"x".repeat(3_000_000);
        let huge = prepare_without_proc(&shell, &job(Stage::Async, &script));
        if name == "bash" {
            assert_eq!(start(&huge.unwrap(), &given()).status, 0);
        } else {
            let error = huge.unwrap_err().to_string();
            assert!(error.contains("/proc is not mounted"), "{name} {error}");
        }
    }
}
