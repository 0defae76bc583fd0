//! What Updraft costs, against the floor and against tools that do a part of the same:
//! `cargo xtask bench`. Each number is a median; each ratio is to the floor beside it.

mod images;
mod lines;
mod page;
mod procfile;
mod report;
mod roll_back;
mod runners;
mod shop;
mod statistics;

use std::env;

use anyhow::{Result, bail};

use crate::page::Page;

fn main() -> Result<()> {
    // Cargo passes `--bench`.
    let named = env::args().skip(1).find(|word| !word.starts_with("--"));
    match named.as_deref() {
        Some("runners") => of_runners()?.write(),
        Some("images") => of_images()?.write(),
        None => {
            of_runners()?.write()?;
            of_images()?.write()
        }
        Some(other) => bail!("no page `{other}`: there are `runners` and `images`"),
    }
}

fn of_runners() -> Result<Page> {
    let runners = runners::all()?;
    let versions: Vec<_> = runners.iter().map(runners::Runner::described).collect();
    let tables = [procfile::measure(&runners)?, lines::measure(&runners)?, shop::measure()?];
    Ok(Page {
        place: "docs/benchmarks.md",
        title: "Benchmarks",
        floor: "the same work without a supervisor",
        versions,
        tables: tables.into_iter().flatten().collect(),
    })
}

fn of_images() -> Result<Page> {
    let versions = images::versions()?;
    let tables = [images::measure()?, roll_back::measure()?];
    Ok(Page {
        place: "docs/reference/image-benchmarks.md",
        title: "Images and releases, measured",
        floor: "the same work by the plainest tools",
        versions,
        tables: tables.into_iter().flatten().collect(),
    })
}
