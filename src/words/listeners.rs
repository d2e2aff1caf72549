//! Sockets and ports on which something listens.

use core::net::SocketAddr;

use super::some;

/// Returns what listens in place of a TCP port that refuses connections: sockets of that port, or
/// else the ports that something listens on.
pub(super) fn instead(same: &[SocketAddr], listening: &[u16]) -> String {
    if same.is_empty() { ports(listening, false) } else { on(same, false) }
}

fn protocol(udp: bool) -> &'static str {
    if udp { "udp" } else { "tcp" }
}

/// Returns the sockets on which something listens.
pub(super) fn on(sockets: &[SocketAddr], udp: bool) -> String {
    let shown = sockets.iter().map(|socket| format!("{socket}/{}", protocol(udp)));
    format!("something listens on {}", some(shown))
}

/// Returns the ports on which something listens.
pub(super) fn ports(ports: &[u16], udp: bool) -> String {
    let protocol = protocol(udp);
    let shown = some(ports.iter().map(|port| format!("{port}/{protocol}")));
    match ports.len() {
        0 => format!("nothing listens on a {} port", protocol.to_uppercase()),
        1 => format!("the only listening port is {shown}"),
        _ => format!("the listening ports are {shown}"),
    }
}
