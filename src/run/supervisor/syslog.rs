//! Messages that programs send by syslog: which unit they come from, and where they go.

use std::ffi::OsString;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use nix::unistd::{Pid, gethostname, getpgid};

use super::super::capture::{Capture, Matcher};
use super::super::os::rights::Sender;
use super::super::syslog::{LONGEST, Socket};
use super::Supervisor;
use super::source::{Call, Source, Watch};
use crate::config::Output;
use crate::graph::UnitId;
use crate::journal::syslog::Message;
use crate::journal::{Entry, Side, Source as Origin};
use crate::run::os::clock::now;
use crate::run::os::kin;
use crate::run::os::localtime::CLOCK;
use crate::run::prepare;
use crate::words::{EventName, Observed};

/// The number of messages that trc reads at once, so that a flood starves nobody.
const AT_ONCE: Most = Most { messages: 64, bytes: 256 * 1024 };
/// The number that trc reads at once before it logs an exit: as many as the queue can have on most
/// machines (`net.unix.max_dgram_qlen`), unless they are unusually long.
const LAST: Most = Most { messages: 512, bytes: 2 * 1024 * 1024 };
/// A line takes as much time as this number of bytes, besides its own.
const LINE: usize = 128;

/// A number of messages.
#[derive(Clone, Copy)]
struct Most {
    messages: usize,
    /// The number of their bytes, each line counting for some more.
    bytes: usize,
}

/// The time that trc takes at most, at the end of the run, to read the messages that are left. Only
/// a message that carries descriptors, or somebody who goes on sending, makes it take any time.
const LAST_MESSAGES: Duration = Duration::from_millis(250);

pub(super) const SOURCE: Source = Source::new(Supervisor::watch_syslog);

/// The socket, and what is the same for all messages.
pub(super) struct Syslog {
    socket: Socket,
    /// The name of this host.
    host: Vec<u8>,
}

impl Supervisor {
    /// Creates the socket for syslog, if the configuration asks for it.
    pub(in crate::run) fn listen_to_syslog(&mut self) {
        let Some(path) = &self.loaded.config.log.syslog else { return };
        if self.graph.transparent {
            return;
        }
        match Socket::new(Path::new(path)) {
            Ok(socket) => {
                let host = gethostname().map(OsString::into_encoded_bytes).unwrap_or_default();
                self.syslog = Some(Box::new(Syslog { socket, host }));
            }
            Err(why) => self.observed(&Observed::NoSyslog(path, why)),
        }
    }

