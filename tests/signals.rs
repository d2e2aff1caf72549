//! What signals do, and how units are stopped.
//!
//! A script that waits for a signal with a trap does so in short reads: if a signal arrives just
//! before a `read`, bash handles it only after the `read`.

use crate::common;
use crate::common::{
    HUP, INT, MODES, Mode, NEVER, STAMP, TERM, Trc, UNTIL_TRAP, USR1, USR2, has, number_from,
    python, table,
};

/// The first real-time signal.
const RTMIN: i32 = 34;

/// A program that prints each signal that it gets, after its third argument. On the signal in its
/// first argument, it exits with the status in its second. It waits for signals instead of catching
/// them, because a shell may keep reading if a signal arrives just before the read.
const LISTENER: &str = "
import os, signal, sys
last, status, name = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
numbers = signal.valid_signals() - {9, 17, 19}
signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
os.write(1, b'%s ready\\n' % name.encode())
while True:
    number = signal.sigwait(numbers)
    os.write(1, b'%s got %d;\\n' % (name.encode(), number))
    if number == last: os._exit(status)
";

/// Returns the words that run it.
fn listener(last: i32, status: i32, name: &str) -> Vec<String> {
    let (last, status) = (last.to_string(), status.to_string());
    [python(), "-c", LISTENER, &last, &status, name].map(str::to_owned).to_vec()
}

/// The signals that stop a run by default.
const STOPPING: [i32; 14] = [1, 2, 3, 10, 12, 13, 14, 15, 24, 25, 26, 27, 29, 30];

/// The signals that go to the foreground unit: URG TSTP CONT TTIN TTOU WINCH.
const FORWARDED: [i32; 6] = [23, 20, 18, 21, 22, 28];

#[test]
fn a_unit_that_signals_trc_as_its_last_act_is_never_outrun_by_its_own_end() {
    let rows: [&[&str]; 7] = [
        &["-D", "kill -10 $MAINPID"],
        &["-D", "kill -10 $MAINPID; exit 3"],
        &["-D", "kill -10 $MAINPID", "-F", NEVER],
        &["-F", "kill -10 $MAINPID"],
        &["-F", "kill -10 $MAINPID; exit 3"],
        &["-B", "kill -10 $MAINPID"],
        &["-B", "kill -10 $MAINPID; exit 3"],
    ];
    let rounds: Vec<usize> = (0..number_from("TRC_TEST_ROUNDS", 300)).collect();
    table(
        &rounds,
        |round| format!("round {round}"),
        |round| {
            // Each row runs as PID 1, and otherwise.
            let mode = MODES[round / rows.len() % 2];
            Trc::with(rows[round % rows.len()]).mode(mode).run().status(138);
        },
    );
}

#[test]
fn every_stop_signal_gives_128_plus_its_number() {
    let rows: Vec<(Mode, i32)> = MODES
        .into_iter()
        .flat_map(|mode| STOPPING.into_iter().chain(RTMIN..=64).map(move |n| (mode, n)))
        .collect();
    table(
        &rows,
        |row| format!("{row:?}"),
        |&(mode, number)| {
            Trc::with(&["-F", NEVER]).mode(mode).signalled("ready", number).status(128 + number);
        },
    );
}

#[test]
fn a_terminals_signals_go_to_the_foreground_unit() {
    if !has("python3") {
        return;
    }
    let rows: Vec<(Mode, i32)> =
        MODES.into_iter().flat_map(|mode| FORWARDED.map(|n| (mode, n))).collect();
    table(
        &rows,
        |row| format!("{row:?}"),
        |&(mode, number)| {
            let script = format!("exec {}", shell_words::join(listener(number, 6, "it")));
            Trc::with(&["-F", &script])
                .mode(mode)
                .signalled("ready", number)
                .status(6)
                .stdout_is(&format!("it ready\nit got {number};\n"));
        },
    );
}

/// The kernel delivers the lower number first, so the second one is the proof.
#[test]
fn a_window_change_stops_nothing_where_there_is_no_foreground_unit() {
    let running = Trc::with(&["-D", NEVER]).spawn();
    running.wait_for("ready").signal(28).signal(RTMIN);
    running.finish().status(128 + RTMIN);
}

