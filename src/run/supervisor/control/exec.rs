//! Commands that clients of the control socket run as a unit: `POST /v1/exec`.
//!
//! Such a command is a helper with the user, the environment and the limits of its unit, but it
//! belongs to nobody: it leads a session of its own, bears no birthmark, and neither a wait policy
//! nor a stop of the unit knows of it. Its standard streams are those of the client, from whom it
//! receives them itself, so that PID 1 never holds one of them. Its exit is the answer to the
//! request.
//!
//! A client that goes away has hung up: the command gets SIGHUP, as from a terminal, and SIGKILL if
//! it still runs after a while. The same happens when the run has stopped, and the sweep begins.

use std::rc::Rc;
use std::time::Instant;

use nix::errno::Errno;

use super::super::Supervisor;
use super::super::helper::{Duty, NotExecuted};
use super::super::source::Source;
use crate::config::Template;
use crate::engine::{Asker, Ending, SpawnStage};
use crate::graph::{STOP_TIMEOUT, UnitId};
use crate::run::os::clock::now;
use crate::run::os::{processes, rights};
use crate::run::prepare::Problem as Unprepared;
use crate::run::spawn::Passed;
use crate::status;
use crate::wire::{Code, Exec, Executed, Problem};
use crate::words::{self, Observed};

/// The largest number of commands at once.
const MOST: usize = 16;

/// A command that a client runs as a unit.
pub(in crate::run::supervisor) struct Execution {
    /// The client that waits for its exit.
    pub client: u32,
    /// The unit's name.
    unit: String,
    program: Template,
    /// Whether the command was told that its client has gone.
    hung_up: bool,
}

pub(in crate::run::supervisor) const SOURCE: Source =
    Source { settle: Supervisor::hang_up_the_left, ..Source::new(|_, _| {}) };

impl Supervisor {
    /// Starts a command for a client.
    ///
    /// # Errors
    /// Returns why this is refused.
    pub(super) fn take_on_exec(&mut self, client: u32, exec: &Exec) -> Result<(), Problem> {
        let id = self.unit_named(&exec.unit)?;
        if let Some(why) = self.engine.refuses_exec(id) {
            let detail = words::refusal(&self.graph.node(id).unit.id(), why);
            return Err(Problem::new(super::answers::refusal(why), detail));
        }
        if self.execs.len() >= MOST {
            let detail = format!("{MOST} commands are running already: wait until one has exited");
            return Err(Problem::new(Code::Busy, detail));
        }
        let graph = Rc::clone(&self.graph);
        let unit = &graph.node(id).unit;
        let Some((asker, peer)) = self.asker(client).zip(self.client(client)) else {
            return Ok(());
        };
        // The arguments of trcctl are those of the command, which may be a secret.
        let asker = Asker { command: None, ..asker };
        let Some(bytes) = peer.passed() else { return Err(not_three()) };
        let passed = Passed { socket: peer.socket(), bytes, terminal: exec.tty };
        let command: Vec<Template> = exec.command.iter().map(Template::literal).collect();
        let Some(program) = command.first().cloned() else { return Ok(()) };
        let term = exec.term.clone().map(|term| ("TERM", term));
        let launch = self.surroundings(None).command(unit, &command, term.as_slice());
        let started = launch.and_then(|mut launch| {
            launch.passed = Some(passed);
            Ok(self.start_helper(id, Duty::Exec, launch, None, None)?)
        });
        self.observed(&Observed::Executes(id, &asker, &exec.command[0]));
        match started {
            Ok(pid) => {
                let execution = Execution { client, unit: unit.id(), program, hung_up: false };
                self.execs.insert(pid, execution);
                if let Some(client) = self.client(client) {
                    client.runs(pid);
                }
            }
            Err(Unprepared { why, .. }) => {
                let (status, why) = (status::CANNOT_EXECUTE, Some(why.to_string()));
                let unit = unit.id();
                self.executed(client, &Executed { unit, status, signal: None, why });
            }
        }
        Ok(())
    }

    /// Handles a child that has executed its command, or cannot: it has received its descriptors.
    pub(in crate::run::supervisor) fn exec_received(&mut self, pid: i32) {
        let Some(client) = self.execs.get(&pid).map(|execution| execution.client) else { return };
        if let Some(client) = self.client(client) {
            client.received(pid);
        }
        // The client may have gone before.
        rights::ended(pid);
    }

    /// Handles a command that has exited, or that could not be executed.
    pub(in crate::run::supervisor) fn exec_ended(
        &mut self,
        pid: i32,
        id: UnitId,
        ending: Result<Ending, NotExecuted>,
    ) {
        let Some(Execution { client, unit, program, .. }) = self.execs.remove(&pid) else { return };
        let answer = match ending {
            Ok(ending) => {
                let signal = match ending {
                    Ending::Signal(signal) => Some(signal.to_string()),
                    Ending::Code(_) => None,
                };
                Executed { unit, status: ending.status(), signal, why: None }
            }
            Err(not) => match (not.failure.stage, not.failure.errno) {
                (SpawnStage::Streams, Errno::EBADMSG) => {
                    if let Some(peer) = self.client(client) {
                        peer.refuse(&not_three(), now());
                    }
                    return self.send_to(client);
                }
                (stage, errno) => {
                    let missing = stage == SpawnStage::Execute && errno == Errno::ENOENT;
                    let status = if missing { status::NOT_FOUND } else { status::CANNOT_EXECUTE };
                    let why = not.told(&self.graph, id, &program);
                    Executed { unit, status, signal: None, why: Some(why) }
                }
            },
        };
        self.executed(client, &answer);
    }

    fn executed(&mut self, client: u32, answer: &Executed) {
        if let Some(client) = self.client(client) {
            client.answer(200, &serde_json::to_vec(answer).unwrap_or_default(), now());
        }
        self.send_to(client);
    }

    /// Hangs up the commands whose clients have gone.
    fn hang_up_the_left(&mut self, now: Instant) {
        if !self.execs.is_empty() {
            self.hang_up(now, |it, client| !it.has_client(client));
        }
    }

    /// Hangs up every command, because the run ends.
    pub(in crate::run::supervisor) fn hang_up_all(&mut self) {
        self.hang_up(now(), |_, _| true);
    }

    fn hang_up(&mut self, now: Instant, whom: impl Fn(&Self, u32) -> bool) {
        let waiting = self.execs.iter().filter(|(_, execution)| !execution.hung_up);
        let whom: Vec<i32> = waiting
            .filter(|(_, execution)| whom(self, execution.client))
            .map(|(pid, _)| *pid)
            .collect();
        for pid in whom {
            // The child may not lead its session yet.
            for to in [-pid, pid] {
                processes::signal(to, libc::SIGHUP);
                processes::signal(to, libc::SIGCONT);
            }
            if let Some(execution) = self.execs.get_mut(&pid) {
                execution.hung_up = true;
            }
            self.limit_helper(pid, now + STOP_TIMEOUT);
        }
    }
}

fn not_three() -> Problem {
    let detail = "send three descriptors with the last byte of the request: the standard input, \
                  output and error of the command (SCM_RIGHTS)";
    Problem::new(Code::BadRequest, detail)
}
