//! `trcctl` asks a running trc, and changes it: its output and exit statuses, and `trc --health`.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use regex::Regex;
use serde_json::Value;

use crate::common::{KILL, Mode, Running, TERM, Trc, binary, copy, root};
use crate::control::Asked;

/// A run, and its control socket.
struct Container {
    running: Running,
    socket: PathBuf,
}

/// What a command has printed, and its exit status.
#[derive(PartialEq, Eq, Debug)]
struct Ended {
    status: i32,
    out: String,
    err: String,
}

impl Container {
    fn new(toml: &str) -> Self {
        let Asked { running, socket } = Asked::new(toml, Mode::Subreaper);
        Self { running, socket }
    }

    /// Runs `trcctl` with these words.
    fn trcctl(&self, words: &str) -> Ended {
        trcctl(&self.socket, words)
    }

    /// The number of trc's sockets: the one that listens, and those of its clients.
    fn sockets(&self) -> usize {
        let all = std::fs::read_to_string("/proc/net/unix").unwrap();
        all.lines().filter(|line| line.ends_with(self.socket.to_str().unwrap())).count()
    }

    /// Waits until a unit is up.
    fn wait_for(&self, unit: &str) {
        self.running.wait_until("the unit is up", || {
            ["ready", "degraded"]
                .iter()
                .any(|state| self.trcctl(&format!("health {unit}")).out.starts_with(state))
        });
    }
}

impl Ended {
    #[track_caller]
    fn is(&self, status: i32, out: &str, err: &str) {
        assert_eq!((self.status, self.out.as_str(), self.err.as_str()), (status, out, err));
    }

