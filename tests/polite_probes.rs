//! Probes about which no server complains: small servers of this test, for which a reset connection
//! or a client that leaves early is an error, and real servers with their most verbose logs.
//!
//! The real servers need root and Debian's packages, which `.ci/run` installs. This command runs
//! one server with its whole output, and fewer than a thousand probes:
//!
//!     TRC_TEST_SERVER=OpenSSH TRC_TEST_PROBES=20 \
//!         cargo test --test suite polite_probes:: -- --ignored --nocapture

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{MODES, Running, TERM, Trc, number_from, table};
use regex::Regex;

/// The number of connections of each kind to the small servers.
const CONNECTIONS: usize = 30;
/// This is longer than an orderly client keeps a server waiting, and shorter than trc waits for a
/// server that does not close.
const SOON: Duration = Duration::from_secs(5);

/// A connection as a small server sees it.
trait Stream: Read + Write {
    fn patience(&self, time: Duration);
}

impl Stream for TcpStream {
    fn patience(&self, time: Duration) {
        self.set_read_timeout(Some(time)).unwrap();
    }
}

impl Stream for UnixStream {
    fn patience(&self, time: Duration) {
        self.set_read_timeout(Some(time)).unwrap();
    }
}

/// Serves a connection. Returns an error if a real server would log one.
type Serve = fn(&mut dyn Stream) -> io::Result<()>;

/// The client soon announces that it will send nothing more.
fn client_is_done(stream: &mut dyn Stream) -> io::Result<()> {
    stream.patience(SOON);
    match stream.read(&mut [0; 100])? {
        0 => Ok(()),
        _ => Err(io::Error::other("more was sent than a question")),
    }
}

fn speaks_first(stream: &mut dyn Stream) -> io::Result<()> {
    stream.write_all(b"220 mail.example.org ESMTP\r\n")?;
    client_is_done(stream)?;
    stream.write_all(b"221 bye\r\n")
}

fn speaks_late(stream: &mut dyn Stream) -> io::Result<()> {
    // The server looks up the client meanwhile.
    thread::sleep(Duration::from_millis(200));
    speaks_first(stream)
}

fn speaks_at_length(stream: &mut dyn Stream) -> io::Result<()> {
    stream.write_all(&vec![b'x'; 1024 * 1024])?;
    client_is_done(stream)
}

fn waits_to_be_spoken_to(stream: &mut dyn Stream) -> io::Result<()> {
    client_is_done(stream)?;
    stream.write_all(b"timed out\r\n")
}

/// Reads a question. The client must not have left when the answer begins.
fn question(stream: &mut dyn Stream) -> io::Result<()> {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        text.push(byte[0]);
    }
    stream.patience(Duration::from_millis(20));
    match stream.read(&mut byte) {
        Ok(0) => Err(io::Error::other("the client left before it was answered")),
        Ok(_) => Err(io::Error::other("more was sent than a question")),
        Err(why) if matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(()),
        Err(why) => Err(why),
    }
}

