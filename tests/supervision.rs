//! Readiness, health, restarts and `max_runtime`, as a user sees them.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use crate::common;
use crate::common::{MODES, Running, TERM, Trc, UNTIL_TRAP, USR1, patience, root, table};
use nix::libc::{SIGCONT as CONT, SIGSTOP as STOP};

/// A unit that becomes ready by `ready` after its gate was opened, and a unit that is `after` it.
fn gated(ready: &str, then: &str) -> String {
    format!(
        "[async.db]\noutput = 'prefix'\nready = {{ {ready}, within = '25s' }}\n\
         script = '''read x <$W/go; {then}; exec cat $W/never'''\n\
         [sync.app]\nafter = ['db']\nscript = 'echo app'\n"
    )
}

#[test]
fn what_is_after_a_unit_starts_when_its_probe_has_passed() {
    let rows = [
        ("file", "file = '${W}/ready'", "echo >$W/ready"),
        ("exec", "exec = 'test -e ${W}/ready'", "echo >$W/ready"),
        ("log", "log = '^listening on [0-9]+$$'", "echo starting; echo listening on 80"),
        ("log on standard error", "log = 'ready'", "echo ready >&2"),
        (
            "the second line of the log",
            "log = { pattern = 'ready', count = 2 }",
            "echo ready >&2; echo ready again",
        ),
        ("fd", "fd = 5", "echo >&5"),
    ];
    for mode in MODES {
        table(
            &rows,
            |row| row.0.to_owned(),
            |(_, ready, then)| {
                let running = Trc::toml(&gated(ready, then)).mode(mode).spawn();
                running.wait_for("Launching on the background");
                running.open_gate("go");
                running.finish().status(0).stdout_lines(&[
                    r"<async/\d+\]: Launching on the background: db: .*",
                    r"<main/\d+\]: async\.db is ready \(after [\d.]+ s\)",
                    r"<sync/\d+\]: Launching on the foreground: app: echo app",
                    "app",
                ]);
            },
        );
    }
}

#[test]
fn sockets_are_waited_for_until_somebody_listens() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let toml = |probe: String| {
        format!(
            "[async.db]\nexec = 'cat ${{W}}/never'\nready = {{ {probe}, within = '25s' }}\n\
             [sync.app]\nafter = ['db']\nscript = 'echo app'\n"
        )
    };
    let tcp = Trc::toml(&toml(format!("tcp = '{address}'"))).spawn();
    let unix = Trc::toml(&toml(format!("unix = '{}'", path.display()))).spawn();
    for running in [&tcp, &unix] {
        running.wait_for("Launching on the background");
    }
    let _tcp = TcpListener::bind(address).unwrap();
    let _unix = UnixListener::bind(&path).unwrap();
    for running in [tcp, unix] {
        running.finish().status(0).stdout_has("async.db is ready").stdout_has("\napp\n");
    }
}

#[test]
fn http_is_waited_for_until_the_answer_is_right() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    #[expect(clippy::disallowed_methods, reason = "a server beside trc")]
    let server = std::thread::spawn(move || {
        for code in [503, 404, 200] {
            let (mut stream, _) = listener.accept().unwrap();
            _ = stream.read(&mut [0; 1000]);
            write!(stream, "HTTP/1.1 {code} Whatever\r\n\r\n").unwrap();
        }
    });
    let toml = format!(
        "[async.db]\nexec = 'cat ${{W}}/never'\nready.http = 'http://{address}/'\n\
         [sync.app]\nafter = ['db']\nscript = 'echo app'\n"
    );
    Trc::toml(&toml).run().status(0).stdout_has("\napp\n");
    server.join().unwrap();
}

