//! The addresses that trc listens on for a unit.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// An address that trc listens on for a unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Listen {
    /// A TCP port, on every address of the container.
    Port(u16),
    /// A TCP port on one address.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

impl Listen {
    /// Returns the TCP port, if it is one.
    pub(crate) fn port(&self) -> Option<u16> {
        match self {
            Self::Port(port) => Some(*port),
            Self::Tcp(address) => Some(address.port()),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(port) => write!(f, "port {port}"),
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

impl FromStr for Listen {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text.starts_with('/') {
            return Ok(Self::Unix(text.into()));
        }
        let port = |port: &u16| *port > 0;
        if let Ok(number) = text.parse::<u16>() {
            return Some(number).filter(port).map(Self::Port).ok_or(());
        }
        let address: SocketAddr = text.parse().map_err(|_| ())?;
        if address.port() > 0 { Ok(Self::Tcp(address)) } else { Err(()) }
    }
}
