//! The one loop: what the kernel says goes to the engine as events, what the engine
//! answers is done. No decision is made here.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use log::Level;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::{Gid, Uid};

use super::capture::Capture;
use super::prepare::{self, Environment, LazyShell, Ready, Surroundings};
use super::report::{self, Reporter};
use super::signals::{Received, Signals};
use super::spawn::{self, Hold, Launch, read_progress};
use super::stream::{Side, flush_deadline};
use super::terminal::Terminal;
use super::{memory, oom, processes, sender};
use crate::config::{Config, Diagnostic, Loaded, Output, Severity, Stage};
use crate::engine::{Action, Ending, Engine, Event, Sender, SpawnStage, Target};
use crate::graph::{Graph, UnitId};
use crate::journal::Source;
use crate::shell::{Saved, State};
use crate::signal::Signal;

/// What a child is to trc.
#[derive(Clone, Copy)]
enum Role {
    Unit(UnitId),
    StopCommand(UnitId),
    /// Could not execute its command; people have been told, and its exit is of no interest.
    NotStarted,
}

/// One live child of trc's own.
struct Child {
    role: Role,
    /// Until it has executed its command.
    progress: Option<(OwnedFd, Hold)>,
    /// Where a boot script leaves its state.
    saved: Option<(Saved, Vec<(OsString, OsString)>)>,
    /// Whether it was lent the terminal.
    terminal: bool,
    /// What it still stands on after it has failed.
    hold: Option<Hold>,
}

/// What is held of a unit.
#[derive(Default)]
struct Held {
    /// Its live main process.
    pid: Option<i32>,
    /// Its process group, for as long as anything may be in it.
    group: Option<i32>,
    /// Its live stop command.
    stop_command: Option<i32>,
    /// Whether trc has sent it KILL.
    killed: bool,
    /// Its output, where trc captures it.
    captures: Vec<Capture>,
}

/// Something the loop waits for.
enum Token {
    Signals,
    Progress(i32),
    Capture(UnitId, usize),
    Journal,
}

/// The supervisor of one run.
pub struct Supervisor {
    loaded: Loaded,
    config: Config,
    graph: Rc<Graph>,
    engine: Engine,
    signals: Signals,
    reporter: Reporter,
    terminal: Option<Terminal>,
    shell: LazyShell,
    base: Environment,
    state: Option<State>,
    children: HashMap<i32, Child>,
    units: Vec<Held>,
    /// Units whose process has ended and whose group may live on.
    leftovers: Vec<UnitId>,
    events: VecDeque<Event>,
    began: Instant,
    end: Option<u8>,
    /// What is left was told to end, and its end is waited for.
    sweeping: Option<Signal>,
    /// Whether trc has let go of what only the start needed.
    rested: bool,
    oom: oom::Watch,
    /// The first unit that the OOM killer took.
    oom_victim: Option<UnitId>,
}

impl Supervisor {
    /// A supervisor that has taken over all signals.
    pub fn new(
        loaded: Loaded,
        graph: Graph,
        signals: Signals,
        reporter: Reporter,
        base: Environment,
        shell: LazyShell,
    ) -> Self {
        processes::become_subreaper();
        let graph = Rc::new(graph);
        Self {
            config: loaded.config.clone(),
            loaded,
            engine: Engine::new(Rc::clone(&graph)),
            units: graph.ids().map(|_| Held::default()).collect(),
            oom: if graph.transparent { oom::Watch::none() } else { oom::Watch::start() },
            graph,
            signals,
            reporter,
            terminal: Terminal::held(),
            shell,
            base,
            state: None,
            children: HashMap::new(),
            leftovers: Vec::new(),
            events: VecDeque::from([Event::Begin]),
            began: now(),
            end: None,
            sweeping: None,
            rested: false,
            oom_victim: None,
        }
    }

