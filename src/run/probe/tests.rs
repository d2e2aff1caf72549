//! Tries against real servers that behave badly.

#![allow(clippy::disallowed_methods, reason = "servers have clocks and threads")]

mod whole;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::thread;

use nix::poll::{PollFd, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};

use super::*;

/// Long enough on a busy machine for what should come.
const LONG: Duration = Duration::from_secs(20);
/// For what never comes.
const SHORT: Duration = Duration::from_millis(150);

/// A whole try.
fn tried(probe: &Probe, timeout: Duration) -> Verdict {
    Try::begin(probe, timeout, Instant::now()).map_or_else(|over| over.verdict, driven)
}

/// A try under way, polled as the loop does.
fn driven(mut one: Try) -> Verdict {
    loop {
        let left = one.deadline().saturating_duration_since(Instant::now());
        let (fd, flags) = one.fd();
        let mut fds = [PollFd::new(fd, flags)];
        let millis = u16::try_from(left.as_micros().div_ceil(1000)).unwrap_or(u16::MAX);
        let late = poll(&mut fds, PollTimeout::from(millis)).unwrap() == 0;
        let now = Instant::now();
        one = match if late { one.late(now) } else { one.proceed(now) } {
            Ok(one) => one,
            Err(over) => return over.verdict,
        };
    }
}

/// A server that does this with each connection, one after another.
fn server(serve: impl Fn(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            serve(stream.unwrap());
        }
    });
    address
}

/// An address where nobody listens.
fn deserted() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// An address where nothing is ever answered, while what comes with it is held.
fn silent() -> (SocketAddr, (TcpListener, Vec<TcpStream>)) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // SAFETY: listen(2) again on a listening socket only changes the length of its queue.
    unsafe { libc::listen(std::os::fd::AsRawFd::as_raw_fd(&listener), 0) };
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, SHORT) {
        waiting.push(stream);
        assert!(waiting.len() < 100);
    }
    (address, (listener, waiting))
}

fn tcp(address: SocketAddr) -> Probe {
    Probe::Tcp(Address { host: address.ip().to_string(), port: address.port() })
}

fn http(address: SocketAddr) -> Probe {
    Probe::Http(question(address))
}

fn question(address: SocketAddr) -> Http {
    Http {
        address: Address { host: address.ip().to_string(), port: address.port() },
        path: "/healthz".to_owned(),
        host: "example.com".to_owned(),
        status: vec![200..=299, 304..=304],
    }
}

/// Reads the question, then says this.
fn says(answer: &'static [u8]) -> SocketAddr {
    server(move |mut stream| {
        let mut question = [0; 4096];
        _ = stream.read(&mut question);
        _ = stream.write_all(answer);
    })
}

fn failed(verdict: &Verdict) -> (bool, String) {
    let failure = verdict.as_ref().expect_err("it should have failed");
    // Ports differ from run to run.
    let why = failure.why.to_string();
    (failure.timed_out, why.rsplit(": ").next().unwrap_or_default().to_owned())
}

#[test]
fn a_server_that_listens_is_there_by_tcp() {
    assert_eq!(tried(&tcp(server(drop)), LONG), Ok(()));
}

#[test]
fn a_server_that_refuses_is_not_there() {
    for probe in [tcp(deserted()), http(deserted())] {
        assert_eq!(failed(&tried(&probe, LONG)), (false, "connection refused".to_owned()));
    }
}

#[test]
fn a_server_that_is_late_is_there_in_the_end() {
    let address = deserted();
    assert!(tried(&tcp(address), LONG).is_err());
    let _listener = TcpListener::bind(address).unwrap();
    assert_eq!(tried(&tcp(address), LONG), Ok(()));
}

#[test]
fn a_server_whose_queue_is_full_is_out_of_time() {
    let (address, _held) = silent();
    let (timed_out, why) = failed(&tried(&tcp(address), SHORT));
    assert_eq!((timed_out, why.as_str()), (true, "no connection within 0.15 s"));
}

#[test]
fn an_address_that_never_answers_leaves_time_for_the_others() {
    let (silent, _held) = silent();
    let timeout = Duration::from_secs(1);
    for (others, expected) in [
        (vec![server(drop)], None),
        (vec![deserted(), server(drop)], None),
        (vec![silent, server(drop)], None),
        (vec![deserted()], Some((false, "connection refused"))),
        (vec![silent], Some((true, "no connection within 1 s"))),
    ] {
        let now = Instant::now();
        let to = [silent].into_iter().chain(others.iter().copied()).collect();
        let step = connecting(to, None, now, now + timeout).unwrap();
        let one = Try {
            step,
            what: "a name".to_owned(),
            port: None,
            timeout,
            deadline: now + timeout,
            most: None,
        };
        let verdict = driven(one);
        let found = verdict.is_err().then(|| failed(&verdict));
        let expected = expected.map(|(timed_out, why)| (timed_out, why.to_owned()));
        assert_eq!(found, expected, "{others:?}");
    }
}

#[test]
fn localhost_is_either_of_its_addresses() {
    for bound in ["127.0.0.1:0", "[::1]:0"] {
        // An image may have no IPv6.
        let Ok(listener) = TcpListener::bind(bound) else { continue };
        let port = listener.local_addr().unwrap().port();
        let probe = Probe::Tcp(Address { host: "localhost".to_owned(), port });
        assert_eq!(tried(&probe, LONG), Ok(()), "{bound}");
    }
}

