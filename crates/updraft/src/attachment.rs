//! What is attached to a process: found by URLs, listed without secrets, checked for health.

mod location;
mod parameters;
mod tally;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::BoxError;
use crate::metrics::Metrics;
use crate::process::BoxFuture;
use crate::queue::Queue;
use crate::sql::Sql;

pub(crate) use location::Location;
pub(crate) use parameters::Parameters;
pub(crate) use tally::{OperationFamilies, Outcome, Tally};

/// Something cannot be attached, and waiting would not help.
#[derive(Debug, thiserror::Error)]
#[error("cannot attach {variable}")]
pub struct AttachError {
    variable: &'static str,
    source: BoxError,
}

impl AttachError {
    /// The variable says something that cannot be used.
    pub fn new(variable: &'static str, source: impl Into<BoxError>) -> Self {
        Self { variable, source: source.into() }
    }
}

/// Something that is attached.
pub(crate) trait Attachment: Send + Sync + 'static {
    /// Where it is, by an allowlist of the parts of its URL.
    fn location(&self) -> Location;

    /// Whether it answers now: bounded in time by the caller.
    fn check(&self) -> BoxFuture<Result<(), BoxError>>;

    /// Gives back its connections when all work has ended: bounded in time by the caller.
    fn close(&self) -> BoxFuture<()> {
        Box::pin(std::future::ready(()))
    }
}

/// One line of the list of what is attached.
#[derive(Clone)]
pub(crate) struct Attached {
    /// The field of the `App`.
    pub(crate) name: &'static str,
    pub(crate) variable: &'static str,
    pub(crate) attachment: Arc<dyn Attachment>,
}

impl std::fmt::Debug for Attached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attached").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What the fields of an `App` are attached with, and the list of them.
#[derive(Debug)]
pub struct Attaching {
    metrics: Metrics,
    service: &'static str,
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    attached: Vec<Attached>,
    sqls: Vec<(&'static str, Sql)>,
    queues: Vec<(&'static str, Queue)>,
}

impl Attaching {
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self { metrics, service: "service", list: Mutex::default() }
    }

    /// Names the service that it is for.
    pub(crate) fn of_service(self, service: &'static str) -> Self {
        Self { service, ..self }
    }

    /// The name of the service, under which it keeps what several services share a place for.
    pub(crate) fn service(&self) -> &'static str {
        self.service
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn add(&self, attached: Attached) {
        self.list().attached.push(attached);
    }

    /// Everything that is attached, in the order of the fields.
    pub(crate) fn attached(&self) -> Vec<Attached> {
        self.list().attached.clone()
    }

    pub(crate) fn add_sql(&self, name: &'static str, sql: Sql) {
        self.list().sqls.push((name, sql));
    }

    /// The database of this field, or the only one.
    pub(crate) fn sql(&self, name: Option<&str>) -> Option<Sql> {
        chosen(&self.list().sqls, name)
    }

    /// How many databases there are: an optional field may be without.
    pub(crate) fn sql_count(&self) -> usize {
        self.list().sqls.len()
    }

    pub(crate) fn add_queue(&self, name: &'static str, queue: Queue) {
        self.list().queues.push((name, queue));
    }

    /// The queue of this field, or the only one.
    pub(crate) fn queue(&self, name: Option<&str>) -> Option<Queue> {
        chosen(&self.list().queues, name)
    }

    /// All queues.
    pub(crate) fn queues(&self) -> Vec<Queue> {
        self.list().queues.iter().map(|(_, queue)| queue.clone()).collect()
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn chosen<T: Clone>(among: &[(&'static str, T)], name: Option<&str>) -> Option<T> {
    match (name, among) {
        (Some(name), _) => among.iter().find(|(own, _)| *own == name).map(|(_, it)| it.clone()),
        (None, [(_, only)]) => Some(only.clone()),
        (None, _) => None,
    }
}