    /// Runs to the end.
    pub fn run(&mut self) -> u8 {
        // From here on PID 1 exits only through the engine.
        loop {
            self.feed();
            if let Some(status) = self.end {
                return self.finish(status);
            }
            self.wait(None);
        }
    }

    /// After a panic: ends everything as well as that can be done without the engine.
    pub fn abandon(&mut self) {
        processes::signal_all(libc::SIGTERM, None);
        processes::signal_all(libc::SIGCONT, None);
        self.end_all(crate::graph::STOP_TIMEOUT);
        self.reporter.journal().flush_at_exit(flush_deadline());
    }

    /// Gives the engine all events there are and does what it says to them.
    fn feed(&mut self) {
        while let Some(event) = self.events.pop_front() {
            let mut actions = Vec::new();
            let tick = now().duration_since(self.began);
            self.engine.step(tick, event, &mut actions);
            for action in actions {
                self.act(action);
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Spawn(id) => self.start(id),
            Action::Signal(target, signal) => self.signal(target, signal),
            Action::StopCommand(id) => self.start_stop_command(id),
            Action::KillStopCommand(id) => {
                if let Some(pid) = self.units[id.0].stop_command {
                    processes::signal(-pid, libc::SIGKILL);
                }
            }
            Action::Settle => self.settle(),
            Action::Sweep(signal) => self.sweep(signal),
            Action::Tell(fact) => self.reporter.tell(&self.graph, &fact),
            Action::End { status } => self.end = Some(status),
        }
    }

    /// Waits for something to happen, until `until` at the latest, and turns it into events.
    fn wait(&mut self, until: Option<Instant>) {
        let start = now();
        let engine = self.engine.next_deadline().map(|tick| self.began + tick);
        let pending = self.reporter.journal().wants_write();

        let mut tokens = Vec::new();
        let mut fds: Vec<PollFd<'_>> = Vec::new();
        let mut watch = |token: Token, fd: BorrowedFd<'_>, flags: PollFlags| {
            tokens.push(token);
            // SAFETY: the descriptors live in `self`, and nothing closes them before
            // the poll returns; the borrow is only hidden from the checker.
            let fd = unsafe { BorrowedFd::borrow_raw(std::os::fd::AsRawFd::as_raw_fd(&fd)) };
            fds.push(PollFd::new(fd, flags));
        };
        watch(Token::Signals, self.signals.as_fd(), PollFlags::POLLIN);
        for (pid, child) in &self.children {
            if let Some((progress, _)) = &child.progress {
                watch(Token::Progress(*pid), progress.as_fd(), PollFlags::POLLIN);
            }
        }
        for (id, held) in self.units.iter().enumerate() {
            for (which, capture) in held.captures.iter().enumerate() {
                if capture.wants_read(self.reporter.journal(), start) {
                    watch(Token::Capture(UnitId(id), which), capture.as_fd(), PollFlags::POLLIN);
                }
            }
        }
        for fd in &pending {
            watch(Token::Journal, fd.as_fd(), PollFlags::POLLOUT);
        }

        let journal = self.reporter.journal().next_deadline(start);
        let rests = self
            .units
            .iter()
            .flat_map(|held| &held.captures)
            .filter_map(|c| c.next_deadline(start))
            .min();
        let idle = (!self.rested).then(|| start + memory::IDLE);
        let deadline = [engine, journal, rests, until, idle].into_iter().flatten().min();
        // Rounded up: a wake-up before the deadline would only be followed by another.
        let timeout = match deadline.map(|deadline| deadline.saturating_duration_since(start)) {
            None => PollTimeout::NONE,
            Some(left) => {
                let millis = left.as_micros().div_ceil(1000);
                PollTimeout::try_from(i32::try_from(millis).unwrap_or(i32::MAX))
                    .unwrap_or(PollTimeout::MAX)
            }
        };
        let ready: Vec<Token> = match poll(&mut fds, timeout) {
            Ok(_) => {
                let happened =
                    |fd: &PollFd<'_>| fd.revents().is_some_and(|events| !events.is_empty());
                tokens
                    .into_iter()
                    .zip(&fds)
                    .filter(|(_, fd)| happened(fd))
                    .map(|(token, _)| token)
                    .collect()
            }
            // Nothing interrupts it but a debugger, and it is called again at once.
            Err(_) => Vec::new(),
        };
        drop(fds);

        if ready.is_empty() && idle.is_some_and(|idle| idle <= now()) {
            self.rested = true;
            memory::let_go_of_code();
        }
        let mut reap = false;
        for token in ready {
            match token {
                Token::Signals => reap |= self.drain_signals(),
                Token::Progress(pid) => self.progress(pid),
                Token::Capture(id, which) => self.read_capture(id, which),
                Token::Journal => self.reporter.journal().writable(),
            }
        }
        if reap {
            self.feed();
            self.reap();
        }
        if engine.is_some_and(|deadline| deadline <= now()) {
            self.events.push_back(Event::Woken);
        }
    }

