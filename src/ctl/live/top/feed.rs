//! Everything that `trcctl top` waits for: answers of trc, records, keys and signals. Each has a thread
//! that waits, and sends an event.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use nix::sys::signal::{SigSet, Signal};
use ratatui::crossterm::event::{self, Event as Typed, KeyEventKind};

use super::state::{Need, Picture, Stream};
use super::update::Event;
use crate::ctl::live::act::PATIENCE;
use crate::ctl::live::ask::{NoAnswer, Trc};
use crate::ctl::live::status::EVERY;
use crate::wire::{About, Act, Ask, Drawing, JobState, JobStatus, Select, Units};

/// The number of past records that a stream begins with.
const PAST: usize = 500;
/// The signals that are events. Those that end the process have to leave the terminal as it was.
const SIGNALS: [Signal; 6] = [
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTSTP,
    Signal::SIGCONT,
];

/// Asks trc how everything is.
pub(super) struct Looker {
    trc: Trc,
    /// The graph of this run and this generation of its configuration.
    known: Option<((String, u32), Vec<Need>)>,
}

impl Looker {
    pub(super) fn new(trc: Trc) -> Self {
        Self { trc, known: None }
    }

    /// Asks once.
    pub(super) fn look(&mut self) -> Result<Picture, NoAnswer> {
        let about: About = self.trc.get(&Ask::About)?;
        let units = self.trc.get::<Units>(&Ask::Units)?.units;
        let health = self.trc.ask(&Ask::Health(Vec::new(), None))?.read()?;
        let configuration = (about.boot_id.clone(), about.generation);
        let needs = match &self.known {
            Some((of, needs)) if *of == configuration => needs.clone(),
            Some(_) | None => {
                let graph: Drawing = self.trc.get(&Ask::Graph)?;
                let needs = graph.edges.into_iter().filter(|edge| edge.written);
                let needs: Vec<_> = needs
                    .map(|edge| Need { unit: edge.to, of: edge.from, condition: edge.condition })
                    .collect();
                self.known = Some((configuration, needs.clone()));
                needs
            }
        };
        Ok(Picture { about, health, units, needs })
    }
}

/// What the thread that follows streams is told.
#[derive(Default)]
struct Follower {
    told: Mutex<Told>,
    changed: Condvar,
}

#[derive(Default)]
struct Told {
    /// The stream to follow instead, and its number.
    next: Option<(u32, Stream)>,
    /// The connection of the stream that is followed.
    connection: Option<UnixStream>,
}

/// The threads.
pub(super) struct Feed {
    socket: Option<PathBuf>,
    to: SyncSender<Event>,
    follower: Arc<Follower>,
}

impl Feed {
    /// Starts to look, and to wait for keys and signals.
    ///
    /// # Errors
    /// Returns why the signals cannot be blocked, or no thread can be started.
    pub(super) fn start(
        socket: Option<PathBuf>,
        mut looker: Looker,
        to: &SyncSender<Event>,
    ) -> io::Result<Self> {
        // All threads inherit the mask, so that only the one that waits for the signals gets them.
        let signals: SigSet = SIGNALS.into_iter().collect();
        signals.thread_block()?;
        let feed = Self { socket, to: to.clone(), follower: Arc::default() };
        feed.thread(move |to| {
            while let Ok(signal) = signals.wait()
                && to.send(Event::Signal(signal)).is_ok()
            {}
        })?;
        feed.thread(|to| {
            // An error means that the terminal is gone.
            while let Ok(typed) = event::read() {
                let event = match typed {
                    Typed::Key(key) if key.kind != KeyEventKind::Release => Event::Key(key),
                    Typed::Paste(text) => Event::Paste(text),
                    Typed::Resize(..) => Event::Resized,
                    _ => continue,
                };
                if to.send(event).is_err() {
                    return;
                }
            }
            _ = to.send(Event::Signal(Signal::SIGHUP));
        })?;
        feed.thread(move |to| {
            loop {
                pause();
                let seen = looker.look().map(Box::new).map_err(|why| one_line(&why));
                if to.send(Event::Looked(seen)).is_err() {
                    return;
                }
            }
        })?;
        let (trc, follower) = (feed.trc(), Arc::clone(&feed.follower));
        feed.thread(move |to| while follower.follow(&trc, to) {})?;
        Ok(feed)
    }

    fn thread(&self, run: impl FnOnce(&SyncSender<Event>) + Send + 'static) -> io::Result<()> {
        let to = self.to.clone();
        thread::Builder::new().spawn(move || run(&to)).map(drop)
    }

    fn trc(&self) -> Trc {
        Trc::at(self.socket.as_deref())
    }

    /// Follows a stream instead of any other one.
    pub(super) fn follow(&self, number: u32, stream: Stream) {
        let mut told = self.follower.lock();
        told.next = Some((number, stream));
        if let Some(connection) = told.connection.take() {
            _ = connection.shutdown(Shutdown::Both);
        }
        drop(told);
        self.follower.changed.notify_one();
    }

    /// Asks for a change, and waits until it is done.
    pub(super) fn act(&self, unit: String, act: Act) {
        let (trc, name) = (self.trc(), unit.clone());
        let started = self.thread(move |to| {
            let answer = |job: Result<JobState, NoAnswer>| {
                let job = job.map_err(|why| one_line(&why));
                _ = to.send(Event::Answered(unit.clone(), act, job));
            };
            let job: Result<JobState, _> = trc.get(&Ask::Act(unit.clone(), act));
            let number = match &job {
                Ok(job) if job.status == JobStatus::Running => job.id,
                Ok(_) | Err(_) => None,
            };
            answer(job);
            if let Some(number) = number {
                answer(trc.get(&Ask::Job(number, Some(PATIENCE))));
            }
        });
        if let Err(why) = started {
            _ = self.to.try_send(Event::Answered(name, act, Err(why.to_string())));
        }
    }
}

impl Follower {
    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is a stream to follow.
    fn next(&self) -> (u32, Stream) {
        let mut told = self.lock();
        loop {
            if let Some(next) = told.next.take() {
                return next;
            }
            told = self.changed.wait(told).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Follows a stream until it is over, or until there is another one to follow. Returns whether
    /// somebody still takes events.
    fn follow(&self, trc: &Trc, to: &SyncSender<Event>) -> bool {
        let (number, stream) = self.next();
        let select = |units| Select { units, last: PAST, since: None, grep: None, follow: true };
        let ask = match stream {
            Stream::Output(unit) => Ask::Logs(select(vec![unit])),
            Stream::Events => Ask::Events(select(Vec::new())),
        };
        let hold = |connection: &UnixStream| {
            let mut told = self.lock();
            if told.next.is_none() {
                told.connection = connection.try_clone().ok();
            } else {
                _ = connection.shutdown(Shutdown::Both);
            }
        };
        let done = trc.stream_held(&ask, hold, |json| match serde_json::from_str(json) {
            Ok(entry) => to.send(Event::Record(number, entry)).is_ok(),
            // A newer trc has records that this program does not know.
            Err(_) => true,
        });
        self.lock().connection = None;
        to.send(Event::Over(number, done.err().map(|why| one_line(&why)))).is_ok()
    }
}

#[expect(clippy::disallowed_methods, reason = "trcctl is not PID 1")]
fn pause() {
    thread::sleep(EVERY);
}

/// Returns why there is no answer, without the help that follows in further lines.
fn one_line(why: &NoAnswer) -> String {
    why.to_string().lines().next().unwrap_or_default().to_owned()
}
