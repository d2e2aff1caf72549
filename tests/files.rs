//! Output that goes to files: trc rotates them without losing a line, reopens them on request, and
//! handles files that it cannot write to.

use crate::common::{HUP, MODES, TERM, Trc, full_pipe, root};

fn to_file(name: &str, rest: &str, script: &str) -> String {
    format!(
        "[async.{name}]\noutput = {{ file = '${{W}}/x.log'{rest} }}\n\
         exec = ['sh', '-c', '''{script}''']\n"
    )
}

#[test]
fn both_streams_of_a_unit_go_to_its_file_as_they_are_and_in_their_order() {
    let script = "echo out; echo err >&2; echo again; printf \"no newline\"";
    let running = Trc::toml(&format!("wait = 'all'\n{}", to_file("a", "", script))).spawn();
    let path = running.path("x.log");
    running.wait_until("it has ended", || running.ended());
    assert_eq!(std::fs::read_to_string(path).unwrap(), "out\nerr\nagain\nno newline\n");
    running.finish().status(0).stdout_lacks("]: out");
}

#[test]
fn no_line_is_lost_or_torn_when_files_are_rotated() {
    const LINES: usize = 50_000;
    let count =
        |name: &str| format!("i=0; while [ $i -lt {LINES} ]; do i=$((i+1)); echo {name} $i; done");
    let toml = format!(
        "wait = 'all'\n{}{}",
        to_file("a", ", max_size = '100k', keep = 1000", &count("a")),
        to_file("b", ", max_size = '100k', keep = 1000", &count("b"))
    );
    let running = Trc::toml(&toml).spawn();
    let (dir, path) = (running.path(""), |n: usize| format!("x.log.{n}"));
    running.wait_until("it has ended", || running.ended());
    let mut last = 0;
    while dir.join(path(last + 1)).exists() {
        last += 1;
    }
    assert!(last > 5, "{last} files");
    let names = (1..=last).rev().map(path).chain(["x.log".to_owned()]);
    let texts: Vec<String> =
        names.map(|name| std::fs::read_to_string(dir.join(name)).unwrap()).collect();
    assert!(texts.iter().all(|text| text.len() <= 100 * 1024 && text.ends_with('\n')));
    let all = texts.concat();
    for name in ["a", "b"] {
        let of = |line: &&str| line.starts_with(name);
        let lines: Vec<&str> = all.lines().filter(of).collect();
        let expected: Vec<String> = (1..=LINES).map(|n| format!("{name} {n}")).collect();
        assert!(lines == expected, "{name}: {} lines", lines.len());
    }
    running.finish().status(0);
}

#[test]
fn a_file_that_was_renamed_is_opened_anew_on_request() {
    let script = "echo one; echo >$W/said; read x <$W/go; echo two; echo >$W/again; cat $W/never";
    let toml = format!("signals.HUP = 'reopen'\n{}", to_file("a", "", script));
    let running = Trc::toml(&toml).spawn();
    running.wait_for_file("x.log");
    std::fs::rename(running.path("x.log"), running.path("old.log")).unwrap();
    running.signal(HUP).wait_for(&format!("reopened {}", running.path("x.log").display()));
    running.open_gate("go");
    assert_eq!(running.wait_for_file("x.log"), "two");
    assert_eq!(running.wait_for_file("old.log"), "one");
    running.signal(TERM);
    running.finish().status(143);
}

#[test]
fn a_full_disk_drops_lines_counts_them_and_lets_the_unit_live() {
    if !root() {
        return;
    }
    let fill = "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo \"$i xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"; done";
    let script =
        format!("{fill}; echo >$W/full; read x <$W/go; echo back; echo >$W/done; cat $W/never");
    let toml = format!(
        "[async.a]\noutput = {{ file = '${{W}}/disk/x.log' }}\nexec = ['sh', '-c', '''{script}''']\n"
    );
    let mount = "mkdir -p $W/disk; mount -t tmpfs -o size=64k none $W/disk; exec \"$@\"";
    let running = Trc::toml(&toml).wrap(&["unshare", "--mount", "sh", "-c", mount, "-"]).spawn();
    running.wait_for("x.log, dropping lines: ");
    running.wait_until("it goes on", || running.path("full").exists());
    // This mount is in a namespace of trc's own, where nobody else sees it.
    let disk = format!("/proc/{}/root{}", running.pid(), running.path("disk/x.log").display());
    let on_disk = std::fs::OpenOptions::new().write(true).open(&disk).unwrap();
    let text = std::fs::read_to_string(&disk).unwrap();
    assert!(text.ends_with('\n'), "a whole line is the last");
    on_disk.set_len(0).unwrap();
    running.open_gate("go");
    running.wait_for("lines were dropped");
    running.signal(TERM);
    running.finish().status(143);
}

#[test]
fn the_output_goes_to_the_log_and_to_a_file_at_once() {
    let toml = "wait = 'all'\n[async.a]\noutput = ['prefix', { file = '${W}/x.log' }]\n\
                script = 'echo out; echo err >&2; echo again; printf rest'\n";
    let running = Trc::toml(toml).spawn();
    let path = running.path("x.log");
    running.wait_until("it has ended", || running.ended());
    let text = std::fs::read_to_string(path).unwrap();
    let of = |name: &str| text.lines().filter(|line| *line == name).count();
    assert_eq!(["out", "err", "again", "rest"].map(of), [1; 4], "{text}");
    let outcome = running.finish();
    outcome.status(0).stdout_has("]: out\n").stdout_has("]: again\n").stdout_has("]: rest\n");
    outcome.stderr_has("]: err\n");
}

