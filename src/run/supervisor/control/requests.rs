//! Requests of clients. Some are answered at once, some when what they wait for has come, and some
//! when the engine has decided.

use std::time::Duration;

use super::super::Supervisor;
use super::answers::{refusal, said_of};
use super::{Asked, json};
use crate::config::Access;
use crate::engine::{Asker, Event, Fact, Health, PhaseName, Request, Task};
use crate::graph::UnitId;
use crate::run::control::client::{State, Stream};
use crate::run::control::http;
use crate::run::os::clock::now;
use crate::wire::{Act, Ask, Code, JobStatus, Problem, Reload, Reloaded, UnitState, Units, Until};

/// The longest time for which the answer to a reload is held back.
const LONGEST_RELOAD: Duration = Duration::from_hours(1);

impl Supervisor {
    /// Answers a request, or begins to.
    pub(super) fn answer(&mut self, id: u32, request: &http::Request) {
        let Some(client) = self.client(id) else { return };
        client.begins(request);
        let (access, passes) = (client.access, client.passed().is_some());
        let ask = Ask::read(&request.method, &request.target, &request.body);
        let done = ask.and_then(|ask| {
            if ask.needs() > access {
                let user = self.client(id).map_or(0, |client| client.peer.uid);
                return Err(forbidden(ask.needs(), user));
            }
            if passes && !matches!(ask, Ask::Exec(_)) {
                let why = "a descriptor came with the request, which takes none";
                return Err(Problem::new(Code::BadRequest, why));
            }
            self.take_on(id, ask, request.sse)
        });
        if let Err(problem) = done
            && let Some(client) = self.client(id)
        {
            client.refuse(&problem, now());
        }
        self.send_to(id);
    }

    /// Does what a client asks for, or begins to.
    fn take_on(&mut self, id: u32, ask: Ask, sse: bool) -> Result<(), Problem> {
        match &ask {
            Ask::Act(unit, act) => {
                let unit = self.unit_named(unit)?;
                let request = match act {
                    Act::Start => Request::Job(Task::Start),
                    Act::Stop => Request::Job(Task::Stop),
                    Act::StopWithDependents => Request::StopWithDependents,
                    Act::Restart => Request::Job(Task::Restart),
                    Act::Reload => Request::Job(Task::Reload),
                    Act::Signal(signal) => Request::Signal(*signal),
                    Act::Reset => Request::Reset,
                };
                let event = |asker| Event::Request { unit, request, asker };
                self.ask_engine(id, Asked::Unit(unit, request), event);
                return Ok(());
            }
            Ask::Cancel(job) => {
                let job = *job;
                self.ask_engine(id, Asked::Cancel(job), |asker| Event::Cancel { job, asker });
                return Ok(());
            }
            Ask::Shutdown(exit) => {
                let exit = *exit;
                self.ask_engine(id, Asked::Shutdown, |asker| Event::Shutdown { exit, asker });
                return Ok(());
            }
            Ask::Exec(exec) => return self.take_on_exec(id, exec),
            Ask::Reload(reload) => {
                let done = self.take_on_reload(id, *reload);
                if let (Err(problem), Reload::Apply { .. }) = (&done, reload) {
                    let invalid = problem.code == Code::InvalidConfig;
                    self.count_reload(if invalid { Reloaded::Invalid } else { Reloaded::Refused });
                }
                return done;
            }
            Ask::Logs(select) | Ask::Events(select) => {
                let units: Result<Vec<Vec<UnitId>>, Problem> =
                    select.units.iter().map(|name| self.units_named(name)).collect();
                let units = units.map(|units| units.concat());
                let of_units = matches!(ask, Ask::Logs(_));
                let stream =
                    Stream { select: select.clone(), units: units?, of_units, next: 0, sse };
                self.begin_stream(id, stream);
                return Ok(());
            }
            Ask::Unit(name, _) => _ = self.unit_named(name)?,
            Ask::Job(job, _) => _ = self.job(*job)?,
            Ask::Health(units, _) => {
                units.iter().try_for_each(|name| self.units_named(name).map(|_| ()))?;
            }
            Ask::About | Ask::Units | Ask::Metrics | Ask::Graph | Ask::Timeline | Ask::Config => {}
        }
        if !self.is_met(&ask) {
            let until = now() + ask.patience().unwrap_or_default();
            if let Some(client) = self.client(id) {
                client.state = State::Waits(ask, until);
            }
            return Ok(());
        }
        self.reply(id, &ask);
        Ok(())
    }

    /// Hands a request to the engine, which answers by a fact.
    fn ask_engine(&mut self, id: u32, asked: Asked, event: impl FnOnce(Asker) -> Event) {
        let Some(who) = self.asker(id) else { return };
        let Some(control) = &mut self.control else { return };
        if let Some(client) = control.clients.get_mut(&id) {
            client.state = State::Asked;
        }
        control.asked.push_back((id, asked));
        self.events.push_back(event(who));
    }

