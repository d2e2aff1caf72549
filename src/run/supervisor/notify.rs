//! The notifications of units: who may send them, and what trc does with them.

use std::os::fd::AsFd;

use nix::unistd::{Pid, geteuid, getpgid};

use super::super::notify::{Field, Message};
use super::source::{Call, Source, Watch};
use super::{Child, Role, Supervisor};
use crate::config::Probe;
use crate::engine::{Detail, Event, Notice};
use crate::graph::UnitId;
use crate::run::os::clock::now;
use crate::run::os::fd::{is_ready, pidfd};
use crate::run::os::proc::Stat;
use crate::run::os::{children, kin, processes, rights};
use crate::words::Observed;

/// The number of a unit's messages that trc reads at once, so that a flood starves nobody. To find
/// out whose message one is may take as many looks at `/proc` as its sender has ancestors.
const AT_ONCE: usize = 16;

pub(super) const SOURCE: Source = Source::new(Supervisor::watch_notices);

impl Supervisor {
    fn watch_notices<'s>(&'s self, watch: &mut Watch<'s>) {
        for (id, held) in self.units.iter().enumerate() {
            let Some(socket) = &held.notify else { continue };
            if let Some(fd) = socket.fd(watch.now) {
                watch.input(fd, Call::Unit(Self::read_notices, UnitId(id)));
            }
            watch.until(socket.deadline(watch.now));
        }
    }

    /// Reads the messages that a unit has sent.
    pub(super) fn read_notices(&mut self, id: UnitId) {
        let mut last = None;
        for _ in 0..AT_ONCE {
            let Some(socket) = &mut self.units[id.0].notify else { return };
            let Some(message) = socket.receive(now()) else { return };
            let sender = (message.pid, message.uid);
            let known = last.filter(|(of, _)| *of == sender).map(|(_, own)| own);
            let own = known.unwrap_or_else(|| self.is_its_own(id, &message));
            last = Some((sender, own));
            if own {
                self.has_spoken(id);
                let since = message.fields.iter().find_map(|field| match field {
                    Field::Since(time) => Some(*time),
                    Field::Notice(_) | Field::Status(_) => None,
                });
                let asked = self.units[id.0].reloads_since;
                let is_earlier = since.zip(asked).is_some_and(|(since, asked)| since < asked);
                for field in message.fields {
                    // It had begun before it was asked to.
                    if !(is_earlier && field == Field::Notice(Notice::Reloading)) {
                        self.notice(id, field);
                    }
                }
            } else if let Some(socket) = &mut self.units[id.0].notify
                && !std::mem::replace(&mut socket.warned, true)
            {
                self.warn_of(id, &message);
            }
        }
    }

    /// Reads the messages that all units have sent until now.
    pub(super) fn read_all_notices(&mut self) {
        for id in (0..self.units.len()).map(UnitId) {
            if self.units[id.0].notify.is_some() {
                self.read_notices(id);
            }
        }
    }

    /// Handles the exit of a child of trc, which may have taken a message.
    pub(super) fn notify_ended(&mut self, pid: i32) {
        rights::ended(pid);
        self.syslog_ended(pid);
        self.units.iter_mut().filter_map(|held| held.notify.as_mut()).for_each(|s| s.ended(pid));
    }

    /// Warns that the message of a stranger is ignored.
    fn warn_of(&self, id: UnitId, message: &Message) {
        let command = processes::command(message.pid);
        self.observed(&Observed::Stranger(id, message.pid, message.uid, command));
    }

    fn notice(&mut self, id: UnitId, field: Field) {
        let unit = &self.graph.node(id).unit;
        let notice = match field {
            Field::Notice(notice) => notice,
            Field::Status(status) => {
                log::debug!("{} says: {status}", unit.id());
                let why = Some(Detail::Status(status));
                self.events.push_back(Event::Learnt { unit: id, why });
                return;
            }
            Field::Since(_) => return,
        };
        log::debug!("{} says: {notice:?}", unit.id());
        let by_notify = |probe: Option<&Probe>| probe == Some(&Probe::Notify);
        let wanted = match notice {
            Notice::Ready => by_notify(unit.ready.as_ref().map(|ready| &ready.probe.value)),
            Notice::Alive | Notice::Sick => {
                by_notify(unit.health.as_ref().map(|health| &health.probe.value))
            }
            Notice::MainPid(pid) => self.hand_over(id, pid),
            Notice::Stopping | Notice::Reloading | Notice::Extend(_) => true,
            Notice::StandIn(_) => false,
        };
        if wanted {
            self.events.push_back(Event::Notified { unit: id, notice });
            // The unit's next message counts from here on.
            self.feed();
        }
    }

    /// Returns whether a message comes from a unit: from its main process, from a process of its
    /// process group, or from another descendant of trc that belongs to no other unit. A sender
    /// that has exited already is known only by its user.
    fn is_its_own(&self, id: UnitId, message: &Message) -> bool {
        let held = &self.units[id.0];
        if message.pid <= 0 {
            return false;
        }
        if held.pid == Some(message.pid) {
            return true;
        }
        match kin::ancestry(message.pid) {
            Some(ancestry) => self.belongs(id, message.pid, &ancestry),
            None => self.is_its_own_user(id, message.uid),
        }
    }

    /// Returns whether a process of this user that has exited must have belonged to a unit, because
    /// no other unit has the user. Also returns true if it makes no difference: root, and a process
    /// with trc's own user, can do to trc what they like.
    fn is_its_own_user(&self, id: UnitId, uid: u32) -> bool {
        let mut others = self.units.iter().enumerate().filter(|(unit, _)| *unit != id.0);
        uid == 0
            || uid == geteuid().as_raw()
            || self.units[id.0].uid == Some(uid) && others.all(|(_, held)| held.uid != Some(uid))
    }

    /// Returns whether a live process belongs to a unit, and to no other.
    pub(super) fn belongs(&self, id: UnitId, pid: i32, ancestry: &[i32]) -> bool {
        let own = std::process::id().cast_signed();
        let group = getpgid(Some(Pid::from_raw(pid))).ok().map(Pid::as_raw);
        let is_of = |unit: usize| {
            let held = &self.units[unit];
            let by_group = group.is_some() && held.group == group;
            let main = held.pid.filter(|main| *main == pid || ancestry.contains(main));
            by_group || main.is_some()
        };
        let orphan = || ancestry.contains(&own) && !(0..self.units.len()).any(is_of);
        pid != own && (is_of(id.0) || orphan())
    }

    /// Makes another process the main process of a unit, if it may be. Returns whether it did.
    fn hand_over(&mut self, id: UnitId, pid: i32) -> bool {
        let held = &self.units[id.0];
        match held.pid {
            Some(old) if old != pid => {}
            // It may be new to trc that this is the main process.
            Some(_) => return held.sought.is_some(),
            None => return false,
        }
        let ancestry = kin::ancestry(pid).unwrap_or_default();
        if ancestry.is_empty() || self.children.own.contains_key(&pid) {
            return false;
        }
        if !self.belongs(id, pid, &ancestry) {
            return false;
        }
        self.make_main(id, pid)
    }

    /// Makes another process, which is one of the unit, its main process. Returns whether trc can.
    pub(super) fn make_main(&mut self, id: UnitId, pid: i32) -> bool {
        let own = std::process::id().cast_signed();
        let is_child = || Stat::of(pid).is_some_and(|stat| stat.lives() && stat.parent == own);
        // trc has to see the process exit even if its parent is another process.
        let watch = pidfd(pid).ok();
        if watch.is_none() && !is_child() {
            return false;
        }
        // The old main process is one of the unit's other processes now, and has to stop with the
        // unit.
        let old = self.units[id.0].pid.and_then(|old| self.children.own.remove(&old));
        let (role, terminal) = (Role::Unit(id), old.is_some_and(|old| old.terminal));
        let new = Child { role, progress: None, saved: None, terminal, hold: None };
        self.children.own.insert(pid, new);
        let own = nix::unistd::getpgrp().as_raw();
        let group = getpgid(Some(Pid::from_raw(pid))).ok().map(Pid::as_raw);
        let held = &mut self.units[id.0];
        held.pid = Some(pid);
        held.main = watch;
        if let Some(group) = group.filter(|group| *group != own) {
            held.group = Some(group);
        }
        true
    }

    /// Handles the exit of the process that a unit has handed over to, if trc is not its parent.
    /// Only its parent knows its exit status.
    pub(super) fn main_ended(&mut self, id: UnitId) {
        let held = &mut self.units[id.0];
        // The unit may have another main process since, which lives, or which trc has yet to reap.
        let ended = held.main.as_ref().is_some_and(|main| is_ready(main.as_fd()));
        if let Some(pid) = held.pid.filter(|pid| ended && !children::has_ended(*pid)) {
            held.main = None;
            self.ended(pid, crate::engine::Ending::Code(0), None);
            self.feed();
        }
    }
}