#[test]
fn an_ignored_signal_does_nothing() {
    for (name, number) in [("USR1", USR1), ("SIGTERM", TERM), ("hup", HUP), ("SIGINT", INT)] {
        let toml = format!("[signals]\n{name} = 'ignore'\n[sync.x]\nscript = '''{NEVER}'''\n");
        let running = Trc::toml(&toml).spawn();
        running.wait_for("ready").signal(number).signal(RTMIN);
        running.finish().status(128 + RTMIN);
    }
}

#[test]
fn a_signal_that_is_ignored_by_default_can_be_made_to_stop() {
    let toml = format!("[signals]\nWINCH = 'stop'\n[sync.x]\nscript = '''{NEVER}'''\n");
    Trc::toml(&toml).pid1().signalled("ready", 28).status(156);
}

/// Two services that print the signals that they get, and exit on SIGTERM.
fn listeners() -> String {
    let unit = |name| format!("[async.{name}]\nexec = {:?}\n", listener(TERM, 0, name));
    unit("web") + &unit("db")
}

#[test]
fn a_forwarded_signal_goes_to_the_units_named() {
    if !has("python3") {
        return;
    }
    for mode in MODES {
        let toml = format!("signals.HUP = {{ forward = 'USR2', to = ['web'] }}\n{}", listeners());
        let running = Trc::toml(&toml).mode(mode).spawn();
        running.wait_for("web ready").wait_for("db ready").signal(HUP).wait_for("web got 12;");
        running.signal(TERM);
        running.finish().status(143).stdout_lacks("db got 12;");
    }
}

#[test]
fn a_forwarded_signal_goes_to_all_that_run_where_none_is_named() {
    if !has("python3") {
        return;
    }
    let toml = format!("signals.USR1 = {{ forward = 'USR1' }}\n{}", listeners());
    let running = Trc::toml(&toml).spawn();
    running.wait_for("web ready").wait_for("db ready").signal(USR1);
    running.wait_for("web got 10;").wait_for("db got 10;").signal(TERM);
    running.finish().status(143);
}

/// The shell that trc runs a script in has no trap of its own, and would die of the signal.
#[test]
fn a_signal_forwarded_to_a_script_reaches_the_program_that_it_runs_and_spares_the_shell() {
    let program = "exec 9<>$W/never
        trap 'echo reloads' HUP; trap 'echo stops; exit' TERM
        echo ready; while :; do read -t .1 x <&9 || :; done\n";
    for mode in MODES {
        let toml = "[signals]\nHUP = { forward = 'HUP', to = ['web'] }\n\
                    [async.web]\noutput = 'inherit'\nscript = 'bash $W/web.sh'\n";
        let running = Trc::toml(toml).file("web.sh", program).mode(mode).spawn();
        running.wait_for("ready").signal(HUP).wait_for("reloads");
        running.signal(HUP).wait_for_times("reloads", 2).signal(TERM);
        running.finish().status(143).stdout_has("stops\n");
    }
}

/// A script with a trap of its own gets the signal, like the programs that it runs.
#[test]
fn a_signal_forwarded_to_a_script_that_traps_it_reaches_the_script() {
    let toml = format!(
        "signals.HUP = {{ forward = 'HUP' }}\n\
         [sync.x]\nscript = '''trap 'echo trapped; exit 4' HUP; {UNTIL_TRAP}'''\n"
    );
    Trc::toml(&toml).signalled("ready", HUP).status(4).stdout_has("trapped\n");
}

#[test]
fn the_log_says_who_sent_the_signal() {
    let running = Trc::toml(&format!("[sync.x]\nscript = '''{NEVER}'''\n")).spawn();
    running.wait_for("ready").signal(TERM);
    let outcome = running.finish();
    let me = std::process::id().to_string();
    outcome.status(143);
    let said = outcome.err() + &outcome.out();
    if !said.lines().any(|line| line.contains("TERM") && line.contains(&me)) {
        outcome.fail(&format!("a line should name SIGTERM and its sender, pid {me}"));
    }
}

// ---- transparent mode -----------------------------------------------------------

/// ILL FPE SEGV: these are faults of a process itself, but anybody can send them.
const FAULTS: [i32; 3] = [4, 8, 11];