    /// Turns the signals that have come into events; true if a child has changed.
    fn drain_signals(&mut self) -> bool {
        let mut received = Vec::new();
        self.signals.drain(&mut received);
        let own = std::process::id().cast_signed();
        let mut child = false;
        for one in received {
            match one.signal.number() {
                libc::SIGCHLD => child = true,
                // Caused by what trc itself wrote.
                libc::SIGPIPE | libc::SIGXFSZ if one.pid == own => {}
                _ => self
                    .events
                    .push_back(Event::Signal { signal: one.signal, sender: self.sender(&one) }),
            }
        }
        child
    }

    fn sender(&self, received: &Received) -> Sender {
        if self.graph.transparent {
            return Sender { pid: received.pid, uid: received.uid, command: None, outside: true };
        }
        sender::find(received)
    }

    /// Reaps every child that has ended, whoever's it was.
    ///
    /// First a look that leaves the zombie, then the signals once more: what it sent
    /// to trc as its last act has come by now, and counts as before its end. Signals
    /// to it are sent before it is reaped, so they can't hit another process.
    fn reap(&mut self) {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WSTOPPED | WaitPidFlag::WNOHANG;
        loop {
            let Ok(status) = waitid(Id::All, flags | WaitPidFlag::WNOWAIT) else { break };
            let Some(pid) = status.pid() else { break };
            self.drain_signals();
            self.feed();
            let Ok(status) = waitid(Id::Pid(pid), flags) else { continue };
            match status {
                WaitStatus::Exited(pid, code) => {
                    self.ended(pid.as_raw(), Ending::Code(code.to_le_bytes()[0]))
                }
                WaitStatus::Signaled(pid, signal, _) => {
                    let signal = Signal::from_number(signal as i32).unwrap_or(Signal::KILL);
                    self.ended(pid.as_raw(), Ending::Signal(signal));
                }
                WaitStatus::Stopped(pid, signal) => self.stopped(pid.as_raw(), signal as i32),
                _ => {}
            }
            self.feed();
        }
        if let Some(signal) = self.sweeping {
            if self.nothing_left() {
                self.sweeping = None;
                self.events.push_back(Event::NothingLeft);
            } else if signal == Signal::KILL {
                // What was adopted in the meantime.
                processes::signal_all(libc::SIGKILL, self.writer());
            }
        }
    }

