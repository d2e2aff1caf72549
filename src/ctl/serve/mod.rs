//! `trcctl serve`: a page about the run, probes and metrics over HTTP, so that PID 1 never listens on
//! the network.
//!
//! It is an ordinary client of the control socket, and an ordinary process: a unit of the run, under
//! a user that may only ask. It passes on a closed list of requests (`route.rs`), each of which is
//! read and written anew, so that nothing else can reach trc. What a browser sends for the page of
//! somebody else is refused (`guard.rs`), and a change needs a token (`token.rs`). Connections, heads
//! and times are bounded (`connections.rs`).

mod answer;
mod connections;
mod guard;
mod notify;
mod route;
mod stream;
mod token;
mod upstream;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, ORIGIN};
use hyper::service::service_fn;
use hyper::{Method, Request};
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::sys::socket::{setsockopt, sockopt};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

use answer::Answer;
use connections::{Connections, Place};
use guard::Guard;
use route::Route;
use token::Token;
use upstream::Upstream;

use super::live::{complain, say};
use crate::status as exit;
use crate::wire::{Code, Problem};

/// The time in which the head of a request has to be complete, and for which a connection may be
/// idle.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// The longest head of a request, in bytes, and the largest number of its fields.
const HEAD: usize = 16 * 1024;
const FIELDS: usize = 64;
/// The time after which the kernel closes a connection whose other end takes nothing: tcp(7).
const TAKEN_WITHIN: Duration = Duration::from_secs(30);
/// The time for which no connection is accepted after there was no descriptor or no memory for one.
const REST: Duration = Duration::from_millis(200);

/// What `trcctl serve` is asked for.
#[derive(Clone, Debug)]
pub struct Serve {
    /// The path of trc's socket, if it is not the usual one.
    pub socket: Option<PathBuf>,
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The names by which clients may call this server, beside `localhost` and addresses.
    pub hosts: Vec<String>,
    /// The file with the token that changes need; nothing can be changed if there is none.
    pub token_file: Option<PathBuf>,
}

/// What all connections share.
struct Server {
    guard: Guard,
    token: Option<Token>,
    trc: Upstream,
}

