//! A running trc can be asked and changed, by its control socket.

use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::{HUP, MODES, Mode, Running, TERM, Trc, children_of, has, python, root};

/// A run and the way to ask it.
pub(crate) struct Asked {
    pub(crate) running: Running,
    pub(crate) socket: PathBuf,
}

/// An answer: the status code and the body.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Asked {
    pub(crate) fn new(toml: &str, mode: Mode) -> Self {
        Self::of(Trc::toml(toml).mode(mode))
    }

    pub(crate) fn of(trc: Trc) -> Self {
        let trc = trc.control();
        let socket = trc.path("trc.sock");
        let running = trc.spawn();
        running.wait_until("trc listens", || UnixStream::connect(&socket).is_ok());
        Self { running, socket }
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        ask(&self.socket, "GET", target)
    }

    pub(crate) fn post(&self, target: &str) -> Answer {
        ask(&self.socket, "POST", target)
    }

    /// Stops the run from outside.
    pub(crate) fn stop(self) -> crate::common::Outcome {
        self.running.signal(TERM);
        self.running.finish()
    }

    /// Asks for a change, and waits until it is done.
    pub(crate) fn done(&self, target: &str) -> Value {
        let answer = self.post(target);
        assert_eq!(answer.status, 202, "{target}: {}", answer.body);
        self.get(&format!("/v1/jobs/{}?wait=true&for=30s", answer.body["id"])).body
    }
}

fn ask(socket: &Path, method: &str, target: &str) -> Answer {
    Answer::of(&fetch(socket, method, target, "Host: trc\r\n"))
}

/// Asks for something, and returns the head and the body of the answer as they come.
pub(crate) fn fetch(socket: &Path, method: &str, target: &str, fields: &str) -> (String, String) {
    fetch_within(None, socket, method, target, fields).unwrap()
}

/// Does what [`fetch`] does, and waits no longer than this for each part of the answer.
pub(crate) fn fetch_within(
    patience: Option<Duration>,
    socket: &Path,
    method: &str,
    target: &str,
    fields: &str,
) -> io::Result<(String, String)> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(patience)?;
    let head = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n{fields}\r\n");
    stream.write_all(head.as_bytes())?;
    whole(&mut stream)
}

fn whole(stream: &mut UnixStream) -> io::Result<(String, String)> {
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let parts = text.split_once("\r\n\r\n");
    let (head, body) = parts.ok_or_else(|| io::Error::other(format!("no head: {text:?}")))?;
    Ok((head.to_owned(), body.to_owned()))
}

fn answer(stream: &mut UnixStream) -> Answer {
    Answer::of(&whole(stream).unwrap())
}

impl Answer {
    pub(crate) fn of((head, body): &(String, String)) -> Self {
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, body: serde_json::from_str(body).unwrap_or(Value::Null) }
    }
}

/// Reads the lines of a stream.
fn stream(socket: &Path, target: &str) -> impl Iterator<Item = Value> + use<> {
    use std::io::BufRead;
    let mut stream = UnixStream::connect(socket).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\n\r\n").unwrap();
    let lines = std::io::BufReader::new(stream).lines().map(Result::unwrap);
    lines
        .skip_while(|line| !line.is_empty())
        .skip(1)
        .map(|line| serde_json::from_str(&line).unwrap_or_else(|why| panic!("{why}: {line}")))
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "it reads better")]
pub(crate) fn same<A: Debug + PartialEq<B>, B: Debug>(a: A, b: B) {
    assert_eq!(a, b);
}

/// A service that says when it runs.
const WEB: &str =
    "[async.web]\nscript = 'echo ready; exec cat $W/never'\nready = { log = '^ready$$' }\n";

#[test]
fn a_client_is_told_what_runs() {
    for mode in MODES {
        let toml = format!(
            "{WEB}description = 'the web'\n[sync.main]\nscript = 'exec cat $W/never'\nafter = ['web']\n\
             [async.later]\nexec = 'true'\nafter = {{ main = 'exited' }}\n"
        );
        let it = Asked::new(&toml, mode);
        let main = it.get("/v1/units/sync.main?wait=started&for=30s").body;
        same(&main["phase"], "running");
        it.running.wait_until("its memory is known", || {
            it.get("/v1/units/sync.main").body["process"]["memory"].as_u64().unwrap() > 0
        });
        let units = it.get("/v1/units").body["units"].clone();
        same(units.as_array().unwrap().len(), 3);
        let web = it.get("/v1/units/web").body;
        same(&web["name"], "async.web");
        same(&web["description"], "the web");
        same(&web["ready"], true);
        same(&web["wanted"], "up");
        let later = it.get("/v1/units/later").body;
        same(&later["phase"], "waiting");
        assert!(later["why"].as_str().unwrap().starts_with("waits for "), "{later}");
        let about = it.get("/v1").body;
        same(&about["phase"], "up");
        same(&about["api"], 1);
        it.stop().status(143);
    }
}

