//! The failures that end a script, in every stage, form and shell, and the parts of the environment
//! that cannot affect it.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;

use crate::common::{Trc, has, table};

/// The shells: the name, trc's setting, and the name in docs/scripts.md.
const SHELLS: [(&str, &str, &str); 3] = [
    ("bash", "shell = ['bash', '-c']\n", "bash"),
    ("dash", "shell = ['dash', '-c']\n", "sh"),
    ("busybox", "shell = ['busybox', 'sh', '-c']\n", "sh"),
];

/// Returns the shells that are installed. If `CI` is set, all of them must be, and otherwise bash
/// must.
fn shells() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let needed = |name: &str| name == "bash" || std::env::var_os("CI").is_some();
    SHELLS.into_iter().filter(move |(name, ..)| has(name) || needed(name))
}

/// The form in which trc gets a script, which writes its output to `said`.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Form {
    Declared(&'static str),
    File(&'static str),
    Flag(&'static str),
    Trailing,
}

impl Form {
    fn trc(self, setting: &str, script: &str) -> Trc {
        let toml = format!("wait = 'all'\nlog.level = 'error'\n{setting}");
        let trc = match self {
            Self::Declared(stage) => Trc::new()
                .file("trc.toml", format!("{toml}[{stage}.x]\nscript = '''\n{script}'''\n")),
            Self::File(stage) => {
                Trc::new().file("trc.toml", toml).file(format!("trc.d/{stage}.x"), script)
            }
            Self::Flag(flag) => Trc::new().file("trc.toml", toml).args(&[flag, script]),
            Self::Trailing => Trc::new().file("trc.toml", toml).args(&["eval", script]),
        };
        match self {
            Self::Declared("test") | Self::File("test") => trc.arg("--test"),
            _ => trc,
        }
    }
}

/// Returns the forms that a row of the table names.
fn forms(row: &str) -> Vec<Form> {
    use Form::{Declared, File, Flag, Trailing};
    match row {
        "tests" => vec![Declared("test"), File("test")],
        "declared `boot`, `halt`" => vec![Declared("boot"), Declared("halt")],
        "script files of `boot`, `halt`; `-B`, `-H`; the trailing command" => {
            vec![File("boot"), File("halt"), Flag("-B"), Flag("-H"), Trailing]
        }
        "`async`, `sync`: declared, script files; `-D`, `-F`" => vec![
            Declared("async"),
            Declared("sync"),
            File("async"),
            File("sync"),
            Flag("-D"),
            Flag("-F"),
        ],
        other => panic!("docs/scripts.md has a row that is not tested: {other}"),
    }
}

/// The columns: the name of each, and a script that prints `on` if a failure does not count. All
/// scripts end with a success, which only those reach that go on.
const COLUMNS: [(&str, &str); 6] = [
    ("a command", "false; echo on >$S/said"),
    ("in a function", "f() { false; echo on >$S/said; }\nf"),
    ("in `( … )`", "( false; echo on >$S/said )"),
    ("in `x=$( … )`", "x=$(false; echo on)\necho $x >$S/said"),
    ("early in a pipeline", "false | cat\necho on >$S/said"),
    ("`local` at the top level", "local x=works\necho $x >$S/said"),
];

/// A run for a cell of the table.
#[derive(Debug)]
struct Cell {
    form: Form,
    shell: (&'static str, &'static str),
    script: &'static str,
    /// The output, or `None` if the script ends before it prints anything.
    says: Option<&'static str>,
}

/// Returns the cells of the table in docs/scripts.md.
fn cells() -> Vec<Cell> {
    let docs = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/scripts.md")).unwrap();
    let rows: Vec<Vec<&str>> = docs
        .lines()
        .skip_while(|line| !line.starts_with("| script | shell |"))
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let columns: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    assert_eq!(rows[0][3..], columns, "the table's columns");
    let mut cells = Vec::new();
    for row in &rows[2..] {
        for ((_, script), cell) in COLUMNS.iter().zip(&row[3..]) {
            for (name, setting, _) in shells().filter(|(.., kind)| *kind == row[1]) {
                let says = match (*cell, name) {
                    ("goes on", _)
                    | ("ends it; dash goes on", "dash")
                    | ("ends it; busybox goes on", "busybox") => Some("on\n"),
                    (
                        "ends it"
                        | "ends it; dash goes on"
                        | "ends it; busybox goes on"
                        | "is an error",
                        _,
                    ) => None,
                    ("works", _) => Some("works\n"),
                    (other, _) => panic!("docs/scripts.md has a cell that is not tested: {other}"),
                };
                cells.extend(forms(row[0]).into_iter().map(|form| Cell {
                    form,
                    shell: (name, setting),
                    script,
                    says,
                }));
            }
        }
    }
    cells
}

#[test]
fn what_ends_a_script_is_what_the_table_says() {
    let cells = cells();
    let kinds: BTreeSet<String> =
        cells.iter().map(|cell| format!("{:?} {}", cell.form, cell.shell.0)).collect();
    assert_eq!(kinds.len(), 15 * shells().count(), "every stage, form and shell is in it");
    table(
        &cells,
        |cell| format!("{cell:?}"),
        |cell| {
            let said = tempfile::tempdir().unwrap();
            let outcome = cell.form.trc(cell.shell.1, cell.script).env("S", said.path()).run();
            let said = fs::read_to_string(said.path().join("said")).ok();
            if (said.as_deref(), outcome.status == 0) != (cell.says, cell.says.is_some()) {
                outcome.fail(&format!("it said {said:?}"));
            }
        },
    );
}

/// The report shows the result of a failed test's command.
#[test]
fn a_test_fails_where_a_command_in_it_fails_whatever_the_shell() {
    let scripts = [
        "check() { cat $W/missing; echo done; }\ncheck\n",
        "if true; then\n  ( cat $W/missing; echo done )\nfi\n",
        "echo one | while read line; do cat $W/missing; echo $line; done\n",
    ];
    let rows: Vec<_> = shells().flat_map(|shell| scripts.map(|script| (shell, script))).collect();
    table(
        &rows,
        |((name, ..), script)| format!("{name}: {script}"),
        |((_, setting, _), script)| {
            Form::Declared("test").trc(setting, script).run().status(1).stdout_has("not ok 1");
        },
    );
}

/// The report names the command that failed, if the shell knows it.
#[test]
fn a_failed_test_names_the_command_that_failed() {
    let script = "check() {\n  cat $W/missing | grep x\n  echo done\n}\ntrue\ncheck\n";
    let rows = [
        (script, "it exited with 1 at line 6, in check: `grep x`; its last output: cat:"),
        ("true\n\ncat $W/missing | cat\n", "it exited with 1 at line 3: `cat $W/missing | cat`"),
        ("x=$(\n  cat $W/missing\n)\n", "it exited with 1 at line "),
        ("exit 1\n", "it exited with 1\"\n"),
    ];
    for (script, says) in rows {
        Form::Declared("test").trc(SHELLS[0].1, script).run().status(1).stdout_has(says);
    }
}

#[test]
fn a_test_may_look_at_a_failure_itself() {
    let scripts = [
        "set +e\nfalse\nstatus=$?\nset -e\n[ $status = 1 ]\n",
        "if false; then exit 1; fi\nfalse || true\n! false\n",
        "status=0\n(exit 3) || status=$?\n[ $status = 3 ]\n",
        "f() { set +e; false; return 0; }\nf\n",
    ];
    let rows: Vec<_> = shells().flat_map(|shell| scripts.map(|script| (shell, script))).collect();
    table(
        &rows,
        |((name, ..), script)| format!("{name}: {script}"),
        |((_, setting, _), script)| {
            Form::Declared("test").trc(setting, script).run().status(0);
        },
    );
}

/// A strict script does not make later scripts strict.
#[test]
fn a_strict_boot_script_leaves_later_scripts_as_they_are() {
    for (name, setting, _) in shells() {
        let toml = format!(
            "{setting}log.level = 'error'\n[boot.a]\nscript = 'x=1'\n[boot.b]\nscript = 'y=2'\n\
             [sync.x]\nscript = 'false | true; case $(set +o) in *\"-o pipefail\"*) echo on;; \
             *) echo off;; esac; echo $x$y'\n"
        );
        let outcome = Trc::toml(&toml).run();
        assert_eq!((outcome.status, outcome.out().as_str()), (0, "off\n12\n"), "{name}");
    }
}

#[test]
fn what_a_boot_script_itself_says_of_pipefail_is_for_later_scripts() {
    for (boots, says) in [
        (&["set -euo pipefail"][..], "on"),
        (&["set -o pipefail", "x=1"], "on"),
        (&["set -o pipefail", "set +o pipefail"], "off"),
        (&["x=1", "set -Eeuo pipefail; shopt -s inherit_errexit", "y=2"], "on"),
        (&["set +o pipefail; false | true"], "off"),
    ] {
        let mut toml = "log.level = 'error'\n".to_owned();
        for (number, boot) in boots.iter().enumerate() {
            let _ = write!(toml, "[boot.b{number}]\nscript = '{boot}'\n");
        }
        toml += "[sync.x]\nscript = '[[ -o pipefail ]] && echo on || echo off'\n";
        Trc::toml(&toml).run().status(0).stdout_is(&format!("{says}\n"));
    }
}

#[test]
fn the_last_line_names_the_command_of_a_boot_script_that_failed() {
    use Form::{Declared, File, Flag};
    let script = "true\ncat /missing | grep x | cat\n";
    let function = "prepare() {\n  cat /missing\n  true\n}\nprepare\n";
    let rows = [
        (Declared("boot"), "bash", script, " at line 2: `cat /missing | grep x | cat`"),
        (Declared("boot"), "bash", function, " at line 5, in prepare: `cat /missing`"),
        (Declared("boot"), "bash", "true\n\nexit 1\n", ""),
        (Declared("boot"), "busybox", function, " at line 5: `prepare`"),
        (Declared("boot"), "busybox", "true\nexit 1\n", " at line 2: `exit 1`"),
        (Declared("boot"), "dash", function, ""),
        (Flag("-B"), "bash", "true\ncat /missing\n", " at line 2: `cat /missing`"),
        (Flag("-B"), "busybox", "true\ncat /missing\n", " at line 2: `cat /missing`"),
        (
            Flag("-B"),
            "bash",
            "true\nif true; then\n  (exit 1)\nfi\nreturn 0",
            " at line 3: `(exit 1)`",
        ),
        (File("boot"), "bash", "true\n\ncat /missing\n", " at line 3: `cat /missing`"),
        (File("boot"), "busybox", "true\n\ncat /missing\n", " at line 3"),
    ];
    let known: Vec<_> = shells().collect();
    table(
        &rows,
        |row| format!("{row:?}"),
        |(form, shell, script, place)| {
            let Some((_, setting, _)) = known.iter().find(|(name, ..)| name == shell) else {
                return;
            };
            let outcome = form.trc(setting, script).run();
            let line = format!(
                "boot failed: {} failed with status 1{place}\n",
                match form {
                    Flag(_) => "boot.B1",
                    _ => "boot.x",
                }
            );
            outcome.status(1).stderr_has(&line);
        },
    );
}

/// A boot unit with a user or an environment of its own passes on no state, but its failure names
/// the place.
#[test]
fn the_last_line_names_the_command_of_a_boot_script_with_an_environment_of_its_own() {
    Trc::toml("[boot.b]\nenv.A = '1'\nscript = '''\ntrue\ncat /missing'''\n")
        .run()
        .status(1)
        .stderr_has("boot.b failed with status 1 at line 2: `cat /missing`\n");
}

// ---- the environment ------------------------------------------------------------------

/// The variables that have a meaning for shells.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("POSIXLY_CORRECT", "1"),
    ("SHELLOPTS", "posix"),
    ("SHELLOPTS", "errexit:nounset"),
    ("SHELLOPTS", "noexec"),
    ("SHELLOPTS", "onecmd"),
    ("SHELLOPTS", "verbose:keyword:allexport:noglob"),
    ("BASHOPTS", "extdebug"),
    ("BASHOPTS", "expand_aliases:extglob:failglob:nocasematch"),
    ("BASH_COMPAT", "3.1"),
    ("BASH_ENV", "/nowhere"),
    ("ENV", "/nowhere"),
    ("CDPATH", "/usr"),
    ("IFS", "r"),
    ("PS4", "$(exit 3)"),
    ("FUNCNEST", "1"),
    ("GLOBIGNORE", "*"),
    ("EXECIGNORE", "*"),
    ("OPTIND", "x"),
    ("TMOUT", "1"),
    ("UID", "3"),
    ("LINENO", "7"),
    ("MAINPID", "1"),
    ("SELF_NAME", "x"),
    ("work_dir", "/x"),
    ("_exit_status", "9"),
    ("__trc_body", "echo taken over"),
    ("__trc_level", "5"),
    ("BASH_FUNC_exit%%", "() { echo taken over; }"),
    ("BASH_FUNC_trap%%", "() { echo taken over; }"),
    ("BASH_FUNC_set%%", "() { echo taken over; }"),
    ("BASH_FUNC_eval%%", "() { echo taken over; }"),
    ("BASH_FUNC_builtin%%", "() { echo taken over; }"),
    ("BASH_FUNC_command%%", "() { echo taken over; }"),
    ("BASH_FUNC_.%%", "() { echo taken over; }"),
    ("BASH_FUNC_[%%", "() { echo taken over; }"),
    ("BASH_FUNC_exec%%", "() { echo taken over; }"),
    ("BASH_FUNC_return%%", "() { echo taken over; }"),
    ("BASH_FUNC_printf%%", "() { echo taken over; }"),
    ("BASH_FUNC_log%%", "() { echo taken over; }"),
];

#[test]
fn no_variable_of_the_environment_changes_what_scripts_do() {
    let shells: Vec<_> = shells().collect();
    let rows: Vec<_> =
        shells.iter().flat_map(|shell| ENVIRONMENT.iter().map(move |one| (shell, one))).collect();
    table(
        &rows,
        |((shell, ..), (name, value))| format!("{shell}: {name}={value}"),
        |((_, setting, _), (name, value))| {
            let toml = format!(
                "{setting}log.level = 'warn'\n\
                 [boot.b]\nscript = 'cd /; x=1; export y=2; trap \"echo bye\" EXIT; set -- \"$@\"'\n\
                 [boot.c]\nscript = 'z=3; trap \"exit 1\" TERM; trap - TERM; warn c'\n\
                 [sync.s]\nscript = 'local l=4; echo \"$x$y$z$l\"; [ $MAINPID = $PPID ]'\n\
                 [halt.h]\nscript = 'echo halt $_exit_status; exit 0'\n"
            );
            let outcome = Trc::toml(&toml).env(name, value).unrecorded().run();
            outcome.status(0).stdout_is("bye\n1234\nhalt 0\n");
            outcome.stderr_lines(&[r"<main/\d+\]: c"]);
            assert_eq!(outcome.err().lines().count(), 1, "{}", outcome.err());
        },
    );
}

#[test]
fn what_scripts_are_not_given_of_the_environment_programs_are() {
    let toml = "log.level = 'warn'\n[boot.b]\nscript = 'x=1; which() { :; }; export -f which'\n\
                [sync.s]\nexec = ['env']\n";
    Trc::toml(toml)
        .env("SHELLOPTS", "noexec")
        .env("OPTIND", "3")
        .env("BASH_FUNC_cd%%", "() { :; }")
        .run()
        .status(0)
        .stdout_lines(&["SHELLOPTS=noexec"])
        .stdout_lines(&["OPTIND=3"])
        .stdout_lines(&["BASH_FUNC_cd%%=.*"])
        .stdout_lines(&["BASH_FUNC_which%%=.*"]);
}

#[test]
fn a_builtins_name_may_be_a_function_of_a_boot_script_and_is_for_later_scripts() {
    Trc::with(&[
        "-B",
        "cd() { builtin cd / && pwd; }; export -f cd",
        "-F",
        "cd /usr",
        "-H",
        "cd x",
    ])
    .run()
    .status(0)
    .stdout_is("/\n/\n");
}

#[test]
fn xtrace_in_shellopts_shows_the_scripts_commands_and_nothing_of_trcs() {
    let outcome = Trc::with(&["-B", "x=1", "-F", "true $x"]).env("SHELLOPTS", "xtrace").run();
    outcome.status(0).stderr_lines(&[r"\++ x=1", r"\++ true 1"]);
    outcome.stderr_lacks("__trc_");
}

/// trc used to give a shell the wrong file in place of its prelude, if the number of one was that which
/// another was to get.
#[test]
fn scripts_run_whatever_descriptors_trc_was_started_with() {
    let counts: Vec<u32> = (0..40).collect();
    table(&counts, ToString::to_string, |count| {
        let mut open = String::new();
        (0..*count).for_each(|number| writeln!(open, "exec {}</dev/null", 10 + number).unwrap());
        let trc = Trc::with(&["-B", "say hi", "-F", "echo main ran"]).control();
        let shell = trc.path("bin");
        std::fs::create_dir(&shell).unwrap();
        std::os::unix::fs::symlink("/bin/dash", shell.join("sh")).unwrap();
        let trc = trc.wrap(&["bash", "-c", &format!("{open}export PATH=\"$0\"; exec \"$@\"")]);
        let outcome = trc.wrap(&[shell.to_str().unwrap()]).run();
        outcome.status(0).stdout_has("main ran\n").stderr_lacks("not found");
    });
}
