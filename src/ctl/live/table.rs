//! Tables whose columns line up.

use super::paint::{Color, Look};

/// A cell of a table.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(in crate::ctl) struct Cell {
    /// The text.
    pub text: String,
    /// The look of the text.
    pub look: Look,
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, look: Look::Plain }
    }
}

/// Returns rows as lines. Each column is as wide as its widest cell; the last one is as long as it
/// is. Columns of numbers are aligned to the right.
pub(in crate::ctl) fn table(rows: &[Vec<Cell>], numbers: &[usize], color: Color) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let length = |cell: &Cell| cell.text.chars().count();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(length).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        // Spaces that something follows.
        let mut gap = 0;
        for (column, cell) in row.iter().enumerate() {
            let fill = widths[column] - length(cell);
            let (before, after) = if numbers.contains(&column) { (fill, 0) } else { (0, fill) };
            if cell.text.is_empty() {
                gap += widths[column] + 2;
            } else {
                line.extend(std::iter::repeat_n(' ', gap + before));
                line.push_str(&color.paint(cell.look, &cell.text));
                gap = after + 2;
            }
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[&str]) -> Vec<Cell> {
        cells.iter().map(|text| Cell::from((*text).to_owned())).collect()
    }

    #[test]
    fn columns_line_up() {
        let rows =
            [row(&["UNIT", "STATE", "WHY"]), row(&["ü", "", "x y"]), row(&["a", "running", ""])];
        let text = "UNIT  STATE    WHY\nü              x y\na     running\n";
        assert_eq!(table(&rows, &[], Color::Never), text);
    }

    #[test]
    fn numbers_are_aligned_to_the_right() {
        let rows =
            [row(&["PID", "SINCE", "WHY"]), row(&["12345", "1s", "x"]), row(&["", "10s", ""])];
        let text = "  PID  SINCE  WHY\n12345     1s  x\n         10s\n";
        assert_eq!(table(&rows, &[0, 1], Color::Never), text);
    }

    #[test]
    fn colours_do_not_count_for_the_width() {
        let good = |text: &str| Cell { text: text.to_owned(), look: Look::Good };
        let rows = [vec![good("up"), good("x")], vec![good("down"), good("y")]];
        let text = "\x1b[32mup\x1b[0m    \x1b[32mx\x1b[0m\n\x1b[32mdown\x1b[0m  \x1b[32my\x1b[0m\n";
        assert_eq!(table(&rows, &[], Color::Always), text);
    }
}
