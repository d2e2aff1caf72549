//! Reading a schedule.

use std::ops::Range;

use super::calendar::Times;
use super::{Field, Schedule, When, Why, Wrong};
use crate::text::span;

/// The words, with the fields that they stand for. The first word of equal ones is the canonical
/// one.
const WORDS: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// A part of the text, and where it begins.
#[derive(Clone, Copy)]
struct Part<'a> {
    text: &'a str,
    start: usize,
}

impl<'a> Part<'a> {
    fn at(self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }

    fn wrong(self, why: Why) -> Wrong {
        Wrong { why, at: self.at() }
    }

    fn trimmed(self) -> Self {
        let text = self.text.trim_start();
        Part { text: text.trim_end(), start: self.start + self.text.len() - text.len() }
    }

    /// Returns what is before the first `by`, and what is after it.
    fn split(self, by: impl Fn(char) -> bool) -> (Self, Option<Self>) {
        let Some((at, found)) = self.text.char_indices().find(|(_, c)| by(*c)) else {
            return (self, None);
        };
        let next = at + found.len_utf8();
        let after = Part { text: &self.text[next..], start: self.start + next };
        (Part { text: &self.text[..at], start: self.start }, Some(after))
    }

    /// Returns the parts between the separators.
    fn parts(self, by: impl Fn(char) -> bool) -> Vec<Part<'a>> {
        let mut found = Vec::new();
        let mut rest = Some(self);
        while let Some(left) = rest {
            let (part, after) = left.split(&by);
            found.push(part);
            rest = after;
        }
        found
    }
}

pub(super) fn schedule(text: &str) -> Result<Schedule, Wrong> {
    let whole = Part { text, start: 0 }.trimmed();
    let (first, rest) = whole.split(char::is_whitespace);
    if first.text.is_empty() {
        return Err(whole.wrong(Why::Empty));
    }
    if first.text == "every" {
        return interval(first, rest.map(Part::trimmed));
    }
    if first.text.starts_with('@') {
        return word(first, whole);
    }
    if let Some(zone) =
        first.text.strip_prefix("TZ=").or_else(|| first.text.strip_prefix("CRON_TZ="))
    {
        return Err(first.wrong(Why::Zone(zone.to_owned())));
    }
    let mut fields = whole.parts(char::is_whitespace);
    fields.retain(|field| !field.text.is_empty());
    let [minute, hour, day, month, weekday] = fields[..] else {
        let why = if fields.len() == 6 { Why::Seconds } else { Why::Fields(fields.len()) };
        return Err(whole.wrong(why));
    };
    Ok(Schedule {
        when: When::Times(times([minute, hour, day, month, weekday])?),
        text: fields
            .iter()
            .map(|field| field.text.to_ascii_uppercase())
            .collect::<Vec<_>>()
            .join(" "),
    })
}

fn interval(every: Part, time: Option<Part>) -> Result<Schedule, Wrong> {
    let Some(time) = time.filter(|time| !time.text.is_empty()) else {
        return Err(Wrong { why: Why::NoInterval, at: every.at().end..every.at().end });
    };
    let Some(found) = span(time.text) else {
        return Err(time.wrong(Why::Interval(time.text.to_owned())));
    };
    let seconds = i64::try_from(found.as_secs()).unwrap_or(0);
    if seconds < 1 {
        return Err(time.wrong(Why::Short));
    }
    if found.subsec_nanos() != 0 {
        return Err(time.wrong(Why::Fraction));
    }
    let units = [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let shown = units.iter().filter(|(amount, _)| *amount > 0);
    let shown: Vec<_> = shown.map(|(amount, unit)| format!("{amount}{unit}")).collect();
    Ok(Schedule { when: When::Every(seconds), text: format!("every {}", shown.concat()) })
}

fn word(first: Part, whole: Part) -> Result<Schedule, Wrong> {
    match whole.text.to_ascii_lowercase().as_str() {
        "@reboot" => return Err(whole.wrong(Why::Reboot)),
        "@every" => return Err(whole.wrong(Why::AtEvery("15m".to_owned()))),
        _ => {}
    }
    if let Some(time) = whole.text.strip_prefix("@every ") {
        return Err(whole.wrong(Why::AtEvery(time.trim().to_owned())));
    }
    let Some((_, fields)) = WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(whole.text))
    else {
        return Err(whole.wrong(Why::Word(first.text.to_owned())));
    };
    let word = WORDS.iter().find(|(_, same)| same == fields).map_or(first.text, |(word, _)| word);
    Ok(Schedule { text: word.to_owned(), ..schedule(fields)? })
}