    /// A child has ended and was reaped.
    fn ended(&mut self, pid: i32, ending: Ending) {
        self.progress(pid);
        self.feed();
        match self.children.remove(&pid) {
            None | Some(Child { role: Role::NotStarted, .. }) => {}
            Some(Child { role: Role::StopCommand(id), .. }) => {
                self.units[id.0].stop_command = None;
                self.events.push_back(Event::StopCommandEnded {
                    unit: id,
                    succeeded: ending == Ending::Code(0),
                });
            }
            Some(Child { role: Role::Unit(id), saved, terminal, .. }) => {
                self.drain_captures(id);
                self.units[id.0].pid = None;
                if terminal && let Some(terminal) = &self.terminal {
                    terminal.take_back();
                }
                // What a script that failed has left behind counts for nothing.
                if let Some((saved, given)) = saved
                    && ending == Ending::Code(0)
                {
                    self.take_state(id, &saved, &given);
                }
                if ending == Ending::Signal(Signal::KILL)
                    && !self.units[id.0].killed
                    && self.oom.has_struck()
                {
                    self.oom_victim.get_or_insert(id);
                }
                let left = self.units[id.0].group.is_some_and(processes::group_lives);
                if left {
                    self.leftovers.push(id);
                } else {
                    self.units[id.0].group = None;
                }
                self.events.push_back(Event::Exited {
                    unit: id,
                    ending,
                    leftovers: left,
                    terminal,
                });
            }
        }
        self.look_after_leftovers();
    }

    /// Some process was reaped: whose group has died out with it?
    fn look_after_leftovers(&mut self) {
        let units = &mut self.units;
        let events = &mut self.events;
        self.leftovers.retain(|id| {
            let lives = units[id.0].group.is_some_and(processes::group_lives);
            if !lives {
                units[id.0].group = None;
                events.push_back(Event::LeftoversGone { unit: *id });
            }
            lives
        });
    }

    /// What a boot script has left is what later units start from.
    fn take_state(&mut self, id: UnitId, saved: &Saved, given: &[(OsString, OsString)]) {
        match State::read(saved, given) {
            Ok(Some(state)) => {
                let own = |(name, _): &&(OsString, OsString)| !crate::config::is_own_variable(name);
                self.base = Environment::new(state.environment().iter().filter(own).cloned());
                for name in state.oversize() {
                    let what = format_args!(
                        "{} is too long for programs: only scripts see it",
                        name.display()
                    );
                    self.reporter.main(Level::Warn, "oversize", what);
                }
                self.state = Some(state);
            }
            Ok(None) => {}
            Err(why) => {
                let name = self.graph.node(id).unit.id();
                self.reporter.main(
                    Level::Warn,
                    "state-lost",
                    format_args!("what {name} has set is lost: {why}"),
                );
            }
        }
    }

    /// A child was stopped by a signal: job control.
    fn stopped(&mut self, pid: i32, signal: i32) {
        let Some(Child { role: Role::Unit(id), terminal: lent, .. }) = self.children.get(&pid)
        else {
            return;
        };
        let (id, lent) = (*id, *lent);
        match &self.terminal {
            Some(terminal) if lent => {
                if !terminal.leads_session {
                    terminal.take_back();
                    processes::stop_self();
                }
                // Nobody but trc can continue it, or somebody has continued trc.
                terminal.lend(pid);
                let group = self.units[id.0].group;
                processes::signal(group.map_or(pid, |group| -group), libc::SIGCONT);
            }
            Some(_) | None if signal == libc::SIGTTIN || signal == libc::SIGTTOU => {
                let name = self.graph.node(id).unit.id();
                let what = if signal == libc::SIGTTIN { "read from" } else { "wrote to or set" };
                let message =
                    format_args!("{name} is stopped: in the background, it {what} the terminal");
                self.reporter.main(Level::Warn, "stopped", message);
            }
            Some(_) | None => {}
        }
    }

