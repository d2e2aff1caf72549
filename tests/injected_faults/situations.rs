//! The situations into which faults are injected. Each prints `::…` at the points that it has to
//! reach, waits for nothing outside itself, and ends by itself or on a SIGTERM.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::LazyLock;
use std::time::Duration;

use crate::common::{Mode, Trc, python};

/// One of them.
pub(super) struct Situation {
    /// Its name in the names of cases.
    pub name: &'static str,
    /// Whether trc is PID 1.
    pub mode: Mode,
    /// Whether it needs root.
    pub root: bool,
    /// Whether the calls of children before they execute their commands fail. strace attaches when
    /// `::held` is printed.
    pub children: bool,
    /// Whether it gets SIGTERM once `::up` is printed.
    pub stopped: bool,
    /// What to run.
    pub make: fn() -> Trc,
}

const fn situation(name: &'static str, make: fn() -> Trc) -> Situation {
    Situation { name, mode: Mode::Subreaper, root: false, children: false, stopped: false, make }
}

/// All of them.
pub(super) const SITUATIONS: &[Situation] = &[
    situation("start", start),
    Situation { root: true, children: true, ..situation("child", child) },
    Situation { root: true, children: true, ..situation("dirs", dirs) },
    situation("up", up),
    situation("restart", restart),
    situation("hooks", hooks),
    Situation { root: true, mode: Mode::Pid1, ..situation("hooks-pid1", hooks) },
    situation("syslog", syslog),
    Situation { root: true, mode: Mode::Pid1, ..situation("syslog-pid1", syslog) },
    situation("output", output),
    situation("background", background),
    Situation { stopped: true, ..situation("stop", stop) },
    Situation { stopped: true, root: true, mode: Mode::Pid1, ..situation("stop-pid1", stop) },
    Situation { stopped: true, ..situation("halt", halt) },
    situation("test", test),
    Situation { root: true, mode: Mode::Pid1, ..situation("test-pid1", test) },
    situation("transparent", transparent),
];

/// Units of all kinds, with every kind of output.
fn start() -> Trc {
    Trc::toml(
        r#"
        [boot.first]
        script = "export WORD=word; echo ::first"
        [boot.second]
        exec = ["sh", "-c", "echo ::second-$WORD"]
        [async.web]
        exec = ["sh", "-c", "echo ::web-$SECRET-$PLAIN; read x < never"]
        env.SECRET = { file = "secret" }
        env_file = "plain.env"
        ready = { log = "::web", within = "6s" }
        [async.file]
        script = "echo ::file; echo > there; read x < never"
        output = { file = "${W}/file.log", max_size = "64KiB", keep = 2 }
        ready = { file = "there", within = "6s" }
        [async.null]
        exec = ["sh", "-c", "echo dropped; read x < never"]
        output = "null"
        [sync.one]
        after = ["web", "file"]
        oneshot = true
        exec = "sh -c 'echo ::one'"
        [sync.main]
        script = "n=0; while ! test -e d && test $n -lt 100; do sleep .02; n=$((n+1)); done; echo ::main; sed s/^/from-file-/ file.log; exit 3"
        [halt.bye]
        script = "echo ::bye-$TRC_EXIT_STATUS"
        "#,
    )
    .file("secret", "hush")
    .file("plain.env", "PLAIN=plain\n")
    .file("trc.d/boot.script", "echo ::script\n")
    .args(&[
        "-D",
        "echo ::D; : > d; sleep 100",
        "-H",
        "echo ::H-${_exit_status}; exit ${_exit_status}",
    ])
}

/// A service that puts itself into the background, and says by a file where it is.
fn background() -> Trc {
    Trc::toml(
        r#"
        [async.web]
        exec = ["sh", "-c", "setsid sh -c 'echo $$$$ > web.pid; echo ::web; read x < never' & :"]
        pid_file = "${W}/web.pid"
        ready.within = "6s"
        output = "inherit"
        [sync.main]
        after = ["web"]
        exec = ["sh", "-c", "echo ::main; exit 3"]
        "#,
    )
    .file("web.pid", "1\n")
}