#[test]
fn a_unit_is_stopped_started_and_restarted_on_request() {
    for mode in MODES {
        let it = Asked::new(&format!("{WEB}restart = 'always'\n"), mode);
        let first = it.get("/v1/units/web?wait=ready&for=30s").body;
        let pid = first["process"]["pid"].clone();
        same(&it.done("/v1/units/web/stop")["status"], "done");
        // It is held, and another stop has nothing to do.
        same(&it.get("/v1/units/web").body["wanted"], "held");
        let again = it.post("/v1/units/web/stop");
        same((again.status, &again.body["changed"]), (200, &Value::Bool(false)));
        same(&it.get("/v1/health").body["state"], "degraded");
        same(&it.done("/v1/units/web/start")["status"], "done");
        let second = it.get("/v1/units/web").body;
        assert_ne!(second["process"]["pid"], pid);
        same(&it.done("/v1/units/web/restart")["status"], "done");
        let third = it.get("/v1/units/web").body;
        assert_ne!(third["process"]["pid"], second["process"]["pid"]);
        // None of this counts as a restart of the restart policy.
        same(&third["restarts"], 0);
        it.stop().status(143).stdout_has("asked to stop async.web");
    }
}

#[test]
fn times_go_on_while_nothing_happens() {
    let it = Asked::new("[sync.main]\nexec = 'sleep 1000'\n", Mode::Subreaper);
    let times = || {
        let unit = it.get("/v1/units/main?wait=started").body;
        [&unit["since_ms"], &unit["process"]["uptime_ms"], &it.get("/v1").body["uptime_ms"]]
            .map(|time| time.as_u64().unwrap())
    };
    let before = times();
    it.running.wait_until("all times have gone on", || {
        times().iter().zip(before).all(|(now, before)| *now > before)
    });
    it.stop();
}

#[test]
fn a_signal_reaches_the_unit() {
    let it = Asked::new(
        "[sync.main]\nscript = 'trap \"echo reloaded\" HUP; echo up; while :; do read x <$W/go; done'\n",
        Mode::Subreaper,
    );
    it.running.wait_for("up\n");
    let sent = it.post("/v1/units/main/signal?signal=HUP");
    same((sent.status, &sent.body["task"]), (200, &Value::from("signal")));
    it.running.wait_for("reloaded\n");
    it.stop();
}

/// A service in Python that sends `READY=1`, and this on SIGHUP.
fn reloader(on_hup: &str, within: &str) -> Trc {
    let code = format!(
        "import os, signal, socket, time\n\
         name = os.environ['NOTIFY_SOCKET'].replace('@', chr(0))\n\
         s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
         say = lambda text: s.sendto(text.encode(), name)\n\
         now = lambda: time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000\n\
         wait = lambda gate: open(os.environ['W'] + '/' + gate).readline()\n\
         def reload(*_):\n    {on_hup}\n\
         signal.signal(signal.SIGHUP, reload)\n\
         say('READY=1')\n\
         while True: signal.pause()\n"
    );
    let toml = format!(
        "[async.app]\nexec = ['{}', '-u', '${{W}}/app.py']\nready.notify = true\n\
         reload = {{ signal = 'HUP', within = '{within}' }}\n",
        python()
    );
    Trc::toml(&toml).file("app.py", code)
}

#[test]
fn a_unit_reloads_and_says_when_it_is_ready_again() {
    for mode in MODES {
        let told = "say(f'RELOADING=1\\nMONOTONIC_USEC={now()}'); wait('go'); say('READY=1')";
        let it = Asked::of(reloader(told, "1m").mode(mode));
        let before = it.get("/v1/units/app?wait=ready&for=30s").body;
        let job = it.post("/v1/units/app/reload");
        same((job.status, &job.body["task"]), (202, &Value::from("reload")));
        // A unit that reloads is up.
        let meanwhile = it.get("/v1/units/app").body;
        same(&meanwhile["reloading"], true);
        same((&meanwhile["phase"], &meanwhile["ready"]), (&"running".into(), &true.into()));
        same(&it.get("/v1/health").body["state"], "ready");
        let again = it.post("/v1/units/app/reload").body;
        same(&again["id"], &job.body["id"]);
        it.running.open_gate("go");
        let done = it.get(&format!("/v1/jobs/{}?wait=true&for=30s", job.body["id"])).body;
        same(
            (&done["status"], &done["message"]),
            (&"done".into(), &"async.app has reloaded, as asked".into()),
        );
        let after = it.get("/v1/units/app").body;
        same(&after["process"]["pid"], &before["process"]["pid"]);
        same((&after["reloading"], &after["restarts"]), (&Value::Null, &0.into()));
        it.stop().status(143).stdout_has("asked to reload async.app (SIGHUP)");
    }
}

#[test]
fn a_unit_that_does_not_say_that_it_reloads_runs_on() {
    for (on_hup, why) in [
        ("pass", "it sent no RELOADING=1 within 0.3 s"),
        ("say('RELOADING=1')", "it sent RELOADING=1, but no READY=1 after it within 0.3 s"),
        // It is about an earlier reload.
        ("say('RELOADING=1\\nMONOTONIC_USEC=1'); say('READY=1')", "it sent no RELOADING=1"),
    ] {
        let it = Asked::of(reloader(on_hup, "0.3s"));
        it.get("/v1/units/app?wait=ready&for=30s");
        let failed = it.done("/v1/units/app/reload");
        same(&failed["status"], "failed");
        let message = failed["message"].as_str().unwrap();
        assert!(message.contains(why) && message.ends_with("; it runs on"), "{message}");
        let unit = it.get("/v1/units/app").body;
        same((&unit["ready"], &unit["restarts"]), (&true.into(), &0.into()));
        same(&it.get("/v1/health").body["state"], "ready");
        it.stop().status(143);
    }
}

