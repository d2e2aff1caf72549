//! Services that put themselves into the background: `pid_file`.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use crate::common::{MODES, Outcome, Running, TERM, Trc, has, python, root, table};
use crate::control::Asked;
use crate::listen::free_port;

/// A configuration of nginx that puts it into the background.
fn nginx(place: &Path, port: u16) -> String {
    let place = place.display();
    format!(
        "daemon on; user root; worker_processes 2; pid {place}/nginx.pid; error_log stderr notice;\n\
         events {{}}\nhttp {{ access_log off; server {{ listen 127.0.0.1:{port}; }} }}\n"
    )
}

fn web(keys: &str, port: u16) -> Trc {
    let trc = Trc::toml(&format!(
        "[async.web]\nexec = 'nginx -c ${{W}}/nginx.conf'\n\
         restart = {{ when = 'always', backoff = '10ms..10ms' }}\n{keys}"
    ));
    let conf = nginx(&trc.path(""), port);
    trc.file("nginx.conf", conf)
}

/// A service that runs this script, in which `behind SCRIPT` runs another one as a daemon.
fn service(script: &str, keys: &str) -> Trc {
    let behind = "behind() { setsid sh -c \"$1\" & }\n";
    let toml =
        format!("[async.web]\nexec = ['sh', '${{W}}/service']\npid_file = '${{W}}/pid'\n{keys}\n");
    Trc::toml(&toml).file("service", format!("{behind}{script}\n"))
}

/// A daemon that names itself in the file, and blocks.
const DAEMON: &str = "echo $$ > $W/pid; echo up; exec cat $W/never";

#[track_caller]
fn nobody_listens(running: &Running, port: u16) {
    if TcpListener::bind(("127.0.0.1", port)).is_err() {
        running.fail(&format!("somebody listens on port {port}"));
    }
}

#[test]
fn a_daemonizing_nginx_gets_advice_and_is_killed_before_its_restart() {
    if !root() || !has("nginx") {
        return;
    }
    for mode in MODES {
        let port = free_port();
        let running = web("", port).mode(mode).spawn();
        running.wait_for_times("restarting async.web", 3).signal(TERM);
        running.wait_for_end();
        nobody_listens(&running, port);
        let outcome = running.finish();
        outcome.status(143).stderr_lacks("Address already in use").stderr_lacks("killing");
        outcome.stderr_has(
            "configure the service to stay in the foreground, or, if it cannot, set pid_file",
        );
    }
}

#[test]
fn a_daemonizing_nginx_is_supervised_as_any_other_service() {
    if !root() || !has("nginx") {
        return;
    }
    for mode in MODES {
        let port = free_port();
        let it = Asked::of(web("pid_file = '${W}/nginx.pid'\n", port).mode(mode));
        let up = |old: i64| {
            let mut pid = old;
            it.running.wait_until("another nginx is ready", || {
                let unit = it.get("/v1/units/web").body;
                pid = unit["process"]["pid"].as_i64().unwrap_or(old);
                pid != old && unit["ready"] == true
            });
            assert!(TcpStream::connect(("127.0.0.1", port)).is_ok(), "it listens");
            let named = it.running.wait_for_file("nginx.pid");
            assert_eq!(named, pid.to_string(), "its main process is the one in the file");
            pid
        };
        let first = up(0);
        // Its workers live on, and have to go.
        assert_eq!(it.post("/v1/units/web/signal?signal=KILL").status, 200);
        let second = up(first);
        assert_eq!(it.done("/v1/units/web/restart")["status"], "done");
        up(second);
        assert_eq!(it.done("/v1/units/web/stop")["status"], "done");
        nobody_listens(&it.running, port);
        assert_eq!(it.done("/v1/units/web/start")["status"], "done");
        up(0);
        it.running.signal(TERM).wait_for_end();
        nobody_listens(&it.running, port);
        let outcome = it.running.finish();
        outcome.status(143).stderr_lacks("Address already in use").stderr_lacks("killing");
        outcome
            .stderr_lacks("stay in the foreground")
            .stdout_has("async.web has put itself into the background");
    }
}

#[test]
fn a_test_run_damages_the_daemon_and_not_the_process_that_has_started_it() {
    if !root() || !has("nginx") {
        return;
    }
    let port = free_port();
    let toml = format!(
        "pid_file = '${{W}}/nginx.pid'\n[test.up]\nexpect.tcp = {port}\n\
         [test.again]\nexpect = {{ tcp = {port}, fault = {{ unit = 'web', kill = 'KILL' }} }}\n"
    );
    for mode in MODES {
        let outcome = web(&toml, port).args(&["--test"]).mode(mode).run();
        outcome.status(0).stdout_lacks("not ok");
    }
}

