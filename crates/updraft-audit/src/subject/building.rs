//! How the artefact of a program is made, where a manifest says so.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use updraft_system::{Build, Service};

use crate::seen::Seen;

/// The build of a service. Its processes share it: there is one artefact of them all.
#[derive(Debug)]
pub struct Building {
    /// The service.
    pub(crate) service: Service,
    /// The folder of the manifest.
    pub(crate) directory: PathBuf,
    pub(crate) budget: Budget,
    /// What the trials of its builds have shown.
    pub(crate) judged: OnceCell<Vec<Seen>>,
}

/// How long the builds of an audit may still take, all together.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<Mutex<Duration>>);

impl Building {
    pub(crate) fn new(service: Service, directory: PathBuf, budget: Budget) -> Self {
        Self { service, directory, budget, judged: OnceCell::new() }
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

    pub(crate) fn left(&self) -> Duration {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn spend(&self, time: Duration) {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *left = left.saturating_sub(time);
    }
}
