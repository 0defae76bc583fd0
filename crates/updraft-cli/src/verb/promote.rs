//! `updraft promote`: what runs in one deploy, in another.

use clap::Args;
use clap_complete::ArgValueCandidates;
use updraft_system::Name;

use crate::completion;
use crate::deploys::{Deploys, author};
use crate::failure::{Failure, Outcome};
use crate::global::Global;

/// Take the current release of one deploy to another
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft promote staging production
  updraft promote staging production --note \"after the load test\"

It makes a new release of TO with the builds and the manifest of FROM, bit for bit, and the
values of TO. When values or addresses are missing there, all are named and nothing is made.")]
pub(crate) struct PromoteArgs {
    /// The deploy that has it
    #[arg(add = ArgValueCandidates::new(completion::deploys))]
    from: Name,
    /// The deploy that gets it
    #[arg(add = ArgValueCandidates::new(completion::deploys))]
    to: Name,
    /// What to write about it
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

pub(crate) async fn run(global: &Global, args: PromoteArgs) -> Outcome {
    if args.from == args.to {
        let message = format!("{} is promoted to itself: name two deploys", args.from);
        return Err(Failure::usage(message).help("`updraft rollback N` goes back in one deploy"));
    }
    let deploys = Deploys::find(global)?;
    let release = deploys.store.promote(&args.from, &args.to, args.note, &author())?;
    deploys.settle(&release, global.json).await
}