#[test]
fn a_name_is_looked_up_and_one_that_nobody_knows_is_a_failure() {
    let port = server(drop).port();
    let name = nix::unistd::gethostname().unwrap().into_string().unwrap();
    let known = std::net::ToSocketAddrs::to_socket_addrs(&(name.as_str(), port)).is_ok();
    let probe = Probe::Tcp(Address { host: "nosuchhost.invalid".to_owned(), port });
    let failure = tried(&probe, LONG).unwrap_err();
    assert!(failure.why.to_string().starts_with("nosuchhost.invalid:"), "{}", failure.why);
    // The host's own name may belong to an address that nobody serves. Only the lookup matters
    // here.
    if known {
        let probe = Probe::Tcp(Address { host: name, port });
        let why =
            tried(&probe, LONG).err().map_or_else(String::new, |failure| failure.why.to_string());
        assert!(!why.contains("look"), "{why}");
    }
}

#[test]
fn answers_over_http_are_told_by_their_status() {
    for (answer, expected) in [
        (b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), None),
        (b"HTTP/1.0 304 Not Modified\r\n", None),
        (b"HTTP/1.1 204\n", None),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\nbusy", Some("it answered 503")),
        (b"HTTP/1.1 301 Moved\r\n", Some("it answered 301")),
        (b"220 mail.example.com ESMTP\r\n", Some("its answer is not HTTP")),
        (b"HTTP/2 200\r\n", Some("its answer is not HTTP")),
        (b"", Some("it closed the connection without an answer")),
        (b"HTTP/1.1 2", Some("it closed the connection without an answer")),
    ] {
        let verdict = tried(&http(says(answer)), LONG);
        let found = verdict.is_err().then(|| failed(&verdict));
        let expected = expected.map(|why| (false, why.to_owned()));
        assert_eq!(found, expected, "{}", String::from_utf8_lossy(answer));
    }
}

#[test]
fn what_is_asked_over_http_is_what_was_written() {
    let (to, asked) = std::sync::mpsc::channel();
    let address = server(move |mut stream| {
        let mut question = [0; 4096];
        let count = stream.read(&mut question).unwrap();
        to.send(String::from_utf8(question[..count].to_vec()).unwrap()).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    });
    assert_eq!(tried(&http(address), LONG), Ok(()));
    let asked = asked.recv().unwrap();
    assert!(asked.starts_with("GET /healthz HTTP/1.1\r\nHost: example.com\r\n"), "{asked}");
    assert!(asked.ends_with("Connection: close\r\n\r\n"), "{asked}");
}

#[test]
fn a_server_that_hangs_half_way_through_its_answer_is_out_of_time() {
    for half in ["", "HTTP/1.1 20"] {
        let address = server(move |mut stream| {
            _ = stream.write_all(half.as_bytes());
            // This takes until the attempt gives up.
            _ = stream.read_to_end(&mut Vec::new());
        });
        let (timed_out, why) = failed(&tried(&http(address), SHORT));
        assert_eq!((timed_out, why.as_str()), (true, "no answer within 0.15 s"), "{half}");
    }
}

#[test]
fn a_server_that_drips_is_out_of_time() {
    let address = server(|mut stream| {
        for byte in b"HTTP/1.1 200 OK and so on and on".iter().cycle() {
            thread::sleep(Duration::from_millis(20));
            if stream.write_all(&[*byte]).is_err() {
                break;
            }
        }
    });
    assert!(failed(&tried(&http(address), SHORT)).0);
}

#[test]
fn a_server_that_floods_is_cut_off() {
    for pattern in [b'x', b'H'] {
        let address = server(move |mut stream| {
            _ = stream.write_all(b"HTTP/1.1 ");
            while stream.write_all(&[pattern; 8192]).is_ok() {}
        });
        let found = failed(&tried(&http(address), LONG));
        assert_eq!(found, (false, "its answer is not HTTP".to_owned()));
    }
}

#[test]
fn a_server_that_dies_while_it_is_asked_has_failed() {
    let address = server(|stream| {
        // If bytes are left unread, closing the connection resets it.
        setsockopt(&stream, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 }).unwrap();
    });
    let (timed_out, why) = failed(&tried(&http(address), LONG));
    assert!(!timed_out);
    let known = ["connection reset by peer", "broken pipe", "it closed the connection"];
    assert!(known.iter().any(|known| why.starts_with(known)), "{why}");
}

#[test]
fn unix_sockets_and_files_are_there_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let _listener = UnixListener::bind(path("socket")).unwrap();
    drop(UnixListener::bind(path("left")).unwrap());
    std::fs::write(path("file"), "").unwrap();
    let long = path(&"x".repeat(120));
    for (probe, expected) in [
        (Probe::Unix(path("socket")), None),
        (Probe::Unix(path("left")), Some("connection refused")),
        (Probe::Unix(path("file")), Some("connection refused")),
        (Probe::Unix(path("none")), Some("no such file or directory")),
        (Probe::Unix(long), Some("the path of a socket can have at most 107 bytes")),
        (Probe::File(path("file")), None),
        (Probe::File(path("socket")), None),
        (Probe::File(path("none")), Some("no such file or directory")),
    ] {
        let verdict = tried(&probe, LONG);
        let found = verdict.is_err().then(|| failed(&verdict).1);
        assert_eq!(found.as_deref(), expected, "{probe:?}");
    }
}

#[test]
fn a_unix_socket_that_nobody_takes_connections_from_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    // SAFETY: listen(2) again on a listening socket only changes the length of its queue.
    unsafe { libc::listen(std::os::fd::AsRawFd::as_raw_fd(&listener), 0) };
    let probe = Probe::Unix(path);
    assert_eq!(tried(&probe, LONG), Ok(()), "the first one waits in the queue");
    assert_eq!(
        failed(&tried(&probe, LONG)).1,
        "the server does not accept connections (its backlog is full)"
    );
}