#[test]
fn a_service_is_ready_when_the_file_comes() {
    for mode in MODES {
        let then = "[async.app]\nexec = ['sh', '-c', 'echo app is up; exec cat $W/never']\nafter = ['web']";
        let script = format!("behind 'read x < $W/go; {DAEMON}'; echo launched");
        let running = service(&script, then).mode(mode).spawn();
        running.wait_for("launched\n").open_gate("go");
        running.wait_for("app is up\n").signal(TERM);
        let outcome = running.finish();
        outcome.status(143).stderr_lacks("left").stdout_lacks("no main process yet");
        let out = outcome.out();
        let at = |text: &str| out.find(text).unwrap_or_else(|| outcome.fail(text));
        assert!(at("its main process is ") < at("async.web is ready"), "{out}");
        assert!(at("async.web is ready") < at("app is up\n"), "{out}");
    }
}

#[test]
fn a_reload_changes_the_file_at_the_next_start() {
    let script = format!("behind 'read x < $W/go; {DAEMON}'; echo launched");
    let it = Asked::of(service(&script, ""));
    it.running.wait_for("launched\n");
    let path = it.running.path("trc.toml");
    let toml = fs::read_to_string(&path).unwrap();
    fs::write(path, toml.replace("/pid'", "/another'")).unwrap();
    assert_eq!(it.post("/v1/reload").status, 200);
    it.running.open_gate("go").wait_for("async.web is ready");
    let pid = it.running.wait_for_file("pid");
    assert_eq!(it.get("/v1/units/web").body["process"]["pid"].to_string(), pid);
    it.stop().status(143);
}

#[test]
fn the_exit_status_of_a_daemon_is_that_of_its_service() {
    for mode in MODES {
        let daemon = "echo $$ > $W/pid; read x < $W/go; exit 7";
        let running = service(&format!("behind '{daemon}'"), "").mode(mode).spawn();
        running.wait_for("its main process is").open_gate("go");
        running.finish().status(7);
    }
}

#[test]
fn a_service_fails_with_the_status_of_its_start() {
    let outcome = service("exit 5", "").run();
    outcome.status(5).stderr_has("async.web failed with status 5");
}

#[test]
fn a_daemon_that_exits_before_it_is_known_is_a_failure() {
    let lost = |outcome: &Outcome| {
        let file = outcome.path("pid").display().to_string();
        format!("async.web put itself into the background, but {file} named none of its processes")
    };
    for mode in MODES {
        let outcome = service("exit 0", "").mode(mode).run();
        outcome.status(1).stderr_has(&lost(&outcome));
        let script = "echo 4194304 > $W/pid; behind 'read x < $W/go; exit 3'";
        let running = service(script, "").mode(mode).spawn();
        running.wait_for("names 4194304, which is not one of its live processes").open_gate("go");
        let outcome = running.finish();
        let lost = format!("{}; the last one exited with 3", lost(&outcome));
        outcome.status(3).stderr_has(&lost);
    }
}

/// A daemon may be forked in more than two steps.
#[test]
fn a_daemon_outlives_the_process_that_has_stood_in_for_it() {
    let daemon = "(read x < $W/on; exit 7) & echo $! > $W/pid";
    for mode in MODES {
        let script = format!("echo 4194304 > $W/pid; behind 'read x < $W/go; {daemon}'");
        let running = service(&script, "").fifo("on").mode(mode).spawn();
        running.wait_for("names 4194304, which is not one of its live processes").open_gate("go");
        running.wait_for("its main process is").open_gate("on");
        running.finish().status(7).stderr_lacks("running");
    }
}

/// Each of these processes forks the next one and exits, perhaps while trc lists its children.
#[test]
fn a_daemon_that_is_forked_in_many_quick_steps_is_found() {
    let script = format!("f() {{ [ $1 -gt 0 ] || exec sh -c '{DAEMON}'; f $(($1 - 1)) & }}\nf 6");
    for _ in 0..20 {
        let running = service(&script, "").spawn();
        running.wait_for("its main process is").signal(TERM);
        running.finish().status(143).stderr_lacks("running");
    }
}

