//! Refuses what a browser sends for the page of somebody else.
//!
//! A page of another site can send requests to any address that the browser reaches. It cannot read
//! the answers, because this server allows no other origin, unless the name of that site points to
//! this server's address (DNS rebinding). Then the request has that name in its `Host`.

use std::net::IpAddr;

use hyper::header::{AsHeaderName, HOST, HeaderMap};
use hyper::http::uri::Authority;
use hyper::{Request, Version};

use crate::config::shown;
use crate::wire::{Code, Problem};

/// The names by which clients may call this server.
pub(super) struct Guard {
    names: Vec<String>,
}

/// Returns the text of a header field, if there is exactly one and it is ASCII. More than one is
/// returned as a text that nothing accepts.
pub(super) fn text(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    let mut all = headers.get_all(name).iter();
    let first = all.next()?;
    if all.next().is_some() {
        return Some("given twice");
    }
    Some(first.to_str().unwrap_or("not ASCII"))
}

/// Returns the host that a request is for: that of its target, if the target is in absolute form, and
/// otherwise its `Host`.
///
/// # Errors
/// Returns the problem if the request does not have exactly one valid `Host`: RFC 9112, section 3.2.
/// Before HTTP/1.1, it need not have one.
pub(super) fn host_of<B>(request: &Request<B>) -> Result<Option<&str>, Problem> {
    let wrong = |why: &str| Problem::new(Code::BadRequest, why);
    let mut all = request.headers().get_all(HOST).iter();
    let host = match (all.next(), all.next()) {
        (_, Some(_)) => return Err(wrong("the request has more than one Host")),
        (None, None) if request.version() >= Version::HTTP_11 => {
            return Err(wrong("the request has no Host, which HTTP/1.1 requires"));
        }
        (host, None) => host,
    };
    // It is empty if the target has no host.
    let is_valid =
        |host: &&str| host.is_empty() || (host.parse::<Authority>().is_ok() && !host.contains('@'));
    let host = host.map(|host| {
        let host = host.to_str().ok().filter(is_valid);
        host.ok_or_else(|| wrong("the Host is not a name or an address, with or without a port"))
    });
    let host = host.transpose()?;
    Ok(request.uri().authority().map(Authority::as_str).or(host))
}

impl Guard {
    /// Accepts these names, beside `localhost` and addresses.
    pub(super) fn new(names: Vec<String>) -> Self {
        Self { names }
    }

    /// Checks the host that a request is for. An address is accepted, whichever it is: only a name can
    /// be pointed to this server by somebody else. So is a request without a host, which no browser
    /// sends.
    pub(super) fn host(&self, host: Option<&str>) -> Result<(), Problem> {
        let Some(host) = host else { return Ok(()) };
        let name = name_of(host);
        let known = |known: &str| known.eq_ignore_ascii_case(name);
        if is_address(name) || known("localhost") || self.names.iter().any(|name| known(name)) {
            return Ok(());
        }
        let name = shown(name);
        let detail =
            format!("this server does not answer to `{name}`: allow the name with --host {name}");
        Err(Problem::new(Code::Forbidden, detail))
    }

    /// Checks the `Origin` and the `Sec-Fetch-Site` of a request, which browsers send, and other
    /// programs need not.
    pub(super) fn origin(
        host: Option<&str>,
        origin: Option<&str>,
        site: Option<&str>,
    ) -> Result<(), Problem> {
        let own = |origin: &str| {
            let authority =
                origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
            authority.zip(host).is_some_and(|(origin, host)| origin.eq_ignore_ascii_case(host))
        };
        let foreign = match (origin, site) {
            (Some(origin), _) if !own(origin) => origin,
            (_, Some(site)) if !["same-origin", "none"].contains(&site) => "another site",
            (_, _) => return Ok(()),
        };
        let detail =
            format!("the request comes from a page of {}, not of this server", shown(foreign));
        Err(Problem::new(Code::Forbidden, detail))
    }
}

