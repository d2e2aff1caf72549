//! The run ends in time, even if a process cannot be killed or nobody reads the output.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use crate::common;
use crate::common::{TERM, Trc, copy, has, kill, root, terminal};

/// Makes trc run as a user that cannot signal root's processes.
const NOBODY: [&str; 5] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"];

/// As a plain child, trc sends SIGKILL once more when it exits, which may take two seconds, but not
/// to processes that have already survived it.
#[test]
fn what_can_t_be_killed_does_not_stretch_the_budget() {
    let _alone = common::alone();
    if !root() || !has("setpriv") {
        return;
    }
    let trc = Trc::toml(
        "shutdown.timeout = '4s'\n[sync.immortal]\n\
         exec = ['${W}/setpriv', '--reuid=0', '--clear-groups', 'sh', '-c', 'echo up; echo $$$$; read x < $W/never']\n\
         stop.timeout = '100ms'\n",
    );
    // This program makes its caller root, so that its parent cannot signal it.
    let immortal = trc.path("setpriv");
    copy("/usr/bin/setpriv", &immortal);
    fs::set_permissions(&immortal, fs::Permissions::from_mode(0o4755)).unwrap();
    let running = trc.wrap(&NOBODY).survivors_allowed().spawn();
    running.wait_for("up\n");
    let told = Instant::now();
    running.signal(TERM).wait_for_end();
    let took = told.elapsed();
    running.processes().iter().for_each(|process| kill(process.pid, common::KILL));
    let outcome = running.finish();
    outcome.stderr_has("could not be killed");
    assert!(took < Duration::from_millis(5500), "it took {took:?}");
}

/// If the terminal belongs to another user, a child writes to it, as long as somebody reads.
#[test]
fn a_terminal_that_was_stopped_does_not_hold_up_the_end() {
    let _alone = common::alone();
    if !root() || !has("setpriv") {
        return;
    }
    let pty = terminal();
    // Ctrl-S.
    let mut master = fs::File::from(pty.master.try_clone().unwrap());
    master.write_all(b"\x13").unwrap();
    let trc = Trc::toml("[sync.web]\nscript = 'echo > $W/done; exit 3'\n")
        .terminal(&pty.slave)
        .wrap(&NOBODY);
    fs::set_permissions(trc.dir(), fs::Permissions::from_mode(0o777)).unwrap();
    let running = trc.spawn();
    running.wait_for_file("done");
    let done = Instant::now();
    running.wait_for_end();
    let took = done.elapsed();
    running.finish().status(3);
    assert!(took < Duration::from_millis(2500), "it took {took:?}");
}
