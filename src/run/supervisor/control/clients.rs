//! The clients: they come, have their turns, and go.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::Supervisor;
use super::super::source::{Call, Watch};
use super::Control;
use crate::run::control::client::{Client, State};
use crate::run::os::clock::now;
use crate::wire::{Code, Problem};

/// The most clients at once.
const CLIENTS: usize = 200;
/// The time of a turn of the loop in which requests are answered. The rest waits for another turn.
const TURN: Duration = Duration::from_millis(4);

impl Supervisor {
    pub(super) fn watch_control<'s>(&'s self, watch: &mut Watch<'s>) {
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

    pub(super) fn settle_control(&mut self, now: Instant) {
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
