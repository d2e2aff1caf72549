//! Processes that outlive the one that trc started: daemons that put themselves into the
//! background, programs below a wrapper, and main processes that hand over. They belong to the
//! unit, wherever they went: they get the stop signal once, and have exited before its next start.

use crate::common::{MODES, TERM, Trc, USR1, python, table};

/// A program that prints what happens to it. It blocks SIGTERM and waits for it. Then it does what
/// `then` says.
fn program(name: &str, then: &str) -> String {
    format!(
        "import os, signal, sys, time\n\
         signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n\
         say = lambda text: os.write(1, ('{name} ' + text + '\\n').encode())\n\
         tell = lambda name: open(os.environ['W'] + '/' + name, 'w').write('x\\n')\n\
         wait = lambda name: open(os.environ['W'] + '/' + name).read(1)\n\
         def term():\n    signal.sigwait([signal.SIGTERM])\n    say('got TERM')\n\
         {then}\n"
    )
}

/// Returns the words that run such a program.
fn run(file: &str) -> String {
    format!("{} -u $W/{file}", python())
}

#[test]
fn a_daemon_that_a_service_became_is_stopped_before_the_next_start() {
    // Each start finds out whether the daemon of the previous start is still alive.
    let service = "if [ -s $W/pid ] && kill -0 $(cat $W/pid) 2>&-; then echo overlap; fi\n\
                   setsid $1 -u $W/daemon.py &\nread x <$W/up\necho x >>$W/starts\n\
                   [ $(wc -l <$W/starts) -lt 3 ] || { echo enough; read x <$W/never; }\n";
    let daemon = program(
        "daemon",
        "open(os.environ['W'] + '/pid', 'w').write(str(os.getpid()))\ntell('up')\nterm()",
    );
    for mode in MODES {
        let toml = format!(
            "[async.web]\nexec = ['sh', '${{W}}/service', '{}']\n\
             restart = {{ when = 'always', backoff = '10ms..10ms' }}\n",
            python()
        );
        let running = Trc::toml(&toml)
            .file("service", service)
            .file("daemon.py", &daemon)
            .fifo("up")
            .mode(mode)
            .spawn();
        running.wait_for("enough");
        running.wait_for_times("daemon got TERM", 2).signal(TERM);
        let outcome = running.finish();
        outcome.status(143).stdout_lacks("overlap").stderr_lacks("killing");
        outcome.stderr_lines(&[
            r"<main/\d+\]: async\.web exited \(exitcode=0\) and left .*daemon\.py <pid=\d+> running; .*stay in the foreground, or, if it cannot, set pid_file",
        ]);
        let told = outcome.out().matches("daemon got TERM").count();
        assert_eq!(told, 3, "each daemon is told once:\n{}", outcome.out());
    }
}

/// It used to be: write oneshot = true.
#[test]
fn the_last_line_says_that_a_service_became_a_daemon() {
    let toml = "[async.web]\nexec = ['sh', '-c', 'cat $W/never & exit 0']\n";
    let outcome = Trc::toml(toml).run();
    outcome.status(143).stderr_has(
        "async.web exited with 0, but it left processes running; configure the service to stay in the foreground, or set pid_file",
    );
    outcome.stderr_lacks("oneshot");
}

#[test]
fn no_process_gets_the_stop_signal_twice() {
    // The gate opens when the shell above it has exited, or once everything has been asked to exit.
    let program = program(
        "program",
        "say('ready')\nterm()\nwait('go')\n\
         say('twice' if signal.SIGTERM in signal.sigpending() else 'once')\nsys.exit(7)",
    );
    let rows = [
        ("a command", "", vec!["-D".to_owned(), format!("{}; :", run("p.py"))], true),
        ("a drop-in script", "", vec![], true),
        (
            "a shell that dies of it",
            "[async.web]\nexec = ['sh', '-c', 'PY -u $W/p.py; :']\nstop.to = 'group'\noutput = 'inherit'\n",
            vec![],
            false,
        ),
    ];
    for mode in MODES {
        table(
            &rows,
            |row| format!("{}, {mode:?}", row.0),
            |(name, toml, args, waits)| {
                let mut trc = Trc::with(&["--log-level", "info"]);
                if !toml.is_empty() {
                    trc = trc.file("trc.toml", toml.replace("PY", python()));
                }
                if *name == "a drop-in script" {
                    trc = trc.file("trc.d/async.web", format!("{}\n", run("p.py")));
                }
                let running = trc.file("p.py", &program).args(args).mode(mode).spawn();
                running.wait_for("program ready").signal(TERM);
                running.wait_for("program got TERM");
                if !waits {
                    running.wait_for("Exiting on the background");
                }
                running.open_gate("go");
                let outcome = running.finish();
                outcome.stdout_has("program once").stderr_lacks("killing");
                if *waits {
                    // As in TrivialRC, this is the exit status of the program.
                    outcome.stdout_lines(&[
                        "program once",
                        r"<async/\d+\]: Exiting on the background \(exitcode=7\): .*",
                    ]);
                }
            },
        );
    }
}

