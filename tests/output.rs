//! What trc writes and where, and what it does if nobody reads it.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::Command;

use crate::common;
use crate::common::{MODES, NEVER, TERM, Trc, USR1, children_of, full_pipe, root, state_of, table};
use regex::Regex;

// ---- log lines --------------------------------------------------------------------

#[test]
fn every_stage_is_logged_in_trivialrcs_words_and_order() {
    // Its shell exits with the status of the program that it runs, once that runs: SIGTERM ahead of
    // that ends it with the status of the command before.
    let never = "sh -c 'echo ready; exec cat $W/never'";
    for mode in MODES {
        let running = Trc::new()
            .args(&["-B", "x=1", "-D", never, "-F", "read x <$W/go", "-H", "exit $_exit_status"])
            .env("TRC_LOG_LEVEL", "info")
            .mode(mode)
            .spawn();
        running.wait_for("ready\n").open_gate("go");
        let never = regex::escape(never);
        // The unit prints `ready` at some time between its start and the end of the foreground
        // unit.
        let outcome = running.finish();
        outcome.status(0).stdout_lines(&[
            r"<main/\d+\]: The wait policy: wait_any",
            r"<main/\d+\]: Launching in the boot: x=1",
            &format!(r"<async/\d+\]: Launching on the background: {never}"),
            r"<sync/\d+\]: Launching on the foreground: read x <\$W/go",
            r"<sync/\d+\]: Exiting on the foreground \(exitcode=0\): read x <\$W/go",
            r"<main/\d+\]: Trying to terminate sub-processes\.\.\.",
            r"<main/\d+\]: terminating the child process <pid=\d+>",
            &format!(r"<async/\d+\]: Exiting on the background \(exitcode=143\): {never}"),
            r"<halt/\d+\]: Running the shutdown command: exit \$_exit_status",
            r"<main/\d+\]: Exiting from the shutdown command \(exitcode=0\): exit \$_exit_status",
            r"<main/\d+\]: Exited \(exitcode=0\)",
        ]);
        let lines = outcome.out().lines().count();
        if lines != 12 {
            outcome.fail("these eleven lines and `ready` should be all");
        }
    }
}

#[test]
fn drop_in_scripts_are_shown_by_their_path() {
    let trc = Trc::new()
        .file("trc.d/boot.a", "x=1\n")
        .file("trc.d/async.b", "echo b\n")
        .file("trc.d/sync.c", "echo c\n")
        .file("trc.d/halt.d", "exit $_exit_status\n")
        .env("TRC_WAIT", "all")
        .env("TRC_LOG_LEVEL", "info");
    let d = regex::escape(trc.path("trc.d").to_str().unwrap());
    let outcome = trc.run();
    outcome.status(0);
    for line in [
        format!(r"<main/\d+\]: Launching in the boot: {d}/boot\.a"),
        format!(r"<async/\d+\]: Launching on the background: {d}/async\.b"),
        format!(r"<async/\d+\]: Exiting on the background \(exitcode=0\): {d}/async\.b"),
        format!(r"<sync/\d+\]: Launching on the foreground: {d}/sync\.c"),
        format!(r"<sync/\d+\]: Exiting on the foreground \(exitcode=0\): {d}/sync\.c"),
        format!(r"<halt/\d+\]: Running the shutdown script: {d}/halt\.d"),
        format!(r"<main/\d+\]: Exiting from the shutdown script \(exitcode=0\): {d}/halt\.d"),
    ] {
        outcome.stdout_lines(&[&line]);
    }
}

#[test]
fn declared_units_are_shown_by_name_and_command() {
    let outcome = Trc::toml(
        "wait = 'all'\n[async.web]\nexec = 'echo one two'\n[sync.main]\nscript = 'echo main'\n",
    )
    .run();
    outcome.status(0);
    for line in [
        r"<async/\d+\]: Launching on the background: web: echo one two",
        r"<async/\d+\]: Exiting on the background \(exitcode=0\): web: echo one two",
        r"<sync/\d+\]: Launching on the foreground: main: echo main",
        r"<sync/\d+\]: Exiting on the foreground \(exitcode=0\): main: echo main",
    ] {
        outcome.stdout_lines(&[line]);
    }
}

