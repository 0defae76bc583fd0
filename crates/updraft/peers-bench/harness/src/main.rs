//! Measures the chassis beside bare axum, axum with the usual layers, actix-web, poem and loco
//! in one run on loopback: what a request costs, how long it takes, how soon a process is
//! ready, and what it holds.

mod build;
mod held;
mod load;
mod peer;
mod start;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use updraft_measure::child::LOADER;
use updraft_measure::report::{self, Run, Table, locked};

use peer::Place;

/// Measures service frameworks beside each other.
#[derive(Parser)]
struct Options {
    /// One short round: to see that everything runs.
    #[arg(long)]
    quick: bool,
    /// Builds each peer from nothing as well, and times it: minutes more.
    #[arg(long)]
    build: bool,
    /// Write the page of the results as well.
    #[arg(long, value_name = "FILE", requires = "date")]
    markdown: Option<PathBuf>,
    /// The date on the page.
    #[arg(long)]
    date: Option<String>,
    /// How often each peer has its turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long a turn is.
    #[arg(long, default_value_t = 0.6)]
    seconds: f64,
}

/// How much is measured.
#[derive(Clone, Copy)]
struct Effort {
    rounds: usize,
    window: Duration,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let effort = match options.quick {
        true => Effort { rounds: 1, window: Duration::from_millis(300) },
        false => {
            Effort { rounds: options.rounds, window: Duration::from_secs_f64(options.seconds) }
        }
    };
    let folder = tempfile::tempdir()?;
    let place = Place::prepare(folder.path())?;
    let all = sched_getaffinity(None)?;
    let mut loader = CpuSet::new();
    loader.set(LOADER);
    sched_setaffinity(None, &loader).context("two processors are needed")?;
    let before = report::load_average();
    let mut tables = Vec::new();
    let mut done = |table: Table| {
        println!("{}", table.markdown());
        tables.push(table);
    };
    load::measure(&place, effort, &mut done)?;
    done(start::measure(&place, effort)?);
    done(held::measure(&place)?);
    // A build takes what there is.
    sched_setaffinity(None, &all)?;
    done(build::measure(options.build)?);
    if let Some(file) = &options.markdown {
        let lock = include_str!("../../Cargo.lock");
        let names = ["axum", "hyper", "actix-web", "poem", "loco-rs", "sqlx", "tokio"];
        let versions: Vec<_> = names.map(|name| format!("{name} {}", locked(lock, name))).into();
        let run = Run {
            page: include_str!("../page.md"),
            date: options.date.as_deref().unwrap_or_default(),
            versions: &versions.join(", "),
            rounds: effort.rounds,
            seconds: effort.window.as_secs_f64(),
            load: [before, report::load_average()],
        };
        report::write(file, &run, &tables)?;
    }
    Ok(())
}
