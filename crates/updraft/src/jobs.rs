//! Jobs: work that outlives the request that caused it.

mod error;
mod policy;
mod scheduled;

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::app::{App, Ctx};
use crate::queue::{Attempt, Handler, Work};

pub use error::JobError;
pub(crate) use error::Then;
pub use policy::{JobBackoff, JobPolicy};
pub use scheduled::Scheduled;

/// A job: data that says what is to be done. It is kept as JSON. Derive it.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use updraft::Job;
///
/// /// Remind the customer of one invoice
/// #[derive(Job, Serialize, Deserialize)]
/// #[job(attempts = 8, timeout = "30s", unique = self.invoice)]
/// struct Remind {
///     invoice: u64,
/// }
///
/// assert_eq!(Remind::KIND, "remind");
/// ```
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The kind of the job, which must never be given to another one.
    const KIND: &'static str;

    /// How jobs of this kind are done, unless one of them says otherwise.
    const POLICY: JobPolicy = JobPolicy::DEFAULT;

    /// Of jobs of this kind with the same key, one waits or runs; enqueueing another gives
    /// the first. `None`: there may be any number.
    fn unique(&self) -> Option<String> {
        None
    }

    /// The job, not before this time.
    fn at(self, time: jiff::Timestamp) -> Scheduled<Self>
    where
        Self: Sized,
    {
        Scheduled::from(self).at(time)
    }

    /// The job, not before this span is over.
    fn after(self, span: std::time::Duration) -> Scheduled<Self>
    where
        Self: Sized,
    {
        Scheduled::from(self).after(span)
    }
}

/// How a job is done.
///
/// A job may be tried more than once, also after it was done (a worker can die just before
/// it says so): what is done must be safe to do again. [`Attempt::key`] is the same for all
/// attempts.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use updraft::{App, Attempt, Ctx, Job, JobError, Run};
///
/// #[derive(App)]
/// struct Invoices {}
///
/// #[derive(Job, Serialize, Deserialize)]
/// struct Remind {
///     address: String,
/// }
///
/// impl Run<Invoices> for Remind {
///     async fn run(self, _app: Ctx<Invoices>, _attempt: Attempt) -> Result<(), JobError> {
///         if !self.address.contains('@') {
///             // No attempt will make it an address.
///             return Err(JobError::give_up("the customer has no address"));
///         }
///         // Any error by `?` means: again, later.
///         let _port: u16 = "25".parse()?;
///         Ok(())
///     }
/// }
/// ```
pub trait Run<A: App>: Job {
    /// Does the job, once.
    fn run(
        self,
        app: Ctx<A>,
        attempt: Attempt,
    ) -> impl Future<Output = Result<(), JobError>> + Send;
}

/// The kinds of jobs that a service does.
pub struct Jobs<A: App> {
    handlers: BTreeMap<&'static str, Entry<A>>,
    app: PhantomData<fn() -> A>,
}

/// How one kind is done, once there is an app.
type Entry<A> = Arc<dyn Fn(Ctx<A>) -> Handler + Send + Sync>;

impl<A: App> std::fmt::Debug for Jobs<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.handlers.keys()).finish()
    }
}

impl<A: App> Default for Jobs<A> {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: App> Jobs<A> {
    /// No kinds yet.
    pub fn new() -> Self {
        Self { handlers: BTreeMap::new(), app: PhantomData }
    }

    /// One more kind.
    #[must_use]
    pub fn with<J: Run<A>>(mut self) -> Self {
        let entry = |app: Ctx<A>| Handler {
            policy: J::POLICY,
            begin: Arc::new(move |attempt: &Attempt| {
                let job: J = serde_json::from_str(attempt.payload())?;
                Ok(Box::pin(job.run(app.clone(), attempt.clone())) as Work)
            }),
        };
        self.handlers.insert(J::KIND, Arc::new(entry));
        self
    }

    /// All kinds of both.
    pub(crate) fn extend(&mut self, jobs: Self) {
        self.handlers.extend(jobs.handlers);
    }

    /// One more kind, whose jobs are made by the chassis.
    pub(crate) fn insert(&mut self, kind: &'static str, entry: Entry<A>) {
        self.handlers.insert(kind, entry);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.handlers.is_empty()
    }

    /// What a worker needs to do these jobs.
    pub(crate) fn handlers(&self, app: &Ctx<A>) -> BTreeMap<&'static str, Handler> {
        self.handlers.iter().map(|(kind, handler)| (*kind, handler(app.clone()))).collect()
    }
}

/// The kinds of jobs that a service does: `jobs![Remind, Sweep]`.
#[macro_export]
macro_rules! jobs {
    ($($job:ty),* $(,)?) => { $crate::Jobs::new()$(.with::<$job>())* };
}
