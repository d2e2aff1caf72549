//! Parsing of addresses and URLs.

use std::ops::RangeInclusive;

use super::leaf::{Leaf, Problem, text};
use super::value::{Node, Value, shown};
use super::{Address, Environment};

/// The host of a port without a host.
const LOCALHOST: &str = "localhost";

/// The parts of a URL.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Url {
    /// The server.
    pub address: Address,
    /// The host and port as in the configuration, for the `Host` header.
    pub authority: String,
    /// The path and query, if the URL has them.
    pub path: Option<String>,
}

/// `"HOST:PORT"`, `"[::1]:PORT"`, or a port alone.
pub(super) fn address(node: &Node, environment: &Environment) -> Leaf<Address> {
    let port = |port: i64| u16::try_from(port).ok().filter(|port| *port > 0);
    let address = match &node.value {
        Value::Integer(number, _) => {
            port(*number).map(|port| Address { host: LOCALHOST.to_owned(), port })
        }
        Value::String(_) => {
            let text = text(node, environment)?;
            match text.parse().ok().and_then(port) {
                Some(port) => Some(Address { host: LOCALHOST.to_owned(), port }),
                None => host_and_port(&text, None),
            }
        }
        _ => None,
    };
    address.ok_or_else(|| {
        let problem = Problem::expected("an address such as \"127.0.0.1:80\", or a port", node);
        Problem { help: node.as_text().and_then(right_address), ..problem }
    })
}

/// Returns the help for an address that has more, or less, than a host and a port: `tcp://db:5432`,
/// `:8080`, `*:8080`.
fn right_address(text: &str) -> Option<String> {
    let schemes = ["tcp://", "http://", "tcp:"];
    let bare = schemes.iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text);
    let bare = bare.trim_end_matches('/');
    let port = bare.strip_prefix("*:").or_else(|| bare.strip_prefix(':')).unwrap_or(bare);
    let is_port = port.parse::<u16>().is_ok_and(|port| port > 0);
    (is_port || host_and_port(bare, None).is_some()).then(|| format!("write \"{}\"", shown(port)))
}

/// `http://HOST[:PORT][/PATH]`.
pub(super) fn url(node: &Node, environment: &Environment) -> Leaf<Url> {
    let text = text(node, environment)?;
    let Some(rest) = text.strip_prefix("http://") else {
        let mut problem = Problem::expected("a URL such as \"http://127.0.0.1:8080/\"", node);
        if text.starts_with("https://") {
            problem.help = Some("TLS is not supported: use plain HTTP, `tcp` or `exec`".to_owned());
        } else {
            problem.help = right_url(&text);
        }
        return Err(problem);
    };
    parts(rest)
}

/// Returns the parts of a URL that is not from the configuration, such as that of a redirect.
pub(crate) fn absolute_url(text: &str) -> Option<Url> {
    parts(text.strip_prefix("http://")?).ok()
}

/// Takes the rest of a URL after its scheme apart.
fn parts(rest: &str) -> Leaf<Url> {
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let rest = rest.split('#').next().unwrap_or("");
    let path = match rest.chars().next() {
        None => None,
        Some('/') => Some(target(rest)?),
        Some(_) => Some(target(&format!("/{rest}"))?),
    };
    let Some(address) = host_and_port(authority, Some(80)) else {
        let message =
            format!("\"{}\" is not a valid host, with or without a port", shown(authority));
        return Err(Problem::new(message).at("http://".len()));
    };
    Ok(Url { address, authority: authority.to_owned(), path })
}

/// Returns the help for a URL that lacks its beginning: `localhost:8080`, `:8080/x`, `8080`, `/x`.
fn right_url(text: &str) -> Option<String> {
    if text.contains("://") {
        return None;
    }
    let end = text.find('/').unwrap_or(text.len());
    let (authority, path) = text.split_at(end);
    let port = authority.strip_prefix(':').unwrap_or(authority);
    let authority = match port.parse::<u16>() {
        Ok(0) => return None,
        Ok(port) => format!("127.0.0.1:{port}"),
        Err(_) if authority.is_empty() && !path.is_empty() => "127.0.0.1:8080".to_owned(),
        Err(_) => host_and_port(authority, Some(80)).map(|_| authority.to_owned())?,
    };
    let path = if path.is_empty() { "/" } else { path };
    Some(format!("write \"http://{}{}\"", shown(&authority), shown(path)))
}

