//! `updraft logs`: the merged log, of a system that runs or of one that ran.

use std::process::ExitCode;

use clap::Args;
use clap_complete::ArgValueCandidates;
use jiff::Timestamp;
use updraft_engine::logs::read_stored;
use updraft_system::LogSelector;

use crate::completion;
use crate::control::{Client, LogRequest, parse_since};
use crate::failure::{Class, Failure, Outcome};
use crate::global::Global;
use crate::log_view::{LogPrinter, LogStyle, PRINT_WITHIN};
use crate::names;
use crate::output;
use crate::running::Addressed;

/// Stored lines shown before those that come, when nothing else is asked for.
const FOLLOW_LAST: usize = 20;

/// Show what the processes wrote
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft logs                               everything that is kept, also of earlier runs
  updraft logs orders pricing.web -f         follow some
  updraft logs --since 10m --grep 'timeout|refused'
  updraft logs orders.build -n 50            the end of a build's output
  updraft logs --json | jq -r .line

It works on a stopped system, too.")]
pub(crate) struct LogsArgs {
    /// Only of these: `service`, `service.process`, `service.process.1`, `service.task`
    #[arg(value_name = "SELECTOR")]
    #[arg(add = ArgValueCandidates::new(completion::writes))]
    select: Vec<LogSelector>,
    /// Go on with new lines until the system stops
    #[arg(short, long)]
    follow: bool,
    /// Only lines since then: a time span before now (10m) or a time (2026-01-31T12:00:00Z)
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Option<Timestamp>,
    /// Only lines that match this regular expression
    #[arg(long, value_name = "REGEX")]
    grep: Option<String>,
    /// Only the newest N lines; with -f 20 when it is left out
    #[arg(short = 'n', long = "lines", value_name = "N")]
    last: Option<usize>,
    /// Show structured lines as they were written
    #[arg(long)]
    raw: bool,
    /// Show the time of each line
    #[arg(short = 't', long)]
    times: bool,
}

pub(crate) async fn run(global: &Global, args: LogsArgs) -> Outcome {
    let addressed = Addressed::find(&global.directory)?;
    let style = LogStyle::wished(global.json, args.raw, args.times);
    let newest = args.follow && args.since.is_none() && args.last.is_none();
    let request = LogRequest {
        select: args.select,
        since: args.since,
        grep: args.grep,
        last: if newest { Some(FOLLOW_LAST) } else { args.last },
        follow: args.follow,
    };
    request.to_engine().map_err(|error| Failure::from_error(Class::Usage, &error))?;
    if let Some(client) = addressed.client().await? {
        return show_running(&client, &request, style).await;
    }
    let shown = show_stored(&addressed, &request, style).await?;
    if shown == 0 {
        // Lines of a service that has left the manifest are shown; a name with none is a slip.
        let system = addressed.dir.system()?;
        for selector in &request.select {
            names::writes(&system, selector).map_err(|error| Failure::usage(error.to_string()))?;
        }
    }
    if args.follow {
        output::say(format!("{} is not running", addressed.name));
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows a request's lines until they end or nobody reads them.
pub(super) async fn show_running(
    client: &Client,
    request: &LogRequest,
    style: LogStyle,
) -> Outcome {
    let mut lines = client.logs(request).await?;
    let printer = LogPrinter::to_stdout(style)?;
    while let Some(line) = lines.next().await? {
        if !printer.print_when_ready(line).await {
            return Err(Failure::ReaderGone);
        }
    }
    printer.finish(PRINT_WITHIN).await?;
    Ok(ExitCode::SUCCESS)
}

/// Shows lines from the files of a system that does not run; tells how many.
pub(super) async fn show_stored(
    addressed: &Addressed,
    request: &LogRequest,
    style: LogStyle,
) -> Result<u64, Failure> {
    let query = request.to_engine();
    let query = query.map_err(|error| Failure::from_error(Class::Usage, &error))?;
    let unread = |error| Failure::from_error(Class::Environment, &error);
    let printer = LogPrinter::to_stdout(style)?;
    let mut shown = 0;
    for line in read_stored(&addressed.state.logs(), &query).map_err(unread)? {
        if !printer.print_when_ready(line.map_err(unread)?).await {
            return Err(Failure::ReaderGone);
        }
        shown += 1;
    }
    printer.finish(PRINT_WITHIN).await?;
    Ok(shown)
}

fn since(text: &str) -> Result<Timestamp, String> {
    parse_since(text, Timestamp::now()).map_err(|error| error.to_string())
}
