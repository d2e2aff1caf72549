//! `trcctl exec` runs a command as a unit, on the streams or on the terminal of whoever asks.

use std::fs::{self, File};
use std::io::{IoSlice, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use crate::common::typist::Typist;
use crate::common::{KILL, MODES, Mode, Outcome, Running, TERM, Trc, root, state_of};
use crate::control::Asked;

const TRCCTL: &str = env!("CARGO_BIN_EXE_trcctl");

/// A service, and the way to run commands as it.
struct Container {
    running: Running,
    socket: PathBuf,
}

impl Container {
    /// A service with these keys.
    fn new(keys: &str) -> Self {
        Self::of(Trc::toml(&format!("[async.web]\nscript = 'exec cat $W/never'\n{keys}")))
    }

    fn of(trc: Trc) -> Self {
        let Asked { running, socket } = Asked::of(trc);
        let it = Self { running, socket };
        it.running.wait_until("the unit is up", || it.trcctl(&["health", "web"]).status.success());
        it
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(TRCCTL);
        command.args(words).env_clear().env("TRC_SOCKET", &self.socket).stdin(Stdio::null());
        command
    }

    fn trcctl(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Runs a script as the service.
    fn script(&self, text: &str) -> Command {
        self.command(&["exec", "web", "--", "sh", "-c", text])
    }

    /// Runs a script as the service that says `up` first, and waits for that.
    fn begun(&self, text: &str) -> Child {
        let mut child = self.script(text).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = [0; 3];
        child.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
        assert_eq!(&said, b"up\n");
        child
    }

    fn pid_of(&self, unit: &str) -> i32 {
        let shown = self.trcctl(&["status", "--json", unit]).stdout;
        let shown: serde_json::Value = serde_json::from_slice(&shown).unwrap();
        let pid = &shown["units"][0]["process"]["pid"];
        i32::try_from(pid.as_i64().unwrap_or_else(|| panic!("{shown}"))).unwrap()
    }

    fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.running.pid())).unwrap().count()
    }

    fn stop(self) -> Outcome {
        self.running.signal(TERM);
        self.running.finish()
    }
}

