//! `updraft restart`: starts processes anew.

use std::process::ExitCode;

use clap::Args;
use clap_complete::ArgValueCandidates;
use serde_json::json;
use updraft_system::{LogSelector, Process, Roll, Service, System};

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

A replica that serves requests is replaced without losing one: the new program starts
beside the old, takes over when it is ready, and the old ends when its requests have. The
others stop and start again, one after another. It returns when all are ready.")]
pub(crate) struct RestartArgs {
    /// What: `service`, `service.process`, `service.process.1`, or a resource
    #[arg(value_name = "SELECTOR")]
    #[arg(add = ArgValueCandidates::new(completion::runs))]
    select: LogSelector,
    /// Stop each replica before it starts again, also where it could be replaced in its stead
    #[arg(long)]
    hard: bool,
}

pub(crate) async fn run(global: &Global, args: RestartArgs) -> Outcome {
    let client = Addressed::find(&global.directory)?.running().await?;
    let gaps = gaps(&client.graph().await?, &args);
    if !global.json {
        for name in &gaps {
            output::say(format!("{name} cannot roll: it stops first, then starts"));
        }
    }
    let mut progress = Progress::start(global.json);
    progress.show(&format!("restarting {}", args.select));
    client.restart(args.select.clone(), args.hard).await?;
    progress.clear();
    if global.json {
        output::json_result(&json!({ "restarted": args.select, "stopped_first": gaps }))?;
    } else {
        output::say(format!("restarted {}", args.select));
    }
    Ok(ExitCode::SUCCESS)
}

/// The processes that serve requests and serve none for a while.
fn gaps(system: &System, args: &RestartArgs) -> Vec<String> {
    let chosen = |service: &&Service, process: &&Process| {
        service.name == args.select.service
            && args.select.process.as_ref().is_none_or(|it| *it == process.name)
    };
    let gap = |process: &&Process| {
        process.serves().is_some() && (args.hard || process.roll == Roll::Exclusive)
    };
    let of_service = |service: &Service| {
        let processes = service.processes.values().filter(|it| chosen(&service, it));
        let names = processes.filter(gap).map(|it| format!("{}.{}", service.name, it.name));
        names.collect::<Vec<_>>()
    };
    system.services.values().flat_map(of_service).collect()
}
