//! Answers to clients.

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};

use super::route::File;
use crate::wire::{Code, Method, Problem};

/// The page may use its own files, and nothing else: no script or style in the HTML, no other host,
/// and no text that becomes HTML.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// The header fields of every answer.
const FIELDS: [(&str, &str); 7] = [
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("permissions-policy", "camera=(), microphone=(), geolocation=()"),
];

/// The word in the page that says whether it has buttons.
const OPERATE: &str = "@operate@";

/// An error while a body is sent.
pub(super) type Broken = Box<dyn std::error::Error + Send + Sync>;

/// An answer.
pub(super) struct Answer {
    status: u16,
    kind: HeaderValue,
    /// The methods that the resource takes, if another one was refused.
    allow: &'static [Method],
    body: UnsyncBoxBody<Bytes, Broken>,
}

impl Answer {
    /// An answer with a body that is known.
    pub(super) fn new(status: u16, kind: HeaderValue, body: impl Into<Bytes>) -> Self {
        let body = Full::new(body.into()).map_err(|never| match never {}).boxed_unsync();
        Self { status, kind, allow: &[], body }
    }

    /// An answer whose body comes bit by bit.
    pub(super) fn stream(
        kind: HeaderValue,
        body: impl Body<Data = Bytes, Error = Broken> + Send + 'static,
    ) -> Self {
        Self { status: 200, kind, allow: &[], body: body.boxed_unsync() }
    }

    /// A file of the page. `operate` tells whether the page has buttons.
    pub(super) fn file(file: File, operate: bool) -> Self {
        let (kind, text) = match file {
            File::Page => ("text/html; charset=utf-8", include_str!("page/index.html")),
            File::Script => ("text/javascript; charset=utf-8", include_str!("page/app.js")),
            File::Style => ("text/css; charset=utf-8", include_str!("page/app.css")),
            File::Icon => ("image/svg+xml", include_str!("page/icon.svg")),
        };
        let kind = HeaderValue::from_static(kind);
        match file {
            File::Page => {
                let word = if operate { "yes" } else { "no" };
                Self::new(200, kind, text.replace(OPERATE, word))
            }
            File::Script | File::Style | File::Icon => Self::new(200, kind, text),
        }
    }

    /// A problem.
    pub(super) fn problem(problem: &Problem) -> Self {
        let kind = HeaderValue::from_static("application/problem+json");
        let body = serde_json::to_vec(problem).unwrap_or_default();
        Self { allow: problem.allow, ..Self::new(problem.status, kind, body) }
    }

    /// Returns the response.
    pub(super) fn into_response(self) -> Response<UnsyncBoxBody<Bytes, Broken>> {
        let mut response = Response::new(self.body);
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        for (name, value) in FIELDS {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.insert(CONTENT_TYPE, self.kind);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == Code::Unauthorized.status() {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if !self.allow.is_empty() {
            // Whatever takes GET takes HEAD.
            let head = if self.allow.contains(&Method::Get) { ", HEAD" } else { "" };
            let words = Method::list(self.allow) + head;
            headers.extend(HeaderValue::try_from(words).ok().map(|words| (ALLOW, words)));
        }
        response
    }
}
