//! The clock of schedules: it tells the engine when a unit is due.
//!
//! A schedule of calendar times follows the wall clock, by a timer that the kernel also ends when
//! somebody sets that clock: `TFD_TIMER_CANCEL_ON_SET` of `timerfd_create(2)`. An interval
//! (`every 15m`) follows the monotonic clock, and no change of the wall clock moves it.
//!
//! - If trc did not run at the time, as in a paused container, the unit is due once when trc runs
//!   again, however many times it has missed.
//! - If the clock is set forward past a time, the unit is due at once, and once.
//! - If the clock is set back by up to three hours, times that have already come are not repeated. If
//!   it is set back further, the schedule begins anew at the new time.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::time::{Duration, Instant, UNIX_EPOCH};

use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use super::Supervisor;
use super::source::{Call, Source, Watch};
use crate::config;
use crate::engine::Event;
use crate::graph::UnitId;
use crate::run::os::chance::chance;
use crate::run::os::clock::now;
use crate::run::os::localtime::{self, CLOCK};
use crate::schedule::{Schedule, Zone};
use crate::words::Observed;

/// The longest change of the clock after which times are not repeated, in seconds. It is that of
/// cron(8).
const CORRECTION: i64 = 3 * 3600;

pub(super) const SOURCE: Source = Source {
    watch: Supervisor::watch_schedules,
    settle: Supervisor::settle_schedules,
    // The clocks of schedules do not stand still.
    postpone: |_, _| {},
};

/// The units with a schedule, and when they are due.
#[derive(Default)]
pub(super) struct Schedules {
    /// The timer of the wall clock, once a unit needs it, and the time that it was set to.
    timer: Option<TimerFd>,
    set_to: Option<i64>,
    units: BTreeMap<UnitId, Due>,
    /// Whether the units are those of the present graph.
    known: bool,
    /// The number of random delays so far.
    delays: u64,
}

/// When a unit is due.
struct Due {
    settings: config::Schedule,
    when: Schedule,
    zone: Zone,
    /// The last time at which it was due by the wall clock, without a delay.
    last: Option<i64>,
    next: Next,
}

/// The next time at which a unit is due.
enum Next {
    Never,
    /// By the wall clock, in seconds since 1970: without and with a delay.
    At {
        due: i64,
        fires: i64,
    },
    /// By the monotonic clock: without and with a delay.
    In {
        due: Instant,
        fires: Instant,
    },
}

impl Schedules {
    /// Forgets what the graph says: another one has taken over.
    pub(super) fn changed(&mut self) {
        self.known = false;
    }

    /// Returns the time until a unit is due.
    pub(super) fn until(&self, unit: UnitId, now: Instant) -> Option<Duration> {
        match &self.units.get(&unit)?.next {
            Next::Never => None,
            Next::At { fires, .. } => {
                let left = u64::try_from(fires - wall()).unwrap_or(0);
                Some(Duration::from_secs(left))
            }
            Next::In { fires, .. } => Some(fires.saturating_duration_since(now)),
        }
    }

