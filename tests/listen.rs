//! Sockets that trc listens on for units: `listen`.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use crate::common::{KILL, Mode, TERM, Trc};
use crate::control::Asked;

/// Answers each connection to one of its sockets, of which the variables tell.
const SERVER: &str = "import os, select, socket, sys
assert os.environ['LISTEN_PID'] == str(os.getpid()), os.environ['LISTEN_PID']
count = int(os.environ['LISTEN_FDS'])
sockets = [socket.socket(fileno=fd) for fd in range(3, 3 + count)]
print('serves', count, flush=True)
while True:
    for ready in select.select(sockets, [], [])[0]:
        client = ready.accept()[0]
        client.sendall(str(os.getpid()).encode())
        client.close()
";

/// A port that nobody uses.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn server(listen: &str, more: &str) -> Trc {
    Trc::toml(&format!(
        "[async.web]\nexec = ['python3', '-c', '''{SERVER}''']\nlisten = {listen}\n\
         ready = {{ log = 'serves' }}\n{more}\n"
    ))
}

fn answer(mut from: impl Read) -> String {
    let mut text = String::new();
    from.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_unit_gets_the_sockets_and_the_variables_of_systemd() {
    let (port, other) = (free_port(), free_port());
    let more = "user = 'nobody'\nenv.LISTEN_FDNAMES = 'x'\n\
                health = { exec = ['sh', '-c', '! env | grep -q LISTEN_FDS='], every = '100ms', failures = 1, then = 'stop' }\n\
                [async.other]\nscript = 'env | grep LISTEN_ || echo other; exec cat $W/never'";
    let trc = server(&format!("['{port}', '127.0.0.2:{other}', '${{W}}/web/sock']"), more);
    let path = trc.path("web/sock");
    let running = trc.spawn();
    running.wait_for("serves 3\n").wait_for("other\n");
    let pid = answer(TcpStream::connect(("127.0.0.1", port)).unwrap());
    assert_eq!(answer(TcpStream::connect(("127.0.0.2", other)).unwrap()), pid);
    assert_eq!(answer(UnixStream::connect(&path).unwrap()), pid);
    let file = std::fs::metadata(&path).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o666);
    assert_ne!(file.uid(), 0, "it belongs to the user of the unit");
    running.signal(TERM);
    running.finish().status(143).stdout_lacks("LISTEN_FDS=").stdout_lacks("LISTEN_PID=");
    assert!(!path.exists(), "nothing is left of the socket");
}

#[test]
fn no_connection_is_refused_while_the_unit_is_down_for_a_restart() {
    let port = free_port();
    let trc =
        server(&format!("['127.0.0.1:{port}']"), "restart = { when = 'always', backoff = '1s' }");
    let running = trc.spawn();
    running.wait_for("serves 1\n");
    let connect = || TcpStream::connect(("127.0.0.1", port)).expect("nobody is refused");
    let first = answer(connect());
    crate::common::kill(first.parse().unwrap(), KILL);
    running.wait_for("restarting async.web");
    // It waits in the backlog.
    let second = answer(connect());
    assert_ne!(first, second);
    running.signal(TERM);
    running.finish().status(143);
}

#[test]
fn nobody_waits_for_a_unit_that_does_not_come_back() {
    let port = free_port();
    let trc = server(&format!("['127.0.0.1:{port}', '${{W}}/sock']"), "").control();
    let path = trc.path("sock");
    let it = Asked::of(trc);
    it.running.wait_for("serves 2\n");
    let connects = || TcpStream::connect(("127.0.0.1", port)).is_ok();
    assert!(connects() && path.exists());
    it.done("/v1/units/web/stop");
    it.running.wait_until("nobody listens", || !connects() && !path.exists());
    it.done("/v1/units/web/start");
    it.running.wait_for_times("serves 2\n", 2);
    assert!(connects() && path.exists());
    it.stop();
}

#[test]
fn an_address_that_is_taken_is_a_failure_that_says_so() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let outcome = server(&format!("['127.0.0.1:{port}']"), "").run();
    let says = format!(
        "cannot start async.web: cannot listen on 127.0.0.1:{port}: Address already in use"
    );
    outcome.status(126).stderr_has(&says);
}

#[test]
fn a_socket_of_a_run_that_was_killed_is_in_nobodys_way() {
    let trc = server("['${W}/sock']", "").mode(Mode::Subreaper);
    let path = trc.path("sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let running = trc.spawn();
    running.wait_for("serves 1\n");
    assert!(!answer(UnixStream::connect(&path).unwrap()).is_empty());
    running.signal(TERM);
    running.finish().status(143);
}

#[test]
fn a_link_that_the_user_of_a_unit_has_put_in_the_way_is_not_followed() {
    let trc = server("['${W}/theirs/in/sock']", "user = 'nobody'");
    let (theirs, mine) = (trc.path("theirs"), tempfile::tempdir().unwrap());
    std::fs::create_dir(&theirs).unwrap();
    std::os::unix::fs::symlink(mine.path(), theirs.join("in")).unwrap();
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    let (uid, gid) = (Some(nobody.uid.as_raw()), Some(nobody.gid.as_raw()));
    std::os::unix::fs::chown(&theirs, uid, gid).unwrap();
    std::os::unix::fs::lchown(theirs.join("in"), uid, gid).unwrap();
    trc.run().status(126).stderr_has("is a symbolic link that nobody may have made");
    assert_eq!(std::fs::read_dir(mine.path()).unwrap().count(), 0);
}

/// A real server under load.
#[test]
#[ignore = "it takes half a minute"]
fn wrk_finds_no_refused_connection_across_fifty_restarts_of_gunicorn() {
    let port = free_port();
    let app = "def app(environ, start):\n    start('200 OK', [('Content-Length', '6')])\n    return [b'hello\\n']\n";
    let toml = format!(
        "[async.web]\nexec = 'gunicorn --workers 2 app:app'\ncwd = '${{W}}'\n\
         listen = ['127.0.0.1:{port}']\nready = {{ http = 'http://127.0.0.1:{port}/', within = '30s' }}\n"
    );
    let it = Asked::of(Trc::toml(&toml).file("app.py", app).control());
    it.get("/v1/units/web?wait=ready&for=30s");
    let wrk = Command::new("wrk")
        .args(["-t1", "-c20", "-d300", &format!("http://127.0.0.1:{port}/")])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    for _ in 0..50 {
        it.done("/v1/units/web/restart");
    }
    crate::common::kill(wrk.id().try_into().unwrap(), crate::common::INT);
    let said = String::from_utf8(wrk.wait_with_output().unwrap().stdout).unwrap();
    assert!(said.contains("requests in"), "{said}");
    let errors = said.lines().find(|line| line.contains("Socket errors"));
    assert!(errors.is_none_or(|line| line.contains("connect 0,")), "{said}");
    println!("{said}");
    it.stop();
}