#[test]
fn a_command_makes_a_unit_reload() {
    let command = "reload.exec = ['sh', '-c', 'echo to $TRC_PID; exit $(cat ${W}/status)']\n";
    let it = Asked::of(Trc::toml(&format!("{WEB}{command}")).file("status", "0"));
    let pid = it.get("/v1/units/web?wait=ready&for=30s").body["process"]["pid"].clone();
    same(&it.done("/v1/units/web/reload")["status"], "done");
    it.running.wait_for(&format!("to {pid}\n"));
    std::fs::write(it.socket.with_file_name("status"), "3").unwrap();
    let failed = it.done("/v1/units/web/reload");
    same(&failed["status"], "failed");
    let message = failed["message"].as_str().unwrap();
    assert!(message.ends_with("failed with status 3; it runs on"), "{message}");
    same(&it.get("/v1/units/web").body["process"]["pid"], &pid);
    it.stop();
}

#[test]
fn nginx_gets_new_workers_and_keeps_its_master_and_its_configuration_if_the_new_one_is_wrong() {
    if !root() || !has("nginx") {
        return;
    }
    let conf = |more: &str, place: &Path| {
        let place = place.display();
        format!(
            "daemon off; user root; pid {place}/nginx.pid; error_log stderr notice; events {{}}\n\
             http {{ access_log off; server {{ listen unix:{place}/web.sock; {more} }} }}\n"
        )
    };
    for by in ["exec = 'nginx -s reload -c ${W}/nginx.conf'", "signal = 'HUP'"] {
        let toml = format!(
            "[async.web]\nexec = 'nginx -c ${{W}}/nginx.conf'\nready.unix = '${{W}}/web.sock'\n\
             reload = {{ {by} }}\n"
        );
        let trc = Trc::toml(&toml);
        let place = trc.path("");
        let it = Asked::of(trc.file("nginx.conf", conf("", &place)));
        let master = it.get("/v1/units/web?wait=ready&for=30s").body["process"]["pid"].clone();
        // It listens before it writes the file from which `nginx -s` takes the pid.
        it.running.wait_for_file("nginx.pid");
        let children = || children_of(master.as_i64().unwrap().try_into().unwrap());
        let workers = children();
        same(&it.done("/v1/units/web/reload")["status"], "done");
        it.running.wait_until("new workers have taken over", || {
            let now = children();
            !now.is_empty() && now.iter().all(|pid| !workers.contains(pid))
        });
        std::fs::write(place.join("nginx.conf"), conf("nonsense;", &place)).unwrap();
        let wrong = it.done("/v1/units/web/reload");
        it.running.wait_for("unknown directive");
        // Only the command tells what nginx itself just logs.
        same(&wrong["status"], if by.starts_with("exec") { "failed" } else { "done" });
        let unit = it.get("/v1/units/web").body;
        same((&unit["process"]["pid"], &unit["ready"]), (&master, &true.into()));
        it.stop();
    }
}

#[test]
fn a_unit_that_exits_while_it_reloads_has_exited() {
    let toml = "[async.web]\nscript = 'trap \"exit 3\" HUP; echo up; while :; do read x <$W/go; done'\n\
                restart = 'always'\nreload.exec = 'sh -c \"kill -HUP $$TRC_PID; cat ${W}/never\"'\n";
    let it = Asked::new(toml, Mode::Subreaper);
    it.running.wait_for("up\n");
    let failed = it.done("/v1/units/web/reload");
    same(&failed["message"], "could not reload async.web: it did not stay up");
    it.running.wait_until("it is started again", || {
        it.get("/v1/units/web?wait=started&for=30s").body["restarts"] == 1
    });
    it.stop();
}

#[test]
fn a_reload_that_cannot_be_says_why() {
    let toml = format!(
        "{WEB}[async.slow]\nscript = 'read x <$W/go'\nready.notify = true\nreload = 'HUP'\n\
         [async.late]\nexec = 'true'\nafter = ['slow']\nreload = 'HUP'\n"
    );
    let it = Asked::new(&toml, Mode::Subreaper);
    it.get("/v1/units/web?wait=ready&for=30s");
    it.get("/v1/units/slow?wait=started&for=30s");
    for (unit, code, detail) in [
        ("web", "no_reload", "async.web has no `reload` in the configuration"),
        ("slow", "not_up", "async.slow is not up yet, and only a unit that is up can reload"),
        ("late", "not_running", "async.late is not running"),
    ] {
        let refused = it.post(&format!("/v1/units/{unit}/reload"));
        same((refused.status, &refused.body["code"]), (409, &Value::from(code)));
        assert!(refused.body["detail"].as_str().unwrap().starts_with(detail), "{}", refused.body);
    }
    it.stop();
}

