//! `updraft release`: the numbered releases of the deploys.

pub(crate) mod changes;
mod diff;
mod ls;
mod show;
mod verify;

use clap::{Args, Subcommand};

use crate::failure::Outcome;
use crate::global::Global;
use diff::DiffArgs;
use ls::LsArgs;
use show::ShowArgs;

/// Look at the releases
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft release ls -e production
  updraft release show 42
  updraft release diff 41 42

A release is builds, values and addresses under a number. It never changes.")]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct ReleaseArgs {
    #[command(subcommand)]
    verb: ReleaseVerb,
}

/// The verbs below `release`.
#[derive(Debug, Subcommand)]
enum ReleaseVerb {
    Ls(LsArgs),
    Show(ShowArgs),
    Diff(DiffArgs),
    /// Hold every file of the release store against its digest
    #[command(after_help = "\
Examples:
  updraft release verify

No key is needed. Exit code 1: a file is damaged; each is named, and what it holds.")]
    Verify,
}

pub(crate) fn run(global: &Global, args: ReleaseArgs) -> Outcome {
    match args.verb {
        ReleaseVerb::Ls(args) => ls::run(global, &args),
        ReleaseVerb::Show(args) => show::run(global, &args),
        ReleaseVerb::Diff(args) => diff::run(global, &args),
        ReleaseVerb::Verify => verify::run(global),
    }
}