/// Returns the name or the address of a host, without its port.
fn name_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Returns whether this is an IPv4 address, or an IPv6 address in brackets.
fn is_address(name: &str) -> bool {
    let inner = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    match inner.unwrap_or(name).parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => inner.is_none(),
        Ok(IpAddr::V6(_)) => inner.is_some(),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_an_address_localhost_or_a_name_that_was_given() {
        let guard = Guard::new(vec!["status.example.org".to_owned()]);
        for (host, accepted) in [
            (None, true),
            (Some("127.0.0.1:9180"), true),
            (Some("10.1.2.3"), true),
            (Some("[::1]:9180"), true),
            (Some("[fd00::7]"), true),
            (Some("localhost:9180"), true),
            (Some("LOCALHOST"), true),
            (Some("status.example.org"), true),
            (Some("Status.Example.org:443"), true),
            (Some("evil.example"), false),
            (Some("evil.example:9180"), false),
            (Some("localhost.evil.example"), false),
            (Some("127.0.0.1.evil.example"), false),
            (Some("x.status.example.org"), false),
            (Some("[127.0.0.1]"), false),
            (Some("::1"), false),
            (Some("127.1"), false),
            (Some("user@localhost"), false),
            (Some("localhost:80:80"), false),
            (Some(""), false),
        ] {
            assert_eq!(guard.host(host).is_ok(), accepted, "{host:?}");
        }
        let why = guard.host(Some("evil.example:1")).unwrap_err();
        assert_eq!(
            why.detail,
            "this server does not answer to `evil.example`: allow the name with --host evil.example"
        );
    }

    #[test]
    fn a_request_is_for_the_host_of_its_target_or_else_for_its_only_host() {
        for (target, version, hosts, is) in [
            ("/", Version::HTTP_11, vec!["shop:9180"], Ok(Some("shop:9180"))),
            ("/", Version::HTTP_11, vec!["[::1]:9180"], Ok(Some("[::1]:9180"))),
            ("/", Version::HTTP_11, vec![""], Ok(Some(""))),
            ("http://evil/", Version::HTTP_11, vec!["shop"], Ok(Some("evil"))),
            ("http://shop@evil:80/", Version::HTTP_11, vec!["shop"], Ok(Some("shop@evil:80"))),
            ("http://shop/", Version::HTTP_10, vec![], Ok(Some("shop"))),
            ("/", Version::HTTP_10, vec![], Ok(None)),
            ("/", Version::HTTP_11, vec![], Err("no Host")),
            ("http://shop/", Version::HTTP_11, vec![], Err("no Host")),
            ("/", Version::HTTP_11, vec!["shop", "shop"], Err("more than one Host")),
            ("/", Version::HTTP_10, vec!["shop", "evil"], Err("more than one Host")),
            ("http://shop/", Version::HTTP_11, vec!["shop", "shop"], Err("more than one Host")),
            ("/", Version::HTTP_11, vec!["a b"], Err("not a name")),
            ("/", Version::HTTP_11, vec!["http://shop"], Err("not a name")),
            ("/", Version::HTTP_11, vec!["user@shop"], Err("not a name")),
            ("/", Version::HTTP_11, vec!["sh\u{f6}p"], Err("not a name")),
        ] {
            let mut request = Request::builder().uri(target).version(version);
            for host in &hosts {
                request = request.header(HOST, *host);
            }
            let request = request.body(()).unwrap();
            match (host_of(&request), is) {
                (Ok(host), Ok(is)) => assert_eq!(host, is, "{target} {hosts:?}"),
                (Err(why), Err(says)) => {
                    assert_eq!(why.code, Code::BadRequest);
                    assert!(why.detail.contains(says), "{target} {hosts:?}: {}", why.detail);
                }
                other => panic!("{target} {hosts:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn an_origin_is_this_server_or_no_page_at_all() {
        let host = Some("127.0.0.1:9180");
        for (origin, site, accepted) in [
            (None, None, true),
            (None, Some("same-origin"), true),
            (None, Some("none"), true),
            (Some("http://127.0.0.1:9180"), None, true),
            (Some("http://127.0.0.1:9180"), Some("same-origin"), true),
            (Some("https://127.0.0.1:9180"), None, true),
            (Some("http://127.0.0.1:8080"), None, false),
            (Some("http://localhost:9180"), None, false),
            (Some("http://evil.example"), None, false),
            (Some("null"), None, false),
            (Some(""), None, false),
            (Some("file://"), None, false),
            (Some("http://127.0.0.1:9180"), Some("cross-site"), false),
            (None, Some("cross-site"), false),
            (None, Some("same-site"), false),
        ] {
            let done = Guard::origin(host, origin, site);
            assert_eq!(done.is_ok(), accepted, "{origin:?} {site:?}");
        }
        assert!(Guard::origin(None, Some("http://evil.example"), None).is_err());
    }
}