#[test]
fn a_request_that_cannot_be_met_says_why() {
    let toml =
        format!("{WEB}[async.once]\nexec = 'true'\noneshot = true\n[halt.bye]\nexec = 'true'\n");
    let it = Asked::new(&toml, Mode::Subreaper);
    it.get("/v1/units/web?wait=ready&for=30s");
    it.get("/v1/units/once?wait=ended&for=30s");
    for (method, target, status, code, detail) in [
        ("POST", "/v1/units/wbe/stop", 404, "not_found", "there is no unit `wbe`"),
        ("GET", "/v1/units/wbe", 404, "not_found", "there is no unit `wbe`"),
        ("GET", "/v1/health?unit=wbe", 404, "not_found", "there is no unit `wbe`"),
        ("GET", "/v1/logs?unit=wbe", 404, "not_found", "there is no unit `wbe`"),
        ("GET", "/v1/jobs/7", 404, "not_found", "there is no job 7"),
        ("GET", "/v1/nothing", 404, "not_found", "there is no resource"),
        ("DELETE", "/v1/units", 405, "bad_method", "/v1/units takes GET"),
        (
            "POST",
            "/v1/units/bye/start",
            409,
            "no_service",
            "only async and sync units with a command do",
        ),
        (
            "POST",
            "/v1/units/once/signal?signal=HUP",
            409,
            "not_running",
            "async.once is not running",
        ),
    ] {
        let answer = ask(&it.socket, method, target);
        same((answer.status, &answer.body["code"]), (status, &Value::from(code)));
        assert!(answer.body["detail"].as_str().unwrap().contains(detail), "{}", answer.body);
    }
    same(&it.get("/v1/units/wbe").body["nearest"][0], "web");
    it.stop();
}

#[test]
fn another_method_is_refused_with_those_that_the_resource_takes() {
    let it = Asked::new(WEB, Mode::Subreaper);
    for (method, target, allow) in [
        ("POST", "/v1/units", "GET"),
        ("GET", "/v1/units/web/stop", "POST"),
        ("OPTIONS", "/v1/shutdown", "POST"),
        ("PUT", "/v1/jobs/1", "GET, DELETE"),
    ] {
        let (head, body) = fetch(&it.socket, method, target, "");
        assert!(head.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"), "{head}");
        let allowed = head.lines().find_map(|line| line.strip_prefix("Allow: "));
        same(allowed, Some(allow));
        assert!(body.contains(&format!("takes {allow}, not `{method}`")), "{body}");
    }
    let (head, _) = fetch(&it.socket, "GET", "/v1/nothing", "");
    assert!(!head.contains("Allow"), "{head}");
    it.stop();
}

#[test]
fn health_tells_whether_the_container_can_do_its_work() {
    let toml = "[async.web]\nscript = 'read x <$W/go; echo ready; exec cat $W/never'\n\
        ready = { log = '^ready$$' }\n[async.extra]\nexec = 'false'\non_failure = 'ignore'\n";
    let it = Asked::new(toml, Mode::Subreaper);
    it.get("/v1/units/extra?wait=ended&for=30s");
    let starting = it.get("/v1/health");
    same((starting.status, &starting.body["state"]), (503, &Value::from("starting")));
    same(&starting.body["unit"], "async.web");
    it.running.open_gate("go");
    it.get("/v1/units/web?wait=ready&for=30s");
    let degraded = it.get("/v1/health");
    same((degraded.status, &degraded.body["state"]), (200, &Value::from("degraded")));
    same(&degraded.body["unit"], "async.extra");
    same(&it.get("/v1/health?unit=web").body["state"], "ready");
    it.stop();
}

#[test]
fn the_last_lines_of_units_and_of_trc_can_be_read() {
    let toml = "[async.a]\nscript = 'echo one; echo two; printf open; read x <$W/go; echo ed; \
        exec cat $W/never'\n[async.b]\nscript = 'echo bee >&2; exec cat $W/never'\n";
    let it = Asked::new(toml, Mode::Subreaper);
    it.running.wait_for("two\n");
    it.running.wait_for("bee\n");
    let texts = |target: &str| -> Vec<String> {
        stream(&it.socket, target).map(|line| line["line"].as_str().unwrap().to_owned()).collect()
    };
    same(texts("/v1/logs?unit=a"), ["one", "two"]);
    same(texts("/v1/logs?unit=a&n=1"), ["two"]);
    same(texts("/v1/logs?grep=ee"), ["bee"]);
    let bee = stream(&it.socket, "/v1/logs?unit=b").next().unwrap();
    same((&bee["unit"], &bee["stream"]), (&Value::from("async.b"), &Value::from("stderr")));
    // A reader that follows is sent the rest as it comes, until the run ends.
    let mut follows = stream(&it.socket, "/v1/logs?unit=a&n=1&follow=true");
    same(&follows.next().unwrap()["line"], "two");
    it.running.open_gate("go");
    let opened = follows.next().unwrap();
    same(&opened["line"], "opened");
    let seq = opened["seq"].as_u64().unwrap();
    same(texts(&format!("/v1/logs?since={}", seq - 1)), ["opened"]);
    let mut events = stream(&it.socket, "/v1/events?unit=a&follow=true");
    same(&events.next().unwrap()["event"], "started");
    let socket = it.socket.clone();
    it.stop();
    assert!(!socket.exists());
    same(follows.next(), None);
    let rest: Vec<Value> = events.map(|line| line["event"].clone()).collect();
    assert!(rest.contains(&Value::from("exited")), "{rest:?}");
}

#[test]
fn a_reader_that_is_too_slow_is_told_what_it_has_missed() {
    let toml = "control.log_buffer = '16KiB'\n[async.a]\n\
        script = 'read x <$W/go; seq 100000; echo last; exec cat $W/never'\n";
    let it = Asked::new(toml, Mode::Subreaper);
    let mut lines = stream(&it.socket, "/v1/logs?unit=a&follow=true");
    it.running.open_gate("go");
    it.running.wait_for("last\n");
    let mut missing = 0;
    let mut read = 0;
    loop {
        let line = lines.next().unwrap();
        missing += line["missing"].as_u64().unwrap_or(0);
        match line["line"].as_str() {
            Some("last") => break,
            Some(_) => read += 1,
            None => {}
        }
    }
    assert!(missing > 0 && read > 100, "{missing} {read}");
    it.stop();
}

/// Asks in a thread that has become another user.
fn ask_as(user: u32, socket: &Path, method: &'static str, target: &'static str) -> Answer {
    let socket = socket.to_owned();
    let asks = move || {
        // SAFETY: the system call, unlike the function of the C library, changes this thread only.
        #[allow(unsafe_code)]
        let changed = unsafe { nix::libc::syscall(nix::libc::SYS_setresuid, user, user, user) };
        assert_eq!(changed, 0);
        ask(&socket, method, target)
    };
    std::thread::spawn(asks).join().unwrap()
}

#[test]
fn a_user_may_ask_for_what_the_configuration_allows() {
    if !root() {
        return;
    }
    let toml = format!("{WEB}[control]\nallow = {{ 4242 = 'read', 4243 = 'operate' }}\n");
    let it = Asked::new(&toml, Mode::Subreaper);
    let socket = it.socket.clone();
    for (user, [health, units, stop]) in [
        (0, [200, 200, 202]),
        (4241, [200, 403, 403]),
        (4242, [200, 200, 403]),
        (4243, [200, 200, 202]),
    ] {
        ask(&socket, "POST", "/v1/units/web/start");
        ask(&socket, "GET", "/v1/units/web?wait=ready&for=30s");
        same(ask_as(user, &socket, "GET", "/v1/health").status, health);
        same(ask_as(user, &socket, "GET", "/v1/units").status, units);
        same(ask_as(user, &socket, "POST", "/v1/units/web/stop").status, stop);
        ask(&socket, "GET", "/v1/jobs/1");
        while ask(&socket, "GET", "/v1/units/web").body["job"].is_number() {}
    }
    let refused = ask_as(4241, &socket, "GET", "/v1/units").body;
    same(&refused["code"], "forbidden");
    assert!(refused["detail"].as_str().unwrap().contains("[control] allow"), "{refused}");
    it.stop();
}

#[test]
fn the_place_of_another_trc_is_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("trc.sock");
    let trc = Trc::toml(WEB).env("TRC_CONTROL__SOCKET", &socket);
    let other = UnixListener::bind(&socket).unwrap();
    let running = trc.spawn();
    running.wait_for("async.web is ready");
    running.signal(TERM);
    let ended = running.finish();
    ended
        .stderr_has("cannot create the control socket")
        .stderr_has("another process listens on it");
    assert!(socket.exists());
    drop(other);
    // What nobody listens on any more is replaced.
    let trc = Trc::toml(WEB).env("TRC_CONTROL__SOCKET", &socket);
    let running = trc.spawn();
    running.wait_for("async.web is ready");
    same(ask(&socket, "GET", "/v1/health").status, 200);
    running.signal(TERM);
    running.finish();
}

