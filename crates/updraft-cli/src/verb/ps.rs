//! `updraft ps`: what runs, and how it fares.

use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use updraft_system::{ProcessState, ProcessStatus, RowKind};

use crate::failure::Outcome;
use crate::global::Global;
use crate::output;
use crate::running::Addressed;

pub(crate) const AFTER_HELP: &str = "\
Examples:
  updraft ps
  updraft ps --json | jq '.[] | select(.state != \"ready\")'

A system that does not run has no processes: an empty list, and exit code 0.";

const TITLES: [&str; 7] = ["NAME", "STATE", "PID", "ADDRESS", "RESTARTS", "UPTIME", "NOTE"];
const STATE: usize = 1;
/// Columns that hold numbers.
const RIGHT: [usize; 2] = [2, 4];
const GAP: &str = "  ";

pub(crate) async fn run(global: &Global) -> Outcome {
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
    } else {
        output::result(table(&rows))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn table(rows: &[ProcessStatus]) -> String {
    let cells: Vec<[String; 7]> = rows.iter().map(cells).collect();
    let widths: [usize; 7] = std::array::from_fn(|column| {
        let longest = cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        longest.max(TITLES[column].len())
    });
    let mut text = line(&TITLES.map(str::to_owned), &widths, Style::new());
    for (row, cells) in rows.iter().zip(&cells) {
        text.push('\n');
        text.push_str(&line(cells, &widths, colour(row.state)));
    }
    text
}

fn line(cells: &[String; 7], widths: &[usize; 7], state: Style) -> String {
    let mut text = String::new();
    for (column, cell) in cells.iter().enumerate() {
        let width = widths[column];
        let padded = match column {
            STATE => format!("{state}{cell}{state:#}{:1$}", "", width - cell.len()),
            column if RIGHT.contains(&column) => format!("{cell:>width$}"),
            _ => format!("{cell:<width$}"),
        };
        text.push_str(&padded);
        text.push_str(GAP);
    }
    text.trim_end().to_owned()
}

fn cells(row: &ProcessStatus) -> [String; 7] {
    let dash = || "-".to_owned();
    let name = match row.kind {
        RowKind::Service => format!("{}.{}.{}", row.service, row.process, row.replica),
        RowKind::Resource => row.service.to_string(),
    };
    let port = row.port.map(|port| format!("127.0.0.1:{port}"));
    [
        name,
        state_in_words(row.state).to_owned(),
        row.pid.map_or_else(dash, |pid| pid.to_string()),
        row.url.clone().or(port).unwrap_or_else(dash),
        row.restarts.to_string(),
        row.pid.map_or_else(dash, |_| span_in_words(row.uptime_s)),
        row.detail.clone().or_else(|| row.last_exit.clone()).unwrap_or_default(),
    ]
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

/// A time span in its two largest units.
fn span_in_words(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m{}s", seconds % 60),
        (0, hours, minutes) => format!("{hours}h{}m", minutes % 60),
        (days, hours, _) => format!("{days}d{}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(service: &str, process: &str, state: ProcessState) -> ProcessStatus {
        ProcessStatus {
            kind: RowKind::Service,
            service: service.parse().unwrap(),
            process: process.parse().unwrap(),
            replica: 1,
            pid: Some(4711),
            port: Some(20_001),
            url: None,
            state,
            restarts: 0,
            uptime_s: 59,
            release: None,
            last_exit: None,
            detail: None,
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
            ProcessStatus { kind: RowKind::Resource, ..row("db", "server", ProcessState::Ready) },
        ];
        let coloured = table(&rows);
        insta::assert_snapshot!(anstream::adapter::strip_str(&coloured).to_string());
        assert!(coloured.contains("\u{1b}[32mready"), "{coloured:?}");
    }

    #[test]
    fn spans_have_two_units() {
        let cases = [
            (0, "0s"),
            (59, "59s"),
            (60, "1m0s"),
            (3599, "59m59s"),
            (3661, "1h1m"),
            (90_000, "1d1h"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(span_in_words(seconds), expected);
        }
    }
}