/// The message used to have the first line of the output, such as `last=0`, which says nothing.
#[test]
fn a_script_of_several_lines_is_shown_by_its_place() {
    let trc = Trc::toml("[sync.watcher]\nscript = '''\nlast=0\nexit $last\n'''\n");
    let place = format!("a script of 2 lines ({}:1:7)", trc.path("trc.toml").display());
    let place = regex::escape(&place);
    trc.run().status(0).stdout_lines(&[
        &format!(r"<sync/\d+\]: Launching on the foreground: watcher: {place}"),
        &format!(r"<sync/\d+\]: Exiting on the foreground \(exitcode=0\): watcher: {place}"),
    ]);
}

/// TrivialRC's line names only the process, and stays as it is.
#[test]
fn who_is_told_to_stop_is_named_ahead_of_trivialrcs_line() {
    for (stop, how) in [("", "SIGTERM"), ("stop.exec = 'false'\n", "its stop command")] {
        let toml = format!("[async.web]\nscript = '''{NEVER}'''\noutput = 'inherit'\n{stop}");
        Trc::toml(&toml).signalled("ready", TERM).status(143).stdout_lines(&[
            r"<main/\d+\]: Trying to terminate sub-processes\.\.\.",
            &format!(r"<main/\d+\]: stopping async\.web: {how}, then SIGKILL after 5 s"),
            r"<main/\d+\]: terminating the child process <pid=\d+>",
        ]);
    }
}

#[test]
fn the_log_promises_a_unit_no_more_time_than_the_whole_stop_has() {
    let toml = format!(
        "shutdown.timeout = '6s'\n[async.web]\nstop.timeout = '60s'\nscript = '''{NEVER}'''\n"
    );
    let running = Trc::toml(&toml).spawn();
    running.wait_for("ready").signal(TERM);
    let promise = "SIGTERM, then SIGKILL after 4 s (shutdown.timeout)\n";
    assert!(running.finish().status(143).out().contains(promise));
}

#[test]
fn the_pid_in_the_log_is_the_units_own() {
    let outcome = Trc::toml("[sync.main]\nexec = ['sh', '-c', 'echo I am $$$$']\n").run();
    let out = outcome.status(0).out();
    let pid = Regex::new(r"(?m)^I am (\d+)$").unwrap().captures(&out).map(|c| c[1].to_owned());
    let pid = pid.unwrap_or_else(|| outcome.fail("the unit should say its pid"));
    outcome.stdout_lines(&[&format!(r"<sync/{pid}\]: Exiting on the foreground .*")]);
}

#[test]
fn pid_1_says_that_it_is() {
    let outcome = Trc::toml("[sync.main]\nexec = 'true'\n").pid1().run();
    outcome.stdout_lines(&[
        r"<main/1\]: The wait policy: wait_any",
        r"<main/1\]: Exited \(exitcode=0\)",
    ]);
}

#[test]
fn times_are_local() {
    for zone in ["AAA-13", "BBB+11", "UTC", "Europe/Berlin"] {
        let now = || {
            let date = Command::new("date").arg("+%Y-%m-%d %H:%M:%S").env("TZ", zone).output();
            String::from_utf8(date.unwrap().stdout).unwrap().trim().to_owned()
        };
        let before = now();
        let outcome = Trc::with(&["-F", "true"]).env("TRC_LOG_LEVEL", "info").env("TZ", zone).run();
        let after = now();
        let out = outcome.out();
        let said = out.get(..19).unwrap_or_default();
        if said < before.as_str() || said > after.as_str() {
            outcome.fail(&format!("the first line's time should be {before} to {after} in {zone}"));
        }
    }
}

// ---- levels -----------------------------------------------------------------------