#[test]
fn a_command_alone_has_no_control_socket() {
    let trc = Trc::with(&["sh", "-c", "test ! -e $W/trc.sock"]).control();
    trc.spawn().finish().status(0);
}

#[test]
fn descriptors_that_a_client_sends_never_reach_trcs_table() {
    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
    use std::io::IoSlice;
    use std::os::fd::AsRawFd;
    let it = Asked::new(WEB, Mode::Subreaper);
    it.running.wait_for("ready");
    let before = descriptors(it.running.pid());
    let null = std::fs::File::open("/dev/null").unwrap();
    for number in [1, 2, 3, 4, 5, 253] {
        for end in ["\r\n", ""] {
            let mut stream = UnixStream::connect(&it.socket).unwrap();
            let text = format!("GET /v1/health HTTP/1.1\r\n{end}");
            let passed = vec![null.as_raw_fd(); number];
            let (parts, passed) =
                ([IoSlice::new(text.as_bytes())], [ControlMessage::ScmRights(&passed)]);
            sendmsg::<()>(stream.as_raw_fd(), &parts, &passed, MsgFlags::empty(), None).unwrap();
            same((number, answer(&mut stream).status), (number, 400));
        }
    }
    it.running.wait_until("the clients are gone", || descriptors(it.running.pid()) <= before);
    it.stop().status(143);
}