    /// A child has executed its command, or says why it can't.
    fn progress(&mut self, pid: i32) {
        let Some(child) = self.children.get_mut(&pid) else { return };
        let Some((progress, hold)) = child.progress.take() else { return };
        let role = child.role;
        let failure = read_progress(progress);
        if failure.is_some() {
            // On its way out it still stands on its stack.
            child.hold = Some(hold);
            child.role = Role::NotStarted;
        }
        match (role, failure) {
            (Role::NotStarted, _) => {}
            (Role::Unit(id), None) => self.events.push_back(Event::Executed { unit: id }),
            (Role::Unit(id), Some(failure)) => {
                if child.terminal
                    && let Some(terminal) = &self.terminal
                {
                    terminal.take_back();
                }
                self.units[id.0].pid = None;
                self.units[id.0].group = None;
                let (stage, errno) = (failure.stage, failure.errno);
                self.events.push_back(Event::SpawnFailed { unit: id, stage, errno });
            }
            (Role::StopCommand(id), Some(failure)) => {
                let why = Errno::from_raw(failure.errno).desc();
                let name = self.graph.node(id).unit.id();
                let message = format_args!("cannot execute the stop command of {name}: {why}");
                self.reporter.main(Level::Error, "stop-command-failed", message);
                self.units[id.0].stop_command = None;
                self.events.push_back(Event::StopCommandEnded { unit: id, succeeded: false });
            }
            (Role::StopCommand(_), None) => {}
        }
    }

    /// Starts a unit.
    fn start(&mut self, id: UnitId) {
        let failed = |stage, errno| Event::SpawnFailed { unit: id, stage, errno };
        let event = match self.launch(id) {
            Ok(pid) => Event::Forked { unit: id, pid },
            Err(Failed::Said) => failed(SpawnStage::Prepare, 0),
            Err(Failed::Kernel(stage, errno)) => failed(stage, errno),
        };
        self.events.push_back(event);
    }

    fn launch(&mut self, id: UnitId) -> Result<i32, Failed> {
        let graph = Rc::clone(&self.graph);
        let node = graph.node(id);
        let unit = &node.unit;
        let end = (unit.stage == Stage::Halt).then(|| (self.engine.status(), self.reason_text()));
        let ready = self.surroundings(end).unit(unit);
        let Ready { mut launch, saved } = ready.map_err(|why| {
            self.reporter.not_started(&graph, id, &why);
            Failed::Said
        })?;
        if unit.stage == Stage::Async {
            launch.streams[0] = Some(prepare::null(false)?);
        } else if let Some(terminal) = &self.terminal {
            launch.terminal = (!terminal.shared_group).then(|| terminal.raw());
            launch.own_group = !terminal.shared_group;
        }
        let owner = launch.ids.as_ref().map(|ids| (Uid::from_raw(ids.uid), Gid::from_raw(ids.gid)));
        let mut pipes = Vec::new();
        match prepare::output(&self.config, unit) {
            Output::Inherit => {}
            Output::Null => {
                launch.streams[1] = Some(prepare::null(true)?);
                launch.streams[2] = Some(prepare::null(true)?);
            }
            Output::Prefix => {
                for side in [Side::Out, Side::Err] {
                    let pipe = super::capture::pipe(owner)?;
                    launch.streams[if side == Side::Out { 1 } else { 2 }] = Some(pipe.write);
                    pipes.push((side, pipe.read));
                }
            }
        }

        let own_group = launch.own_group;
        let terminal = launch.terminal.is_some() || (unit.stage != Stage::Async && !own_group);
        let child = spawn::spawn(launch, self.reporter.announces())
            .map_err(|failure| Failed::Kernel(failure.stage, failure.errno))?;
        let pid = child.pid;
        self.reporter.launching(&graph, id, pid);
        // Only now does it go on: its own output comes after that line.
        drop(child.gate);
        let held = &mut self.units[id.0];
        held.pid = Some(pid);
        held.group = own_group.then_some(pid);
        held.killed = false;
        // Those of an earlier run were kept for what it said last.
        held.captures.retain(|capture| !capture.has_ended());
        for (side, read) in pipes {
            held.captures
                .push(Capture::new(read, Source::new(unit.stage.name(), &unit.name, pid, side)));
        }
        let child = Child {
            role: Role::Unit(id),
            progress: Some((child.progress, child.hold)),
            saved,
            terminal,
            hold: None,
        };
        self.children.insert(pid, child);
        Ok(pid)
    }