/// Writes in pieces, like a program that produces its answer step by step.
fn in_pieces(stream: &mut dyn Stream, pieces: &[&[u8]]) -> io::Result<()> {
    for piece in pieces {
        stream.write_all(piece)?;
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn answers_and_closes(stream: &mut dyn Stream) -> io::Result<()> {
    question(stream)?;
    in_pieces(stream, &[b"HTTP/1.0 200 OK\r\n", b"\r\n", b"all is ", b"well", b"\n"])
}

fn answers_at_length(stream: &mut dyn Stream) -> io::Result<()> {
    question(stream)?;
    let body = vec![b'x'; 1024 * 1024];
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    in_pieces(stream, &[head.as_bytes(), &body])
}

fn answers_in_chunks(stream: &mut dyn Stream) -> io::Result<()> {
    question(stream)?;
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    in_pieces(stream, &[head, b"3\r\nall\r\n", b"3\r\n is\r\n", b"0\r\n\r\n"])
}

/// The server ignores `Connection: close`.
fn keeps_alive(stream: &mut dyn Stream) -> io::Result<()> {
    question(stream)?;
    in_pieces(stream, &[b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", b"a", b"ll"])?;
    client_is_done(stream)
}

fn keeps_alive_in_chunks(stream: &mut dyn Stream) -> io::Result<()> {
    answers_in_chunks(stream)?;
    client_is_done(stream)
}

fn says_to_continue(stream: &mut dyn Stream) -> io::Result<()> {
    question(stream)?;
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
    in_pieces(stream, &[b"HTTP/1.1 100 Continue\r\n\r\n", head, b"all"])?;
    client_is_done(stream)
}

/// A server for several connections at a time, and its complaints.
#[derive(Clone, Default)]
struct Served {
    complaints: Arc<Mutex<Vec<String>>>,
    served: Arc<AtomicUsize>,
}

impl Served {
    fn take(&self, serve: Serve, mut stream: impl Stream + Send + 'static) {
        let this = self.clone();
        thread::spawn(move || {
            let number = this.served.load(Ordering::SeqCst);
            if let Err(why) = serve(&mut stream) {
                this.complaints.lock().unwrap().push(format!("after {number}: {why}"));
            }
            this.served.fetch_add(1, Ordering::SeqCst);
        });
    }

    /// Waits until this many connections have ended, and checks that there are no complaints.
    fn is_content(&self, running: &Running) {
        running.wait_until("it was asked often enough", || {
            self.served.load(Ordering::SeqCst) >= CONNECTIONS
        });
        let complaints = self.complaints.lock().unwrap().clone();
        if !complaints.is_empty() {
            running.fail(&format!("the server complains: {complaints:#?}"));
        }
    }
}

/// Which probe asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Tcp,
    Unix,
    Http,
}

fn serving(kind: Kind, serve: Serve, trc: &Trc) -> (String, Served) {
    let served = Served::default();
    let taken = served.clone();
    let address = match kind {
        Kind::Unix => {
            let path = trc.path("socket");
            let listener = UnixListener::bind(&path).unwrap();
            thread::spawn(move || {
                listener.incoming().for_each(|stream| taken.take(serve, stream.unwrap()));
            });
            path.display().to_string()
        }
        Kind::Tcp | Kind::Http => {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            thread::spawn(move || {
                listener.incoming().for_each(|stream| taken.take(serve, stream.unwrap()));
            });
            if kind == Kind::Tcp { address.to_string() } else { format!("http://{address}/") }
        }
    };
    (address, served)
}

const SERVERS: [(&str, Kind, Serve); 15] = [
    ("speaks first", Kind::Tcp, speaks_first),
    ("speaks late", Kind::Tcp, speaks_late),
    ("speaks at length", Kind::Tcp, speaks_at_length),
    ("waits to be spoken to", Kind::Tcp, waits_to_be_spoken_to),
    ("speaks first", Kind::Unix, speaks_first),
    ("speaks late", Kind::Unix, speaks_late),
    ("speaks at length", Kind::Unix, speaks_at_length),
    ("waits to be spoken to", Kind::Unix, waits_to_be_spoken_to),
    ("answers and closes", Kind::Http, answers_and_closes),
    ("answers at length", Kind::Http, answers_at_length),
    ("answers in chunks", Kind::Http, answers_in_chunks),
    ("keeps alive", Kind::Http, keeps_alive),
    ("keeps alive, in chunks", Kind::Http, keeps_alive_in_chunks),
    ("says to continue", Kind::Http, says_to_continue),
    ("waits, over HTTP", Kind::Http, |stream| {
        question(stream)?;
        thread::sleep(Duration::from_millis(200));
        in_pieces(stream, &[b"HTTP/1.1 204 No Content\r\n\r\n"])?;
        client_is_done(stream)
    }),
];

#[test]
fn a_probe_in_production_gives_a_server_nothing_to_complain_of() {
    for mode in MODES {
        table(
            &SERVERS,
            |(name, kind, _)| format!("{name}, {kind:?}, {mode:?}"),
            |&(_, kind, serve)| {
                let trc = Trc::new().mode(mode);
                let (address, served) = serving(kind, serve, &trc);
                let key = format!("{kind:?}").to_lowercase();
                let toml = format!(
                    "[async.db]\nexec = 'cat ${{W}}/never'\nready.{key} = '{address}'\n\
                     health = {{ {key} = '{address}', every = '5ms', timeout = '20s' }}\n"
                );
                let running = trc.file("trc.toml", toml).spawn();
                served.is_content(&running);
                running.signal(TERM);
                running
                    .finish()
                    .status(143)
                    .stdout_has("async.db is ready")
                    .stdout_lacks("healthy");
            },
        );
    }
}

#[test]
fn a_test_gives_a_server_nothing_to_complain_of() {
    table(
        &SERVERS,
        |(name, kind, _)| format!("{name}, {kind:?}"),
        |&(_, kind, serve)| {
            let trc = Trc::new();
            let (address, served) = serving(kind, serve, &trc);
            let key = format!("{kind:?}").to_lowercase();
            // Tests stand in for readiness checks, because they ask far less often.
            let toml = format!(
                "[test.asks]\nexpect = {{ {key} = '{address}', within = '25s', holds = '20s' }}\n"
            );
            let running = trc.file("trc.toml", toml).arg("--test").spawn();
            served.is_content(&running);
            running.signal(TERM);
            running.finish().status(1);
        },
    );
}

/// The result is known at once, and the connection is closed in the end.
#[test]
fn a_server_that_never_closes_delays_neither_readiness_nor_the_end() {
    for kind in [Kind::Tcp, Kind::Unix, Kind::Http] {
        let serve: Serve = match kind {
            Kind::Http => |stream| {
                question(stream)?;
                stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
                loop {
                    thread::park();
                }
            },
            Kind::Tcp | Kind::Unix => |_| {
                loop {
                    thread::park();
                }
            },
        };
        let trc = Trc::new();
        let (address, _served) = serving(kind, serve, &trc);
        let key = format!("{kind:?}").to_lowercase();
        let toml = format!(
            "[async.db]\nexec = 'cat ${{W}}/never'\nready.{key} = '{address}'\n\
             [sync.app]\nafter = ['db']\nscript = 'echo app'\n"
        );
        let began = Instant::now();
        trc.file("trc.toml", toml).run().status(0).stdout_has("\napp\n");
        assert!(began.elapsed() < SOON, "{kind:?} took {:?}", began.elapsed());
    }
}

/// Returns the open sockets of a process.
fn sockets(pid: i32) -> usize {
    let Ok(fds) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return 0 };
    fds.flatten()
        .filter_map(|fd| std::fs::read_link(fd.path()).ok())
        .filter(|link| link.to_string_lossy().starts_with("socket:"))
        .count()
}

#[test]
fn servers_that_never_close_cost_a_bounded_number_of_descriptors() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            held.push(stream.unwrap());
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let toml = format!(
        "[async.db]\nexec = 'cat ${{W}}/never'\nhealth = {{ tcp = '{address}', every = '1ms' }}\n"
    );
    let running = Trc::toml(&toml).spawn();
    running.wait_until("there were many", || count.load(Ordering::SeqCst) > 300);
    let open = sockets(running.pid());
    assert!((10..=80).contains(&open), "{open} sockets are open");
    running.signal(TERM);
    running.finish().status(143);
}

/// A real server, with its most verbose log.
struct Real {
    name: &'static str,
    /// Its unit, and the files that the unit needs.
    toml: &'static str,
    /// `$W/server.conf`.
    conf: &'static str,
    /// The probes to test, one after another.
    probes: &'static [&'static str],
}