#[test]
fn what_is_not_ready_in_time_has_failed_with_124_and_the_last_line_says_why() {
    let refused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let rows = [
        (format!("tcp = '{refused}'"), format!("{refused}: connection refused")),
        (format!("http = 'http://{refused}/x'"), format!("http://{refused}/x: connection refused")),
        ("unix = '/no/socket'".to_owned(), "/no/socket: no such file or directory".to_owned()),
        ("file = '/no/file'".to_owned(), "/no/file: no such file or directory".to_owned()),
        (
            "exec = ['sh', '-c', 'echo no luck >&2; exit 3']".to_owned(),
            "failed with status 3: no luck".to_owned(),
        ),
        (
            "exec = 'no-such-command'".to_owned(),
            "no-such-command: command not found in PATH".to_owned(),
        ),
        (
            "exec = 'cat ${W}/never', timeout = '0.1s'".to_owned(),
            "did not exit within 0.1 s".to_owned(),
        ),
        ("tcp = 'no-such-host.invalid:1'".to_owned(), "no-such-host.invalid:1: ".to_owned()),
        (
            "notify = true".to_owned(),
            "it sent no READY=1 to the socket in NOTIFY_SOCKET".to_owned(),
        ),
        ("fd = 3".to_owned(), "it wrote no newline to descriptor 3".to_owned()),
    ];
    table(
        &rows,
        |row| row.0.clone(),
        |(probe, why)| {
            let toml = format!(
                "[async.db]\nexec = 'cat ${{W}}/never'\nready = {{ {probe}, within = '0.4s' }}\n\
                 [sync.app]\nafter = ['db']\nscript = 'echo app'\n"
            );
            let outcome = Trc::toml(&toml).run();
            outcome.status(124).stdout_lacks("\napp\n");
            outcome.stderr_has("async.db was not ready within 0.4 s: ").stderr_has(why);
            outcome.stderr_has(
                "cannot start sync.app: it waits for async.db, which was not ready in time",
            );
        },
    );
}

#[test]
fn the_first_of_two_lines_does_not_make_a_unit_ready() {
    let outcome = Trc::toml(
        "[async.db]\nscript = 'echo ready; echo other; exec cat $W/never'\n\
         ready = { log = { pattern = '^ready$$', count = 2 }, within = '0.4s' }\n",
    )
    .run();
    let why = "async.db was not ready within 0.4 s: fewer than 2 lines of its output match";
    outcome.status(124).stderr_has(why);
}

/// The unit used to be ready at once, because of what an earlier start had left.
#[test]
fn a_file_from_before_the_start_says_nothing_of_readiness() {
    let rows = [
        ("written again", "echo >$W/ready"),
        ("made anew", "rm $W/ready; echo >$W/ready"),
        ("touched", "touch $W/ready"),
    ];
    for mode in MODES {
        table(
            &rows,
            |row| row.0.to_owned(),
            |(_, then)| {
                let toml = "log.level = 'debug'\n".to_owned()
                    + &gated("file = '${W}/ready'", then)
                        .replace("script = 'echo app'", "script = 'echo app; test -e $W/opened'");
                let running = Trc::toml(&toml).mode(mode).file("ready", "").spawn();
                running.wait_for(
                    "/ready: it existed before the start, and nothing has written to it since",
                );
                std::fs::write(running.path("opened"), "").unwrap();
                running.open_gate("go");
                running.finish().status(0).stdout_has("async.db is ready").stdout_has("\napp\n");
            },
        );
    }
    // The second start finds what the first one has left.
    let toml = "[async.db]\nready = { file = '${W}/ready', within = '0.5s' }\nrestart = { when = 'always', max = 1, backoff = '1ms' }\n\
                script = 'test ! -e $W/ready || exec cat $W/never; echo >$W/ready; read x <$W/go; exit 3'\n";
    let running = Trc::toml(toml).spawn();
    running.wait_for("async.db is ready");
    running.open_gate("go");
    let outcome = running.finish();
    outcome.status(124).stderr_has("/ready: it existed before the start");
    // An external unit has no start.
    let toml = "[async.db]\nready = { file = '${W}/ready', within = '20s' }\n[sync.app]\nafter = ['db']\nscript = 'echo app'\n";
    Trc::toml(toml).file("ready", "").run().status(0).stdout_has("\napp\n");
}

