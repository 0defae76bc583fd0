//! `updraft up` of a system that runs already: its log, until Ctrl-C or its end.

use std::process::ExitCode;

use updraft_system::LogSelector;

use super::Up;
use crate::control::{Client, LogRequest};
use crate::failure::Outcome;
use crate::output;
use crate::verb::logs::show_running;

/// Lines from before that tell where the system stands.
const LAST: usize = 20;

pub(super) async fn run(up: &Up, client: &Client) -> Outcome {
    let name = &up.addressed.name;
    output::say("this is its log; Ctrl-C leaves it running");
    let whole = |service: &updraft_system::Name| LogSelector {
        service: service.clone(),
        process: None,
        replica: None,
    };
    let request = LogRequest {
        select: up.only.iter().map(whole).collect(),
        last: Some(LAST),
        follow: true,
        ..LogRequest::default()
    };
    tokio::select! {
        shown = show_running(client, &request, up.style()) => {
            shown?;
            output::say(format!("{name} has stopped"));
        }
        _ = tokio::signal::ctrl_c() => {
            output::say(format!("{name} goes on running; `updraft down` stops it"));
        }
    }
    Ok(ExitCode::SUCCESS)
}
