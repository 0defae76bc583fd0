//! The repository as the chores see it: its root and the files that belong to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// One file of the repository.
#[derive(Debug)]
pub(crate) struct SourceFile {
    /// Its path from the root.
    pub(crate) path: PathBuf,
    /// Its text; `None` where it is not UTF-8.
    pub(crate) text: Option<String>,
}

impl SourceFile {
    /// The end of the name after the last dot, or nothing.
    pub(crate) fn extension(&self) -> &str {
        self.path.extension().and_then(|extension| extension.to_str()).unwrap_or_default()
    }
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Every file that is tracked or could be: what git ignores is not ours.
pub(crate) fn files() -> Result<Vec<SourceFile>> {
    let root = root();
    let listing = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(&root)
        .output()
        .context("git could not be started")?;
    ensure!(
        listing.status.success(),
        "git ls-files failed in {}: {}",
        root.display(),
        String::from_utf8_lossy(&listing.stderr).trim()
    );
    let names = String::from_utf8(listing.stdout).context("a file name is not UTF-8")?;
    let mut files = Vec::new();
    for name in names.split_terminator('\0') {
        // A tracked file that was deleted, and a link to a folder, have no text of their own.
        let absolute = root.join(name);
        if absolute.is_file() {
            let bytes = fs::read(&absolute).with_context(|| format!("{name} could not be read"))?;
            files.push(SourceFile { path: name.into(), text: String::from_utf8(bytes).ok() });
        }
    }
    Ok(files)
}