/// This used to be ten equal lines a second at level debug, and none at info.
#[test]
fn what_is_waited_for_is_told_with_each_new_reason_and_not_at_each_try() {
    let refused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let why = format!("{refused}: connection refused; ");
    let toml = |level: &str, within: &str| {
        format!(
            "log.level = '{level}'\n[async.db]\nready = {{ tcp = '{refused}', within = '{within}' }}\n\
             [sync.app]\nafter = ['db']\nscript = 'echo app'\n"
        )
    };
    // A short wait is not worth a message.
    let outcome = Trc::toml(&toml("info", "0.5s")).run();
    outcome.status(124).stdout_lacks("not ready yet").stderr_has(&why).stderr_has("listening port");
    let outcome = Trc::toml(&toml("info", "1.8s")).run();
    outcome.status(124).stdout_has(&format!("async.db is not ready yet: {why}"));
    assert_eq!(outcome.out().matches("not ready yet").count(), 1, "{}", outcome.out());
    let outcome = Trc::toml(&toml("debug", "1.8s")).run();
    let told = outcome.out() + &outcome.err();
    assert_eq!(told.matches(&format!("async.db: {why}")).count(), 1, "{told}");

    // trc logs a new reason at once.
    let running = Trc::toml(&toml("info", "25s")).spawn();
    running.wait_for(&format!("async.db is not ready yet: {why}"));
    let toml = "log.level = 'info'\n[async.db]\nready = { exec = ['sh', '-c', 'test -e $W/up || { test ! -e $W/near || { echo near; exit 1; }; echo far; exit 1; }'], within = '25s' }\n\
                [sync.app]\nafter = ['db']\nscript = 'echo app'\n";
    let other = Trc::toml(&toml.replace("$W", "$$W")).spawn();
    other.wait_for("failed with status 1: far");
    std::fs::write(other.path("near"), "").unwrap();
    other.wait_for("failed with status 1: near");
    std::fs::write(other.path("up"), "").unwrap();
    let outcome = other.finish();
    outcome.status(0).stdout_has("\napp\n");
    for reason in ["far", "near"] {
        let line = format!("status 1: {reason}\n");
        assert_eq!(outcome.out().matches(&line).count(), 1, "{}", outcome.out());
    }
    let _listener = TcpListener::bind(refused).unwrap();
    running.finish().status(0);
}

/// Suspends these processes for this time.
#[expect(clippy::disallowed_methods, reason = "it is about time")]
fn stand_still(running: &Running, pids: &[i32], time: Duration, meanwhile: impl FnOnce()) {
    let began = Instant::now();
    for pid in pids {
        common::kill(*pid, STOP);
        running.wait_until("it stands still", || common::state_of(*pid) == Some('T'));
    }
    meanwhile();
    running.wait_until("time has passed", || began.elapsed() >= time);
    // trc is the first to stand still and the last to go on.
    for pid in pids.iter().rev() {
        common::kill(*pid, CONT);
    }
}

/// trc used to report that the unit was not ready in time, although it was, or had no time to
/// become ready.
#[test]
fn a_unit_that_became_ready_while_trc_stood_still_is_ready() {
    let rows = [
        ("file", "file = '${W}/ready'", "echo >$W/ready"),
        ("exec", "exec = 'test -e ${W}/ready'", "echo >$W/ready"),
        ("log", "log = '^ready$$'", "echo ready; echo >$W/ready"),
        ("fd", "fd = 5", "echo >&5; echo >$W/ready"),
    ];
    for mode in MODES {
        table(
            &rows,
            |row| row.0.to_owned(),
            |(_, ready, then)| {
                let toml = gated(ready, then)
                    .replace("'25s'", "'4s', every = '1s'")
                    .replace("read x", "echo >$W/up; read x");
                let running = Trc::toml(&toml).mode(mode).spawn();
                running.wait_for_file("up");
                stand_still(&running, &[running.pid()], Duration::from_secs(5), || {
                    running.open_gate("go");
                    running.wait_for_file("ready");
                });
                let outcome = running.finish();
                outcome.status(0).stdout_has("async.db is ready").stdout_has("\napp\n");
            },
        );
    }
}

/// Lets these processes run before all others, if this user may do that.
#[expect(unsafe_code, reason = "nix does not have it")]
fn go_first(pids: &[i32]) {
    for pid in pids {
        // SAFETY: setpriority(2) touches no memory.
        unsafe { nix::libc::setpriority(nix::libc::PRIO_PROCESS, pid.cast_unsigned(), -20) };
    }
}

