//! Decides a recorded run again.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use log::LevelFilter;

use super::{Entry, Head, Offered, VERSION};
use crate::config::Diagnostic;
use crate::engine::{Action, Engine, Event, Fact, Tick};
use crate::graph::{Graph, UnitId};
use crate::report::timeline::Timeline;
use crate::words::{self, EventName, Line};

/// A line of the log, as far as a replay knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Told {
    /// The time since the run began.
    pub at: Tick,
    /// The log level.
    pub level: log::Level,
    /// The kind of event, as in JSON lines of the log.
    pub event: String,
    /// The exit status, if something has exited.
    pub status: Option<u8>,
    /// The unit that the line is about.
    pub unit: Option<String>,
    /// The message.
    pub message: String,
}

/// Whoever follows a replay.
pub(crate) trait Audience {
    /// trc has written a line.
    fn told(&mut self, line: Told);

    /// The engine has decided what follows from an event.
    fn decided(&mut self, _at: Tick, _event: &Event, _then: &[Action], _graph: &Graph) {}
}

/// Nobody.
impl Audience for () {
    fn told(&mut self, _: Told) {}
}

/// The reason why a record cannot be replayed.
#[derive(Debug)]
pub(crate) enum Unplayable {
    /// This line of the file, counted from 1, is not an entry of a record.
    NoEntry(usize, String),
    /// The file does not begin as a record does.
    NoRecord,
    /// A later trc has written it, with this version of the format.
    Later(u32),
    /// A configuration of the record, or a value that was to replace one, is wrong.
    Settings(Vec<Diagnostic>),
    /// An event on this line is about a unit that there is not.
    NoUnit(usize),
}

/// A place where a replay and its record differ.
#[derive(Debug)]
pub(crate) struct Difference {
    /// The line of the file, counted from 1.
    pub line: usize,
    /// The time since the run began.
    pub at: Tick,
    /// The event.
    pub event: String,
    /// What the record says that the engine has decided.
    pub recorded: Vec<String>,
    /// What it decides now.
    pub decided: Vec<String>,
}

/// The end of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tail {
    /// The run has ended.
    Ended,
    /// The record had reached its greatest size.
    Full,
    /// trc was killed, or still runs.
    Open,
}

/// A run that was decided again.
pub(crate) struct Replayed {
    /// The version of trc that has written the record.
    pub by: String,
    /// The number of trc's own process.
    pub pid: i32,
    /// The first place where the replay and the record differ, if there is one. It ends there.
    pub differs: Option<Difference>,
    /// The number of events.
    pub events: usize,
    /// The time of the last event.
    pub until: Tick,
    /// Whether it is the record of a test run.
    pub tested: bool,
    /// How the record ends.
    pub tail: Tail,
    /// The exit status of the run, if it has ended.
    pub status: Option<u8>,
    /// The states of the units over time.
    pub timeline: Timeline,
}

/// The number of entries among which the process of a start is looked for.
const NEAR: usize = 10_000;
/// The largest file that is read, in bytes: that of a record, and of its last lines.
const LARGEST: u64 = 80 << 20;

/// Returns the contents of a file that may be a record. A FIFO or a device is none, however long its
/// reader would wait.
///
/// # Errors
/// Returns why the file cannot be read, or is too large.
pub(crate) fn load(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LARGEST {
        return Err(io::Error::other("it is larger than any record"));
    }
    Ok(text)
}

/// Reads the lines of a record, with their numbers. A last line without its end does not count.
///
/// # Errors
/// Returns the first line that is not an entry.
pub(crate) fn read(text: &[u8]) -> Result<Vec<(usize, Entry)>, Unplayable> {
    let whole = memchr::memrchr(b'\n', text).map_or(0, |end| end + 1);
    let lines = text[..whole].split(|byte| *byte == b'\n').zip(1..);
    let lines = lines.filter(|(line, _)| !line.is_empty());
    let entry = |(line, number)| match serde_json::from_slice(line) {
        Ok(entry) => Ok((number, entry)),
        Err(_) if number == 1 => Err(Unplayable::NoRecord),
        Err(error) => Err(Unplayable::NoEntry(number, error.to_string())),
    };
    lines.map(entry).collect()
}

