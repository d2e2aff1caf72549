//! The control socket: clients ask what runs, and change it.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::Supervisor;
use super::source::{Call, Source, Watch};
use crate::config::{Access, ControlSocket, Stage, Unit, nearest, shown};
use crate::engine::{
    Answer, Asker, Ended, Event, Fact, Health, How, JobEnd, NoJob, PhaseName, Refusal, Request,
    Task, Wanted,
};
use crate::graph::{Graph, UnitId};
use crate::run::control::client::{AHEAD, Client, State, Stream};
use crate::run::control::http;
use crate::run::control::ring::{self, Ring, Tap};
use crate::run::control::said::{self, Lines};
use crate::run::control::socket::Listener;
use crate::run::control::tally::Tally;
use crate::run::os::clock::now;
use crate::run::os::localtime::CLOCK;
use crate::run::os::proc;
use crate::run::sender;
use crate::wire::{
    About, Act, Ask, Code, End, HealthState, JobState, JobStatus, Plan, Problem, Reload, Reloaded,
    RunHealth, Running, SOCKET, UnitState, Units, Until, VARIABLE,
};
use crate::words::{self, Observed};

/// The most clients at once.
const CLIENTS: usize = 200;
/// The time of a turn of the loop in which requests are answered. The rest waits for another turn.
const TURN: Duration = Duration::from_millis(4);
/// The longest time for which the answer to a reload is held back.
const LONGEST_RELOAD: Duration = Duration::from_hours(1);
/// The number of jobs that have ended and can still be asked for.
const JOBS: usize = 256;

pub(super) const SOURCE: Source = Source {
    watch: Supervisor::watch_control,
    settle: Supervisor::settle_control,
    postpone: |it, by| {
        it.control.iter_mut().flat_map(|it| it.clients.values_mut()).for_each(|it| it.postpone(by));
    },
};

/// The control socket and its clients.
pub(super) struct Control {
    listener: Listener,
    pub(super) clients: BTreeMap<u32, Client>,
    /// The number of the last client that came, and that of the last one that was served.
    last: u32,
    served: u32,
    /// When trc began to answer requests in this turn.
    turn: Option<Instant>,
    /// Whether there was no time in this turn, and in the last one, for a client that has never had
    /// its turn.
    skipped: bool,
    behind: bool,
    /// The number of events of the engine after which trc last looked at what clients wait for.
    judged: u64,
    /// The clients whose requests the engine is about to answer, in their order.
    asked: VecDeque<(u32, Asked)>,
    /// The outcome of the last reload, once it is known.
    reload: Option<Result<Plan, Problem>>,
    jobs: VecDeque<JobState>,
    /// What has become of each unit so far.
    lives: BTreeMap<UnitId, Life>,
    pub(super) tally: Tally,
    pub(super) output: Rc<RefCell<Ring>>,
    said: Rc<RefCell<Lines>>,
    boot_id: u64,
}

/// A request that the engine is about to answer.
#[derive(PartialEq)]
enum Asked {
    Unit(UnitId, Request),
    Cancel(u32),
    Shutdown,
}

/// What has become of a unit so far.
#[derive(Default)]
struct Life {
    restarts: u32,
    /// The last exit of its process, and when that was.
    end: Option<(Ended, Duration)>,
}

impl Control {
    /// Returns what keeps the output of a unit.
    pub(super) fn tap(&self, unit: UnitId) -> Tap {
        Tap { ring: Rc::clone(&self.output), unit, clock: CLOCK.now }
    }

    /// Forgets a unit that is gone for good, whose identity is for another one now.
    pub(super) fn forget(&mut self, unit: UnitId) {
        self.lives.remove(&unit);
        self.tally.forget(unit);
        self.output.borrow_mut().forget(unit);
    }
}

