//! `updraft release show`: all that a release is made of.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use updraft_release::StoreError;
use updraft_system::release::{Release, ReleaseNumber};

use super::changes::source;
use crate::deploys::{DeployArg, Deploys, moment};
use crate::failure::Outcome;
use crate::global::Global;
use crate::output;
use crate::table::{Cell, Table};

/// Show what a release is made of
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft release show 42
  updraft release show -e production             the current one
  updraft release show 42 --manifest             the manifest that it was made from
  updraft release show 42 --json | jq -r '.builds.orders.digest'

Values are not shown: `updraft config ls` and `release diff` tell of them.")]
pub(super) struct ShowArgs {
    /// Its number; without one, the current release of the deploy
    #[arg(value_name = "N")]
    number: Option<ReleaseNumber>,
    #[command(flatten)]
    deploy: DeployArg,
    /// Print the manifest that it was made from
    #[arg(long)]
    manifest: bool,
}

pub(super) fn run(global: &Global, args: &ShowArgs) -> Outcome {
    let deploys = Deploys::find(global)?;
    let release = match args.number {
        Some(number) => deploys.store.release(number)?,
        None => deploys.store.required_current(&args.deploy.deploy)?,
    };
    if args.manifest {
        let text = deploys.store.manifest(&release)?;
        if global.json {
            output::json_result(&json!({ "release": release.number, "manifest": text }))?;
        } else {
            output::result(text.strip_suffix('\n').unwrap_or(&text))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let current = match deploys.store.current(&release.deploy) {
        Ok(current) => current.is_some_and(|current| current.number == release.number),
        // `release ls` tells of it; the release itself is readable.
        Err(StoreError::Damaged(_)) => false,
        Err(error) => return Err(error.into()),
    };
    if global.json {
        let mut value = json!(release);
        value["current"] = current.into();
        output::json_result(&value)?;
    } else {
        let current = if current { ", the current one" } else { "" };
        output::result(format!("release {} of {}{current}", release.number, release.deploy))?;
        output::result(table(&release))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn table(release: &Release) -> Table {
    let mut table = Table::new(&["", "", ""], &[]);
    let mut row = |title: &str, name: &str, text: String| {
        table.row([Cell::new(title), Cell::new(name), Cell::new(text)]);
    };
    row("made", "", format!("{} by {}", moment(release.created), release.who));
    row("origin", "", release.origin.to_string());
    if let Some(parent) = release.parent {
        row("after", "", format!("release {parent}"));
    }
    if let Some(note) = &release.note {
        row("note", "", note.escape_debug().to_string());
    }
    for (service, build) in &release.builds {
        row("build", service.as_str(), format!("{} ({})", build.digest, source(build)));
    }
    match &release.config {
        Some(config) => row("values", "", format!("version {}", config.version)),
        None => row("values", "", "none are set".to_owned()),
    }
    for (resource, address) in &release.resources {
        row("resource", resource.as_str(), address.clone());
    }
    row("manifest", "", release.manifest.digest.to_string());
    table
}