#[test]
fn a_fault_signal_that_somebody_sent_is_passed_on() {
    if !has("python3") {
        return;
    }
    for mode in MODES {
        let running = Trc::new().args(&listener(64, 7, "it")).mode(mode).spawn();
        running.wait_for("ready");
        for number in FAULTS {
            running.signal(number).wait_for(&format!("got {number};"));
        }
        running.signal(64);
        running.finish().stderr_is("");
    }
}

#[test]
fn a_command_alone_gets_every_signal_and_repeated_ones_too() {
    if !has("python3") {
        return;
    }
    for mode in MODES {
        let running = Trc::new().args(&listener(64, 7, "it")).mode(mode).spawn();
        running.wait_for("ready");
        let apart = [9, 17, 19].into_iter().chain(FAULTS).collect::<Vec<_>>();
        let numbers = (1..=31).filter(|n| !apart.contains(n)).chain(RTMIN..64);
        for number in numbers {
            running.signal(number).wait_for(&format!("got {number};"));
        }
        for times in 2..5 {
            for number in [INT, TERM, USR1] {
                running.signal(number).wait_for_times(&format!("got {number};"), times);
            }
        }
        running.signal(64);
        running.finish().status(7).stderr_is("");
    }
}

#[test]
fn a_command_alone_has_its_own_status_and_nothing_is_printed() {
    let rows = [("exit 0", 0), ("exit 3", 3), ("kill -KILL $$", 137), ("kill -SEGV $$", 139)];
    for mode in MODES {
        for (text, status) in rows {
            let outcome = Trc::with(&["sh", "-c", text]).mode(mode).run();
            outcome.status(status).stdout_is("").stderr_is("");
        }
    }
}

#[test]
fn a_command_alone_that_ignores_term_is_not_killed() {
    // This is not bash, because bash forgets a signal that arrives while it runs the trap of an
    // earlier one.
    let script = "import signal, sys\n\
                  known = [signal.SIGTERM, signal.SIGUSR1]\n\
                  signal.pthread_sigmask(signal.SIG_BLOCK, known); print('ready')\n\
                  while signal.sigwait(known) == signal.SIGTERM: print('TERM')\n\
                  sys.exit(4)";
    let running = Trc::with(&[python(), "-u", "-c", script]).spawn();
    running.wait_for("ready");
    for times in 1..4 {
        running.signal(TERM).wait_for_times("TERM", times);
    }
    running.signal(USR1);
    running.finish().status(4);
}

/// These keys of a command alone used to be ignored silently.
#[test]
fn what_is_written_of_a_lone_commands_stop_is_honoured() {
    let stubborn = format!("trap '' TERM; {NEVER}");
    let polite =
        format!("trap 'echo USR2; exit 5' USR2; trap 'echo TERM; exit 6' TERM; {UNTIL_TRAP}");
    let rows = [
        ("stop.timeout = '200ms'", &stubborn, 137, ""),
        ("stop.signal = 'USR2'", &polite, 5, "USR2"),
        ("stop.exec = ['sh', '-c', 'kill -USR2 $TRC_PID']", &polite, 5, "USR2"),
        // This is what it gets without any of these.
        ("ready.exec = 'true'", &polite, 6, "TERM"),
    ];
    table(
        &rows,
        |row| row.0.to_owned(),
        |(key, script, status, says)| {
            let toml = format!("[sync.cmd]\n{key}\n");
            Trc::toml(&toml)
                .args(&["bash", "-c", script])
                .signalled("ready\n", TERM)
                .status(*status)
                .stdout_has(says);
        },
    );
    let toml = "shutdown.timeout = '500ms'\n";
    Trc::toml(toml).args(&["bash", "-c", &stubborn]).signalled("ready\n", TERM).status(137);
}

/// `tini -g` does this for each signal.
#[test]
fn a_lone_commands_signals_go_to_its_group_where_that_is_written() {
    if !has("python3") {
        return;
    }
    for mode in MODES {
        let child = shell_words::join(listener(64, 7, "child"));
        // The shell ignores the signal, which its child blocks and so receives. Bash's `wait` does
        // not work here: if a trap and the exit of a child interrupt it at the same time, its
        // status is -1.
        let script = format!("trap '' USR1 HUP TERM 64; {child}; exit $?");
        let running = Trc::with(&["bash", "-c", &script])
            .env("TRC_SYNC__CMD__STOP__TO", "group")
            .mode(mode)
            .spawn();
        running.wait_for("child ready");
        for number in [USR1, HUP, TERM] {
            running.signal(number).wait_for(&format!("child got {number};"));
        }
        running.signal(64).wait_for("child got 64;");
        running.finish().status(7).stderr_is("");
    }
}

