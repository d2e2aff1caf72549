//! The comparison of two timelines.

use std::fmt::Write as _;

use super::super::live::{Cell, Color, Look, table};
use super::scale::time;
use crate::report::timeline::{Life, Timeline};

/// What is slower by no more than this does not count, in milliseconds: starts of processes vary by as
/// much.
pub(super) const FLOOR: u64 = 50;

/// One row: something that took time in both runs, or in one of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Row {
    pub name: String,
    pub old: Option<u64>,
    pub new: Option<u64>,
}

impl Row {
    /// Returns whether it has become slower by more than this percentage, and by more than the floor.
    pub(super) fn is_slower(&self, percent: u64) -> bool {
        let (Some(old), Some(new)) = (self.old, self.new) else { return false };
        let more = new.saturating_sub(old);
        more > FLOOR && u128::from(more) * 100 > u128::from(old) * u128::from(percent)
    }

    fn change(&self) -> String {
        let (Some(old), Some(new)) = (self.old, self.new) else {
            return match (self.old, self.new) {
                (None, Some(_)) => "only in the new one".to_owned(),
                (Some(_), None) => "only in the old one".to_owned(),
                _ => String::new(),
            };
        };
        let sign = if new < old { '-' } else { '+' };
        let by = new.abs_diff(old);
        if by == 0 {
            return "0 ms".to_owned();
        }
        let percent = (u128::from(by) * 100 + u128::from(old) / 2).checked_div(u128::from(old));
        let percent = percent.map(|percent| format!(" ({sign}{percent} %)")).unwrap_or_default();
        format!("{sign}{}{percent}", time(by))
    }
}

/// Returns what took time: the run until it was ready, its stop, and each unit until it was up, counted
/// from its own start.
pub(super) fn rows(old: &Timeline, new: &Timeline) -> Vec<Row> {
    let stop = |timeline: &Timeline| Some(timeline.ended_ms?.saturating_sub(timeline.stop_ms?));
    let mut rows = vec![
        Row { name: "ready".to_owned(), old: old.ready_ms, new: new.ready_ms },
        Row { name: "stop".to_owned(), old: stop(old), new: stop(new) },
    ];
    let gone = old.units.iter().filter(|unit| new.unit(&unit.name).is_none());
    for name in new.units.iter().chain(gone).map(|unit| &unit.name) {
        let took = |timeline: &Timeline| timeline.unit(name).and_then(Life::own_ms);
        rows.push(Row { name: name.clone(), old: took(old), new: took(new) });
    }
    rows.retain(|row| row.old.is_some() || row.new.is_some());
    rows
}

/// Returns the table, and the names of what has become slower by more than a percentage.
pub(super) fn told(rows: &[Row], percent: Option<u64>, color: Color) -> (String, Vec<String>) {
    let shown = |took: Option<u64>| took.map_or_else(|| "–".to_owned(), time);
    let heads = ["", "OLD", "NEW", "CHANGE"].map(|head| cell(head.to_owned(), Look::Bold));
    let mut cells = vec![heads.to_vec()];
    let slower = |row: &&Row| percent.is_some_and(|percent| row.is_slower(percent));
    for row in rows {
        let look = match () {
            () if slower(&row) => Look::Bad,
            () if row.new < row.old && row.new.is_some() => Look::Good,
            () => Look::Plain,
        };
        cells.push(vec![
            cell(row.name.clone(), Look::Plain),
            cell(shown(row.old), Look::Plain),
            cell(shown(row.new), Look::Plain),
            cell(row.change(), look),
        ]);
    }
    let mut text = table(&cells, &[1, 2], color);
    let slower: Vec<String> = rows.iter().filter(slower).map(|row| row.name.clone()).collect();
    if let (Some(percent), false) = (percent, slower.is_empty()) {
        let names = slower.join(", ");
        _ = writeln!(text, "\nslower by more than {percent} % and {}: {names}", time(FLOOR));
    }
    (text, slower)
}

fn cell(text: String, look: Look) -> Cell {
    Cell { text, look }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{life, stack};
    use super::*;
    use crate::report::timeline::State;

    fn row(old: Option<u64>, new: Option<u64>) -> Row {
        Row { name: "x".to_owned(), old, new }
    }

    #[test]
    fn slower_is_what_takes_more_than_the_percentage_and_more_than_the_floor() {
        for (old, new, percent, slower) in [
            (100, 150, 20, false),
            (100, 151, 20, true),
            (1000, 1200, 20, false),
            (1000, 1201, 20, true),
            (1000, 500, 20, false),
            (0, 51, 20, true),
            (1000, 1051, 0, true),
            (1000, 1050, 0, false),
        ] {
            let row = row(Some(old), Some(new));
            assert_eq!(row.is_slower(percent), slower, "{old} {new} {percent}");
        }
        assert!(!row(None, Some(9999)).is_slower(0) && !row(Some(9999), None).is_slower(0));
    }

    #[test]
    fn the_table_has_the_run_and_each_unit() {
        let old = stack();
        let mut new = stack();
        new.units[1].spans[1].to_ms = Some(1500);
        new.units[1].spans[2].from_ms = 1500;
        new.units.remove(4);
        new.units.push(life("async.cron", &[(State::Running, 3, None)]));
        (new.ready_ms, new.ended_ms) = (Some(1950), Some(2480));
        let (text, slower) = told(&rows(&old, &new), Some(20), Color::Never);
        let right = "                  OLD     NEW  CHANGE
ready          1.25 s  1.95 s  +700 ms (+56 %)
stop           500 ms  480 ms  -20 ms (-4 %)
boot.dirs       16 ms   16 ms  0 ms
async.db       770 ms  1.47 s  +700 ms (+91 %)
async.migrate  200 ms  200 ms  0 ms
async.web      250 ms  250 ms  0 ms
halt.clean      50 ms   50 ms  0 ms
async.cron          –    0 ms  only in the new one
async.worker     0 ms       –  only in the old one

slower by more than 20 % and 50 ms: ready, async.db
";
        assert_eq!(slower, ["ready", "async.db"]);
        assert_eq!(text, right);
    }
}
