//! `updraft top`: what happens on each edge, right now.

use std::process::ExitCode;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};
use updraft_system::Name;
use updraft_system::mesh::{CallRates, EdgeReport, EdgeSide, Protocol};

use crate::control::{Client, ControlError};
use crate::failure::{Failure, Outcome};
use crate::global::Global;
use crate::output;
use crate::quantity::{bytes, latency, percent, rate};
use crate::running::Addressed;
use crate::screen::Screen;
use crate::table::{Cell, Table};
use crate::wire_rates::{self, APART, Edge, Standing};

const TITLES: [&str; 12] = [
    "FROM", "TO", "RPS", "ERR%", "P50", "P90", "P99", "RETRY/S", "OPEN", "INFLIGHT", "BYTES/S",
    "BREAKER",
];
const RIGHT: &[usize] = &[2, 3, 4, 5, 6, 7, 8, 9, 10];
const OPERATION_TITLES: [&str; 8] = ["FROM", "TO", "OPERATION", "RPS", "ERR%", "P50", "P90", "P99"];
const OPERATION_RIGHT: &[usize] = &[3, 4, 5, 6, 7];
/// A share of errors that deserves a look.
const MANY_ERRORS: f64 = 0.05;

/// Show what happens on each edge, once a second
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft top                      q or Ctrl-C ends it
  updraft top --once               one table, from two looks a second apart
  updraft top --by operation       each operation that is called
  updraft top --json | jq '.edges[] | select(.error_share > 0.01)'

The busiest edge comes first. RPS are calls that ended; ERR% is the share that failed through
no mistake of the caller: 5xx, refused by the gateway, no answer. OPEN are connections
from callers and to endpoints, BYTES/S those of bodies and tunnels in both directions. BREAKER
tells how the endpoint stands that is worst off.

In a pipe there is one table, or with --json one line each second.")]
pub(crate) struct TopArgs {
    /// One table, then the end
    #[arg(long)]
    once: bool,
    /// What a row stands for
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = By::Edge)]
    by: By,
}

/// What a row stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum By {
    Edge,
    Operation,
}

pub(crate) async fn run(global: &Global, args: TopArgs) -> Outcome {
    let addressed = Addressed::find(&global.directory)?;
    let client = addressed.running().await?;
    let top = Top { name: addressed.name, client, by: args.by };
    match (global.json, args.once) {
        (true, false) => top.lines().await,
        (false, false) if output::stdout_is_terminal() => top.live().await,
        (json, _) => top.once(json).await,
    }
}

struct Top {
    name: Name,
    client: Client,
    by: By,
}