/// Users, limits and capabilities: the steps of a child before its command.
fn child() -> Trc {
    Trc::toml(
        r#"
        [boot.hold]
        exec = ["sh", "-c", "echo ::held; read x < go"]
        [async.web]
        exec = ["sh", "-c", "echo ::web-$(umask)-$(grep CapBnd /proc/self/status | cut -f2); read x < never"]
        user = "nobody"
        groups = ["daemon"]
        cwd = "/"
        umask = "027"
        limits = { nofile = 64 }
        nice = 5
        oom_score_adj = 500
        no_new_privs = true
        capabilities = ["net_bind_service"]
        output = "prefix"
        ready = { log = "::web", within = "6s" }
        [sync.main]
        after = ["web"]
        exec = ["sh", "-c", "echo ::main; exit 3"]
        "#,
    )
}

/// Directories and files, which the child makes before its command.
fn dirs() -> Trc {
    Trc::toml(
        r#"
        [boot.hold]
        exec = ["sh", "-c", "echo ::held; read x < go"]
        [async.web]
        exec = ["sh", "-c", "cd $W; echo ::web-$(stat -c %U%a new/a tree tree/a tree/a/b conf | tr -d '\n')-$(cat conf other); read x < never"]
        dirs = { "${W}/new/a" = { mode = "2750" }, "${W}/tree" = { owner = "nobody", mode = "0710", recurse = "always" } }
        files = { "${W}/conf" = { text = "port-${PORT:-80}", owner = "nobody" }, "${W}/other" = { template = "${W}/other.in" } }
        ready = { log = "::web", within = "6s" }
        [sync.main]
        after = ["web"]
        exec = ["sh", "-c", "echo ::main; exit 3"]
        "#,
    )
    .file("tree/a/b", "")
    .file("other.in", "${TRC_UNIT}")
    .file("other", "old")
}

/// Readiness and health of every kind, for a while.
fn up() -> Trc {
    static HTTP: LazyLock<u16> = LazyLock::new(http_server);
    let port = *HTTP;
    Trc::toml(&format!(
        r#"
        [async.outside]
        ready = {{ tcp = "127.0.0.1:{port}", within = "6s" }}
        [async.asked]
        exec = ["sh", "-c", "echo ::asked; read x < never"]
        ready = {{ http = "http://localhost:{port}/", every = "20ms", within = "6s" }}
        health = {{ http = "http://localhost:{port}/", every = "40ms", failures = 5 }}
        [async.tried]
        after = ["outside"]
        exec = ["sh", "-c", "echo ::tried; read x < never"]
        ready = {{ exec = ["sh", "-c", "test -e ready || {{ echo not yet; : > ready; exit 1; }}"], every = "20ms", within = "6s" }}
        health = {{ exec = ["sh", "-c", "echo x >> healthy"], every = "40ms", failures = 5 }}
        [async.told]
        exec = ["sh", "-c", "echo ::told; echo >&3; read x < never"]
        ready = {{ fd = 3, within = "6s" }}
        health = {{ file = "ready", every = "40ms", failures = 5 }}
        after = ["tried"]
        [async.tells]
        exec = ["{python}", "tell.py"]
        ready = {{ notify = true, within = "6s" }}
        [sync.main]
        after = ["asked", "tried", "told", "tells"]
        script = "n=0; while [ $(wc -l < healthy) -lt 3 ] && [ $n -lt 100 ]; do sleep .02; n=$((n+1)); done; echo ::main"
        "#,
        python = python()
    ))
    .file(
        "tell.py",
        "import os, socket\n\
         name = os.environ['NOTIFY_SOCKET'].replace('@', chr(0))\n\
         s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
         s.sendto(b'READY=1', name)\n\
         print('::tells', flush=True)\n\
         open('never').read()\n",
    )
    .file("healthy", "")
}

