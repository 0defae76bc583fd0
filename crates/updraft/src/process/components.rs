//! The background work of a process and its one owner, which joins it. A component that
//! ends unasked is a failure of the process, however it ended.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::{Id, JoinSet};

use super::Outcome;
use crate::BoxError;

/// Everything started with `Context::run`.
#[derive(Debug, Default)]
pub(super) struct Components {
    set: Mutex<Set>,
    added: Notify,
}

#[derive(Debug, Default)]
struct Set {
    tasks: JoinSet<Result<(), BoxError>>,
    names: HashMap<Id, &'static str>,
}

/// How a component ended.
#[derive(Debug)]
pub(super) struct Ended {
    name: &'static str,
    result: Result<(), BoxError>,
}

impl Components {
    pub(super) fn spawn(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<(), BoxError>> + Send + 'static,
        runtime: &Handle,
    ) {
        let mut set = self.lock();
        let id = set.tasks.spawn_on(work, runtime).id();
        set.names.insert(id, name);
        self.added.notify_one();
    }

    pub(super) fn any(&self) -> bool {
        !self.lock().names.is_empty()
    }

    /// The names of those that have not ended.
    pub(super) fn running(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.lock().names.values().copied().collect();
        names.sort_unstable();
        names
    }

    /// Waits until one ends, even one that is started during the wait.
    pub(super) async fn next_end(&self) -> Ended {
        loop {
            tokio::select! {
                ended = self.join_next() => match ended {
                    Some(ended) => return ended,
                    None => self.added.notified().await,
                },
                // A set that was empty at its last poll wakes nobody.
                () = self.added.notified() => {}
            }
        }
    }

    /// Waits until all have ended, as they were asked to.
    pub(super) async fn all_ended(&self) -> Outcome {
        let mut outcome = Outcome::Clean;
        while let Some(Ended { name, result }) = self.join_next().await {
            if let Err(error) = result {
                let error = &*error as &dyn std::error::Error;
                tracing::error!(component = name, error, "a background component failed");
                outcome = Outcome::Failed;
            }
        }
        outcome
    }

    async fn join_next(&self) -> Option<Ended> {
        std::future::poll_fn(|context| {
            let mut set = self.lock();
            let Poll::Ready(joined) = set.tasks.poll_join_next_with_id(context) else {
                return Poll::Pending;
            };
            let Some(joined) = joined else { return Poll::Ready(None) };
            let (id, result) = match joined {
                Ok((id, result)) => (id, result),
                Err(panic) => (panic.id(), Err(panic.into())),
            };
            let name = set.names.remove(&id).unwrap_or("unnamed");
            Poll::Ready(Some(Ended { name, result }))
        })
        .await
    }

    fn lock(&self) -> MutexGuard<'_, Set> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ended {
    /// It ended though nobody had asked it to.
    pub(super) fn died(self) -> Outcome {
        let Self { name, result } = self;
        match result {
            Ok(()) => tracing::error!(component = name, "a background component ended unasked"),
            Err(error) => tracing::error!(
                component = name,
                error = &*error as &dyn std::error::Error,
                "a background component died"
            ),
        }
        Outcome::Failed
    }
}