    #[track_caller]
    fn status_is(&self, status: i32) {
        assert_eq!(self.status, status, "{self:?}");
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|why| panic!("{why}: {self:?}"))
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self {
            status: output.status.code().unwrap(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

fn trcctl(socket: &Path, words: &str) -> Ended {
    command(env!("CARGO_BIN_EXE_trcctl"), socket, words).output().unwrap().into()
}

/// Runs `trc --health` with these words.
fn trc_health(socket: &Path, words: &str) -> Ended {
    command(binary(), socket, &format!("--health {words}")).output().unwrap().into()
}

fn command(program: impl AsRef<std::ffi::OsStr>, socket: &Path, words: &str) -> Command {
    let mut command = Command::new(program);
    command.args(words.split_whitespace()).env_clear().env("TRC_SOCKET", socket);
    command.stdin(Stdio::null());
    command
}

/// Replaces what is different each time: times, process IDs and sizes.
fn same_each_time(text: &str) -> String {
    let text =
        Regex::new(r"\d+d \d+h|\d+[hm] \d+[ms]|\d+(\.\d)?s\b").unwrap().replace_all(text, "1s");
    let text = Regex::new(r"\d+\.\d MiB").unwrap().replace_all(&text, "1 MiB");
    let text = Regex::new(r"(1s +)\d+( +1 MiB)").unwrap().replace_all(&text, "${1}7$2");
    // What is missing is found out by and by.
    let text = Regex::new(r"(not ready yet): .*?(, up for|\n)").unwrap().replace_all(&text, "$1$2");
    Regex::new(" {2,}").unwrap().replace_all(&text, "  ").into_owned()
}

/// A service that is ready once it has said so.
const WEB: &str =
    "[async.web]\nscript = 'echo ready; exec cat $W/never'\nready = { log = '^ready$$' }\n";

/// One that waits for another one, which waits for the test.
const STACK: &str = "[async.db]\nscript = 'read x <$W/go; echo ready; exec cat $W/never'\n\
    ready = { log = '^ready$$' }\n\
    [async.web]\nscript = 'exec cat $W/never'\nafter = ['db']\n";

#[test]
fn status_shows_what_runs_and_why_a_unit_is_not_up() {
    let it =
        Container::new(&format!("{STACK}[sync.main]\nscript = 'echo up; exec cat $W/never'\n"));
    it.running.wait_for("up\n");
    let shown = it.trcctl("status");
    assert_eq!(
        same_each_time(&shown.out),
        "starting: async.db is not ready yet, up for 1s\n\n\
         UNIT  STATE  SINCE  PID  MEMORY  CPU  RESTARTS  WHY\n\
         async.db  starting  1s  7  1 MiB  1s  0  is not ready yet\n\
         async.web  waiting  1s  0  waits for async.db\n\
         sync.main  running  1s  7  1 MiB  1s  0\n"
    );
    assert_eq!((shown.status, shown.err.as_str()), (0, ""));
    // Some units, in the order that was asked for.
    let some = it.trcctl("status web db").out;
    let names: Vec<&str> = some.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["UNIT", "async.web", "async.db"]);
}

#[test]
fn the_columns_of_a_table_line_up() {
    let it =
        Container::new(&format!("{WEB}[sync.a-much-longer-name]\nscript = 'exec cat $W/never'\n"));
    it.wait_for("");
    let shown = it.trcctl("status").out;
    let rows: Vec<&str> = shown.lines().skip(2).collect();
    let state = rows[0].find("STATE").unwrap();
    assert!(rows[1][state..].starts_with("ready  "), "{shown}");
    assert!(rows[2][state..].starts_with("running"), "{shown}");
    assert!(rows.iter().all(|row| row.as_bytes()[state - 1] == b' '), "{shown}");
}

#[test]
fn status_says_why_a_unit_is_not_there() {
    let it = Container::new(
        "[sync.web]\nexec = 'cat ${W}/never'\n[async.spy]\nexec = 'x'\nprofiles = 'debug'\n\
         [async.off]\nexec = 'x'\nenabled = false\n",
    );
    it.wait_for("web");
    for (words, why) in [
        ("status spy", "`spy`: async.spy has the profile debug, which is not in TRC_PROFILES"),
        ("start async.off", "`async.off`: async.off is disabled"),
    ] {
        it.trcctl(words).is(64, "", &format!("trcctl: there is no unit {why}\n"));
    }
}

/// `worker` stands for `worker@1` and `worker@2`, and a reload changes their number.
#[test]
fn the_common_name_of_instances_stands_for_all_of_them() {
    let toml = |count: u32| {
        format!(
            "[async.worker]\nscript = 'echo \"I am $INSTANCE ${{TRC_UNIT}}\"; exec cat $W/never'\n\
             env.NAME = 'named ${{INSTANCE}}'\nready.log = 'I am ${{INSTANCE}}'\n\
             instances = {count}\n[sync.web]\nafter = ['worker']\nscript = 'exec cat $W/never'\n"
        )
    };
    let it = Container::new(&toml(2));
    it.wait_for("web");
    for number in 1..=2 {
        it.running.wait_for(&format!("]: I am {number} async.worker@{number}\n"));
    }
    let names = |shown: &Ended| -> Vec<String> {
        let first = |line: &str| line.split_whitespace().next().map(str::to_owned);
        shown.out.lines().skip(1).filter_map(first).collect()
    };
    assert_eq!(names(&it.trcctl("status worker")), ["async.worker@1", "async.worker@2"]);
    assert_eq!(names(&it.trcctl("status async.worker@2")), ["async.worker@2"]);
    let restarted = it.trcctl("restart worker");
    restarted.status_is(0);
    assert_eq!(restarted.out.lines().count(), 2, "{restarted:?}");
    it.running.wait_for_times("I am 1 async.worker@1\n", 2);
    it.running.wait_for_times("I am 2 async.worker@2\n", 2);
    assert!(it.trcctl("health worker").out.starts_with("ready"));
    let logs = it.trcctl("logs worker").out;
    assert!(logs.contains("I am 1") && logs.contains("I am 2"), "{logs}");
    let met = "async.worker@1 is ready\nasync.worker@2 is ready\n";
    it.trcctl("wait worker=ready --for 30s").is(0, met, "");
    let why = it.trcctl("why worker");
    assert_eq!(why.status, 64);
    assert!(why.err.contains("`worker` has 2 instances: name one of them"), "{why:?}");
    // The first instance runs on.
    let pid = |unit: &str| {
        it.trcctl(&format!("status --json {unit}")).json()["units"][0]["process"]["pid"].clone()
    };
    let first = pid("worker@1");
    std::fs::write(it.running.path("trc.toml"), toml(1)).unwrap();
    it.trcctl("reload").status_is(0);
    assert_eq!(names(&it.trcctl("status worker")), ["async.worker@1"]);
    std::fs::write(it.running.path("trc.toml"), toml(3)).unwrap();
    it.trcctl("reload").status_is(0);
    it.running.wait_for("I am 3 async.worker@3\n");
    assert_eq!(pid("worker@1"), first);
    it.trcctl("shutdown").status_is(0);
}

#[test]
fn status_as_json_has_the_fields_of_the_protocol() {
    let it = Container::new(STACK);
    it.running.wait_until("it runs", || {
        it.trcctl("status --json db").json()["units"][0]["process"].is_object()
    });
    let all = it.trcctl("status --json").json();
    assert_eq!(all["units"][1]["name"], "async.web");
    assert_eq!(all["units"][1]["waits_for"], "async.db");
    assert_eq!(it.trcctl("status --json web").json()["units"].as_array().unwrap().len(), 1);
}

#[test]
fn units_are_stopped_started_and_restarted() {
    let it = Container::new(WEB);
    it.wait_for("web");
    it.trcctl("start web").is(0, "async.web is up already\n", "");
    let stopped = "async.web has stopped, as asked, and stays so until somebody starts it\n";
    it.trcctl("stop web").is(0, stopped, "");
    it.trcctl("stop web").is(0, "async.web has stopped already\n", "");
    it.trcctl("health").is(0, "degraded: async.web was stopped by hand\n", "");
    it.trcctl("start web").is(0, "async.web is up, as asked\n", "");
    it.trcctl("restart web").is(0, "async.web is up again, as asked\n", "");
    let job = it.trcctl("restart --json web").json();
    assert_eq!((&job["task"], &job["status"]), (&"restart".into(), &"done".into()));
    let begun = it.trcctl("stop --no-wait web");
    assert_eq!(begun.status, 0);
    assert!(begun.out.starts_with("trc is about to stop async.web (job "), "{begun:?}");
}

#[test]
fn a_stop_names_what_depends_on_the_unit_and_stops_it_first_if_asked_to() {
    let toml = "[async.db]\nscript = 'exec cat $W/never'\n\
                [async.web]\nscript = 'exec cat $W/never'\nafter = ['db']\n";
    let it = Container::new(toml);
    it.wait_for("");
    let stopped = "async.db has stopped, as asked, and stays so until somebody starts it";
    it.trcctl("stop db").is(0, &format!("{stopped}; still needed by async.web\n"), "");
    it.trcctl("start db").is(0, "async.db is up, as asked\n", "");
    let both = format!("{stopped}; stopped before it: async.web\n");
    it.trcctl("stop --dependents db").is(0, &both, "");
    it.trcctl("stop --dependents db").is(0, "async.db has stopped already\n", "");
    it.trcctl("start web").is(0, "async.web is up, as asked\n", "");
}

#[test]
fn a_unit_that_does_not_come_up_is_a_failure() {
    let it = Container::new(
        "[async.web]\nscript = 'test -e $W/bad && exit 3; exec cat $W/never'\n\
         on_failure = 'ignore'\n[sync.main]\nscript = 'exec cat $W/never'\n",
    );
    it.wait_for("");
    std::fs::write(it.running.path("bad"), "").unwrap();
    it.trcctl("stop web");
    // Without a readiness check it is up if it stays up for a moment.
    it.trcctl("start web").is(1, "async.web failed with status 3\n", "");
    let it = Container::new(
        "[async.web]\nscript = 'test -e $W/bad && exit 3; echo ready; exec cat $W/never'\n\
         ready = { log = '^ready$$' }\non_failure = 'ignore'\n[sync.main]\nscript = 'exec cat $W/never'\n",
    );
    it.wait_for("");
    std::fs::write(it.running.path("bad"), "").unwrap();
    let failed = it.trcctl("restart web");
    assert_eq!((failed.status, failed.err.as_str()), (1, ""));
    assert!(failed.out.contains("async.web"), "{failed:?}");
}

#[test]
fn several_units_are_changed_and_the_worst_status_counts() {
    let it = Container::new(&format!("{WEB}[sync.main]\nscript = 'exec cat $W/never'\n"));
    it.wait_for("");
    let both = it.trcctl("restart web main");
    both.is(0, "async.web is up again, as asked\nsync.main is up again, as asked\n", "");
    it.trcctl("stop wbe web").is(
        64,
        "async.web has stopped, as asked, and stays so until somebody starts it\n",
        "trcctl: there is no unit `wbe` (did you mean `web`?)\n",
    );
}

#[test]
fn units_that_are_restarted_together_are_restarted_once() {
    let it = Container::new(
        "[async.web]\nscript = 'trap \"read x < $W/go; exit 0\" TERM; exec 9<>$W/never; echo web; read x <&9'\n\
         [async.app]\nscript = 'echo app; exec cat $W/never'\n\
         restart = { when = 'always', with = ['web'] }\n",
    );
    it.wait_for("web");
    it.running.wait_for("app\n");
    // The first restart is not done before somebody has asked for the last one.
    it.trcctl("restart web app web --no-wait").status_is(0);
    it.running.open_gate("go");
    it.running.wait_for("async.web is up again, as asked");
    it.running.wait_for("async.app is up again, as asked");
    let events = it.trcctl("events --grep Launching app");
    assert_eq!(events.out.lines().count(), 2, "{events:?}");
}

/// Returns a configuration with a service, one that does not start by itself, and a third one.
fn idle_and_not(value: &str, idle: &str) -> String {
    format!(
        "[async.web]\nscript = 'exec cat $W/never'\nenv.A = '{value}'\n\
         [async.idle]\nscript = 'exec cat $W/never'\nautostart = {idle}\nenv.A = '{value}'\n\
         [sync.main]\nscript = 'exec cat $W/never'\nrestart.max = {value}\n"
    )
}

/// Returns the lines about units, without those about their keys.
fn of_units(shown: &Ended) -> Vec<&str> {
    shown
        .out
        .lines()
        .take_while(|line| !line.is_empty())
        .filter(|it| !it.starts_with(' '))
        .collect()
}

#[test]
fn a_reload_does_not_say_that_a_unit_runs_on_if_it_does_not_run() {
    let it = Container::new(&idle_and_not("1", "false"));
    it.wait_for("");
    it.trcctl("stop web").status_is(0);
    std::fs::write(it.running.path("trc.toml"), idle_and_not("2", "false")).unwrap();
    assert_eq!(
        of_units(&it.trcctl("reload --dry-run")),
        [
            "async.web would get new settings",
            "async.idle would get new settings",
            "sync.main would get new settings, and run on",
        ]
    );
    assert_eq!(
        of_units(&it.trcctl("reload")),
        [
            "async.web has new settings",
            "async.idle has new settings",
            "sync.main has new settings, and runs on",
        ]
    );
    assert!(it.trcctl("status web").out.contains(" held "));
    it.trcctl("shutdown").status_is(0);
}

#[test]
fn a_reload_tells_units_that_are_new_from_those_that_start_now() {
    let it = Container::new(&idle_and_not("1", "false"));
    it.wait_for("");
    let more = "[async.new]\nautostart = false\nexec = 'true'\n[halt.bye]\nexec = 'true'\n";
    let toml = idle_and_not("1", "true") + more;
    std::fs::write(it.running.path("trc.toml"), toml).unwrap();
    assert_eq!(
        of_units(&it.trcctl("reload --dry-run")),
        ["async.idle would start", "async.new is new", "halt.bye is new"]
    );
    assert_eq!(
        of_units(&it.trcctl("reload")),
        ["async.idle starts", "async.new is new", "halt.bye is new"]
    );
    std::fs::write(it.running.path("trc.toml"), idle_and_not("1", "true")).unwrap();
    assert_eq!(of_units(&it.trcctl("reload")), ["async.new is gone", "halt.bye is gone"]);
    it.trcctl("shutdown").status_is(0);
}

#[test]
fn a_start_that_has_to_wait_says_for_what() {
    let it = Container::new(
        "[async.db]\nscript = 'echo up; exec cat $W/never'\nready = { log = '^up$$' }\n[async.app]\nscript = 'exec cat $W/never'\n\
         after = ['db']\n",
    );
    it.wait_for("");
    it.trcctl("stop app db");
    let began = std::time::Instant::now();
    let start = std::thread::scope(|scope| {
        let start = scope.spawn(|| it.trcctl("start app"));
        it.running.wait_until("it has waited", || began.elapsed().as_secs() >= 4);
        it.trcctl("start db");
        start.join().unwrap()
    });
    let said = "trcctl: still waiting: async.app waits for async.db (`trcctl why async.app`)\n";
    start.is(0, "async.app is up, as asked\n", said);
}

#[test]
fn a_signal_is_sent() {
    let it = Container::new(
        "[sync.main]\nscript = 'trap \"echo reloaded\" HUP; echo up; while :; do read x <$W/go; done'\n",
    );
    it.running.wait_for("up\n");
    it.trcctl("signal HUP main").is(0, "sent SIGHUP to sync.main\n", "");
    it.running.wait_for("reloaded\n");
    let wrong = "trcctl: `FOO` is not a signal: expected a name such as SIGTERM or TERM\n";
    it.trcctl("signal FOO main").is(64, "", wrong);
}

#[test]
fn a_signal_to_a_unit_that_does_not_run_is_refused() {
    let it = Container::new(STACK);
    let refused = it.trcctl("signal HUP web");
    assert_eq!((refused.status, refused.out.as_str()), (1, ""));
    assert!(
        refused.err.contains("async.web") && refused.err.contains("not running"),
        "{refused:?}"
    );
}

#[test]
fn logs_show_the_last_output() {
    let it = Container::new(
        "[async.a]\nscript = 'echo one; echo two; exec cat $W/never'\n\
         [async.b]\nscript = 'echo bee >&2; exec cat $W/never'\n",
    );
    it.running.wait_for("two\n");
    it.running.wait_for("bee\n");
    let time = Regex::new(r"(?m)^\d\d:\d\d:\d\d\.\d{3} ").unwrap();
    let shown = |words: &str| time.replace_all(&it.trcctl(words).out, "T ").into_owned();
    assert_eq!(shown("logs a"), "T async.a | one\nT async.a | two\n");
    assert_eq!(shown("logs -n 1 a"), "T async.a | two\n");
    assert_eq!(shown("logs --grep ee"), "T async.b | bee\n");
    assert_eq!(it.trcctl("logs --json -n 1 b").json()["line"], "bee");
    let events = shown("events a");
    assert!(events.starts_with("T info: Launching on the background: a"), "{events}");
}

#[test]
fn logs_follow_until_the_run_ends() {
    let it = Container::new(
        "[async.a]\nscript = 'echo one; read x <$W/go; echo two; exec cat $W/never'\n",
    );
    it.running.wait_for("one\n");
    let mut follows = command(env!("CARGO_BIN_EXE_trcctl"), &it.socket, "logs -f");
    let mut follows = follows.stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(follows.stdout.take().unwrap());
    let mut all = String::new();
    out.read_line(&mut all).unwrap();
    it.running.open_gate("go");
    it.running.wait_for("two\n");
    it.running.signal(TERM);
    out.read_to_string(&mut all).unwrap();
    assert!(follows.wait().unwrap().success());
    let lines: Vec<&str> = all.lines().filter_map(|line| line.split(" | ").nth(1)).collect();
    assert_eq!(lines, ["one", "two"]);
}

#[test]
fn health_is_the_exit_status_in_both_programs() {
    let it = Container::new(STACK);
    let is_not_ready = |ended: &Ended| {
        ended.status == 1 && ended.out.starts_with("starting: async.db is not ready yet")
    };
    it.running.wait_until("it has started", || is_not_ready(&it.trcctl("health")));
    let too = trc_health(&it.socket, "");
    assert!(is_not_ready(&too), "{too:?}");
    assert_eq!(it.trcctl("health --json").json()["unit"], "async.db");
    it.running.open_gate("go");
    it.wait_for("");
    it.trcctl("health").is(0, "ready\n", "");
    trc_health(&it.socket, "").is(0, "ready\n", "");
    trc_health(&it.socket, "web async.db").is(0, "ready\n", "");
    let wrong = "there is no unit `wbe` (did you mean `web`?)\n";
    it.trcctl("health wbe").is(64, "", &format!("trcctl: {wrong}"));
    trc_health(&it.socket, "wbe").is(64, "", &format!("trc: {wrong}"));
}

#[test]
fn health_does_not_read_the_configuration() {
    let it = Container::new(WEB);
    it.wait_for("");
    let mut health = command(binary(), &it.socket, "--health");
    health.env("TRC_WAIT", "nonsense").env("TRC_WORKDIR", "/nowhere");
    Ended::from(health.output().unwrap()).is(0, "ready\n", "");
}

#[test]
fn health_takes_nothing_but_units() {
    let option = trc_health(Path::new("/nowhere"), "--json");
    option.is(64, "", "trc: `--json` is not a unit: write `trc --health [UNIT…]`\n");
    let late: Ended =
        command(binary(), Path::new("/nowhere"), "-w / --health").output().unwrap().into();
    assert_eq!((late.status, late.out.as_str()), (64, ""));
    assert!(late.err.contains("--health must be the first argument"), "{late:?}");
}

#[test]
fn where_no_trc_listens_the_error_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("trc.sock");
    for words in ["status", "start web", "signal HUP web", "logs", "events -f", "health"] {
        let ended = trcctl(&socket, words);
        assert_eq!((ended.status, ended.out.as_str()), (69, ""), "{words}");
        let says = format!(
            "trcctl: no trc listens on {}\n  help: run this inside the container",
            socket.display()
        );
        assert!(ended.err.starts_with(&says) && ended.err.contains("TRC_SOCKET"), "{ended:?}");
    }
    assert_eq!(trc_health(&socket, "").status, 69);
    // One that has been killed leaves its socket behind.
    drop(UnixListener::bind(&socket).unwrap());
    assert!(trcctl(&socket, "status").err.contains("no trc listens on"));
}

#[test]
fn another_server_is_not_trc() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("mail.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let server = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        // The kernel resets a connection that is closed with something unread.
        assert!(client.read(&mut [0; 4096]).unwrap() > 0);
        client.write_all(b"220 mail.example.org ESMTP\r\n").unwrap();
    });
    let odd = "trcctl: this is not an answer of trc: \"220 mail.example.org ESMTP\"\n";
    trcctl(&socket, "status").is(69, "", odd);
    server.join().unwrap();
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let it = Container::new(WEB);
    it.wait_for("");
    for words in ["status", "health", "logs", "restart web"] {
        let (read, write) = std::io::pipe().unwrap();
        drop(read);
        let mut asks = command(env!("CARGO_BIN_EXE_trcctl"), &it.socket, words);
        let ended: Ended = asks.stdout(write).output_with_its_own_streams();
        ended.is(0, "", "");
    }
}