impl Supervisor {
    /// Lets clients in, unless the configuration says otherwise.
    pub(in crate::run) fn listen(&mut self) {
        let settings = &self.loaded.config.control;
        // What tells clients where the socket is also says where to create it.
        let variable = std::env::var_os(VARIABLE).filter(|path| !path.is_empty());
        let (path, asked) = match (&settings.socket, &variable) {
            (ControlSocket::None, _) => return,
            // The command has trc for itself.
            _ if self.graph.transparent => return,
            (ControlSocket::At(path), _) => (path.as_path(), true),
            (ControlSocket::Usual, Some(path)) => (Path::new(path), true),
            (ControlSocket::Usual, None) => (Path::new(SOCKET), false),
        };
        let listener = match Listener::new(path) {
            Ok(listener) => listener,
            // A test run takes no requests, so the socket is not missed.
            Err(_) if self.graph.testing && !asked => return,
            Err(why) => return self.observed(&Observed::NoControl(path, why, asked)),
        };
        let limit = usize::try_from(settings.log_buffer).unwrap_or(usize::MAX);
        let control = Control {
            listener,
            clients: BTreeMap::new(),
            last: 0,
            served: 0,
            turn: None,
            skipped: false,
            behind: false,
            judged: 0,
            asked: VecDeque::new(),
            reload: None,
            jobs: VecDeque::new(),
            lives: BTreeMap::new(),
            tally: Tally::new(),
            output: Rc::new(RefCell::new(Ring::new(limit))),
            said: Rc::default(),
            boot_id: crate::run::os::chance::chance(),
        };
        self.reporter.keep(Rc::clone(&control.said));
        self.control = Some(Box::new(control));
    }

