//! On a terminal, everything works as it does without an init: job control, Ctrl-C, Ctrl-Z, window
//! sizes, questions and answers. The terminal echoes what is typed, so the text that a test waits
//! for never looks like what it typed.

use std::ops::Deref;
use std::time::{Duration, Instant};

use nix::unistd::tcgetpgrp;

use crate::common::typist::Typist;
use crate::common::{MODES, Outcome, TERM, Trc};

const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";
const CTRL_Z: &str = "\x1a";
const CTRL_BACKSLASH: &str = "\x1c";

/// trc or a shell on a terminal of its own, and somebody who types.
struct Session(Typist);

impl Session {
    fn new(trc: Trc) -> Self {
        let trc = trc.env("TERM", "dumb").env("PS1", "PROMPT> ").env("INPUTRC", "/dev/null");
        Self(Typist::new(trc))
    }

    /// An interactive bash leads the session, and `$T` runs trc.
    fn in_a_shell() -> Self {
        let program =
            std::env::var("TRC_TEST_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_trc").to_owned());
        let shell = Trc::new().program("bash").args(&["--norc", "--noprofile", "-i"]);
        let dir = shell.dir().to_str().unwrap().to_owned();
        let session = Self::new(shell.env("T", format!("{program} -w {dir}")));
        session.wait_for("PROMPT> ");
        session
    }

    /// Types a job control command at the shell's prompt, and again if the shell does not echo it:
    /// a grandchild that is about to be suspended may have read the command instead.
    fn type_command(&self, command: &str) -> &Self {
        let before = self.stdout().matches(command).count();
        let mut again = Instant::now();
        self.wait_until("the shell has read the command", || {
            if Instant::now() >= again {
                self.type_in(&format!("{command}\n"));
                again = Instant::now() + Duration::from_secs(2);
            }
            self.stdout().matches(command).count() > before
        });
        self
    }

    /// Waits until a process group other than that of the session's leader has the terminal.
    #[track_caller]
    fn wait_until_lent(&self) -> &Self {
        let leader = self.pid();
        self.wait_until("somebody else has the terminal", || {
            tcgetpgrp(&self.master).is_ok_and(|group| group.as_raw() != leader)
        });
        self
    }

    #[track_caller]
    fn finish(self) -> Outcome {
        self.0.finish()
    }
}

impl Deref for Session {
    type Target = Typist;
    fn deref(&self) -> &Typist {
        &self.0
    }
}

#[test]
fn a_shell_has_job_control() {
    for mode in MODES {
        let session = Session::new(Trc::with(&["bash", "--norc", "--noprofile"]).mode(mode));
        session.wait_for("PROMPT> ").wait_for_times("PROMPT> ", 1);
        session.type_in("cat &\n").wait_for_times("PROMPT> ", 2);
        // The background reader is suspended, as it should be.
        session.wait_until("cat is stopped", || {
            session.processes().iter().any(|process| process.state == 'T')
        });
        session.type_in("jobs\n").wait_for("Stopped");
        session.type_command("fg");
        session.wait_until("cat goes on", || {
            session.processes().iter().all(|process| process.state != 'T')
        });
        session.type_in("hello\n").wait_for_times("hello", 2);
        session.type_in(CTRL_C).wait_for_times("PROMPT> ", 4);
        session.type_in("exit 5\n");
        let outcome = session.finish();
        outcome.status(5).stdout_lacks("no job control").stdout_lacks("cannot set terminal");
    }
}

#[test]
fn ctrl_c_ends_the_foreground_unit_and_the_run() {
    let commands: [&[&str]; 3] = [
        &["-F", "echo ready; cat"],
        &["sh", "-c", "echo ready; exec cat"],
        &["--wait", "all", "-F", "echo ready; cat", "-F", "echo second"],
    ];
    for mode in MODES {
        for args in commands {
            let session = Session::new(Trc::with(args).mode(mode));
            session.wait_for("ready");
            session.type_in(CTRL_C);
            session.finish().status(130).stdout_lacks("second");
        }
    }
}