#[test]
fn neither_the_log_nor_the_file_lacks_lines_because_of_the_other() {
    let (reader, writer) = full_pipe();
    let toml = "[async.a]\noutput = ['prefix', { file = '${W}/x.log', max_size = '1MB', keep = 100 }]\n\
                exec = ['sh', '-c', 'seq 1 300000; echo done >$W/done; cat $W/never']\n";
    let running = Trc::toml(toml).stdout_to(writer).spawn();
    // Nobody reads the log.
    running.wait_for_file("done");
    let dir = running.path("");
    let count = || {
        let files = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
        let files = files.filter(|path| path.display().to_string().contains("/x.log"));
        files.map(|path| std::fs::read_to_string(path).unwrap().lines().count()).sum::<usize>()
    };
    running.wait_until("the file has all lines", || count() == 300_000);
    running.signal(TERM);
    running.finish().status(143);
    drop(reader);
    if root() {
        let toml = "[async.a]\noutput = ['prefix', { file = '${W}/disk/x.log' }]\n\
                    exec = ['sh', '-c', 'seq 1 30000; cat $W/never']\n";
        let mount = "mkdir -p $W/disk; mount -t tmpfs -o size=64k none $W/disk; exec \"$@\"";
        let wrap = ["unshare", "--mount", "sh", "-c", mount, "-"];
        let running = Trc::toml(toml).wrap(&wrap).spawn();
        running.wait_for("x.log, dropping lines: ").wait_for("]: 30000\n");
        running.signal(TERM);
        let outcome = running.finish();
        let lines = outcome.out().lines().filter(|line| line.contains("[a/")).count();
        assert_eq!(lines, 30_000);
    }
}

/// Python buffers what it writes to a pipe.
#[test]
fn a_program_that_keeps_its_output_back_from_a_pipe_does_not_do_so_with_a_pty() {
    let program = "import os, sys\n\
                   print('ready', [os.isatty(n) for n in range(3)])\n\
                   sys.stderr.write('error\\n')\n\
                   try: os.open('/dev/tty', os.O_RDWR)\n\
                   except OSError as why: print('no terminal controls it:', why.strerror)\n\
                   open(os.environ['W'] + '/never').read()";
    let user = if root() { "user = 'nobody'\n" } else { "" };
    let toml = format!(
        "[async.a]\nexec = ['python3', '-c', \"\"\"{}\"\"\"]\n\
         ready.log = '^ready .False, True, True.$'\n\
         output = [{{ pty = true }}, {{ file = '${{W}}/x.log' }}]\n\
         [async.again]\n{user}output = {{ pty = true }}\noneshot = true\n\
         exec = ['sh', '-c', 'echo opened >/dev/stdout; printf rest']\n",
        program.replace('\\', "\\\\")
    );
    for mode in MODES {
        let running = Trc::toml(&toml).mode(mode).spawn();
        let path = running.path("x.log");
        running.wait_for("async.a is ready").wait_for("No such device or address\n");
        running.wait_for("]: opened\n").wait_for("]: rest\n");
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.starts_with("ready [False, True, True]\nerror\nno terminal"), "{text:?}");
        running.signal(TERM);
        running.finish().status(143).stdout_lacks("\r");
    }
}

#[test]
fn without_a_pseudo_terminal_the_unit_does_not_start_and_trc_says_why() {
    if root() {
        let mount = "mount --bind /dev/null /dev/ptmx; exec \"$@\"";
        let wrap = ["unshare", "--mount", "sh", "-c", mount, "-"];
        let outcome = Trc::toml("[async.a]\nexec = 'true'\noutput.pty = true").wrap(&wrap).run();
        outcome.status(126).stderr_has("cannot create a pseudo-terminal: ");
    }
}

#[test]
fn a_file_that_can_not_be_opened_fails_the_unit() {
    for (path, why) in [
        ("/no/such/x.log", "cannot open /no/such/x.log for writing: its directory does not exist"),
        ("/", "cannot open / for writing: Is a directory"),
    ] {
        let toml = format!("[async.a]\noutput.file = '{path}'\nexec = 'true'\n");
        Trc::toml(&toml).run().status(126).stderr_has(why).stderr_has("trc.toml:2:15");
    }
}

#[test]
fn a_unit_of_another_user_may_open_its_output_again() {
    if root() {
        let toml = "wait = 'all'\n[async.a]\nuser = 'nobody'\noutput.file = '${W}/x.log'\n\
                    exec = ['sh', '-c', 'echo one >/dev/stdout; echo two >/dev/stderr']\n";
        let running = Trc::toml(toml).spawn();
        let path = running.path("x.log");
        running.wait_until("it has ended", || running.ended());
        assert_eq!(std::fs::read_to_string(path).unwrap(), "one\ntwo\n");
        running.finish().status(0);
    }
}

#[test]
fn the_last_lines_of_a_unit_that_failed_are_shown_though_they_went_to_a_file() {
    let toml = to_file("a", "", "echo the reason; exit 3");
    Trc::toml(&toml).run().status(3).stderr_has("its last output: the reason");
}
