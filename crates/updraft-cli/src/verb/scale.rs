//! `updraft scale`: shows and changes how many copies of a process run.

use std::fmt;
use std::process::ExitCode;
use std::str::FromStr;

use anstyle::AnsiColor;
use clap::Args;
use clap_complete::ArgValueCandidates;
use serde::Serialize;
use updraft_system::{Auto, Name, ScaleRequest, ScalingStatus};

use crate::completion;
use crate::failure::{Failure, Outcome};
use crate::global::Global;
use crate::names;
use crate::output;
use crate::progress::Progress;
use crate::running::Addressed;
use crate::table::{Cell, Table};

/// Change how many copies of a process run, or show why there are so many
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft scale                             how many there are, and why
  updraft scale orders.worker=3
  updraft scale orders.web=2 orders.worker=0
  updraft scale orders.worker=auto          let its rule decide again

A number holds until the system stops, also against the rule of the process, if it has
one in the manifest. When one of the names is wrong, nothing is changed.")]
pub(crate) struct ScaleArgs {
    /// A process and its number of copies, or `auto`: `service.process=N`; without any, all
    /// processes are shown
    #[arg(value_name = "SERVICE.PROCESS=N")]
    #[arg(add = ArgValueCandidates::new(completion::scales))]
    wanted: Vec<Wanted>,
}

#[derive(Clone, Debug, Serialize)]
struct Wanted {
    service: Name,
    process: Name,
    #[serde(flatten)]
    request: ScaleRequest,
}

#[derive(Debug, thiserror::Error)]
#[error("write it as `service.process=N`, such as `orders.worker=3`, or `service.process=auto`")]
struct InvalidWanted;

impl FromStr for Wanted {
    type Err = InvalidWanted;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = || {
            let (name, replicas) = text.split_once('=')?;
            let (service, process) = name.split_once('.')?;
            let request = match replicas {
                "auto" => ScaleRequest::ByRule { auto: Auto },
                number => ScaleRequest::Copies { replicas: number.parse().ok()? },
            };
            let (service, process) = (service.parse().ok()?, process.parse().ok()?);
            Some(Self { service, process, request })
        };
        parts().ok_or(InvalidWanted)
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} ", self.service, self.process)?;
        match self.request {
            ScaleRequest::Copies { replicas } => write!(f, "to {replicas}"),
            ScaleRequest::ByRule { .. } => f.write_str("by its rule"),
        }
    }
}

pub(crate) async fn run(global: &Global, args: ScaleArgs) -> Outcome {
    let client = Addressed::find(&global.directory)?.running().await?;
    if args.wanted.is_empty() {
        let scaling = client.scaling().await?;
        match global.json {
            true => output::json_result(&scaling)?,
            false => output::result(table(&scaling))?,
        }
        return Ok(ExitCode::SUCCESS);
    }
    let graph = client.graph().await?;
    for Wanted { service, process, request } in &args.wanted {
        names::process(&graph, service, process)
            .map_err(|error| Failure::usage(error.to_string()))?;
        let ruled = graph.services.get(service).and_then(|it| it.processes.get(process));
        let ruled = ruled.is_some_and(|process| process.autoscale.is_some());
        if matches!(request, ScaleRequest::ByRule { .. }) && !ruled {
            let message = format!("{service}.{process} has no rule that could decide");
            let help = "write `scale = { min = 1, max = 10, cpu = \"70%\" }` in the manifest";
            return Err(Failure::usage(message).help(help));
        }
    }
    let mut progress = Progress::start(global.json);
    for wanted in &args.wanted {
        progress.show(&format!("scaling {wanted}"));
        client.scale(&wanted.service, &wanted.process, wanted.request).await?;
    }
    progress.clear();
    if global.json {
        output::json_result(&args.wanted)?;
    } else {
        for wanted in &args.wanted {
            output::say(format!("scaled {wanted}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

const TITLES: [&str; 6] = ["NAME", "MIN", "MAX", "CURRENT", "WISH", "WHY"];
/// Columns that hold numbers.
const RIGHT: &[usize] = &[1, 2, 3, 4];

fn table(scaling: &[ScalingStatus]) -> String {
    let mut table = Table::new(&TITLES, RIGHT);
    for row in scaling {
        table.row(cells(row));
    }
    table.to_string()
}

fn cells(row: &ScalingStatus) -> [Cell; 6] {
    let number = |number: Option<u32>| -> Cell {
        number.map_or_else(|| "-".to_owned(), |number| number.to_string()).into()
    };
    let why = match row.held {
        Some(held) => {
            Cell::styled(format!("held at {held}: {}", row.why), AnsiColor::Yellow.on_default())
        }
        None => row.why.clone().into(),
    };
    [
        format!("{}.{}", row.service, row.process).into(),
        number(row.min),
        number(row.max),
        row.current.to_string().into(),
        number(row.wish),
        why,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_why_there_are_so_many() {
        let row = |process: &str| ScalingStatus {
            service: "orders".parse().unwrap(),
            process: process.parse().unwrap(),
            current: 2,
            min: Some(1),
            max: Some(10),
            wish: None,
            held: None,
            loads: Vec::new(),
            decided: None,
            why: "its rule has not decided yet".to_owned(),
        };
        let rows = [
            ScalingStatus {
                wish: Some(5),
                current: 5,
                why: "cpu 312% in all, 70% a copy, asks for 5".to_owned(),
                ..row("web")
            },
            ScalingStatus { held: Some(2), why: "set by hand".to_owned(), ..row("worker") },
            ScalingStatus { min: None, max: None, why: "no rule".to_owned(), ..row("ticker") },
            row("mailer"),
        ];
        let coloured = table(&rows);
        insta::assert_snapshot!(anstream::adapter::strip_str(&coloured).to_string());
        assert!(coloured.contains("\u{1b}[33mheld at 2"), "{coloured:?}");
    }
}
