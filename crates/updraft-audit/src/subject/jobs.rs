//! How the jobs of a worker come into being, and how they are seen to be done.

use std::time::Duration;

use updraft_system::ResourceKind;

use super::{DependencyKind, Step, Subject};

/// How long a worker of an Updraft queue holds a job without a sign of life.
const LEASE: Duration = Duration::from_secs(10);

/// What is asked of a service whose worker is judged.
#[derive(Clone, Debug)]
pub struct Jobs {
    /// The program that is asked: the `web` of the worker's service.
    pub(crate) web: Box<Subject>,
    /// The request that enqueues one job, and the requests that come right when it is done.
    pub(crate) steps: Vec<Step>,
    /// How long a worker that has died may keep a job from the others.
    pub(crate) lease: Duration,
}

impl Jobs {
    /// Those of a worker whose journey is taken through `web`.
    pub(super) fn through(web: Subject, steps: Vec<Step>) -> Self {
        Self { web: Box::new(web), steps, lease: LEASE }
    }
}

impl Subject {
    /// Whether it has a queue of Updraft.
    pub(crate) fn needs_queue(&self) -> bool {
        let is_queue = |kind: &DependencyKind| match kind {
            DependencyKind::Resource(it) => matches!(it.kind, ResourceKind::Queue { .. }),
            DependencyKind::Service(_) | DependencyKind::Echo => false,
        };
        self.needs.iter().any(|need| is_queue(&need.kind))
    }
}