/// Serves until SIGTERM comes. Returns the exit status: 0 after SIGTERM.
pub fn serve(what: &Serve) -> u8 {
    let token = match what.token_file.as_deref().map(Token::read).transpose() {
        Ok(token) => token,
        Err(why) => {
            complain(&why);
            return exit::CONFIG;
        }
    };
    let server = Server {
        guard: Guard::new(what.hosts.clone()),
        token,
        trc: Upstream::at(what.socket.as_deref()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime
        .map_err(Failed::Runtime)
        .and_then(|runtime| runtime.block_on(run(what.listen, Arc::new(server))));
    match done {
        Ok(()) => 0,
        Err(why) => {
            complain(&why.sentence(what.listen));
            why.status()
        }
    }
}

/// The reason why it cannot serve.
enum Failed {
    Runtime(io::Error),
    Listen(io::Error),
    Notify(io::Error),
}

impl Failed {
    fn sentence(&self, address: SocketAddr) -> String {
        match self {
            Self::Runtime(why) => format!("cannot wait for connections: {why}"),
            Self::Notify(why) => format!("cannot send READY=1 to NOTIFY_SOCKET: {why}"),
            Self::Listen(why) => {
                let help = match why.kind() {
                    io::ErrorKind::AddrInUse => {
                        "\n  help: another process listens there; write another --listen"
                    }
                    io::ErrorKind::AddrNotAvailable => {
                        "\n  help: this machine does not have the address; 0.0.0.0 and [::] mean \
                         all of its addresses"
                    }
                    io::ErrorKind::PermissionDenied if address.port() < 1024 => {
                        "\n  help: ports below 1024 need a privilege: choose a higher one, or give \
                         the unit capabilities = [\"net_bind_service\"]"
                    }
                    _ => "",
                };
                format!("cannot listen on {address}: {why}{help}")
            }
        }
    }

    fn status(&self) -> u8 {
        match self {
            Self::Listen(why) if why.kind() == io::ErrorKind::PermissionDenied => exit::FORBIDDEN,
            Self::Runtime(_) | Self::Listen(_) | Self::Notify(_) => 1,
        }
    }
}

async fn run(address: SocketAddr, server: Arc<Server>) -> Result<(), Failed> {
    // Before anybody is told that it listens, so that a stop that follows at once is not missed.
    let mut stop = signal(SignalKind::terminate()).map_err(Failed::Runtime)?;
    let listener = TcpListener::bind(address).await.map_err(Failed::Listen)?;
    let address = listener.local_addr().map_err(Failed::Listen)?;
    let may = if server.token.is_some() { "changes need the token" } else { "read-only" };
    say(&format!("listening on http://{address}/ ({may})\n"));
    notify::ready().map_err(Failed::Notify)?;
    // It may come later, or allow this user later: each answer says so, and this says it at once.
    let first = server.clone();
    tokio::spawn(async move {
        if let Err(problem) = first.trc.check().await {
            complain(&problem.detail);
        }
    });
    let connections = Connections::default();
    loop {
        let accepted = tokio::select! {
            _ = stop.recv() => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(|place| connection(stream, place, server.clone()));
                // It reads what its client has sent before the next one comes, which may be one too
                // many.
                tokio::task::yield_now().await;
            }
            // The client is gone already.
            Err(why) if why.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => tokio::select! {
                _ = stop.recv() => return Ok(()),
                () = tokio::time::sleep(REST) => {}
            },
        }
    }
}

/// Serves one connection to its end.
async fn connection(stream: TcpStream, place: Place, server: Arc<Server>) {
    let within = u32::try_from(TAKEN_WITHIN.as_millis()).unwrap_or(u32::MAX);
    _ = setsockopt(&stream, sockopt::TcpUserTimeout, &within);
    // Small records have to arrive as they come.
    _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let (server, place) = (server.clone(), place.clone());
        async move { Ok::<_, Infallible>(server.answer(&request, &place).await.into_response()) }
    });
    // What a client does wrong on its connection is no concern of anybody else.
    _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD)
        .max_headers(FIELDS)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

impl Server {
    async fn answer(&self, request: &Request<Incoming>, place: &Place) -> Answer {
        place.begins();
        let accept = guard::text(request.headers(), ACCEPT).unwrap_or(upstream::ANYTHING);
        let answer = match self.route(request) {
            Ok(Route::File(file)) => Answer::file(file, self.token.is_some()),
            Ok(Route::Alive) => self.trc.alive().await,
            Ok(Route::State) => self.trc.state().await,
            Ok(Route::Ask(ask)) => self.trc.ask(&ask, accept).await,
            Ok(Route::Follow(ask)) => {
                self.trc.follow(&ask, accept.contains(upstream::EVENTS), place).await
            }
            Err(problem) => Answer::problem(&problem),
        };
        place.ends();
        answer
    }

    /// Returns what a request asks for, if it may.
    fn route(&self, request: &Request<Incoming>) -> Result<Route, Problem> {
        let headers = request.headers();
        let host = guard::host_of(request)?;
        self.guard.host(host)?;
        // Nothing that is offered has a body.
        if !hyper::body::Body::is_end_stream(request.body()) {
            let why = "the request has a body: write its parameters in the query";
            return Err(Problem::new(Code::TooLarge, why));
        }
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        let method = match *request.method() {
            Method::HEAD => Method::GET,
            ref other => other.clone(),
        };
        let route = route::read(method.as_str(), target)?;
        if route.is_guarded() {
            let site = headers.get("sec-fetch-site").and_then(|site| site.to_str().ok());
            Guard::origin(host, guard::text(headers, ORIGIN), site)?;
        }
        if route.changes() {
            token::check(self.token.as_ref(), guard::text(headers, AUTHORIZATION))?;
        }
        Ok(route)
    }
}