/// Runs a command whose standard output is given already.
trait OwnStreams {
    fn output_with_its_own_streams(&mut self) -> Ended;
}

impl OwnStreams for Command {
    fn output_with_its_own_streams(&mut self) -> Ended {
        self.stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap().into()
    }
}

/// Runs `trcctl` as a user that is not root. The test's own copy of it is elsewhere.
fn as_user(user: u32, it: &Container, words: &str) -> Ended {
    let program = it.running.path("trcctl");
    if !program.exists() {
        copy(env!("CARGO_BIN_EXE_trcctl"), &program);
    }
    command(&program, &it.socket, words).uid(user).gid(user).output().unwrap().into()
}

#[test]
fn other_users_may_ask_for_health_only() {
    if !root() {
        return;
    }
    let it = Container::new(WEB);
    it.wait_for("");
    as_user(4242, &it, "health").is(0, "ready\n", "");
    for (words, needs) in [("status", "read"), ("logs", "read"), ("restart web", "operate")] {
        let says = format!(
            "trcctl: the user 4242 needs `{needs}`: ask as root, or write [control] allow = \
             {{ 4242 = \"{needs}\" }}\n"
        );
        as_user(4242, &it, words).is(77, "", &says);
    }
}

#[test]
fn a_socket_that_a_user_may_not_open_is_named() {
    if !root() {
        return;
    }
    let it = Container::new(WEB);
    std::fs::set_permissions(&it.socket, std::fs::Permissions::from_mode(0o600)).unwrap();
    let refused = as_user(4242, &it, "health");
    let says = format!("trcctl: you may not connect to {}: ", it.socket.display());
    assert_eq!((refused.status, refused.out.as_str()), (77, ""));
    assert!(refused.err.starts_with(&says) && refused.err.contains("permissions"), "{refused:?}");
}