/// The number of open descriptors of a process.
pub(crate) fn descriptors(pid: i32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

#[test]
fn rude_clients_cost_nobody_but_themselves() {
    let it = Asked::new(WEB, Mode::Subreaper);
    it.get("/v1/units/web?wait=ready&for=30s");
    let before = descriptors(it.running.pid());
    let mut rude: Vec<UnixStream> = Vec::new();
    for number in 0..400 {
        let mut client = UnixStream::connect(&it.socket).unwrap();
        let text: &[u8] = match number % 6 {
            0 => b"",
            1 => b"GET /v1/units HT",
            2 => b"POST /v1/units/web/stop HTTP/1.1\r\nContent-Length: 60000\r\n\r\nx",
            3 => b"\x00\xff\x00\xff\r\n\r\n",
            4 => b"GET /v1/logs?follow=true HTTP/1.1\r\n\r\n",
            _ => b"GET /v1/units HTTP/1.1\r\n\r\nGET /v1/units HTTP/1.1\r\n\r\nGET /v1 HTTP/1.1\r\n\r\n",
        };
        _ = client.write_all(text);
        rude.push(client);
        if number % 50 == 0 {
            same(it.get("/v1/health").status, 200);
        }
    }
    // A head without an end.
    let mut endless = UnixStream::connect(&it.socket).unwrap();
    let sent = (0..100).try_for_each(|_| endless.write_all(&[b'x'; 16 * 1024]));
    assert!(sent.is_err() || answer(&mut endless).status == 400);
    same(it.get("/v1/health").status, 200);
    drop(rude);
    drop(endless);
    it.running.wait_until("the clients are gone", || descriptors(it.running.pid()) <= before);
    same(&it.done("/v1/units/web/stop")["status"], "done");
    it.stop();
}

#[test]
fn requests_may_follow_one_another_on_a_connection() {
    let it = Asked::new(WEB, Mode::Subreaper);
    let mut client = UnixStream::connect(&it.socket).unwrap();
    client
        .write_all(
            b"GET /v1/health HTTP/1.1\r\n\r\nGET /v1/nothing HTTP/1.1\r\n\r\n\
              GET /v1 HTTP/1.1\r\nConnection: close\r\n\r\n",
        )
        .unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    let answers: Vec<&str> = text.lines().filter(|line| line.starts_with("HTTP/1.1 ")).collect();
    assert!(answers[0].ends_with("200 OK") || answers[0].ends_with("Unavailable"), "{text}");
    same(&answers[1..], ["HTTP/1.1 404 Not Found", "HTTP/1.1 200 OK"]);
    it.stop();
}

#[test]
fn nothing_wakes_trc_while_nobody_asks() {
    let it = Asked::new("[sync.main]\nscript = 'echo up; exec cat $W/never'\n", Mode::Subreaper);
    it.running.wait_for("up\n");
    // Whatever somebody has asked for before leaves no timer behind.
    for target in ["/v1/health", "/v1/units", "/v1/metrics", "/v1/logs?n=10", "/v1/events?n=10"] {
        same(it.get(target).status, 200);
    }
    let switches = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", it.running.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).unwrap();
        line.split_whitespace().last().unwrap().parse::<u64>().unwrap()
    };
    // It first gives back what only the start needed.
    let mut last = switches();
    let mut since = Instant::now();
    it.running.wait_until("trc is still for three seconds", || {
        if switches() != last {
            (last, since) = (switches(), Instant::now());
        }
        since.elapsed() > Duration::from_secs(3)
    });
    it.stop();
}

/// Replaces the configuration of a run.
pub(crate) fn rewrite(it: &Asked, toml: &str) {
    std::fs::write(it.socket.with_file_name("trc.toml"), toml).unwrap();
}

/// A service that never exits, and says its name.
fn service(name: &str, more: &str) -> String {
    format!("[async.{name}]\nscript = 'echo {name} runs; exec cat $W/never'\n{more}\n")
}

#[test]
fn a_reload_changes_what_has_changed_and_nothing_else() {
    for mode in MODES {
        let old = service("same", "") + &service("other", "env.A = '1'") + &service("gone", "");
        let it = Asked::new(&old, mode);
        for name in ["same", "other", "gone"] {
            it.running.wait_for(&format!("{name} runs\n"));
        }
        let pid = |name: &str| it.get(&format!("/v1/units/{name}")).body["process"]["pid"].clone();
        let before = (pid("same"), pid("other"));
        same(&it.post("/v1/reload").body["changed"], false);
        // The lines of the file move, which is no change.
        let new = format!("# moved\n\n{}", service("same", "restart = 'always'"))
            + &service("other", "env.A = '2'")
            + &service("new", "after = ['other']");
        rewrite(&it, &new);
        let steps = |answer: &Answer| -> Vec<(String, String)> {
            let steps = answer.body["steps"].as_array().unwrap().iter();
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            steps.map(|step| (text(&step["unit"]), text(&step["does"]))).collect()
        };
        let plan = it.post("/v1/reload?dry_run=true");
        let expected = [
            ("async.gone", "stop"),
            ("async.same", "apply"),
            ("async.other", "restart"),
            ("async.new", "start"),
        ];
        same(steps(&plan), expected.map(|(unit, does)| (unit.to_owned(), does.to_owned())));
        let because = &plan.body["steps"][2]["because"][0];
        same(&because["key"], "env.A");
        assert!(because["origin"].as_str().unwrap().contains("trc.toml:"), "{because}");
        // So far nothing has happened.
        same((pid("same"), pid("other")), before.clone());
        let done = it.post("/v1/reload");
        same((done.status, &done.body["applied"]), (200, &Value::Bool(true)));
        it.running.wait_for("new runs\n");
        same(pid("same"), before.0);
        assert_ne!(pid("other"), before.1);
        same(it.get("/v1/units/gone").status, 404);
        same(&it.get("/v1").body["generation"], 1);
        same(&it.post("/v1/reload").body["changed"], false);
        it.stop().status(143);
    }
}

