//! `updraft explain`: what a probe of the audit is for.

use std::process::ExitCode;

use clap::Args;
use updraft_audit::{PROBES, Texts, UnknownProbe};

use crate::failure::{Failure, Outcome};
use crate::global::Global;
use crate::output;

/// Tell what a probe of `updraft check` is for, and how to mend what it finds
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft explain IX.drain
  updraft explain                   list all probes")]
pub(crate) struct ExplainArgs {
    /// The probe; all are listed where none is named
    #[arg(value_name = "ID")]
    id: Option<String>,
}

pub(crate) fn run(global: &Global, args: &ExplainArgs) -> Outcome {
    let Some(id) = &args.id else {
        list(global)?;
        return Ok(ExitCode::SUCCESS);
    };
    let id = id.parse().map_err(|error: UnknownProbe| {
        let failure = Failure::usage(error.to_string());
        match error.nearest() {
            Some(near) => failure.help(format!("did you mean `{near}`?")),
            None => failure.help("`updraft explain` lists the probes"),
        }
    })?;
    output::result(updraft_audit::explain(id).trim_end())?;
    Ok(ExitCode::SUCCESS)
}

fn list(global: &Global) -> Result<(), Failure> {
    let texts = Texts::carried();
    if global.json {
        let all: Vec<_> = PROBES
            .iter()
            .map(|probe| {
                serde_json::json!({
                    "id": probe.id,
                    "factor": probe.factor,
                    "tier": probe.tier,
                    "quick": probe.quick,
                    "title": texts.of(probe.id).title,
                })
            })
            .collect();
        return output::json_result(&all);
    }
    let rows = PROBES.iter().map(|probe| {
        let quick = if probe.quick { "quick" } else { "" };
        format!("{:<13} {quick:<6} {}", probe.id.as_str(), texts.of(probe.id).title)
    });
    output::result(rows.collect::<Vec<_>>().join("\n"))
}