#[test]
fn wait_ready_ends_when_every_unit_is_up() {
    let it = Container::new(STACK);
    let mut waits = command(env!("CARGO_BIN_EXE_trcctl"), &it.socket, "wait ready --for 30s");
    let waits = waits.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    it.running.open_gate("go");
    Ended::from(waits.wait_with_output().unwrap()).is(0, "ready\n", "");
    it.trcctl("wait ready").is(0, "ready\n", "");
    it.trcctl("wait db=ready web=started").is(0, "async.db is ready\nasync.web is running\n", "");
}

#[test]
fn wait_says_what_blocks_when_the_time_is_up() {
    let it = Container::new(STACK);
    it.trcctl("wait db=started").status_is(0);
    for goal in ["ready", "web=ready"] {
        let late = it.trcctl(&format!("wait {goal} --for 0.1s"));
        assert_eq!(late.status, 124, "{late:?}");
        assert!(
            late.err.starts_with(&format!("trcctl: the time is up before `{goal}`\n")),
            "{late:?}"
        );
        assert!(late.err.contains("async.db is not ready yet"), "{late:?}");
    }
    let web = it.trcctl("wait web=ready --for 0.1s");
    assert_eq!(web.out, "async.web waits for async.db\n");
    assert!(web.err.contains("\nasync.web waits for async.db (for "), "{web:?}");
}

