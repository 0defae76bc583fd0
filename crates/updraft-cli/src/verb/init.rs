//! `updraft init`: a manifest made from what is there.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use crate::failure::{Class, Failure, Outcome};
use crate::global::Global;
use crate::init::{self, WriteError};
use crate::output;
use crate::system_dir::MANIFEST;

/// Write updraft.toml from what is found: Procfile, compose file, Cargo, npm and Python projects
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  updraft init            write updraft.toml into this folder
  updraft init --print    only show what it would be

It never overwrites: where there is an updraft.toml it fails with exit code 2.")]
pub(crate) struct InitArgs {
    /// Print the manifest instead of writing it
    #[arg(long)]
    print: bool,
}

pub(crate) fn run(global: &Global, args: &InitArgs) -> Outcome {
    let directory = &global.directory;
    let file = directory.join(MANIFEST);
    if !args.print && file.symlink_metadata().is_ok() {
        return Err(exists(&file));
    }
    let proposal = init::propose(directory).map_err(|error| {
        let message = format!("cannot make a manifest for {}", directory.display());
        Failure::usage(message).because(error.as_ref())
    })?;
    if args.print {
        output::result(proposal.text.trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    let file = init::write(directory, &proposal).map_err(|error| match error {
        WriteError::Exists(path) => exists(&path),
        WriteError::Io { .. } => Failure::from_error(Class::Environment, &error),
    })?;
    if global.json {
        output::json_result(&json!({ "file": file, "found": proposal.found }))?;
    } else {
        output::say(format!("wrote {} from {}", file.display(), proposal.found.join(", ")));
        output::say("look it through, then start it with `updraft up`");
    }
    Ok(ExitCode::SUCCESS)
}

fn exists(file: &Path) -> Failure {
    Failure::usage(format!("{} is there already, and is not overwritten", file.display()))
        .help("`updraft init --print` shows what it would write")
}
