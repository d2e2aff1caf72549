//! Asks trc over its control socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::answer::{Answer, Broken};
use super::connections::Place;
use super::stream::Stream;
use crate::ctl::live::{self, socket_path};
use crate::wire::{Ask, Code, HealthState, Problem, RunHealth, UnitState};

/// The time in which trc has to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer, in bytes.
const LONGEST: usize = 64 * 1024 * 1024;

/// The media types of clients that take whatever there is, and of server-sent events.
pub(super) const ANYTHING: &str = "*/*";
pub(super) const EVENTS: &str = "text/event-stream";

/// A running trc, or one that will run.
pub(super) struct Upstream {
    path: PathBuf,
}

impl Upstream {
    /// Returns the trc at this path, or else where `TRC_SOCKET` or the usual place says.
    pub(super) fn at(path: Option<&Path>) -> Self {
        Self { path: socket_path(path) }
    }

    /// Returns the problem if trc does not answer, or does not let this user ask.
    pub(super) async fn check(&self) -> Result<(), Problem> {
        self.json(&Ask::Units).await.map(|_| ())
    }

    /// Returns all that the page shows of the run and changes all the time, in one answer. It is 200
    /// whatever the health is.
    pub(super) async fn state(&self) -> Answer {
        let [about, health, units] = [Ask::About, Ask::Health(Vec::new(), None), Ask::Units];
        let all = tokio::try_join!(self.json(&about), self.json(&health), self.json(&units));
        match all {
            Ok((about, health, mut units)) => {
                if let Err(why) = add_words(&mut units) {
                    return Answer::problem(&self.unreachable(&why));
                }
                let state = json!({ "about": about, "health": health, "units": units["units"] });
                let kind = HeaderValue::from_static("application/json");
                Answer::new(200, kind, state.to_string())
            }
            Err(problem) => Answer::problem(&problem),
        }
    }

    /// Returns the contents of trc's answer, if it is not a problem.
    async fn json(&self, ask: &Ask) -> Result<Value, Problem> {
        let (_, kind, body) = self.whole(ask, ANYTHING).await?;
        let odd = |why: serde_json::Error| self.unreachable(&why);
        if kind == "application/problem+json" {
            return Err(serde_json::from_slice(&body).map_err(odd)?);
        }
        serde_json::from_slice(&body).map_err(odd)
    }

    /// Returns trc's answer, in the format that the client accepts.
    pub(super) async fn ask(&self, ask: &Ask, accept: &str) -> Answer {
        match self.whole(ask, accept).await {
            Ok((status, kind, body)) => Answer::new(status, kind, body),
            Err(problem) => Answer::problem(&problem),
        }
    }

    /// Returns trc's health, with 200 unless it is unhealthy. A container that starts or stops is
    /// alive.
    pub(super) async fn alive(&self) -> Answer {
        let (status, kind, body) = match self.whole(&Ask::Health(Vec::new(), None), ANYTHING).await
        {
            Ok(answer) => answer,
            Err(problem) => return Answer::problem(&problem),
        };
        let status = match serde_json::from_slice::<RunHealth>(&body).map(|health| health.state) {
            Ok(
                HealthState::Starting
                | HealthState::Ready
                | HealthState::Degraded
                | HealthState::Stopping,
            ) => 200,
            Ok(HealthState::Unhealthy) | Err(_) => status,
        };
        Answer::new(status, kind, body)
    }

    /// Returns a stream of trc.
    pub(super) async fn follow(&self, ask: &Ask, sse: bool, place: &Place) -> Answer {
        let accept = if sse { EVENTS } else { ANYTHING };
        let answer = match self.send(ask, accept).await {
            Ok(answer) => answer,
            Err(problem) => return Answer::problem(&problem),
        };
        let (status, kind) = head(&answer);
        if status == 200 {
            return Answer::stream(kind, Stream::new(answer.into_body(), sse, place.clone()));
        }
        match self.body(answer).await {
            Ok(body) => Answer::new(status, kind, body),
            Err(problem) => Answer::problem(&problem),
        }
    }

    async fn whole(&self, ask: &Ask, accept: &str) -> Result<(u16, HeaderValue, Bytes), Problem> {
        let answer = self.send(ask, accept).await?;
        let (status, kind) = head(&answer);
        Ok((status, kind, self.body(answer).await?))
    }

    async fn body(&self, answer: Response<Incoming>) -> Result<Bytes, Problem> {
        let body = Limited::new(answer.into_body(), LONGEST).collect();
        match timeout(PATIENCE, body).await {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(why)) => Err(self.unreachable(&why)),
            Err(_) => Err(self.silent()),
        }
    }

    /// Sends a request over a connection of its own, and returns the head of the answer.
    async fn send(&self, ask: &Ask, accept: &str) -> Result<Response<Incoming>, Problem> {
        let (method, target) = ask.written();
        let request = Request::builder()
            .method(method.word())
            .uri(target)
            .header(HOST, "trc")
            .header(ACCEPT, accept)
            .body(Empty::<Bytes>::new())
            .map_err(|why| Problem::new(Code::BadRequest, why.to_string()))?;
        let answer = async {
            let stream = UnixStream::connect(&self.path).await?;
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            // It ends with the body of the answer.
            tokio::spawn(connection);
            Ok::<_, Broken>(sender.send_request(request).await?)
        };
        match timeout(PATIENCE, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(why)) => Err(self.unreachable(&why)),
            Err(_) => Err(self.silent()),
        }
    }

    fn unreachable(&self, why: &dyn std::fmt::Display) -> Problem {
        let path = self.path.display();
        Problem::new(Code::Unreachable, format!("no trc answers on {path}: {why}"))
    }

    fn silent(&self) -> Problem {
        let (path, seconds) = (self.path.display(), PATIENCE.as_secs());
        let detail = format!("trc on {path} has not answered within {seconds} s: is it suspended?");
        Problem::new(Code::Unreachable, detail)
    }
}

/// Adds the word for the state of each unit and how it looks, which are those of `trcctl status`.
fn add_words(units: &mut Value) -> serde_json::Result<()> {
    for unit in units["units"].as_array_mut().into_iter().flatten() {
        let state = UnitState::deserialize(&*unit)?;
        let (word, look) = live::state(&state);
        unit["state"] = word.into();
        unit["look"] = look.word().into();
    }
    Ok(())
}

fn head(answer: &Response<Incoming>) -> (u16, HeaderValue) {
    let kind = answer.headers().get(CONTENT_TYPE).cloned();
    let kind = kind.unwrap_or(HeaderValue::from_static("application/octet-stream"));
    (answer.status().as_u16(), kind)
}
