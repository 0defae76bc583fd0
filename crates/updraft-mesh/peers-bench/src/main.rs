//! Measures the gateway beside nginx, HAProxy, Pingora and bare hyper in one run on loopback:
//! what a request costs in processor time, what it takes, and what a connection holds.

mod authority;
mod cases;
mod certificates;
mod client;
mod floor;
mod peers;
mod pingora;
mod upstream;
mod versions;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use rustix::thread::{CpuSet, sched_setaffinity};

use cases::Effort;
use peers::{Hop, Place, Side};
use updraft_measure::child::{LOADER, free_address};
use updraft_measure::report::{self, Run, Table};

/// Measures service mesh gateways beside each other.
#[derive(Parser)]
struct Options {
    /// One short round: to see that everything runs.
    #[arg(long)]
    quick: bool,
    /// Only cases with these words in their title.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Write the page of the results as well.
    #[arg(long, value_name = "FILE", requires = "date")]
    markdown: Option<PathBuf>,
    /// The date on the page.
    #[arg(long)]
    date: Option<String>,
    /// A release build of `updraft`; without it its rows say `not measured`.
    #[arg(long, value_name = "PATH")]
    updraft: Option<PathBuf>,
    /// How often each peer has its turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long a turn is.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    #[command(subcommand)]
    role: Option<Role>,
}

/// What a process is that this program starts from itself.
#[derive(Subcommand)]
#[command(hide = true)]
enum Role {
    Upstream { listen: SocketAddr },
    Authority { socket: PathBuf },
    Floor { side: Side, hop: Hop, listen: SocketAddr, upstream: SocketAddr, folder: PathBuf },
    Pingora { side: Side, hop: Hop, listen: SocketAddr, upstream: SocketAddr, folder: PathBuf },
}

fn main() -> Result<()> {
    let mut options = Options::parse();
    match options.role.take() {
        None => compare(&options),
        Some(Role::Upstream { listen }) => upstream::serve(listen),
        Some(Role::Authority { socket }) => authority::serve(&socket),
        Some(Role::Floor { side, hop, listen, upstream, folder }) => {
            floor::serve(side, hop, listen, upstream, &folder)
        }
        Some(Role::Pingora { side, hop, listen, upstream, folder }) => {
            pingora::serve(side, hop, listen, upstream, &folder)
        }
    }
}

fn compare(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir()?;
    certificates::write(folder.path())?;
    let place = Place {
        folder: folder.path().to_owned(),
        upstream: free_address()?,
        own: std::env::current_exe()?,
        updraft: options.updraft.as_deref().map(std::fs::canonicalize).transpose()?,
        authority: folder.path().join("authority.sock"),
    };
    let mut loader = CpuSet::new();
    loader.set(LOADER);
    sched_setaffinity(None, &loader).context("two processors are needed")?;
    let _upstream = place.start_upstream()?;
    let _authority = place.start_authority()?;
    let effort = if options.quick {
        Effort { rounds: 1, window: Duration::from_millis(300), handshakes: 50 }
    } else {
        let window = Duration::from_secs_f64(options.seconds);
        Effort { rounds: options.rounds, window, handshakes: 200 }
    };
    let before = report::load_average();
    let tables = tables(&place, effort, &options.only)?;
    if let Some(file) = &options.markdown {
        let run = Run {
            page: include_str!("../peers/page.md"),
            date: options.date.as_deref().unwrap_or_default(),
            versions: &versions::versions(place.updraft.as_deref()),
            rounds: effort.rounds,
            seconds: effort.window.as_secs_f64(),
            load: [before, report::load_average()],
        };
        report::write(file, &run, &tables)?;
    }
    Ok(())
}

fn tables(place: &Place, effort: Effort, only: &[String]) -> Result<Vec<Table>> {
    let contains = |title: &str, word: &String| title.to_lowercase().contains(&word.to_lowercase());
    let wanted = |title: &str| only.is_empty() || only.iter().any(|word| contains(title, word));
    let mut tables = Vec::new();
    let mut done = |table: Table| {
        println!("{}", table.markdown());
        tables.push(table);
    };
    cases::one_hop().only(wanted).measure(place, effort, &mut done);
    cases::two_hops().only(wanted).measure(place, effort, &mut done);
    let title = "Memory of an idle connection, of 2,000 that are held";
    if wanted(title) {
        done(cases::held_connections(place, title.to_owned()));
    }
    let title = "Full mutual handshakes, each with one request";
    if wanted(title) {
        done(cases::handshakes(place, effort, title.to_owned())?);
    }
    Ok(tables)
}
