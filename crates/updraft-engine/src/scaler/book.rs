//! What is known of each process's scaling: who holds its number, and what its rule said.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use updraft_system::{LoadStatus, Name};

/// A service and one of its process types.
pub(crate) type Key = (Name, Name);

/// All processes with a rule.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book(Arc<Mutex<BTreeMap<Key, Page>>>);

/// One process with a rule.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    /// The number that somebody set by hand.
    pub(crate) held: Option<u32>,
    /// What the rule asked for last, within its bounds.
    pub(crate) wish: Option<u32>,
    pub(crate) loads: Vec<LoadStatus>,
    pub(crate) decided: Option<Timestamp>,
    pub(crate) why: Option<String>,
}

impl Book {
    /// What is known of a process.
    pub(crate) fn page(&self, key: &Key) -> Page {
        self.lock().get(key).cloned().unwrap_or_default()
    }

    /// The number that somebody set by hand.
    pub(crate) fn held(&self, key: &Key) -> Option<u32> {
        self.lock().get(key)?.held
    }

    /// Changes what is known of a process.
    pub(crate) fn write<T>(&self, key: &Key, change: impl FnOnce(&mut Page) -> T) -> T {
        change(self.lock().entry(key.clone()).or_default())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Page>> {
        // Pages are replaced field by field, and each value stands for itself.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