#[test]
fn wait_ends_when_the_condition_cannot_be_met_any_more() {
    let it = Container::new(
        "[async.a]\nexec = 'true'\noneshot = true\n\
         [async.b]\nexec = ['sh', '-c', 'exit 3']\noneshot = true\non_failure = 'ignore'\n\
         [sync.main]\nscript = 'exec cat $W/never'\n",
    );
    it.trcctl("wait a=succeeded b=failed a=exited b=exited a=settled b=settled").status_is(0);
    let never = it.trcctl("wait b=succeeded");
    assert_eq!(never.status, 1);
    let says = "trcctl: `b=succeeded` cannot be reached any more: async.b failed with status 3\n";
    assert_eq!(never.err, says);
    it.trcctl("wait b=ready").status_is(1);
    it.trcctl("wait a=failed").status_is(1);
}

#[test]
fn wait_stopped_ends_with_the_run() {
    let it = Container::new(WEB);
    it.wait_for("");
    let late = it.trcctl("wait stopped --for 0.1s");
    assert_eq!((late.status, late.out.as_str()), (124, "ready\n"));
    let mut waits = command(env!("CARGO_BIN_EXE_trcctl"), &it.socket, "wait stopped");
    it.running.wait_until("nobody is connected", || it.sockets() == 1);
    let mut waits = waits.stdout(Stdio::piped()).spawn().unwrap();
    it.running.wait_until("it is connected", || it.sockets() == 2);
    it.running.signal(TERM);
    let mut out = String::new();
    waits.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert!(waits.wait().unwrap().success());
    assert_eq!(out, "stopped\n");
}

