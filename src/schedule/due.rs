//! From local times to moments: what a time zone makes of a schedule.
//!
//! Time consists of *spans*, in which the offset of the local time from UTC stays the same. The
//! local time jumps only between two spans.

use super::calendar::Times;
use super::zone::{LARGEST, Zone};

/// No schedule is due after 9999-12-31, and none is asked about times before 0001-01-01.
const FIRST: i64 = -62_135_596_800;
const LAST: i64 = 253_402_300_799;
/// Changes of the offset are looked for in steps of this many seconds. Two changes within one step
/// that cancel each other out would be overlooked, but no zone has such changes.
const STEP: i64 = 3 * 3600;
/// Local times that are this far apart come in the same order in every zone.
const FAR: i64 = 2 * LARGEST + 3600;
/// More spans than this cannot be close together, except in a zone that makes no sense.
const SPANS: usize = 256;

/// Returns the first moment after `after` at which a schedule is due.
pub(super) fn next(times: &Times, after: i64, zone: &Zone) -> Option<i64> {
    if after > LAST {
        return None;
    }
    let after = after.max(FIRST);
    let next = if times.follows_clock {
        by_the_clock(times, after, zone)
    } else {
        // Every time up to the latest local time that has ever been reached has had its turn.
        let time = times.at_or_after(reached(after, zone) + 1)?;
        first_at(time, zone)
    };
    next.filter(|next| *next <= LAST)
}

/// Returns the first moment after `after` whose local time is one of the times.
fn by_the_clock(times: &Times, after: i64, zone: &Zone) -> Option<i64> {
    // Nothing before this moment is due.
    let mut from = after + 1;
    for _ in 0..SPANS {
        let offset = zone.offset(from);
        let next = times.at_or_after(from + offset)? - offset;
        match end(from, next.min(from + FAR), zone) {
            Some(end) => from = end,
            None if next <= from + FAR => return Some(next),
            // No local time from here to shortly before the next one is due, whatever the zone does
            // in between.
            None => from = from.max(next - FAR),
        }
    }
    None
}

/// Returns the latest local time of all moments up to `after`.
fn reached(after: i64, zone: &Zone) -> i64 {
    let mut latest = after + zone.offset(after);
    let mut from = after - FAR;
    for _ in 0..SPANS {
        let Some(end) = end(from, after, zone) else { break };
        latest = latest.max(end - 1 + zone.offset(from));
        from = end;
    }
    latest
}

/// Returns the first moment at which the local time is `time`, or is later because `time` is
/// skipped.
fn first_at(time: i64, zone: &Zone) -> Option<i64> {
    let mut from = time - LARGEST - 3600;
    for _ in 0..SPANS {
        let moment = from.max(time - zone.offset(from));
        match end(from, moment, zone) {
            Some(end) => from = end,
            None => return Some(moment),
        }
    }
    None
}

/// Returns the first moment after `from`, and not after `to`, with another offset than at `from`.
fn end(from: i64, to: i64, zone: &Zone) -> Option<i64> {
    let offset = zone.offset(from);
    let mut same = from;
    while same < to {
        let mut other = to.min(same + STEP);
        if zone.offset(other) == offset {
            same = other;
            continue;
        }
        while other - same > 1 {
            let middle = same + (other - same) / 2;
            if zone.offset(middle) == offset {
                same = middle;
            } else {
                other = middle;
            }
        }
        return Some(other);
    }
    None
}