#[test]
fn without_a_toml_file_nothing_is_logged_and_with_one_everything_at_info() {
    let info = r"<main/\d+\]: The wait policy: wait_any";
    let flags = || Trc::with(&["-B", "x=1", "-F", "echo said"]);
    flags().run().status(0).stdout_is("said\n").stderr_is("");
    flags().file("trc.d/boot.x", "y=1\n").run().status(0).stdout_is("said\n").stderr_is("");
    for name in ["trc.toml", "trc.d/sync.x.toml", "trc.d/fragment.toml"] {
        let text = if name.contains("sync") { "exec = 'true'\noneshot = true\n" } else { "" };
        flags().file(name, text).run().status(0).stdout_lines(&[info]).stderr_is("");
    }
    let quiet = flags().file("trc.toml", "log.level = 'warn'\n").run();
    quiet.status(0).stdout_is("said\n").stderr_is("");
}

#[test]
fn levels_come_from_trivialrcs_variables_and_trcs_own() {
    let info = r"<main/\d+\]: The wait policy: wait_any";
    for (name, value) in
        [("RC_VERBOSE", "true"), ("TRC_LOG_LEVEL", "info"), ("TRC_LOG__LEVEL", "info")]
    {
        let outcome = Trc::with(&["-F", "echo said"]).env(name, value).run();
        outcome.status(0).stdout_lines(&[info]).stderr_is("");
    }
    for (name, value) in [("RC_VERBOSE_EXTRA", "true"), ("TRC_LOG_LEVEL", "debug")] {
        let skipped = || Trc::with(&["-F", "true"]).file("trc.d/README", "");
        skipped().env(name, value).run().status(0).stdout_has("README").stderr_is("");
        skipped().env("RC_VERBOSE", "true").run().status(0).stdout_lacks("README");
    }
    Trc::with(&["--log-level", "info", "-F", "true"]).run().status(0).stdout_has("wait_any");
    Trc::with(&["--config", "log.level=info", "-F", "true"]).run().status(0).stdout_has("wait_any");
}

#[test]
fn trcs_own_settings_are_not_passed_on_to_units() {
    Trc::with(&["-F", "env | grep -E '^(TRC_(LOG|WAIT|CONFIG)|RC_VERBOSE)' || echo none"])
        .env("TRC_LOG_LEVEL", "warn")
        .env("TRC_WAIT", "all")
        .env("RC_VERBOSE", "false")
        .run()
        .status(0)
        .stdout_is("none\n");
}

// ---- captured output ----------------------------------------------------------------

#[test]
fn captured_lines_have_a_time_and_the_units_name_and_pid() {
    let outcome = Trc::toml(
        "wait = 'all'\n[async.web]\nexec = ['sh', '-c', 'echo pid $$$$; echo problem >&2']\n",
    )
    .run();
    outcome.status(0);
    let out = outcome.out();
    let line = Regex::new(&format!(r"(?m)^{}web/(\d+)\]: pid (\d+)$", common::STAMP)).unwrap();
    match line.captures(&out) {
        Some(found) if found[1] == found[2] => {}
        _ => outcome.fail("standard output should have the line with its pid"),
    }
    outcome.stderr_lines(&[r"<web/\d+\]: problem"]).stdout_lacks("]: problem");
}

#[test]
fn only_declared_background_units_are_captured_by_default() {
    let outcome = Trc::toml(
        "wait = 'all'\n[boot.b]\nscript = 'echo boot says'\n[sync.s]\nscript = 'echo sync says'\n\
         [halt.h]\nscript = 'echo halt says'\n[async.a]\nscript = 'echo async says'\n",
    )
    .file("trc.d/async.script", "echo script says\n")
    .args(&["-D", "echo flag says"])
    .run();
    for line in ["boot says", "sync says", "halt says", "script says", "flag says"] {
        outcome.stdout_lines(&[line]);
    }
    outcome.status(0).stdout_lines(&[r"<a/\d+\]: async says"]);
}

