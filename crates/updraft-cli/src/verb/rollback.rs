//! `updraft rollback`: an earlier release again, under a new number.

use clap::Args;
use updraft_system::release::ReleaseNumber;

use crate::deploys::{DeployArg, Deploys, author};
use crate::failure::Outcome;
use crate::global::Global;

/// Go back to an earlier release
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft rollback                       to the release before the current one
  updraft rollback 41 -e production      to release 41
  updraft rollback --note \"too slow\"

It makes a new release with the builds, values and manifest of the old one, so that history
tells what happened. After a rollback, another one goes further back. What was set since stays
set for the next release: `updraft config diff` shows it.")]
pub(crate) struct RollbackArgs {
    /// The release to go back to; without one, the one before the current
    #[arg(value_name = "N")]
    to: Option<ReleaseNumber>,
    #[command(flatten)]
    deploy: DeployArg,
    /// What to write about it
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

pub(crate) async fn run(global: &Global, args: RollbackArgs) -> Outcome {
    let deploys = Deploys::find(global)?;
    let deploy = &args.deploy.deploy;
    let release = deploys.store.rollback(deploy, args.to, args.note, &author())?;
    deploys.settle(&release, global.json).await
}
