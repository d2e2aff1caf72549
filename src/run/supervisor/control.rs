//! The control socket: clients ask what runs, and change it.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::Supervisor;
use super::source::{Call, Source, Watch};
use crate::config::{Access, ControlSocket, nearest};
use crate::engine::{
    Answer, Ended, Event, Fact, Health, How, JobEnd, Refusal, Request, Task, Wanted,
};
use crate::graph::{Graph, UnitId};
use crate::run::control::client::{AHEAD, Client, State, Stream};
use crate::run::control::http;
use crate::run::control::ring::{self, Ring, Tap};
use crate::run::control::said::{self, Lines};
use crate::run::control::socket::Listener;
use crate::run::os::clock::now;
use crate::run::os::localtime::CLOCK;
use crate::run::os::proc;
use crate::run::sender;
use crate::wire::{
    About, Act, Ask, Code, End, HealthState, JobState, JobStatus, Problem, RunHealth, Running,
    SOCKET, UnitState, Units, Until,
};
use crate::words::{self, Observed};

/// The most clients at once.
const CLIENTS: usize = 200;
/// The time of a turn of the loop in which requests are answered. The rest waits for another turn.
const TURN: Duration = Duration::from_millis(4);
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
    clients: BTreeMap<u32, Client>,
    /// The number of the last client that came, and that of the last one that was served.
    last: u32,
    served: u32,
    /// When trc began to answer requests in this turn.
    turn: Option<Instant>,
    /// The clients whose requests the engine is about to answer, in their order.
    asked: VecDeque<u32>,
    jobs: VecDeque<JobState>,
    /// What has become of each unit so far.
    lives: BTreeMap<UnitId, Life>,
    output: Rc<RefCell<Ring>>,
    said: Rc<RefCell<Lines>>,
    boot_id: u64,
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
}