/// Runs in a network and in directories of its own.
const SURROUNDINGS: &str = "
    mount --make-rprivate / && mount -t tmpfs tmpfs /run && mkdir -p /run/sshd &&
    mount -t tmpfs -o mode=711 tmpfs /var/spool &&
    mkdir -m 711 /var/spool/smtpd && ip link set lo up || exit";

const REAL: [Real; 12] = [
    Real {
        name: "nginx",
        toml: "[async.server]\nexec = 'nginx -c ${W}/server.conf'\n",
        conf: "daemon off; user root; pid /run/nginx.pid; error_log stderr info; events {}\n\
               http { access_log /dev/stdout; server { listen 2500; listen unix:/run/socket;\n\
               location / { return 200 'all is well'; } } }\n",
        probes: &["tcp = 2500", "unix = '/run/socket'", "http = 'http://127.0.0.1:2500/'"],
    },
    Real {
        name: "OpenSMTPD",
        toml: "[async.server]\nexec = 'smtpd -d -v -T all -f ${W}/server.conf'\n",
        conf: "listen on 127.0.0.1 port 2500\naction \"local\" mbox\nmatch for local action \"local\"\n",
        probes: &["tcp = '127.0.0.1:2500'"],
    },
    Real {
        name: "redis",
        toml: "[async.server]\nexec = 'redis-server ${W}/server.conf'\n",
        conf: "port 2500\nunixsocket /run/socket\nloglevel debug\nsave \"\"\ndir /run\n",
        probes: &["tcp = '127.0.0.1:2500'", "unix = '/run/socket'"],
    },
    Real {
        name: "postgres",
        toml: "[boot.data]\nuser = 'postgres'\nenv.PATH = '/usr/lib/postgresql/15/bin:/usr/bin:/bin'\n\
               script = 'initdb -D /run/data/db >/dev/null; cat $W/server.conf >>/run/data/db/postgresql.conf'\n\
               [async.server]\nuser = 'postgres'\nexec = '/usr/lib/postgresql/15/bin/postgres -D /run/data/db'\n",
        conf: "port = 2500\nunix_socket_directories = '/run/data'\nlog_connections = on\n\
               log_disconnections = on\nlog_min_messages = debug1\nlog_error_verbosity = verbose\n",
        probes: &["tcp = '127.0.0.1:2500'", "unix = '/run/data/.s.PGSQL.2500'"],
    },
    Real {
        name: "haproxy",
        toml: "[async.server]\nexec = 'haproxy -db -V -f ${W}/server.conf'\n",
        conf: "global\n log stdout format raw local0\ndefaults\n log global\n mode http\n option httplog\n\
               timeout client 5s\n timeout server 5s\n timeout connect 5s\n\
               frontend f\n bind 127.0.0.1:2500\n bind unix@/run/socket\n http-request return status 200\n",
        probes: &[
            "tcp = '127.0.0.1:2500'",
            "unix = '/run/socket'",
            "http = 'http://127.0.0.1:2500/'",
        ],
    },
    Real {
        name: "node-exporter",
        toml: "[async.server]\nexec = 'prometheus-node-exporter --log.level=debug --web.listen-address=127.0.0.1:2500 --collector.disable-defaults \
               --collector.meminfo --collector.netstat --collector.vmstat --collector.sockstat'\n",
        conf: "",
        probes: &["tcp = '127.0.0.1:2500'", "http = 'http://127.0.0.1:2500/metrics'"],
    },
    Real {
        name: "dropbear",
        toml: "[boot.key]\nscript = 'dropbearkey -t ed25519 -f /run/key >/dev/null 2>&1'\n\
               [async.server]\nexec = 'dropbear -F -E -r /run/key -p 127.0.0.1:2500'\n",
        conf: "",
        probes: &["tcp = '127.0.0.1:2500'"],
    },
    Real {
        name: "OpenSSH",
        toml: "[boot.key]\nscript = 'ssh-keygen -q -t ed25519 -N \"\" -f /run/key'\n\
               [async.server]\nexec = '/usr/sbin/sshd -D -e -f ${W}/server.conf'\n",
        conf: "HostKey /run/key\nListenAddress 127.0.0.1:2500\nLogLevel DEBUG3\nUsePAM no\nMaxStartups 1000\nPidFile none\n",
        probes: &["tcp = '127.0.0.1:2500'"],
    },
    Real {
        name: "memcached",
        toml: "[async.server]\nexec = 'memcached -vvv -u root -p 2500 -l 127.0.0.1'\n",
        conf: "",
        probes: &["tcp = '127.0.0.1:2500'"],
    },
    Real {
        name: "mosquitto",
        toml: "[async.server]\nexec = 'mosquitto -v -c ${W}/server.conf'\n",
        conf: "listener 2500 127.0.0.1\nallow_anonymous true\nuser root\nlog_type all\n",
        probes: &["tcp = '127.0.0.1:2500'"],
    },
    Real {
        name: "Python",
        toml: "[async.server]\ncwd = '/usr/share'\nexec = '/usr/bin/python3 -u -m http.server --bind 127.0.0.1 2500'\n",
        conf: "",
        probes: &["tcp = '127.0.0.1:2500'", "http = 'http://127.0.0.1:2500/'"],
    },
    Real {
        name: "Node",
        toml: "[async.server]\nexec = 'node ${W}/server.conf'\n",
        conf: "const http = require('http');\n\
               const body = 'x'.repeat(1 << 20);\n\
               const server = http.createServer((request, response) => {\n\
                 for (const of of [request, response])\n\
                   for (const event of ['error', 'aborted'])\n\
                     of.on(event, why => console.log(event, why));\n\
                 response.on('close', () => response.writableFinished || console.log('broken off'));\n\
                 response.write('a'); setTimeout(() => response.end(body), 1);\n\
               });\n\
               server.on('clientError', (why, socket) => { console.log('client error', why); socket.destroy(); });\n\
               server.on('connection', socket => socket.on('error', why => console.log('error', why)));\n\
               server.listen(2500, '127.0.0.1');\n",
        probes: &["tcp = '127.0.0.1:2500'", "http = 'http://127.0.0.1:2500/'"],
    },
];

