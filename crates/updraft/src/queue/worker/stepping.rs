//! Jobs one after another, for tests: what is due is done, in the order in which a worker
//! takes it, and nothing else.

use tokio::sync::watch;

use super::{Worker, settle};
use crate::queue::{StoreError, bounded};
use crate::trace;

impl Worker {
    /// Makes one attempt at the job that is first; gives the word for what became of it.
    /// `None`: no job is due.
    pub(crate) async fn step(&self) -> Result<Option<&'static str>, StoreError> {
        let store = self.queue.store();
        let mut claimed = bounded(store.claim(&self.kinds, 1)).await?;
        self.buried(claimed.buried);
        if claimed.jobs.is_empty() {
            bounded(store.survey(&self.kinds)).await?;
            claimed = bounded(store.claim(&self.kinds, 1)).await?;
            self.buried(claimed.buried);
        }
        let Some(job) = claimed.jobs.into_iter().next() else { return Ok(None) };
        let (kind, id) = (&job.job.kind, &job.job.id);
        let span = trace::job(self.queue.name(), kind, id, job.job.trace.as_deref());
        // Nobody asks for the job back while this waits for it.
        let (_asks, give_back) = watch::channel(false);
        let one = settle::worked_on(self.clone(), job, give_back);
        Ok(Some(trace::within(span, one).await))
    }
}
