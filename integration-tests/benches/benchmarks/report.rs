//! Tables of measurements, as Markdown.

use anyhow::{Context, Result};

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

impl Table {
    pub(crate) fn body(&self) -> Result<String> {
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
