//! Times that were measured again and again.

use std::time::Duration;

use serde::Serialize;

/// The bars of a histogram, from low to high.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The number of bars, and the fewest times that are worth a histogram.
const BINS: usize = 8;

/// The times of a unit or a test, sorted.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Times(Vec<Duration>);

/// Their distribution.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Spread {
    #[serde(rename = "min_ms", serialize_with = "milliseconds")]
    pub min: Duration,
    #[serde(rename = "median_ms", serialize_with = "milliseconds")]
    pub median: Duration,
    #[serde(rename = "p90_ms", serialize_with = "milliseconds")]
    pub p90: Duration,
    #[serde(rename = "max_ms", serialize_with = "milliseconds")]
    pub max: Duration,
}

pub(super) fn milliseconds<S: serde::Serializer>(
    time: &Duration,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

impl Times {
    pub(super) fn add(&mut self, time: Duration) {
        let at = self.0.partition_point(|other| *other <= time);
        self.0.insert(at, time);
    }

    pub(super) fn all(&self) -> &[Duration] {
        &self.0
    }

    /// Returns the smallest time that this share of all times, in percent, does not exceed.
    fn rank(&self, percent: usize) -> Option<Duration> {
        let at = (self.0.len() * percent).div_ceil(100).max(1) - 1;
        self.0.get(at).copied()
    }

    pub(super) fn spread(&self) -> Option<Spread> {
        Some(Spread {
            min: *self.0.first()?,
            median: self.rank(50)?,
            p90: self.rank(90)?,
            max: *self.0.last()?,
        })
    }

    /// Returns a histogram in one word, from `min` to `max`, if the times differ enough to be worth
    /// one.
    pub(super) fn histogram(&self) -> Option<String> {
        let spread = self.spread()?;
        let width = spread.max.saturating_sub(spread.min);
        if self.0.len() < BINS || width < Duration::from_millis(20) || width < spread.median / 2 {
            return None;
        }
        let mut counts = [0_usize; BINS];
        for time in &self.0 {
            let place =
                time.saturating_sub(spread.min).as_nanos() * BINS as u128 / width.as_nanos();
            counts[usize::try_from(place).unwrap_or(BINS).min(BINS - 1)] += 1;
        }
        let most = counts.iter().copied().max()?;
        let bar = |count: usize| match count {
            0 => ' ',
            _ => BARS[(count * BARS.len()).div_ceil(most) - 1],
        };
        Some(counts.into_iter().map(bar).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(all: &[u64]) -> Times {
        let mut times = Times::default();
        for ms in all {
            times.add(Duration::from_millis(*ms));
        }
        times
    }

    #[test]
    fn the_spread_of_times() {
        for (all, expected) in [
            (&[7][..], [7, 7, 7, 7]),
            (&[3, 1], [1, 1, 3, 3]),
            (&[5, 4, 3, 2, 1], [1, 3, 5, 5]),
            (&[10, 9, 8, 7, 6, 5, 4, 3, 2, 1], [1, 5, 9, 10]),
        ] {
            let spread = times(all).spread().unwrap();
            let found = [spread.min, spread.median, spread.p90, spread.max];
            assert_eq!(found.map(|time| time.as_millis()), expected, "{all:?}");
        }
        assert_eq!(times(&[]).spread(), None);
    }

    #[test]
    fn a_histogram_shows_times_that_differ() {
        let all = [100, 100, 100, 100, 110, 110, 300, 900];
        assert_eq!(times(&all).histogram().unwrap(), "█ ▂    ▂");
        assert_eq!(times(&[100; 20]).histogram(), None);
        assert_eq!(times(&[1, 900]).histogram(), None);
    }
}
