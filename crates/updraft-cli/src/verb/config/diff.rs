//! `updraft config diff`: what is set and not released, or how two deploys differ.

use std::process::ExitCode;

use clap::Args;
use clap_complete::ArgValueCandidates;
use serde_json::json;
use updraft_system::Name;

use crate::completion;
use crate::deploys::{DeployArg, Deploys};
use crate::failure::Outcome;
use crate::global::Global;
use crate::output;
use crate::verb::release::changes;

/// Show what is set and not in the current release, or how two deploys differ
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft config diff -e production            what the next release will change
  updraft config diff -e staging production    from staging to production

Of a secret it is told that it differs, never what it is.")]
pub(super) struct DiffArgs {
    #[command(flatten)]
    deploy: DeployArg,
    /// Another deploy; without one, the current release is compared with what is set
    #[arg(value_name = "OTHER", add = ArgValueCandidates::new(completion::deploys))]
    other: Option<Name>,
}

pub(super) fn run(global: &Global, args: &DiffArgs) -> Outcome {
    let deploys = Deploys::find(global)?;
    let (system, deploy) = (deploys.system()?, &args.deploy.deploy);
    let (values, resources) = match &args.other {
        Some(other) => deploys.store.between(deploy, other, &system)?,
        None => deploys.store.unreleased(deploy, &system)?,
    };
    if global.json {
        output::json_result(&json!({ "config": values, "resources": resources }))?;
    } else if values.is_empty() && resources.is_empty() {
        output::say("no value differs");
    } else {
        let lines = changes::values(&values).into_iter().chain(changes::resources(&resources));
        output::result(lines.collect::<Vec<_>>().join("\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}
