//! Where programs are, and who can tell about them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ignore::{DirEntry, WalkBuilder};

use super::program::{self, PROCFILE, Program};
use super::{cargo, node, python};

/// How deep below the folder programs are looked for.
const DEPTH_MAX: usize = 3;
/// Folders whose programs are no services of the system.
const NOT_SERVICES: &[&str] =
    &["node_modules", "target", "vendor", "third_party", "examples", "tests", "fixtures", "docs"];

/// What `folder` tells; it may tell of a build and of nothing to start.
pub(super) fn program(folder: &Path) -> anyhow::Result<Option<Program>> {
    let procfile = program::read(&folder.join(PROCFILE))?;
    // What can be started counts before what can only be built.
    let all = [cargo::find(folder)?, node::find(folder)?, python::find(folder)?];
    let mut all: Vec<_> = all.into_iter().flatten().collect();
    all.sort_by_key(|program| program.processes.is_empty());
    let mut found = all.into_iter().next();
    if let Some(text) = procfile {
        found.get_or_insert_default().take_procfile(&text, &folder.join(PROCFILE))?;
    }
    Ok(found)
}

/// The folders in which a program may be, relative to `root`, the root first.
pub(super) fn folders(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut folders = BTreeSet::from([PathBuf::new()]);
    folders.extend(cargo::members(root)?);
    let is_service = |entry: &DirEntry| {
        let name = entry.file_name().to_str();
        entry.depth() == 0 || name.is_some_and(|name| !NOT_SERVICES.contains(&name))
    };
    // What another person's global settings ignore must not change the proposal.
    let walk = WalkBuilder::new(root)
        .max_depth(Some(DEPTH_MAX))
        .require_git(false)
        .git_global(false)
        .filter_entry(is_service)
        .build();
    let markers = [PROCFILE, cargo::FILE, node::FILE, python::FILE];
    // A folder that may not be read holds nothing that could be started.
    for entry in walk.filter_map(Result::ok) {
        let marks = entry.file_name().to_str().is_some_and(|name| markers.contains(&name));
        let folder = entry.path().parent().and_then(|folder| folder.strip_prefix(root).ok());
        if let (true, Some(folder)) = (marks, folder) {
            folders.insert(folder.to_owned());
        }
    }
    Ok(folders.into_iter().collect())
}