impl Top {
    async fn once(self, json: bool) -> Outcome {
        let edges = sorted(wire_rates::now(&self.client).await?);
        if json {
            output::json_line(&Look::at(&edges))?;
        } else {
            output::result(self.table(&edges))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// One line of JSON each second, until the system stops.
    async fn lines(self) -> Outcome {
        let mut older = self.client.edges().await?;
        loop {
            tokio::time::sleep(APART).await;
            let Some(edges) = self.next(&mut older).await? else { return self.stopped() };
            output::json_line(&Look::at(&edges))?;
        }
    }

    async fn live(self) -> Outcome {
        let unshown = |error: std::io::Error| output::unwritten(&error);
        let mut terminate = signal(SignalKind::terminate()).map_err(unshown)?;
        let mut hang_up = signal(SignalKind::hangup()).map_err(unshown)?;
        let mut older = self.client.edges().await?;
        let mut screen = Screen::open().map_err(unshown)?;
        let mut ticks = interval(APART);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        screen
            .show(&self.frame(&sorted(wire_rates::between(&[], older.clone()))))
            .map_err(unshown)?;
        ticks.tick().await;
        loop {
            tokio::select! {
                () = screen.left() => return Ok(ExitCode::SUCCESS),
                _ = terminate.recv() => return Ok(ExitCode::SUCCESS),
                _ = hang_up.recv() => return Ok(ExitCode::SUCCESS),
                _ = ticks.tick() => {}
            }
            let Some(edges) = self.next(&mut older).await? else {
                drop(screen);
                return self.stopped();
            };
            screen.show(&self.frame(&edges)).map_err(unshown)?;
        }
    }

    /// What happened since `older`; `None`: the system is gone.
    async fn next(&self, older: &mut Vec<EdgeReport>) -> Result<Option<Vec<Edge>>, Failure> {
        let newer = match self.client.edges().await {
            Ok(newer) => newer,
            Err(ControlError::Gone(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let edges = sorted(wire_rates::between(older, newer.clone()));
        *older = newer;
        Ok(Some(edges))
    }

    fn stopped(&self) -> Outcome {
        output::say(format!("{} has stopped", self.name));
        Ok(ExitCode::SUCCESS)
    }

    fn frame(&self, edges: &[Edge]) -> Vec<String> {
        let rps: f64 = edges.iter().map(|edge| edge.rates.calls.rps).sum();
        let dim = Style::new().dimmed();
        let head = format!(
            "{}: {} edges, {} calls/s  {dim}q ends it{dim:#}",
            self.name,
            edges.len(),
            rate(rps)
        );
        let table = self.table(edges).lines();
        [head, String::new()].into_iter().chain(table).collect()
    }

    fn table(&self, edges: &[Edge]) -> Table {
        match self.by {
            By::Edge => by_edge(edges),
            By::Operation => by_operation(edges),
        }
    }
}

/// The busiest first, then by name.
fn sorted(mut edges: Vec<Edge>) -> Vec<Edge> {
    edges.sort_by(|a, b| {
        let names = || (&a.report.from, &a.report.to).cmp(&(&b.report.from, &b.report.to));
        b.rates.calls.rps.total_cmp(&a.rates.calls.rps).then_with(names)
    });
    edges
}

fn by_edge(edges: &[Edge]) -> Table {
    let mut table = Table::new(&TITLES, RIGHT);
    for edge in edges {
        let Edge { report, rates } = edge;
        let idle = if edge.was_used() { Style::new() } else { Style::new().dimmed() };
        let connections = &report.connections;
        let head = [&report.from, &report.to].map(|name| Cell::styled(name.as_str(), idle));
        let tail = [
            rate(rates.retries_per_s).into(),
            (connections.caller + connections.endpoint).to_string().into(),
            report.active_requests.to_string().into(),
            bytes(edge.bytes_per_s()).into(),
            breaker(edge),
        ];
        table.row(head.into_iter().chain(calls(&rates.calls)).chain(tail));
    }
    table
}

fn by_operation(edges: &[Edge]) -> Table {
    let mut table = Table::new(&OPERATION_TITLES, OPERATION_RIGHT);
    let all = edges.iter().flat_map(|edge| edge.rates.operations.iter().map(move |it| (edge, it)));
    let mut all: Vec<_> = all.collect();
    all.sort_by(|(_, a), (_, b)| b.calls.rps.total_cmp(&a.calls.rps));
    for (edge, operation) in all {
        let head = [edge.report.from.as_str(), edge.report.to.as_str(), &operation.operation];
        table.row(head.into_iter().map(Cell::new).chain(calls(&operation.calls)));
    }
    table
}

fn calls(calls: &CallRates) -> [Cell; 5] {
    let time = |time: Option<Duration>| Cell::new(time.map_or("-".to_owned(), latency));
    let errors = match calls.error_share {
        ..=0.0 => Style::new(),
        MANY_ERRORS.. => AnsiColor::Red.on_default().bold(),
        _ => AnsiColor::Yellow.on_default(),
    };
    [
        rate(calls.rps).into(),
        Cell::styled(percent(calls.error_share), errors),
        time(calls.p50),
        time(calls.p90),
        time(calls.p99),
    ]
}

fn breaker(edge: &Edge) -> Cell {
    let (worst, count) = edge.worst();
    let all = edge.report.endpoints.len();
    let style = match worst {
        Standing::Closed => Style::new(),
        Standing::HalfOpen => AnsiColor::Yellow.on_default(),
        _ => AnsiColor::Red.on_default().bold(),
    };
    match worst {
        Standing::Closed | Standing::NoEndpoint => Cell::styled(worst.as_str(), style),
        _ => Cell::styled(format!("{} {count}/{all}", worst.as_str()), style),
    }
}

/// One look at all edges as scripts read it.
#[derive(Serialize)]
struct Look<'a> {
    time: Timestamp,
    edges: Vec<EdgeLine<'a>>,
}

impl<'a> Look<'a> {
    fn at(edges: &'a [Edge]) -> Self {
        Self { time: Timestamp::now(), edges: edges.iter().map(EdgeLine::of).collect() }
    }
}

/// The rates of calls as scripts read them; times in milliseconds.
#[derive(Debug, Serialize)]
struct Calls {
    rps: f64,
    error_share: f64,
    p50_ms: Option<f64>,
    p90_ms: Option<f64>,
    p99_ms: Option<f64>,
}

impl From<&CallRates> for Calls {
    fn from(calls: &CallRates) -> Self {
        let millis = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1e3);
        Self {
            rps: calls.rps,
            error_share: calls.error_share,
            p50_ms: millis(calls.p50),
            p90_ms: millis(calls.p90),
            p99_ms: millis(calls.p99),
        }
    }
}

/// One edge as `top --json` and `graph --json` have it.
#[derive(Debug, Serialize)]
pub(super) struct EdgeLine<'a> {
    from: &'a Name,
    to: &'a Name,
    protocol: Protocol,
    side: EdgeSide,
    #[serde(flatten)]
    calls: Calls,
    retries_per_s: f64,
    refusals_per_s: f64,
    connections: u64,
    active_requests: u64,
    bytes_per_s: f64,
    breaker: &'static str,
    operations: Vec<OperationLine<'a>>,
}

#[derive(Debug, Serialize)]
struct OperationLine<'a> {
    operation: &'a str,
    #[serde(flatten)]
    calls: Calls,
}

impl<'a> EdgeLine<'a> {
    pub(super) fn of(edge: &'a Edge) -> Self {
        let Edge { report, rates } = edge;
        let operations = rates.operations.iter();
        Self {
            from: &report.from,
            to: &report.to,
            protocol: report.protocol,
            side: report.side,
            calls: Calls::from(&rates.calls),
            retries_per_s: rates.retries_per_s,
            refusals_per_s: rates.refusals_per_s,
            connections: report.connections.caller + report.connections.endpoint,
            active_requests: report.active_requests,
            bytes_per_s: edge.bytes_per_s(),
            breaker: edge.worst().0.as_str(),
            operations: operations
                .map(|it| OperationLine { operation: &it.operation, calls: Calls::from(&it.calls) })
                .collect(),
        }
    }
}

#[cfg(test)]
#[path = "top_tests.rs"]
pub(in crate::verb) mod tests;
