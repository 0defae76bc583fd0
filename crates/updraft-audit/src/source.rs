//! The probes that look at files and run nothing of the program: what the repository, the
//! lockfiles and the manifest alone can tell.

mod codebase;
mod deploys;
mod git;
mod identity;
mod lock;
mod parity;
mod repository;
mod secret;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use updraft_system::{Name, System};

use crate::catalogue::ProbeId;
use crate::seen::Seen;

pub use deploys::{Deploy, Deployed, Variable};
pub(crate) use repository::Repository;

/// What these probes look at: the folder of one program, with what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    /// The folder of the service, or the one the command runs in; absolute, without links.
    pub(crate) folder: PathBuf,
    /// The nearest repository that holds the folder.
    pub(crate) repository: Option<Repository>,
    /// A folder above that may hold a repository and could not be read.
    pub(crate) unreadable: Option<PathBuf>,
    /// What the manifest declares, where there is one.
    pub(crate) declared: Option<Declared>,
}

/// What the manifest declares of the program.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    /// The whole system.
    pub(crate) system: Arc<System>,
    /// The service that is audited.
    pub(crate) service: Name,
    /// The scheme of the URL of each resource that is attached on this machine.
    pub(crate) attached: BTreeMap<Name, String>,
    /// What runs in its deploys, or why that cannot be read.
    pub(crate) deploys: Arc<Result<Vec<Deploy>, String>>,
}

impl Tree {
    /// Finds the repository of a folder.
    ///
    /// # Errors
    /// The folder does not exist or cannot be read.
    pub(crate) fn at(folder: &Path) -> io::Result<Self> {
        let folder = folder.canonicalize()?;
        let (repository, unreadable) = Repository::above(&folder);
        Ok(Self { folder, repository, unreadable, declared: None })
    }

    /// With what the manifest declares.
    #[must_use]
    pub(crate) fn declared(mut self, declared: Declared) -> Self {
        self.declared = Some(declared);
        self
    }
}

/// Asks one of the probes of this room; `None`: it is not one of them. Reads files and waits
/// for `git`, for some seconds at most: not for a thread that others wait for.
#[must_use]
pub(crate) fn look(probe: ProbeId, tree: &Tree) -> Option<Seen> {
    Some(match probe {
        ProbeId::IRepo => codebase::look(tree),
        ProbeId::ISecret => secret::look(tree),
        ProbeId::IiLock => lock::look(tree),
        ProbeId::XKinds => parity::kinds(tree),
        ProbeId::XKeys => deploys::keys(tree),
        ProbeId::XDigest => deploys::digest(tree),
        ProbeId::IdToken => identity::token(tree),
        _ => return None,
    })
}

#[cfg(test)]
#[path = "source/trees.rs"]
mod trees;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::PROBES;
    use crate::verdict::Tier;

    #[test]
    fn each_static_probe_is_asked_here_and_no_other() {
        let tree = trees::Folder::with(&[]).tree();
        for probe in PROBES {
            let is_asked = look(probe.id, &tree).is_some();
            assert_eq!(is_asked, probe.tier == Tier::Static, "{}", probe.id);
        }
    }
}
