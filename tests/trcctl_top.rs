//! `trcctl top` on a real terminal: what it asks trc for, and how it leaves the terminal.

use std::fs::File;
use std::io::Write;
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::termios::{LocalFlags, tcgetattr};

use crate::common;
use crate::common::{HUP, Mode, Outcome, Running, TERM, Trc, root};
use crate::control::Asked;

const TRCCTL: &str = env!("CARGO_BIN_EXE_trcctl");
const CTRL_C: &str = "\x03";
const CTRL_L: &str = "\x0c";
const CTRL_Z: &str = "\x1a";
const DOWN: &str = "\x1b[B";
/// Terminals change to the other screen and back by these: xterm's private modes.
const OTHER_SCREEN: &str = "\x1b[?1049h";
const USUAL_SCREEN: &str = "\x1b[?1049l";

const UNITS: &str = "wait = 'forever'\n\
    [async.db]\nscript = 'echo up; exec cat $W/never'\nready = { log = '^up$$' }\n\
    [async.web]\nscript = 'echo listening; exec cat $W/never'\nafter = ['db']\n\
    reload = { exec = ['sh', '-c', 'echo reloaded >>$W/reloads'] }\n";

/// A run with a control socket, on which it listens.
fn container(toml: &str) -> (Running, PathBuf) {
    let Asked { running, socket } = Asked::new(toml, Mode::Subreaper);
    (running, socket)
}

