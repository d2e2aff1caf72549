//! The clock of schedules: it tells the engine when a unit is due.
//!
//! A schedule of calendar times follows the wall clock, by a timer that the kernel also ends when
//! somebody sets that clock: `TFD_TIMER_CANCEL_ON_SET` of `timerfd_create(2)`. An interval
//! (`every 15m`) follows the monotonic clock, and no change of the wall clock moves it.
//!
//! - If trc did not run at the time, as in a paused container, the unit is due once when trc runs
//!   again, however many times it has missed. While the whole machine sleeps, the monotonic clock
//!   stands still, and so do intervals.
//! - If the clock is set forward past a time, the unit is due at once, and once.
//! - If the clock is set back by up to three hours, times that have already come are not repeated. If
//!   it is set back further, the schedule begins anew at the new time.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::os::fd::AsFd;
use std::time::{Duration, Instant, UNIX_EPOCH};

use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::unistd::read;

use super::Supervisor;
use super::source::{Call, Source, Watch};
use crate::engine::Event;
use crate::graph::UnitId;
use crate::run::os::clock::now;
use crate::run::os::localtime::{self, CLOCK};
use crate::schedule::{Schedule, Zone};
use crate::words::Observed;

/// The longest change of the clock after which times are not repeated, in seconds. It is that of
/// cron(8).
const CORRECTION: i64 = 3 * 3600;
/// The longest time after which trc looks at the clock if there is no timer.
const LOOK: Duration = Duration::from_mins(1);

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
    /// The last error of the timer, which people were told.
    failed: Option<Errno>,
    /// Whether the kernel refuses to tell when somebody sets the clock.
    deaf: bool,
    units: BTreeMap<UnitId, Due>,
    /// Whether the units are those of the present graph.
    known: bool,
    /// What makes delays random, and their number so far.
    chance: OnceCell<RandomState>,
    delays: u64,
}