/// trc used to kill the unit in the same second in which it asked it to stop.
#[test]
fn a_unit_that_stood_still_together_with_trc_has_its_time_to_stop() {
    for mode in MODES {
        let toml = "[sync.app]\nstop.timeout = '3s'\n\
            script = 'trap \"read x <$W/go; exit 7\" TERM; UNTIL_TRAP'\n";
        let running = Trc::toml(&toml.replace("UNTIL_TRAP", UNTIL_TRAP)).mode(mode).spawn();
        running.wait_for("\nready\n");
        let shell = running.processes().into_iter().find(|one| one.command.contains("bash -c"));
        let shell = shell.expect("the unit's shell").pid;
        // On a busy machine, others may use up the half second that the unit has.
        go_first(&[running.pid(), shell]);
        running.signal(USR1);
        running.wait_for("terminating the child process");
        // It need not wait for somebody to open the gate: it has half a second when it goes on.
        let mut gate = File::options().read(true).write(true).open(running.path("go")).unwrap();
        stand_still(&running, &[running.pid(), shell], Duration::from_secs(4), || {
            gate.write_all(b"\n").unwrap();
        });
        let outcome = running.finish();
        outcome.status(138).stderr_lacks("did not exit in time").stdout_has("(exitcode=7)");
    }
}

/// Each attempt that had passed meanwhile used to count as too late.
#[test]
fn a_probes_command_that_ended_while_trc_stood_still_has_ended_in_time() {
    let toml = "[async.db]\nexec = 'cat ${W}/never'\n\
                health = { exec = ['sh', '-c', 'echo >$W/asked; read x <$W/go; echo >$W/answered'], every = '10ms', timeout = '3s', failures = 1 }\n";
    let running = Trc::toml(&toml.replace("$W/", "$$W/")).spawn();
    running.wait_for_file("asked");
    stand_still(&running, &[running.pid()], Duration::from_secs(4), || {
        running.open_gate("go");
        running.wait_for_file("answered");
    });
    // The next attempt shows that the previous one has passed.
    std::fs::remove_file(running.path("asked")).unwrap_or_default();
    running.open_gate("go");
    running.wait_for_file("asked");
    running.signal(TERM);
    let outcome = running.finish();
    outcome.status(143).stderr_lacks("not healthy");
}

#[test]
fn a_probes_command_may_flood_hang_or_be_killed() {
    let rows = [
        ("exec = 'yes', timeout = '0.1s'", "`yes` did not exit within 0.1 s"),
        ("exec = ['sh', '-c', 'seq 100000; exit 4']", "failed with status 4: 100000"),
        ("exec = ['sh', '-c', 'kill -9 $$$$']", "was killed by SIGKILL"),
        // Its child outlives it for a while, and keeps its output open.
        ("exec = ['sh', '-c', 'cat ${W}/never & exit 5']", "failed with status 5"),
    ];
    table(
        &rows,
        |row| row.0.to_owned(),
        |(probe, why)| {
            let toml = format!(
                "[async.db]\nexec = 'cat ${{W}}/never'\nready = {{ {probe}, within = '0.5s' }}\n"
            );
            Trc::toml(&toml).run().status(124).stderr_has(why);
        },
    );
}

#[test]
fn commands_of_a_unit_that_has_a_terminal_do_not_need_it() {
    let pty = common::terminal();
    let path = nix::unistd::ttyname(&pty.slave).unwrap();
    let toml = format!(
        "[async.db]\ntty = '{}'\nexec = 'cat ${{W}}/never'\nready.exec = 'true'\n\
         stop.exec = ['sh', '-c', 'kill -KILL $TRC_PID']\n\
         [sync.app]\nafter = ['db']\nscript = 'echo app'\n",
        path.display()
    );
    let outcome = Trc::toml(&toml.replace("$TRC", "$$TRC")).run();
    outcome.status(0).stdout_has("async.db is ready").stdout_has("\napp\n");
    outcome.stderr_lacks("stop command").stderr_lacks("KILL");
}

/// Runs trc with its own `hosts` and `resolv.conf` from its directory.
fn with_names(toml: &str, hosts: &str, server: &str) -> Trc {
    let trc = Trc::toml(toml)
        .file("hosts", hosts)
        .file("resolv.conf", format!("nameserver {server}\n"))
        .file("nsswitch.conf", "hosts: files dns\n");
    let words: &[&str] =
        if root() { &["unshare", "--mount"] } else { &["unshare", "--mount", "--map-root-user"] };
    let bind = "for file in hosts resolv.conf nsswitch.conf; do\n\
                mount --bind $W/$file /etc/$file || exit; done";
    trc.wrap(words).before(bind)
}

