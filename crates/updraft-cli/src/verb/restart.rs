//! `updraft restart`: starts processes anew.

use std::process::ExitCode;

use clap::Args;
use clap_complete::ArgValueCandidates;
use serde_json::json;
use updraft_system::LogSelector;

use crate::completion;
use crate::failure::Outcome;
use crate::global::Global;
use crate::output;
use crate::progress::Progress;
use crate::running::Addressed;

/// Start a service, one of its processes or one replica anew
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft restart orders           all its processes
  updraft restart orders.worker    one process type
  updraft restart orders.web.2     one replica

Replicas are restarted one after another; it returns when they are ready.")]
pub(crate) struct RestartArgs {
    /// What: `service`, `service.process`, `service.process.1`, or a resource
    #[arg(value_name = "SELECTOR")]
    #[arg(add = ArgValueCandidates::new(completion::runs))]
    select: LogSelector,
}

pub(crate) async fn run(global: &Global, args: RestartArgs) -> Outcome {
    let client = Addressed::find(&global.directory)?.running().await?;
    let mut progress = Progress::start(global.json);
    progress.show(&format!("restarting {}", args.select));
    client.restart(args.select.clone()).await?;
    progress.clear();
    if global.json {
        output::json_result(&json!({ "restarted": args.select }))?;
    } else {
        output::say(format!("restarted {}", args.select));
    }
    Ok(ExitCode::SUCCESS)
}