    /// Reads the configuration anew, and lets it take over unless only the plan is wanted.
    fn take_on_reload(&mut self, id: u32, reload: Reload) -> Result<(), Problem> {
        if self.next.is_some() {
            let detail = "another configuration is about to take over";
            return Err(Problem::new(Code::Reloading, detail));
        }
        let next = self.read_anew().map_err(|diagnostics| {
            let texts = diagnostics.iter().map(ToString::to_string).collect();
            let detail = "the new configuration has errors, and nothing has changed";
            Problem { diagnostics: texts, ..Problem::new(Code::InvalidConfig, detail) }
        })?;
        let (apply, keep, plan) = match reload {
            Reload::Plan => (false, false, None),
            Reload::Apply { keep, plan } => (true, keep, plan),
        };
        if plan.is_some_and(|plan| format!("{plan:016x}") != next.plan.id) {
            let detail = "the files or the run have changed since the plan was made";
            return Err(Problem::new(Code::StalePlan, detail));
        }
        if !apply || !next.plan.changed {
            if apply {
                self.count_nothing_to_reload();
            }
            if let Some(client) = self.client(id) {
                client.answer(200, &json(&next.plan), now());
            }
            return Ok(());
        }
        if let Some(why) = self.engine.busy() {
            let fact = Fact::NotReloaded { why };
            return Err(Problem::new(refusal(why), said_of(&self.graph, &fact)));
        }
        let Some(asker) = self.asker(id) else { return Ok(()) };
        if let Some(control) = &mut self.control {
            control.reload = None;
        }
        if let Some(client) = self.client(id) {
            client.state = State::Waits(Ask::Reload(reload), now() + LONGEST_RELOAD);
        }
        self.begin_reload(next, keep, asker);
        Ok(())
    }

    /// Returns whether an answer that is held back is due.
    pub(super) fn is_met(&self, ask: &Ask) -> bool {
        match ask {
            Ask::Unit(name, Some(wait)) => {
                let Ok(id) = self.unit_named(name) else { return true };
                let unit = self.engine.unit_snapshot(id);
                match wait.until {
                    Until::Started => {
                        let runs = matches!(
                            unit.phase,
                            PhaseName::Running | PhaseName::Watching | PhaseName::Stopping
                        );
                        runs || unit.ended.is_some()
                    }
                    Until::Ready => self.engine.stands_up(id) || unit.ended.is_some(),
                    Until::Ended => self.engine.is_down(id),
                    Until::Stopped => false,
                }
            }
            Ask::Health(units, Some(wait)) => match wait.until {
                Until::Ready => {
                    let state = self.health_of(units).0;
                    matches!(state, Health::Ready | Health::Degraded | Health::Stopping)
                }
                // The end of the run answers it.
                Until::Stopped | Until::Started | Until::Ended => false,
            },
            Ask::Job(job, Some(_)) => {
                self.job(*job).map_or(true, |job| job.status != JobStatus::Running)
            }
            // A reload is done when its units are up, or the old configuration is back.
            Ask::Reload(_) => {
                let known = self.control.as_ref().is_none_or(|it| it.reload.is_some());
                known && !self.engine.is_reloading()
            }
            Ask::About
            | Ask::Health(_, None)
            | Ask::Units
            | Ask::Unit(_, None)
            | Ask::Job(_, None)
            | Ask::Act(..)
            | Ask::Exec(_)
            | Ask::Cancel(_)
            | Ask::Shutdown(_)
            | Ask::Logs(_)
            | Ask::Events(_)
            | Ask::Metrics
            | Ask::Graph
            | Ask::Timeline
            | Ask::Config => true,
        }
    }

    /// Sends how it is now.
    pub(super) fn reply(&mut self, id: u32, ask: &Ask) {
        let (status, json) = match ask {
            Ask::About => (200, json(&self.about())),
            Ask::Health(units, _) => {
                let health = self.health(units);
                (if health.state.is_good() { 200 } else { 503 }, json(&health))
            }
            Ask::Units => {
                let units = self.graph.ids().map(|id| self.unit_state(id)).collect();
                (200, json(&Units { units }))
            }
            Ask::Unit(name, _) => match self.unit_named(name) {
                Ok(unit) => {
                    let files = self.changed_files(unit);
                    let changed_files =
                        files.iter().map(|path| path.display().to_string()).collect();
                    (200, json(&UnitState { changed_files, ..self.unit_state(unit) }))
                }
                // It went with a new configuration.
                Err(problem) => (problem.status, json(&problem)),
            },
            Ask::Job(job, _) => match self.job(*job) {
                Ok(job) => (200, json(job)),
                Err(problem) => (problem.status, json(&problem)),
            },
            Ask::Reload(_) => {
                match self.control.as_ref().and_then(|control| control.reload.as_ref()) {
                    Some(Ok(plan)) => (200, json(plan)),
                    Some(Err(problem)) => (problem.status, json(problem)),
                    None => (202, json(&())),
                }
            }
            Ask::Graph => (200, json(&self.drawing())),
            Ask::Timeline => {
                let began = self.control.as_ref().map(|control| control.tally.began);
                (200, json(&self.timeline(began.unwrap_or(std::time::UNIX_EPOCH))))
            }
            Ask::Config => (200, json(&self.settings())),
            Ask::Metrics => {
                let metrics = self.control.as_ref().map(|control| self.metrics(control));
                if let (Some(metrics), Some(client)) = (metrics, self.client(id)) {
                    client.measure(&metrics, now());
                }
                return self.send_to(id);
            }
            Ask::Act(..)
            | Ask::Exec(_)
            | Ask::Cancel(_)
            | Ask::Shutdown(_)
            | Ask::Logs(_)
            | Ask::Events(_) => return,
        };
        if let Some(client) = self.client(id) {
            client.answer(status, &json, now());
        }
        self.send_to(id);
    }
}

fn forbidden(needs: Access, user: u32) -> Problem {
    let level = match needs {
        Access::Health => "health",
        Access::Read => "read",
        Access::Operate => "operate",
    };
    let detail = format!(
        "the user {user} needs `{level}`: ask as root, or write [control] allow = {{ {user} = \"{level}\" }}"
    );
    Problem::new(Code::Forbidden, detail)
}