#[test]
fn a_name_is_looked_up_at_each_try_anew() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // Nobody serves anything on the other address of the loopback interface, or answers questions
    // about names there.
    let toml = format!(
        "log.level = 'trace'\n[async.db]\nexec = 'cat ${{W}}/never'\n\
         ready = {{ tcp = 'db.example:{port}', every = '10ms', within = '25s' }}\n\
         [sync.app]\nafter = ['db']\nscript = 'echo app'\n"
    );
    for hosts in ["127.0.0.1 db.example", "127.0.0.2 db.example\n127.0.0.1 db.example"] {
        let running = with_names(&toml, "", "127.0.0.2").spawn();
        running.wait_for_times("async.db: db.example:", 2);
        std::fs::write(running.path("hosts"), format!("{hosts}\n")).unwrap();
        running.finish().status(0).stdout_has("\napp\n");
    }
}

#[test]
fn a_name_server_that_is_silent_holds_up_neither_trc_nor_its_end() {
    // This is an address of its own, so no other program asks for names there.
    let Ok(server) = UdpSocket::bind("127.0.53.1:53") else {
        eprintln!("skipped: only root may be a name server here");
        return;
    };
    server.set_read_timeout(Some(patience())).unwrap();
    let toml = |host: &str, times: &str| {
        format!(
            "[async.db]\nexec = 'cat ${{W}}/never'\n\
             ready = {{ http = 'http://{host}.example:1/', {times} }}\n"
        )
    };
    for (mode, host) in MODES.into_iter().zip(["plain", "first"]) {
        let times = "timeout = '0.2s', within = '0.5s'";
        let why = "async.db was not ready within 0.5 s: \
                   http://late.example:1/: its name was not resolved within 0.2 s";
        with_names(&toml("late", times), "", "127.0.53.1")
            .mode(mode)
            .run()
            .status(124)
            .stderr_has(why);

        let running =
            with_names(&toml(host, "timeout = '30s'"), "", "127.0.53.1").mode(mode).spawn();
        running.wait_for("Launching on the background");
        let mut question = [0; 512];
        loop {
            let count = server.recv(&mut question).expect("it is asked for the name");
            if question[..count].windows(host.len()).any(|label| label == host.as_bytes()) {
                break;
            }
        }
        // The lookup is in progress.
        running.signal(TERM);
        running.finish().status(143).stderr_lacks("KILL");
    }
}

#[test]
fn a_unit_that_dies_while_it_is_probed_ends_as_it_does() {
    let toml = "[async.db]\nscript = 'echo >$W/runs; read x <$W/go; exit 6'\n\
                ready.exec = 'cat ${W}/never'\n";
    let running = Trc::toml(toml).spawn();
    running.wait_for_file("runs");
    running.open_gate("go");
    running.finish().status(6);
}

#[test]
fn a_line_is_found_in_a_flood_of_others() {
    let toml = "[async.db]\nready.log = '^ready at last$$'\n\
                script = 'seq 200000; echo ready at last; seq 200000; exec cat $W/never'\n\
                [sync.app]\nafter = ['db']\nscript = 'echo app'\n";
    Trc::toml(toml).run().status(0).stdout_has("async.db is ready");
}

#[test]
fn what_an_earlier_run_has_left_behind_does_not_make_the_next_one_ready() {
    let toml = "[async.db]\nready = { log = '^ready$$', within = '1s' }\n\
                restart = { max = 1, backoff = '1ms' }\n\
                script = '''[ -e $W/again ] && exec cat $W/never\n\
                echo >$W/again; setsid sh $W/daemon &\n\
                read x <$W/away; exit 1'''\n\
                [sync.app]\nafter = ['db']\nscript = 'echo app'\n";
    let daemon = "trap 'echo ready; exit' TERM; echo >$W/away; cat $W/never & wait\n";
    let outcome = Trc::toml(toml).file("daemon", daemon).fifo("away").run();
    outcome.status(124).stdout_has(": ready\n").stdout_lacks("\napp\n");
    outcome.stderr_has("async.db was not ready within 1 s");
}

