//! Ports that something listens on, from `/proc/net`: the kernel's
//! `Documentation/networking/proc_net_tcp.rst`, and `net/ipv4/udp.c`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

use crate::config::{Listening, reason};
use crate::graph::{OpenPort, UnitId};
use crate::run::os::{proc, processes};
use crate::words::Wrong;

/// The number of bytes of a table that are read, for some 100,000 sockets. TCP's table begins with
/// the listening ones.
const LONGEST: u64 = 16 * 1024 * 1024;

/// The contents of the tables of one protocol.
#[derive(Default)]
struct Table {
    /// The addresses on which something listens. IPv4 addresses are shown as such, whichever socket
    /// they belong to.
    sockets: BTreeSet<SocketAddr>,
    /// The numbers of the sockets, by which the descriptors of processes name them.
    inodes: Vec<(SocketAddr, u64)>,
    /// Whether the tables are longer than the part that was read.
    cut: bool,
}

/// Checks that something listens on a port, or that nothing does.
///
/// # Errors
/// Returns where something listens, or the reason why that cannot be found out.
pub(crate) fn check(wanted: &Listening) -> Result<(), Wrong> {
    verdict(wanted, &Table::of(wanted.udp)?)
}

impl Table {
    /// Reads the tables of this network namespace, for UDP or TCP.
    fn of(udp: bool) -> Result<Self, Wrong> {
        let mut table = Self::default();
        for (path, may_lack) in if udp {
            [("/proc/net/udp", false), ("/proc/net/udp6", true)]
        } else {
            [("/proc/net/tcp", false), ("/proc/net/tcp6", true)]
        } {
            match File::open(path).and_then(|file| table.read(file, LONGEST, udp)) {
                Ok(()) => {}
                // The kernel, or the container, may be without IPv6.
                Err(error) if may_lack && error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    let why = reason(&error).to_lowercase();
                    return Err(Wrong::Kernel(format!("{path}: {why}")));
                }
            }
        }
        Ok(table)
    }

    fn on_port(&self, port: u16) -> impl Iterator<Item = SocketAddr> + '_ {
        self.sockets.iter().copied().filter(move |socket| socket.port() == port)
    }

    /// Returns the ports on which something listens.
    fn ports(&self) -> Vec<u16> {
        let ports: BTreeSet<u16> = self.sockets.iter().map(SocketAddr::port).collect();
        ports.into_iter().collect()
    }

    fn read(&mut self, from: impl Read, most: u64, udp: bool) -> std::io::Result<()> {
        let mut from = BufReader::new(from.take(most));
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line)? > 0 {
            let text = String::from_utf8_lossy(&line);
            if let Some(socket) = listens(&text, udp) {
                self.sockets.insert(socket);
                let inode = text.split_ascii_whitespace().nth(9).and_then(|text| text.parse().ok());
                self.inodes.extend(inode.map(|inode| (socket, inode)));
            }
            line.clear();
        }
        self.cut |= from.into_inner().limit() == 0;
        Ok(())
    }
}

/// Returns the address on which the socket of a line listens, if it does.
fn listens(line: &str, udp: bool) -> Option<SocketAddr> {
    /// `TCP_LISTEN`, and `TCP_CLOSE`, which is UDP's for a socket without a peer.
    const STATES: [&str; 2] = ["0A", "07"];
    let mut fields = line.split_ascii_whitespace();
    let (address, state) = (fields.nth(1)?, fields.nth(1)?);
    let (ip, port) = address.split_once(':')?;
    let ip = match ip.len() {
        8 => IpAddr::from(Ipv4Addr::from(word(ip)?)),
        32 => {
            let mut bytes = [0; 16];
            for (at, place) in bytes.chunks_exact_mut(4).enumerate() {
                place.copy_from_slice(&word(ip.get(8 * at..8 * at + 8)?)?);
            }
            IpAddr::from(Ipv6Addr::from(bytes)).to_canonical()
        }
        _ => return None,
    };
    let port = u16::from_str_radix(port, 16).ok()?;
    (state == STATES[usize::from(udp)]).then_some(SocketAddr::new(ip, port))
}

/// Parses four bytes of an address, which the kernel prints as a number of this machine.
fn word(digits: &str) -> Option<[u8; 4]> {
    u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
}