    fn watch_syslog<'s>(&'s self, watch: &mut Watch<'s>) {
        let Some(syslog) = &self.syslog else { return };
        if let Some(fd) = syslog.socket.fd(watch.now) {
            watch.input(fd, Call::Once(|it| _ = it.read_syslog(AT_ONCE)));
        }
        watch.until(syslog.socket.deadline(watch.now));
    }

    /// Reads the messages that have been sent until now, before a process is reaped: all of them if
    /// its exit is logged.
    pub(super) fn drain_syslog(&mut self, all: bool) {
        _ = self.read_syslog(if all { LAST } else { AT_ONCE });
    }

    /// Reads some messages, and returns their number.
    fn read_syslog(&mut self, most: Most) -> usize {
        let Some(mut syslog) = self.syslog.take() else { return 0 };
        let mut read = 0;
        let journal = self.reporter.journal().clone();
        journal.with_scratch(LONGEST, |bytes| {
            let mut last = None;
            let mut left = most.bytes;
            for _ in 0..most.messages {
                if left == 0 {
                    break;
                }
                let message = syslog.socket.receive(bytes, now());
                let Some((length, cut, sender)) = message else { break };
                read += 1;
                // Nobody else can get the number of a process while trc does not reap. A process that
                // is not a child of trc can be another one by the next turn.
                let known = last.filter(|(of, _)| *of == sender).map(|(_, unit)| unit);
                let unit = known.unwrap_or_else(|| self.unit_of_sender(sender));
                last = Some((sender, unit));
                let text =
                    if cut { [&bytes[..length], " […]".as_bytes()].concat() } else { Vec::new() };
                let text = if cut { &text } else { &bytes[..length] };
                let lines = self.sent(unit, sender.pid, &Message::parse(text, &syslog.host));
                left = left.saturating_sub(length + lines * LINE);
            }
        });
        self.syslog = Some(syslog);
        read
    }

    /// Writes a message where the unit's output goes. Returns the number of its lines.
    fn sent(&mut self, unit: Option<UnitId>, pid: i32, message: &Message<'_>) -> usize {
        let journal = self.reporter.journal().clone();
        let mut lines = 0;
        let Some(id) = unit else {
            for line in message.lines(pid) {
                lines += 1;
                let line = String::from_utf8_lossy(&line);
                journal.entry(
                    (CLOCK.now)(),
                    &Entry {
                        level: message.level,
                        stage: "syslog",
                        pid,
                        unit: None,
                        event: EventName::Syslog.word(),
                        exitcode: None,
                        message: format_args!("{line}"),
                    },
                );
            }
            return lines;
        };
        let place = self.units[id.0].captures.iter().position(Capture::is_of_syslog);
        let place = place.unwrap_or_else(|| {
            self.take_syslog(id, 0, Vec::new());
            self.units[id.0].captures.len() - 1
        });
        let capture = &mut self.units[id.0].captures[place];
        for line in message.lines(pid) {
            lines += 1;
            capture.sent(&journal, pid, message.level, &line);
        }
        let matched = capture.take_matched();
        self.matched(id, matched);
        lines
    }

    /// Returns the unit that a message comes from. A sender that has exited and was reaped is known
    /// only by its user, so it counts if there is one such unit.
    fn unit_of_sender(&self, sender: Sender) -> Option<UnitId> {
        let Sender { pid, uid } = sender;
        if pid <= 0 || pid == std::process::id().cast_signed() {
            return None;
        }
        let known = |id: &UnitId| id.0 < self.units.len();
        let line = kin::ancestry(pid);
        let marks = &self.birthmarks;
        let by_mark = || marks.unit_of(pid).or_else(|| marks.unit_of_post_stop(pid)).filter(known);
        let by_line = || {
            let of = |pid: &i32| {
                let helper = || self.helpers.get(pid).map(|helper| helper.unit);
                self.children.unit_of(*pid).or_else(helper)
            };
            line.iter().flatten().find_map(of)
        };
        let by_group = || {
            let group = getpgid(Some(Pid::from_raw(pid))).ok().map(Pid::as_raw)?;
            self.units.iter().position(|held| held.group == Some(group)).map(UnitId)
        };
        by_mark().or_else(by_line).or_else(by_group).or_else(|| {
            let lives = |id: &UnitId| {
                let held = &self.units[id.0];
                held.uid == Some(uid) && (held.pid.is_some() || held.group.is_some())
            };
            let mut units = (0..self.units.len()).map(UnitId).filter(lives);
            let only = units.next().filter(|_| units.next().is_none());
            only.filter(|_| line.is_none())
        })
    }

    /// Gets ready for the messages of a unit that has been started, in which trc looks for lines.
    pub(super) fn expect_syslog(&mut self, id: UnitId, pid: i32, probes: Vec<Matcher>) {
        if self.syslog.is_some() {
            self.take_syslog(id, pid, probes);
        }
    }

    fn take_syslog(&mut self, id: UnitId, pid: i32, probes: Vec<Matcher>) {
        let unit = &self.graph.node(id).unit;
        // It is not the unit's standard output, which a program may keep back.
        let source = Origin::new(unit.stage.name(), &unit.name, pid, Side::Err);
        let mut capture = Capture::of_syslog(source);
        let asked = self.drill.iter().flat_map(|drill| drill.matchers(id));
        capture.look_for(probes.into_iter().chain(asked).collect());
        let nowhere = prepare::output(&self.loaded.config, unit) == Output::Null;
        if nowhere || self.loaded.config.is_hidden(unit) {
            capture.hide();
        }
        let file = unit.output_file.as_ref().and_then(|file| self.files.get(&file.value.path));
        if let Some(file) = file {
            capture.write_to(Rc::clone(file), unit.output == Some(Output::Prefix));
        }
        if let Some(control) = &self.control {
            capture.keep(control.tap(id));
        }
        self.units[id.0].captures.push(capture);
    }

    /// Writes the last messages, and removes the socket.
    pub(super) fn end_syslog(&mut self) {
        let until = now() + LAST_MESSAGES;
        // A call may fail once, which does not mean that there is nothing.
        let mut in_vain = 0;
        while in_vain < 2
            && let Some(syslog) = &mut self.syslog
        {
            syslog.socket.catch_up(until);
            let is_taken_from = syslog.socket.is_taken_from();
            let some = self.read_syslog(LAST) > 0;
            if now() >= until {
                break;
            }
            in_vain = if some || is_taken_from { 0 } else { in_vain + 1 };
        }
        self.syslog = None;
    }

    /// Handles the exit of a child of trc, which may have taken a message.
    pub(super) fn syslog_ended(&mut self, pid: i32) {
        if let Some(syslog) = &mut self.syslog {
            syslog.socket.ended(pid);
        }
    }
}