#[track_caller]
fn out(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the lines that are about identity and privileges.
fn privileges(status: &str) -> Vec<String> {
    const KEYS: [&str; 11] = [
        "Umask",
        "Uid",
        "Gid",
        "Groups",
        "CapInh",
        "CapPrm",
        "CapEff",
        "CapBnd",
        "CapAmb",
        "NoNewPrivs",
        "SigBlk",
    ];
    let is_one = |line: &&str| KEYS.iter().any(|key| line.starts_with(key));
    status.lines().filter(is_one).map(str::to_owned).collect()
}

/// Returns the limits, except for that by which trc knows the processes of the unit.
fn limits(text: &str) -> Vec<String> {
    text.lines().filter(|line| !line.starts_with("Max file locks")).map(str::to_owned).collect()
}

#[test]
fn a_command_runs_in_the_surroundings_of_its_unit() {
    let mut keys = "umask = '027'\ncwd = '/proc'\nnice = 3\noom_score_adj = 700\n\
                    no_new_privs = true\nlimits = { nofile = '100:200', core = 0 }\n\
                    env = { GREETING = 'two words' }\n"
        .to_owned();
    if root() {
        keys += "user = 'nobody'\ngroups = ['daemon', 'sys']\n\
                 capabilities = ['net_bind_service', 'kill']\n";
    }
    // The unit reads a FIFO without a shell, whose environment would be another one.
    let trc = Trc::new();
    let never = trc.path("never");
    let text = format!(
        "[boot.first]\nscript = 'export LATE=boot'\n[async.web]\nexec = ['cat', '{}']\n{keys}",
        never.display()
    );
    let it = Container::of(trc.file("trc.toml", text));
    let pid = it.pid_of("web");
    let of_unit = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap();
    let of_command =
        |name: &str| out(it.command(&["exec", "web", "--", "cat", &format!("/proc/self/{name}")]));
    assert_eq!(privileges(&of_command("status")), privileges(&of_unit("status")));
    assert_eq!(limits(&of_command("limits")), limits(&of_unit("limits")));
    assert_eq!(of_command("oom_score_adj"), "700\n");
    let variables = |text: String| {
        let mut all: Vec<String> = text.split('\0').map(str::to_owned).collect();
        all.sort();
        all
    };
    assert_eq!(variables(of_command("environ")), variables(of_unit("environ")));
    assert!(of_command("environ").contains("LATE=boot\0"));
    assert_eq!(out(it.script("pwd; nice")), "/proc\n3\n");
    // It leads a session, and is not in the way of the unit.
    assert_eq!(
        out(it.script("cut -d' ' -f1,5,6 /proc/$$/stat; echo $$"))
            .lines()
            .next()
            .map(|line| line.split(' ').collect::<std::collections::BTreeSet<_>>().len()),
        Some(1)
    );
    it.stop().status(143);
}

#[test]
fn the_exit_status_is_that_of_the_command() {
    let toml = "[boot.first]\nscript = 'true'\n[async.web]\nscript = 'exec cat $W/never'\n\
                [async.lost]\nexec = 'true'\nafter = { web = 'exited' }\nenv.SECRET = { file = '/nowhere' }\n";
    let it = Container::of(Trc::toml(toml));
    for (words, status, error) in [
        (&["web", "--", "sh", "-c", "exit 7"][..], 7, ""),
        (&["web", "sh", "-c", "exit 7"], 7, ""),
        (&["async.web", "--", "true"], 0, ""),
        (&["web", "--", "sh", "-c", "kill -TERM $$"], 143, ""),
        (&["web", "--", "sh", "-c", "kill -KILL $$"], 137, ""),
        (
            &["web", "--", "no-such-program"],
            127,
            "trcctl: no-such-program: command not found in PATH\n",
        ),
        (
            &["web", "--", "/nowhere/x"],
            127,
            "trcctl: /nowhere/x: no such file, or its loader is missing\n",
        ),
        (
            &["web", "--", "/etc/passwd"],
            126,
            "trcctl: /etc/passwd: Permission denied: it is not executable",
        ),
        (&["lost", "--", "true"], 126, "trcctl: cannot read /nowhere: No such file or directory"),
        (&["wbe", "--", "true"], 64, "trcctl: there is no unit `wbe` (did you mean `web`?)\n"),
        (&["first", "--", "true"], 1, "trcctl: boot.first takes no requests"),
        (&["web"], 64, "error: the following required arguments were not provided"),
        (&["-it", "web", "--", "sh"], 64, "error: unexpected argument '-i' found"),
        (&["--tty", "web", "--", "sh"], 64, "trcctl: --tty needs a terminal"),
    ] {
        let words: Vec<&str> = ["exec"].iter().chain(words).copied().collect();
        let output = it.trcctl(&words);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{words:?}: {said}");
        assert!(
            said.starts_with(error) && (said.is_empty() == error.is_empty()),
            "{words:?}: {said}"
        );
    }
    it.stop();
}

#[test]
fn streams_pass_through_as_they_are() {
    let it = Container::new("");
    let bytes: Vec<u8> =
        (0..3_000_000_u32).flat_map(|n| (n.wrapping_mul(2_654_435_761)).to_le_bytes()).collect();
    let mut child = it
        .script("cat; echo done >&2")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let sent = bytes.clone();
    let writer = std::thread::spawn(move || input.write_all(&sent).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.stdout == bytes, "{} bytes", output.stdout.len());
    assert_eq!((output.status.code(), &output.stderr[..]), (Some(0), &b"done\n"[..]));
    // Without a standard input there is nothing to read.
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{TRCCTL} exec web -- cat <&-")]).env("TRC_SOCKET", &it.socket);
    assert_eq!(out(shell), "");
    // A long argument.
    let long = "x".repeat(60_000);
    assert_eq!(out(it.command(&["exec", "web", "--", "echo", &long])).len(), 60_001);
    let tip = it.command(&["exec", "web", "--", "echo", &"x".repeat(70_000)]).output().unwrap();
    assert!(
        String::from_utf8_lossy(&tip.stderr).contains("the body has more than 65536 bytes"),
        "{tip:?}"
    );
    it.stop().status(143);
}

#[test]
fn the_log_says_who_has_run_what() {
    let it = Container::new("");
    assert_eq!(out(it.script("echo SECRET")), "SECRET\n");
    let outcome = it.stop();
    outcome.stdout_has(") asked to run sh as async.web\n").stdout_lacks("SECRET");
    outcome.stderr_lacks("SECRET");
}

#[test]
fn the_number_of_commands_is_limited() {
    let it = Container::new("");
    let mut all: Vec<Child> = (0..16).map(|_| it.begun("echo up; read x <$W/never")).collect();
    let one_more = it.trcctl(&["exec", "web", "--", "true"]);
    let said = String::from_utf8_lossy(&one_more.stderr);
    assert_eq!(one_more.status.code(), Some(1), "{said}");
    assert!(said.contains("16 commands are running already"), "{said}");
    // Everything else goes on.
    assert!(it.trcctl(&["health"]).status.success());
    let mut first = all.remove(0);
    first.kill().unwrap();
    first.wait().unwrap();
    it.running.wait_until("there is room again", || {
        it.trcctl(&["exec", "web", "--", "true"]).status.success()
    });
    it.stop().status(143);
    for mut child in all {
        assert!(!child.wait().unwrap().success());
    }
}

#[test]
fn a_command_whose_client_goes_away_is_hung_up_and_then_killed() {
    let it = Container::new("");
    let before = it.descriptors();
    for (script, told) in [
        ("trap 'echo HUP >$W/told; exit' HUP; echo up; while :; do sleep 0.01; done", true),
        ("trap '' HUP; echo $$ >$W/pid; echo up; exec cat $W/never", false),
    ] {
        let mut child = it.begun(script);
        child.kill().unwrap();
        child.wait().unwrap();
        if told {
            assert_eq!(it.running.wait_for_file("told"), "HUP");
        } else {
            let pid = it.running.wait_for_file("pid").trim().parse().unwrap();
            it.running.wait_until("the command is gone", || state_of(pid).is_none());
        }
    }
    it.running.wait_until("nothing is left of them", || it.descriptors() <= before);
    it.stop().status(143);
}

#[test]
fn neither_a_stop_of_the_unit_nor_a_reload_disturbs_a_command() {
    let it = Container::new("");
    let mut child = it
        .script("echo up; read x; echo got $x")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = [0; 3];
    child.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
    fs::write(
        it.running.path("trc.toml"),
        "[async.web]\nscript = 'exec cat $W/never'\nnice = 1\n\
        [async.new]\nscript = 'exec cat $W/never'\n",
    )
    .unwrap();
    for words in [&["reload"][..], &["restart", "web"], &["stop", "web"]] {
        let output = it.trcctl(words);
        assert!(output.status.success(), "{output:?}");
    }
    // A unit that does not run has surroundings, too.
    assert_eq!(out(it.script("nice")), "1\n");
    child.stdin.take().unwrap().write_all(b"a word\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"got a word\n"[..]));
    it.stop();
}

#[test]
fn a_command_does_not_keep_the_run_up() {
    for mode in MODES {
        let toml = "wait = 'all'\n[async.web]\nscript = 'read x <$W/go'\n";
        let it = Container::of(Trc::toml(toml).mode(mode));
        // It ignores both signals that ask it to exit.
        let mut polite = it.begun("echo up; read x <$W/never");
        it.running.open_gate("go");
        assert!(!polite.wait().unwrap().success());
        it.running.finish().status(0);
    }
}

/// Sends a request with this number of descriptors, and returns the answer.
pub(crate) fn send(socket: &Path, request: &str, number: usize) -> UnixStream {
    let null = File::open("/dev/null").unwrap();
    let stream = UnixStream::connect(socket).unwrap();
    let passed = vec![null.as_raw_fd(); number];
    let rights = [ControlMessage::ScmRights(&passed)];
    let rights = if number == 0 { &[][..] } else { &rights };
    let parts = [IoSlice::new(request.as_bytes())];
    sendmsg::<()>(stream.as_raw_fd(), &parts, rights, MsgFlags::MSG_NOSIGNAL, None).unwrap();
    stream
}

fn all_of(mut stream: &UnixStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_client_that_passes_other_than_three_descriptors_gets_an_error_and_keeps_nothing_open() {
    let it = Container::new("");
    let before = it.descriptors();
    let request =
        |target: &str, end: &str| format!("POST {target} HTTP/1.1\r\nConnection: close\r\n{end}");
    let exec = "/v1/exec?unit=web&command=true";
    for round in 0..20 {
        for number in [0, 1, 2, 4, 5, 253] {
            let text = all_of(&send(&it.socket, &request(exec, "\r\n"), number));
            assert!(text.starts_with("HTTP/1.1 400"), "{number}: {text}");
            assert!(text.contains("send three descriptors"), "{number}: {text}");
        }
        let text = all_of(&send(&it.socket, &request(exec, "\r\n"), 3));
        assert!(text.starts_with("HTTP/1.1 200") && text.contains(r#""status":0"#), "{text}");
        // With the wrong request, at the wrong place, and more after it.
        for (target, end, why) in [
            ("/v1/units/web/reset", "\r\n", "which takes none"),
            (exec, "", "the last byte of a request"),
            (exec, "\r\nGET /v1/health HTTP/1.1\r\n\r\n", "the last byte of a request"),
            ("/v1/exec?unit=nope&command=true", "\r\n", "there is no unit"),
        ] {
            let text = all_of(&send(&it.socket, &request(target, end), 3));
            assert!(text.contains(why), "{target}: {text}");
        }
        // One that does not wait for the answer.
        drop(send(&it.socket, &request(exec, "\r\n"), [3, 253][round % 2]));
    }
    it.running.wait_until("nothing is left of them", || it.descriptors() <= before);
    assert_eq!(out(it.script("echo fine")), "fine\n");
    it.stop().status(143);
}

#[test]
fn a_client_without_the_right_runs_nothing_and_keeps_nothing_open() {
    if !root() {
        return;
    }
    let it = Container::new("");
    let before = it.descriptors();
    let denied = it.script("echo no").uid(65534).output().unwrap();
    assert_eq!((denied.status.code(), &denied.stdout[..]), (Some(77), &b""[..]));
    let said = String::from_utf8(denied.stderr).unwrap();
    assert!(said.contains("the user 65534 needs `operate`"), "{said}");
    it.running.wait_until("nothing is left of it", || it.descriptors() <= before);
    it.stop().status(143);
}

/// `trcctl exec` on a terminal, and somebody who types.
struct Session {
    it: Container,
    typist: Typist,
}

impl Session {
    fn new(mode: Mode, command: &[&str]) -> Self {
        Self::of(mode, Trc::new().args(&["exec", "web", "--"]).args(command))
    }

    /// trcctl with these arguments and streams.
    fn of(mode: Mode, trcctl: Trc) -> Self {
        let web = "[async.web]\nscript = 'exec cat $W/never'\n\
                   env = { PS1 = 'PROMPT> ', INPUTRC = '/dev/null' }\n";
        let user = if root() { "user = 'nobody'\n" } else { "" };
        let it = Container::of(Trc::toml(&format!("{web}{user}")).mode(mode));
        let trcctl = trcctl.program(TRCCTL).env("TRC_SOCKET", &it.socket).env("TERM", "vt220");
        let typist = Typist::new(trcctl);
        Self { it, typist }
    }

    fn shell(mode: Mode) -> Self {
        let session = Self::new(mode, &["bash", "--norc", "--noprofile"]);
        session.typist.wait_for("PROMPT> ");
        session
    }

    fn type_in(&self, text: &str) -> &Typist {
        self.typist.type_in(text)
    }

    /// Returns how `trcctl` and the run ended.
    #[track_caller]
    fn finish(self) -> (Outcome, Outcome) {
        self.typist.wait_for_end();
        assert!(self.typist.is_as_usual());
        (self.typist.finish(), self.it.stop())
    }
}

#[test]
fn a_shell_has_job_control() {
    for mode in MODES {
        let session = Session::shell(mode);
        assert!(!session.typist.is_as_usual());
        session.type_in("echo T''ERM=$TERM $(id -un)\n").wait_for("TERM=vt220");
        session.type_in("bash -c 'echo st''arted; exec cat'\n").wait_for("started");
        session.type_in("hello\n").wait_for_times("hello", 2);
        session.type_in("\x1a").wait_for("Stopped").wait_for_times("PROMPT> ", 3);
        session.type_in("jobs; echo go''ing on; fg\n").wait_for("going on");
        session.type_in("again\n").wait_for_times("again", 2);
        session.type_in("\x03").wait_for_times("PROMPT> ", 4);
        session.type_in("echo st''atus=$?\n").wait_for("status=130");
        // The unit's user may open its own terminal by name.
        session.type_in("echo by n''ame >/dev/stdout\n").wait_for("by name");
        session.type_in("exit 5\n");
        let (typed, run) = session.finish();
        typed.status(5).stdout_lacks("no job control").stdout_lacks("cannot set terminal");
        run.status(143);
    }
}

#[test]
fn the_size_of_the_terminal_passes_on() {
    let session = Session::shell(Mode::Subreaper);
    session.type_in("trap 'echo ch''anged' WINCH; echo tr''apped\n").wait_for("trapped");
    session.typist.stty("rows 41");
    session.typist.wait_for("changed");
    session.type_in("echo r''ows=$(stty size)\n").wait_for("rows=41 ");
    session.type_in("exit 0\n");
    session.finish().0.status(0);
}

/// A terminal belongs to everybody who has it: each of them may want that it does not block.
#[test]
fn typing_goes_on_after_somebody_has_made_the_terminal_non_blocking() {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let session = Session::shell(Mode::Subreaper);
    fcntl(&session.typist.slave, FcntlArg::F_SETFL(OFlag::O_RDWR | OFlag::O_NONBLOCK)).unwrap();
    // Each read of one line is followed by one that finds nothing.
    for word in ["first", "second", "third"] {
        let (begin, end) = word.split_at(2);
        session.type_in(&format!("echo {begin}''{end}\n")).wait_for(word);
    }
    session.type_in("exit 0\n");
    session.finish().0.status(0);
}

#[test]
fn a_reader_of_the_output_that_goes_away_ends_the_command() {
    let script = "trap 'exit' HUP; echo $$; while :; do echo more; done";
    let (mut reader, writer) = std::io::pipe().unwrap();
    let trcctl = Trc::new().args(&["exec", "--tty", "web", "--", "sh", "-c", script]);
    let session = Session::of(Mode::Subreaper, trcctl.stdout_to(writer));
    let mut said = Vec::new();
    while !said.ends_with(b"\n") {
        let mut byte = [0];
        reader.read_exact(&mut byte).unwrap();
        said.extend(byte);
    }
    let pid = String::from_utf8(said).unwrap().trim().parse().unwrap();
    drop(reader);
    session.it.running.wait_until("the command has exited", || state_of(pid).is_none());
    let (typed, run) = session.finish();
    assert_eq!(typed.killed, Some(nix::libc::SIGPIPE));
    typed.stdout_is("");
    run.status(143);
}

/// Nothing else tells that the output is not complete.
#[test]
fn an_output_that_takes_no_more_is_an_error() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let trcctl = Trc::new().args(&["exec", "--tty", "web", "--", "sh", "-c", "echo x; read x"]);
    let session = Session::of(Mode::Subreaper, trcctl.stdout_to(full));
    let (typed, _) = session.finish();
    typed.status(1).stdout_has("cannot write the output of the command: No space left on device");
}

#[test]
fn all_output_comes_before_the_exit() {
    let command =
        ["sh", "-c", "i=0; while [ $i -lt 3000 ]; do echo line-$i; i=$((i+1)); done; echo last"];
    let session = Session::new(Mode::Subreaper, &command);
    let (typed, _) = session.finish();
    typed.status(0).stdout_has("line-2999\r\nlast\r\n");
}

#[test]
fn the_terminal_is_as_before_when_trcctl_is_terminated() {
    let session = Session::shell(Mode::Subreaper);
    session.type_in("echo p''id=$$\n").wait_for("pid=");
    let text = session.typist.stdout();
    let pid = text.split("pid=").nth(1).unwrap().split('\r').next().unwrap().parse().unwrap();
    session.typist.signal(TERM);
    session.typist.wait_for_end();
    session.it.running.wait_until("the shell has exited", || state_of(pid).is_none());
    let (typed, _) = session.finish();
    assert_eq!(typed.killed, Some(TERM));
}

#[test]
fn a_stop_of_the_run_does_not_wait_for_an_interactive_shell() {
    for mode in MODES {
        let session = Session::shell(mode);
        session.it.running.signal(TERM);
        session.typist.wait_for_end();
        assert!(session.typist.is_as_usual());
        session.it.running.finish().status(143).stderr_lacks("SIGKILL");
        session.typist.finish();
    }
}

#[test]
fn a_command_that_hangs_is_killed_with_the_run() {
    let it = Container::new("");
    let mut child = it.begun("trap '' HUP TERM; echo up; exec cat $W/never");
    it.running.signal(TERM).signal(TERM);
    it.running.wait_for_end();
    assert_eq!(child.wait().unwrap().code(), Some(128 + KILL));
    it.running.finish().status(143);
}
