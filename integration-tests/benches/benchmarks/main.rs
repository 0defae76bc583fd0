//! What Updraft costs, against the floor and against tools that do a part of the same:
//! `cargo xtask bench`. Each number is a median; each ratio is to the floor beside it.

mod lines;
mod procfile;
mod report;
mod runners;
mod shop;
mod statistics;

use std::fs;
use std::io::Write;

use anyhow::{Context, Result};
use integration_tests::repository;

use crate::report::Report;

const PAGE: &str = "docs/benchmarks.md";

fn main() -> Result<()> {
    let runners = runners::all()?;
    let mut report = Report::new(&runners)?;
    report.add(procfile::measure(&runners)?);
    report.add(lines::measure(&runners)?);
    report.add(shop::measure()?);
    let text = report.to_markdown();
    let page = repository().join(PAGE);
    fs::write(&page, &text).with_context(|| format!("{} cannot be written", page.display()))?;
    writeln!(std::io::stdout(), "{text}\nwritten to {PAGE}")?;
    Ok(())
}
