//! Who lives in the scopes of a run: asked when a process claims to be of a service.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use updraft_system::Name;

use super::procfs;

/// One live scope.
#[derive(Clone, Debug)]
pub(super) struct Members {
    pub(super) group: Option<PathBuf>,
    /// The guardian's pid; its descendants are the scope. `None`: it is gone already.
    pub(super) guardian: Option<u32>,
}

/// All live scopes by label.
#[derive(Clone, Debug, Default)]
pub(super) struct Roll(Arc<Mutex<BTreeMap<String, Members>>>);

/// A place on the roll; given up when it is dropped.
#[derive(Debug)]
pub(super) struct Listed {
    roll: Roll,
    label: String,
}

/// The live scopes of one service.
#[derive(Debug)]
pub(crate) struct ServiceMembers(Vec<Members>);

impl Roll {
    pub(super) fn add(&self, label: &str, members: Members) -> Listed {
        self.lock().insert(label.to_owned(), members);
        Listed { roll: self.clone(), label: label.to_owned() }
    }

    pub(super) fn of_service(&self, service: &Name) -> ServiceMembers {
        // Labels are `service.process.replica` and `service.task.task-N`; names have no dot.
        let prefix = format!("{service}.");
        let roll = self.lock();
        let own = roll.range(prefix.clone()..).take_while(|(label, _)| label.starts_with(&prefix));
        ServiceMembers(own.map(|(_, members)| members.clone()).collect())
    }

    pub(super) fn get(&self, label: &str) -> Option<Members> {
        self.lock().get(label).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Members>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.roll.lock().remove(&self.label);
    }
}

impl ServiceMembers {
    /// Whether the control group with this id is one of a scope.
    pub(crate) fn in_group(&self, id: u64) -> bool {
        let mut groups = self.0.iter().filter_map(|members| members.group.as_ref());
        // The id of a group is the inode of its folder.
        groups.any(|group| fs::metadata(group).is_ok_and(|folder| folder.ino() == id))
    }

    /// All their processes.
    pub(crate) fn processes(&self) -> impl Iterator<Item = u32> {
        let guardians = self.0.iter().filter_map(|members| members.guardian);
        guardians.flat_map(procfs::descendants).map(|process| process.pid)
    }
}