#[test]
fn output_goes_where_the_unit_says() {
    let toml = "log.level = 'warn'\nwait = 'all'\n\
                [async.a]\nscript = 'echo inherited'\noutput = 'inherit'\n\
                [async.b]\nscript = 'echo nowhere'\noutput = 'null'\n";
    Trc::toml(toml).run().status(0).stdout_is("inherited\n");
    let toml = "log = { level = 'warn', output = 'inherit' }\nwait = 'all'\n\
                [async.a]\nscript = 'echo inherited'\n";
    Trc::toml(toml).run().status(0).stdout_is("inherited\n");
    let toml = "[sync.s]\nscript = 'echo captured'\noutput = 'prefix'\n";
    Trc::toml(toml).run().status(0).stdout_lines(&[r"<s/\d+\]: captured"]);
}

#[test]
fn a_last_line_without_its_newline_is_whole() {
    let toml = "wait = 'all'\n[async.a]\nexec = 'printf \"one\\\\ntwo\"'\n";
    Trc::toml(toml).run().status(0).stdout_lines(&[r"<a/\d+\]: one", r"<a/\d+\]: two"]);
}

/// trc reads what a unit wrote just before its exit, before it logs the exit.
#[test]
fn nothing_of_a_units_output_is_lost_at_its_end() {
    let toml = "log.level = 'warn'\nwait = 'all'\n[async.a]\nexec = 'seq 1 100000'\n";
    let outcome = Trc::toml(toml).run();
    let out = outcome.status(0).out();
    let numbers = out.lines().map(|line| line.rsplit_once(": ").map(|(_, text)| text));
    if !numbers.eq((1..=100_000)
        .map(|n| n.to_string())
        .collect::<Vec<_>>()
        .iter()
        .map(|n| Some(n.as_str())))
    {
        outcome.fail("all numbers from 1 to 100000 should be there, in order");
    }
}

#[test]
fn lines_of_several_units_are_never_interleaved() {
    // Half a line, then the other half.
    let unit = |name: &str| {
        format!(
            "[async.{name}]\nscript = '''for i in {{1..500}}; do
             printf \"{name}-start-\"; printf \"{name}-end\\n\"; done'''\n"
        )
    };
    let units: String = ["one", "two", "three"].map(unit).concat();
    let outcome = Trc::toml(&format!("log.level = 'warn'\nwait = 'all'\n{units}")).run();
    let line = Regex::new(&format!(
        r"^{}(one/\d+\]: one-start-one-end|two/\d+\]: two-start-two-end|three/\d+\]: three-start-three-end)$",
        common::STAMP
    ))
    .unwrap();
    let out = outcome.status(0).out();
    if out.lines().count() != 1500 || !out.lines().all(|l| line.is_match(l)) {
        outcome.fail("1500 whole lines should be there");
    }
}

#[test]
fn a_line_over_64_kib_is_cut_into_pieces_and_nothing_of_it_is_lost() {
    for length in [65_535, 65_536, 65_537, 200_000] {
        let toml = format!(
            "log.level = 'warn'\nwait = 'all'\n\
             [async.a]\nexec = ['sh', '-c', 'head -c {length} /dev/zero | tr \"\\\\000\" Q; echo; echo after']\n"
        );
        let outcome = Trc::toml(&toml).run();
        let out = outcome.status(0).out();
        let count = out.bytes().filter(|&byte| byte == b'Q').count();
        let pieces = out.lines().filter(|line| line.contains('Q')).count();
        let expected = length / 65_536 + usize::from(length % 65_536 > 0);
        if count != length || pieces < expected || pieces > expected + 1 {
            outcome.fail(&format!(
                "{length} bytes in about {expected} pieces, not {count} in {pieces}"
            ));
        }
        let longest = out.lines().map(str::len).max().unwrap_or(0);
        if longest > 65_536 + 200 {
            outcome.fail(&format!("no line should be much over 64 KiB, not {longest}"));
        }
        outcome.stdout_lines(&[r"<a/\d+\]: after"]);
    }
}