#[test]
fn something_outside_is_waited_for_and_never_started() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    for stage in ["boot", "async"] {
        let after = if stage == "async" { "after = ['db']\n" } else { "" };
        let toml = format!(
            "[{stage}.db]\nready.tcp = '{address}'\n[sync.app]\n{after}script = 'echo app'\n"
        );
        Trc::toml(&toml).run().status(0).stdout_lines(&[
            &format!(r"<main/\d+\]: {stage}\.db is ready \(after [\d.]+ s\)"),
            "app",
        ]);
    }
    drop(listener);
    let toml = format!(
        "[boot.db]\nready = {{ tcp = '{address}', within = '0.2s' }}\n[sync.app]\nscript = 'echo app'\n"
    );
    Trc::toml(&toml)
        .run()
        .status(124)
        .stdout_lacks("app")
        .stderr_has("boot failed: boot.db was not");
}

#[test]
fn a_service_that_is_killed_is_started_again() {
    let toml = "[async.db]\nrestart = { when = 'on-failure', backoff = '1ms' }\noutput = 'inherit'\n\
                exec = ['sh', '-c', 'echo db; read x <$W/never']\n";
    for mode in MODES {
        let running = Trc::toml(toml).mode(mode).spawn();
        running.wait_for("db\n");
        let db = running.processes().into_iter().find(|one| one.command.contains("never"));
        common::kill(db.expect("it runs").pid, 9);
        running.wait_for_times("Launching on the background", 2);
        running.wait_for_times("db\n", 2).signal(TERM);
        let outcome = running.finish();
        outcome.status(143).stderr_has(
            "restarting async.db in 0.001 s: it was killed by SIGKILL (restart 1 within 60 s)",
        );
    }
}

#[test]
fn a_service_that_fails_too_often_ends_with_its_status() {
    let toml = "[async.db]\nrestart = { max = 3, backoff = '1ms' }\nscript = 'exit 7'\n";
    Trc::toml(&toml.replace('3', "1"))
        .run()
        .status(7)
        .stderr_has("giving up on async.db: 1 restart in 60 s (restart.max)");
    let outcome = Trc::toml(toml).run();
    outcome.status(7).stderr_has("giving up on async.db: 3 restarts in 60 s (restart.max)");
    let launched = outcome.out().matches("Launching on the background").count();
    assert_eq!(launched, 4);
}

#[test]
fn a_service_that_is_not_healthy_is_restarted_or_stops_the_run() {
    let toml = |then: &str| {
        format!(
            "[async.db]\nhealth = {{ file = '${{W}}/healthy', every = '20ms', failures = 2, then = '{then}' }}\n\
             restart.backoff = '1ms'\noutput = 'inherit'\n\
             script = 'echo db >>$W/healthy; echo started; exec cat $W/never'\n"
        )
    };
    let running = Trc::toml(&toml("restart")).spawn();
    running.wait_for("started");
    std::fs::remove_file(running.path("healthy")).unwrap();
    running.wait_for_times("started", 2).signal(TERM);
    let outcome = running.finish();
    outcome.status(143).stderr_has("async.db is unhealthy: ").stderr_has("; restarting it");

    let running = Trc::toml(&toml("stop")).spawn();
    running.wait_for("started");
    std::fs::remove_file(running.path("healthy")).unwrap();
    let outcome = running.finish();
    outcome.status(1).stderr_has("healthy: no such file or directory; stopping the run");
}