#[test]
fn a_configuration_with_errors_changes_nothing() {
    let it = Asked::new(&service("web", ""), Mode::Subreaper);
    it.running.wait_for("web runs\n");
    rewrite(&it, "[async.web]\nexce = 'x'\nuser = 7.5\n");
    let refused = it.post("/v1/reload");
    same((refused.status, &refused.body["code"]), (422, &Value::from("invalid_config")));
    let errors = refused.body["diagnostics"].to_string();
    assert!(errors.contains("exce") && errors.contains("user"), "{errors}");
    same(&it.get("/v1/units/web").body["phase"], "running");
    it.stop().status(143);
}

#[test]
fn a_signal_may_reload_the_configuration() {
    let signals = "[signals]\nHUP = 'reload'\n";
    let it = Asked::new(&(signals.to_owned() + &service("web", "")), Mode::Subreaper);
    it.running.wait_for("web runs\n");
    rewrite(&it, "nonsense = 1\n");
    it.running.signal(HUP).wait_for("unknown key `nonsense`");
    rewrite(&it, &(signals.to_owned() + &service("web", "") + &service("more", "")));
    it.running.signal(HUP).wait_for("more runs\n");
    it.stop().status(143).stdout_has("asked to reload the configuration");
}

#[test]
fn a_unit_is_restarted_by_a_reload_if_its_files_have_changed() {
    let trc = Trc::toml("").file("trc.d/async.web", "echo one; exec cat $W/never\n");
    let trc = trc.file("env", "A=1\n").file("secret", "s1\n");
    let trc = trc.file("conf.in", "c1 ${A}\n").control();
    let toml = "[async.app]\nscript = 'echo $A $S $(cat $W/conf); exec cat $W/never'\nenv_file = '${W}/env'\n\
        env.S = { file = '${W}/secret' }\noutput = 'prefix'\n\
        files.'${W}/conf'.template = '${W}/conf.in'\n";
    let trc = trc.file("trc.d/app.toml", toml);
    let (socket, dir) = (trc.path("trc.sock"), trc.dir().to_owned());
    let running = trc.spawn();
    running.wait_for("one\n");
    running.wait_for("1 s1 c1 1\n");
    std::fs::write(dir.join("trc.d/async.web"), "echo two; exec cat $W/never\n").unwrap();
    ask(&socket, "POST", "/v1/reload");
    running.wait_for("two\n");
    std::fs::write(dir.join("secret"), "s2\n").unwrap();
    ask(&socket, "POST", "/v1/reload");
    running.wait_for("1 s2 c1 1\n");
    std::fs::write(dir.join("conf.in"), "c2 ${A}\n").unwrap();
    ask(&socket, "POST", "/v1/reload");
    running.wait_for("1 s2 c2 1\n");
    running.signal(TERM);
    running.finish();
}

#[test]
fn a_plan_is_applied_only_as_long_as_it_is_the_plan() {
    let it = Asked::new(&service("web", ""), Mode::Subreaper);
    it.running.wait_for("web runs\n");
    let plan = || it.post("/v1/reload?dry_run=true").body["id"].as_str().unwrap().to_owned();
    let apply = |id: &str| it.post(&format!("/v1/reload?plan={id}"));
    let with = |value: &str| rewrite(&it, &service("web", &format!("env.A = '{value}'")));
    let none = plan();
    with("1");
    let first = plan();
    assert_ne!(none, first);
    assert_eq!(first, plan());
    // The same key has another value.
    with("2");
    let second = plan();
    assert_ne!(first, second);
    for stale in [&none, &first] {
        let refused = apply(stale);
        same((refused.status, &refused.body["code"]), (409, &Value::from("stale_plan")));
    }
    same(&apply(&second).body["applied"], true);
    same(&apply(&second).body["code"], "stale_plan");
    same(&apply(&plan()).body["changed"], false);
    same(&apply("web").body["code"], "bad_request");
    it.stop();
}

#[test]
fn an_old_configuration_comes_back_if_a_unit_of_the_new_one_does_not_come_up() {
    for mode in MODES {
        let ready = "ready = { log = 'runs$$', within = '5s' }";
        let it = Asked::new(&(service("web", ready) + &service("same", "")), mode);
        it.running.wait_for("web runs\n");
        it.running.wait_for("same runs\n");
        let same_pid = it.get("/v1/units/same").body["process"]["pid"].clone();
        let broken = "[async.web]\nexec = 'false'\non_failure = 'ignore'\nready = { log = 'runs$$', within = '5s' }\n";
        rewrite(&it, &(broken.to_owned() + &service("same", "") + &service("more", "")));
        let refused = it.post("/v1/reload");
        same((refused.status, &refused.body["code"]), (409, &Value::from("rolled_back")));
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(detail.contains("async.web"), "{detail}");
        same(&it.get("/v1/units/web?wait=ready&for=30s").body["ready"], true);
        same(&it.get("/v1/units/same").body["process"]["pid"], &same_pid);
        same(it.get("/v1/units/more").status, 404);
        // The old configuration is what the next one is compared with.
        let again = it.post("/v1/reload?dry_run=true").body;
        same(&again["changed"], true);
        // Who asks for it may keep what does not come up.
        same(&it.post("/v1/reload?keep=true").body["applied"], true);
        it.running.wait_for("more runs\n");
        it.stop();
    }
}

