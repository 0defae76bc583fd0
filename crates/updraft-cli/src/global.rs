//! The options of every verb.

use std::path::PathBuf;

/// What every verb takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Global {
    /// Work in this folder; the manifest is looked for in it and above it
    #[arg(short = 'C', long, global = true, value_name = "DIR", default_value = ".")]
    #[arg(hide_default_value = true, value_hint = clap::ValueHint::DirPath)]
    pub(crate) directory: PathBuf,
    /// Write results as JSON to stdout, and errors as JSON to stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,
}