/// Returns what `trcctl` prints.
fn trcctl(socket: &Path, words: &str) -> String {
    let words = words.split_whitespace();
    let output = Command::new(TRCCTL).args(words).env("TRC_SOCKET", socket).output().unwrap();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

/// `trcctl top` on a terminal of its own, and somebody who types.
struct Top {
    running: Running,
    master: OwnedFd,
    slave: OwnedFd,
}

impl Top {
    fn new(socket: &Path) -> Self {
        Self::of(Trc::new().program(TRCCTL).args(&["top", "--color", "always"]), socket, &[])
    }

    /// An interactive bash leads the session.
    fn in_a_shell(socket: &Path) -> Self {
        Self::of(Trc::new().program("bash").args(&["--norc", "--noprofile", "-i"]), socket, &[])
    }

    fn of(program: Trc, socket: &Path, wrap: &[&str]) -> Self {
        let pty = common::terminal();
        size(&pty.slave, "24 80");
        let running = program
            .no_work_dir()
            .env("TRC_SOCKET", socket)
            .env("TERM", "xterm")
            .env("PS1", "PROMPT> ")
            .terminal(&pty.slave)
            .wrap(&[&["setsid", "--ctty"], wrap].concat())
            .spawn();
        running.read_terminal(&pty.master);
        Self { running, master: pty.master, slave: pty.slave }
    }

    fn type_in(&self, text: &str) -> &Self {
        File::from(self.master.try_clone().unwrap()).write_all(text.as_bytes()).unwrap();
        self
    }

    /// Returns whether the terminal shows what is typed, line by line, as it does without a program
    /// that has changed it.
    fn is_as_usual(&self) -> bool {
        let flags = tcgetattr(&self.slave).unwrap().local_flags;
        flags.contains(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG)
    }

    #[track_caller]
    fn finish(self) -> Outcome {
        let Self { running, master, slave } = self;
        running.wait_for_end();
        drop(slave);
        let outcome = running.finish();
        drop(master);
        outcome
    }
}

impl Deref for Top {
    type Target = Running;
    fn deref(&self) -> &Running {
        &self.running
    }
}

fn size(slave: &OwnedFd, rows_and_columns: &str) {
    let (rows, columns) = rows_and_columns.split_once(' ').unwrap();
    let terminal = Stdio::from(slave.try_clone().unwrap());
    let status =
        Command::new("stty").args(["rows", rows, "cols", columns]).stdin(terminal).status();
    assert!(status.unwrap().success());
}

#[test]
fn keys_change_what_runs() {
    let (container, socket) = container(UNITS);
    container.wait_until("all is up", || trcctl(&socket, "health").starts_with("ready"));
    let top = Top::new(&socket);
    top.wait_for(OTHER_SCREEN)
        .wait_for("async.db")
        .wait_for("async.web")
        .wait_for("│ ")
        .wait_for("up");
    let shows =
        |unit: &str, state: &str| trcctl(&socket, &format!("status {unit}")).contains(state);
    // A stop has to be confirmed, and names the units that are after it.
    top.type_in("x").wait_for("stop async.db and hold it?").wait_for("after it: async.web");
    top.type_in("n").type_in(DOWN).wait_for("listening");
    top.type_in("x").wait_for("stop async.web and hold it?");
    assert!(shows("web", "running"));
    top.type_in("y");
    container.wait_until("it is held", || shows("web", "held"));
    top.type_in("s");
    container.wait_until("it runs again", || shows("web", "running"));
    top.type_in("l");
    container.wait_for_file("reloads");
    let pid = || {
        trcctl(&socket, "status --json web")
            .lines()
            .find(|l| l.contains("\"pid\""))
            .map(str::to_owned)
    };
    let before = pid();
    top.type_in("r");
    container.wait_until("it is another process", || pid().is_some() && pid() != before);
    top.type_in("q");
    top.finish().status(0).stdout_has(USUAL_SCREEN);
    container.signal(TERM).wait_for_end();
}

#[test]
fn the_terminal_is_left_as_it_was_whatever_ends_it() {
    let (container, socket) = container(UNITS);
    for (how, status, killed) in [
        ("q", 0, None),
        (CTRL_C, 0, None),
        ("TERM", 128 + TERM, Some(TERM)),
        ("HUP", 128 + HUP, Some(HUP)),
    ] {
        let top = Top::new(&socket);
        top.wait_for("async.db");
        assert!(!top.is_as_usual());
        match how {
            "TERM" => _ = top.signal(TERM),
            "HUP" => _ = top.signal(HUP),
            keys => _ = top.type_in(keys),
        }
        top.wait_for_end().wait_for(USUAL_SCREEN);
        assert!(top.is_as_usual(), "after {how:?}");
        let outcome = top.finish();
        assert_eq!((outcome.status, outcome.killed), (status, killed), "after {how:?}");
    }
    container.signal(TERM).wait_for_end();
}

#[test]
fn it_can_be_suspended_and_goes_on_where_it_was() {
    let (container, socket) = container(UNITS);
    let top = Top::in_a_shell(&socket);
    top.wait_for("PROMPT> ");
    top.type_in(&format!("{TRCCTL} top\n"));
    // The head of the table is drawn once for each whole screen.
    top.wait_for("MEMORY");
    top.type_in(CTRL_L).wait_for_times("MEMORY", 2);
    top.type_in(CTRL_Z).wait_for("Stopped").wait_for(USUAL_SCREEN);
    top.wait_for_times("PROMPT> ", 2);
    top.type_in("fg\n").wait_for_times(OTHER_SCREEN, 2);
    top.wait_for_times("MEMORY", 3);
    top.type_in("q").wait_for_times("PROMPT> ", 3);
    top.type_in("echo status=$?\n").wait_for("status=0");
    top.type_in("exit 5\n");
    top.finish().status(5);
    container.signal(TERM).wait_for_end();
}

#[test]
fn a_trc_that_is_gone_is_waited_for() {
    let (first, socket) = container(UNITS);
    let top = Top::new(&socket);
    top.wait_for("async.db");
    first.signal(TERM).wait_for_end();
    top.wait_for("trc is gone: no trc listens on").wait_for("waiting for it");
    let again = Trc::toml("[async.other]\nscript = 'exec cat $W/never'\n")
        .env("TRC_CONTROL__SOCKET", &socket)
        .spawn();
    top.wait_for("async.other");
    top.type_in("q");
    top.finish().status(0);
    again.signal(TERM).wait_for_end();
}

#[test]
fn a_terminal_of_another_size_is_drawn_on_anew() {
    let (container, socket) = container(UNITS);
    let top = Top::new(&socket);
    top.wait_for("MEMORY");
    size(&top.slave, "4 18");
    // A blank cell is skipped, so only single words come as they are.
    top.wait_for("small");
    size(&top.slave, "24 100");
    top.wait_for_times("MEMORY", 2);
    top.type_in("q");
    top.finish().status(0);
    container.signal(TERM).wait_for_end();
}

#[test]
fn whoever_may_only_look_is_told_so() {
    if !root() {
        return;
    }
    let (container, socket) =
        container(&format!("{UNITS}[control]\nallow = {{ nobody = 'read' }}\n"));
    let program = container.path("trcctl");
    assert!(Command::new("cp").arg(TRCCTL).arg(&program).status().unwrap().success());
    let run = Trc::new().program(&program).args(&["top", "--color", "always"]);
    let user = ["setpriv", "--reuid=nobody", "--clear-groups"];
    let top = Top::of(run, &socket, &user);
    top.wait_for("async.db");
    top.type_in("r").wait_for("[control] allow");
    top.type_in("q");
    top.finish().status(0);
    container.signal(TERM).wait_for_end();
}

#[test]
fn it_needs_a_terminal_and_a_trc() {
    let top = |socket: &Path, terminal: bool| {
        if terminal {
            return Top::new(socket).finish();
        }
        Trc::new().no_work_dir().program(TRCCTL).args(&["top"]).env("TRC_SOCKET", socket).run()
    };
    let nowhere = Path::new("/nonexistent/trc.sock");
    top(nowhere, false).status(64).stderr_has("top needs a terminal").stdout_is("");
    top(nowhere, true).status(69).stdout_has("no trc listens on").stdout_lacks(OTHER_SCREEN);
}
