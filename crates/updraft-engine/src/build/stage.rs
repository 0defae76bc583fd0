//! Programs put where no later build changes them, and the memory of the last build.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::inputs::Digest;
use crate::durable;
use crate::resource::private_file;

/// The artefact could not be put away.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}")]
pub struct StoreError {
    path: String,
    #[source]
    source: io::Error,
}

/// What is remembered of a service's last good build.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Stamp {
    /// What it was made from; `None` if that changed while it was made.
    pub(super) inputs: Option<Digest>,
    /// It was made without a network after its fetch step.
    #[serde(default)]
    pub(super) cut: bool,
    pub(super) cargo: Option<CargoStamp>,
}

/// What is remembered of a Cargo build.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct CargoStamp {
    /// The folders of the local packages that took part.
    pub(super) packages: Vec<PathBuf>,
    /// Other files and folders that took part.
    pub(super) files: Vec<PathBuf>,
    pub(super) staged: Staged,
    /// The one before, whose programs may still run.
    pub(super) previous: Option<Staged>,
}

/// Programs in a folder of the store that is named by their content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Staged {
    content: Digest,
    programs: Vec<String>,
}

/// So many digits of a digest make a folder's name: no two in one store will be equal.
const NAME_DIGITS: usize = 16;

impl Stamp {
    const FILE: &'static str = "stamp.json";

    /// The stamp in the store; an empty one if there is none or it is damaged, since
    /// then only a build tells.
    pub(super) fn read(store: &Path) -> Self {
        let text = fs::read_to_string(store.join(Self::FILE)).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    pub(super) fn write(&self, store: &Path) -> Result<(), StoreError> {
        let path = store.join(Self::FILE);
        let failed = |source| StoreError { path: path.display().to_string(), source };
        let text = serde_json::to_vec_pretty(self).map_err(|problem| failed(problem.into()))?;
        private_file::make_folder(store).map_err(failed)?;
        durable::write(&path, &text).map_err(failed)
    }
}

impl Staged {
    /// Copies `programs`, so that the next build, which may write in place, changes no
    /// program that runs. Where the file system shares blocks, no content is copied.
    pub(super) fn put(store: &Path, programs: &[PathBuf]) -> Result<Self, StoreError> {
        let (staged, sources) = Self::of(programs)?;
        let folder = staged.folder(store);
        if staged.is_intact(store) {
            return Ok(staged);
        }
        let failed = |source| StoreError { path: folder.display().to_string(), source };
        let unfinished = store.join("bin.new");
        remove_all(&unfinished).map_err(failed)?;
        private_file::make_folder(store).map_err(failed)?;
        private_file::make_folder(&unfinished).map_err(failed)?;
        for (name, source) in staged.programs.iter().zip(sources) {
            let copy = unfinished.join(name);
            let copied = fs::copy(source, &copy).and_then(|_| File::open(&copy)?.sync_all());
            copied.map_err(|source| StoreError { path: copy.display().to_string(), source })?;
        }
        // What is there is damaged.
        remove_all(&folder).map_err(failed)?;
        fs::rename(&unfinished, &folder).map_err(failed)?;
        Ok(staged)
    }

    pub(super) fn folder(&self, store: &Path) -> PathBuf {
        store.join(self.folder_name())
    }

    fn folder_name(&self) -> String {
        let digest = self.content.as_str();
        format!("bin-{}", digest.get(..NAME_DIGITS).unwrap_or(digest))
    }

    /// Whether the programs are there as they were put.
    pub(super) fn is_intact(&self, store: &Path) -> bool {
        let folder = self.folder(store);
        let programs: Vec<PathBuf> = self.programs.iter().map(|name| folder.join(name)).collect();
        Self::of(&programs).is_ok_and(|(staged, _)| staged == *self)
    }

    /// Removes all programs but these and those in the folders `spared`. One that runs goes on;
    /// its file is only unnamed.
    pub(super) fn keep_only(
        store: &Path,
        kept: &[&Self],
        spared: &[PathBuf],
    ) -> Result<(), StoreError> {
        let names: Vec<String> = kept.iter().map(|staged| staged.folder_name()).collect();
        let failed = |source| StoreError { path: store.display().to_string(), source };
        for entry in fs::read_dir(store).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| name.starts_with("bin-")) else {
                continue;
            };
            let is_spared = spared.contains(&entry.path());
            if !is_spared && !names.iter().any(|kept| kept == name) {
                remove_all(&entry.path()).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Names and content of programs, in the order of the names.
    fn of(programs: &[PathBuf]) -> Result<(Self, Vec<&PathBuf>), StoreError> {
        let mut sources: Vec<(String, &PathBuf)> = programs
            .iter()
            .filter_map(|path| Some((path.file_name()?.to_str()?.to_owned(), path)))
            .collect();
        sources.sort();
        sources.dedup_by(|one, other| one.0 == other.0);
        let mut hasher = blake3::Hasher::new();
        for (name, path) in &sources {
            let mut content = blake3::Hasher::new();
            let read = File::open(path).and_then(|file| content.update_reader(file).map(drop));
            read.map_err(|source| StoreError { path: path.display().to_string(), source })?;
            // A name has no NUL, and a digest has one length.
            hasher.update(name.as_bytes()).update(&[0]).update(content.finalize().as_bytes());
        }
        let (programs, paths) = sources.into_iter().unzip();
        Ok((Self { content: Digest::of(&hasher), programs }, paths))
    }
}

fn remove_all(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(problem) if problem.kind() != io::ErrorKind::NotFound => Err(problem),
        _ => Ok(()),
    }
}
