//! What ran, so that it can run again after a reboot: a small file in the state folder,
//! replaced whole at each change, gone once somebody stops the system on purpose.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use updraft_system::{Name, System};

use crate::durable;
use crate::engine::REPLICAS_MAX;
use crate::state_dir::{StateDir, StateLock};

/// The form of the file; another one is from another version of the command.
const VERSION: u32 = 1;
/// Most that is read of the file.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What a run is made of beyond its manifest. Attached resources are kept by themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// The services that were named; empty: all.
    #[serde(default)]
    pub services: Vec<Name>,
    /// Copies of processes, by service and process, where somebody has changed how many run.
    #[serde(default)]
    pub scales: BTreeMap<Name, BTreeMap<Name, u32>>,
    /// The release that ran; `None`: the working tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<u64>,
}

/// What ran is not known.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The file is not what was written there.
    #[error(
        "{path}, line {line}, does not tell what ran: start with `updraft up -d --fresh`, which writes it anew"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        line: usize,
    },
    /// Another version of the command wrote it.
    #[error(
        "{path} has form {found}, and this version knows form {VERSION}: use the version that wrote it, or start with `updraft up -d --fresh`"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// The form that it has.
        found: u32,
    },
    /// A file system call failed.
    #[error("cannot {action} {path}")]
    File {
        /// `read`, `write` or `remove`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// The file, as it is on the disk.
#[derive(Serialize, Deserialize)]
struct Record {
    version: u32,
    #[serde(flatten)]
    run: Remembered,
}

impl Remembered {
    /// What ran last in the background and was not stopped by `down`; `None`: nothing.
    ///
    /// # Errors
    ///
    /// [`MemoryError`] when the file cannot be read or is none of ours.
    pub fn load(state: &StateDir) -> Result<Option<Self>, MemoryError> {
        read(&file(state))
    }

    /// Forgets what ran; the proof that nothing does is the lock.
    ///
    /// # Errors
    ///
    /// [`MemoryError`] when the file cannot be removed.
    pub fn forget(state: &StateDir, _lock: &StateLock) -> Result<(), MemoryError> {
        remove(&file(state))
    }

    /// Where a release ran last, this one runs again from now on; the proof that nothing runs is
    /// the lock.
    ///
    /// # Errors
    ///
    /// [`MemoryError`] when the file cannot be read or written.
    pub fn replace_release(
        state: &StateDir,
        _lock: &StateLock,
        release: u64,
    ) -> Result<(), MemoryError> {
        let path = file(state);
        match read(&path)? {
            Some(run) if run.release.is_some() => {
                let run = Self { release: Some(release), ..run };
                Memory { path, before: None, now: None }.write(Some(&run))
            }
            _ => Ok(()),
        }
    }

    /// Whether it is the whole system as its manifest has it.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// Takes out the names that `system` does not have any more, and returns them.
    pub fn without_strangers(mut self, system: &System) -> (Self, Vec<String>) {
        let mut strangers = Vec::new();
        self.services.retain(|name| {
            let known = system.services.contains_key(name);
            strangers.extend((!known).then(|| name.to_string()));
            known
        });
        self.scales.retain(|name, processes| {
            let service = system.services.get(name);
            processes.retain(|process, _| {
                let known = service.is_some_and(|it| it.processes.contains_key(process));
                strangers.extend((!known).then(|| format!("{name}.{process}")));
                known
            });
            !processes.is_empty()
        });
        (self, strangers)
    }

    /// `system` with as many copies of each process as are remembered.
    pub(crate) fn scaled(&self, mut system: System) -> System {
        for (service, processes) in &self.scales {
            let Some(service) = system.services.get_mut(service) else { continue };
            for (process, replicas) in processes {
                let process = service.processes.get_mut(process);
                if let Some(process) = process.filter(|it| it.autoscale.is_none()) {
                    process.scale = *replicas;
                }
            }
        }
        system
    }
}

/// What a run keeps of itself while it goes on.
#[derive(Debug)]
pub(crate) struct Memory {
    path: PathBuf,
    before: Option<Remembered>,
    /// `None`: nothing is to be kept.
    now: Option<Remembered>,
}

impl Memory {
    /// Begins to keep `run`; with `None` the file stays as it is.
    pub(crate) fn begin(state: &StateDir, run: Option<Remembered>) -> Result<Self, MemoryError> {
        let path = file(state);
        // What cannot be read is about to be replaced.
        let before = run.as_ref().and_then(|_| read(&path).ok().flatten());
        let memory = Self { path, before, now: run };
        memory.write(memory.now.as_ref())?;
        Ok(memory)
    }

    /// From now on so many copies of a process run.
    pub(crate) fn scaled(
        &mut self,
        service: &Name,
        process: &Name,
        replicas: u32,
    ) -> Result<(), MemoryError> {
        let mut now = self.now.clone();
        if let Some(run) = &mut now {
            run.scales.entry(service.clone()).or_default().insert(process.clone(), replicas);
        }
        self.replace(now)
    }

    /// A graph with as many copies of each process as are kept.
    pub(crate) fn scaled_system(&self, system: System) -> System {
        match &self.now {
            Some(run) => run.scaled(system),
            None => system,
        }
    }

    /// The manifest says how many copies of a process run, whatever was chosen before.
    pub(crate) fn unscaled(&mut self, service: &Name, process: &Name) -> Result<(), MemoryError> {
        let mut now = self.now.clone();
        if let Some(run) = &mut now
            && let Some(processes) = run.scales.get_mut(service)
        {
            processes.remove(process);
            run.scales.retain(|_, processes| !processes.is_empty());
        }
        if now == self.now { Ok(()) } else { self.replace(now) }
    }

    /// From now on this release runs.
    pub(crate) fn released(&mut self, release: Option<u64>) -> Result<(), MemoryError> {
        let now = self.now.clone().map(|run| Remembered { release, ..run });
        self.replace(now)
    }

    /// The start has failed: what is remembered is what was remembered before.
    pub(crate) fn failed(&mut self) -> Result<(), MemoryError> {
        match (self.now.take(), &self.before) {
            (None, _) => Ok(()),
            (Some(_), None) => remove(&self.path),
            (Some(_), before) => self.write(before.as_ref()),
        }
    }

    /// Somebody stops the system: it is not to come back by itself.
    pub(crate) fn forget(&mut self) -> Result<(), MemoryError> {
        self.now = None;
        remove(&self.path)
    }

    /// Writes first, so that what is told from memory is what is on the disk.
    fn replace(&mut self, now: Option<Remembered>) -> Result<(), MemoryError> {
        self.write(now.as_ref())?;
        self.now = now;
        Ok(())
    }

    fn write(&self, run: Option<&Remembered>) -> Result<(), MemoryError> {
        let Some(run) = run else { return Ok(()) };
        let failed = |source| failed("write", &self.path, source);
        let record = Record { version: VERSION, run: run.clone() };
        let text = serde_json::to_string_pretty(&record).map_err(|error| failed(error.into()))?;
        durable::write(&self.path, text.as_bytes()).map_err(failed)
    }
}

fn file(state: &StateDir) -> PathBuf {
    state.root().join("ran.json")
}

fn read(path: &Path) -> Result<Option<Remembered>, MemoryError> {
    let mut text = String::new();
    let read =
        File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text));
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(MemoryError::Damaged { path: path.to_owned(), line: 1 });
        }
        Err(error) => return Err(failed("read", path, error)),
        Ok(_) => {}
    }
    let damaged = |line| MemoryError::Damaged { path: path.to_owned(), line };
    let Record { version, run } =
        serde_json::from_str(&text).map_err(|error| damaged(error.line()))?;
    if version != VERSION {
        return Err(MemoryError::Version { path: path.to_owned(), found: version });
    }
    let scales = run.scales.values().flat_map(BTreeMap::values);
    if scales.copied().any(|replicas| REPLICAS_MAX < replicas) {
        return Err(damaged(1));
    }
    Ok(Some(run))
}

fn remove(path: &Path) -> Result<(), MemoryError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path, error)),
        _ => Ok(()),
    }
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> MemoryError {
    MemoryError::File { action, path: path.to_owned(), source }
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