/// Checks the target of a request: it begins with `/`, and contains only characters that are
/// allowed there.
pub(super) fn path(node: &Node, environment: &Environment) -> Leaf<String> {
    let text = text(node, environment)?;
    if !text.starts_with('/') {
        return Err(Problem::expected("a path that begins with `/`", node));
    }
    target(&text)
}

fn target(text: &str) -> Leaf<String> {
    match text.find(|c: char| !c.is_ascii_graphic()) {
        None => Ok(text.to_owned()),
        Some(at) => Err(Problem::new(
            "a request can contain only printable ASCII: write other characters as %XX",
        )
        .at(at)),
    }
}

/// A `Host` header.
pub(super) fn host(node: &Node, environment: &Environment) -> Leaf<String> {
    let text = text(node, environment)?;
    if text.is_empty() || text.contains(|c: char| !c.is_ascii_graphic()) {
        return Err(Problem::expected("a host", node));
    }
    Ok(text)
}

/// Status codes: 200, `"2xx"`, `"200-299"`.
pub(super) fn codes(node: &Node, environment: &Environment) -> Leaf<RangeInclusive<u16>> {
    let code = |text: &str| text.parse().ok().filter(|code| (100..=599).contains(code));
    let range = match &node.value {
        Value::Integer(number, _) => code(&number.to_string()).map(|code| code..=code),
        Value::String(_) => {
            let text = text(node, environment)?;
            let class = text.strip_suffix("xx").and_then(|class| class.parse::<u16>().ok());
            match (class, text.split_once('-')) {
                (Some(class @ 1..=5), _) => Some(class * 100..=class * 100 + 99),
                (Some(_), _) => None,
                (None, Some((from, to))) => code(from).zip(code(to)).map(|(from, to)| from..=to),
                (None, None) => code(&text).map(|code| code..=code),
            }
        }
        _ => None,
    };
    range
        .filter(|range| !range.is_empty())
        .ok_or_else(|| Problem::expected("a status code such as 200, \"2xx\" or \"200-299\"", node))
}

fn host_and_port(text: &str, default: Option<u16>) -> Option<Address> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, after.strip_prefix(':').or(after.is_empty().then_some("")))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, Some("")),
        },
    };
    let port = match port? {
        "" => default?,
        digits => digits.parse().ok().filter(|port| *port > 0)?,
    };
    let odd = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':'));
    (!host.is_empty() && !host.contains(odd)).then(|| Address { host: host.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Origin;

    fn node(text: &str) -> Node {
        Node::text(text, Origin::Default)
    }

    #[test]
    fn addresses_are_a_host_and_a_port() {
        for (text, expected) in [
            ("127.0.0.1:25", Some(("127.0.0.1", 25))),
            ("db:5432", Some(("db", 5432))),
            ("[::1]:80", Some(("::1", 80))),
            ("80", Some(("localhost", 80))),
            ("db", None),
            ("db:0", None),
            ("db:99999", None),
            ("::1:80", None),
            ("[::1]80", None),
            ("a b:80", None),
            (":80", None),
            ("", None),
        ] {
            let found = address(&node(text), &vec![]).ok();
            let found = found.as_ref().map(|found| (found.host.as_str(), found.port));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn urls_are_taken_apart() {
        for (text, expected) in [
            ("http://a", Some(("a", 80, "a", None))),
            ("http://a:81/x?y", Some(("a", 81, "a:81", Some("/x?y")))),
            ("http://[::1]:81/", Some(("::1", 81, "[::1]:81", Some("/")))),
            ("http://[::1]", Some(("::1", 80, "[::1]", None))),
            ("http://a?x#y", Some(("a", 80, "a", Some("/?x")))),
            ("http://", None),
            ("http://u@a/", None),
            ("https://a/", None),
            ("a/b", None),
            ("http://a/b c", None),
        ] {
            let found = url(&node(text), &vec![]).ok();
            let found = found.as_ref().map(|url| {
                let Address { host, port } = &url.address;
                (host.as_str(), *port, url.authority.as_str(), url.path.as_deref())
            });
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn status_codes_are_a_number_a_class_or_a_range() {
        for (text, expected) in [
            ("200", Some(200..=200)),
            ("2xx", Some(200..=299)),
            ("200-204", Some(200..=204)),
            ("204-200", None),
            ("9xx", None),
            ("20", None),
            ("", None),
        ] {
            assert_eq!(codes(&node(text), &vec![]).ok(), expected, "{text}");
        }
    }
}