/// trc lets clients go if there are too many.
#[test]
fn a_connection_that_breaks_off_is_not_the_end_of_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("trc.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let place = socket.clone();
    let server = std::thread::spawn(move || {
        let asked = || {
            let (mut client, _) = listener.accept().unwrap();
            assert!(client.read(&mut [0; 4096]).unwrap() > 0);
        };
        asked();
        asked();
        std::fs::remove_file(place).unwrap();
    });
    trcctl(&socket, "wait stopped").is(0, "stopped\n", "");
    server.join().unwrap();
}

#[test]
fn wait_stopped_ends_if_trc_is_killed() {
    let it = Container::new(WEB);
    it.wait_for("");
    it.running.wait_until("nobody is connected", || it.sockets() == 1);
    let mut waits = command(env!("CARGO_BIN_EXE_trcctl"), &it.socket, "wait stopped --for 30s");
    let waits = waits.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    it.running.wait_until("it is connected", || it.sockets() == 2);
    it.running.signal(KILL);
    Ended::from(waits.wait_with_output().unwrap()).is(0, "stopped\n", "");
}

#[test]
fn wait_with_a_time_waits_for_trc_to_listen() {
    let trc = Trc::toml(WEB).control();
    let socket = trc.path("trc.sock");
    trcctl(&socket, "wait ready").status_is(69);
    trcctl(&socket, "wait ready --for 0.1s").status_is(69);
    let mut waits = command(env!("CARGO_BIN_EXE_trcctl"), &socket, "wait ready --for 30s");
    let waits = waits.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let running = trc.spawn();
    Ended::from(waits.wait_with_output().unwrap()).is(0, "ready\n", "");
    running.signal(TERM);
}

#[test]
fn wait_says_what_it_can_wait_for() {
    let nowhere = Path::new("/nowhere");
    trcctl(nowhere, "wait web").is(
        64,
        "",
        "trcctl: cannot wait for `web`: write ready, stopped or UNIT=CONDITION\n",
    );
    let wrong = trcctl(nowhere, "wait web=redy");
    assert!(wrong.status == 64 && wrong.err.contains("did you mean `ready`?"), "{wrong:?}");
    let wrong = trcctl(nowhere, "wait ready --for soon");
    assert!(wrong.status == 64 && wrong.err.contains("such as 30s"), "{wrong:?}");
}

#[test]
fn why_leads_to_the_cause() {
    let it = Container::new(&format!(
        "{STACK}[async.front]\nscript = 'exec cat $W/never'\nafter = ['web']\n\
         [async.chat]\nscript = 'echo hello; exec cat $W/never'\nready = {{ log = 'never' }}\n\
         [async.last]\nscript = 'exec cat $W/never'\nafter = ['chat']\n"
    ));
    it.running.wait_for("hello\n");
    it.trcctl("wait db=started").status_is(0);
    let shown = it.trcctl("why front");
    let lines: Vec<&str> = shown.out.lines().collect();
    assert!(lines[0].starts_with("async.front waits for async.web (for "), "{shown:?}");
    assert!(lines[1].starts_with("  async.web waits for async.db (for "), "{shown:?}");
    assert!(lines[2].starts_with("    async.db is not ready yet (for "), "{shown:?}");
    assert!(
        shown.out.contains("\n      next:        it fails if it is not ready in "),
        "{shown:?}"
    );
    let last = it.trcctl("why last").out;
    assert!(last.contains("\n    last output: | hello\n"), "{last}");
    let json = it.trcctl("why --json front").json();
    assert_eq!(json["units"][2]["name"], "async.db");
    assert!(json["units"][2]["deadline_ms"].as_u64().is_some(), "{json}");
    it.trcctl("why chta").is(64, "", "trcctl: there is no unit `chta` (did you mean `chat`?)\n");
}

#[test]
fn why_names_the_unit_whose_turn_it_is() {
    let it = Container::new(
        "[boot.a]\nscript = 'echo up; read x <$W/go'\n[boot.b]\nexec = 'true'\n\
         [sync.one]\nscript = 'exec cat $W/never'\n[sync.two]\nexec = 'true'\n",
    );
    it.running.wait_for("up\n");
    let lines =
        |words: &str| -> Vec<String> { it.trcctl(words).out.lines().map(str::to_owned).collect() };
    let first = lines("why two");
    assert!(first[0].starts_with("sync.two waits for sync.one "), "{first:?}");
    assert!(first[1].starts_with("  sync.one waits for its turn "), "{first:?}");
    assert!(first[2].starts_with("    boot.a has not finished yet "), "{first:?}");
    it.running.open_gate("go");
    it.trcctl("wait one=started").status_is(0);
    let then = lines("why two");
    assert!(then[1].starts_with("  sync.one is running "), "{then:?}");
}

#[test]
fn why_leads_from_a_failure_to_the_one_behind_it() {
    let it = Container::new(
        "wait = 'forever'\n\
         [async.db]\nscript = 'read x <$W/go; exit 5'\nrestart = { when = 'always', backoff = '1h' }\n\
         [async.web]\nscript = 'mkfifo $W/on; read x <$W/on; exit 3'\nafter = ['db']\n",
    );
    it.trcctl("wait web=started").status_is(0);
    it.running.open_gate("go");
    it.running.wait_for("restarting async.db ");
    it.running.open_gate("on");
    it.running.wait_for("async.web failed with status 3");
    let shown = it.trcctl("why web").out;
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].starts_with("async.web failed with status 3 (for "), "{shown}");
    assert!(
        lines[1].starts_with("  async.db failed with status 5, and is about to be "),
        "{shown}"
    );
    assert_eq!(it.trcctl("why --json web").json()["units"][0]["because_of"][0], "async.db");
    it.trcctl("restart db").status_is(0);
    let up = it.trcctl("why web").out;
    assert!(up.contains("\n  because of:  async.db\n"), "{up}");
}