#[test]
fn bytes_that_are_no_utf_8_pass_through() {
    let toml = "wait = 'all'\n[async.a]\nexec = ['printf', '\\377\\300 text\\033[0m\\n']\n";
    let outcome = Trc::toml(toml).run();
    outcome.status(0);
    let wanted = b"]: \xff\xc0 text\x1b[0m\n";
    if !outcome.stdout.windows(wanted.len()).any(|window| window == wanted) {
        outcome.fail("the bytes should be as they were written");
    }
}

#[test]
fn a_captured_unit_can_open_its_standard_output_again() {
    let mut rows = vec![""];
    if root() {
        rows.push("user = 'nobody'\n");
    }
    for who in rows {
        let toml = format!(
            "wait = 'all'\n[async.a]\nscript = 'echo out >/dev/stdout; echo err >/dev/stderr'\n{who}"
        );
        let outcome = Trc::toml(&toml).run();
        outcome.status(0).stdout_lines(&[r"<a/\d+\]: out"]).stderr_lines(&[r"<a/\d+\]: err"]);
    }
}

// ---- JSON -------------------------------------------------------------------------

/// A probe that looks for the lines still sees them.
#[test]
fn the_output_that_log_hides_is_looked_at_and_not_shown() {
    let toml = r#"
        log.output = "null"
        [async.db]
        exec = ["sh", "-c", "echo starting; echo ready to serve; exec cat $W/never"]
        ready.log = "ready to serve"
    "#;
    for test in [false, true] {
        let trc = Trc::toml(toml);
        let outcome = if test {
            trc.file("trc.d/test.t.toml", "expect.log = { unit = 'db', contains = 'starting' }")
                .arg("--test")
                .run()
        } else {
            trc.signalled("async.db is ready", TERM)
        };
        outcome.status(if test { 0 } else { 143 });
        let all = outcome.out() + &outcome.err();
        assert!(!all.contains("]: starting") && !all.contains("]: ready to serve"), "{all}");
    }
}

#[test]
fn json_lines_are_objects_with_fields() {
    let outcome = Trc::toml(
        "wait = 'all'\nlog.format = 'json'\n[async.web]\nexec = ['sh', '-c', 'echo \"a \\\"b\\\"\"; exit 3']\n",
    )
    .run();
    outcome.status(3);
    let time = Regex::new(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)$").unwrap();
    let mut exits = 0;
    for line in outcome.out().lines().chain(outcome.err().lines()) {
        let Ok(serde_json::Value::Object(object)) = serde_json::from_str(line) else {
            outcome.fail(&format!("each line should be an object, not {line}"));
        };
        if !object.values().any(|value| value.as_str().is_some_and(|text| time.is_match(text))) {
            outcome.fail(&format!("a time with milliseconds should be in {line}"));
        }
        if !object.contains_key("event") {
            outcome.fail(&format!("an event should be in {line}"));
        }
        if object.get("exitcode").and_then(serde_json::Value::as_i64) == Some(3)
            && object
                .get("unit")
                .is_some_and(|unit| unit.as_str().is_some_and(|u| u.contains("web")))
        {
            let stage = object.get("stage").and_then(serde_json::Value::as_str);
            let pid = object.get("pid").and_then(serde_json::Value::as_i64);
            assert!(stage == Some("async") && pid.is_some_and(|pid| pid > 1), "{line}");
            exits += 1;
        }
    }
    if exits != 1 {
        outcome.fail("one line should tell the unit's end");
    }
    if !outcome.out().lines().any(|line| {
        serde_json::from_str::<serde_json::Value>(line)
            .is_ok_and(|value| value.as_object().unwrap().values().any(|text| text == "a \"b\""))
    }) {
        outcome.fail("the unit's own line should be a field's value");
    }
}

