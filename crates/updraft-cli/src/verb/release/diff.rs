//! `updraft release diff`: what differs between two releases.

use std::process::ExitCode;

use anstyle::Style;
use clap::Args;
use updraft_system::release::ReleaseNumber;

use super::changes;
use crate::deploys::Deploys;
use crate::failure::{Failure, Outcome};
use crate::global::Global;
use crate::output;

/// Show what differs between two releases
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft release diff 41 42
  updraft release diff 41 42 --json | jq -r '.config[].setting'

Of a secret it is told that it differs, never what it is. The releases may be of two deploys.")]
pub(super) struct DiffArgs {
    /// The one release
    #[arg(value_name = "A")]
    from: ReleaseNumber,
    /// The other
    #[arg(value_name = "B")]
    to: ReleaseNumber,
}

pub(super) fn run(global: &Global, args: &DiffArgs) -> Outcome {
    let store = Deploys::find(global)?.store;
    let (from, to) = (store.release(args.from)?, store.release(args.to)?);
    let difference = store.difference(&from, &to)?;
    if global.json {
        output::json_result(&difference)?;
        return Ok(ExitCode::SUCCESS);
    }
    if difference.is_empty() {
        output::say(format!("releases {} and {} are the same", from.number, to.number));
    }
    section("builds", changes::builds(&difference.builds))?;
    section("values", changes::values(&difference.config))?;
    section("resources", changes::resources(&difference.resources))?;
    section("manifest", difference.manifest.lines().map(str::to_owned).collect())?;
    Ok(ExitCode::SUCCESS)
}

fn section(title: &str, lines: Vec<String>) -> Result<(), Failure> {
    if lines.is_empty() {
        return Ok(());
    }
    let bold = Style::new().bold();
    output::result(format!("{bold}{title}{bold:#}\n{}", lines.join("\n")))
}
