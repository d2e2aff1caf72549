//! Tables whose columns line up.

use std::fmt::Write as _;

/// Returns rows as lines. Each column is as wide as its widest cell; the last one is as long as it
/// is.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_line_up() {
        let row = |cells: &[&str]| cells.iter().map(ToString::to_string).collect::<Vec<_>>();
        let rows =
            [row(&["UNIT", "STATE", "WHY"]), row(&["ü", "", "x y"]), row(&["a", "running", ""])];
        assert_eq!(super::table(&rows), "UNIT  STATE    WHY\nü              x y\na     running\n");
    }
}
