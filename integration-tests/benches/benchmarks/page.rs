//! A page of tables, written into the documentation.

use std::fs;
use std::io::Write as _;

use anyhow::{Context, Result};
use integration_tests::repository;

use crate::report::Table;

/// A page.
pub(crate) struct Page {
    /// Its file, from the root of the repository.
    pub(crate) place: &'static str,
    pub(crate) title: &'static str,
    /// What the first row of each table is.
    pub(crate) floor: &'static str,
    /// What is compared.
    pub(crate) versions: Vec<String>,
    pub(crate) tables: Vec<Table>,
}

impl Page {
    /// Replaces the file, and shows it.
    pub(crate) fn write(&self) -> Result<()> {
        let text = self.to_markdown()?;
        let path = repository().join(self.place);
        fs::write(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
        writeln!(std::io::stdout(), "{text}\nwritten to {}", self.place)?;
        Ok(())
    }

    fn to_markdown(&self) -> Result<String> {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let cores = std::thread::available_parallelism()?;
        let versions = self.versions.join(", ");
        let mut text = format!(
            "# {}\n\nWritten by `cargo xtask bench`; do not edit. Medians, with the smallest and \
             the largest\nmeasurement. The first row of each table is the floor: {}.\nRead the \
             ratios; the times are those of one shared machine (Linux {}, {cores} cores; \
             {versions}).\n",
            self.title,
            self.floor,
            kernel.trim()
        );
        for table in &self.tables {
            // A table whose numbers are broken is left out, and the reason stands in its place.
            let body = table.body().unwrap_or_else(|error| format!("\n{error:#}\n"));
            text.push_str(&format!("\n## {}\n\n{}\n{body}", table.title, table.how));
        }
        Ok(text)
    }
}
