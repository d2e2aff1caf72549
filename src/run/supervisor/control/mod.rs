//! The control socket: clients ask what runs, and change it.

mod answers;
mod clients;
mod drawing;
pub(super) mod exec;
mod metrics;
mod requests;
mod states;
mod streams;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::Supervisor;
use super::source::Source;
use crate::config::ControlSocket;
use crate::engine::{Asker, Ended, Request};
use crate::graph::UnitId;
use crate::run::control::client::{Client, State};
use crate::run::control::ring::{Ring, Tap};
use crate::run::control::said::Lines;
use crate::run::control::socket::Listener;
use crate::run::control::tally::Tally;
use crate::run::os::localtime::CLOCK;
use crate::run::sender;
use crate::wire::{JobState, Plan, Problem, SOCKET, VARIABLE};
use crate::words::Observed;

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
    /// The last exit of each unit's process, and when that was.
    ends: BTreeMap<UnitId, (Ended, Duration)>,
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

impl Control {
    /// Returns what keeps the output of a unit.
    pub(super) fn tap(&self, unit: UnitId) -> Tap {
        Tap { ring: Rc::clone(&self.output), unit, clock: CLOCK.now }
    }

    /// Forgets a unit that is gone for good, whose identity is for another one now.
    pub(super) fn forget(&mut self, unit: UnitId) {
        self.ends.remove(&unit);
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
            ends: BTreeMap::new(),
            tally: Tally::new(),
            output: Rc::new(RefCell::new(Ring::new(limit))),
            said: Rc::default(),
            boot_id: crate::run::os::chance::chance(),
        };
        self.reporter.keep(Rc::clone(&control.said));
        self.control = Some(Box::new(control));
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

    fn client(&mut self, id: u32) -> Option<&mut Client> {
        self.control.as_mut()?.clients.get_mut(&id)
    }

    /// Returns whether a client is still there.
    fn has_client(&self, id: u32) -> bool {
        self.control.as_ref().is_some_and(|control| control.clients.contains_key(&id))
    }

    /// Returns the process behind a client.
    fn asker(&self, id: u32) -> Option<Asker> {
        let peer = &self.control.as_ref()?.clients.get(&id)?.peer;
        Some(sender::find(peer.pid, peer.uid, &|pid| self.children.unit_of(pid)).asker)
    }
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
