//! The notifications that units send to `NOTIFY_SOCKET`, as a user sees them.

use std::fmt::Write as _;

use crate::common;
use crate::common::{MODES, TERM, Trc, python, table};

/// A program that sends these messages one after another, and then does something.
fn sender(messages: &[&str], then: &str) -> String {
    let mut code = "import os, socket, sys\n\
                    name = os.environ['NOTIFY_SOCKET'].replace('@', chr(0))\n\
                    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
                    say = lambda text: s.sendto(text, name)\n\
                    wait = lambda: open(os.environ['W'] + '/never').read()\n"
        .to_owned();
    for message in messages {
        writeln!(code, "say(b'{message}')").unwrap();
    }
    code + then + "\n"
}

/// A service that runs this program, and a unit that is `after` it.
fn service(messages: &[&str], then: &str, rest: &str) -> Trc {
    let toml = format!(
        "[async.db]\nexec = ['{}', '-u', '${{W}}/db.py']\noutput = 'inherit'\n\
         ready.notify = true\n{rest}\n\
         [sync.app]\nafter = ['db']\nscript = 'echo app'\n",
        python()
    );
    Trc::toml(&toml).file("db.py", sender(messages, then))
}

#[test]
fn a_unit_says_that_it_is_ready() {
    for mode in MODES {
        service(&["STATUS=loading", "READY=1\\nSTATUS=up"], "wait()", "")
            .mode(mode)
            .run()
            .status(0)
            .stdout_lines(&[r"<main/\d+\]: async\.db is ready \(after [\d.]+ s\)", "app"]);
    }
}

#[test]
fn a_unit_of_another_user_says_that_it_is_ready() {
    if common::root() {
        service(&["READY=1"], "wait()", "user = 'nobody'").run().status(0).stdout_has("\napp\n");
    }
}

#[test]
fn whoever_belongs_to_a_unit_may_speak_for_it() {
    let rows = [
        (
            "a child",
            "import subprocess; subprocess.run([sys.executable, os.environ['W'] + '/ready.py']); wait()",
        ),
        (
            "a grandchild in a session of its own",
            "import subprocess; subprocess.Popen(['setsid', sys.executable, os.environ['W'] + '/ready.py']); wait()",
        ),
        (
            "an orphan",
            "import subprocess; subprocess.run(['sh', '-c', 'setsid ' + sys.executable + ' $W/ready.py &']); wait()",
        ),
    ];
    table(
        &rows,
        |row| row.0.to_owned(),
        |(_, then)| {
            service(&[], then, "").file("ready.py", sender(&["READY=1"], "")).run().status(0);
        },
    );
}

#[test]
fn nobody_else_may_speak_for_a_unit() {
    let other = format!(
        "[async.other]\nexec = ['sh', '-c', 'read x <$W/go; NOTIFY_SOCKET=$x exec {} $W/lie.py']\n",
        python()
    );
    service(
        &[],
        "print(os.environ['NOTIFY_SOCKET'], file=open(os.environ['W'] + '/go', 'w'))\nwait()",
        "",
    )
    .file("trc.d/10.toml", other)
    .file("lie.py", sender(&["READY=1", "MAINPID=1"], "wait()"))
    .signalled("which does not belong to async.", TERM)
    .status(143)
    .stdout_lacks("is ready");
}

#[test]
fn the_last_status_says_why_a_unit_is_not_ready() {
    let trc = service(&["STATUS=replaying the journal"], "wait()", "ready.within = '0.5s'");
    trc.run().status(124).stderr_has("it last said: replaying the journal");
}

#[test]
fn a_unit_may_ask_for_more_time() {
    // It is ready a second after its time, which it has extended before.
    let then = "import time\nfor i in range(5):\n say(b'EXTEND_TIMEOUT_USEC=10000000'); time.sleep(.3)\n\
                say(b'READY=1'); wait()";
    service(&[], then, "ready.within = '0.5s'").run().status(0).stdout_has("\napp\n");
}

#[test]
fn what_is_said_just_before_the_end_counts() {
    for _ in 0..20 {
        let toml_rest = "oneshot = true";
        service(&["READY=1"], "", toml_rest).run().status(0).stdout_has("\napp\n");
    }
}

