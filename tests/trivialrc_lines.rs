//! Command lines that also run under `TrivialRC`, and their results: the README's test of an image
//! together with whatever else an image may have, and the other policies.
//!
//! The results of `TrivialRC` come from several runs of every line under its version 1.1.7, with
//! bash 5.2. `TRC_TEST_TRIVIALRC=/path/to/its/trc cargo test --test suite trivialrc_lines::`
//! repeats them (it needs ps, pgrep and pkill).

use std::path::Path;

use crate::common::{MODES, Trc, table};

const VERDICT: &str =
    "if [[ ${_exit_status} -eq 138 ]]; then exit 0; else exit ${_exit_status}; fi";
/// Stands in for `sleep 3; smtpctl show status && …`. Under `TrivialRC` there is a pause, because
/// it sometimes exits with 0 if a signal arrives before it waits.
const CHECK: &str = "$PAUSE; echo running && kill -10 ${MAINPID}";
/// Stands in for the server.
const SERVER: (&str, &str) = ("async.server", "read x <$W/never\n");
const CLEANUP: (&str, &str) = ("halt.cleanup", "rm -f $W/x\n");

struct Line {
    name: &'static str,
    /// Drop-ins.
    files: &'static [(&'static str, &'static str)],
    args: &'static [&'static str],
    policy: &'static str,
    status: i32,
    says: &'static str,
    /// The result under `TrivialRC`, if it differs, and why.
    there: Option<(i32, &'static str, &'static str)>,
}

/// Returns a line of this name without words, under the policy `wait_any`.
fn line(name: &'static str) -> Line {
    Line { name, files: &[], args: &[], policy: "wait_any", status: 0, says: "", there: None }
}

