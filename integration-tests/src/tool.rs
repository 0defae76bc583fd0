//! Tools that are not ours, by which tests look at what is.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// What a tool writes to standard output in a folder; it has to succeed.
pub fn said(program: &str, words: &[&str], folder: &Path) -> Result<String> {
    let mut command = Command::new(program);
    let output = command.args(words).current_dir(folder).output();
    let output = output.with_context(|| format!("{program} cannot be started"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {words:?}: {error}{text}");
    Ok(text)
}
