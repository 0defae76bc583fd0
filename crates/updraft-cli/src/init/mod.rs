//! `updraft init`: proposes a manifest from what a folder holds already, so that
//! nobody starts from an empty file. What it cannot know it says in comments.

mod cargo;
mod compose;
mod dockerfile;
mod node;
mod program;
mod python;
mod search;
mod sketch;
#[cfg(test)]
mod tests;

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use updraft_system::{Name, parse_manifest};

use self::compose::Compose;
use self::sketch::{ServiceSketch, Sketch};

const MANIFEST: &str = "updraft.toml";

/// A manifest that fits what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proposal {
    /// The text of the manifest; it is valid.
    pub text: String,
    /// The files that it was made from, relative to the folder.
    pub found: Vec<String>,
}

/// The proposal could not become a file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// There is a manifest, and it is somebody's work.
    #[error("{} exists and is not overwritten: move it away first", .0.display())]
    Exists(PathBuf),
    /// The file could not be written.
    #[error("cannot write {}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Proposes a manifest for `directory`.
pub(crate) fn propose(directory: &Path) -> anyhow::Result<Proposal> {
    let directory = std::fs::canonicalize(directory)
        .with_context(|| format!("cannot read {}", directory.display()))?;
    let folder = directory.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let mut sketch = Sketch::new(Name::mended(folder));
    let compose = Compose::find(&directory)?;
    if let Some(compose) = &compose {
        compose.add_resources(&mut sketch);
    }
    // Who wrote a Procfile said what runs here; then who wrote a compose file.
    let whole = if directory.join(program::PROCFILE).is_file() {
        search::program(&directory)?
    } else {
        None
    };
    match (&compose, whole) {
        (_, Some(program)) => {
            sketch.add(ServiceSketch::of(Path::new(""), folder, program));
            sketch.need_all_resources();
        }
        (Some(compose), None) if compose.builds_services() => {
            compose.add_services(&directory, &mut sketch)?;
        }
        _ => {
            for path in search::folders(&directory)? {
                let program = search::program(&directory.join(&path))?;
                if let Some(program) = program.filter(|program| !program.processes.is_empty()) {
                    sketch.add(ServiceSketch::of(&path, folder, program));
                }
            }
            sketch.need_all_resources();
        }
    }
    finish(&sketch, &directory)
}

fn finish(sketch: &Sketch, directory: &Path) -> anyhow::Result<Proposal> {
    if sketch.is_empty() {
        bail!(
            "found nothing in {} that a manifest could be made from: looked for a Procfile, a \
             compose file, Cargo packages with binaries, package.json with a start script, and \
             pyproject.toml; write {MANIFEST} by hand",
            directory.display()
        );
    }
    let text = sketch.render();
    if let Err(problems) = parse_manifest(&text) {
        let all: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
        bail!("what was found does not make a sound manifest: {}", all.join("; "));
    }
    Ok(Proposal { text, found: sketch.found() })
}

/// Writes the proposal into `directory`, and never over another manifest.
///
/// # Errors
///
/// [`WriteError::Exists`] where there is one.
pub(crate) fn write(directory: &Path, proposal: &Proposal) -> Result<PathBuf, WriteError> {
    let path = directory.join(MANIFEST);
    let failed = |source| WriteError::Io { path: path.clone(), source };
    let mut file = match OpenOptions::new().write(true).create_new(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(WriteError::Exists(path));
        }
        Err(error) => return Err(failed(error)),
    };
    file.write_all(proposal.text.as_bytes()).map_err(failed)?;
    Ok(path)
}