/// Decides the run of a record again, and tells every line that trc has written about it.
///
/// # Errors
/// Returns why the record cannot be replayed.
pub(crate) fn replay(
    path: &Path,
    entries: &[(usize, Entry)],
    audience: &mut dyn Audience,
) -> Result<Replayed, Unplayable> {
    let Some(((_, Entry::Head(head)), entries)) = entries.split_first() else {
        return Err(Unplayable::NoRecord);
    };
    if head.record > VERSION {
        return Err(Unplayable::Later(head.record));
    }
    let graph = head.settings.graph(path, &[]).map_err(Unplayable::Settings)?;
    let graph = Rc::new(graph);
    let mut player = Player {
        path,
        engine: Engine::new(Rc::clone(&graph), head.chance),
        graph,
        level: head.settings.level(),
        next_level: None,
        decisions: (Vec::new(), 0),
        at: Duration::ZERO,
        events: 0,
        differs: None,
        audience,
        head,
    };
    let (mut tail, mut status) = (Tail::Open, None);
    for (at, (line, entry)) in entries.iter().enumerate() {
        // The events after a difference are those of another run.
        if player.differs.is_some() {
            break;
        }
        match entry {
            Entry::Said(said) => player.tell_decisions(said.after, &entries[at..]),
            _ => player.tell_decisions(usize::MAX, &entries[at..]),
        }
        match entry {
            Entry::Head(_) => return Err(Unplayable::NoRecord),
            Entry::Step(step) => {
                player.step(*line, Duration::from_nanos(step.at), &step.event, &step.then)?;
            }
            Entry::Offer(offered) => player.offer(*line, offered)?,
            Entry::Said(said) => {
                let level = said.level.parse().unwrap_or(log::Level::Info);
                let unit = said.unit.filter(|id| player.knows(*id));
                let unit = unit.map(|id| player.graph.node(id).unit.id());
                let (event, message) = (said.event.clone(), said.message.clone());
                player.tell(Told { at: player.at, level, event, status: None, unit, message });
            }
            Entry::End { status: ended, why, line: last } => {
                (tail, status) = (Tail::Ended, Some(*ended));
                player.end(*line, why, last.as_deref());
            }
            Entry::Full => tail = Tail::Full,
        }
    }
    player.tell_decisions(usize::MAX, &[]);
    let timeline = super::timeline(&player.engine, player.at, tail == Tail::Ended);
    let Player { head, differs, events, at: until, .. } = player;
    let (by, pid) = (head.trc.clone(), head.pid);
    Ok(Replayed {
        by,
        pid,
        tested: head.settings.is_tested(),
        differs,
        events,
        until,
        tail,
        status,
        timeline,
    })
}

struct Player<'a> {
    path: &'a Path,
    head: &'a Head,
    engine: Engine,
    /// The graph by which trc named its units at that time.
    graph: Rc<Graph>,
    level: LevelFilter,
    /// The log level of the graph that is about to take over.
    next_level: Option<LevelFilter>,
    /// The decisions of the last event, and how many of them were told.
    decisions: (Vec<Action>, usize),
    at: Tick,
    events: usize,
    differs: Option<Difference>,
    audience: &'a mut dyn Audience,
}