#[test]
fn json_lines_stay_json_whatever_a_unit_writes() {
    let outcome = Trc::toml(
        "wait = 'all'\nlog.format = 'json'\n\
         [async.web]\nscript = '''printf '\\377\\001\\t\"\\\\ end\\n'; printf 'no newline' '''\n",
    )
    .run();
    outcome.status(0);
    for line in outcome.out().lines() {
        if serde_json::from_str::<serde_json::Value>(line).is_err() {
            outcome.fail(&format!("this is no JSON: {line}"));
        }
    }
    outcome.stdout_has("no newline");
}

// ---- nobody reads -------------------------------------------------------------------

/// A socket that is full.
fn full_socket() -> (OwnedFd, OwnedFd) {
    use std::io::Write;
    let (read, mut write) = std::os::unix::net::UnixStream::pair().unwrap();
    write.set_nonblocking(true).unwrap();
    while write.write(&[b'x'; 4096]).is_ok() {}
    while write.write(b"x").is_ok() {}
    write.set_nonblocking(false).unwrap();
    (read.into(), write.into())
}

type Full = fn() -> (OwnedFd, OwnedFd);
const FULL: [(&str, Full); 2] = [("pipe", full_pipe), ("socket", full_socket)];

#[test]
fn a_stuck_reader_of_standard_output_delays_no_end() {
    for (name, full) in FULL {
        for mode in MODES {
            println!("{name} {mode:?}");
            let (reader, writer) = full();
            let toml = "[sync.x]\nexec = ['sh', '-c', 'exit 3']\n";
            Trc::toml(toml).stdout_to(writer).mode(mode).run().status(3);
            drop(reader);
        }
    }
}

#[test]
fn a_stuck_reader_of_both_streams_delays_no_end() {
    for (name, full) in FULL {
        println!("{name}");
        let (reader, writer) = full();
        let toml = "[sync.x]\nexec = ['sh', '-c', 'exit 3']\n";
        let both = writer.try_clone().unwrap();
        Trc::toml(toml).stdout_to(writer).stderr_to(both).run().status(3);
        drop(reader);
    }
}

#[test]
fn a_stuck_reader_delays_no_signal_while_units_write() {
    for (name, full) in FULL {
        println!("{name}");
        let (reader, writer) = full();
        let toml = format!(
            "[async.loud]\nexec = 'yes'\n\
             [sync.x]\nscript = '''echo ready >$W/ready; {NEVER}'''\noutput = 'null'\n"
        );
        let running = Trc::toml(&toml).stdout_to(writer).spawn();
        running.wait_for_file("ready");
        running.signal(USR1);
        running.finish().status(138);
        drop(reader);
    }
}

