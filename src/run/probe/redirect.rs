//! Where a redirect leads: RFC 9110, 10.2.2, and RFC 3986, 5.2.

use crate::config::{Http, Sent, Url, absolute_url};

/// The number of redirects that are followed for one request.
pub(super) const MOST: u32 = 10;

/// Returns whether an answer with this status names another place to ask.
pub(super) fn leads_on(code: u16) -> bool {
    matches!(code, 301 | 302 | 303 | 307 | 308)
}

/// Returns what to ask next.
///
/// # Errors
/// Returns the reason why trc cannot ask that.
pub(super) fn next(from: &Http, to: &str) -> Result<Http, &'static str> {
    let to = to.split('#').next().unwrap_or_default();
    let scheme = to.split_once(':').map(|(scheme, _)| scheme);
    let scheme = scheme.filter(|scheme| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let rest = to.strip_prefix("//").or_else(|| to.get(7..).filter(|_| begins(to, "http://")));
    if let Some(rest) = rest {
        let Url { address, authority, path } =
            absolute_url(&format!("http://{rest}")).ok_or(BAD)?;
        // A server is often asked by the address of the container, and names itself.
        let same = authority == from.host;
        let address = if same { from.address.clone() } else { address };
        let path = cleaned(path.as_deref().unwrap_or("/"));
        return Ok(Http { address, path, host: authority, status: from.status.clone() });
    }
    if begins(to, "https://") {
        return Err("and trc does not speak TLS");
    }
    let odd = |c: char| !c.is_ascii_graphic();
    if scheme.is_some() || to.contains(odd) {
        return Err(BAD);
    }
    let (before, query) = from
        .path
        .split_once('?')
        .map_or((from.path.as_str(), None), |(path, query)| (path, Some(query)));
    let path = match to.chars().next() {
        None => query.map_or_else(|| before.to_owned(), |query| format!("{before}?{query}")),
        Some('/') => to.to_owned(),
        Some('?') => format!("{before}{to}"),
        Some(_) => {
            let directory = before.rfind('/').map_or("/", |at| &before[..=at]);
            format!("{directory}{to}")
        }
    };
    Ok(Http { path: cleaned(&path), ..from.clone() })
}

/// Returns the method of the next request, and whether it sends the body again: RFC 9110, 15.4.
pub(super) fn next_sent(code: u16, sent: &Sent, elsewhere: bool) -> Sent {
    let mut next = sent.clone();
    let is_get = matches!(sent.method.as_str(), "GET" | "HEAD");
    // After 301 and 302, every client asks with GET instead of POST.
    if !is_get && (code == 303 || (matches!(code, 301 | 302) && sent.method == "POST")) {
        "GET".clone_into(&mut next.method);
        next.body = None;
        next.headers.retain(|(name, _)| !name.to_lowercase().starts_with("content-"));
    }
    // What one server may know is not for another.
    let secret = ["authorization", "cookie", "proxy-authorization"];
    next.headers.retain(|(name, _)| !(elsewhere && secret.contains(&name.to_lowercase().as_str())));
    next
}

const BAD: &str = "which is not a URL that trc can ask";

fn begins(text: &str, with: &str) -> bool {
    text.get(..with.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(with))
}

/// Removes the segments `.` and `..` of a path: RFC 3986, 5.2.4.
fn cleaned(path: &str) -> String {
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path, None),
    };
    let mut segments: Vec<&str> = Vec::new();
    let mut all = path.split('/').skip(1).peekable();
    while let Some(segment) = all.next() {
        let is_last = all.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    segments.pop();
                }
                if is_last {
                    segments.push("");
                }
            }
            segment => segments.push(segment),
        }
    }
    let query = query.map_or_else(String::new, |query| format!("?{query}"));
    format!("/{}{query}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Address;

    fn from() -> Http {
        Http {
            address: Address { host: "127.0.0.1".to_owned(), port: 8080 },
            path: "/a/b?c".to_owned(),
            host: "example.com".to_owned(),
            status: vec![200..=299],
        }
    }

    #[test]
    fn a_redirect_leads_to_a_place_by_its_own_address_or_from_the_last_one() {
        for (to, expected) in [
            ("/x", Ok("127.0.0.1:8080 example.com /x")),
            ("/x?y#z", Ok("127.0.0.1:8080 example.com /x?y")),
            ("x", Ok("127.0.0.1:8080 example.com /a/x")),
            ("../x/./y/..", Ok("127.0.0.1:8080 example.com /x/")),
            ("../../../x", Ok("127.0.0.1:8080 example.com /x")),
            ("?d", Ok("127.0.0.1:8080 example.com /a/b?d")),
            ("", Ok("127.0.0.1:8080 example.com /a/b?c")),
            // The server knows its name, and trc only its address.
            ("http://example.com/in", Ok("127.0.0.1:8080 example.com /in")),
            ("HTTP://example.com:81/in", Ok("example.com:81 example.com:81 /in")),
            ("//other/in", Ok("other:80 other /in")),
            ("http://other", Ok("other:80 other /")),
            ("https://example.com/", Err("and trc does not speak TLS")),
            ("ftp://example.com/", Err(BAD)),
            ("mailto:x", Err(BAD)),
            ("http://", Err(BAD)),
            ("/a b", Err(BAD)),
        ] {
            let found = next(&from(), to);
            let found =
                found.map(|Http { address: Address { host, port }, path, host: name, .. }| {
                    format!("{host}:{port} {name} {path}")
                });
            assert_eq!(found, expected.map(str::to_owned), "{to}");
        }
    }

    #[test]
    fn a_redirect_keeps_the_method_or_makes_it_a_get() {
        let headers = |names: &[&str]| -> Vec<(String, String)> {
            names.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect()
        };
        let sent = |method: &str, names: &[&str]| Sent {
            method: method.to_owned(),
            headers: headers(names),
            body: (method == "POST").then(|| "b".to_owned()),
        };
        let post = sent("POST", &["Content-Type", "Cookie", "X"]);
        for (code, before, elsewhere, expected) in [
            (301, &post, false, sent("GET", &["Cookie", "X"])),
            (302, &post, true, sent("GET", &["X"])),
            (303, &post, false, sent("GET", &["Cookie", "X"])),
            (307, &post, false, post.clone()),
            (308, &post, true, sent("POST", &["Content-Type", "X"])),
            (303, &sent("HEAD", &[]), false, sent("HEAD", &[])),
            (303, &sent("DELETE", &[]), false, sent("GET", &[])),
            (301, &sent("DELETE", &[]), false, sent("DELETE", &[])),
        ] {
            assert_eq!(next_sent(code, before, elsewhere), expected, "{code} {}", before.method);
        }
    }
}