fn times(parts: [Part; 5]) -> Result<Times, Wrong> {
    let mut sets = [0; 5];
    for ((set, field), part) in sets.iter_mut().zip(Field::ALL).zip(parts) {
        *set = values(field, part)?;
    }
    let [minutes, hours, days, months, weekdays] = sets;
    let [_, hour, day, _, weekday] = parts.map(|part| part.text.starts_with('*'));
    let times = Times {
        minutes,
        hours,
        days,
        months,
        // Sunday is 0 and 7.
        weekdays: (weekdays | weekdays >> 7) & 0x7f,
        follows_clock: hour || hours == 0xff_ffff,
        both_days: day || weekday,
    };
    if !times.has_dates() {
        let months = Field::Month.values().filter(|month| months >> month & 1 == 1).collect();
        let why = Why::NoDate { day: days.trailing_zeros(), months };
        return Err(Wrong { why, at: parts[2].start..parts[3].at().end });
    }
    Ok(times)
}

/// Reads the list of a field. Bit n of the result is the value n.
fn values(field: Field, list: Part) -> Result<u64, Wrong> {
    let mut set = 0;
    for element in list.parts(|c| c == ',') {
        let (range, step) = element.split(|c| c == '/');
        let (low, high) = bounds(field, range)?;
        let single = low == high && !range.text.contains('-');
        let stride = match step {
            None => 1,
            Some(part) => {
                let digits = part.text.bytes().all(|byte| byte.is_ascii_digit());
                let stride = part.text.parse().ok().filter(|stride| digits && *stride > 0);
                // A number that is too large for a u32 is a long step, too.
                let long = digits && part.text.bytes().any(|byte| byte != b'0');
                let Some(stride) = stride.or(long.then_some(u32::MAX)) else {
                    return Err(part.wrong(Why::Step(part.text.to_owned())));
                };
                if single {
                    let why = Why::StepOfOne(field, low, part.text.to_owned());
                    return Err(element.wrong(why));
                }
                if stride > high - low && stride > 1 {
                    return Err(part.wrong(Why::LongStep(field, part.text.to_owned(), low)));
                }
                stride
            }
        };
        let mut value = low;
        while value <= high {
            set |= 1 << value;
            value += stride;
        }
    }
    Ok(set)
}

/// Reads `*`, a value or a range.
fn bounds(field: Field, range: Part) -> Result<(u32, u32), Wrong> {
    if range.text == "*" {
        let (low, high) = field.values().into_inner();
        // Sunday is not counted twice.
        return Ok((low, if field == Field::Weekday { 6 } else { high }));
    }
    let (low, high) = range.split(|c| c == '-');
    let from = value(field, low)?;
    let Some(high) = high else { return Ok((from, from)) };
    let to = match value(field, high)? {
        // FRI-SUN
        0 if field == Field::Weekday && from > 0 => 7,
        to => to,
    };
    if from > to {
        return Err(range.wrong(Why::Backwards(field, from, to)));
    }
    Ok((from, to))
}

fn value(field: Field, part: Part) -> Result<u32, Wrong> {
    if part.text.is_empty() {
        return Err(part.wrong(Why::Nothing(field)));
    }
    let named = field.names().iter().zip(*field.values().start()..);
    let named = named.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(part.text));
    let digits = part.text.bytes().all(|byte| byte.is_ascii_digit());
    let number =
        || part.text.parse().ok().filter(|number| digits && field.values().contains(number));
    named
        .map(|(_, value)| value)
        .or_else(number)
        .ok_or_else(|| part.wrong(Why::Value(field, part.text.to_owned())))
}