/// Returns the number of connections that were begun in the network of a process: RFC 1213,
/// `tcpActiveOpens`.
fn begun(pid: i32) -> usize {
    let text = std::fs::read_to_string(format!("/proc/{pid}/net/snmp")).unwrap_or_default();
    let mut rows = text.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let at = rows.next().and_then(|names| names.split(' ').position(|name| name == "ActiveOpens"));
    let value = at.zip(rows.next()).and_then(|(at, row)| row.split(' ').nth(at)?.parse().ok());
    value.unwrap_or(0)
}

#[test]
#[ignore = "needs root and Debian's servers"]
fn no_real_server_complains_of_a_thousand_probes() {
    let rows: Vec<(&Real, &str)> =
        REAL.iter().flat_map(|real| real.probes.iter().map(move |probe| (real, *probe))).collect();
    let words =
        Regex::new(r"(?i)\b(error|reset|broken|abort|aborted)\b|econn|epipe|traceback").unwrap();
    let wanted = number_from("TRC_TEST_PROBES", 1000);
    let only = std::env::var("TRC_TEST_SERVER").ok();
    table(
        &rows,
        |(real, probe)| format!("{}, {probe}", real.name),
        |(real, probe)| {
            if only.as_ref().is_some_and(|only| only != real.name) {
                return;
            }
            let toml = format!(
                "{}output = 'prefix'\nnice = -10\nready = {{ {probe} }}\n\
                 health = {{ {probe}, every = '1ms', timeout = '20s' }}\n",
                real.toml
            );
            let before =
                format!("{SURROUNDINGS}\nmkdir /run/data && chown postgres: /run/data || exit\n");
            let running = Trc::toml(&toml)
                .file("server.conf", real.conf)
                // On one processor, the server writes before trc sees the connection, as on a busy
                // machine.
                .wrap(&["taskset", "-c", "0", "nice", "-n", "19", "unshare", "--net", "--mount"])
                .before(&before)
                .spawn();
            running.wait_for("async.server is ready");
            let began = Instant::now();
            let pid = running.pid();
            if probe.starts_with("unix") {
                // Nothing counts these connections, so wait for a millisecond each, and twice that
                // on a busy machine.
                let time = Duration::from_millis(3 * wanted as u64);
                running.wait_until("time is up", || began.elapsed() > time);
            } else {
                running.wait_until("it was asked often enough", || begun(pid) > wanted);
            }
            let said = running.stdout() + &running.stderr();
            let complaints: Vec<&str> = said
                .lines()
                .filter(|line| line.contains("[server/") && words.is_match(line))
                .collect();
            if only.is_some() {
                println!("{said}");
            }
            println!(
                "{}, {probe}: {} lines, {:?}",
                real.name,
                said.lines().count(),
                began.elapsed()
            );
            running.signal(TERM);
            if !complaints.is_empty() {
                // Messages that differ only in numbers count as one.
                let numbers = Regex::new("[0-9]+").unwrap();
                let mut kinds = std::collections::BTreeMap::<_, usize>::new();
                for line in &complaints {
                    *kinds.entry(numbers.replace_all(line, "0")).or_default() += 1;
                }
                panic!("{} complaints: {kinds:#?}", complaints.len());
            }
            running.finish();
        },
    );
}