impl Player<'_> {
    fn knows(&self, id: UnitId) -> bool {
        id.0 < self.graph.nodes.len().min(self.engine.graph().nodes.len())
    }

    fn step(
        &mut self,
        line: usize,
        at: Tick,
        event: &Event,
        recorded: &[String],
    ) -> Result<(), Unplayable> {
        if !units(event).into_iter().all(|id| self.knows(id)) {
            return Err(Unplayable::NoUnit(line));
        }
        self.at = at;
        self.events += 1;
        let mut actions = Vec::new();
        self.engine.step(at, event.clone(), &mut actions);
        if self.differs.is_none() {
            let decided: Vec<String> = actions.iter().map(|action| format!("{action:?}")).collect();
            if decided != recorded {
                let (event, recorded) = (format!("{event:?}"), recorded.to_vec());
                self.differs = Some(Difference { line, at, event, recorded, decided });
            }
        }
        // It also has the units of a graph that takes over just now.
        self.audience.decided(at, event, &actions, self.engine.graph());
        self.decisions = (actions, 0);
        Ok(())
    }

    /// Tells this many of the last decisions, unless they were told already. What follows tells the
    /// processes of the units that they start.
    fn tell_decisions(&mut self, count: usize, next: &[(usize, Entry)]) {
        let (actions, told) = std::mem::take(&mut self.decisions);
        let count = count.min(actions.len()).max(told);
        for action in &actions[told..count] {
            self.act(action, next);
        }
        self.decisions = (actions, count);
    }

    fn act(&mut self, action: &Action, next: &[(usize, Entry)]) {
        match action {
            Action::Spawn(id) => self.tell_start(*id, next, words::started),
            Action::PreStart(id) => self.tell_start(*id, next, words::pre_started),
            Action::TakeOver => self.graph = Rc::clone(self.engine.graph()),
            Action::Tell(Fact::Unheard { .. }) if self.head.terminal => {}
            Action::Tell(fact) => {
                for line in words::fact(&self.graph, fact) {
                    if !self.head.silent || words::concerns_trc(fact, &line) {
                        self.tell_line(line);
                    }
                }
                if matches!(fact, Fact::Reloaded { .. } | Fact::Restored { .. })
                    && let Some(next) = self.next_level.take()
                {
                    self.next_level = Some(std::mem::replace(&mut self.level, next));
                }
            }
            _ => {}
        }
    }

    /// Tells that trc has started a process, if it could.
    fn tell_start(
        &mut self,
        id: UnitId,
        next: &[(usize, Entry)],
        line: fn(&Graph, UnitId, i32) -> Line,
    ) {
        // It follows at once.
        let pid = next.iter().take(NEAR).find_map(|(_, entry)| match entry {
            Entry::Step(step) => match step.event {
                Event::Forked { unit, pid } if unit == id => Some(Some(pid)),
                Event::SpawnFailed { unit, .. } if unit == id => Some(None),
                _ => None,
            },
            _ => None,
        });
        if let Some(pid) = pid.flatten().filter(|_| !self.head.silent) {
            self.tell_line(line(&self.graph, id, pid));
        }
    }

    fn offer(&mut self, line: usize, offered: &Offered) -> Result<(), Unplayable> {
        let graph = offered.settings.graph(self.path, &[]).map_err(Unplayable::Settings)?;
        let spare = if offered.reload { self.engine.spare() } else { Vec::new() };
        let graph = Graph { transparent: false, ..graph.over_reusing(self.engine.graph(), &spare) };
        let graph = Rc::new(graph);
        let replaced = offered.replaced.clone();
        if replaced.iter().any(|id| id.0 >= graph.nodes.len()) {
            return Err(Unplayable::NoUnit(line));
        }
        if offered.keep {
            self.engine.offer_for_good(Rc::clone(&graph), replaced);
        } else {
            self.engine.offer(Rc::clone(&graph), replaced);
        }
        if offered.reload {
            self.next_level = Some(offered.settings.level());
        } else {
            (self.graph, self.level) = (graph, offered.settings.level());
        }
        Ok(())
    }

    /// Compares the end of the run with that of the record, and tells the last line.
    fn end(&mut self, line: usize, recorded: &str, last: Option<&str>) {
        let reason = self.engine.reason();
        let why = reason.map(|reason| words::reason::reason(&self.engine, &reason));
        let why = why.unwrap_or_default();
        if self.differs.is_none() && why != recorded {
            self.differs = Some(Difference {
                line,
                at: self.at,
                event: "the end of the run".to_owned(),
                recorded: vec![recorded.to_owned()],
                decided: vec![why.clone()],
            });
        }
        if let Some(last) = last {
            // It also has what is no decision, such as a report that could not be written.
            let line = last.replacen(recorded, &why, 1);
            self.tell_line(Line::of_run(log::Level::Error, EventName::Reason, line));
        }
    }

    fn tell_line(&mut self, line: Line) {
        let unit = line.unit.map(|id| self.graph.node(id).unit.id());
        let Line { level, event, status, message, .. } = line;
        let event = event.word().to_owned();
        self.tell(Told { at: self.at, level, event, status, unit, message });
    }

    fn tell(&mut self, line: Told) {
        if line.level <= self.level {
            self.audience.told(line);
        }
    }
}

/// Returns the units that an event names, each of which has to exist.
fn units(event: &Event) -> Vec<UnitId> {
    match event {
        Event::Due { unit }
        | Event::Forked { unit, .. }
        | Event::Executed { unit }
        | Event::SpawnFailed { unit, .. }
        | Event::Exited { unit, .. }
        | Event::LeftoversGone { unit }
        | Event::StopCommandEnded { unit, .. }
        | Event::PostStopEnded { unit, .. }
        | Event::ReloadCommandEnded { unit, .. }
        | Event::Paused { unit }
        | Event::Probed { unit, .. }
        | Event::Unfound { unit, .. }
        | Event::Notified { unit, .. }
        | Event::Learnt { unit, .. }
        | Event::Tried { unit, .. } => vec![*unit],
        Event::Request { unit, asker, .. } => asker.unit.into_iter().chain([*unit]).collect(),
        Event::Signal { sender, .. } => sender.asker.unit.into_iter().collect(),
        Event::Cancel { asker, .. } | Event::Shutdown { asker, .. } | Event::Reload { asker } => {
            asker.unit.into_iter().collect()
        }
        Event::Inspected { escaped, .. } => escaped.clone(),
        Event::Remains { late, .. } => late.iter().map(|(unit, _)| *unit).collect(),
        Event::Begin
        | Event::Settled { .. }
        | Event::Unsettled
        | Event::OomKilled
        | Event::NothingLeft
        | Event::Overslept { .. }
        | Event::Woken => Vec::new(),
    }
}
