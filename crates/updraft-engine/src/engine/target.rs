//! What a run runs: the graph, and what makes it whole for each service. One value, so that no
//! replica ever has half of one target and half of another.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use updraft_system::{Name, Service, System};

use crate::build::Built;

/// What a run begins with, or a roll-out leads to.
#[derive(Clone, Debug)]
pub enum Source {
    /// The working tree: values come from `.env` files, and programs are built first.
    Tree {
        /// The graph of the manifest.
        system: System,
        /// The folder of the manifest.
        directory: PathBuf,
    },
    /// Something that is whole, such as a release: nothing is built, no file is read.
    Made(RunTarget),
}

/// A graph with what makes it whole.
#[derive(Clone, Debug, PartialEq)]
pub struct RunTarget {
    /// The graph.
    pub system: System,
    /// The rest, for each service of the graph.
    pub parts: BTreeMap<Name, ServiceTarget>,
}

/// What makes one service whole.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ServiceTarget {
    /// Folders with its programs, to be put before `PATH`.
    pub paths: Vec<PathBuf>,
    /// The folder in which its processes and tasks start.
    pub directory: PathBuf,
    /// The values of its configuration.
    pub config: BTreeMap<String, String>,
    /// What its programs are, such as a digest: the same text, the same programs. `None`: its
    /// folder is its artefact, and nobody knows whether that has changed.
    pub artefact: Option<String>,
    /// The release it is of; `None`: the working tree.
    pub release: Option<u64>,
}

/// Without the values: some of them are secrets.
impl fmt::Debug for ServiceTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceTarget")
            .field("paths", &self.paths)
            .field("directory", &self.directory)
            .field("config", &self.config.keys())
            .field("artefact", &self.artefact)
            .field("release", &self.release)
            .finish()
    }
}

impl RunTarget {
    /// The working tree before anything is built.
    pub(super) fn unbuilt(
        system: System,
        directory: &Path,
        mut config: BTreeMap<Name, BTreeMap<String, String>>,
    ) -> Self {
        let part = |service: &Service| ServiceTarget {
            directory: directory.join(&service.path),
            config: config.remove(&service.name).unwrap_or_default(),
            ..ServiceTarget::default()
        };
        let parts = system.services.values().map(part);
        let parts = system.services.keys().cloned().zip(parts).collect();
        Self { system, parts }
    }

    /// A service has been built.
    pub(super) fn set_built(&mut self, service: &Name, built: Built) {
        let Some(part) = self.parts.get_mut(service) else { return };
        // Programs in a folder named by their content tell more than what they were made from.
        part.artefact = match built.path_prefix.as_slice() {
            [] => built.inputs.map(|inputs| inputs.as_str().to_owned()),
            folders => Some(folders.iter().map(|it| format!("{}\n", it.display())).collect()),
        };
        part.paths = built.path_prefix;
    }

    /// A part of a service; an empty one where there is no such service.
    pub(super) fn part(&self, service: &Name) -> ServiceTarget {
        self.parts.get(service).cloned().unwrap_or_default()
    }

    /// This target, with those services of `new` that have been `switched` to it.
    pub(super) fn blend(&self, new: &Self, switched: &BTreeSet<Name>) -> Self {
        let mut blended = self.clone();
        for name in switched {
            match (new.system.services.get(name), new.parts.get(name)) {
                (Some(service), Some(part)) => {
                    blended.system.services.insert(name.clone(), service.clone());
                    blended.parts.insert(name.clone(), part.clone());
                }
                _ => {
                    blended.system.services.remove(name);
                    blended.parts.remove(name);
                }
            }
        }
        for (name, resource) in &new.system.resources {
            blended.system.resources.entry(name.clone()).or_insert_with(|| resource.clone());
        }
        blended
    }
}

/// The graph of the wire while programs of two graphs run: each may call whom its own graph
/// lets it call. What is said of a service is what `present` says, where it has it.
pub(super) fn union(present: &System, other: &System) -> System {
    let mut both = present.clone();
    for (name, service) in &other.services {
        let Some(known) = both.services.get_mut(name) else {
            both.services.insert(name.clone(), service.clone());
            continue;
        };
        for need in &service.needs {
            match known.needs.iter_mut().find(|it| it.target == need.target) {
                None => known.needs.push(need.clone()),
                // No operations stand for all of them.
                Some(it) if it.only.is_empty() || need.only.is_empty() => it.only.clear(),
                Some(it) => {
                    let more = need.only.iter().filter(|one| !it.only.contains(one));
                    let more: Vec<_> = more.cloned().collect();
                    it.only.extend(more);
                }
            }
        }
    }
    for (name, resource) in &other.resources {
        both.resources.entry(name.clone()).or_insert_with(|| resource.clone());
    }
    both
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