/// Returns what `grep Sig /proc/self/status` shows for these sets.
fn sets(text: &str) -> Vec<u64> {
    ["SigBlk:", "SigIgn:"]
        .iter()
        .map(|name| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            u64::from_str_radix(line.expect(name).trim(), 16).unwrap()
        })
        .collect()
}

/// HUP and PIPE are ignored, as under nohup and Python, and so is CHLD, and USR2 is blocked.
const IGNORER: &str = "import os, signal, sys
for number in (1, 13, 17): signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_SETMASK, [12])
os.execvp(sys.argv[1], sys.argv[1:])";

#[test]
fn a_command_alone_takes_over_the_signals_that_trc_was_given_ignored_or_blocked() {
    if !has("python3") {
        return;
    }
    let bit = |number: i32| 1_u64 << (number - 1);
    let wrap = [python(), "-c", IGNORER];
    let words = ["grep", "Sig", "/proc/self/status"];
    let alone = Trc::new().program("grep").no_work_dir().args(&words[1..]).wrap(&wrap).run();
    let outcome = Trc::with(&words).wrap(&wrap).run();
    outcome.status(0);
    let (with, without) = (sets(&outcome.out()), sets(&alone.out()));
    assert_eq!(with, without, "as if there was no trc");
    let ignored = bit(1) | bit(13) | bit(17);
    assert_eq!((with[0], with[1] & ignored), (bit(12), ignored));
}

#[test]
fn a_unit_starts_with_default_signals_whatever_trc_was_given() {
    if !has("python3") {
        return;
    }
    let wrap = [python(), "-c", IGNORER];
    let toml = "log.level = 'warn'\n[sync.x]\nexec = 'grep Sig /proc/self/status'\n";
    let outcome = Trc::toml(toml).wrap(&wrap).run();
    outcome.status(0);
    assert_eq!(sets(&outcome.out()), [0, 0]);
}

/// `nohup trc sleep 2 &`
#[test]
fn a_command_alone_survives_a_hangup_that_trc_was_told_to_ignore() {
    if !has("python3") {
        return;
    }
    let running = Trc::with(&["sh", "-c", "echo ready; read x <$W/go; exit 5"])
        .wrap(&[python(), "-c", IGNORER])
        .spawn();
    running.wait_for("ready").signal(HUP);
    running.open_gate("go");
    running.finish().status(5);
}

#[test]
fn a_unit_may_get_a_signal_when_trc_itself_is_killed() {
    if !has("python3") {
        return;
    }
    let words = listener(TERM, 0, "it");
    let mut rows = vec![
        ("the command", Trc::new().args(&words).env("TRC_SYNC__CMD__PDEATHSIG", "TERM")),
        (
            "a unit",
            Trc::toml(&format!(
                "[async.x]\noutput = 'inherit'\npdeathsig = 'SIGTERM'\nexec = {words:?}\n"
            )),
        ),
    ];
    if common::root() {
        let toml = format!("[sync.x]\nuser = 'nobody'\npdeathsig = 'TERM'\nexec = {words:?}\n");
        rows.push(("another user's", Trc::toml(&toml)));
    }
    for (name, trc) in rows {
        println!("{name}");
        let running = trc.survivors_allowed().spawn();
        running.wait_for("it ready").signal(9).wait_for("it got 15;");
        running.finish();
    }
}

/// Images FROM httpd have this STOPSIGNAL. A terminal that changes its size also sends it to
/// `docker run`, which passes it on.
#[test]
fn a_window_change_that_reaches_no_unit_says_what_would_make_it_a_stop() {
    let toml = format!("[async.web]\noutput = 'inherit'\nscript = '''{NEVER}'''\n");
    let running = Trc::toml(&toml).spawn();
    running.wait_for("ready").signal(28).wait_for("write `[signals] WINCH = \"stop\"`");
    running.signal(TERM);
    running.finish().status(143);
}

