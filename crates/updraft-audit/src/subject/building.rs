//! How the artefact of a program is made, where a manifest says so.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard, OnceCell};
use updraft_system::{Build, Name, Service};

use crate::seen::Seen;

/// The build of a service. Its processes share it: there is one artefact of them all.
#[derive(Debug)]
pub struct Building {
    /// The service.
    pub(crate) service: Service,
    /// The folder of the manifest.
    pub(crate) directory: PathBuf,
    pub(crate) budget: Budget,
    /// The system, whose state folder remembers builds; `None`: nothing remembers them.
    pub(crate) system: Option<Name>,
    /// What two builds have shown.
    pub(crate) judged: OnceCell<Seen>,
}

/// How long the builds of an audit may still take, all together. They go one after another.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<Mutex<Duration>>);

impl Building {
    pub(crate) fn new(service: Service, directory: PathBuf, budget: Budget) -> Self {
        Self { service, directory, budget, system: None, judged: OnceCell::new() }
    }

    /// Whether the manifest promises that two builds are the same.
    pub(crate) const fn is_promised(&self) -> bool {
        matches!(self.service.build, Build::Command { reproducible: true, .. })
    }
}

impl Budget {
    pub(crate) fn of(time: Duration) -> Self {
        Self(Arc::new(Mutex::new(time)))
    }

    /// Waits for its turn, and gives what is left.
    pub(crate) async fn turn(&self) -> MutexGuard<'_, Duration> {
        self.0.lock().await
    }
}