/// When a unit is due.
struct Due {
    jitter: Duration,
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
                let fires = Duration::from_secs(u64::try_from(*fires).unwrap_or(0));
                let wall = (CLOCK.now)().duration_since(UNIX_EPOCH).unwrap_or_default();
                Some(fires.saturating_sub(wall))
            }
            Next::In { fires, .. } => Some(fires.saturating_duration_since(now)),
        }
    }

    /// Returns a random delay of up to `jitter`.
    fn delay(&mut self, jitter: Duration) -> Duration {
        self.delays = self.delays.wrapping_add(1);
        let most = u64::try_from(jitter.as_millis()).unwrap_or(u64::MAX);
        let chance = self.chance.get_or_init(RandomState::new).hash_one(self.delays);
        Duration::from_millis(chance % most.saturating_add(1))
    }

    /// Finds out when a unit is due next.
    fn find_next(&mut self, unit: UnitId, now: Instant, wall: i64) {
        let Some(due) = self.units.get(&unit) else { return };
        let jitter = due.jitter;
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
        let Some(first) = first else { return timer.unset() };
        let time = Expiration::OneShot(TimeSpec::new(first, 0));
        let (at, told) =
            (TimerSetTimeFlags::TFD_TIMER_ABSTIME, TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET);
        let done = timer.set(time, if self.deaf { at } else { at | told });
        // Some sandboxes do not know the flag.
        if done == Err(Errno::EINVAL) && !self.deaf {
            self.deaf = true;
            return timer.set(time, at);
        }
        done
    }

    /// Finds out anew when units are due by the wall clock, which somebody has set.
    fn follow_clock(&mut self, now: Instant, wall: i64) {
        let moves = |due: &Due| match due.next {
            // What is due now, or has only a delay to wait, stays so.
            Next::At { due, .. } => due > wall,
            Next::Never => due.when.interval().is_none(),
            Next::In { .. } => false,
        };
        let units = self.units.iter().filter(|(_, due)| moves(due)).map(|(unit, _)| *unit);
        for unit in units.collect::<Vec<_>>() {
            self.find_next(unit, now, wall);
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
        if self.engine.busy().is_some() {
            return;
        }
        let timer = schedules.timer.as_ref().filter(|_| schedules.set_to.is_some());
        if let Some(timer) = timer {
            watch.input(timer.as_fd(), Call::Once(Self::schedule_is_up));
        }
        for due in schedules.units.values() {
            match due.next {
                Next::In { fires, .. } => watch.until(Some(fires)),
                Next::At { fires, .. } if timer.is_none() => {
                    let left = u64::try_from(fires - wall()).unwrap_or(0);
                    let left = Duration::from_secs(left).min(LOOK);
                    watch.until(Some(watch.now + left));
                }
                Next::At { .. } | Next::Never => {}
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
        self.engine.busy().is_none() && graph.ids().any(|id| graph.node(id).runs_by_schedule())
    }

    /// Takes in that a time has come, or that somebody has set the clock.
    fn schedule_is_up(&mut self) {
        let Some(timer) = &self.schedules.timer else { return };
        // Not `TimerFd::wait`, which keeps ECANCELED to itself.
        let result = read(timer.as_fd(), &mut [0; 8]);
        self.schedules.set_to = None;
        if result == Err(Errno::ECANCELED) {
            self.clock_is_set();
        }
    }

    fn clock_is_set(&mut self) {
        self.observed(&Observed::ClockSet);
        self.schedules.follow_clock(now(), wall());
    }

    fn settle_schedules(&mut self, now: Instant) {
        if self.engine.busy().is_some() {
            self.schedules.units.clear();
        } else if !self.schedules.known {
            self.read_schedules(now);
        }
        if self.schedules.units.is_empty() && self.schedules.set_to.is_none() {
            return;
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
        match self.schedules.set_timer() {
            Ok(()) => self.schedules.failed = None,
            // The timer is set, but somebody had set the clock before.
            Err(Errno::ECANCELED) => {
                self.schedules.set_to = None;
                self.clock_is_set();
            }
            // There may be descriptors and memory again later.
            Err(errno) => {
                self.schedules.set_to = None;
                if self.schedules.failed.replace(errno) != Some(errno) {
                    self.observed(&Observed::NoTimer(errno.desc()));
                }
            }
        }
    }

    /// Takes the schedules of the graph. Those whose times have not changed go on.
    fn read_schedules(&mut self, now: Instant) {
        self.schedules.known = true;
        let mut before = std::mem::take(&mut self.schedules.units);
        for id in self.graph.ids() {
            let node = self.graph.node(id);
            let schedule = node.unit.schedule.as_ref().filter(|_| node.runs_by_schedule());
            let Some(schedule) = schedule else { continue };
            let Some(when) = schedule.when.as_ref().map(|when| when.value.clone()) else {
                continue;
            };
            let zone = match &schedule.tz {
                None => Zone::local(|seconds| localtime::local(seconds).offset),
                Some(zone) => zone.value.clone(),
            };
            let jitter = schedule.jitter;
            let due = match before.remove(&id) {
                Some(due) if due.when == when && due.zone == zone => Due { jitter, ..due },
                before => {
                    let last = before.and_then(|due| due.last);
                    let due = Due { jitter, when, zone, last, next: Next::Never };
                    self.schedules.units.insert(id, due);
                    self.schedules.find_next(id, now, wall());
                    continue;
                }
            };
            self.schedules.units.insert(id, due);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: UnitId = UnitId(0);

    fn with(when: &str, jitter: Duration) -> Schedules {
        let when = Schedule::parse(when).unwrap();
        let due = Due { jitter, when, zone: Zone::utc(), last: None, next: Next::Never };
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
    fn a_clock_that_is_set_leaves_what_is_due_and_only_waits_for_its_delay() {
        const HOUR: i64 = 3600;
        let mut schedules = with("0 12 * * *", Duration::from_mins(30));
        schedules.find_next(UNIT, now(), 11 * HOUR);
        let noon = at(&schedules);
        for (wall, next) in
            [(12 * HOUR + 1, noon.0), (10 * HOUR, 12 * HOUR), (36 * HOUR - 1, noon.0)]
        {
            schedules.follow_clock(now(), wall);
            assert_eq!(at(&schedules).0, next, "at {wall}");
        }
        // The clock was wrong by a day when trc began.
        schedules.find_next(UNIT, now(), 35 * HOUR);
        schedules.follow_clock(now(), 11 * HOUR);
        assert_eq!(at(&schedules).0, 12 * HOUR);
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