#[test]
fn a_job_may_be_cancelled() {
    let toml = service("db", "ready = { log = 'never$$', within = '60s' }")
        + &service("web", "after = ['db']");
    let it = Asked::new(&toml, Mode::Subreaper);
    it.running.wait_for("db runs\n");
    let job = it.post("/v1/units/web/restart").body["id"].clone();
    let cancelled = ask(&it.socket, "DELETE", &format!("/v1/jobs/{job}"));
    same((cancelled.status, &cancelled.body["id"]), (200, &job));
    same(&it.get(&format!("/v1/jobs/{job}")).body["status"], "cancelled");
    let again = ask(&it.socket, "DELETE", &format!("/v1/jobs/{job}"));
    same((again.status, &again.body["code"]), (409, &Value::from("over")));
    let unknown = ask(&it.socket, "DELETE", "/v1/jobs/999");
    same((unknown.status, &unknown.body["code"]), (404, &Value::from("not_found")));
    it.stop();
}

#[test]
fn a_stop_names_the_units_that_depend_on_the_unit_and_may_stop_them_first() {
    let toml = service("db", "") + &service("web", "after = ['db']") + &service("other", "");
    let it = Asked::new(&toml, Mode::Subreaper);
    for name in ["db", "web", "other"] {
        it.running.wait_for(&format!("{name} runs\n"));
    }
    let stop = it.post("/v1/units/db/stop").body;
    same(&stop["dependents"][0], "async.web");
    same(&it.get("/v1/units/web").body["phase"], "running");
    it.get(&format!("/v1/jobs/{}?wait=true", stop["id"]));
    it.done("/v1/units/db/start");
    let stopped = it.done("/v1/units/db/stop?dependents=true");
    same(&stopped["status"], "done");
    let wanted = |name: &str| it.get(&format!("/v1/units/{name}")).body["wanted"].clone();
    same(
        (wanted("db"), wanted("web"), wanted("other")),
        ("held".into(), "held".into(), "up".into()),
    );
    it.stop();
}

#[test]
fn the_run_is_stopped_on_request_with_a_status() {
    for (target, status) in [("/v1/shutdown", 0), ("/v1/shutdown?exit=7", 7)] {
        let it = Asked::new(&(service("web", "") + "[halt.bye]\nexec = 'echo bye'\n"), Mode::Pid1);
        it.running.wait_for("web runs\n");
        same(it.post(target).status, 202);
        it.running.finish().status(status).stdout_has("bye\n");
    }
}

#[test]
fn requests_of_many_clients_at_once_never_start_a_unit_twice() {
    let toml = "[async.web]\nscript = 'exec 9>$W/lock; flock -n 9 || echo twice; echo up; \
        exec cat $W/never'\nrestart = 'always'\n";
    let it = Asked::new(toml, Mode::Subreaper);
    it.running.wait_for("up\n");
    let clients: Vec<_> = (0..5_u32)
        .map(|client| {
            let socket = it.socket.clone();
            std::thread::spawn(move || {
                let mut state = client + 1;
                for _ in 0..20 {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let act = ["start", "stop", "restart"][(state >> 16) as usize % 3];
                    let answer = ask(&socket, "POST", &format!("/v1/units/web/{act}"));
                    assert!([200, 202].contains(&answer.status), "{}", answer.body);
                }
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    // The last word counts.
    it.post("/v1/units/web/stop");
    it.running.wait_until("it is held", || {
        let web = it.get("/v1/units/web").body;
        web["wanted"] == "held" && web["phase"] == "waiting" && web["job"].is_null()
    });
    assert!(!it.running.stdout().contains("]: twice"), "{}", it.running.stdout());
    it.stop();
}

/// The CPU time that a process has used, in hundredths of a second.
pub(crate) fn cpu(pid: i32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn a_client_that_does_nothing_costs_no_time() {
    let toml = WEB.to_owned()
        + "[async.talks]\nscript = 'read x <$W/go; seq 60000; echo last; exec cat $W/never'\n"
        + "[async.late]\nscript = 'exec cat $W/never'\nready = { tcp = 1, within = '1h', every = '20s' }\n";
    let it = Asked::new(&toml, Mode::Subreaper);
    it.get("/v1/units/web?wait=ready&for=30s");
    let sent = |text: &str| {
        let mut client = UnixStream::connect(&it.socket).unwrap();
        client.write_all(text.as_bytes()).unwrap();
        client
    };
    // None of these reads anything.
    let idle = [
        sent("GET /v1/units HT"),
        sent("POST /v1/units/web/stop HTTP/1.1\r\nContent-Length: 10\r\n\r\n"),
        sent("GET /v1/health?wait=ready HTTP/1.1\r\n\r\n"),
        sent("GET /v1/units/late?wait=ready HTTP/1.1\r\n\r\nGET /v1 HTTP/1.1\r\n\r\n"),
        sent("GET /v1/logs?follow=true HTTP/1.1\r\n\r\n"),
        sent("GET /v1/logs?follow=true&n=30000 HTTP/1.1\r\n\r\n"),
    ];
    same(it.get("/v1/health").status, 503);
    it.running.open_gate("go");
    it.running.wait_for("last\n");
    same(it.get("/v1/health").status, 503);
    let (before, began) = (cpu(it.running.pid()), Instant::now());
    it.running.wait_until("two seconds have passed", || began.elapsed().as_secs() >= 2);
    let used = cpu(it.running.pid()) - before;
    assert!(used < 20, "trc has used {used} hundredths of a second");
    drop(idle);
    it.stop();
}