impl Supervisor {
    /// Lets clients in, unless the configuration says otherwise.
    pub(in crate::run) fn listen(&mut self) {
        let settings = &self.loaded.config.control;
        let (path, asked) = match &settings.socket {
            ControlSocket::None => return,
            // The command has trc for itself.
            _ if self.graph.transparent => return,
            ControlSocket::Usual => (Path::new(SOCKET), false),
            ControlSocket::At(path) => (path.as_path(), true),
        };
        let listener = match Listener::new(path) {
            Ok(listener) => listener,
            Err(why) => return self.observed(&Observed::NoControl(path, why, asked)),
        };
        let limit = usize::try_from(settings.log_buffer).unwrap_or(usize::MAX);
        let control = Control {
            listener,
            clients: BTreeMap::new(),
            last: 0,
            served: 0,
            turn: None,
            asked: VecDeque::new(),
            jobs: VecDeque::new(),
            lives: BTreeMap::new(),
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
        if let Some(fd) = control.listener.fd(now) {
            watch.input(fd, Call::Once(Self::accept_clients));
        }
        watch.until(control.listener.deadline(now));
        // Those who were not served in the last turn come first.
        let late = control.clients.range(control.served.saturating_add(1)..);
        for (id, client) in late.chain(control.clients.range(..=control.served)) {
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
                stream.next < end && client.has_room()
            }
            State::Waits(ask, _) => self.is_met(ask),
            State::Reads | State::Asked | State::Ends => false,
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
    }

    fn client_is_late(&mut self, id: u32, now: Instant) {
        let Some(control) = &mut self.control else { return };
        let Some(client) = control.clients.get_mut(&id) else { return };
        let ask = match &client.state {
            State::Waits(ask, _) => Some(ask.clone()),
            State::Reads if client.has_input() => {
                let problem = Problem::new(Code::TooSlow, "send the whole request at once");
                client.reject(&problem, now);
                None
            }
            State::Reads | State::Asked | State::Streams(_) | State::Ends => {
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
        const AT_ONCE: usize = 16;
        let now = now();
        for _ in 0..AT_ONCE {
            let Some(control) = &mut self.control else { return };
            let Some(fd) = control.listener.accept(now) else { break };
            let Ok(mut client) = Client::new(fd, now) else { continue };
            client.access = client.peer.access(&self.loaded.config.control.allow);
            control.make_room();
            control.last = control.last.wrapping_add(1);
            control.clients.insert(control.last, client);
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
        if *control.turn.get_or_insert(now) + TURN <= now {
            return;
        }
        let Some(client) = control.clients.get_mut(&id) else { return };
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
            State::Asked | State::Ends => None,
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

    fn send_to(&mut self, id: u32) {
        let Some(control) = &mut self.control else { return };
        if control.clients.get_mut(&id).is_some_and(|client| !client.send(now())) {
            control.clients.remove(&id);
        }
    }

    /// Answers a request, or begins to.
    fn answer(&mut self, id: u32, request: &http::Request) {
        let Some(client) = self.client(id) else { return };
        client.begins(request);
        let access = client.access;
        let ask = Ask::read(&request.method, &request.target, &request.body);
        let done = ask.and_then(|ask| {
            if ask.needs() > access {
                let user = self.client(id).map_or(0, |client| client.peer.uid);
                return Err(forbidden(ask.needs(), user));
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
                State::Reads | State::Asked | State::Ends => self.send_to(id),
            }
        }
        self.control = None;
    }

    fn client(&mut self, id: u32) -> Option<&mut Client> {
        self.control.as_mut()?.clients.get_mut(&id)
    }

    /// Does what a client asks for, or begins to.
    fn take_on(&mut self, id: u32, ask: Ask, sse: bool) -> Result<(), Problem> {
        match &ask {
            Ask::Act(unit, act) => {
                let unit = self.unit_named(unit)?;
                let request = match act {
                    Act::Start => Request::Job(Task::Start),
                    Act::Stop => Request::Job(Task::Stop),
                    Act::Restart => Request::Job(Task::Restart),
                    Act::Signal(signal) => Request::Signal(*signal),
                };
                let Some(client) = self.client(id) else { return Ok(()) };
                client.state = State::Asked;
                let (pid, uid) = (client.peer.pid, client.peer.uid);
                let asker = sender::find(pid, uid, &|pid| self.children.unit_of(pid)).asker;
                if let Some(control) = &mut self.control {
                    control.asked.push_back(id);
                }
                self.events.push_back(Event::Request { unit, request, asker });
                return Ok(());
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
            Ask::Unit(name, wait) => {
                self.unit_named(name)?;
                if let Some(wait) = wait
                    && !self.is_met(&ask)
                    && let until = now() + wait.within
                    && let Some(client) = self.client(id)
                {
                    client.state = State::Waits(ask, until);
                    return Ok(());
                }
            }
            Ask::Job(job, wait) => {
                self.job(*job)?;
                if let Some(within) = *wait
                    && !self.is_met(&ask)
                    && let Some(client) = self.client(id)
                {
                    client.state = State::Waits(ask, now() + within);
                    return Ok(());
                }
            }
            Ask::Health(units, wait) => {
                units.iter().try_for_each(|name| self.unit_named(name).map(|_| ()))?;
                if let Some(wait) = wait
                    && !self.is_met(&ask)
                    && let until = now() + wait.within
                    && let Some(client) = self.client(id)
                {
                    client.state = State::Waits(ask, until);
                    return Ok(());
                }
            }
            Ask::About | Ask::Units => {}
        }
        self.reply(id, &ask);
        Ok(())
    }

    /// Returns whether an answer that is held back is due.
    fn is_met(&self, ask: &Ask) -> bool {
        match ask {
            Ask::Unit(name, Some(wait)) => {
                let Ok(id) = self.unit_named(name) else { return true };
                let unit = self.engine.unit_snapshot(id);
                match wait.until {
                    Until::Started => {
                        let runs = ["running", "watching", "stopping"].contains(&unit.phase);
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
            Ask::About
            | Ask::Health(_, None)
            | Ask::Units
            | Ask::Unit(_, None)
            | Ask::Job(_, None)
            | Ask::Act(..)
            | Ask::Logs(_)
            | Ask::Events(_) => true,
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
            Ask::Act(..) | Ask::Logs(_) | Ask::Events(_) => return,
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
                    JobEnd::Failed(_) => JobStatus::Failed,
                    JobEnd::Superseded => JobStatus::Superseded,
                    JobEnd::Cancelled => JobStatus::Cancelled,
                    JobEnd::RunStops => JobStatus::Stopped,
                };
                if let Some(known) = control.jobs.iter_mut().find(|it| it.id == Some(*job)) {
                    known.status = status;
                    known.message = message;
                }
            }
            Fact::Requested { unit, request, answer, .. } => {
                let Some(id) = control.asked.pop_front() else { return };
                let (unit, request, answer) = (*unit, *request, *answer);
                let message = said_of(&self.graph, fact);
                self.answered(id, unit, request, answer, message);
            }
            _ => {}
        }
    }

    /// Passes the engine's answer to a request on.
    fn answered(
        &mut self,
        id: u32,
        unit: UnitId,
        request: Request,
        answer: Answer,
        message: String,
    ) {
        let name = self.graph.node(unit).unit.id();
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
            unit: name,
            task: task(request).to_owned(),
            changed: answer != Answer::Unchanged,
            status: if job.is_some() { JobStatus::Running } else { JobStatus::Done },
            message,
            dependents: Vec::new(),
        };
        let Some(control) = &mut self.control else { return };
        if let Answer::Begun(_) = answer {
            control.jobs.push_back(state.clone());
            // Those that have ended go first. There is at most one per unit that has not.
            if control.jobs.len() > JOBS {
                let ended = control.jobs.iter().position(|job| job.status != JobStatus::Running);
                _ = ended.and_then(|at| control.jobs.remove(at));
            }
        }
        if let Some(client) = control.clients.get_mut(&id) {
            if let Some(problem) = refused {
                client.refuse(&problem, now());
            } else {
                let status = if job.is_some() { 202 } else { 200 };
                client.answer(status, &json(&state), now());
            }
        }
        self.send_to(id);
    }

    fn about(&self) -> About {
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
            uptime_ms: millis(self.engine.now()),
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

    fn health(&self, units: &[String]) -> RunHealth {
        let (health, unit) = self.health_of(units);
        let state = match health {
            Health::Ready => HealthState::Ready,
            Health::Degraded => HealthState::Degraded,
            Health::Starting => HealthState::Starting,
            Health::Unhealthy => HealthState::Unhealthy,
            Health::Stopping => HealthState::Stopping,
        };
        let why = unit.map(|id| self.why(id));
        RunHealth { state, unit: unit.map(|id| self.graph.node(id).unit.id()), why }
    }

    /// Returns why a unit is not up.
    fn why(&self, id: UnitId) -> String {
        words::standing(&self.graph, id, &self.engine.unit_snapshot(id), self.engine.known(id))
    }

    fn unit_state(&self, id: UnitId) -> UnitState {
        let unit = self.engine.unit_snapshot(id);
        let tick = self.engine.now();
        let life = self.control.as_ref().and_then(|control| control.lives.get(&id));
        let end = unit.ended.map(|ended| (ended, unit.since));
        let end = end.or_else(|| life.and_then(|life| life.end));
        let open = |job: &&JobState| job.status == JobStatus::Running && job.unit == unit.name;
        let job = self.control.as_ref().and_then(|it| it.jobs.iter().find(open)?.id);
        let up = self.engine.stands_up(id) || unit.ended.is_some_and(|ended| !ended.failed());
        UnitState {
            description: self.graph.node(id).unit.description.clone(),
            phase: unit.phase.to_owned(),
            wanted: match unit.wanted {
                Wanted::Up => "up",
                Wanted::Down => "down",
                Wanted::Held => "held",
            }
            .to_owned(),
            since_ms: millis(tick.saturating_sub(unit.since)),
            ready: unit.ready,
            why: (!up).then(|| self.why(id)),
            waits_for: unit.waits_for.clone(),
            deadline_ms: unit.deadline.map(|at| millis(at.saturating_sub(tick))),
            restarts: life.map_or(0, |life| life.restarts),
            process: unit.pid.and_then(|pid| running(pid, tick.saturating_sub(unit.since))),
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
    fn unit_named(&self, name: &str) -> Result<UnitId, Problem> {
        let all = || self.graph.ids().map(|id| (id, &self.graph.node(id).unit));
        if let Some((id, _)) = all().find(|(_, unit)| unit.id() == name) {
            return Ok(id);
        }
        let short: Vec<_> = all().filter(|(_, unit)| unit.name == name).collect();
        match &short[..] {
            [(id, _)] => Ok(*id),
            [] => {
                let names: Vec<String> =
                    all().flat_map(|(_, it)| [it.id(), it.name.clone()]).collect();
                let near = nearest(name, names.iter().map(String::as_str)).map(str::to_owned);
                let shown = crate::text::harmless(name);
                let problem = Problem::new(Code::NotFound, format!("there is no unit `{shown}`"));
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

fn millis(time: Duration) -> u64 {
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

fn refusal(why: Refusal) -> Code {
    match why {
        Refusal::Booting => Code::Booting,
        Refusal::Stopping => Code::Stopping,
        Refusal::Testing => Code::Testing,
        Refusal::NoService => Code::NoService,
        Refusal::HadItsTurn | Refusal::Unkillable => Code::NotAgain,
        Refusal::Reloading => Code::Reloading,
        Refusal::NotRunning => Code::NotRunning,
    }
}

fn task(request: Request) -> &'static str {
    match request {
        Request::Job(Task::Start) => "start",
        Request::Job(Task::Stop) | Request::StopWithDependents => "stop",
        Request::Job(Task::Restart) => "restart",
        Request::Signal(_) => "signal",
        Request::Reset => "reset",
    }
}
