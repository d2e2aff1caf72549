//! The reasons why a text is not a schedule.

use std::fmt;
use std::ops::{Range, RangeInclusive};

/// A field of an expression.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Field {
    Minute,
    Hour,
    Day,
    Month,
    Weekday,
}

impl Field {
    /// The fields of an expression in their order.
    pub(super) const ALL: [Self; 5] =
        [Self::Minute, Self::Hour, Self::Day, Self::Month, Self::Weekday];

    /// Returns the values that can be written.
    pub(super) fn values(self) -> RangeInclusive<u32> {
        match self {
            Self::Minute => 0..=59,
            Self::Hour => 0..=23,
            Self::Day => 1..=31,
            Self::Month => 1..=12,
            Self::Weekday => 0..=7,
        }
    }

    /// Returns the names of values, of which the first is the least value.
    pub(super) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Minute | Self::Hour | Self::Day => &[],
            Self::Month => &MONTHS,
            Self::Weekday => &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
        }
    }

    /// Returns one of its values, in words.
    fn label(self) -> &'static str {
        match self {
            Self::Minute => "a minute",
            Self::Hour => "an hour",
            Self::Day => "a day of the month",
            Self::Month => "a month",
            Self::Weekday => "a day of the week",
        }
    }
}

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];

/// What is wrong with the text of a schedule, and where. `Display` is what is wrong;
/// [`Wrong::help`] is what would be right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Wrong {
    pub why: Why,
    /// The bytes of the text that it is about, which are whole characters. The range is empty if
    /// something is missing there.
    pub at: Range<usize>,
}

/// The reason why a text is not a schedule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Why {
    Empty,
    /// `@reboot`
    Reboot,
    /// `@every 5m`, as other programs write it: the time.
    AtEvery(String),
    /// Another word that begins with `@`.
    Word(String),
    /// `TZ=Europe/Berlin` or `CRON_TZ=Europe/Berlin`: the zone.
    Zone(String),
    /// `every` without a time.
    NoInterval,
    /// `every`, and this, which is not a time.
    Interval(String),
    /// An interval that is shorter than a second.
    Short,
    /// An interval that is not a whole number of seconds.
    Fraction,
    /// Six fields, the first or the last of which are seconds for other programs.
    Seconds,
    /// Another number of fields than five.
    Fields(usize),
    /// An element of a list with nothing in it.
    Nothing(Field),
    /// A value that is not one of the field's.
    Value(Field, String),
    /// The range goes backwards, from one value to another.
    Backwards(Field, u32, u32),
    /// A step that is not a number from 1 up.
    Step(String),
    /// A step in a range with so few values, the first of which is this one, that no other is due.
    LongStep(Field, String, u32),
    /// A step after a single value, such as `5/10`.
    StepOfOne(Field, u32, String),
    /// The days exist in none of the months.
    NoDate {
        /// The least of the days.
        day: u32,
        months: Vec<u32>,
    },
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            Why::Empty => write!(f, "the schedule is empty"),
            Why::Reboot => write!(f, "@reboot is not a time"),
            Why::AtEvery(_) => write!(f, "an interval is written without @"),
            Why::Word(word) => write!(f, "there is no schedule {word}"),
            Why::Zone(_) => write!(f, "the time zone is not part of the schedule"),
            Why::NoInterval => write!(f, "there is no time after \"every\""),
            Why::Interval(text) => write!(f, "\"{text}\" is not a time"),
            Why::Short => write!(f, "the interval is shorter than 1 s"),
            Why::Fraction => write!(f, "the interval is not a whole number of seconds"),
            Why::Seconds => write!(f, "six fields: a schedule has no field for seconds"),
            Why::Fields(1) => write!(f, "expected five fields, found one"),
            Why::Fields(found) => write!(f, "expected five fields, found {found}"),
            Why::Nothing(field) => write!(f, "{} is missing", field.label()),
            Why::Value(field, value) => write!(f, "\"{value}\" is not {}", field.label()),
            Why::Backwards(..) => write!(f, "the range goes backwards"),
            Why::Step(step) => write!(f, "\"{step}\" is not a step"),
            Why::LongStep(_, step, first) => {
                write!(f, "with a step of {step}, nothing but {first} is left of the range")
            }
            Why::StepOfOne(_, value, _) => {
                write!(f, "the step follows a single value, {value}, and not a range")
            }
            Why::NoDate { day, months } => {
                let names: Vec<_> = months.iter().map(|month| name(*month)).collect();
                write!(f, "there is no day {day} in {}", names.join(", "))
            }
        }
    }
}

impl Wrong {
    /// Returns what would be right, for a line of help.
    pub(crate) fn help(&self) -> Option<String> {
        Some(match &self.why {
            Why::Reboot => "`at_start = true` runs the unit when trc starts".to_owned(),
            Why::AtEvery(time) => format!("write \"every {time}\""),
            Why::Word(_) => {
                "the words are @hourly, @daily (or @midnight), @weekly, @monthly and @yearly (or @annually)"
                    .to_owned()
            }
            Why::Zone(zone) => format!("write `tz = \"{zone}\"` beside the schedule"),
            Why::NoInterval | Why::Interval(_) => {
                "write a time such as \"every 90s\", \"every 15m\" or \"every 1h30m\"".to_owned()
            }
            Why::Short => "the shortest is \"every 1s\"".to_owned(),
            Why::Seconds => {
                "leave the seconds away, or write \"every 30s\" for less than a minute".to_owned()
            }
            Why::Empty | Why::Fields(_) => {
                "write \"minute hour day-of-month month day-of-week\" such as \"30 4 * * MON-FRI\", a word such as \"@daily\", or \"every 15m\""
                    .to_owned()
            }
            Why::Nothing(field) | Why::Value(field, _) => {
                let (low, high) = field.values().into_inner();
                match field.names() {
                    [] => format!("{low}-{high}, * for all of them, or */5 for every fifth"),
                    [first, .., last] => format!("{low}-{high}, {first}-{last}, or *"),
                    [_] => return None,
                }
            }
            Why::Backwards(field, from, to) => {
                let (low, high) = match field {
                    Field::Weekday => (0, 6),
                    _ => field.values().into_inner(),
                };
                let range = |from, to| {
                    if from == to { field.shown(from) } else { format!("{}-{}", field.shown(from), field.shown(to)) }
                };
                format!("write {},{}", range(*from, high), range(low, *to))
            }
            Why::Step(_) => "a step is a number from 1 up: */5 means every fifth".to_owned(),
            Why::LongStep(field, _, first) => match field {
                Field::Minute | Field::Hour => format!(
                    "write {first}, or an interval such as \"every 90m\" that does not start again with each {}",
                    if *field == Field::Minute { "hour" } else { "day" }
                ),
                _ => format!("write {first}"),
            },
            Why::StepOfOne(field, value, step) => {
                let last = if *field == Field::Weekday { 6 } else { *field.values().end() };
                format!("write {value}-{last}/{step}")
            }
            Why::Fraction | Why::NoDate { .. } => return None,
        })
    }
}

impl Field {
    /// Writes a value, by its name if it has one.
    fn shown(self, value: u32) -> String {
        let at = value.checked_sub(*self.values().start()).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.names().get(at))
            .map_or_else(|| value.to_string(), |name| (*name).to_owned())
    }
}

fn name(month: u32) -> String {
    const WHOLE: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let at = usize::try_from(month).unwrap_or(0).wrapping_sub(1);
    WHOLE.get(at).map_or_else(|| month.to_string(), |name| (*name).to_owned())
}
