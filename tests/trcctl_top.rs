//! `trcctl top` on a real terminal: what it asks trc for, and how it leaves the terminal.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::libc::{SIGCONT, SIGSTOP};
use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, UnixAddr};

use crate::common::typist::{Typist, stty};
use crate::common::{HUP, Mode, Running, TERM, Trc, root, state_of, terminal};
use crate::control::Asked;

const TRCCTL: &str = env!("CARGO_BIN_EXE_trcctl");
const CTRL_C: &str = "\x03";
const CTRL_L: &str = "\x0c";
const CTRL_Z: &str = "\x1a";
const UP: &str = "\x1b[A";
const DOWN: &str = "\x1b[B";
/// Terminals change to the other screen and back by these: xterm's private modes.
const OTHER_SCREEN: &str = "\x1b[?1049h";
const USUAL_SCREEN: &str = "\x1b[?1049l";

/// A cell that stays the same is not drawn again, so the outputs have no letter in the same place.
const UNITS: &str = "wait = 'forever'\n\
    [async.db]\nscript = 'echo accepts; exec cat $W/never'\nready = { log = '^accepts$$' }\n\
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

/// `trcctl top` as somebody types it.
fn program() -> Trc {
    Trc::new().program(TRCCTL).args(&["top", "--color", "always"])
}

/// Starts a program on a terminal.
fn start(program: Trc, socket: &Path) -> Typist {
    let program = program.no_work_dir().env("TRC_SOCKET", socket).env("TERM", "xterm");
    Typist::new(program.env("PS1", "PROMPT> "))
}

fn top(socket: &Path) -> Typist {
    start(program(), socket)
}

#[test]
fn keys_change_what_runs() {
    let (container, socket) = container(UNITS);
    container.wait_until("all is up", || trcctl(&socket, "health").starts_with("ready"));
    let top = top(&socket);
    top.wait_for(OTHER_SCREEN)
        .wait_for("async.db")
        .wait_for("async.web")
        .wait_for("│ ")
        // The output of the selected unit.
        .wait_for("accepts");
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
        let top = top(&socket);
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

/// A kernel that hangs a terminal up sends SIGHUP, and refuses everything that is written to it.
#[test]
fn it_is_terminated_by_sighup_when_its_terminal_goes_away() {
    let (container, socket) = container(UNITS);
    let pty = terminal();
    stty(&pty.slave, "rows 24 cols 80");
    let program = program().no_work_dir().env("TRC_SOCKET", &socket).env("TERM", "xterm");
    let top = program.terminal(&pty.slave).wrap(&["setsid", "--ctty"]).spawn();
    drop(pty.slave);
    let (mut master, mut said) = (File::from(pty.master), Vec::new());
    while !String::from_utf8_lossy(&said).contains("async.db") {
        let mut bytes = [0; 4096];
        let count = master.read(&mut bytes).unwrap();
        said.extend(&bytes[..count]);
    }
    drop(master);
    assert_eq!(top.finish().killed, Some(HUP));
    container.signal(TERM).wait_for_end();
}

/// Connects until the queue of those who wait for a suspended trc is full.
fn crowd(socket: &Path) -> Vec<std::os::fd::OwnedFd> {
    use std::os::fd::AsRawFd;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let address = UnixAddr::new(socket).unwrap();
    let connect = || {
        let one = socket::socket(AddressFamily::Unix, SockType::Stream, flags, None).unwrap();
        socket::connect(one.as_raw_fd(), &address).is_ok().then_some(one)
    };
    std::iter::from_fn(connect).collect()
}

/// Each key that selects another unit used to start a thread that waited for trc.
#[test]
fn keys_pile_nothing_up_while_trc_is_suspended() {
    let (container, socket) = container(UNITS);
    let top = top(&socket);
    top.wait_for("accepts");
    container.signal(SIGSTOP);
    container.wait_until("trc is suspended", || state_of(container.pid()) == Some('T'));
    let crowd = crowd(&socket);
    let count = |of: &str| fs::read_dir(format!("/proc/{}/{of}", top.pid())).unwrap().count();
    let before = count("task");
    for _ in 0..20 {
        top.type_in(DOWN).type_in(UP);
    }
    // What the help says comes last.
    top.type_in("?").wait_for("PgDn");
    assert_eq!(count("task"), before);
    assert!(count("fd") < 20, "{} descriptors", count("fd"));
    drop(crowd);
    container.signal(SIGCONT);
    top.type_in("q").type_in(DOWN).wait_for("listening");
    top.type_in("q");
    top.finish().status(0);
    container.signal(TERM).wait_for_end();
}

#[test]
fn it_can_be_suspended_and_goes_on_where_it_was() {
    let (container, socket) = container(UNITS);
    let shell = Trc::new().program("bash").args(&["--norc", "--noprofile", "-i"]);
    let top = start(shell, &socket);
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
    let top = top(&socket);
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
    let top = top(&socket);
    top.wait_for("MEMORY");
    top.stty("rows 4 cols 18");
    // A blank cell is skipped, so only single words come as they are.
    top.wait_for("small");
    top.stty("rows 24 cols 100");
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
    let copy = container.path("trcctl");
    assert!(Command::new("cp").arg(TRCCTL).arg(&copy).status().unwrap().success());
    let user = ["setpriv", "--reuid=nobody", "--clear-groups"];
    let top = start(program().program(&copy).wrap(&user), &socket);
    top.wait_for("async.db");
    top.type_in("r").wait_for("[control] allow");
    top.type_in("q");
    top.finish().status(0);
    container.signal(TERM).wait_for_end();
}

#[test]
fn it_needs_a_terminal_and_a_trc() {
    let nowhere = Path::new("/nonexistent/trc.sock");
    let without = program().no_work_dir().env("TRC_SOCKET", nowhere).run();
    without.status(64).stderr_has("top needs a terminal").stdout_is("");
    top(nowhere).finish().status(69).stdout_has("no trc listens on").stdout_lacks(OTHER_SCREEN);
}