#[test]
fn a_program_below_a_wrapper_that_ignores_term_gets_term_before_kill() {
    let rows = [("in its group", ""), ("in a session of its own", "setsid -w ")];
    for mode in MODES {
        table(
            &rows,
            |row| format!("{}, {mode:?}", row.0),
            |(_, how)| {
                let toml = "[async.db]\nexec = 'sh ${W}/wrapper'\nstop.timeout = '4s'\n\
                            output = 'inherit'\nsuccess = [0, 5]\n";
                let wrapper = format!("trap '' TERM\n{how}{}\nexit 5\n", run("db.py"));
                let running = Trc::toml(toml)
                    .file("wrapper", wrapper)
                    .file("db.py", program("db", "say('ready')\nterm()"))
                    .mode(mode)
                    .spawn();
                running.wait_for("db ready").signal(TERM);
                running
                    .finish()
                    .status(143)
                    .stdout_lines(&["db got TERM", r"<async/\d+\]: .*\(exitcode=5\).*"])
                    .stderr_lacks("killing");
            },
        );
    }
}

/// A script that starts a daemon and reports, as `systemd-notify` would, that the daemon is the
/// main process from now on.
fn handing_over(rest: &str, then: &str) -> Trc {
    let notify = "import os, socket, sys\n\
                  name = os.environ['NOTIFY_SOCKET'].replace('@', chr(0), 1)\n\
                  s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
                  s.sendto(sys.argv[1].encode(), name)\n";
    let py = python();
    let starter =
        format!("{py} -u $W/daemon.py &\n{py} $W/notify.py \"MAINPID=$!\nREADY=1\"\n{then}\n");
    let toml = format!(
        "[async.db]\nscript = '''. $W/starter'''\noutput = 'inherit'\nready.notify = true\n{rest}\n"
    );
    Trc::toml(&toml).file("starter", starter).file("notify.py", notify).fifo("up")
}

#[test]
fn a_process_that_was_announced_as_the_main_one_gets_the_stop_signal() {
    // What the starter does then. trc does not wait for it longer than for anything else.
    let rows = [
        ("wait", ""),
        ("exit 0", ""),
        ("cat $W/never", "os.setsid()\n"),
        ("wait", "os.setsid()\n"),
    ];
    for mode in MODES {
        table(
            &rows,
            |row| format!("{row:?}, {mode:?}"),
            |(then, first)| {
                let daemon =
                    program("daemon", &format!("{first}say('ready')\nterm()\nsys.exit(0)"));
                let running = handing_over("stop.timeout = '60s'", then)
                    .file("daemon.py", daemon)
                    .mode(mode)
                    .spawn();
                running.wait_for("async.db is ready").wait_for("daemon ready").signal(TERM);
                let outcome = running.finish();
                outcome.status(143).stderr_lacks("killing");
                assert_eq!(outcome.out().matches("daemon got TERM").count(), 1);
            },
        );
    }
}

#[test]
fn a_daemon_that_hangs_in_a_session_of_its_own_is_killed_and_its_service_restarted() {
    let daemon = program(
        "daemon",
        "os.setsid()\nsay('ready')\nopen(os.environ['W'] + '/starts', 'a').write('x\\n')\nwait('never')",
    );
    for mode in MODES {
        let rest = "stop = { timeout = '200ms' }\n\
                    health = { exec = 'test ! -s ${W}/sick', every = '20ms', failures = 1 }\n\
                    restart = { when = 'always', backoff = '10ms..10ms' }\n";
        let running = handing_over(rest, "exit 0").file("daemon.py", &daemon).mode(mode).spawn();
        running.wait_for("async.db is ready").wait_for("daemon ready");
        std::fs::write(running.path("sick"), "x").unwrap();
        running.wait_for("async.db is unhealthy");
        std::fs::write(running.path("sick"), "").unwrap();
        running.wait_for_times("daemon ready", 2).signal(TERM);
        running.finish().status(143).stderr_lacks("could not be killed");
    }
}

#[test]
fn the_starter_of_a_main_process_is_gone_before_the_next_start() {
    let then = "cat $W/never";
    let first = "if [ -s $W/pid ] && kill -0 $(cat $W/pid) 2>&-; then echo overlap; fi\n\
                 echo $$ >$W/pid\n";
    for mode in MODES {
        let trc = handing_over("restart = { when = 'always', backoff = '10ms..10ms' }\n", then);
        let starter = std::fs::read_to_string(trc.path("starter")).unwrap();
        let running = trc
            .file("starter", format!("{first}{starter}"))
            .file("daemon.py", program("daemon", "os.setsid()\nsignal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])\nsay('ready')\nwait('go')"))
            .mode(mode)
            .spawn();
        running.wait_for("async.db is ready").wait_for("daemon ready").open_gate("go");
        running.wait_for_times("daemon ready", 2).wait_for_times("async.db is ready", 2);
        running.signal(TERM);
        running.finish().status(143).stdout_lacks("overlap").stderr_lacks("killing");
    }
}

