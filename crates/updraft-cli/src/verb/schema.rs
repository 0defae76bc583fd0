//! `updraft schema`: what editors need to check and complete a manifest.

use std::process::ExitCode;

use crate::failure::Outcome;
use crate::output;

pub(crate) const AFTER_HELP: &str = "\
Examples:
  updraft schema > updraft.schema.json    for an editor's TOML plug-in";

pub(crate) fn run() -> Outcome {
    output::json_result(&updraft_system::json_schema())?;
    Ok(ExitCode::SUCCESS)
}
