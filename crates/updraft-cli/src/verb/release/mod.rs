//! `updraft release`: the numbered releases of the deploys.

pub(crate) mod changes;
mod create;
mod diff;
mod ls;
mod show;
mod verify;

use clap::{Args, Subcommand};

use crate::failure::Outcome;
use crate::global::Global;
use create::CreateArgs;
use diff::DiffArgs;
use ls::LsArgs;
use show::ShowArgs;

/// Build, and make the next release; or look at the releases
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft release                        build all, make the next release, and roll it out
  updraft release -e production          the same of another deploy, which is only recorded
  updraft release ls -e production
  updraft release show 42
  updraft release diff 41 42

A release is builds, values and addresses under a number. It never changes. Where the system
runs here, it is rolled out before it is the current one; when that fails, what ran before runs on
and stays current. The number is written to stdout.")]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ReleaseArgs {
    #[command(flatten)]
    create: CreateArgs,
    #[command(subcommand)]
    verb: Option<ReleaseVerb>,
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

pub(crate) async fn run(global: &Global, args: ReleaseArgs) -> Outcome {
    let Some(verb) = args.verb else { return create::run(global, args.create).await };
    match verb {
        ReleaseVerb::Ls(args) => ls::run(global, &args),
        ReleaseVerb::Show(args) => show::run(global, &args),
        ReleaseVerb::Diff(args) => diff::run(global, &args),
        ReleaseVerb::Verify => verify::run(global),
    }
}