#[test]
fn a_main_process_that_has_left_its_group_is_killed_too() {
    let program = program(
        "program",
        "child = os.fork()\n\
         if child == 0:\n    os.setpgid(0, 0); tell('moved'); wait('never')\n\
         wait('moved')\nos.setpgid(0, child)\nsay('ready')\nwait('never')",
    );
    for mode in MODES {
        let toml = format!(
            "[async.a]\nexec = ['{}', '-u', '${{W}}/p.py']\nstop.timeout = '200ms'\n\
             output = 'inherit'\n\
             [async.b]\nexec = ['cat', '${{W}}/never']\n[async.a.after]\nb = 'started'\n",
            python()
        );
        let running = Trc::toml(&toml).file("p.py", &program).fifo("moved").mode(mode).spawn();
        running.wait_for("program ready").signal(TERM);
        // trc stops the unit that it depends on only when all of its processes have exited.
        let outcome = running.finish();
        outcome.status(143).stderr_lines(&[r"<main/\d+\]: killing the child process.*"]);
        outcome.stdout_lines(&[
            r"<async/\d+\]: Exiting on the background \(exitcode=137\): a: .*",
            r"<main/\d+\]: terminating the child process .*",
        ]);
    }
}

#[test]
fn a_daemon_that_a_one_shot_left_is_stopped_in_its_place_by_the_stop_command() {
    let ctl = "case $1 in\n\
               start) setsid sh $W/daemon & read x <$W/up;;\n\
               stop) echo stopping $TRC_PID; echo x >$W/stop; read x <$W/stopped;;\n\
               esac\n";
    let daemon = "echo x >$W/up; read x <$W/stop; echo daemon stopped; echo x >$W/stopped\n";
    for mode in MODES {
        let toml = "[async.apache]\nexec = 'sh ${W}/ctl start'\noneshot = true\n\
                    stop.exec = 'sh ${W}/ctl stop'\noutput = 'inherit'\n\
                    [async.app]\nafter = ['apache']\noutput = 'inherit'\n\
                    script = '''trap 'echo app stopped; exit 0' TERM\necho app ready\n\
                    cat $W/never & wait'''\n";
        let running = Trc::toml(toml)
            .file("ctl", ctl)
            .file("daemon", daemon)
            .fifo("up")
            .fifo("stop")
            .fifo("stopped")
            .mode(mode)
            .spawn();
        running.wait_for("app ready").signal(TERM);
        let outcome = running.finish();
        outcome.status(143).stderr_lacks("killing");
        outcome.stdout_lines(&["app stopped", r"stopping \d+", "daemon stopped"]);
        outcome.stdout_lines(&[
            r"<main/\d+\]: async\.apache exited \(exitcode=0\) and left .* running",
        ]);
    }
}

#[test]
fn a_test_run_names_the_unit_that_has_put_itself_into_the_background() {
    let toml = "wait = 'all'\n[async.web]\nexec = 'sh ${W}/start'\noneshot = true\n\
                [test.up]\nexec = 'true'\n";
    let outcome = Trc::toml(toml)
        // It has a session of its own before the process that started it exits.
        .file("start", "setsid sh -c 'echo x >$W/up; exec cat $W/never' & read x <$W/up")
        .fifo("up")
        .arg("--test")
        .run();
    outcome.status(1).stdout_lines(&["not ok .* - sessions"]);
    outcome.stdout_lines(&[r".*async\.web left .*cat .*<pid=\d+>.*"]);
}

/// trc uses a list of its children for all processes that had exited before it made the list.
#[test]
fn what_each_of_many_units_leaves_is_found_though_they_exit_together() {
    const MANY: usize = 40;
    let unit = |at: usize| {
        format!(
            "[async.s{at}]\nexec = ['sh', '-c', 'setsid sleep 1000 & echo up; exec sleep 1000']\n"
        )
    };
    let toml = "wait = 'all'\nsignals.USR1 = { forward = 'USR1' }\n".to_owned()
        + &(0..MANY).map(unit).collect::<String>();
    for mode in MODES {
        let running = Trc::toml(&toml).mode(mode).spawn();
        running.wait_for_times("]: up", MANY).signal(USR1);
        let outcome = running.finish();
        // On a busy machine, some are still about to execute the command that setsid runs.
        let told = outcome.err().replace("left setsid sleep", "left sleep");
        let told = told.matches("exited (exitcode=138) and left sleep 1000").count();
        assert_eq!(told, MANY, "{}", outcome.err());
        outcome.stderr_lacks("killing");
    }
}
