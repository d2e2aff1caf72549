//! What programs send by syslog(3): `[log] syslog`.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;

use regex::Regex;

use crate::common::{self, MODES, Mode, NEVER, TERM, Trc, table};
use crate::control::{Asked, fetch};

const SOCKET: &str = "[log]\nsyslog = '${W}/log'\n";

fn trc(toml: &str) -> Trc {
    Trc::toml(&format!("{SOCKET}{toml}"))
}

/// A program that sends messages by the socket, and stays.
fn sender(then: &str) -> String {
    format!(
        "'''\nimport os, socket, sys\n\
         s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
         s.connect(os.environ['W'] + '/log')\n\
         def say(text): s.send(text.encode())\n\
         {then}\n\
         print('sent', flush=True)\n\
         open(os.environ['W'] + '/never').read()\n'''"
    )
}

fn python(then: &str) -> String {
    format!("['python3', '-c', {}]", sender(then))
}

#[test]
fn what_logger_sends_is_a_line_of_the_unit() {
    table(
        &[
            ("", "root: hello", false),
            ("-t app", "app: hello", false),
            ("-t app -i", "app: hello", false),
            ("-t app --id=$$", "app: hello", false),
            ("-p daemon.warning -t app", "app: hello", true),
            ("-p 3 -t app", "app: hello", true),
            ("--rfc3164 -t app", "app: hello", false),
            ("--rfc5424 -t app", r"app: (\[timeQuality .*\] )?hello", false),
            ("--rfc5424=notq -t app --msgid ID", "app: ID hello", false),
            ("-d -t app --socket-errors=on", "app: hello", false),
        ],
        |(flags, ..)| (*flags).to_owned(),
        |(flags, line, error)| {
            let user = if line.starts_with("root") { "USER=root LOGNAME=root " } else { "" };
            let toml = format!("[async.web]\nscript = '{user}logger -u $W/log {flags} hello'");
            let outcome = trc(&toml).arg("--wait=all").run();
            outcome.status(0);
            let pattern = format!(r"(?m) trc \[web/\d+\]: {line}$");
            let text = if *error { outcome.err() } else { outcome.out() };
            assert!(Regex::new(&pattern).unwrap().is_match(&text), "{pattern} is not in {text}");
        },
    );
}

#[test]
fn a_message_belongs_to_the_unit_of_its_sender_wherever_that_process_is() {
    let toml = format!(
        "[async.main]\nexec = {}\n[async.child]\nexec = {}\n[async.daemon]\nexec = {}\n\
         [async.unmarked]\nlimits.locks = 100\nexec = {}\n",
        python("say('<13>one: from main')"),
        python("if os.fork() == 0: say('<13>two: from a child')"),
        // trc has adopted the daemon by then.
        python(
            "trc = os.getppid()\n\
             if os.fork() == 0:\n \
             os.setsid()\n \
             if os.fork(): os._exit(0)\n \
             while os.getppid() != trc: pass\n \
             say('<13>three: from a daemon')"
        ),
        python("if os.fork() == 0: say('<13>four: from a child')"),
    );
    for mode in MODES {
        let running = trc(&toml).mode(mode).spawn();
        running
            .wait_for("]: one: from main\n")
            .wait_for("]: two: from a child\n")
            .wait_for("]: three: from a daemon\n")
            .wait_for("]: four: from a child\n");
        running.signal(TERM);
        let outcome = running.finish();
        outcome.status(143);
        for (unit, text) in
            [("main", "one"), ("child", "two"), ("daemon", "three"), ("unmarked", "four")]
        {
            let line = Regex::new(&format!(r"\[{unit}/\d+\]: {text}: ")).unwrap();
            if !line.is_match(&outcome.out()) {
                outcome.fail(&format!("{text} is from {unit}"));
            }
        }
    }
}

#[test]
fn a_message_of_somebody_else_is_a_line_of_its_own() {
    let running = trc(&format!("[sync.app]\nscript = '''{NEVER}'''")).spawn();
    running.wait_for("ready\n");
    let path = running.path("log");
    let file = fs::symlink_metadata(&path).unwrap();
    assert!(file.file_type().is_socket());
    assert_eq!(file.permissions().mode() & 0o777, 0o666, "everybody may log");
    let socket = UnixDatagram::unbound().unwrap();
    socket.send_to(b"<11>Nov 27 13:42:44 cron[1]: one\nforged \x1b[31m", &path).unwrap();
    socket.send_to(b"<15>debug", &path).unwrap();
    socket.send_to(b"<14>cron: two", &path).unwrap();
    running.wait_for("]: cron: two\n");
    running.signal(TERM);
    let outcome = running.finish();
    let stamp = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d trc ";
    outcome.status(143).stdout_lacks("debug").stderr_lines(&[
        &format!(r"{stamp}\[syslog/\d+\]: cron\[1\]: one$"),
        &format!(r"{stamp}\[syslog/\d+\]: cron\[1\]: forged �\[31m$"),
    ]);
    assert!(!path.exists(), "nothing is left of the socket");
}

#[test]
fn the_last_words_of_a_unit_come_before_its_exit() {
    // The queue of a socket may be as short as ten messages.
    let then =
        "for n in range(300): say(f'<13>app: {n}')\nprint('printed', flush=True)\nos._exit(3)";
    for mode in MODES {
        let outcome = trc(&format!("[async.app]\nexec = {}", python(then))).mode(mode).run();
        outcome.status(3);
        let out = outcome.out();
        let lines: Vec<&str> = out.lines().collect();
        let exit =
            lines.iter().position(|line| line.contains("Exiting on the background")).unwrap();
        let sent = lines.iter().filter(|line| line.contains("]: app: ")).count();
        let last = lines.iter().position(|line| line.contains("]: app: 299")).unwrap();
        assert!(sent == 300 && last < exit, "{out}");
        // The end of the log has them, too.
        outcome.stderr_has("app: 299");
    }
}

#[test]
fn json_has_the_level_and_trcctl_logs_has_the_line() {
    let then = "say('<12>Nov 27 13:42:44 app[1]: \"odd\"')";
    let toml = format!("[async.web]\nexec = {}", python(then));
    let it = Asked::of(trc(&toml).env("TRC_LOG__FORMAT", "json").control());
    it.running.wait_for("sent").wait_for("odd");
    let line = it.running.stderr();
    let line = line.lines().find(|line| line.contains("odd")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    for (field, value) in [
        ("level", "warn"),
        ("stage", "async"),
        ("unit", "async.web"),
        ("event", "output"),
        ("stream", "syslog"),
        ("message", "app[1]: \"odd\""),
    ] {
        assert_eq!(line[field], value, "{line}");
    }
    let (_, logs) = fetch(&it.socket, "GET", "/v1/logs?unit=web", "");
    let logged = logs.lines().find(|line| line.contains("odd")).expect("it is kept");
    let logged: serde_json::Value = serde_json::from_str(logged).unwrap();
    assert_eq!((&logged["stream"], &logged["line"]), (&"syslog".into(), &"app[1]: \"odd\"".into()));
    assert_eq!(logged["pid"], line["pid"]);
    it.stop();
}

#[test]
fn readiness_and_tests_see_the_lines() {
    let then = "say('<13>postfix/master[1]: daemon started')";
    let toml = format!(
        "[async.mail]\nexec = {}\nready = {{ log = 'postfix/master.*: daemon started' }}\n\
         [test.says]\nexpect.log = {{ unit = 'mail', contains = 'daemon started' }}\n\
         [test.lacks]\nexpect.log = {{ unit = 'mail', forbids = 'fatal' }}\n",
        python(then)
    );
    trc(&toml).arg("--test").run().status(0).stdout_has("ok 1 - test.says");
    let fatal =
        toml.replace("daemon started')\"", "x").replacen("say(", "say('<11>fatal: no'); say(", 1);
    trc(&fatal).arg("--test").run().status(1).stdout_has("not ok 2 - test.lacks");
}

#[test]
fn a_message_goes_where_the_output_of_its_unit_goes() {
    let then = "print('printed', flush=True)\nsay('<11>app: sent')";
    let toml = format!(
        "[async.file]\nexec = {0}\noutput = {{ file = '${{W}}/out' }}\n\
         [async.nowhere]\nexec = {0}\noutput = 'null'\n[async.own]\nexec = {0}\noutput = 'inherit'\n",
        python(then)
    );
    let running = trc(&toml).spawn();
    running.wait_until("it is in the file", || {
        let text = fs::read_to_string(running.path("out")).unwrap_or_default();
        text.contains("app: sent\n") && text.contains("printed\n")
    });
    running.wait_for("]: app: sent\n");
    running.signal(TERM);
    let outcome = running.finish();
    outcome.status(143);
    let said: Vec<String> = outcome
        .err()
        .lines()
        .filter(|line| line.contains(": app: sent"))
        .map(str::to_owned)
        .collect();
    assert!(said.len() == 1 && said[0].contains("[own/"), "{said:?}");
}

#[test]
fn a_flood_delays_nothing_even_if_nobody_reads_the_log() {
    let then = "for n in range(100000): say(f'<13>flood: message {n} of a hundred thousand')\n\
                open(os.environ['W'] + '/done', 'w').write('done\\n')";
    let toml = format!(
        "[async.flood]\nexec = {}\n\
         [async.reaped]\noutput = 'null'\nexec = ['sh', '-c', '''
            i=0; while [ $i -lt 200 ]; do (: &); i=$((i+1)); done
            echo made >$W/made; cat $W/never''']\n",
        python(then)
    );
    let (reader, writer) = common::full_pipe();
    let running = trc(&toml).stdout_to(writer).spawn();
    running.wait_for_file("made");
    let pid = running.pid();
    running.wait_until("no zombie is left", || {
        common::children_of(pid).iter().all(|&child| common::state_of(child) != Some('Z'))
    });
    running.wait_for_file("done");
    let reading = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = std::io::Read::read_to_end(&mut fs::File::from(reader), &mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    running.signal(TERM);
    running.finish().status(143);
    let said = reading.join().unwrap();
    let told = said.lines().filter(|line| line.contains("of output were dropped")).count();
    assert!((1..20).contains(&told), "{told} lines tell of it");
}

#[test]
fn a_short_message_does_not_become_a_long_log() {
    // The tag of a message is repeated in each of its lines.
    let then = "for n in range(10): say('<13>' + 'a' * 30000 + ':' + '\\nx' * 15000)\n\
                for n in range(10): say('<13>app:' + '\\n' * 30000 + 'x')\n\
                say('<13>app: last')\nos._exit(3)";
    let outcome = trc(&format!("[sync.app]\nexec = {}", python(then))).run();
    outcome.status(3).stdout_has("]: app: last\n");
    let (size, lines) = (outcome.out().len(), outcome.out().lines().count());
    assert!(size < 2_000_000 && (20_000..21_000).contains(&lines), "{size} bytes, {lines} lines");
}

#[test]
fn descriptors_that_somebody_sends_along_are_not_kept() {
    let then = "import array\n\
                r, w = os.pipe()\n\
                s.sendmsg([b'<13>app: with a pipe'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [w]))])\n\
                os.close(w)\n\
                assert os.read(r, 1) == b''\n\
                say('<13>app: closed')";
    for mode in MODES {
        let running = trc(&format!("[async.app]\nexec = {}", python(then))).mode(mode).spawn();
        running.wait_for("]: app: with a pipe\n").wait_for("]: app: closed\n");
        running.signal(TERM);
        running.finish().status(143);
    }
}

#[test]
fn the_last_words_after_a_descriptor_are_in_the_log() {
    let then = "import array\n\
                fd = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [0]))]\n\
                for n in range(5): s.sendmsg([b'<13>app: with a descriptor'], fd)\n\
                say('<13>app: last words')\n\
                os._exit(3)";
    for mode in MODES {
        let outcome = trc(&format!("[sync.app]\nexec = {}", python(then))).mode(mode).run();
        outcome.status(3).stdout_has("app: last words\n");
    }
}

#[test]
fn a_socket_that_cannot_be_created_is_a_warning() {
    let app = "[sync.app]\nscript = 'echo works'";
    let other = trc(app);
    let _socket = UnixDatagram::bind(other.path("log")).unwrap();
    let says = "log for syslog: another process listens on it; set [log] syslog to another path, or to false";
    other.run().status(0).stdout_has("works").stderr_has(says);
    trc(app).file("log", "data").run().status(0).stderr_has("there is a file that is not a socket");
    let nowhere = Trc::toml(&format!("[log]\nsyslog = '/no/such/log'\n{app}"));
    nowhere.run().status(0).stderr_has(
        "cannot create the socket /no/such/log for syslog: its directory does not exist",
    );
    // That of a run that was killed is in nobody's way.
    let trc = trc(app);
    drop(UnixDatagram::bind(trc.path("log")).unwrap());
    trc.run().status(0).stderr_lacks("syslog");
}

/// A network and a `/dev` as in a container.
const SURROUNDINGS: &str = "ip link set lo up; mkdir $W/dev; mount -t tmpfs none $W/dev
    for device in null zero full random urandom tty; do
        touch $W/dev/$device; mount --bind /dev/$device $W/dev/$device
    done
    ln -s /proc/self/fd $W/dev/fd; ln -s fd/1 $W/dev/stdout; ln -s fd/2 $W/dev/stderr
    mount --move $W/dev /dev; mount -t tmpfs none /run
    mount -t tmpfs -o mode=711 none /var/spool; mkdir -m 711 /var/spool/smtpd";

/// Debian's packages, as they are configured.
#[test]
#[ignore = "needs root, and Debian's haproxy, cron and OpenSMTPD"]
fn services_that_log_by_syslog_only() {
    for (name, toml, conf, lines) in [
        (
            "haproxy",
            "[async.haproxy]\nexec = 'haproxy -db -f ${W}/server.conf'\nready = { http = 'http://127.0.0.1:2501' }\n",
            "global\n log /dev/log local0\ndefaults\n log global\n mode http\n option httplog\n timeout client 5s\n\
             timeout server 5s\n timeout connect 5s\nfrontend f\n bind 127.0.0.1:2501\n http-request return status 200\n",
            &[r"\[haproxy/\d+\]: haproxy: .* f f/<NOSRV> .* 200 "][..],
        ),
        (
            "cron",
            "[async.cron]\nexec = 'cron -f -L 15'\nready = { log = 'INFO' }\n",
            "",
            &[r"\[cron/\d+\]: cron: \(CRON\) INFO"],
        ),
        (
            "OpenSMTPD",
            "[async.smtpd]\nexec = 'smtpd -F -f ${W}/server.conf'\nready = { tcp = '127.0.0.1:2502' }\n",
            "listen on 127.0.0.1 port 2502\naction a relay\nmatch from local for any action a\n",
            &[r"\[smtpd/\d+\]: smtpd: info: OpenSMTPD .* starting"],
        ),
    ] {
        println!("{name}");
        let running = Trc::toml(&format!("[log]\nsyslog = true\n{toml}"))
            .file("server.conf", conf)
            .wrap(&["unshare", "--net", "--mount"])
            .before(SURROUNDINGS)
            .mode(Mode::Pid1)
            .spawn();
        for line in lines {
            let line = Regex::new(line).unwrap();
            running.wait_until("it has logged", || {
                line.is_match(&(running.stdout() + &running.stderr()))
            });
        }
        running.signal(TERM);
        running.finish().status(143);
    }
}