/// Checks that nothing listens on any other port that can be reached from outside. A UDP socket
/// without a peer, on a port that the kernel has chosen, belongs to a client.
///
/// # Errors
/// Returns the other sockets, or the reason why they cannot be found out.
pub(crate) fn only(allowed: &[Listening]) -> Result<(), Wrong> {
    let chosen = chosen();
    let mut problems = Vec::new();
    for udp in [false, true] {
        let table = Table::of(udp)?;
        let others = others(&table, allowed, udp, &chosen);
        if !others.is_empty() {
            problems.push(Wrong::Listens(others, udp));
        } else if table.cut {
            problems.push(Wrong::ManySockets);
        }
    }
    Wrong::all(problems)
}

/// Returns the range from which the kernel chooses the ports of clients: ip(7).
fn chosen() -> RangeInclusive<u16> {
    let range = proc::read("sys", "net/ipv4/ip_local_port_range").unwrap_or_default();
    let range = String::from_utf8_lossy(&range).into_owned();
    let mut range = range.split_ascii_whitespace().map_while(|port| port.parse::<u16>().ok());
    range.next().unwrap_or(32_768)..=range.next().unwrap_or(60_999)
}

/// Returns the ports on which something listens, each with the first of these units that has a
/// socket there, as far as the kernel tells.
pub(crate) fn open_ports(units: &[(UnitId, Vec<i32>)]) -> Vec<OpenPort> {
    /// The number of descriptors that are looked at.
    const MOST: usize = 20_000;
    let processes = units.iter().flat_map(|(unit, pids)| pids.iter().map(|pid| (*unit, *pid)));
    let all = processes.flat_map(|(unit, pid)| descriptors(pid).map(move |it| (unit, it)));
    let mut owners: BTreeMap<u64, UnitId> = BTreeMap::new();
    for (unit, socket) in all.take(MOST) {
        if let Some(inode) = socket {
            owners.entry(inode).or_insert(unit);
        }
    }
    let chosen = chosen();
    let mut ports: BTreeMap<(u16, bool), OpenPort> = BTreeMap::new();
    for udp in [false, true] {
        let Ok(table) = Table::of(udp) else { continue };
        for (socket, inode) in table.inodes {
            let port = socket.port();
            if udp && chosen.contains(&port) {
                continue;
            }
            let new = OpenPort { port, udp, outside: false, unit: None };
            let open = ports.entry((port, udp)).or_insert(new);
            open.outside |= !socket.ip().is_loopback();
            open.unit = open.unit.or_else(|| owners.get(&inode).copied());
        }
    }
    ports.into_values().collect()
}

fn others(
    table: &Table,
    allowed: &[Listening],
    udp: bool,
    chosen: &RangeInclusive<u16>,
) -> Vec<SocketAddr> {
    let is_allowed = |socket: &SocketAddr| {
        let matches = |one: &Listening| {
            let ip = one.ip.is_none_or(|ip| serves(socket.ip(), ip));
            one.udp == udp && one.port == socket.port() && ip
        };
        allowed.iter().any(matches)
    };
    let is_other = |socket: &&SocketAddr| {
        let of_client = udp && chosen.contains(&socket.port());
        !socket.ip().is_loopback() && !of_client && !is_allowed(socket)
    };
    table.sockets.iter().filter(is_other).copied().collect()
}

/// Checks that one of the processes of a unit listens on each of these ports.
///
/// # Errors
/// Returns what listens instead.
pub(crate) fn of_unit(unit: &str, pids: &[i32], ports: &[Listening]) -> Result<(), Wrong> {
    let mut problems = Vec::new();
    for port in ports {
        let table = Table::of(port.udp)?;
        let is_its = |socket: &SocketAddr| {
            socket.port() == port.port && port.ip.is_none_or(|ip| serves(socket.ip(), ip))
        };
        let sockets: Vec<u64> = table
            .inodes
            .iter()
            .filter(|(socket, _)| is_its(socket))
            .map(|(_, inode)| *inode)
            .collect();
        if sockets.is_empty() {
            problems.push(match table.on_port(port.port).collect::<Vec<_>>() {
                others if others.is_empty() => Wrong::Silent(port.clone(), table.ports()),
                others => Wrong::Elsewhere(port.clone(), others),
            });
        } else if !pids.iter().any(|pid| holds(*pid, &sockets)) {
            let others = proc::pids().into_iter().filter(|pid| holds(*pid, &sockets));
            let others = others.map(processes::named).collect();
            problems.push(Wrong::OfOthers(port.clone(), unit.to_owned(), others));
        }
    }
    Wrong::all(problems)
}