/// The configuration for images FROM httpd: `docker stop` is a graceful stop, and gives 0.
#[test]
fn a_window_change_that_is_written_to_stop_the_run_stops_apache_as_it_wants() {
    if !has("python3") {
        return;
    }
    for (exit, status) in [("", 156), ("stopped = 0", 0)] {
        let toml = format!(
            "[exit]\n{exit}\n[signals]\nWINCH = 'stop'\n\
             [async.web]\noutput = 'inherit'\nstop.signal = 'SIGWINCH'\nexec = {:?}\n",
            listener(28, 0, "it")
        );
        Trc::toml(&toml).pid1().signalled("it ready", 28).status(status).stdout_has("it got 28;");
    }
}

#[test]
fn a_window_change_that_reaches_a_unit_is_nothing_to_be_said() {
    let running = Trc::toml(&format!("[sync.web]\nscript = '''{NEVER}'''\n")).spawn();
    running.wait_for("ready").signal(28).signal(TERM);
    running.finish().status(143).stderr_lacks("WINCH");
}

// ---- stopping -------------------------------------------------------------------

/// A unit that ignores its stop signal.
fn stubborn(timeout: &str) -> String {
    format!(
        "[sync.stubborn]\nexec = ['sh', '-c', 'trap \"\" TERM; echo ready; cat $W/never']\n\
         stop.timeout = '{timeout}'\n"
    )
}

#[test]
fn a_unit_that_ignores_its_stop_signal_is_killed_after_its_timeout() {
    for mode in MODES {
        let running = Trc::toml(&stubborn("200ms")).mode(mode).spawn();
        running.wait_for("ready").signal(TERM);
        let exiting = r"<sync/\d+\]: Exiting on the foreground \(exitcode=137\): .*";
        running.finish().status(143).stdout_lines(&[exiting]);
    }
}

/// The unit may take a minute, which is longer than this test waits.
#[test]
fn a_second_term_kills() {
    for (mode, second) in [(Mode::Subreaper, TERM), (Mode::Pid1, TERM), (Mode::Pid1, INT)] {
        let running = Trc::toml(&stubborn("60s")).mode(mode).spawn();
        running.wait_for("ready").signal(TERM).wait_for("terminating the child process");
        running.signal(second);
        running.finish().status(143);
    }
}

#[test]
fn the_budget_ends_before_the_units_timeout_does() {
    Trc::toml(&format!("[shutdown]\ntimeout = '3s'\n{}", stubborn("60s")))
        .signalled("ready", TERM)
        .status(143);
}