    fn start_stop_command(&mut self, id: UnitId) {
        if let Err(why) = self.launch_stop_command(id) {
            let name = self.graph.node(id).unit.id();
            let message = format_args!("cannot start the stop command of {name}: {why}");
            self.reporter.main(Level::Error, "stop-command-failed", message);
            self.events.push_back(Event::StopCommandEnded { unit: id, succeeded: false });
        }
    }

    fn launch_stop_command(&mut self, id: UnitId) -> Result<(), String> {
        let graph = Rc::clone(&self.graph);
        let unit = &graph.node(id).unit;
        let (Some(words), Some(pid)) = (&unit.stop.exec, self.units[id.0].pid) else {
            return Ok(());
        };
        let mut launch: Launch = self.surroundings(None).stop_command(unit, words, pid)?;
        launch.streams[0] = Some(prepare::null(false).map_err(|errno| errno.desc().to_owned())?);
        let child = spawn::spawn(launch, false)
            .map_err(|failure| Errno::from_raw(failure.errno).desc().to_owned())?;
        self.units[id.0].stop_command = Some(child.pid);
        let role = Role::StopCommand(id);
        let held = Child {
            role,
            progress: Some((child.progress, child.hold)),
            saved: None,
            terminal: false,
            hold: None,
        };
        self.children.insert(child.pid, held);
        Ok(())
    }