#[test]
fn why_says_what_to_do_about_a_unit_that_was_stopped_by_hand() {
    let it = Container::new(&format!("{WEB}[sync.main]\nscript = 'exec cat $W/never'\n"));
    it.wait_for("");
    let up = it.trcctl("why web").out;
    assert!(up.starts_with("async.web is ready (for "), "{up}");
    it.trcctl("stop web");
    let held = it.trcctl("why web").out;
    assert!(held.contains("async.web was stopped by hand (for "), "{held}");
    assert!(held.contains("to do:       trcctl start async.web\n"), "{held}");
}

#[test]
fn why_counts_restarts_and_names_what_has_changed_since_the_start() {
    let toml = "[async.web]\nscript = 'echo up $A; exec cat $W/never'\nenv_file = '${W}/web.env'\n\
                ready = { log = '^up' }\nrestart = { when = 'always', backoff = '1ms' }\n";
    let trc = Trc::toml(toml).control();
    let (socket, file) = (trc.path("trc.sock"), trc.path("web.env"));
    std::fs::write(&file, "A=1\n").unwrap();
    let it = Container { running: trc.spawn(), socket };
    it.running.wait_for("up 1\n");
    it.trcctl("wait web=ready --for 30s").status_is(0);
    let why = it.trcctl("why web").out;
    assert_eq!(why.lines().count(), 1, "{why}");
    it.trcctl("signal KILL web");
    it.running.wait_until("it is started again", || {
        it.trcctl("status --json web").json()["units"][0]["restarts"] == 1
    });
    it.trcctl("wait web=ready --for 30s").status_is(0);
    std::fs::write(&file, "A=2\n").unwrap();
    let why = it.trcctl("why web").out;
    assert!(why.contains("\n  restarts:    1 × failure\n"), "{why}");
    let changed = format!("\n  changed:     {}, since its start;", file.display());
    assert!(why.contains(&changed), "{why}");
    it.trcctl("reload").status_is(0);
    it.trcctl("wait web=ready --for 30s").status_is(0);
    let why = it.trcctl("why web").out;
    assert!(!why.contains("changed:"), "{why}");
}

#[test]
fn why_says_how_a_unit_exited_that_is_started_again() {
    let it = Container::new(
        "[async.a]\nexec = 'false'\nrestart = { backoff = '1h' }\n\
         [sync.main]\nscript = 'exec cat $W/never'\n",
    );
    it.running.wait_for("restarting async.a");
    let why = it.trcctl("why a").out;
    assert!(why.contains("  last exit:   failed with status 1 "), "{why}");
    assert!(why.contains("  next:        trc starts it again in "), "{why}");
    let status = it.trcctl("status a").out;
    assert!(status.contains("failed with status 1 ") && status.contains("again in "), "{status}");
}

#[test]
fn a_unit_that_only_stands_for_something_is_up_when_that_is_there() {
    let it = Container::new(
        "[async.outside]\nready = { file = '${W}/there' }\n\
         [sync.main]\nscript = 'exec cat $W/never'\n",
    );
    std::fs::write(it.running.path("there"), "").unwrap();
    it.trcctl("wait outside=ready --for 30s").is(0, "async.outside is ready\n", "");
}

#[test]
fn colours_are_for_terminals() {
    let it = Container::new(WEB);
    it.wait_for("");
    for words in ["status", "logs", "events", "why web"] {
        assert!(!it.trcctl(words).out.contains('\x1b'), "{words}");
        let coloured = it.trcctl(&format!("{words} --color always")).out;
        assert!(coloured.contains("\x1b["), "{words}: {coloured}");
    }
    let green = it.trcctl("status --color always").out;
    assert!(green.contains("\x1b[32mready\x1b[0m"), "{green:?}");
    // Without its colours it is the same text.
    let escapes = Regex::new(r"\x1b\[\d+m").unwrap();
    let plain = same_each_time(&it.trcctl("status").out);
    assert_eq!(same_each_time(&escapes.replace_all(&green, "")), plain);
}

#[test]
fn status_can_be_watched_until_the_run_ends() {
    let it = Container::new(WEB);
    it.wait_for("");
    let mut watches = command(env!("CARGO_BIN_EXE_trcctl"), &it.socket, "status --watch web");
    let mut watches = watches.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watches.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut heads = 0;
    while heads < 2 {
        heads += usize::from(lines.next().unwrap().starts_with("UNIT"));
    }
    it.running.signal(TERM);
    assert_eq!(lines.filter(|line| line.contains('\x1b')).count(), 0);
    assert_eq!(watches.wait().unwrap().code(), Some(69));
}

/// Asks for what can follow the words, as the script of bash does.
fn completed(socket: &Path, words: &[&str]) -> Vec<String> {
    let mut asks = command(env!("CARGO_BIN_EXE_trcctl"), socket, "--");
    asks.args(words).env("TRCCTL_COMPLETE", "bash").env("_CLAP_IFS", "\n");
    asks.env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string());
    asks.env("_CLAP_COMPLETE_COMP_TYPE", "9").env("_CLAP_COMPLETE_SPACE", "true");
    let ended: Ended = asks.output().unwrap().into();
    assert_eq!((ended.status, ended.err.as_str()), (0, ""));
    ended.out.lines().map(str::to_owned).collect()
}