    fn watch_control<'s>(&'s self, watch: &mut Watch<'s>) {
        let Some(control) = &self.control else { return };
        let now = watch.now;
        // Whoever comes may make somebody go. That must be nobody who has not had a turn yet.
        if control.behind {
            watch.until(Some(now));
        } else if let Some(fd) = control.listener.fd(now) {
            watch.input(fd, Call::Once(Self::accept_clients));
        }
        watch.until(control.listener.deadline(now));
        // Those come first who have never had a turn, and then those who had none the last time.
        let late = control.clients.range(control.served.saturating_add(1)..);
        let known = late.chain(control.clients.range(..=control.served));
        let new = control.clients.iter().filter(|(_, client)| !client.served);
        for (id, client) in new.chain(known.filter(|(_, client)| client.served)) {
            let (fd, flags) = client.polled();
            watch.on(fd, flags, Call::Client(Self::serve_client, *id));
            watch.until(client.deadline());
            if client.has_input() || self.has_news(client) {
                watch.until(Some(now));
            }
        }
    }

    /// Returns whether there is something to send to a client that waits for it.
    fn has_news(&self, client: &Client) -> bool {
        let Some(control) = &self.control else { return false };
        match &client.state {
            State::Streams(stream) => {
                let end = if stream.of_units {
                    control.output.borrow().end()
                } else {
                    control.said.borrow().end()
                };
                // What is still to be sent goes first, when the descriptor tells that there is room.
                stream.next < end && !client.owes()
            }
            // Only the engine changes what clients wait for.
            State::Waits(ask, _) => control.judged != self.steps && self.is_met(ask),
            State::Reads | State::Asked | State::Runs | State::Ends => false,
        }
    }

    fn settle_control(&mut self, now: Instant) {
        let Some(control) = &mut self.control else { return };
        control.turn = None;
        let late: Vec<u32> = control.clients.keys().copied().collect();
        for id in late {
            let Some(client) = self.control.as_ref().and_then(|it| it.clients.get(&id)) else {
                continue;
            };
            let late = client.deadline().is_some_and(|deadline| deadline <= now);
            if late {
                self.client_is_late(id, now);
            } else if client.has_input() || self.has_news(client) {
                self.serve_client(id);
            }
        }
        let (steps, left) = (self.steps, self.is_out_of_time());
        if let Some(control) = &mut self.control {
            control.behind = std::mem::take(&mut control.skipped);
            if !left {
                control.judged = steps;
            }
        }
    }

    /// Returns whether the time of this turn is over.
    fn is_out_of_time(&self) -> bool {
        let turn = self.control.as_ref().and_then(|control| control.turn);
        turn.is_some_and(|turn| turn + TURN <= now())
    }

    fn client_is_late(&mut self, id: u32, now: Instant) {
        let Some(control) = &mut self.control else { return };
        let Some(client) = control.clients.get_mut(&id) else { return };
        let ask = match &client.state {
            State::Waits(ask, _) => Some(ask.clone()),
            State::Reads if client.has_begun() => {
                let problem = Problem::new(Code::TooSlow, "send the whole request at once");
                client.reject(&problem, now);
                None
            }
            State::Reads | State::Asked | State::Streams(_) | State::Runs | State::Ends => {
                control.clients.remove(&id);
                return;
            }
        };
        // The time is up, so the answer is how it is now.
        if let Some(ask) = ask {
            self.reply(id, &ask);
        }
        self.send_to(id);
    }

    fn accept_clients(&mut self) {
        const AT_ONCE: usize = CLIENTS / 4;
        let now = now();
        for _ in 0..AT_ONCE {
            let Some(control) = &mut self.control else { return };
            let Some(fd) = control.listener.accept(now) else { break };
            let Ok(mut client) = Client::new(fd, now) else { continue };
            client.access = client.peer.access(&self.loaded.config.control.allow);
            control.make_room();
            control.last = control.last.wrapping_add(1);
            control.clients.insert(control.last, client);
            control.skipped |= control.clients.len() + AT_ONCE > CLIENTS;
        }
        // A listener without a descriptor to give has made somebody go.
        if let Some(control) = &mut self.control
            && control.listener.deadline(now).is_some()
        {
            control.let_one_go();
        }
    }

    /// Serves a client that has sent something, takes something, or is gone.
    fn serve_client(&mut self, id: u32) {
        let now = now();
        let Some(control) = &mut self.control else { return };
        let Some(client) = control.clients.get_mut(&id) else { return };
        if *control.turn.get_or_insert(now) + TURN <= now {
            control.skipped |= !client.served;
            return;
        }
        client.served = true;
        control.served = id;
        if client.owes() {
            return self.send_to(id);
        }
        let ask = match &client.state {
            State::Reads => match client.read(now) {
                Ok(None) => return,
                Ok(Some(request)) => return self.answer(id, &request),
                Err(Some(problem)) => {
                    client.reject(&problem, now);
                    return self.send_to(id);
                }
                Err(None) => None,
            },
            State::Waits(ask, _) => Some(ask.clone()).filter(|ask| self.is_met(ask)),
            State::Streams(_) => {
                return if self.fill(id) { self.send_to(id) } else { self.leave(id) };
            }
            State::Asked | State::Runs | State::Ends => None,
        };
        match ask {
            Some(ask) => self.reply(id, &ask),
            // It was polled for nothing else, so it is gone.
            None => self.leave(id),
        }
    }

    fn leave(&mut self, id: u32) {
        if let Some(control) = &mut self.control {
            control.clients.remove(&id);
        }
    }

    pub(super) fn send_to(&mut self, id: u32) {
        let Some(control) = &mut self.control else { return };
        if control.clients.get_mut(&id).is_some_and(|client| !client.send(now())) {
            control.clients.remove(&id);
        }
    }

    /// Answers a request, or begins to.
    fn answer(&mut self, id: u32, request: &http::Request) {
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

    /// Ends all connections, at the end of the run: whoever waits is told how it is now, and streams
    /// end with the last lines.
    pub(super) fn end_control(&mut self) {
        let clients = self.control.iter().flat_map(|control| control.clients.keys().copied());
        for id in clients.collect::<Vec<u32>>() {
            let Some(client) = self.client(id) else { continue };
            match &client.state {
                State::Streams(_) => {
                    self.fill(id);
                    self.send_to(id);
                }
                State::Waits(ask, _) => {
                    let ask = ask.clone();
                    self.reply(id, &ask);
                }
                State::Reads | State::Asked | State::Runs | State::Ends => self.send_to(id),
            }
        }
        self.control = None;
    }

    pub(super) fn client(&mut self, id: u32) -> Option<&mut Client> {
        self.control.as_mut()?.clients.get_mut(&id)
    }

    /// Returns whether a client is still there.
    pub(super) fn has_client(&self, id: u32) -> bool {
        self.control.as_ref().is_some_and(|control| control.clients.contains_key(&id))
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
                if let (Err(problem), Reload::Apply | Reload::Keep) = (&done, reload) {
                    let invalid = problem.code == Code::InvalidConfig;
                    self.count_reload(if invalid { Reloaded::Invalid } else { Reloaded::Refused });
                }
                return done;
            }
            Ask::Logs(select) | Ask::Events(select) => {
                let units: Result<Vec<UnitId>, Problem> =
                    select.units.iter().map(|name| self.unit_named(name)).collect();
                let of_units = matches!(ask, Ask::Logs(_));
                let stream =
                    Stream { select: select.clone(), units: units?, of_units, next: 0, sse };
                self.begin_stream(id, stream);
                return Ok(());
            }
            Ask::Unit(name, _) => _ = self.unit_named(name)?,
            Ask::Job(job, _) => _ = self.job(*job)?,
            Ask::Health(units, _) => {
                units.iter().try_for_each(|name| self.unit_named(name).map(|_| ()))?;
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

    /// Returns the process behind a client.
    pub(super) fn asker(&self, id: u32) -> Option<Asker> {
        let peer = &self.control.as_ref()?.clients.get(&id)?.peer;
        Some(sender::find(peer.pid, peer.uid, &|pid| self.children.unit_of(pid)).asker)
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
        if reload == Reload::Plan || !next.plan.changed {
            if reload != Reload::Plan {
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
        self.begin_reload(next, reload == Reload::Keep, asker);
        Ok(())
    }

    /// Notes the outcome of a reload. The first one counts: what was rolled back has come to that.
    pub(super) fn reload_is(&mut self, outcome: Result<Plan, Problem>) {
        let Some(control) = &mut self.control else { return };
        if !matches!(control.reload, Some(Err(_))) {
            control.reload = Some(outcome);
        }
    }

    /// Returns whether an answer that is held back is due.
    fn is_met(&self, ask: &Ask) -> bool {
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
    fn reply(&mut self, id: u32, ask: &Ask) {
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
                Ok(unit) => (200, json(&self.unit_state(unit))),
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

    /// Begins to send records.
    fn begin_stream(&mut self, id: u32, mut stream: Stream) {
        let Some(control) = &self.control else { return };
        let select = &stream.select;
        stream.next = match (select.since, stream.of_units) {
            (Some(since), _) => since.saturating_add(1),
            (None, true) => {
                let of = |unit| stream.units.is_empty() || stream.units.contains(&unit);
                let wanted = ring::Wanted { of: &of, grep: select.grep.as_deref() };
                control.output.borrow().last(select.last, &wanted)
            }
            (None, false) => {
                let names: Vec<String> = self.names(&stream.units);
                let wanted = said::Wanted { units: &names, grep: select.grep.as_deref() };
                control.said.borrow().last(select.last, &wanted)
            }
        };
        if let Some(client) = self.client(id) {
            client.stream(stream);
        }
        self.fill(id);
    }

    fn names(&self, units: &[UnitId]) -> Vec<String> {
        units.iter().map(|id| self.graph.node(*id).unit.id()).collect()
    }

    /// Adds records to a stream, as far as there is room. Returns whether there were any, or the
    /// stream has ended.
    fn fill(&mut self, id: u32) -> bool {
        const LINES: usize = 256;
        let Some(control) = &self.control else { return false };
        let Some(client) = control.clients.get(&id) else { return false };
        let State::Streams(stream) = &client.state else { return false };
        let (grep, sse) = (stream.select.grep.as_deref(), stream.sse);
        let (entries, next, end) = if stream.of_units {
            let of = |unit| stream.units.is_empty() || stream.units.contains(&unit);
            let wanted = ring::Wanted { of: &of, grep };
            let name = |unit: UnitId| self.graph.node(unit).unit.id();
            let output = control.output.borrow();
            let (entries, next) = output.read(stream.next, AHEAD, &wanted, &name);
            (entries, next, output.end())
        } else {
            let names = self.names(&stream.units);
            let wanted = said::Wanted { units: &names, grep };
            let said = control.said.borrow();
            let (entries, next) = said.read(stream.next, LINES, &wanted);
            (entries, next, said.end())
        };
        let moved = next > stream.next;
        let over = next >= end && !stream.select.follow;
        let lines: Vec<Vec<u8>> = entries.iter().map(json).collect();
        let Some(client) = self.client(id) else { return false };
        if let State::Streams(stream) = &mut client.state {
            stream.next = next;
        }
        for line in lines {
            client.record(&line, sse);
        }
        if over {
            client.state = State::Ends;
        }
        moved || over
    }

    /// Keeps what clients may ask for, and answers the requests that the engine has answered.
    pub(super) fn control_told(&mut self, fact: &Fact) {
        let tick = self.clock.tell(now());
        let Some(control) = &mut self.control else { return };
        control.tally.told(fact);
        match fact {
            Fact::Restarting { unit, how, status, .. } => {
                let life = control.lives.entry(*unit).or_default();
                life.restarts += 1;
                life.end = Some((Ended { how: *how, status: *status, place: 0 }, tick));
            }
            Fact::Exited { unit, ending, .. } => {
                let ended = Ended { how: How::Process(*ending), status: ending.status(), place: 0 };
                control.lives.entry(*unit).or_default().end = Some((ended, tick));
            }
            Fact::JobEnded { job, end, .. } => {
                let message = said_of(&self.graph, fact);
                let status = match end {
                    JobEnd::Done => JobStatus::Done,
                    JobEnd::Failed(_) | JobEnd::NotReloaded(_) => JobStatus::Failed,
                    JobEnd::Superseded => JobStatus::Superseded,
                    JobEnd::Cancelled => JobStatus::Cancelled,
                    JobEnd::RunStops => JobStatus::Stopped,
                };
                if let Some(known) = control.jobs.iter_mut().find(|it| it.id == Some(*job)) {
                    known.status = status;
                    known.message = message;
                }
            }
            Fact::NotReloaded { why } => {
                let problem = Problem::new(refusal(*why), said_of(&self.graph, fact));
                self.reload_is(Err(problem));
            }
            Fact::RolledBack { .. } => {
                let problem = Problem::new(Code::RolledBack, said_of(&self.graph, fact));
                self.reload_is(Err(problem));
            }
            Fact::Requested { unit, request, answer, dependents, .. } => {
                self.answered(*unit, *request, *answer, dependents);
            }
            Fact::Cancelled { job, .. } => self.cancelled(*job, None),
            Fact::NotCancelled { job, why, .. } => {
                let code = match why {
                    NoJob::Over => Code::Over,
                    NoJob::Unknown => Code::NotFound,
                };
                let detail = match why {
                    NoJob::Over => format!("the job {job} has ended already"),
                    NoJob::Unknown => format!("there is no job {job}"),
                };
                self.cancelled(*job, Some(Problem::new(code, detail)));
            }
            Fact::ShutDown { refused, .. } => {
                let refused =
                    refused.map(|why| Problem::new(refusal(why), said_of(&self.graph, fact)));
                self.tell(&Asked::Shutdown, 202, &self.about(), refused);
            }
            _ => {}
        }
    }

    /// Passes the engine's answer to a request on.
    fn answered(&mut self, unit: UnitId, request: Request, answer: Answer, dependents: &[UnitId]) {
        let message = words::answer(&self.graph, unit, request, answer);
        let refused = match answer {
            Answer::Refused(why) => Some(Problem::new(refusal(why), message.clone())),
            Answer::Begun(_)
            | Answer::Joined(_)
            | Answer::Unchanged
            | Answer::Sent
            | Answer::Forgotten => None,
        };
        let job = match answer {
            Answer::Begun(job) | Answer::Joined(job) => Some(job),
            Answer::Unchanged | Answer::Sent | Answer::Forgotten | Answer::Refused(_) => None,
        };
        let state = JobState {
            id: job,
            unit: self.graph.node(unit).unit.id(),
            task: task(request).to_owned(),
            changed: answer != Answer::Unchanged,
            status: if job.is_some() { JobStatus::Running } else { JobStatus::Done },
            message,
            dependents: self.names(dependents),
        };
        if let Answer::Begun(_) = answer
            && let Some(control) = &mut self.control
        {
            control.jobs.push_back(state.clone());
            // Those that have ended go first. There is at most one per unit that has not.
            if control.jobs.len() > JOBS {
                let ended = control.jobs.iter().position(|job| job.status != JobStatus::Running);
                _ = ended.and_then(|at| control.jobs.remove(at));
            }
        }
        let status = if job.is_some() { 202 } else { 200 };
        self.tell(&Asked::Unit(unit, request), status, &state, refused);
    }

    /// Counts a unit whose command was executed.
    pub(super) fn count_start(&mut self, unit: UnitId) {
        if let Some(control) = &mut self.control {
            control.tally.start(unit);
        }
    }

    /// Counts a reload of which the engine does not tell.
    pub(super) fn count_reload(&mut self, outcome: Reloaded) {
        if let Some(control) = &mut self.control {
            control.tally.reload(outcome);
        }
    }

    /// Counts a reload that has found nothing to change.
    pub(super) fn count_nothing_to_reload(&mut self) {
        if let Some(control) = &mut self.control {
            control.tally.nothing_to_reload();
        }
    }

    /// Answers whoever has asked to cancel a job.
    fn cancelled(&mut self, job: u32, refused: Option<Problem>) {
        let state = self.job(job).ok().cloned();
        self.tell(&Asked::Cancel(job), 200, &state, refused);
    }

    /// Answers the client that has asked for this first, if there is one: what the engine does for a
    /// request may answer more than was asked.
    fn tell(
        &mut self,
        asked: &Asked,
        status: u16,
        answer: &impl serde::Serialize,
        refused: Option<Problem>,
    ) {
        let Some(control) = &mut self.control else { return };
        if control.asked.front().is_none_or(|(_, first)| first != asked) {
            return;
        }
        let Some((id, _)) = control.asked.pop_front() else { return };
        if let Some(client) = control.clients.get_mut(&id) {
            match refused {
                Some(problem) => client.refuse(&problem, now()),
                None => client.answer(status, &json(answer), now()),
            }
        }
        self.send_to(id);
    }

    pub(super) fn about(&self) -> About {
        let snapshot = self.engine.snapshot();
        About {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            api: 1,
            boot_id: self
                .control
                .as_ref()
                .map_or(String::new(), |it| format!("{:016x}", it.boot_id)),
            pid: std::process::id(),
            generation: snapshot.generation,
            phase: snapshot.phase.to_owned(),
            uptime_ms: millis(self.clock.peek(now())),
        }
    }

    /// Returns the health of the run, or of these units, and the unit because of which it is so.
    fn health_of(&self, units: &[String]) -> (Health, Option<UnitId>) {
        let named: Vec<UnitId> =
            units.iter().filter_map(|name| self.unit_named(name).ok()).collect();
        if named.is_empty() {
            self.engine.health(self.graph.ids())
        } else {
            self.engine.health(named.into_iter())
        }
    }

    pub(super) fn health(&self, units: &[String]) -> RunHealth {
        let (health, unit) = self.health_of(units);
        let state = match health {
            Health::Ready => HealthState::Ready,
            Health::Degraded => HealthState::Degraded,
            Health::Starting => HealthState::Starting,
            Health::Unhealthy => HealthState::Unhealthy,
            Health::Stopping => HealthState::Stopping,
        };
        let why = unit.and_then(|id| self.why(id));
        RunHealth { state, unit: unit.map(|id| self.graph.node(id).unit.id()), why }
    }

    /// Returns why a unit is not as it should be, if it is not.
    pub(super) fn why(&self, id: UnitId) -> Option<String> {
        let life = self.control.as_ref().and_then(|control| control.lives.get(&id));
        let last = life.and_then(|life| life.end).map(|(ended, _)| ended);
        let unit = self.engine.unit_snapshot(id);
        words::standing(&self.graph, id, &unit, self.engine.known(id), last)
    }

    pub(super) fn unit_state(&self, id: UnitId) -> UnitState {
        let unit = self.engine.unit_snapshot(id);
        // The last event of the engine may have been long ago.
        let tick = self.clock.peek(now());
        let life = self.control.as_ref().and_then(|control| control.lives.get(&id));
        let end = unit.ended.map(|ended| (ended, unit.since));
        let end = end.or_else(|| life.and_then(|life| life.end));
        let open = |job: &&JobState| job.status == JobStatus::Running && job.unit == unit.name;
        let job = self.control.as_ref().and_then(|it| it.jobs.iter().find(open)?.id);
        UnitState {
            description: self.graph.node(id).unit.description.clone(),
            phase: unit.phase.word().to_owned(),
            wanted: match unit.wanted {
                Wanted::Up => "up",
                Wanted::Down => "down",
                Wanted::Held => "held",
            }
            .to_owned(),
            since_ms: millis(tick.saturating_sub(unit.since)),
            ready: unit.ready,
            healthy: !unit.sick,
            why: self.why(id),
            waits_for: unit.waits_for.clone(),
            deadline_ms: unit.deadline.map(|at| millis(at.saturating_sub(tick))),
            reloading: unit.reloading,
            restarts: life.map_or(0, |life| life.restarts),
            process: unit.pid.and_then(|pid| {
                running(pid, tick.saturating_sub(unit.ran_since.unwrap_or(unit.since)))
            }),
            last_end: end.map(|(ended, at)| End {
                status: ended.status,
                why: words::reason::how(&self.graph, ended),
                ago_ms: millis(tick.saturating_sub(at)),
            }),
            job,
            name: unit.name,
        }
    }

    /// Returns the unit with a name: `STAGE.NAME`, or `NAME` if only one unit has it.
    pub(super) fn unit_named(&self, name: &str) -> Result<UnitId, Problem> {
        let all = || self.graph.ids().map(|id| (id, &self.graph.node(id).unit));
        let whole = name.split_once('.');
        let same = |unit: &Unit| whole == Some((unit.stage.name(), unit.name.as_str()));
        if let Some((id, _)) = all().find(|(_, unit)| same(unit)) {
            return Ok(id);
        }
        let mut short: Vec<_> = all().filter(|(_, unit)| unit.name == name).collect();
        // The name alone means the service, as in `after`.
        if short.iter().any(|(_, unit)| unit.stage != Stage::Test) {
            short.retain(|(_, unit)| unit.stage != Stage::Test);
        }
        match &short[..] {
            [(id, _)] => Ok(*id),
            [] => {
                let names: Vec<String> =
                    all().flat_map(|(_, it)| [it.id(), it.name.clone()]).collect();
                let near = nearest(name, names.iter().map(String::as_str)).map(str::to_owned);
                let detail = format!("there is no unit `{}`", shown(name));
                let problem = Problem::new(Code::NotFound, detail);
                Err(problem.near(near.into_iter().collect()))
            }
            several => {
                let names: Vec<String> = several.iter().map(|(_, unit)| unit.id()).collect();
                let detail = format!("`{name}` may be any of {}", names.join(", "));
                Err(Problem::new(Code::NotFound, detail).near(names))
            }
        }
    }

    fn job(&self, number: u32) -> Result<&JobState, Problem> {
        let job =
            self.control.as_ref().and_then(|it| it.jobs.iter().find(|job| job.id == Some(number)));
        job.ok_or_else(|| Problem::new(Code::NotFound, format!("there is no job {number}")))
    }
}

impl Control {
    /// Lets the client go that has kept trc waiting for the longest time, if there are too many. Of
    /// all users, the one with the most clients has to give way.
    fn make_room(&mut self) {
        if self.clients.len() >= CLIENTS {
            self.let_one_go();
        }
    }

    fn let_one_go(&mut self) {
        let mut users = BTreeMap::<u32, usize>::new();
        for client in self.clients.values() {
            *users.entry(client.peer.uid).or_default() += 1;
        }
        let most = users.into_iter().max_by_key(|(_, count)| *count).map(|(uid, _)| uid);
        let theirs = self.clients.iter().filter(|(_, client)| Some(client.peer.uid) == most);
        let victim = theirs.min_by_key(|(id, client)| {
            (client.waits_since().is_none(), client.waits_since(), **id)
        });
        let victim = victim.map(|(id, _)| *id);
        if let Some(id) = victim {
            self.clients.remove(&id);
        }
    }
}

/// Returns the line of the log about a fact.
fn said_of(graph: &Graph, fact: &Fact) -> String {
    words::fact(graph, fact).into_iter().map(|line| line.message).collect()
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn running(pid: i32, uptime: Duration) -> Option<Running> {
    let stat = proc::Stat::of(pid)?;
    let cpu_ms = millis(stat.cpu());
    Some(Running { pid, memory: stat.memory(), cpu_ms, uptime_ms: millis(uptime) })
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

pub(super) fn refusal(why: Refusal) -> Code {
    match why {
        Refusal::Booting => Code::Booting,
        Refusal::Stopping => Code::Stopping,
        Refusal::Testing => Code::Testing,
        Refusal::NoService => Code::NoService,
        Refusal::HadItsTurn | Refusal::Unkillable => Code::NotAgain,
        Refusal::Reloading => Code::Reloading,
        Refusal::NotRunning => Code::NotRunning,
        Refusal::NotUp => Code::NotUp,
        Refusal::NoReload => Code::NoReload,
    }
}

fn task(request: Request) -> &'static str {
    match request {
        Request::Job(Task::Start) => "start",
        Request::Job(Task::Stop) | Request::StopWithDependents => "stop",
        Request::Job(Task::Restart) => "restart",
        Request::Job(Task::Reload) => "reload",
        Request::Signal(_) => "signal",
        Request::Reset => "reset",
    }
}
