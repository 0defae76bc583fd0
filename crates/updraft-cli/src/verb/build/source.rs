//! What is built: the folder as it is, a commit, or a copy at another place.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use updraft_engine::{Conditions, Network, Revision, StateDir, Variation};
use updraft_system::{Service, System};

use crate::failure::Failure;
use crate::system_dir::SystemDir;

/// Sources, and the system that they are.
#[derive(Debug)]
pub(super) struct Source {
    directory: PathBuf,
    /// The same of what the user named.
    given: PathBuf,
    system: System,
    revision: Option<Revision>,
    /// Where memory of builds and images are: of the folder that the user named.
    state: StateDir,
    /// A copy that is gone afterwards.
    copy: Option<TempDir>,
    /// How its surroundings differ from the usual ones.
    variation: Option<Variation>,
}

impl Source {
    /// The working tree.
    pub(super) fn of_folder(start: &Path) -> Result<Self, Failure> {
        let dir = SystemDir::find(start)?;
        let (system, state) = (dir.system()?, dir.state()?);
        let revision = Revision::of(&dir.directory);
        let given = dir.directory.clone();
        Ok(Self {
            directory: dir.directory,
            given,
            system,
            revision,
            state,
            copy: None,
            variation: None,
        })
    }

    /// What a commit has.
    pub(super) fn of_commit(start: &Path, revision: &str) -> Result<Self, Failure> {
        let dir = SystemDir::find(start)?;
        let state = dir.state()?;
        let top = git(&dir.directory, &["rev-parse", "--show-toplevel"])?;
        let name = format!("{revision}^{{commit}}");
        let commit = git(&dir.directory, &["rev-parse", "--verify", "--end-of-options", &name])?;
        let copy = folder("updraft-commit-")?;
        archive(Path::new(&top), &commit, copy.path())?;
        let top = canonical(Path::new(&top))?;
        let given = dir.directory;
        let inside = given.strip_prefix(&top).unwrap_or(Path::new("")).to_owned();
        let repository = Revision::of(&top).and_then(|known| known.repository);
        let revision = Some(Revision { commit, dirty: false, repository });
        Self::in_copy(copy, &inside, given, (state, revision))
    }

    /// The same files at another place, to be built in surroundings that differ as well.
    pub(super) fn copied(&self, network: &Network) -> Result<Self, Failure> {
        let copy = folder("updraft-elsewhere-and-longer-")?;
        let unread = |error: std::io::Error| {
            let directory = self.directory.display();
            Failure::environment(format!("cannot copy {directory}")).because(&error)
        };
        let there =
            updraft_engine::copy_system(&self.directory, copy.path(), None).map_err(unread)?;
        let inside = there.strip_prefix(copy.path()).unwrap_or(Path::new("")).to_owned();
        let memory = (self.state.clone(), self.revision.clone());
        let copied = Self::in_copy(copy, &inside, self.given.clone(), memory)?;
        Ok(Self { variation: Some(Variation::found(network)), ..copied })
    }

    /// The system whose manifest is `inside` of a copy.
    fn in_copy(
        copy: TempDir,
        inside: &Path,
        given: PathBuf,
        (state, revision): (StateDir, Option<Revision>),
    ) -> Result<Self, Failure> {
        let dir = SystemDir::at(&copy.path().join(inside))?;
        let system = dir.system()?;
        let (directory, copy, variation) = (dir.directory, Some(copy), None);
        Ok(Self { directory, given, system, revision, state, copy, variation })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn system(&self) -> &System {
        &self.system
    }

    pub(super) fn revision(&self) -> Option<&Revision> {
        self.revision.as_ref()
    }

    /// What its builds find around them.
    pub(super) fn conditions(&self, network: &Network) -> Conditions {
        let (network, variation) = (network.clone(), self.variation.clone());
        // What the first build left in a shared target folder would stand for a second one.
        let apart = variation.is_some();
        Conditions { network, variation, apart }
    }

    pub(super) fn variation(&self) -> Option<&Variation> {
        self.variation.as_ref()
    }

    pub(super) fn state(&self) -> &StateDir {
        &self.state
    }

    /// Where the memory of a service's builds is: a copy has one of its own.
    pub(super) fn store(&self, service: &Service) -> PathBuf {
        match &self.copy {
            Some(copy) => copy.path().join(".updraft-builds").join(service.name.as_str()),
            None => self.state.made_of(service),
        }
    }

    /// The folder of the manifest that the user named, whatever is built.
    pub(super) fn given(&self) -> &Path {
        &self.given
    }
}

fn git(folder: &Path, words: &[&str]) -> Result<String, Failure> {
    let output = Command::new("git").arg("-C").arg(folder).args(words).output();
    let output = output.map_err(|error| {
        Failure::environment("`git` cannot be run: it tells what a commit has").because(&error)
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Failure::usage(format!("`git {}` failed: {said}", words.join(" "))));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Files of a commit have its time; the artefact does not care.
fn archive(top: &Path, commit: &str, to: &Path) -> Result<(), Failure> {
    let failed = |error: &std::io::Error| {
        Failure::environment(format!("cannot take commit {commit} out of Git")).because(error)
    };
    let mut archive = Command::new("git");
    archive.arg("-C").arg(top).args(["archive", "--format=tar", commit]).stdout(Stdio::piped());
    let mut archive = archive.spawn().map_err(|error| failed(&error))?;
    let mut unpack = Command::new("tar");
    unpack.arg("-x").arg("-C").arg(to);
    unpack.stdin(archive.stdout.take().map_or_else(Stdio::null, Stdio::from));
    let unpacked = unpack.status().map_err(|error| failed(&error))?;
    let archived = archive.wait().map_err(|error| failed(&error))?;
    if archived.success() && unpacked.success() {
        return Ok(());
    }
    Err(Failure::environment(format!("cannot take commit {commit} out of Git")))
}

fn folder(prefix: &str) -> Result<TempDir, Failure> {
    let folder = tempfile::Builder::new().prefix(prefix).tempdir();
    folder
        .map_err(|error| Failure::environment("no place for a copy of the sources").because(&error))
}

fn canonical(path: &Path) -> Result<PathBuf, Failure> {
    path.canonicalize()
        .map_err(|error| Failure::usage(format!("cannot use {}", path.display())).because(&error))
}