fn lines() -> [Line; 60] {
    [
        line("README's test of an image")
            .files(&[SERVER])
            .args(&["-H", VERDICT, "-D", CHECK])
            .comes_to(0, "running\n"),
        line("beside a halt drop-in that cleans up")
            .files(&[SERVER, CLEANUP])
            .args(&["-H", VERDICT, "-D", CHECK])
            .comes_to(0, "running\n"),
        line("beside a halt drop-in that fails")
            .files(&[SERVER, ("halt.x", "exit 3\n")])
            .args(&["-H", VERDICT, "-D", CHECK])
            .comes_to(0, "running\n"),
        line("beside two halt drop-ins, each of which sees the status")
            .files(&[
                SERVER,
                ("halt.a", "echo a $_exit_status; exit 4\n"),
                ("halt.b", "echo b $_exit_status\n"),
            ])
            .args(&["-H", VERDICT, "-D", CHECK])
            .comes_to(0, "running\na 138\nb 138\n"),
        line("and another -H, which has the last word")
            .files(&[SERVER])
            .args(&["-H", VERDICT, "-H", "echo $_exit_status", "-D", CHECK])
            .comes_to(0, "running\n138\n"),
        line("after another -H")
            .files(&[SERVER])
            .args(&["-H", "true", "-H", VERDICT, "-D", CHECK])
            .comes_to(0, "running\n"),
        line("the server fails")
            .files(&[("async.server", "exit 1\n")])
            .args(&["-H", VERDICT, "-D", "read x <$W/never; kill -10 $MAINPID"])
            .comes_to(143, ""),
        line("the server fails, beside a halt drop-in")
            .files(&[("async.server", "exit 1\n"), CLEANUP])
            .args(&["-H", VERDICT, "-D", "read x <$W/never; kill -10 $MAINPID"])
            .comes_to(143, ""),
        line("the server exits with 0, beside a halt drop-in")
            .files(&[("async.server", "exit 0\n"), CLEANUP])
            .args(&["-H", VERDICT, "-D", "read x <$W/never; kill -10 $MAINPID"])
            .comes_to(143, ""),
        line("the test fails")
            .files(&[SERVER])
            .args(&["-H", VERDICT, "-D", "$PAUSE; false && kill -10 ${MAINPID}"])
            .comes_to(143, ""),
        line("the test fails, beside a halt drop-in")
            .files(&[SERVER, CLEANUP])
            .args(&["-H", VERDICT, "-D", "$PAUSE; false && kill -10 ${MAINPID}"])
            .comes_to(143, ""),
        line("the test runs what is not there")
            .files(&[SERVER])
            .args(&["-H", VERDICT, "-D", "$PAUSE; no-such-check && kill -10 ${MAINPID}"])
            .comes_to(143, ""),
        line("the test exits")
            .files(&[SERVER])
            .args(&["-H", VERDICT, "-D", "$PAUSE; exit 7"])
            .comes_to(143, ""),
        line("a second test ends before the first")
            .files(&[SERVER])
            .args(&["-H", VERDICT, "-D", "true", "-D", "read x <$W/never; kill -10 $MAINPID"])
            .comes_to(143, ""),
        line("a second test is still running")
            .files(&[SERVER])
            .args(&["-H", VERDICT, "-D", "read x <$W/never", "-D", CHECK])
            .comes_to(0, "running\n"),
        line("a second test sends another signal")
            .files(&[SERVER])
            .args(&["-H", VERDICT, "-D", "$PAUSE; kill -12 ${MAINPID}", "-D", "read x <$W/never"])
            .comes_to(140, ""),
        line("without -H").files(&[SERVER]).args(&["-D", CHECK]).comes_to(138, "running\n"),
        line("a unit stops trc")
            .files(&[SERVER])
            .args(&[
                "-H",
                "exit $_exit_status",
                "-D",
                "$PAUSE; kill -15 $MAINPID; read x <$W/never",
            ])
            .comes_to(143, ""),
        line("boot sets variables for the test")
            .files(&[SERVER, ("boot.env", "export greeting=hi\n")])
            .args(&[
                "-B",
                "name=world",
                "-H",
                VERDICT,
                "-D",
                "$PAUSE; echo $greeting $name && kill -10 $MAINPID",
            ])
            .comes_to(0, "hi world\n"),
        line("boot defines a function for the test")
            .files(&[SERVER, ("boot.f", "check() { echo checked; }\n")])
            .args(&["-H", VERDICT, "-D", "$PAUSE; check && kill -10 $MAINPID"])
            .comes_to(0, "checked\n"),
        line("a boot drop-in fails, and no halt script runs")
            .files(&[SERVER, ("boot.x", "false; echo no\n"), ("halt.h", "echo halt\n")])
            .args(&["-H", VERDICT, "-D", CHECK])
            .comes_to(1, ""),
        line("a -B exits")
            .files(&[SERVER])
            .args(&["-B", "exit 4", "-H", VERDICT, "-D", CHECK])
            .comes_to(4, ""),
        line("a -B exits with 0")
            .files(&[SERVER])
            .args(&["-B", "exit 0", "-H", VERDICT, "-D", CHECK])
            .comes_to(0, "running\n")
            .there(
                0,
                "",
                "boot runs in the main process, so `exit` in a boot script ends everything",
            ),
        line("a function of -B fails")
            .files(&[SERVER])
            .args(&["-B", "f() { false; echo no; }; f", "-H", VERDICT, "-D", CHECK])
            .comes_to(1, ""),
        line("a pipeline of -B fails early")
            .files(&[SERVER])
            .args(&["-B", "false | true; echo on", "-H", VERDICT, "-D", CHECK])
            .comes_to(0, "on\nrunning\n"),
        line("-B adds the test to the command line")
            .files(&[SERVER])
            .args(&["-B", "set -- \"$@\" -D \"$CHECK\"; echo $#", "-H", VERDICT])
            .comes_to(0, "4\nrunning\n")
            .there(0, "5\nrunning\n", "There, the first argument of a `-B` script is its own text"),
        line("the test fails in a function")
            .files(&[SERVER])
            .args(&[
                "-H",
                VERDICT,
                "-D",
                "check() { false; echo on; }; $PAUSE; check && kill -10 $MAINPID",
            ])
            .comes_to(0, "on\n"),
        line("the test fails early in a pipeline")
            .files(&[SERVER])
            .args(&["-H", VERDICT, "-D", "$PAUSE; false | true && kill -10 $MAINPID"])
            .comes_to(0, ""),
        line("a subshell of the test fails")
            .files(&[SERVER])
            .args(&["-H", VERDICT, "-D", "$PAUSE; (exit 6); kill -10 $MAINPID"])
            .comes_to(143, ""),
        line("a command in a subshell of the test fails")
            .files(&[SERVER])
            .args(&["-H", VERDICT, "-D", "$PAUSE; (false; true); kill -10 $MAINPID"])
            .comes_to(0, ""),
        line("the test replaces the ERR trap")
            .files(&[SERVER])
            .args(&["-H", VERDICT, "-D", "trap true ERR; $PAUSE; false; kill -10 $MAINPID"])
            .comes_to(0, ""),
        line("the test has local variables")
            .files(&[SERVER])
            .args(&["-H", VERDICT, "-D", "local x=1; $PAUSE; echo $x && kill -10 $MAINPID"])
            .comes_to(0, "1\n"),
        line("the test is in the foreground")
            .files(&[SERVER])
            .args(&["-H", VERDICT, "-F", "$PAUSE; kill -10 $MAINPID"])
            .comes_to(0, ""),
        line("the foreground exits with 0")
            .files(&[SERVER])
            .args(&["-H", VERDICT, "-F", "$PAUSE; true"])
            .comes_to(0, ""),
        line("the foreground fails, beside a halt drop-in")
            .files(&[SERVER, CLEANUP])
            .args(&["-H", VERDICT, "-F", "$PAUSE; exit 3"])
            .comes_to(3, ""),
        line("a sync drop-in fails, beside a halt drop-in")
            .files(&[SERVER, CLEANUP, ("sync.main", "$PAUSE; (exit 5)\n")])
            .args(&["-H", VERDICT])
            .comes_to(5, ""),
        line("the first of two in the foreground fails")
            .files(&[SERVER])
            .args(&["-H", VERDICT, "-F", "echo one; exit 3", "-F", "echo two"])
            .comes_to(3, "one\n"),
        line("the trailing command fails")
            .files(&[SERVER])
            .args(&["-H", VERDICT, "exit", "5"])
            .comes_to(5, ""),
        line("the trailing command exits with 0")
            .files(&[SERVER, CLEANUP])
            .args(&["-H", VERDICT, "true"])
            .comes_to(0, ""),
        line("the trailing command is a function that fails")
            .files(&[SERVER])
            .args(&["-B", "check() { false; echo no; }", "-H", VERDICT, "check"])
            .comes_to(1, ""),
        line("the trailing command is not there")
            .files(&[SERVER])
            .args(&["-H", VERDICT, "no-such-command"])
            .comes_to(127, ""),
        line("the last of two halt scripts decides")
            .files(&[("halt.a", "exit 3\n")])
            .args(&["-H", "exit 11", "exit", "5"])
            .comes_to(11, ""),
        line("so does one that exits with 0")
            .args(&["-H", "exit ${_exit_status}", "-H", "true", "exit", "5"])
            .comes_to(0, ""),
        line("the status is the run's own after one that exits with 0")
            .args(&["-H", "true", "-H", "exit ${_exit_status}", "exit", "5"])
            .comes_to(5, ""),
        line("a halt script fails").args(&["-H", "false; echo no", "exit", "5"]).comes_to(1, ""),
        line("a halt script changes its variable")
            .args(&["-H", "_exit_status=0", "-H", "exit $_exit_status", "exit", "5"])
            .comes_to(5, ""),
        line("a function of a halt script fails")
            .args(&["-H", "f() { false; echo no; }; f; exit 0", "exit", "5"])
            .comes_to(1, ""),
        line("an empty -H").args(&["-H", "", "exit", "5"]).comes_to(64, "").there(
            0,
            "",
            "an empty command is a usage error (64)",
        ),
        line("a halt drop-in alone decides too")
            .files(&[("halt.x", "echo $_exit_status\n")])
            .args(&["exit", "5"])
            .comes_to(0, "5\n"),
        line("a halt script sees what boot has set")
            .args(&["-B", "x=1", "-H", "exit $((_exit_status - x))", "exit", "5"])
            .comes_to(4, ""),
        line("wait_all: README's test of an image")
            .files(&[SERVER])
            .args(&["-H", VERDICT, "-D", CHECK])
            .policy("wait_all")
            .comes_to(0, "running\n"),
        line("wait_all: a background unit but the last fails")
            .args(&["-H", VERDICT, "-D", "exit 2", "-D", "exit 0"])
            .policy("wait_all")
            .comes_to(2, "")
            .there(0, "", "`wait_all` counts only the last background unit"),
        line("wait_all: the last background unit fails")
            .args(&["-H", VERDICT, "-D", "exit 0", "-D", "exit 2"])
            .policy("wait_all")
            .comes_to(2, ""),
        line("wait_all: the foreground fails")
            .args(&["-H", VERDICT, "-D", "exit 0", "-F", "exit 4"])
            .policy("wait_all")
            .comes_to(4, ""),
        line("wait_all: a foreground unit but the last fails")
            .args(&["-H", VERDICT, "-F", "exit 4", "-F", "exit 0"])
            .policy("wait_all")
            .comes_to(4, "")
            .there(0, "", "if that exits with 0, only the last foreground unit"),
        line("wait_err: the foreground fails")
            .args(&["-H", VERDICT, "-F", "exit 0", "-F", "exit 4", "exit", "5"])
            .policy("wait_err")
            .comes_to(4, ""),
        line("wait_err: the background fails")
            .args(&["-H", VERDICT, "-D", "exit 3", "-D", "$PAUSE"])
            .policy("wait_err")
            .comes_to(3, "")
            .there(
                0,
                "",
                "`wait_err` notices a failure in the background only when everything \
                    has ended, and only if it was the last one",
            ),
        line("wait_forever: README's test of an image")
            .args(&["-H", VERDICT, "-D", CHECK])
            .policy("wait_forever")
            .comes_to(0, "running\n"),
        line("wait_forever: without -H")
            .args(&["-D", CHECK])
            .policy("wait_forever")
            .comes_to(138, "running\n")
            .there(
                0,
                "running\n",
                "the exit status is 0 if a signal ends `wait_forever`, and sometimes \
                    also if a signal arrives at the start",
            ),
        line("an unknown policy")
            .args(&["-F", "exit 3"])
            .policy("nonsense")
            .comes_to(78, "")
            .there(3, "", "an unknown policy is an error in the configuration (78)"),
    ]
}