/// A unit that is unhealthy once, and one that fails until trc gives up on it.
fn restart() -> Trc {
    Trc::toml(
        r#"
        [async.ill]
        script = "echo ::ill >> said; echo ::ill; read x < never"
        health = { exec = ["sh", "-c", "test $(grep -c ill said) = 2"], every = "30ms", failures = 2, then = "restart" }
        restart = { when = "on-failure", max = 5, backoff = "10ms..20ms" }
        [async.fails]
        script = "n=0; while [ $(grep -c ill said) != 2 ] && [ $n -lt 100 ]; do sleep .02; n=$((n+1)); done; echo ::fails; (read x < never) & exit 4"
        restart = { when = "on-failure", max = 3, backoff = "10ms..20ms" }
        on_failure = "stop"
        "#,
    )
}

/// Commands before each start and after each end: some fail, hang, or leave something behind.
fn hooks() -> Trc {
    Trc::toml(
        r#"
        [async.web]
        exec = ["sh", "-c", "echo ::web; read x < never"]
        pre_start = ["sh", "-c", "echo ::before; sleep 100 & sleep 100 &"]
        post_stop = ["sh", "-c", "echo ::after-$TRC_UNIT_STATUS-$TRC_UNIT_REASON; sleep 100 &"]
        ready = { log = "::web", within = "6s" }
        [async.fails]
        script = "echo ::fails; exit 4"
        pre_start = ["sh", "-c", "echo ::prepares"]
        post_stop = ["sh", "-c", "echo ::failed-$TRC_UNIT_STATUS-$TRC_UNIT_REASON; exit 9"]
        restart = { when = "on-failure", max = 1, backoff = "10ms..20ms" }
        on_failure = "ignore"
        [async.unprepared]
        script = "echo ::never"
        pre_start = ["sh", "-c", "echo ::unprepared; exit 5"]
        post_stop = { exec = ["sh", "-c", "echo ::hangs; read x < never"], within = "200ms" }
        on_failure = "ignore"
        [sync.main]
        after = { web = "ready", fails = "exited", unprepared = "exited" }
        script = "echo ::main; exit 3"
        [halt.bye]
        script = "echo ::bye-$TRC_EXIT_STATUS"
        post_stop = ["sh", "-c", "echo ::gone"]
        "#,
    )
}

/// Messages by syslog: of units, with a descriptor, and as the last act of a process.
fn syslog() -> Trc {
    Trc::toml(&format!(
        r#"
        [log]
        syslog = "${{W}}/log"
        [async.daemon]
        exec = ["{python}", "say.py", "::daemon", "stay"]
        ready = {{ log = "::daemon", within = "6s" }}
        [async.file]
        exec = ["{python}", "say.py", "::file", "stay"]
        output = ["prefix", {{ file = "${{W}}/file.log" }}]
        ready = {{ log = "::file", within = "6s" }}
        [sync.main]
        after = ["daemon", "file"]
        exec = ["sh", "-c", "sed s/::/::from-file-/ file.log; exec {python} say.py ::main leave"]
        "#,
        python = python()
    ))
    .file(
        "say.py",
        "import array, os, socket, sys\n\
         s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
         try: s.connect('log')\n\
         except OSError: print(sys.argv[1], flush=True)\n\
         else:\n \
         r, w = os.pipe()\n \
         with_one = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [w]))]\n \
         s.sendmsg([b'<13>with a pipe'], with_one)\n \
         os.close(w)\n \
         s.send(b'<13>' + sys.argv[1].encode())\n\
         if sys.argv[2] == 'stay': open('never').read()\n\
         os._exit(3)\n",
    )
}

