//! Signals to trc.

use std::os::fd::AsFd;

use super::super::sender;
use super::Supervisor;
use super::source::{Call, Source, Watch};
use crate::engine::{Asker, Event, Sender};
use crate::graph::Rule;
use crate::run::os::signals::Received;

pub(super) const SOURCE: Source = Source::new(Supervisor::watch_signals);

impl Supervisor {
    fn watch_signals<'s>(&'s self, watch: &mut Watch<'s>) {
        watch.input(
            self.signals.as_fd(),
            Call::Once(|it| it.children.changed |= it.drain_signals()),
        );
    }

    /// Turns the signals that have arrived into events. Returns true if a child has changed its
    /// state.
    pub(super) fn drain_signals(&mut self) -> bool {
        let mut received = Vec::new();
        self.signals.drain(&mut received);
        let own = std::process::id().cast_signed();
        let mut child = false;
        for one in received {
            match one.signal.number() {
                libc::SIGCHLD => child = true,
                // trc has caused these itself, by writing.
                libc::SIGPIPE | libc::SIGXFSZ if one.pid == own => {}
                _ if !self.graph.transparent && self.graph.rule(one.signal) == Rule::Ignore => {}
                _ => self
                    .events
                    .push_back(Event::Signal { signal: one.signal, sender: self.sender(&one) }),
            }
        }
        child
    }

    fn sender(&self, received: &Received) -> Sender {
        // The sender matters only if the signal stops the run. Finding it takes several reads of
        // `/proc`.
        if self.graph.transparent || self.graph.rule(received.signal) != Rule::Stop {
            let (pid, uid) = (received.pid, received.uid);
            let asker = Asker { pid, uid, user: None, command: None, unit: None };
            return Sender { asker, outside: true };
        }
        sender::find(received.pid, received.uid, &|pid| self.children.unit_of(pid))
    }
}