    fn surroundings(&self, end: Option<(u8, String)>) -> Surroundings<'_> {
        Surroundings {
            config: &self.config,
            base: &self.base,
            shell: &self.shell,
            state: self.state.as_ref(),
            end,
        }
    }

    fn signal(&mut self, target: Target, signal: Signal) {
        let (Target::Process(id) | Target::Group(id)) = target;
        let held = &mut self.units[id.0];
        held.killed |= signal == Signal::KILL;
        let group = held.group.map(|group| -group);
        let to = match target {
            Target::Process(_) => held.pid,
            // A unit in trc's own group must not take trc along.
            Target::Group(_) => group.or(held.pid),
        };
        if let Some(to) = to {
            processes::signal(to, signal.number());
        }
        if held.pid.is_none() {
            self.look_after_leftovers();
        }
    }

    /// Boot is done: what has it made of the command line?
    fn settle(&mut self) {
        let args = self.state.as_ref().map(|state| state.args().to_vec());
        let Some(rest) = args.filter(|args| *args != self.config.rest) else {
            self.events.push_back(Event::Settled { graph: None });
            return;
        };
        let built =
            self.loaded.with_rest(rest).and_then(|config| Ok((Graph::build(&config)?, config)));
        let event = match built {
            Ok((graph, config)) => {
                let graph = Rc::new(graph);
                self.units.resize_with(graph.nodes.len(), Held::default);
                self.config = config;
                self.graph = Rc::clone(&graph);
                Event::Settled { graph: Some(graph) }
            }
            Err(diagnostics) => {
                let shown: Vec<_> =
                    diagnostics.into_iter().map(|one| self.loaded.illustrate(one)).collect();
                self.say(&shown);
                Event::Unsettled
            }
        };
        self.events.push_back(event);
    }

    fn say(&self, diagnostics: &[Diagnostic]) {
        for diagnostic in diagnostics {
            let level = match diagnostic.severity {
                Severity::Error => Level::Error,
                Severity::Warning => Level::Warn,
                Severity::Note => Level::Debug,
            };
            self.reporter.main(level, "configuration", format_args!("{diagnostic}"));
        }
    }

    fn sweep(&mut self, signal: Signal) {
        let everybody = std::process::id() == 1;
        if self.nothing_left() {
            // As PID 1 there may be others, who came in by `docker exec`.
            if everybody {
                processes::signal_all(signal.number(), self.writer());
            }
            self.events.push_back(Event::NothingLeft);
            return;
        }
        processes::signal_all(signal.number(), self.writer());
        processes::signal_all(libc::SIGCONT, self.writer());
        self.sweeping = Some(signal);
    }

    /// The child that writes trc's output where nothing else is safe, if there is one.
    fn writer(&self) -> Option<i32> {
        self.reporter.journal().writer_pids().first().copied()
    }

    fn nothing_left(&self) -> bool {
        match self.writer() {
            None => !processes::has_children(),
            Some(writer) => processes::descendants().iter().all(|pid| *pid == writer),
        }
    }

    fn read_capture(&mut self, id: UnitId, which: usize) {
        let journal = self.reporter.journal();
        if let Some(capture) = self.units[id.0].captures.get_mut(which) {
            capture.readable(journal, now());
        }
    }

    /// What a unit said before it ended comes ahead of the line that says it ended.
    fn drain_captures(&mut self, id: UnitId) {
        let journal = self.reporter.journal();
        for capture in &mut self.units[id.0].captures {
            capture.drain_available(journal, now());
        }
    }

    /// Why the run ends, in one line, with the last output of the unit concerned.
    fn reason_text(&self) -> String {
        let Some(reason) = self.engine.reason() else { return String::new() };
        let mut text = report::reason(&self.engine, &reason);
        if self.oom_victim.is_some_and(|id| reason.first_failure == Some(id)) {
            text.push_str(" by the OOM killer: the container's memory limit was reached");
        }
        if let Some(id) = reason.first_failure {
            let tails = self.units[id.0].captures.iter().rev().map(Capture::tail);
            let lines: Vec<String> = tails.flatten().collect();
            if !lines.is_empty() {
                text.push_str("; its last output: ");
                text.push_str(&lines.join(" | "));
            }
        }
        text
    }

    /// The end: nothing of trc's may live on, and the last line says why.
    fn finish(&mut self, status: u8) -> u8 {
        let survivors = self.end_all(crate::engine::UNKILLABLE_AFTER);
        let until = flush_deadline();
        let journal = self.reporter.journal();
        for capture in self.units.iter_mut().flat_map(|held| &mut held.captures) {
            capture.finish(journal, until);
        }
        self.reporter.main(Level::Info, "ended", format_args!("Exited (exitcode={status})"));
        if status != 0 && !self.graph.transparent {
            let mut text = self.reason_text();
            if !survivors.is_empty() {
                let named: Vec<String> = survivors
                    .iter()
                    .map(|pid| format!("{pid} ({})", processes::command(*pid).unwrap_or_default()))
                    .collect();
                text.push_str("; could not be killed: ");
                text.push_str(&named.join(", "));
            }
            self.reporter.main(Level::Error, "reason", format_args!("{text}"));
            report::termination_log(&text);
        }
        self.reporter.journal().flush_at_exit(flush_deadline());
        status
    }

    /// Kills whatever is left and reaps it, for as long as `patience`. As PID 1 the
    /// kernel does that when trc exits. Returns what survived.
    fn end_all(&mut self, patience: Duration) -> Vec<i32> {
        let until = now() + patience;
        if std::process::id() == 1 {
            return Vec::new();
        }
        while !self.nothing_left() {
            processes::signal_all(libc::SIGKILL, self.writer());
            if now() >= until {
                return processes::survivors();
            }
            self.events.clear();
            self.wait(Some((now() + Duration::from_millis(20)).min(until)));
            self.reap();
        }
        Vec::new()
    }
}

/// Why a unit was not started.
enum Failed {
    /// People have been told.
    Said,
    /// The kernel said so.
    Kernel(SpawnStage, i32),
}

impl From<Errno> for Failed {
    fn from(errno: Errno) -> Self {
        Self::Kernel(SpawnStage::Prepare, errno as i32)
    }
}

#[expect(clippy::disallowed_methods, reason = "the one clock of the run")]
fn now() -> Instant {
    Instant::now()
}
