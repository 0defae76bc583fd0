//! `updraft release`: builds, joined with what is set, become the next release.

use clap::Args;
use updraft_release::NewRelease;

use crate::deploys::{DeployArg, Deploys, author};
use crate::failure::Outcome;
use crate::global::Global;
use crate::verb::build;

/// What a release is to be.
#[derive(Debug, Args)]
pub(super) struct CreateArgs {
    #[command(flatten)]
    deploy: DeployArg,
    /// What to write about it
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

pub(super) async fn run(global: &Global, args: CreateArgs) -> Outcome {
    let deploys = Deploys::find(global)?;
    let builds = build::artifacts(global).await?;
    let (manifest, form) = deploys.addressed.dir.manifest();
    let (deploy, note) = (args.deploy.deploy, args.note);
    let new = NewRelease { deploy, builds, manifest, form, note };
    let release = deploys.store.append(new, &author())?;
    deploys.settle(&release, global.json).await
}
