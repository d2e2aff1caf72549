//! What is offered over TCP, and nothing else of trc's protocol.

use std::slice::from_ref;

use crate::wire::{Act, Ask, Code, Method, Problem};

/// A file of the page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum File {
    Page,
    Script,
    Style,
    Icon,
}

/// What a request asks for.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Route {
    /// A file of the page.
    File(File),
    /// `/healthz`: whether trc answers, and is not unhealthy.
    Alive,
    /// `/state`: whatever the page shows again and again.
    State,
    /// A request to trc.
    Ask(Ask),
    /// A request to trc whose answer is a stream.
    Follow(Ask),
}

/// Reads a request.
///
/// # Errors
/// Returns the problem, if it is not offered.
pub(super) fn read(method: &str, target: &str) -> Result<Route, Problem> {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    let own = match path {
        "/" => Some(Route::File(File::Page)),
        "/app.js" => Some(Route::File(File::Script)),
        "/app.css" => Some(Route::File(File::Style)),
        "/icon.svg" => Some(Route::File(File::Icon)),
        "/state" => Some(Route::State),
        "/healthz" => Some(Route::Alive),
        "/metrics" => Some(Route::Ask(Ask::Metrics)),
        "/readyz" => Some(Route::Ask(Ask::Health(Vec::new(), None))),
        _ => None,
    };
    if let Some(route) = own {
        if method != Method::Get.word() {
            return Err(Problem::method(path, &[Method::Get], method));
        }
        return Ok(route);
    }
    let not_offered = || {
        let detail = format!(
            "trcctl serve does not offer {method} {target}: ask with trcctl, or over trc's socket"
        );
        Problem::new(Code::NotFound, detail)
    };
    // Whoever asks for a command passes its streams on, which a connection over TCP cannot do.
    if path == "/v1/exec" {
        return Err(not_offered());
    }
    let ask = Ask::read(method, target, b"").map_err(|problem| {
        if problem.code != Code::BadMethod {
            return problem;
        }
        // No resource takes more than one method here.
        let takes = problem.allow.iter().find(|takes| read(takes.word(), target).is_ok());
        takes.map_or_else(not_offered, |takes| Problem::method(path, from_ref(takes), method))
    })?;
    let offered = match &ask {
        Ask::About | Ask::Units | Ask::Graph | Ask::Timeline | Ask::Metrics => true,
        // Whoever waits would hold a connection, and the page asks again.
        Ask::Health(_, wait) | Ask::Unit(_, wait) => wait.is_none(),
        Ask::Job(_, wait) => wait.is_none(),
        Ask::Act(_, act) => match act {
            Act::Start | Act::Stop | Act::StopWithDependents | Act::Restart => true,
            Act::Reload | Act::Signal(_) | Act::Reset => false,
        },
        Ask::Logs(_) | Ask::Events(_) => return Ok(Route::Follow(ask)),
        Ask::Config | Ask::Exec(_) | Ask::Cancel(_) | Ask::Reload(_) | Ask::Shutdown(_) => false,
    };
    if offered {
        return Ok(Route::Ask(ask));
    }
    Err(not_offered())
}

impl Route {
    /// Returns whether it changes something.
    pub(super) fn changes(&self) -> bool {
        matches!(self, Self::Ask(Ask::Act(..)))
    }

    /// Returns whether only the page of this server may ask for it.
    pub(super) fn is_guarded(&self) -> bool {
        self.changes() || matches!(self, Self::Follow(_))
    }
}
