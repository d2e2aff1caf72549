//! HTTP/1.1 as far as the control socket needs it: RFC 9112.

use httparse::{EMPTY_HEADER, Status};

use crate::wire::{Code, Exposition, Method, Problem};

/// The longest head of a request, in bytes.
const HEAD: usize = 16 * 1024;
/// The largest number of header fields.
const FIELDS: usize = 64;
/// The longest body of a request, in bytes.
const BODY: usize = 64 * 1024;
/// The longest request, in bytes.
pub(super) const LONGEST: usize = HEAD + BODY;

/// A whole request.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Request {
    /// The method, such as `GET`.
    pub method: String,
    /// The path and the query.
    pub target: String,
    /// The body.
    pub body: Vec<u8>,
    /// Whether another request may follow on the same connection.
    pub keep: bool,
    /// Whether a stream is wanted as server-sent events.
    pub sse: bool,
    /// The wanted format of metrics.
    pub exposition: Exposition,
    /// The length of the request.
    length: usize,
}

/// The head of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Content<'a> {
    /// JSON.
    Json,
    /// A [`Problem`], with the methods that the resource takes if another one is the problem.
    Problem(&'a [Method]),
    /// Metrics.
    Metrics(Exposition),
}

/// Takes the request at the beginning of `input`, once it is whole.
///
/// # Errors
/// Returns the problem with the request. Nothing that follows on the connection can be understood.
pub(crate) fn take(input: &mut Vec<u8>) -> Result<Option<Request>, Problem> {
    let request = read(input)?;
    if let Some(request) = &request {
        input.drain(..request.length);
    }
    Ok(request)
}

fn read(input: &[u8]) -> Result<Option<Request>, Problem> {
    let wrong = |why: String| Problem::new(Code::BadRequest, why);
    // This is much cheaper than the parser, for a head that comes byte by byte.
    let begin = &input[..input.len().min(HEAD)];
    let end = |text| memchr::memmem::find(begin, text).is_some();
    if !end(b"\n\r\n") && !end(b"\n\n") {
        return if input.len() > HEAD { Err(too_large("the head", HEAD)) } else { Ok(None) };
    }
    let mut fields = [EMPTY_HEADER; FIELDS];
    let mut head = httparse::Request::new(&mut fields);
    let length = match head.parse(input) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Problem::new(Code::TooLarge, format!("the most are {FIELDS} fields")));
        }
        Err(why) => return Err(wrong(format!("this is not HTTP/1.1: {why}"))),
    };
    if length > HEAD {
        return Err(too_large("the head", HEAD));
    }
    let field = |name: &str| {
        let mut all = head.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
        (all.next().map(|field| field.value.trim_ascii()), all.next().is_some())
    };
    if field("transfer-encoding").0.is_some() {
        return Err(wrong("send the body with a Content-Length, not in chunks".to_owned()));
    }
    let body = match field("content-length") {
        (None, _) => 0,
        (Some(_), true) => return Err(wrong("there are two Content-Lengths".to_owned())),
        (Some(digits), false) => {
            let number = str::from_utf8(digits).ok().filter(|digits| {
                !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
            });
            let number =
                number.ok_or_else(|| wrong("the Content-Length is not a number".to_owned()))?;
            number.parse().unwrap_or(usize::MAX)
        }
    };
    if body > BODY {
        return Err(too_large("the body", BODY));
    }
    let Some(body) = input.get(length..length + body) else { return Ok(None) };
    let says = |name: &str, word: &[u8]| {
        field(name)
            .0
            .is_some_and(|value| memchr::memmem::find(&value.to_ascii_lowercase(), word).is_some())
    };
    Ok(Some(Request {
        method: head.method.unwrap_or_default().to_owned(),
        target: head.path.unwrap_or_default().to_owned(),
        body: body.to_vec(),
        keep: head.version == Some(1) && !says("connection", b"close"),
        sse: says("accept", b"text/event-stream"),
        exposition: field("accept").0.map_or_else(Exposition::default, |accept| {
            Exposition::accepted(&String::from_utf8_lossy(accept))
        }),
        length: length + body.len(),
    }))
}

fn too_large(what: &str, most: usize) -> Problem {
    Problem::new(Code::TooLarge, format!("{what} has more than {most} bytes"))
}

/// Appends an answer with its body, which ends with a newline.
pub(crate) fn answer(to: &mut Vec<u8>, status: u16, content: Content<'_>, body: &[u8], keep: bool) {
    let kind = match content {
        Content::Json => "application/json",
        Content::Problem(_) => "application/problem+json",
        Content::Metrics(format) => format.media_type(),
    };
    let allow = match content {
        Content::Problem(takes) if !takes.is_empty() => {
            format!("Allow: {}\r\n", Method::list(takes))
        }
        Content::Json | Content::Problem(_) | Content::Metrics(_) => String::new(),
    };
    let end = if body.ends_with(b"\n") { "" } else { "\n" };
    let close = if keep { "" } else { "Connection: close\r\n" };
    let head = format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nCache-Control: \
         no-store\r\n{allow}{close}\r\n",
        reason(status),
        body.len() + end.len(),
    );
    to.extend_from_slice(head.as_bytes());
    to.extend_from_slice(body);
    to.extend_from_slice(end.as_bytes());
}