#[test]
fn units_are_restarted_together_and_in_order() {
    let unit = |name: &str, rest: &str| {
        format!(
            "[async.{name}]\noutput = 'inherit'\n{rest}\nexec = ['bash', '-c', '''exec 9<>$W/never\n\
             trap 'echo {name} stops; exit' TERM; echo {name} starts >&1; echo $$$$ >$W/{name}.pid\n\
             {{ echo >&5; }} 2>$W/log; until read -t .1 x <&9; do :; done''']\n"
        )
    };
    let toml = unit("db", "ready.fd = 5\nrestart.backoff = '1ms'")
        + &unit("app", "ready.fd = 5\nrestart = { when = 'no', with = ['db'] }")
        + &unit("web", "restart = { when = 'no', with = ['app'] }")
        + &unit("other", "after = ['db']");
    let running = Trc::toml(&toml).env("TRC_LOG_LEVEL", "error").spawn();
    for name in ["web", "other"] {
        running.wait_for(&format!("{name} starts"));
    }
    let pid = std::fs::read_to_string(running.path("db.pid")).unwrap();
    common::kill(pid.trim().parse().unwrap(), 9);
    running.wait_for_times("web starts", 2).signal(TERM);
    let outcome = running.finish();
    outcome.status(143);
    let out = outcome.out();
    let lines: Vec<&str> = out.lines().filter(|line| !line.contains("other")).collect();
    let expected = [
        "db starts",
        "app starts",
        "web starts",
        "web stops",
        "app stops",
        "db starts",
        "app starts",
        "web starts",
        "web stops",
        "app stops",
        "db stops",
    ];
    assert_eq!(lines, expected);
    assert_eq!(outcome.out().matches("other starts").count(), 1);
}

#[test]
fn what_runs_longer_than_it_may_has_failed_with_124() {
    for stage in ["boot", "async", "sync"] {
        let toml = format!("[{stage}.job]\nmax_runtime = '0.1s'\nexec = 'cat ${{W}}/never'\n");
        let outcome = Trc::toml(&toml).run();
        outcome.status(124).stderr_has(&format!("{stage}.job exceeded its max_runtime of 0.1 s"));
    }
}

#[test]
fn probes_leave_neither_descriptors_nor_zombies_behind() {
    let refused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let probes = [
        format!("tcp = '{refused}'"),
        format!("http = 'http://{refused}/'"),
        "unix = '/no/socket'".to_owned(),
        "exec = 'false'".to_owned(),
        "tcp = 'no-such-host.invalid:1'".to_owned(),
    ];
    let mut toml = "[async.end]\nscript = 'read x <$W/go'\noutput = 'inherit'\n".to_owned();
    for (number, probe) in probes.iter().enumerate() {
        writeln!(
            toml,
            "[async.u{number}]\nexec = 'cat ${{W}}/never'\noutput = 'inherit'\n\
             ready = {{ {probe}, every = '1ms', timeout = '5s' }}"
        )
        .unwrap();
    }
    let running = Trc::toml(&toml).env("TRC_LOG_LEVEL", "trace").spawn();
    let open = || std::fs::read_dir(format!("/proc/{}/fd", running.pid())).unwrap().count();
    running.wait_for_times("connection refused", 1000);
    // Some attempts are under way.
    assert!(open() < 40, "{} descriptors", open());
    let zombies = running.processes().iter().filter(|one| one.state == 'Z').count();
    assert!(zombies < 8, "{zombies} zombies");
    running.signal(TERM);
    running.finish().status(143);
}

/// The environment does not change after boot.
#[test]
fn a_variable_that_is_not_set_fails_a_unit_at_once_whatever_its_restart() {
    let rows = [
        "exec = ['echo', '${DB_HOST:?set it}']",
        "exec = 'echo ${DB_HOST}'",
        "exec = 'true'\nenv.URL = 'db://${DB_HOST:?set it}'",
        "exec = 'true'\ncwd = '/${DB_HOST:?set it}'",
        "script = 'true'\nenv.URL = '${DB_HOST}'",
    ];
    table(
        &rows,
        |row| (*row).to_owned(),
        |row| {
            let toml = format!("[async.web]\n{row}\nrestart = 'always'\n");
            Trc::toml(&toml).run().status(126).stderr_has("DB_HOST").stderr_lacks("restarting");
        },
    );
}

/// Each restart counts, as after every other exit.
#[test]
fn a_secret_that_is_not_there_yet_is_waited_for_by_restarts() {
    let toml = "[async.web]\nexec = ['sh', '-c', 'echo $$SECRET']\n\
                env.SECRET = { file = '${W}/secret' }\n\
                restart = { when = 'on-failure', backoff = '50ms' }\n";
    let running = Trc::toml(toml).spawn();
    running.wait_for("(restart 2 within 60 s)");
    std::fs::write(running.path("secret"), "hush\n").unwrap();
    running.finish().status(143).stdout_has("hush").stderr_has("secret: No such file");
}
