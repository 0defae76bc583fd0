//! What one folder tells about the program in it: how it is built, and the
//! commands that start it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context;
use ignore::{DirEntry, WalkBuilder};
use updraft_system::parse_procfile;

use super::{cargo, node, python};

/// The file that names processes.
pub(super) const PROCFILE: &str = "Procfile";
/// The process type to which a service's URL leads.
pub(super) const WEB: &str = "web";
/// The process type of what works and does not listen.
pub(super) const WORKER: &str = "worker";
/// How deep below the folder programs are looked for.
const DEPTH_MAX: usize = 3;
/// Folders whose programs are no services of the system.
const NOT_SERVICES: &[&str] =
    &["node_modules", "target", "vendor", "third_party", "examples", "tests", "fixtures", "docs"];

/// A program in a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Program {
    /// What it calls itself.
    pub name: Option<String>,
    /// How it is built.
    pub build: Option<BuildSketch>,
    /// Its process types, each with its command.
    pub processes: Vec<(String, String)>,
    /// What runs before them at each release.
    pub release: Option<String>,
    /// The files that told, by their names.
    pub files: Vec<String>,
}

/// How a program is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BuildSketch {
    /// The preset `cargo`.
    Cargo,
    /// A command, and what it makes.
    Command { run: String, keep: Vec<String> },
}

impl Program {
    /// What `folder` tells; it may tell of a build and of nothing to start.
    pub(super) fn find(folder: &Path) -> anyhow::Result<Option<Self>> {
        let procfile = read(&folder.join(PROCFILE))?;
        // What can be started counts before what can only be built.
        let all = [cargo::find(folder)?, node::find(folder)?, python::find(folder)?];
        let mut all: Vec<_> = all.into_iter().flatten().collect();
        all.sort_by_key(|program| program.processes.is_empty());
        let mut program = all.into_iter().next();
        if let Some(text) = procfile {
            let program = program.get_or_insert_default();
            program.take_procfile(&text, &folder.join(PROCFILE))?;
        }
        Ok(program)
    }

    /// A Procfile knows the commands better than any convention does.
    fn take_procfile(&mut self, text: &str, path: &Path) -> anyhow::Result<()> {
        // The name of the system is of no account here.
        let system = parse_procfile(text, &WEB.parse()?).map_err(|problems| {
            let lines: Vec<_> = problems
                .iter()
                .map(|one| format!("line {}: {}", one.line_column(text).0, one.message))
                .collect();
            anyhow::anyhow!("{} has mistakes: {}", path.display(), lines.join("; "))
        })?;
        for service in system.services.into_values() {
            self.processes =
                service.processes.into_values().map(|one| (one.name.into(), one.run)).collect();
            self.release = service.tasks.into_values().next().map(|task| task.run);
        }
        self.files.insert(0, PROCFILE.to_owned());
        Ok(())
    }
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

/// The text of a file; `None`: there is no such file.
pub(super) fn read(path: &Path) -> anyhow::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}
