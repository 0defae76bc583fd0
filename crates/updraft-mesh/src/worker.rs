//! What belongs to one data thread.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::task::JoinSet;
use updraft_system::mesh::Limits;

use crate::observe::Limit;
use crate::pool::{Bound, Pool, PoolConfig};
use crate::replay::ReplayBody;
use crate::shared::Shared;

/// Copies of requests under way at once; further ones are not made.
const MIRRORS_MAX: usize = 64;

/// One data thread's part.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    /// Connections to endpoints; each thread has its own, so that none waits for another.
    pub(crate) pool: Arc<Pool<ReplayBody>>,
    runtime: Handle,
    mirrors: Mutex<JoinSet<()>>,
}

impl Worker {
    /// For the thread of `runtime`.
    pub(crate) fn new(shared: Arc<Shared>, limits: &Limits, runtime: Handle) -> Self {
        let counted = Arc::clone(&shared);
        let report = Arc::new(move |bound| {
            counted.registry.limit_hit(match bound {
                Bound::Idle => Limit::UpstreamIdle,
                Bound::Connect => Limit::ConnectTimeout,
            });
        });
        let pool = Arc::new(Pool::new(PoolConfig::from(limits), runtime.clone(), report));
        Self { shared, pool, runtime, mirrors: Mutex::default() }
    }

    /// These limits hold from now on.
    pub(crate) fn limit(&self, limits: &Limits) {
        self.pool.configure(PoolConfig::from(limits));
    }

    /// The thread's own.
    pub(crate) const fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Lets the copy of a request go its way.
    pub(crate) fn mirror(&self, copy: impl Future<Output = ()> + Send + 'static) {
        let mut mirrors = self.mirrors.lock().unwrap_or_else(PoisonError::into_inner);
        while mirrors.try_join_next().is_some() {}
        if mirrors.len() < MIRRORS_MAX {
            mirrors.spawn_on(copy, &self.runtime);
        } else {
            self.shared.registry.mirror_dropped();
        }
    }
}
