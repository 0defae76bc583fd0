//! Tables of measurements, as Markdown.

use std::fs;

use anyhow::{Context, Result};

use crate::runners::Runner;
use crate::statistics::Sample;

/// One thing that was measured, for several subjects. The first one is the floor.
pub(crate) struct Table {
    pub(crate) title: &'static str,
    pub(crate) how: String,
    pub(crate) unit: &'static str,
    /// What is a loss when it grows: a ratio above 1 is worse. Otherwise it is better.
    pub(crate) less_is_better: bool,
    pub(crate) rows: Vec<Row>,
}

/// What was measured of one subject.
pub(crate) struct Row {
    pub(crate) subject: String,
    pub(crate) sample: Sample,
    pub(crate) note: String,
}

/// The page.
pub(crate) struct Report {
    machine: String,
    tables: Vec<Table>,
}

impl Report {
    pub(crate) fn new(runners: &[Runner]) -> Result<Self> {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let cores = std::thread::available_parallelism()?;
        let versions: Vec<_> = runners.iter().map(Runner::described).collect();
        let machine = format!("Linux {}, {cores} cores; {}", kernel.trim(), versions.join(", "));
        Ok(Self { machine, tables: Vec::new() })
    }

    pub(crate) fn add(&mut self, tables: Vec<Table>) {
        self.tables.extend(tables);
    }

    pub(crate) fn to_markdown(&self) -> String {
        let mut text = format!(
            "# Benchmarks\n\nWritten by `cargo xtask bench`; do not edit. Medians, with the smallest \
             and the largest\nmeasurement. The first row of each table is the floor: the same work \
             without a supervisor.\nRead the ratios; the times are those of one shared machine \
             ({}).\n",
            self.machine
        );
        for table in &self.tables {
            // A table whose numbers are broken is left out, and the reason stands in its place.
            let body = table.body().unwrap_or_else(|error| format!("\n{error:#}\n"));
            text.push_str(&format!("\n## {}\n\n{}\n{body}", table.title, table.how));
        }
        text
    }
}

impl Table {
    fn body(&self) -> Result<String> {
        let better = if self.less_is_better { "less is better" } else { "more is better" };
        let mut text = format!(
            "\n| | {} ({better}) | ratio to the floor | from … to | |\n|---|--:|--:|--:|---|\n",
            self.unit
        );
        let floor = self.rows.first().context("no floor was measured")?.sample.median()?;
        for row in &self.rows {
            let (median, (least, most)) = (row.sample.median()?, row.sample.spread()?);
            text.push_str(&format!(
                "| {} | {} | {:.2} | {} … {} | {} |\n",
                row.subject,
                number(median),
                median / floor,
                number(least),
                number(most),
                row.note
            ));
        }
        Ok(text)
    }
}

/// Three digits that matter.
fn number(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}