/// Returns whether a process has a descriptor of one of these sockets.
fn holds(pid: i32, wanted: &[u64]) -> bool {
    descriptors(pid).flatten().any(|inode| wanted.contains(&inode))
}

/// Returns the number of the socket of each descriptor of a process; `None` for a descriptor of something
/// else.
fn descriptors(pid: i32) -> impl Iterator<Item = Option<u64>> {
    let socket = |entry: std::fs::DirEntry| -> Option<u64> {
        let to = std::fs::read_link(entry.path()).ok()?;
        to.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd"));
    entries.into_iter().flatten().flatten().map(socket)
}

fn verdict(wanted: &Listening, table: &Table) -> Result<(), Wrong> {
    let is_right = |socket: &SocketAddr| match wanted.ip {
        Some(ip) => serves(socket.ip(), ip),
        // Nobody outside can reach a socket that listens on the loopback only.
        None => wanted.negated || !socket.ip().is_loopback(),
    };
    let (right, others): (Vec<_>, Vec<_>) = table.on_port(wanted.port).partition(is_right);
    match (wanted.negated, right.is_empty()) {
        (true, true) if wanted.udp && table.cut => Err(Wrong::ManySockets),
        (false, false) | (true, true) => Ok(()),
        (true, false) => Err(Wrong::Listens(right, wanted.udp)),
        (false, true) if others.is_empty() => Err(Wrong::Silent(wanted.clone(), table.ports())),
        (false, true) => Err(Wrong::Elsewhere(wanted.clone(), others)),
    }
}

/// Returns whether a socket that is bound to an address matches. `::` accepts IPv4 connections,
/// too, unless its program has disabled that, which `/proc` does not show (ipv6(7)).
fn serves(bound: IpAddr, wanted: IpAddr) -> bool {
    let wanted = wanted.to_canonical();
    bound == wanted || (wanted == Ipv4Addr::UNSPECIFIED && bound == Ipv6Addr::UNSPECIFIED)
}

/// Returns the TCP sockets that are bound to a port, and all ports on which something listens;
/// `None` if that cannot be found out.
pub(crate) fn instead(port: u16) -> Option<(Vec<SocketAddr>, Vec<u16>)> {
    let table = Table::of(false).ok()?;
    Some((table.on_port(port).collect(), table.ports()))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;

    /// A line as a kernel of this machine prints it.
    fn line(ip: &str, port: u16, state: &str) -> String {
        let bytes = match ip.parse().unwrap() {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        let words = bytes.chunks(4).map(|word| {
            format!("{:08X}", u32::from_ne_bytes([word[0], word[1], word[2], word[3]]))
        });
        let ip: String = words.collect();
        format!("   0: {ip}:{port:04X} {ip}:0000 {state} 00000000:00000000 00:00000000 0\n")
    }

    fn table(lines: &[(&str, u16)]) -> Table {
        let mut table = Table::default();
        let text: String = lines.iter().map(|(ip, port)| line(ip, *port, "0A")).collect();
        table.read(text.as_bytes(), LONGEST, false).unwrap();
        table
    }

    fn wanted(ip: Option<&str>, port: u16) -> Listening {
        Listening { ip: ip.map(|ip| ip.parse().unwrap()), port, udp: false, negated: false }
    }

    #[test]
    fn a_port_is_one_of_the_first_unit_that_has_its_socket() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let own = vec![std::process::id().cast_signed()];
        let units = [(UnitId(3), own.clone()), (UnitId(5), own)];
        let open = open_ports(&units);
        let open = open.iter().find(|open| open.port == port && !open.udp).unwrap();
        assert_eq!((open.unit, open.outside), (Some(UnitId(3)), false));
    }

    #[test]
    fn other_ports_are_those_that_can_be_reached_and_are_not_allowed() {
        let tcp = table(&[("0.0.0.0", 80), ("127.0.0.11", 81), ("::1", 82), ("10.0.0.1", 83)]);
        let shown = |table: &Table, allowed: &[Listening], udp| -> Vec<String> {
            let others = others(table, allowed, udp, &(100..=200));
            others.iter().map(ToString::to_string).collect()
        };
        for (allowed, expected) in [
            (vec![], vec!["0.0.0.0:80", "10.0.0.1:83"]),
            (vec![wanted(None, 80)], vec!["10.0.0.1:83"]),
            (vec![wanted(None, 80), wanted(Some("10.0.0.1"), 83)], vec![]),
            (vec![wanted(None, 83), wanted(Some("10.0.0.1"), 80)], vec!["0.0.0.0:80"]),
            (
                vec![Listening { udp: true, ..wanted(None, 80) }, wanted(None, 83)],
                vec!["0.0.0.0:80"],
            ),
        ] {
            assert_eq!(shown(&tcp, &allowed, false), expected, "{allowed:?}");
        }
        let udp = table(&[("0.0.0.0", 53), ("0.0.0.0", 100), ("0.0.0.0", 200)]);
        assert_eq!(shown(&udp, &[], true), ["0.0.0.0:53"]);
        assert_eq!(shown(&udp, &[], false).len(), 3);
    }

    #[test]
    fn a_socket_is_that_of_the_process_that_has_it() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = tcp.local_addr().unwrap();
        let own = std::process::id().cast_signed();
        let port = Listening { ip: Some(at.ip()), port: at.port(), udp: false, negated: false };
        assert_eq!(of_unit("web", &[own], std::slice::from_ref(&port)), Ok(()));
        let why = of_unit("web", &[1], std::slice::from_ref(&port)).unwrap_err().to_string();
        let expected = format!("no process of web listens on {at}/tcp, but ");
        assert!(why.starts_with(&expected) && why.contains(&format!("<pid={own}>")), "{why}");
        drop(tcp);
        let why = of_unit("web", &[own], &[port]).unwrap_err().to_string();
        assert!(why.starts_with(&format!("nothing listens on {at}/tcp")), "{why}");
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn lines_of_a_real_kernel_are_read() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        for (text, udp, expected) in [
            ("   0: 0100007F:1F90 00000000:0000 0A 0:0 00:0 0 0 0 1593", false, "127.0.0.1:8080"),
            ("  12: 00000000:07E8 00000000:0000 0A 0:0", false, "0.0.0.0:2024"),
            (
                "   1: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A",
                false,
                "[::1]:80",
            ),
            (
                "   1: 0000000000000000FFFF00000100007F:0050 00000000000000000000000000000000:0000 0A",
                false,
                "127.0.0.1:80",
            ),
            ("  99: 3500007F:0035 00000000:0000 07 0:0", true, "127.0.0.53:53"),
        ] {
            assert_eq!(listens(text, udp), Some(address(expected)), "{text}");
            assert_eq!(listens(text, !udp), None, "{text}");
        }
    }

    #[test]
    fn other_lines_are_of_no_listener() {
        for text in [
            "  sl  local_address rem_address   st tx_queue rx_queue",
            "   0: 0100007F:1F90 0100007F:1F91 01 0:0",
            "   0: 0100007F:1F90",
            "   0: 0100007F 00000000:0000 0A",
            "   0: 0100007:1F90 00000000:0000 0A",
            "   0: 0100007G:1F90 00000000:0000 0A",
            "   0: 0100007F:1F900 00000000:0000 0A",
            "   0: äää0100007F000000000000000000000:0050 00000000:0000 0A",
            "",
        ] {
            assert_eq!(listens(text, false), None, "{text}");
        }
    }

    #[test]
    fn an_address_that_is_wanted_is_the_one_that_is_bound() {
        let any = "0.0.0.0";
        for (bound, wanted_ip, expected) in [
            ("127.0.0.1", Some("127.0.0.1"), true),
            ("::ffff:127.0.0.1", Some("127.0.0.1"), true),
            ("127.0.0.1", Some("::ffff:127.0.0.1"), true),
            (any, Some("127.0.0.1"), false),
            ("127.0.0.1", Some(any), false),
            (any, Some(any), true),
            ("::", Some(any), true),
            ("::ffff:0.0.0.0", Some(any), true),
            (any, Some("::"), false),
            ("::", Some("::"), true),
            ("::", Some("127.0.0.1"), false),
            ("::", Some("::1"), false),
            ("::1", Some(any), false),
        ] {
            let table = table(&[(bound, 80), ("10.0.0.1", 81)]);
            let mut wanted = wanted(wanted_ip, 80);
            assert_eq!(verdict(&wanted, &table).is_ok(), expected, "{bound} {wanted}");
            wanted.negated = true;
            assert_eq!(verdict(&wanted, &table).is_err(), expected, "not {bound} {wanted}");
        }
    }

    #[test]
    fn a_port_alone_is_to_be_reached_from_elsewhere_and_its_negation_is_about_any_address() {
        let loopback =
            "80/tcp can be reached from within the container only: something listens on ";
        for (bound, expected) in [
            (&["0.0.0.0"][..], None),
            (&["::"], None),
            (&["10.0.0.2"], None),
            (&["127.0.0.1", "10.0.0.2"], None),
            (&["127.0.0.1"], Some("127.0.0.1:80/tcp")),
            (&["127.0.0.11"], Some("127.0.0.11:80/tcp")),
            (&["::1"], Some("[::1]:80/tcp")),
            (&["::ffff:127.0.0.1", "::1"], Some("127.0.0.1:80/tcp, [::1]:80/tcp")),
        ] {
            let table = table(&bound.iter().map(|ip| (*ip, 80)).collect::<Vec<_>>());
            let mut wanted = wanted(None, 80);
            let expected = expected.map(|on| {
                format!("{loopback}{on}; if that is intended, write the address in the check")
            });
            let found = verdict(&wanted, &table).err().map(|wrong| wrong.to_string());
            assert_eq!(found, expected, "{bound:?}");
            wanted.negated = true;
            assert!(verdict(&wanted, &table).is_err(), "not {bound:?}");
        }
    }

    #[test]
    fn what_is_listened_on_instead_is_told() {
        let two = table(&[("0.0.0.0", 22), ("::", 22), ("127.0.0.1", 80)]);
        for (wanted, table, expected) in [
            (
                wanted(None, 25),
                &two,
                "nothing listens on 25/tcp; the listening ports are 22/tcp, 80/tcp",
            ),
            (
                wanted(None, 25),
                &table(&[]),
                "nothing listens on 25/tcp; nothing listens on a TCP port",
            ),
            (
                wanted(None, 25),
                &table(&[("::1", 80)]),
                "nothing listens on 25/tcp; the only listening port is 80/tcp",
            ),
            (
                wanted(Some("0.0.0.0"), 80),
                &two,
                "nothing listens on 0.0.0.0:80/tcp, but something listens on 127.0.0.1:80/tcp",
            ),
            (
                Listening { negated: true, ..wanted(None, 22) },
                &two,
                "something listens on 0.0.0.0:22/tcp, [::]:22/tcp",
            ),
        ] {
            assert_eq!(verdict(&wanted, table).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn a_table_without_end_is_not_read_to_its_end() {
        let mut endless = Table::default();
        endless.read(std::io::repeat(b'x'), 10_000, true).unwrap();
        assert!(endless.cut);
        let mut wanted = Listening { udp: true, negated: true, ..wanted(None, 53) };
        assert_eq!(verdict(&wanted, &endless).unwrap_err(), Wrong::ManySockets);
        wanted.negated = false;
        assert!(verdict(&wanted, &endless).is_err());
        let mut whole = Table::default();
        whole.read(line("::", 53, "07").as_bytes(), 10_000, true).unwrap();
        assert!(!whole.cut && verdict(&wanted, &whole).is_ok());
    }

    #[test]
    fn this_process_is_seen_to_listen() {
        for ip in ["127.0.0.1", "::1"] {
            // An image may have no IPv6.
            let Ok(tcp) = TcpListener::bind((ip, 0)) else { continue };
            let port = tcp.local_addr().unwrap().port();
            // A connection to the port is not a listening socket.
            let client = TcpStream::connect((ip, port)).unwrap();
            assert_eq!(check(&wanted(Some(ip), port)), Ok(()), "{ip}");
            assert!(check(&wanted(None, port)).is_err(), "{ip}");
            assert!(check(&wanted(Some("0.0.0.0"), port)).is_err(), "{ip}");
            let own = client.local_addr().unwrap().port();
            assert!(check(&wanted(Some(ip), own)).is_err(), "{ip}");

            let udp = UdpSocket::bind((ip, 0)).unwrap();
            let port = udp.local_addr().unwrap().port();
            let mut wanted = Listening { udp: true, ..wanted(Some(ip), port) };
            assert_eq!(check(&wanted), Ok(()), "{ip}");
            wanted.negated = true;
            assert!(
                check(&wanted).unwrap_err().to_string().starts_with("something listens on"),
                "{ip}"
            );
            udp.connect((ip, port)).unwrap();
            assert_eq!(check(&wanted), Ok(()), "{ip}: it has a peer now");
        }
    }
}
