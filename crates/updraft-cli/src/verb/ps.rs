//! `updraft ps`: what runs, and how it fares.

mod confinement;

use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use clap::Args;
use updraft_system::{
    LogSource, ProcessState, ProcessStatus, Role, RollOutOutcome, RollOutStatus, RowKind,
};

use crate::failure::Outcome;
use crate::global::Global;
use crate::output;
use crate::quantity;
use crate::running::Addressed;
use crate::table::{Cell, Table};

/// Show what runs
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft ps
  updraft ps --confinement         the limits and privileges that hold for each process
  updraft ps --json | jq '.[] | select(.state != \"ready\")'

A system that does not run has no processes: an empty list, and exit code 0.")]
pub(crate) struct PsArgs {
    /// Limits and privileges instead of states, and why some do not hold here
    #[arg(long)]
    confinement: bool,
}

const TITLES: [&str; 7] = ["NAME", "STATE", "PID", "ADDRESS", "RESTARTS", "UPTIME", "NOTE"];
/// Columns that hold numbers.
const RIGHT: &[usize] = &[2, 4];

pub(crate) async fn run(global: &Global, args: PsArgs) -> Outcome {
    let addressed = Addressed::find(&global.directory)?;
    let client = addressed.client().await?;
    let rows = match &client {
        Some(client) => client.processes().await?,
        None => Vec::new(),
    };
    if global.json {
        output::json_result(&rows)?;
    } else if client.is_none() {
        output::say(format!("{} is not running", addressed.name));
    } else if args.confinement {
        output::result(confinement::table(&rows))?;
    } else {
        output::result(table(&rows))?;
        if let Some(client) = &client
            && let Some(roll_out) = client.system().await?.roll_out
            && is_news(&roll_out)
        {
            output::say(roll_out.detail);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether it is worth a word: that all went well is not.
fn is_news(roll_out: &RollOutStatus) -> bool {
    !matches!(roll_out.outcome, Some(RollOutOutcome::Done | RollOutOutcome::Unchanged))
}

fn table(rows: &[ProcessStatus]) -> String {
    let mut table = Table::new(&TITLES, RIGHT);
    for row in rows {
        table.row(cells(row));
    }
    table.to_string()
}

fn cells(row: &ProcessStatus) -> [Cell; 7] {
    let dash = || "-".to_owned();
    let name = match row.kind {
        RowKind::Service => {
            let (service, process) = (row.service.clone(), row.process.clone());
            LogSource { slot: row.slot, ..LogSource::new(service, process, row.replica) }
                .to_string()
        }
        RowKind::Resource => row.service.to_string(),
    };
    let port = row.port.map(|port| format!("127.0.0.1:{port}"));
    [
        name.into(),
        Cell::styled(state_in_words(row.state), colour(row.state)),
        row.pid.map_or_else(dash, |pid| pid.to_string()).into(),
        row.url.clone().or(port).unwrap_or_else(dash).into(),
        row.restarts.to_string().into(),
        row.pid.map_or_else(dash, |_| quantity::span(row.uptime_s)).into(),
        note(row).into(),
    ]
}

fn note(row: &ProcessStatus) -> String {
    let part = match row.role {
        Role::Serving => "",
        Role::Incoming => "new",
        Role::Outgoing => "old",
    };
    let detail = row.detail.clone().or_else(|| row.last_exit.clone()).unwrap_or_default();
    let release = row.release.map(|number| format!("release {number}")).unwrap_or_default();
    let parts = [&*release, part, &detail];
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(": ")
}

fn state_in_words(state: ProcessState) -> &'static str {
    match state {
        ProcessState::Waiting => "waiting",
        ProcessState::Starting => "starting",
        ProcessState::Ready => "ready",
        ProcessState::Unready => "unready",
        ProcessState::Backoff => "back-off",
        ProcessState::CrashLoop => "crash loop",
        ProcessState::Stopping => "stopping",
        ProcessState::Stopped => "stopped",
    }
}

fn colour(state: ProcessState) -> Style {
    match state {
        ProcessState::Ready => AnsiColor::Green.on_default(),
        ProcessState::Unready | ProcessState::Backoff => AnsiColor::Yellow.on_default(),
        ProcessState::CrashLoop => AnsiColor::Red.on_default().bold(),
        ProcessState::Waiting | ProcessState::Starting => AnsiColor::Cyan.on_default(),
        ProcessState::Stopping | ProcessState::Stopped => Style::new().dimmed(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use updraft_system::Slot;

    use super::*;

    pub(crate) fn row(service: &str, process: &str, state: ProcessState) -> ProcessStatus {
        ProcessStatus {
            kind: RowKind::Service,
            service: service.parse().unwrap(),
            process: process.parse().unwrap(),
            replica: 1,
            slot: Slot::A,
            role: Role::Serving,
            pid: Some(4711),
            port: Some(20_001),
            url: None,
            state,
            restarts: 0,
            uptime_s: 59,
            release: None,
            last_exit: None,
            detail: None,
            confinement: None,
        }
    }

    #[test]
    fn the_table_lines_up() {
        let rows = [
            ProcessStatus {
                url: Some("http://127.0.0.1:20001".to_owned()),
                uptime_s: 3661,
                ..row("storefront", "web", ProcessState::Ready)
            },
            ProcessStatus {
                restarts: 12,
                pid: None,
                last_exit: Some("killed by SIGSEGV".to_owned()),
                ..row("orders", "worker", ProcessState::CrashLoop)
            },
            ProcessStatus {
                slot: Slot::B,
                role: Role::Incoming,
                detail: Some("ready; proves that it stays so".to_owned()),
                ..row("orders", "web", ProcessState::Starting)
            },
            ProcessStatus { kind: RowKind::Resource, ..row("db", "server", ProcessState::Ready) },
        ];
        let coloured = table(&rows);
        insta::assert_snapshot!(anstream::adapter::strip_str(&coloured).to_string());
        assert!(coloured.contains("\u{1b}[32mready"), "{coloured:?}");
    }
}
