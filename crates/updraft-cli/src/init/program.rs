//! What one folder tells about the program in it: how it is built, and the
//! commands that start it.

use std::path::Path;

use anyhow::Context;
use updraft_system::parse_procfile;

/// The file that names processes.
pub(super) const PROCFILE: &str = "Procfile";
/// The process type to which a service's URL leads.
pub(super) const WEB: &str = "web";
/// The process type of what works and does not listen.
pub(super) const WORKER: &str = "worker";
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
    /// A Procfile knows the commands better than any convention does.
    pub(super) fn take_procfile(&mut self, text: &str, path: &Path) -> anyhow::Result<()> {
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

/// The text of a file; `None`: there is no such file.
pub(super) fn read(path: &Path) -> anyhow::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}