/// Appends the head of a stream, which ends when the connection is closed.
pub(crate) fn stream(to: &mut Vec<u8>, sse: bool) {
    let kind = if sse { "text/event-stream" } else { "application/x-ndjson" };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nCache-Control: no-store\r\nConnection: \
         close\r\n\r\n"
    );
    to.extend_from_slice(head.as_bytes());
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        503 => "Service Unavailable",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take_all(bytes: &[u8]) -> Vec<Result<Request, Problem>> {
        let (mut input, mut all) = (bytes.to_vec(), Vec::new());
        loop {
            match take(&mut input) {
                Ok(Some(request)) => all.push(Ok(request)),
                Ok(None) => return all,
                Err(problem) => {
                    all.push(Err(problem));
                    return all;
                }
            }
        }
    }

    #[test]
    fn a_request_is_taken_once_it_is_whole_however_it_comes() {
        let text = b"POST /v1/units/web/stop?x=1 HTTP/1.1\r\nHost: trc\r\ncontent-length: 2\r\n\
            Accept: text/event-stream\r\n\r\n{}";
        for step in [1, 2, 7, text.len()] {
            let (mut input, mut got) = (Vec::new(), None);
            for part in text.chunks(step) {
                assert_eq!(got, None);
                input.extend_from_slice(part);
                got = take(&mut input).unwrap();
            }
            let request = got.unwrap();
            assert_eq!((request.method.as_str(), request.keep, request.sse), ("POST", true, true));
            assert_eq!(
                (request.target.as_str(), &request.body[..]),
                ("/v1/units/web/stop?x=1", &b"{}"[..])
            );
            assert!(input.is_empty());
        }
    }

    #[test]
    fn requests_may_follow_one_another() {
        let all =
            take_all(b"GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\nConnection: Close\n\nGET /c HT");
        let all: Vec<_> = all.into_iter().map(Result::unwrap).collect();
        assert_eq!(all.iter().map(|it| it.target.as_str()).collect::<Vec<_>>(), ["/a", "/b"]);
        assert_eq!(all.iter().map(|it| it.keep).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn a_request_that_is_not_right_or_too_large_says_why() {
        let long = |count: usize| "x".repeat(count);
        let fields = "a: b\r\n".repeat(FIELDS + 1);
        for (text, code, detail) in [
            ("\r\n\r\n\r\nnonsense\r\n\r\n".to_owned(), Code::BadRequest, "not HTTP/1.1"),
            ("GET /\u{7f} HTTP/1.1\r\n\r\n".to_owned(), Code::BadRequest, "not HTTP/1.1"),
            ("GET / HTTP/3.7\r\n\r\n".to_owned(), Code::BadRequest, "not HTTP/1.1"),
            (format!("GET /{} HTTP/1.1", long(HEAD)), Code::TooLarge, "the head has more than"),
            (format!("GET /{} HTTP/1.1\r\n\r\n", long(HEAD)), Code::TooLarge, "the head has more"),
            (format!("GET / HTTP/1.1\r\n{fields}\r\n"), Code::TooLarge, "64 fields"),
            ("POST / HTTP/1.1\r\nContent-Length: 65537\r\n\r\n".to_owned(), Code::TooLarge, "body"),
            (
                "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n".to_owned(),
                Code::TooLarge,
                "the body has more",
            ),
            (
                "POST / HTTP/1.1\r\nContent-Length: +2\r\n\r\nab".to_owned(),
                Code::BadRequest,
                "number",
            ),
            (
                "POST / HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nab".to_owned(),
                Code::BadRequest,
                "two Content-Lengths",
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
                Code::BadRequest,
                "not in chunks",
            ),
        ] {
            let all = take_all(text.as_bytes());
            let problem = all.into_iter().next_back().unwrap().unwrap_err();
            assert_eq!(problem.code, code, "{text:?}: {problem:?}");
            assert!(problem.detail.contains(detail), "{text:?}: {}", problem.detail);
        }
    }

    #[test]
    fn any_bytes_are_a_request_or_a_problem() {
        // A small generator is enough: the point is that nothing panics.
        let mut state = 7_u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            u8::try_from(state >> 56).unwrap()
        };
        let parts: [&[u8]; 9] = [
            b"GET ",
            b"/v1",
            b" HTTP/1.1",
            b"\r\n",
            b"\n",
            b"Content-Length: ",
            b"3",
            b"\r\n\r\n",
            b":",
        ];
        for _ in 0..20_000 {
            let mut bytes = Vec::new();
            for _ in 0..next() % 20 {
                match next() {
                    at if at < 230 => bytes.extend_from_slice(parts[usize::from(at) % parts.len()]),
                    byte => bytes.push(byte),
                }
            }
            _ = take_all(&bytes);
        }
    }
}