    /// Returns a random delay of up to `jitter`.
    fn delay(&mut self, jitter: Duration) -> Duration {
        self.delays = self.delays.wrapping_add(0x9e37_79b9_7f4a_7c15);
        // splitmix64: https://prng.di.unimi.it/splitmix64.c
        let mut z = chance().wrapping_add(self.delays);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let most = u64::try_from(jitter.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(z % most.saturating_add(1))
    }

    /// Finds out when a unit is due next.
    fn find_next(&mut self, unit: UnitId, now: Instant, wall: i64) {
        let Some(due) = self.units.get(&unit) else { return };
        let jitter = due.settings.jitter;
        let next = match (due.when.interval(), &due.next) {
            (Some(interval), Next::In { due, .. }) => {
                // What was missed is due once.
                let missed = now.saturating_duration_since(*due).as_nanos() / interval.as_nanos();
                let missed = u32::try_from(missed).unwrap_or(u32::MAX).saturating_add(1);
                let due = *due + interval.saturating_mul(missed);
                Next::In { due, fires: due + self.delay(jitter) }
            }
            (Some(interval), _) => {
                let due = now + interval;
                Next::In { due, fires: due + self.delay(jitter) }
            }
            (None, _) => {
                // The clock may have been corrected.
                let last = due.last.filter(|last| *last > wall && *last - wall <= CORRECTION);
                let next = due.when.next(last.unwrap_or(wall), 0, &due.zone);
                next.map_or(Next::Never, |due| {
                    let delay = i64::try_from(self.delay(jitter).as_secs()).unwrap_or(0);
                    Next::At { due, fires: due.saturating_add(delay) }
                })
            }
        };
        if let Some(due) = self.units.get_mut(&unit) {
            due.next = next;
        }
    }

    /// Sets the timer to the next time by the wall clock.
    fn set_timer(&mut self) -> Result<(), Errno> {
        let all = self.units.values().filter_map(|due| match due.next {
            Next::At { fires, .. } => Some(fires),
            Next::Never | Next::In { .. } => None,
        });
        let first = all.min();
        if first == self.set_to {
            return Ok(());
        }
        if self.timer.is_none() {
            let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
            self.timer = Some(TimerFd::new(ClockId::CLOCK_REALTIME, flags)?);
        }
        let Some(timer) = &self.timer else { return Ok(()) };
        self.set_to = first;
        match first {
            Some(first) => timer.set(
                Expiration::OneShot(TimeSpec::new(first, 0)),
                TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET,
            ),
            None => timer.unset(),
        }
    }
}

/// Returns the wall clock's time in seconds since 1970-01-01 00:00 UTC.
fn wall() -> i64 {
    let since = (CLOCK.now)().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

impl Supervisor {
    fn watch_schedules<'s>(&'s self, watch: &mut Watch<'s>) {
        let schedules = &self.schedules;
        if let (Some(timer), Some(_)) = (&schedules.timer, schedules.set_to) {
            watch.input(timer.as_fd(), Call::Once(Self::schedule_is_up));
        }
        for due in schedules.units.values() {
            if let Next::In { fires, .. } = due.next {
                watch.until(Some(fires));
            }
        }
        // Boot has finished, or another graph has taken over.
        if !schedules.known && self.has_schedules() {
            watch.until(Some(watch.now));
        }
    }

    /// Returns whether there are schedules to keep now.
    fn has_schedules(&self) -> bool {
        let graph = &self.graph;
        self.engine.busy().is_none() && graph.ids().any(|id| graph.node(id).is_scheduled())
    }

    /// Takes in that a time has come, or that somebody has set the clock.
    fn schedule_is_up(&mut self) {
        let Some(timer) = &self.schedules.timer else { return };
        let read = timer.wait();
        self.schedules.set_to = None;
        if read == Err(Errno::ECANCELED) {
            self.observed(&Observed::ClockSet);
            let wall = wall();
            let passed = |due: &Due| matches!(due.next, Next::At { fires, .. } if fires <= wall);
            let units: Vec<UnitId> = self.schedules.units.keys().copied().collect();
            for unit in units {
                let due = &self.schedules.units[&unit];
                if due.when.interval().is_none() && !passed(due) {
                    self.schedules.find_next(unit, now(), wall);
                }
            }
        }
    }

    fn settle_schedules(&mut self, now: Instant) {
        if !self.schedules.known {
            if self.engine.busy().is_some() {
                return;
            }
            self.read_schedules(now);
        }
        if self.engine.busy().is_some() {
            self.schedules.units.clear();
        }
        let wall = wall();
        let is_due = |due: &Due| match due.next {
            Next::Never => false,
            Next::At { fires, .. } => fires <= wall,
            Next::In { fires, .. } => fires <= now,
        };
        let units = self.schedules.units.iter().filter(|(_, due)| is_due(due));
        for unit in units.map(|(unit, _)| *unit).collect::<Vec<_>>() {
            self.events.push_back(Event::Due { unit });
            if let Some(it) = self.schedules.units.get_mut(&unit)
                && let Next::At { due, .. } = it.next
            {
                it.last = Some(due);
            }
            self.schedules.find_next(unit, now, wall);
        }
        if let Err(errno) = self.schedules.set_timer() {
            // There may be descriptors and memory again by the next turn.
            self.schedules.set_to = None;
            self.observed(&Observed::NoTimer(errno.desc()));
        }
    }

    /// Takes the schedules of the graph. Those that have not changed go on.
    fn read_schedules(&mut self, now: Instant) {
        self.schedules.known = true;
        let mut before = std::mem::take(&mut self.schedules.units);
        for id in self.graph.ids() {
            let Some(settings) = &self.graph.node(id).unit.schedule else { continue };
            let Some(when) = settings.when.as_ref().map(|when| when.value.clone()) else {
                continue;
            };
            if let Some(same) = before.remove(&id).filter(|due| due.settings == **settings) {
                self.schedules.units.insert(id, same);
                continue;
            }
            let zone = match &settings.tz {
                None => Zone::local(|seconds| localtime::local(seconds).offset),
                // It was there when the configuration was read.
                Some(name) => Zone::named(&name.value, std::env::var_os("TZDIR").as_deref())
                    .unwrap_or_else(|_| Zone::utc()),
            };
            let (settings, last) = (config::Schedule::clone(settings), None);
            self.schedules.units.insert(id, Due { settings, when, zone, last, next: Next::Never });
            self.schedules.find_next(id, now, wall());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: UnitId = UnitId(0);

    fn with(when: &str, jitter: Duration) -> Schedules {
        let when = Schedule::parse(when).unwrap();
        let settings = config::Schedule { jitter, ..config::Schedule::default() };
        let due = Due { settings, when, zone: Zone::utc(), last: None, next: Next::Never };
        Schedules { units: BTreeMap::from([(UNIT, due)]), ..Schedules::default() }
    }

    fn at(schedules: &Schedules) -> (i64, i64) {
        match schedules.units[&UNIT].next {
            Next::At { due, fires } => (due, fires),
            Next::Never | Next::In { .. } => panic!("it follows the wall clock"),
        }
    }

    fn after(schedules: &Schedules, begin: Instant) -> Duration {
        match schedules.units[&UNIT].next {
            Next::In { due, .. } => due - begin,
            Next::Never | Next::At { .. } => panic!("it follows the monotonic clock"),
        }
    }

    #[test]
    fn an_interval_that_was_missed_is_due_once_and_then_as_if_nothing_had_happened() {
        let begin = now();
        let second = Duration::from_secs(1);
        let mut schedules = with("every 10s", Duration::ZERO);
        // No change of the wall clock moves it.
        for (passed, wall, next) in [(0, 0, 10), (10, 99_999, 20), (21, -5, 30), (75, 7, 80)] {
            schedules.find_next(UNIT, begin + second * passed, wall);
            assert_eq!(after(&schedules, begin), second * next, "after {passed} s");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_a_little_repeats_nothing() {
        const HOUR: i64 = 3600;
        for (back, next) in [(HOUR, 13), (3 * HOUR, 13), (3 * HOUR + 1, 9), (5 * HOUR, 8)] {
            let mut schedules = with("0 * * * *", Duration::ZERO);
            schedules.find_next(UNIT, now(), 11 * HOUR + 1);
            assert_eq!(at(&schedules), (12 * HOUR, 12 * HOUR));
            // It is due at noon, and then the clock is set back.
            schedules.units.get_mut(&UNIT).unwrap().last = Some(12 * HOUR);
            schedules.find_next(UNIT, now(), 12 * HOUR - back);
            assert_eq!(at(&schedules).0 / HOUR, next, "back by {back} s");
        }
    }

    #[test]
    fn a_delay_is_random_and_does_not_add_up() {
        let jitter = Duration::from_secs(30);
        let mut schedules = with("* * * * *", jitter);
        let mut delays = std::collections::BTreeSet::new();
        for minute in 0..100 {
            schedules.find_next(UNIT, now(), minute * 60);
            let (due, fires) = at(&schedules);
            assert_eq!(due, (minute + 1) * 60);
            assert!((0..=30).contains(&(fires - due)));
            delays.insert(fires - due);
        }
        assert!(delays.len() > 10, "{delays:?}");
    }
}
