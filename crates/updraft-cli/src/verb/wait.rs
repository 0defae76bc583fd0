//! `updraft wait`: for scripts that go on when the system is ready.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tokio::time::{Instant, timeout_at};
use updraft_system::duration;

use crate::failure::{Failure, Outcome};
use crate::global::Global;
use crate::output;
use crate::progress::Progress;
use crate::readiness::{progress, until_decided};
use crate::running::Addressed;

/// How long an `up` that was started just before may take to be seen.
const APPEAR_WITHIN: Duration = Duration::from_secs(5);

/// Wait until every process is ready
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft wait --ready                 a minute at most
  updraft wait --ready 5m && curl $(updraft open --print)

Exit code 0: ready; 1: not in time, failed, or not running.")]
pub(crate) struct WaitArgs {
    /// How long at most
    #[arg(long, required = true, num_args = 0..=1, default_missing_value = "60s")]
    #[arg(value_name = "DURATION", value_parser = duration::parse)]
    ready: Duration,
}

pub(crate) async fn run(global: &Global, args: WaitArgs) -> Outcome {
    let addressed = Addressed::find(&global.directory)?;
    let name = &addressed.name;
    let start = Instant::now();
    let deadline = start + args.ready;
    let appear = deadline.min(start + APPEAR_WITHIN);
    let client = addressed.appearance(appear).await?.ok_or_else(|| addressed.not_running())?;
    let mut line = Progress::start(global.json);
    let mut last = String::new();
    let decided = timeout_at(deadline, async {
        let mut events = client.events().await?;
        until_decided(&mut events, |event| {
            last = progress(event);
            line.show(&last);
        })
        .await
    });
    let decided = decided.await;
    line.clear();
    let Ok(decided) = decided else {
        let within = duration::format(args.ready);
        return Err(Failure::finding(format!("{name} is not ready within {within}: {last}")));
    };
    let status = decided?.ready_or_failure(name)?;
    if global.json {
        output::json_result(&status)?;
    } else {
        output::say(format!("{name} is ready"));
    }
    Ok(ExitCode::SUCCESS)
}
