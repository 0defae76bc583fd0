//! `updraft down`: stops a system and waits until nothing of it is left.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use updraft_engine::{Remembered, StateLock};
use updraft_system::{StopRequest, SystemEnd};

use crate::control::Client;
use crate::failure::{Failure, Outcome};
use crate::global::Global;
use crate::output;
use crate::progress::Progress;
use crate::readiness::progress;
use crate::running::{Addressed, Presence, Supervisor};

/// Stop the system
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft down                stop it, each process within its own time
  updraft down --now          kill it
  updraft down --resources    also delete the data of its local resources

It returns when nothing of it is left. What ran in the background is forgotten: the next
`updraft up -d` starts the system as its manifest has it. Exit code 1: something did not end in its
time and was killed.")]
pub(crate) struct DownArgs {
    /// Delete the data of local resources too, also of a system that is not running
    #[arg(long)]
    resources: bool,
    /// Kill everything at once
    #[arg(long)]
    now: bool,
}

pub(crate) async fn run(global: &Global, args: DownArgs) -> Outcome {
    let addressed = Addressed::find(&global.directory)?;
    match addressed.presence().await? {
        Presence::Running(client) => stop(global, &addressed, &client, &args).await,
        Presence::Stopped(lock) => is_stopped(global, &addressed, &lock, &args),
    }
}

fn is_stopped(
    global: &Global,
    addressed: &Addressed,
    lock: &StateLock,
    args: &DownArgs,
) -> Outcome {
    Remembered::forget(&addressed.state, lock)?;
    if args.resources {
        addressed.state.delete_resources(lock)?;
    }
    if global.json {
        output::json_result(&json!({ "was_running": false, "killed": [] }))?;
    } else {
        let deleted = if args.resources { "; the data of its resources is deleted" } else { "" };
        output::say(format!("{} is not running{deleted}", addressed.name));
    }
    Ok(ExitCode::SUCCESS)
}

async fn stop(global: &Global, addressed: &Addressed, client: &Client, args: &DownArgs) -> Outcome {
    let name = &addressed.name;
    let supervisor = Supervisor::of(client);
    let mut line = Progress::start(global.json);
    let mut events = client.events().await?;
    client.stop(StopRequest { resources: args.resources, now: args.now }).await?;
    let mut end = None;
    // A supervisor that dies while it stops is judged by what it left: no report.
    while let Ok(Some(event)) = events.next().await {
        line.show(&progress(&event));
        end = end.or(event.ended);
    }
    supervisor.ended().await?;
    line.clear();
    let Some(SystemEnd { killed, .. }) = end else {
        return Err(Failure::finding(format!("the supervisor of {name} died while it stopped")));
    };
    if global.json {
        output::json_result(&json!({ "was_running": true, "killed": killed }))?;
    } else {
        output::say(format!("{name} is stopped"));
    }
    if killed.is_empty() || args.now {
        return Ok(ExitCode::SUCCESS);
    }
    let killed = killed.join(", ");
    Err(Failure::finding(format!("killed because they did not end in their time: {killed}"))
        .help("give them a longer `stop`, or let them end on SIGTERM"))
}