#[test]
fn units_stop_in_the_reverse_of_their_dependencies() {
    let unit = |name: &str, after: &str| {
        format!(
            "[async.{name}]\nafter = {after}\noutput = 'inherit'\nexec = ['bash', '-c', '''
             exec 9<>$W/never; trap 'echo {name} stops; exit' TERM
             echo {name} is ready; until read -t .1 x <&9; do :; done''']\n"
        )
    };
    let toml = unit("web", "['app']") + &unit("app", "['db']") + &unit("db", "[]");
    for mode in MODES {
        let running = Trc::toml(&toml).mode(mode).spawn();
        for name in ["web", "app", "db"] {
            running.wait_for(&format!("{name} is ready"));
        }
        running.signal(TERM);
        running.finish().status(143).stdout_lines(&[
            r"<main/\d+\]: Trying to terminate sub-processes\.\.\.",
            r"<main/\d+\]: terminating the child process <pid=\d+>",
            "web stops",
            r"<main/\d+\]: terminating the child process <pid=\d+>",
            "app stops",
            r"<main/\d+\]: terminating the child process <pid=\d+>",
            "db stops",
        ]);
    }
}

/// Each unit waits for the other one when it is stopped.
#[test]
fn unrelated_units_stop_together() {
    let toml = r#"
        [async.one]
        output = "inherit"
        exec = ["bash", "-c", """exec 9<>$W/never
            trap 'echo met >$W/go; echo one; exit' TERM; echo ready; until read -t .1 x <&9; do :; done"""]
        [async.two]
        output = "inherit"
        exec = ["bash", "-c", """exec 9<>$W/never
            trap 'read x <$W/go; echo two has $x; exit' TERM; echo ready; until read -t .1 x <&9; do :; done"""]
    "#;
    let running = Trc::toml(toml).spawn();
    running.wait_for_times("ready", 2).signal(TERM);
    running.finish().status(143).stdout_has("one\n").stdout_has("two has met\n");
}

#[test]
fn a_units_own_stop_signal_is_used() {
    let toml = r#"
        [sync.x]
        stop = { signal = "SIGUSR2" }
        exec = ["bash", "-c", """exec 9<>$W/never
            trap 'echo stopped by USR2; exit' USR2; trap 'echo TERM' TERM
            echo ready; until read -t .1 x <&9; do :; done"""]
    "#;
    Trc::toml(toml)
        .signalled("ready", TERM)
        .status(143)
        .stdout_lines(&["ready", "stopped by USR2"])
        .stdout_lacks("TERM\n");
}

/// SIGCONT, which usually follows the stop signal, would discard these.
#[test]
fn a_unit_can_be_stopped_by_the_signals_that_cont_discards() {
    if !has("python3") {
        return;
    }
    let rows: Vec<(Mode, &str, i32)> = MODES
        .into_iter()
        .flat_map(|mode| [("TSTP", 20), ("TTIN", 21), ("TTOU", 22)].map(|(s, n)| (mode, s, n)))
        .collect();
    table(
        &rows,
        |row| format!("{row:?}"),
        |&(mode, name, number)| {
            let toml = format!(
                "[sync.x]\nexec = {:?}\nstop.signal = '{name}'\n",
                listener(number, 0, "it")
            );
            let running = Trc::toml(&toml).mode(mode).spawn();
            running.wait_for("it ready").signal(TERM);
            let ended = r"<sync/\d+\]: Exiting on the foreground \(exitcode=0\): .*";
            running.finish().status(143).stdout_lines(&[&format!("it got {number};"), ended]);
        },
    );
}

#[test]
fn a_stop_command_is_run_instead_of_the_signal() {
    let toml = r#"
        [sync.x]
        stop = { exec = "sh -c 'echo quit >$W/go'" }
        exec = ["bash", "-c", """
            trap 'echo got TERM' TERM; exec 9<>$W/go; echo ready; read x <&9; echo read $x"""]
    "#;
    Trc::toml(toml)
        .signalled("ready", TERM)
        .status(143)
        .stdout_lines(&["ready", "read quit"])
        .stdout_lacks("got TERM");
}

/// Like `pg_ctl stop`, it prints something, stops the server, and has more to do.
#[test]
fn a_stop_command_runs_to_its_end_though_the_unit_ends_before() {
    let toml = r#"
        [async.db]
        exec = "cat ${W}/never"
        ready.exec = "true"
        stop.exec = ["sh", "-c", "printf 'shutting down....'; kill $TRC_PID; read x <$W/go; echo; echo second; echo done >$W/done"]
        [halt.look]
        exec = "cat ${W}/done"
    "#;
    for mode in MODES {
        let running = Trc::toml(toml).mode(mode).spawn();
        running.wait_for("async.db is ready").signal(TERM);
        running.wait_for("Exiting on the background").open_gate("go");
        running.finish().status(143).stdout_lines(&[
            r"<db/\d+\]: shutting down\.\.\.\.",
            r"<db/\d+\]: second",
            "done",
        ]);
    }
}

#[test]
fn a_stop_command_that_outlives_its_unit_and_the_timeout_is_killed_with_a_warning() {
    let toml = r#"
        [async.db]
        exec = "cat ${W}/never"
        ready.exec = "true"
        stop = { exec = ["sh", "-c", "kill $TRC_PID; cat $W/never"], timeout = "200ms" }
    "#;
    Trc::toml(toml)
        .signalled("async.db is ready", TERM)
        .status(143)
        .stderr_has("killing the stop command of async.db: ");
}

/// Standard output has only the report, and each line of the log is an object.
#[test]
fn what_a_stop_command_says_stands_in_no_report_and_is_json_where_the_log_is() {
    let toml = r#"
        log.format = "json"
        [async.db]
        exec = "cat ${W}/never"
        ready.exec = ["sh", "-c", "echo a probe; echo a probe >&2"]
        health = { exec = ["sh", "-c", "echo a check; echo a check >&2"], every = "10ms" }
        stop.exec = ["sh", "-c", "printf 'shutting down'; echo oops >&2; kill $TRC_PID"]
        [test.t]
        exec = ["sh", "-c", "echo a test; echo a test >&2"]
        expect.holds = "200ms"
    "#;
    let outcome = Trc::toml(toml).arg("--test").run();
    outcome.status(0);
    for said in ["shutting down", "oops", "a probe", "a check", "a test"] {
        outcome.stdout_lacks(said);
    }
    for line in outcome.err().lines() {
        let own = line.contains("shutting down") || line.contains("oops");
        let right = line.starts_with('{') && (!own || line.contains(r#""unit":"async.db""#));
        assert!(right, "{line}");
    }
    outcome.stderr_has(r#""message":"shutting down""#).stderr_has(r#""message":"oops""#);
}

#[test]
fn where_the_stop_command_fails_the_signal_is_sent() {
    let toml = r#"
        [sync.x]
        stop = { exec = "false" }
        exec = ["bash", "-c", """exec 9<>$W/never
            trap 'echo got TERM; exit' TERM; echo ready; until read -t .1 x <&9; do :; done"""]
    "#;
    Trc::toml(toml).signalled("ready", TERM).status(143).stdout_has("got TERM\n");
}

/// A unit whose child prints which signal ends it: the one from trc, or the one that the unit itself
/// sends when it is asked to stop. A signal to a group reaches its members one after the other, so
/// the unit can be faster than the kernel: the child waits whether the other signal comes, too.
const FAMILY: &str = r#"exec 9<>$W/never
    trap 'kill -URG $child; wait $child; exit' TERM
    bash -c 'trap "echo child: TERM; exit" TERM; trap asked=yes URG
             echo >$W/go; until [[ $asked ]]; do read -t .1 x <&9; done
             read -t .5 x <&9; echo child: URG alone' &
    child=$!
    read x <$W/go
    echo ready
    until read -t .1 x <&9; do :; done"#;

#[test]
fn a_shell_unit_is_stopped_as_a_group_and_an_exec_unit_by_its_process() {
    let script = format!("[sync.x]\nscript = '''{FAMILY}'''\n");
    let exec = format!("[sync.x]\nexec = ['bash', '-c', '''{}''']\n", FAMILY.replace("$$", "$$$$"));
    let rows = [
        ("a script", script.clone(), "TERM"),
        ("an exec unit", exec.clone(), "URG alone"),
        ("a script, to its process", format!("{script}stop.to = 'process'\n"), "URG alone"),
        ("an exec unit, to the group", format!("{exec}stop.to = 'group'\n"), "TERM"),
    ];
    table(
        &rows,
        |row| row.0.to_owned(),
        |(_, toml, expected)| {
            Trc::toml(toml)
                .signalled("ready", TERM)
                .status(143)
                .stdout_has(&format!("child: {expected}\n"));
        },
    );
}

#[test]
fn a_stopped_service_is_continued_so_that_it_can_end() {
    for mode in MODES {
        let running = Trc::with(&["-D", "echo $BASHPID >$W/pid; kill -STOP $BASHPID"])
            .env("TRC_LOG_LEVEL", "info")
            .mode(mode)
            .spawn();
        running.wait_for_file("pid");
        running.wait_until("a process is stopped", || {
            running.processes().iter().any(|process| process.state == 'T')
        });
        running.signal(TERM);
        // As in TrivialRC, the shell exits with the status of its last command.
        let exiting = r"<async/\d+\]: Exiting on the background \(exitcode=0\): .*";
        running.finish().status(143).stdout_lines(&[exiting]);
    }
}

/// The harness fails if anything outlives trc.
#[test]
fn nothing_outlives_trc() {
    let rows = [
        "setsid sh -c 'echo ready; exec cat $W/never' & wait",
        "(setsid sh -c 'trap \"\" TERM HUP; echo ready; cat $W/never' &); read x <$W/never",
        "sh -c 'sh -c \"sh -c \\\"echo ready; cat $W/never\\\" & cat $W/never\" & cat $W/never'",
    ];
    for mode in MODES {
        table(&rows, ToString::to_string, |script| {
            Trc::with(&["-F", script]).mode(mode).signalled("ready", USR1).status(138);
        });
    }
}

#[test]
fn daemons_that_a_unit_left_do_not_outlive_trc() {
    for mode in MODES {
        let script = "setsid cat $W/never & (setsid setsid cat $W/never &) ; cat $W/never & exit 3";
        Trc::with(&["-F", script]).mode(mode).run().status(3);
    }
}

#[test]
fn a_one_shots_leftovers_stay_until_the_run_stops_and_then_get_term() {
    let toml = r#"
        [async.daemon]
        oneshot = true
        output = "inherit"
        script = """
            bash -c 'exec 9<>$W/never; trap "echo leftover: TERM; exit" TERM
                     echo leftover: ready; until read -t .1 x <&9; do :; done' &"""
        [async.service]
        exec = "cat ${W}/never"
    "#;
    for mode in MODES {
        let running = Trc::toml(toml).mode(mode).spawn();
        running.wait_for("leftover: ready").wait_for("Exiting on the background");
        running.signal(USR1);
        running.finish().status(138).stdout_has("leftover: TERM\n");
    }
}

#[test]
fn halt_units_run_after_everything_has_stopped() {
    let args = [
        "-D",
        r"exec 9<>$W/never; trap 'echo service stops; exit' TERM; echo ready; until read -t .1 x <&9; do :; done",
        "-H",
        "echo halt with $_exit_status",
    ];
    for mode in MODES {
        let running = Trc::with(&args).mode(mode).spawn();
        running.wait_for("ready").signal(TERM);
        // trc exits with the exit status of a halt script.
        running.finish().status(0).stdout_is("ready\nservice stops\nhalt with 143\n");
    }
}

#[test]
fn a_signal_during_boot_stops_it_and_runs_no_halts() {
    for mode in MODES {
        Trc::with(&["-B", NEVER, "-B", "echo boot", "-F", "echo sync"])
            .args(&["-H", "echo halt"])
            .mode(mode)
            .signalled("ready", USR2)
            .status(140)
            .stdout_is("ready\n");
    }
}

#[test]
fn a_foreground_unit_delays_no_signal() {
    let script = "exec 9<>$W/never; echo ready; sh -c 'until read -t .1 x <&9; do :; done'; echo not reached";
    let running = Trc::with(&["-F", script]).env("TRC_LOG_LEVEL", "info").spawn();
    running.wait_for("ready").signal(USR1);
    let outcome = running.finish();
    outcome.status(138).stdout_lacks("not reached\n");
    assert!(regex::Regex::new(STAMP).unwrap().is_match(&outcome.out()));
}

/// trc never reaped a child that a real-time signal had terminated, nor any child after it.
#[test]
fn a_child_that_a_real_time_signal_ends_is_reaped() {
    for mode in MODES {
        Trc::with(&["sh", "-c", "kill -34 $$"]).mode(mode).run().status(162);
        Trc::with(&["-D", "kill -40 $$", "-F", "echo on; exit 3"]).mode(mode).run().status(3);
        let toml = "[async.a]\nexec = 'sleep 100'\nstop = { signal = 'SIGRTMIN+3' }\n[sync.b]\nexec = 'true'\n";
        Trc::toml(toml).mode(mode).run().status(0).stdout_has("exitcode=165");
    }
}

/// If SIGCHLD is ignored, as a parent may leave it, the kernel reaps children and reports nothing.
#[test]
fn an_ignored_chld_of_the_parents_is_undone() {
    let python = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execvp(sys.argv[1], sys.argv[1:])";
    Trc::with(&["sh", "-c", "exit 3"]).wrap(&["python3", "-c", python]).run().status(3);
}

/// A suspended process cannot react to a signal until it is continued.
#[test]
fn a_stopped_command_ends_on_a_signal() {
    for mode in MODES {
        let running = Trc::with(&["sh", "-c", "echo ready; kill -STOP $$"]).mode(mode).spawn();
        running.wait_for("ready");
        running.wait_until("the command is stopped", || {
            running.processes().iter().any(|process| process.state == 'T')
        });
        running.signal(TERM);
        running.finish().status(143);
    }
}
