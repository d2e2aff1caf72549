//! Notifications to whatever has started trc: `sd_notify(3)`.
//!
//! podman (`--sdnotify=container`) and systemd give trc a socket in `NOTIFY_SOCKET`. trc tells when
//! every unit is ready, what it waits for until then, and when the run stops.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use std::time::Duration;

use super::Supervisor;
use super::source::{Source, Watch};
use crate::engine::Health;

/// The longest status that is sent, in characters.
const STATUS: usize = 200;
/// The time after which a message is sent again that the receiver had no room for.
const AGAIN: Duration = Duration::from_millis(100);

pub(super) const SOURCE: Source = Source::new(Supervisor::watch_upward);

/// The socket of whatever has started trc.
pub(super) struct Upward {
    socket: UnixDatagram,
    address: SocketAddr,
    /// Whether `READY=1` was sent.
    ready: bool,
    /// Whether `STOPPING=1` was sent.
    stopping: bool,
    /// The last status that was sent.
    status: String,
    /// Whether the receiver had no room for the last message.
    full: bool,
}

impl Upward {
    /// Returns the socket with a name from `NOTIFY_SOCKET`: a path, or `@` and a name in the abstract
    /// namespace.
    pub(super) fn new(name: &OsStr) -> Option<Self> {
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
            [b'/', ..] => SocketAddr::from_pathname(name),
            _ => return None,
        };
        let socket = UnixDatagram::unbound().ok()?;
        socket.set_nonblocking(true).ok()?;
        let (address, status) = (address.ok()?, String::new());
        Some(Self { socket, address, ready: false, stopping: false, status, full: false })
    }

    /// Sends what is new. A receiver that has no room gets it later.
    fn tell(&mut self, health: Health, status: String) {
        let mut message = String::new();
        let ready = matches!(health, Health::Ready | Health::Degraded);
        let stopping = health == Health::Stopping;
        if ready && !self.ready {
            message.push_str("READY=1\n");
        }
        if stopping && !self.stopping {
            message.push_str("STOPPING=1\n");
        }
        if message.is_empty() && status == self.status {
            return;
        }
        message.push_str("STATUS=");
        message.push_str(&status);
        let sent = self.socket.send_to_addr(message.as_bytes(), &self.address);
        self.full = sent.is_err_and(|why| why.kind() == std::io::ErrorKind::WouldBlock);
        if !self.full {
            self.ready |= ready;
            self.stopping |= stopping;
            self.status = status;
        }
    }
}

impl Supervisor {
    /// Tells whatever has started trc from now on how the run is.
    pub(in crate::run) fn tell_to(&mut self, name: &OsStr) {
        self.upward = Upward::new(name).map(Box::new);
    }

    fn watch_upward(&self, watch: &mut Watch<'_>) {
        if self.upward.as_ref().is_some_and(|upward| upward.full) {
            watch.until(Some(watch.now + AGAIN));
        }
    }

    /// Tells whatever has started trc what is new.
    pub(super) fn tell_upward(&mut self) {
        if self.upward.is_none() {
            return;
        }
        let (health, unit) = self.engine.health(self.graph.ids());
        let status = match (health, unit) {
            (Health::Ready | Health::Degraded, _) => "every unit is ready".to_owned(),
            (Health::Stopping, _) => "stopping".to_owned(),
            (Health::Starting | Health::Unhealthy, Some(id)) => {
                let why = self.why(id).unwrap_or_default();
                format!("{} {why}", self.graph.node(id).unit.id())
            }
            (Health::Starting | Health::Unhealthy, None) => "running the boot units".to_owned(),
        };
        let status = crate::text::harmless(&status).chars().take(STATUS).collect();
        if let Some(upward) = &mut self.upward {
            upward.tell(health, status);
        }
    }
}