#[test]
fn a_unit_that_stops_reporting_is_restarted() {
    let rest = "health = { notify = true, every = '200ms', failures = 2 }\nrestart.backoff = '1ms'";
    let then = "print('watchdog', os.environ['WATCHDOG_USEC'])\nsay(b'WATCHDOG=1')\nwait()";
    let running = service(&["READY=1"], then, rest).file("trc.d/10.toml", "wait = 'all'").spawn();
    running.wait_for_times("watchdog 200000", 2).signal(TERM);
    running.finish().status(143).stderr_has("async.db is unhealthy: it sent no WATCHDOG=1 to the socket in NOTIFY_SOCKET; restarting it");
}

#[test]
fn a_daemon_hands_over_to_its_main_process() {
    // Daemons do this: they fork twice, and the first process exits.
    let then = "import signal\n\
                r, w = os.pipe()\n\
                if os.fork() == 0:\n os.setsid()\n if os.fork() > 0: os._exit(0)\n\
                \x20signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n\
                \x20os.write(w, str(os.getpid()).encode()); os.close(w)\n\
                \x20open(os.environ['W'] + '/daemon', 'w').write(str(os.getpid()) + '\\n')\n\
                \x20signal.sigwait([signal.SIGTERM]); print('daemon stops'); sys.exit(0)\n\
                os.close(w); pid = os.read(r, 99)\n\
                say(b'MAINPID=' + pid + b'\\nREADY=1')\n";
    let running = service(&[], then, "").file("trc.d/10.toml", "wait = 'forever'").spawn();
    running.wait_for("Exiting on the foreground").signal(TERM);
    let outcome = running.finish();
    outcome.status(143).stdout_has("daemon stops\n").stderr_lacks("killing");
    let daemon = outcome.out();
    assert_eq!(daemon.matches("Exiting on the background").count(), 1, "{daemon}");
}

#[test]
fn a_flood_of_messages_holds_up_nothing() {
    let then = "import threading\nwhile True: say(b'STATUS=' + b'x' * 1000)";
    let running = service(&["READY=1"], then, "").spawn();
    running.wait_for("Exiting on the foreground");
    running.finish().status(0);
}

#[test]
fn descriptors_that_are_sent_along_are_closed() {
    // systemd-notify does this: its barrier is a pipe that closes once trc has seen the message.
    let then = "r, w = os.pipe()\n\
                import array\n\
                fds = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [w]))\n\
                s.sendmsg([b'BARRIER=1'], [fds], 0, name)\n\
                os.close(w); os.read(r, 1); say(b'READY=1'); wait()";
    service(&[], then, "").run().status(0).stdout_has("\napp\n");
}

#[test]
fn what_trcs_own_supervisor_wants_to_hear_is_not_passed_on() {
    let trc = Trc::with(&["-F", "echo ${NOTIFY_SOCKET-none} ${WATCHDOG_USEC-none}"]);
    trc.env("NOTIFY_SOCKET", "@x").env("WATCHDOG_USEC", "1").run().stdout_is("none none\n");
}

/// Receives what trc tells whatever has started it, until a line of a message begins so.
fn told_until(socket: &std::os::unix::net::UnixDatagram, line: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut bytes = [0; 4096];
    loop {
        let length = socket.recv(&mut bytes).unwrap();
        let text = String::from_utf8(bytes[..length].to_vec()).unwrap();
        let last = text.lines().any(|one| one.starts_with(line));
        all.push(text);
        if last {
            return all;
        }
    }
}

#[test]
fn whatever_has_started_trc_is_told_how_the_run_is() {
    for mode in crate::common::MODES {
        let trc = Trc::toml(
            "[async.web]\nscript = 'read x <$W/go; echo ready; exec cat $W/never'\n\
             ready = { log = '^ready$$' }\n",
        );
        let path = trc.path("up.sock");
        let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(crate::common::patience())).unwrap();
        let running = trc.env("NOTIFY_SOCKET", &path).mode(mode).spawn();
        let before = told_until(&socket, "STATUS=async.web is not ready yet");
        assert!(!before.concat().contains("READY=1"), "{before:?}");
        running.open_gate("go");
        told_until(&socket, "READY=1");
        running.signal(TERM);
        let end = told_until(&socket, "STOPPING=1");
        assert!(!end.concat().contains("READY=1"), "{end:?}");
        running.finish().status(143);
    }
}

#[test]
fn a_command_alone_tells_whatever_has_started_trc_itself() {
    let trc = Trc::with(&["sh", "-c", "echo $NOTIFY_SOCKET"]).no_work_dir();
    trc.env("NOTIFY_SOCKET", "@x").run().stdout_is("@x\n");
}