impl Line {
    /// Adds drop-ins.
    fn files(self, files: &'static [(&'static str, &'static str)]) -> Self {
        Self { files, ..self }
    }

    fn args(self, args: &'static [&'static str]) -> Self {
        Self { args, ..self }
    }

    fn policy(self, policy: &'static str) -> Self {
        Self { policy, ..self }
    }

    fn comes_to(self, status: i32, says: &'static str) -> Self {
        Self { status, says, ..self }
    }

    fn there(self, status: i32, says: &'static str, why: &'static str) -> Self {
        Self { there: Some((status, says, why)), ..self }
    }

    fn with(&self, trc: Trc, pause: &str) -> Trc {
        let trc = trc.env("RC_WAIT_POLICY", self.policy).env("PAUSE", pause).env("CHECK", CHECK);
        let file =
            |trc: Trc, (name, text): &(&str, &str)| trc.file(Path::new("trc.d").join(name), text);
        self.files.iter().fold(trc, file).args(self.args)
    }
}

#[test]
fn trivialrcs_lines_come_to_what_they_come_to_there() {
    for mode in MODES {
        table(
            &lines(),
            |line| format!("{} {mode:?}", line.name),
            |line| {
                let outcome = line.with(Trc::new().mode(mode), ":").run();
                outcome.status(line.status).stdout_is(line.says);
            },
        );
    }
}

#[test]
fn trivialrc_itself_comes_to_what_is_said_of_it() {
    let Some(original) = std::env::var_os("TRC_TEST_TRIVIALRC") else { return };
    Trc::new().program(&original).arg("--version").run().status(0).stdout_is("v1.1.7\n");
    table(
        &lines(),
        |line| line.name.to_owned(),
        |line| {
            let (status, says) =
                line.there.map_or((line.status, line.says), |(status, says, _)| (status, says));
            // `TrivialRC` leaves processes behind for a moment.
            let trc = Trc::new().program(&original).survivors_allowed();
            let directory = trc.dir().to_owned();
            let trc = line.with(trc.arg("-w").arg(directory), "sleep 1");
            trc.run().status(status).stdout_is(says);
        },
    );
}

#[test]
fn whatever_differs_from_trivialrc_is_in_the_docs() {
    let docs = include_str!("../docs/scripts.md").split_whitespace().collect::<Vec<_>>().join(" ");
    for line in lines() {
        if let Some((_, _, why)) = line.there {
            assert!(docs.contains(why), "{}: {why}", line.name);
        }
    }
}