#[test]
fn ctrl_backslash_ends_the_foreground_unit_and_the_run() {
    // bash itself ignores SIGQUIT.
    let script = "ulimit -c 0; exec dash -c 'echo ready; exec cat'";
    let session = Session::new(Trc::with(&["-F", script]));
    session.wait_for("ready");
    session.type_in(CTRL_BACKSLASH);
    session.finish().status(131);
}

#[test]
fn a_unit_that_handles_ctrl_c_goes_on() {
    // Do not wait in `read`, because bash handles a signal that arrives just before it only
    // afterwards.
    let script = "trap 'echo caught; caught=yes' INT; echo ready
        while [ -z $caught ]; do sleep 0.05 || :; done; read x; echo got $x";
    for mode in MODES {
        let session = Session::new(Trc::with(&["-F", script]).mode(mode));
        session.wait_for("ready");
        session.type_in(CTRL_C).wait_for("caught");
        session.type_in("word\n");
        session.finish().status(0).stdout_has("got word");
    }
}

/// Nobody could continue it.
#[test]
fn ctrl_z_does_not_hang_a_container() {
    let commands: [&[&str]; 2] =
        [&["-F", "echo ready; cat"], &["sh", "-c", "echo ready; exec cat"]];
    for mode in MODES {
        for args in commands {
            let session = Session::new(Trc::with(args).mode(mode));
            session.wait_for("ready");
            session.type_in(CTRL_Z).type_in("hello\n").wait_for_times("hello", 2);
            session.type_in(CTRL_D);
            session.finish().status(0);
        }
    }
}

#[test]
fn in_a_shell_a_test_that_stops_the_foreground_unit_does_not_stop_trc() {
    let session = Session::in_a_shell();
    let toml = "[sync.f]\nexec = ['sh', '-c', 'echo up; exec cat']\nready.log = 'up'\n\
                [test.t]\nexpect.fault = { unit = 'f', stop = '100ms' }\n";
    std::fs::write(session.path("trc.toml"), toml).unwrap();
    session.type_in("$T --test >/dev/null 2>&1; echo st''atus=$?\n").wait_for("status=");
    session.wait_for("status=0");
    session.type_in("exit 0\n");
    session.finish().status(0);
}

#[test]
fn in_a_shell_ctrl_z_stops_trc_too_and_fg_resumes_it() {
    for command in ["-F 'echo rea''dy; cat'", "sh -c 'echo rea''dy; exec cat'"] {
        let session = Session::in_a_shell();
        session.type_in(&format!("$T {command}\n")).wait_for("ready");
        session.wait_until_lent();
        session.type_in(CTRL_Z).wait_for("Stopped").wait_for_times("PROMPT> ", 2);
        session.type_command("fg");
        session.wait_until_lent();
        session.type_in("hello\n").wait_for_times("hello", 2);
        session.type_in(CTRL_C).wait_for_times("PROMPT> ", 3);
        session.type_in("echo st''atus=$?\n").wait_for("status=130");
        session.type_in("exit 0\n");
        session.finish().status(0);
    }
}

#[test]
fn the_terminal_is_given_back_to_the_shell() {
    let session = Session::in_a_shell();
    session.type_in("$T -F 'exit 3'; echo st''atus=$?\n").wait_for("status=3");
    session.wait_for_times("PROMPT> ", 2);
    session.type_in("read -p 'whi''ch? ' answer\n").wait_for("which? ");
    session.type_in("yes\n").wait_for_times("PROMPT> ", 3);
    session.type_in("echo ans''wer=$answer\n").wait_for("answer=yes");
    session.type_in("exit 0\n");
    session.finish().status(0);
}

#[test]
fn in_a_shells_background_trc_does_not_take_the_terminal() {
    let session = Session::in_a_shell();
    session.type_in("$T -F 'echo rea''dy; cat $W/never' &\n").wait_for("ready");
    session.type_in("echo st''ill here\n").wait_for("still here");
    session.type_in("kill %1; wait %1; echo st''atus=$?\n").wait_for("status=143");
    session.type_in("exit 0\n");
    session.finish().status(0);
}

