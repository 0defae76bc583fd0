//! `updraft scale`: changes how many copies of a process run.

use std::process::ExitCode;
use std::str::FromStr;

use clap::Args;
use clap_complete::ArgValueCandidates;
use serde::Serialize;
use updraft_system::Name;

use crate::completion;
use crate::failure::{Failure, Outcome};
use crate::global::Global;
use crate::names;
use crate::output;
use crate::progress::Progress;
use crate::running::Addressed;

/// Change how many copies of a process run, until the system stops
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft scale orders.worker=3
  updraft scale orders.web=2 orders.worker=0

When one of the names is wrong, nothing is changed.")]
pub(crate) struct ScaleArgs {
    /// A process and its number of copies: `service.process=N`
    #[arg(required = true, value_name = "SERVICE.PROCESS=N")]
    #[arg(add = ArgValueCandidates::new(completion::scales))]
    wanted: Vec<Wanted>,
}

#[derive(Clone, Debug, Serialize)]
struct Wanted {
    service: Name,
    process: Name,
    replicas: u32,
}

#[derive(Debug, thiserror::Error)]
#[error("write it as `service.process=N`, such as `orders.worker=3`")]
struct InvalidWanted;

impl FromStr for Wanted {
    type Err = InvalidWanted;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = || {
            let (name, replicas) = text.split_once('=')?;
            let (service, process) = name.split_once('.')?;
            Some(Self {
                service: service.parse().ok()?,
                process: process.parse().ok()?,
                replicas: replicas.parse().ok()?,
            })
        };
        parts().ok_or(InvalidWanted)
    }
}

pub(crate) async fn run(global: &Global, args: ScaleArgs) -> Outcome {
    let client = Addressed::find(&global.directory)?.running().await?;
    let graph = client.graph().await?;
    for Wanted { service, process, .. } in &args.wanted {
        names::process(&graph, service, process)
            .map_err(|error| Failure::usage(error.to_string()))?;
    }
    let mut progress = Progress::start(global.json);
    for Wanted { service, process, replicas } in &args.wanted {
        progress.show(&format!("scaling {service}.{process} to {replicas}"));
        client.scale(service, process, *replicas).await?;
    }
    progress.clear();
    if global.json {
        output::json_result(&args.wanted)?;
    } else {
        for Wanted { service, process, replicas } in &args.wanted {
            output::say(format!("scaled {service}.{process} to {replicas}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}