#[test]
fn a_shell_completes_commands_and_the_units_that_run() {
    let it = Container::new(STACK);
    let of = |words: &[&str]| completed(&it.socket, words);
    assert_eq!(of(&["trcctl", "resta"]), ["restart"]);
    assert_eq!(of(&["trcctl", "restart", "w"]), ["web"]);
    assert_eq!(of(&["trcctl", "why", "async."]), ["async.db", "async.web"]);
    assert_eq!(of(&["trcctl", "signal", "U"]), ["USR1", "USR2"]);
    assert_eq!(of(&["trcctl", "wait", "d"]), ["db=ready"]);
    // Without a trc there are no names, and no complaint.
    assert_eq!(completed(Path::new("/nowhere"), &["trcctl", "restart", "w"]), [""; 0]);
}

#[test]
fn each_shell_has_a_script() {
    for (shell, says) in [("bash", "complete "), ("zsh", "compdef"), ("fish", "complete ")] {
        let script = trcctl(Path::new("/nowhere"), &format!("completions {shell}"));
        assert_eq!((script.status, script.err.as_str()), (0, ""));
        assert!(script.out.contains(says) && script.out.contains("TRCCTL_COMPLETE"), "{script:?}");
    }
    trcctl(Path::new("/nowhere"), "completions csh").status_is(64);
}

#[test]
fn reload_lets_units_reload_and_waits_until_they_have() {
    let it = Container::new(&format!(
        "{WEB}reload.exec = 'cat ${{W}}/go'\n\
         [async.main]\nscript = 'trap \"echo reloaded\" HUP; echo up; while :; do read x <$W/never; done'\n\
         reload = 'HUP'\n[async.plain]\nscript = 'exec cat $W/never'\n"
    ));
    it.running.wait_for("up\n");
    it.wait_for("web");
    it.trcctl("reload main").is(0, "async.main has reloaded, as asked\n", "");
    it.running.wait_for("reloaded\n");
    let mut waits = command(env!("CARGO_BIN_EXE_trcctl"), &it.socket, "reload web --json");
    let waits = waits.stdout(Stdio::piped()).spawn().unwrap();
    it.running.wait_until("it reloads", || it.trcctl("status web").out.contains(" reloading "));
    it.trcctl("health web").is(0, "ready\n", "");
    it.running.open_gate("go");
    let ended = Ended::from(waits.wait_with_output().unwrap());
    assert_eq!((ended.status, &ended.json()["status"]), (0, &"done".into()));
    let refused = it.trcctl("reload plain");
    assert_eq!((refused.status, refused.out.as_str()), (1, ""));
    assert!(
        refused.err.contains("async.plain has no `reload` in the configuration"),
        "{refused:?}"
    );
    it.trcctl("reload nope").status_is(64);
}

#[test]
fn the_options_for_the_configuration_and_those_for_units_exclude_one_another() {
    let it = Container::new(WEB);
    for (words, says) in [
        ("reload --dry-run web", "'--dry-run' cannot be used with '[UNIT]...'"),
        ("reload --keep web", "'--keep' cannot be used with '[UNIT]...'"),
        ("reload --no-wait", "required arguments were not provided"),
    ] {
        let wrong = it.trcctl(words);
        assert!(wrong.status == 64 && wrong.err.contains(says), "{words}: {wrong:?}");
    }
    it.trcctl("reload").is(0, "nothing has changed\n", "");
}

#[test]
fn a_reader_that_goes_away_changes_no_exit_status() {
    let it = Container::new(WEB);
    it.wait_for("web");
    let unread = |words: &str, status: i32| {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = command(env!("CARGO_BIN_EXE_trcctl"), &it.socket, words);
        command.stdout(writer.try_clone().unwrap()).stderr(writer);
        assert_eq!(command.status().unwrap().code(), Some(status), "{words}");
    };
    unread("status", 0);
    unread("wait web=failed --for 10ms", 124);
    unread("reload --dry-run", 0);
    unread("reload --dry-run --json", 0);
    std::fs::write(it.running.path("trc.toml"), "[async.web]\nexce = 'x'\n").unwrap();
    unread("reload", 78);
}

/// It went on for ever.
#[test]
fn a_watch_ends_when_nobody_reads_it_any_more() {
    let it = Container::new(WEB);
    let mut command = command(env!("CARGO_BIN_EXE_trcctl"), &it.socket, "status --watch");
    let mut watch = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    lines.next().unwrap().unwrap();
    drop(lines);
    let mut end = None;
    it.running.wait_until("it has ended", || {
        end = watch.try_wait().unwrap();
        end.is_some()
    });
    assert_eq!(end.unwrap().code(), Some(0));
}

/// A full pipe that does not block used to count as one that nobody reads.
#[test]
fn a_non_blocking_output_loses_nothing() {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let line = "x".repeat(1000);
    let it = Container::new(&format!(
        "[async.web]\nscript = 'for i in {{1..200}}; do echo {line}; done; echo last; exec cat $W/never'\n\
         ready = {{ log = '^last$$' }}\n"
    ));
    it.wait_for("web");
    let (mut reader, writer) = std::io::pipe().unwrap();
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_WRONLY | OFlag::O_NONBLOCK)).unwrap();
    let mut logs = command(env!("CARGO_BIN_EXE_trcctl"), &it.socket, "logs -n 201 web")
        .stdout(writer.try_clone().unwrap())
        .spawn()
        .unwrap();
    it.running.wait_until("the pipe is full", || {
        let mut polled = [PollFd::new(writer.as_fd(), PollFlags::POLLOUT)];
        poll(&mut polled, PollTimeout::ZERO).unwrap() == 0 || logs.try_wait().unwrap().is_some()
    });
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(logs.wait().unwrap().code(), Some(0));
    assert_eq!(text.lines().count(), 201);
}