/// trc used to take the terminal from the shell when `bg` continued a suspended job.
#[test]
fn in_a_shell_bg_leaves_the_terminal_to_the_shell() {
    let session = Session::in_a_shell();
    session.type_in("$T sh -c 'echo rea''dy; read x <$W/never'\n").wait_for("ready");
    session.wait_until_lent();
    session.type_in(CTRL_Z).wait_for("Stopped").wait_for_times("PROMPT> ", 2);
    session.type_command("bg").wait_for_times("PROMPT> ", 3);
    session.type_in("echo st''ill here\n").wait_for("still here");
    session.type_in("kill %1; wait %1; echo st''atus=$?\n").wait_for("status=143");
    session.type_in("exit 0\n");
    session.finish().status(0);
}

/// A run that began in the background used never to get the terminal.
#[test]
fn in_a_shell_fg_gives_the_terminal_to_a_background_run() {
    for command in ["-F cat", "cat"] {
        let session = Session::in_a_shell();
        session.type_in(&format!("$T {command} &\n")).wait_for_times("PROMPT> ", 2);
        session.type_command("fg");
        session.wait_until_lent();
        session.type_in("hello\n").wait_for_times("hello", 2);
        session.type_in(CTRL_C).wait_for_times("PROMPT> ", 3);
        session.type_in("echo st''atus=$?\n").wait_for("status=130");
        session.type_in("exit 0\n");
        session.finish().status(0);
    }
}

#[test]
fn a_window_resize_arrives() {
    // bash defers a trap for SIGWINCH while it reads.
    let commands: [&[&str]; 2] = [&["-F"], &["sh", "-c"]];
    let script = r#"exec dash -c 'trap "stty size; exit 4" WINCH; echo ready
        while :; do read x; done'"#;
    for mode in MODES {
        for args in commands {
            let session = Session::new(Trc::with(args).arg(script).mode(mode));
            session.wait_for("ready");
            // This is one change, and so one signal.
            session.stty("rows 51");
            session.finish().status(4).stdout_has("51 80");
        }
    }
}

#[test]
fn a_background_unit_that_reads_the_terminal_is_warned_about_and_can_be_stopped() {
    for mode in MODES {
        let args = ["-D", "cat </dev/tty", "-F", "echo ready; cat $W/never"];
        let session = Session::new(Trc::with(&args).mode(mode));
        session.wait_for("ready");
        session.wait_until("the background unit is stopped", || {
            session.processes().iter().any(|process| process.state == 'T')
        });
        session.wait_for("terminal");
        session.signal(TERM);
        session.finish().status(143);
    }
}

#[test]
fn a_boot_script_asks_and_the_answer_arrives() {
    for mode in MODES {
        let args = ["-B", "read -p 'Name? ' name", "-F", "echo \"Hello, $name!\""];
        let session = Session::new(Trc::with(&args).mode(mode));
        session.wait_for("Name? ");
        session.type_in("World\n");
        session.finish().status(0).stdout_has("Hello, World!");
    }
}

#[test]
fn foreground_and_halt_units_have_the_terminal_in_turn() {
    for mode in MODES {
        let args = [
            "--wait",
            "all",
            "-F",
            "read -p 'one? ' x; echo \"1=$x\"",
            "-F",
            "read -p 'two? ' x; echo \"2=$x\"",
            "-H",
            "read -p 'three? ' x; echo \"3=$x\"",
        ];
        let session = Session::new(Trc::with(&args).mode(mode));
        for (question, answer) in [("one? ", "a\n"), ("two? ", "b\n"), ("three? ", "c\n")] {
            session.wait_for(question);
            session.type_in(answer);
        }
        session.finish().status(0).stdout_has("1=a").stdout_has("2=b").stdout_has("3=c");
    }
}

#[test]
fn a_foreground_unit_sees_a_terminal() {
    for mode in MODES {
        for args in [&["-F", "test -t 0 && test -t 1 && tty"][..], &["tty"]] {
            let session = Session::new(Trc::with(args).mode(mode));
            session.finish().status(0).stdout_has("/dev/pts/");
        }
    }
}
