//! The tasks of a pool: all that it starts ends with it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinSet};

/// The tasks. They run on the runtime on which the pool was made, so that a body may be dropped
/// anywhere.
pub(super) struct Tasks {
    /// `None` once closed.
    set: Mutex<Option<JoinSet<()>>>,
    runtime: Handle,
}

impl Tasks {
    pub(super) fn new(runtime: Handle) -> Self {
        Self { set: Mutex::new(Some(JoinSet::new())), runtime }
    }

    /// Starts a task that ends with the pool; `None` if that has ended.
    pub(super) fn spawn(
        &self,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> Option<AbortHandle> {
        let mut set = self.set();
        let set = set.as_mut()?;
        // What has ended is forgotten here: the set never holds more than was open at once.
        while set.try_join_next().is_some() {}
        Some(set.spawn_on(task, &self.runtime))
    }

    /// Starts a task that ends by itself when its connection does.
    pub(super) fn spawn_dependent(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.runtime.spawn(task));
    }

    /// Ends all tasks. None starts after that.
    pub(super) fn close(&self) {
        let set = self.set().take();
        drop(set);
    }

    fn set(&self) -> MutexGuard<'_, Option<JoinSet<()>>> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
