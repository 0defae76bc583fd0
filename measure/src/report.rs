//! Tables, and the page they are on.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// What follows this on an existing page is by hand, and stays.
const BY_HAND: &str = "## Aims missed";

/// A table of which the first column is words and the others are numbers.
pub struct Table {
    pub title: String,
    pub head: &'static [&'static str],
    pub rows: Vec<(String, Vec<String>)>,
}

impl Table {
    /// In Markdown, with columns of one width so that a terminal shows it as well.
    pub fn markdown(&self) -> String {
        let lines = self.rows.iter().map(|(name, cells)| {
            let mut line = vec![name.as_str()];
            line.extend(cells.iter().map(String::as_str));
            line.resize(self.head.len(), "");
            line
        });
        let lines: Vec<Vec<&str>> = [self.head.to_vec()].into_iter().chain(lines).collect();
        let width = |column: usize| {
            lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let mut text = format!("### {}\n\n", self.title);
        for (number, line) in lines.iter().enumerate() {
            text.push_str(&format!("| {:<1$} |", line[0], widths[0]));
            for (cell, width) in line.iter().zip(&widths).skip(1) {
                text.push_str(&format!(" {cell:>width$} |"));
            }
            text.push('\n');
            if number == 0 {
                let rule = |width: &usize| format!("{}:|", "-".repeat(width + 1));
                let rules: String = widths.iter().skip(1).map(rule).collect();
                text.push_str(&format!("|{}|{rules}\n", "-".repeat(widths[0] + 2)));
            }
        }
        text
    }
}

/// The middle of the numbers that are numbers.
pub fn median(numbers: impl IntoIterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.into_iter().filter(|number| number.is_finite()).collect();
    numbers.sort_by(f64::total_cmp);
    let upper = numbers.get(numbers.len() / 2);
    let lower = numbers.get(numbers.len().saturating_sub(1) / 2);
    upper.zip(lower).map_or(f64::NAN, |(upper, lower)| f64::midpoint(*upper, *lower))
}

/// A cell; a dash for what is no number.
pub fn cell(number: f64, digits: usize) -> String {
    if number.is_finite() { format!("{number:.digits$}") } else { "–".to_owned() }
}

/// What stands above the tables.
pub struct Run<'a> {
    /// The page, with `@DATE@`, `@MACHINE@`, `@VERSIONS@`, `@ROUNDS@`, `@SECONDS@`,
    /// `@LOAD_BEFORE@` and `@LOAD_AFTER@` where these belong.
    pub page: &'a str,
    pub date: &'a str,
    /// What was measured, with versions.
    pub versions: &'a str,
    pub rounds: usize,
    pub seconds: f64,
    /// Load averages at the beginning and at the end.
    pub load: [String; 2],
}

/// Writes the page; the part by hand of an existing one stays.
pub fn write(file: &Path, run: &Run<'_>, tables: &[Table]) -> Result<()> {
    let existing = fs::read_to_string(file).unwrap_or_default();
    let by_hand = existing
        .find(BY_HAND)
        .map_or("Not judged yet.\n", |at| existing[at + BY_HAND.len()..].trim_start());
    let mut page = run
        .page
        .replace("@DATE@", run.date)
        .replace("@MACHINE@", &machine())
        .replace("@VERSIONS@", run.versions)
        .replace("@ROUNDS@", &run.rounds.to_string())
        .replace("@SECONDS@", &run.seconds.to_string())
        .replace("@LOAD_BEFORE@", &run.load[0])
        .replace("@LOAD_AFTER@", &run.load[1]);
    for table in tables {
        write!(page, "\n{}", table.markdown())?;
    }
    write!(page, "\n{BY_HAND}\n\n{by_hand}")?;
    fs::write(file, page).with_context(|| file.display().to_string())
}

/// The load averages of now.
pub fn load_average() -> String {
    let line = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    line.split(' ').next().unwrap_or_default().to_owned()
}

fn machine() -> String {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models = processors.lines().filter_map(|line| line.strip_prefix("model name\t: "));
    let models: Vec<&str> = models.collect();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let model = models.first().copied().unwrap_or("an unknown processor");
    format!("{} × {model}, Linux {}", models.len(), kernel.trim())
}

/// The version of a package in the text of a `Cargo.lock`.
pub fn locked<'a>(lock: &'a str, name: &str) -> &'a str {
    let line = lock.split_once(&format!("name = \"{name}\"\nversion = \""));
    line.and_then(|(_, rest)| rest.split('"').next()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_leaves_out_what_was_not_measured() {
        assert_eq!(median([3.0, f64::NAN, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median([f64::NAN]).is_nan());
        assert!(median([]).is_nan());
    }

    #[test]
    fn the_part_by_hand_outlives_a_run() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let load = [String::new(), String::new()];
        let page = "@DATE@ @MACHINE@ @VERSIONS@ @ROUNDS@ @SECONDS@ @LOAD_BEFORE@ @LOAD_AFTER@\n";
        let (date, versions) = ("2026-01-01", "all of them");
        let run = Run { page, date, versions, rounds: 1, seconds: 1.0, load };
        let row = ("a".to_owned(), vec!["1".to_owned()]);
        let table = Table { title: "One".to_owned(), head: &["", "x"], rows: vec![row] };
        fs::write(file.path(), format!("stale line\n{BY_HAND}\n\nWe missed one.\n")).unwrap();
        for _ in 0..2 {
            write(file.path(), &run, std::slice::from_ref(&table)).unwrap();
        }
        let page = fs::read_to_string(file.path()).unwrap();
        assert!(page.ends_with(&format!("\n{BY_HAND}\n\nWe missed one.\n")), "{page}");
        assert!(!page.contains("stale") && page.contains("### One\n"), "{page}");
        assert!(!page.contains('@'), "{page}");
        assert_eq!(page.matches(BY_HAND).count(), 1);
    }
}
