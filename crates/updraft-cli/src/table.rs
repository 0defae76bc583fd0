//! Tables for people: columns that line up, colours that `anstream` drops where nobody sees
//! them.

use anstyle::Style;

/// Between two columns.
const GAP: &str = "  ";

/// One cell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

/// A table while it is filled.
#[derive(Debug)]
pub(crate) struct Table {
    titles: Vec<&'static str>,
    /// Columns that hold numbers.
    right: &'static [usize],
    rows: Vec<Vec<Cell>>,
}

impl Cell {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), style: Style::new() }
    }

    /// In a colour.
    pub(crate) fn styled(text: impl Into<String>, style: Style) -> Self {
        Self { text: text.into(), style }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

impl Table {
    /// An empty table; numbers stand at the right end of the columns `right`.
    pub(crate) fn new(titles: &[&'static str], right: &'static [usize]) -> Self {
        Self { titles: titles.to_vec(), right, rows: Vec::new() }
    }

    /// Adds a row; cells that are missing are empty.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Its lines, the titles first.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut widths: Vec<usize> = self.titles.iter().map(|title| title.len()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.width().max(*width);
            }
        }
        let titles: Vec<Cell> = self.titles.iter().map(|title| Cell::new(*title)).collect();
        let rows = std::iter::once(&titles).chain(&self.rows);
        rows.map(|row| self.line(row, &widths)).collect()
    }

    fn line(&self, row: &[Cell], widths: &[usize]) -> String {
        let mut line = String::new();
        // Spaces are kept for those who come after; none stand at the end.
        let mut owed = 0;
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let room = width.saturating_sub(cell.width());
            let (before, after) = if self.right.contains(&column) { (room, 0) } else { (0, room) };
            owed += before;
            if !cell.text.is_empty() {
                let style = cell.style;
                line.push_str(&" ".repeat(owed));
                line.push_str(&format!("{style}{}{style:#}", cell.text));
                owed = 0;
            }
            owed += after + GAP.len();
        }
        line
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use anstyle::AnsiColor;

    use super::*;

    #[test]
    fn columns_line_up_and_nothing_stands_at_the_end() {
        let mut table = Table::new(&["NAME", "N", "NOTE"], &[1]);
        table.row(["a".into(), "7".into(), Cell::default()]);
        let red = AnsiColor::Red.on_default();
        table.row([Cell::styled("größer", red), "1234".into(), "x".into()]);
        table.row(["b".into()]);
        let plain = anstream::adapter::strip_str(&table.to_string()).to_string();
        assert_eq!(plain, "NAME       N  NOTE\na          7\ngrößer  1234  x\nb");
        assert!(table.to_string().contains("\u{1b}[31mgrößer\u{1b}[0m"));
    }
}