#[test]
fn a_stuck_reader_delays_no_reaping() {
    for (name, full) in FULL {
        println!("{name}");
        let (reader, writer) = full();
        let toml = "[sync.x]\noutput = 'null'\nexec = ['sh', '-c', '''
            i=0; while [ $i -lt 200 ]; do (: &); i=$((i+1)); done
            echo made >$W/made; cat $W/never''']\n";
        let running = Trc::toml(toml).stdout_to(writer).spawn();
        running.wait_for_file("made");
        let pid = running.pid();
        running.wait_until("no zombie is left", || {
            children_of(pid).iter().all(|&child| state_of(child) != Some('Z'))
        });
        running.signal(TERM);
        running.finish().status(143);
        drop(reader);
    }
}

#[test]
fn what_was_dropped_is_counted_and_told_when_the_reader_is_back() {
    let told = Regex::new(r"\d+.*(dropped|lost)|(dropped|lost).*\d+").unwrap();
    for (name, full) in FULL {
        println!("{name}");
        let (reader, writer) = full();
        let toml = "[async.loud]\noneshot = true\nscript = 'seq 1 1000000; echo done >$W/done'\n\
                    [sync.x]\nscript = 'read x <$W/go'\n";
        let running = Trc::toml(toml).stdout_to(writer).spawn();
        // The reader of trc's output never blocks a captured unit.
        running.wait_for_file("done");
        let reading = std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = File::from(reader).read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        running.open_gate("go");
        let outcome = running.finish();
        outcome.status(0);
        let said = reading.join().unwrap() + &outcome.err();
        if !said.lines().any(|line| told.is_match(line)) {
            outcome.fail("a line should tell how much was dropped");
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_reason_to_end() {
    for mode in MODES {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let toml = "[async.a]\nscript = 'echo captured; echo ready >$W/ready; cat $W/never'\n\
                    [sync.x]\nexec = ['sh', '-c', 'read x <$W/go; exit 3']\n";
        let running = Trc::toml(toml).stdout_to(writer).mode(mode).spawn();
        running.wait_for_file("ready");
        running.open_gate("go");
        running.finish().status(3);
    }
}

#[test]
fn a_full_disk_is_no_reason_to_end() {
    for mode in MODES {
        let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
        let toml = "[async.a]\nscript = 'echo captured; echo ready >$W/ready; cat $W/never'\n\
                    [sync.x]\nexec = ['sh', '-c', 'read x <$W/go; exit 3']\n";
        let running = Trc::toml(toml).stdout_to(full()).stderr_to(full()).mode(mode).spawn();
        running.wait_for_file("ready");
        running.open_gate("go");
        running.finish().status(3);
    }
}

#[test]
fn closed_standard_streams_are_no_reason_to_end_and_take_nobody_elses_place() {
    let rows = ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"];
    table(&rows, ToString::to_string, |closed| {
        for mode in MODES {
            let toml = "[boot.b]\nscript = 'v=1'\n\
                            [async.a]\nscript = 'echo captured; cat $W/never'\n\
                            [sync.x]\nscript = 'echo text >$W/file; exit 3'\n";
            let trc = Trc::toml(toml).before(&format!("exec {closed}")).mode(mode);
            let running = trc.unrecorded().spawn();
            let file = running.path("file");
            let text = || std::fs::read_to_string(&file).unwrap_or_default();
            running.wait_until("the unit wrote its file", || !text().is_empty());
            assert_eq!(text(), "text\n");
            running.finish().status(3);
        }
    });
}

/// A command writes to a pipe while services run beside it.
#[test]
fn with_the_log_on_standard_error_standard_output_is_for_the_command() {
    let toml = "log = { to = 'stderr', level = 'debug' }\n\
        [boot.a]\nscript = 'echo of boot'\n\
        [async.prefixed]\noneshot = true\nscript = 'echo of prefixed'\n\
        [async.inherits]\noneshot = true\noutput = 'inherit'\nscript = 'echo of inherits; echo by name >/dev/stdout'\n\
        [halt.z]\nscript = 'echo of halt'\n\
        [sync.app]\nafter = { prefixed = 'succeeded', inherits = 'succeeded' }\n\
        script = 'echo data; echo note >&2'\n";
    for mode in MODES {
        let outcome = Trc::toml(toml).mode(mode).run();
        outcome.status(0).stdout_is("data\n");
        for text in ["of boot", "]: of prefixed", "of inherits", "by name", "of halt", "note"] {
            outcome.stderr_has(text);
        }
        outcome.stderr_has("The wait policy: wait_any").stderr_has("Exited (exitcode=0)");
    }
    let wrong = Trc::toml("log.to = 'stdout'\n").run();
    wrong.status(78).stderr_has("trc.toml:1:10").stderr_has("write log.to = \"both\"");
}

#[test]
fn with_the_log_on_standard_error_the_stop_command_of_the_command_is_there_too() {
    let running = Trc::toml(
        "log.to = 'stderr'\n[sync.app]\nscript = 'echo data; exec cat $W/never'\n\
         stop.exec = ['sh', '-c', 'echo stopping; kill $TRC_PID']\n",
    )
    .spawn();
    running.wait_for("data\n").signal(TERM);
    running.finish().status(143).stdout_is("data\n").stderr_has("\nstopping\n");
}