/// Pseudo-terminals, and output that goes to the log and to a file.
fn output() -> Trc {
    Trc::toml(
        r#"
        [async.pty]
        exec = ["sh", "-c", "test -t 1 && test -t 2 && echo ::pty; read x < never"]
        output = { pty = true }
        ready = { log = "::pty", within = "6s" }
        [async.both]
        script = "echo ::both; echo ::err >&2; echo > there; read x < never"
        output = ["prefix", { file = "${W}/both.log", max_size = "64KiB", keep = 1 }]
        ready = { file = "there", within = "6s" }
        [async.all]
        exec = ["sh", "-c", "test -t 1 && echo ::all; exit 4"]
        output = [{ pty = true }, { file = "${W}/all.log" }]
        restart = { when = "on-failure", max = 1, backoff = "10ms..20ms" }
        on_failure = "ignore"
        [sync.main]
        after = { pty = "ready", both = "ready", all = "exited" }
        script = "n=0; while ! [ -s both.log ] && [ $n -lt 100 ]; do sleep .02; n=$((n+1)); done; echo ::main; sed s/::/::from-file-/ all.log | tr -d '\\r'; exit 3"
        "#,
    )
}

/// SIGTERM from outside, and units that do not stop easily.
fn stop() -> Trc {
    Trc::toml(
        r#"
        [async.deaf]
        script = "trap '' TERM; echo ::deaf; echo deaf; while :; do sleep .1; done"
        ready = { log = "deaf", within = "6s" }
        stop.timeout = "300ms"
        [async.polite]
        script = "trap 'echo ::polite; exit 0' TERM; echo polite; while :; do sleep .05; done"
        ready = { log = "polite", within = "6s" }
        [async.asked]
        exec = ["sh", "-c", "echo asked; read x < never"]
        stop.exec = ["sh", "-c", "echo x > asked; kill -9 $TRC_PID"]
        ready = { log = "asked", within = "6s" }
        [async.daemon]
        exec = ["sh", "-c", "setsid sh -c 'trap \"\" TERM; : > daemon; while :; do sleep .1; done' & echo up; exec sleep 100"]
        ready = { file = "daemon", within = "6s" }
        stop.timeout = "300ms"
        [sync.main]
        after = ["deaf", "polite", "asked", "daemon"]
        script = "echo ::up; read x < never"
        [halt.bye]
        script = "echo ::bye-$TRC_EXIT_STATUS"
        "#,
    )
}

/// SIGTERM from outside, and halt units that clean up.
fn halt() -> Trc {
    Trc::toml(
        r#"
        [sync.main]
        script = "echo ::up; read x < never"
        [halt.one]
        exec = ["sh", "-c", "echo ::one-$TRC_EXIT_STATUS"]
        [halt.two]
        script = "echo ::two; exit 7"
        [exit]
        143 = 9
        "#,
    )
    .arg("-H")
    .arg("echo ::H-${_exit_status}; exit ${_exit_status}")
}

/// An image that tests itself.
fn test() -> Trc {
    static HTTP: LazyLock<u16> = LazyLock::new(http_server);
    let port = *HTTP;
    Trc::toml(&format!(
        r#"
        [async.web]
        exec = ["sh", "-c", "echo web; exec sleep 100"]
        ready = {{ log = "web", within = "6s" }}
        restart = "always"
        [test.command]
        script = "echo fine"
        expect = {{ exit = 0, stdout = "fine", within = "5s" }}
        [test.net]
        expect = {{ http = "http://127.0.0.1:{port}/", tcp = "127.0.0.1:{port}", within = "5s" }}
        [test.log]
        after = ["web"]
        expect = {{ log = {{ unit = "web", contains = "web" }}, file = {{ path = "${{W}}/trc.toml", mode = "0644" }}, within = "5s" }}
        [test.process]
        after = ["web"]
        expect = {{ running = "sleep", max_rss = "100MiB", max_fds = 100, within = "5s" }}
        [test.fault]
        expect = {{ fault = {{ unit = "web", kill = "SIGKILL" }}, within = "5s" }}
        "#
    ))
    .arg("--report")
    .arg("junit=report.xml")
    .arg("--test")
}

/// A command alone, in transparent mode.
fn transparent() -> Trc {
    Trc::with(&["sh", "-c", "echo ::transparent; exit 5"])
}

/// Starts a server that answers every question. Returns its port.
fn http_server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
                if stream.read(&mut [0; 1024]).is_ok_and(|count| count > 0) {
                    let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nfine");
                }
            });
        }
    });
    port
}