#[test]
fn only_a_live_process_of_the_service_is_believed() {
    let rows = [
        ("nothing", "", "/pid does not exist"),
        ("PID 1", "echo 1 > $W/pid", "has no process ID in it"),
        ("trc", "echo $PPID > $W/pid", ""),
        ("another unit", "cat $W/other > $W/pid", "is not one of its live processes"),
        (
            "a daemon of another unit",
            "cat $W/others-daemon > $W/pid",
            "is not one of its live processes",
        ),
        (
            "a process that has exited",
            "sh -c 'echo $$' > $W/pid",
            "is not one of its live processes",
        ),
        (
            "nobody",
            "echo 4194304 > $W/pid",
            "/pid names 4194304, which is not one of its live processes",
        ),
        ("a number that is too large", "echo 99999999999 > $W/pid", "has no process ID in it"),
        ("no number", "echo nginx > $W/pid", "has no process ID in it"),
        ("nothing in it", ": > $W/pid", "has no process ID in it"),
        ("a FIFO", "mkfifo $W/pid", "it is not a regular file"),
        ("a directory", "mkdir $W/pid", ""),
        (
            "a large file",
            "head -c 65 /dev/zero | tr '\\0' 1 > $W/pid",
            "it is larger than 64 bytes",
        ),
    ];
    for mode in MODES {
        table(
            &rows,
            |row| format!("{}, {mode:?}", row.0),
            |(_, write, says)| {
                let other = "ready.within = '0.3s'\nafter = ['other']\n[async.other]\nready.log = 'other is up'\n\
                             exec = ['sh', '-c', '(setsid cat $W/never & echo $! > $W/others-daemon); echo $$$$ > $W/other; echo other is up; exec cat $W/never']";
                let script = format!("{write}\nbehind 'exec cat $W/never'");
                let outcome = service(&script, other).mode(mode).run();
                let file = outcome.path("pid").display().to_string();
                let lost = format!("it put itself into the background, but {file} ");
                outcome.status(124).stderr_has(&lost).stderr_has(says);
                outcome.stdout_lacks("its main process is");
            },
        );
    }
}

/// A file from an earlier life of the container may have the ID of any process by now.
#[test]
fn a_file_from_before_the_start_is_removed() {
    let script = format!("[ -e $W/pid ] || echo removed; behind '{DAEMON}'");
    let running = service(&script, "").file("pid", "2\n").spawn();
    running.wait_for("removed\n").wait_for("its main process is").signal(TERM);
    running.finish().status(143);
}

#[test]
fn a_file_that_cannot_be_removed_does_not_keep_a_service_from_starting() {
    let script = format!("rmdir $W/pid; behind '{DAEMON}'");
    let running = service(&script, "").file("pid/x", "").before("rm $W/pid/x").spawn();
    running.wait_for("cannot remove ").wait_for("its main process is").signal(TERM);
    running.finish().status(143);
}

#[test]
fn a_daemon_that_trc_cannot_mark_is_the_one_in_the_file() {
    let script = format!("behind '{DAEMON}'; until [ -s $W/pid ]; do sleep 0.01; done");
    let running = service(&script, "limits.locks = 'unlimited'").spawn();
    running.wait_for("its main process is").signal(TERM);
    running.finish().status(143).stderr_lacks("killing");
}

#[test]
fn a_service_that_stays_in_the_foreground_needs_no_file() {
    let note = "it needs no pid_file";
    for (script, keys) in [(DAEMON, ""), ("echo up; exec cat $W/never", "ready.within = '0.3s'")] {
        let running = service(script, keys).spawn();
        running.wait_for("async.web is ready").wait_for(note).signal(TERM);
        running.finish().status(143).stdout_has("async.web stays in the foreground");
    }
}

#[test]
fn a_daemon_may_notify_trc() {
    let say = |text: &str| {
        format!(
            "import os, socket\n\
             name = os.environ['NOTIFY_SOCKET']\n\
             name = '\\0' + name[1:] if name[0] == '@' else name\n\
             text = '{text}'.replace('%', str(os.getpid())).encode()\n\
             socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(text, name)\n\
             print('said', flush=True)\n\
             open(os.environ['W'] + '/never').read(1)\n"
        )
    };
    let daemon = format!("read x < $W/go; exec {} $W/daemon.py", python());
    for (first, text) in [("", "MAINPID=%\\nREADY=1"), ("echo $$ > $W/pid; ", "READY=1")] {
        let script = format!("behind '{first}{daemon}'; echo launched");
        let trc = service(&script, "ready.notify = true").file("daemon.py", say(text));
        let running = trc.spawn();
        running.wait_for("launched\n").open_gate("go");
        running.wait_for("its main process is").wait_for("async.web is ready").signal(TERM);
        running.finish().status(143);
    }
}

#[test]
fn a_service_that_is_stopped_on_its_way_into_the_background_leaves_nothing() {
    for mode in MODES {
        // Nobody writes the file.
        let running = service("behind 'echo up; exec cat $W/never'", "").mode(mode).spawn();
        running.wait_for("up\n").signal(TERM);
        running.finish().status(143).stderr_lacks("killing");
    }
    let running = service("behind 'echo up; exec cat $W/never'; exec cat $W/never", "").spawn();
    running.wait_for("up\n").signal(TERM);
    running.finish().status(143).stderr_lacks("killing");
}
