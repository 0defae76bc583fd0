//! The chores of this project that cargo has no word for: `cargo xtask ci` is the
//! one gate, on a laptop and in CI alike.

mod ci;
mod instructions;
mod output;
mod policy;
mod repository;
mod setup;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's own chores.
#[derive(Parser)]
#[command(name = "cargo xtask", version, about)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Run the whole gate: setup, format, tidy, lints, tests, documentation, licences
    Ci,
    /// Find the servers and the browser that the tests need; install what is missing
    Setup,
    /// Check what no compiler checks: sizes, names, links, floors, licences
    Tidy,
    /// Count the instructions of the hot paths of updraft-resilience
    Instructions,
    /// Measure against the floor and against similar tools; rewrites the pages of benchmarks
    Bench {
        /// `runners` or `images` alone
        page: Option<String>,
    },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().chore {
        Chore::Ci => ci::run(),
        Chore::Setup => setup::run(),
        Chore::Tidy => tidy::run(),
        Chore::Instructions => instructions::run(),
        Chore::Bench { page } => ci::bench(page.as_deref()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::failure(&error);
            let lacking = error.downcast_ref::<setup::Lacking>().is_some();
            ExitCode::from(if lacking { 4 } else { 1 })
        }
    }
}
