//! Work at times of the calendar, once for the whole fleet: whoever of the processes is
//! first notes the fire and enqueues its job in one step; the note is the lock and the
//! history.

mod schedule;
mod scheduler;

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::app::{App, Ctx};
use crate::jobs::{JobError, JobPolicy, Jobs};
use crate::process::BoxFuture;
use crate::queue::{Attempt, Handler, Work};

pub use schedule::{Missed, Overlap, Schedule, ScheduleError};
pub(crate) use scheduler::{Scheduler, Timetable};

/// What the kind of a schedule's jobs begins with.
const KIND: &str = "cron.";

/// One fire of a schedule, for the work that it starts.
#[derive(Clone, Debug)]
pub struct Fire {
    due: Timestamp,
    attempt: Attempt,
}

impl Fire {
    /// The time of the calendar that it was due at, which may have been missed by hours.
    pub fn due(&self) -> Timestamp {
        self.due
    }

    /// Which attempt it is: the work of a fire is a job like any other.
    pub fn attempt(&self) -> &Attempt {
        &self.attempt
    }
}

/// The payload of a fire's job.
#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    due: Timestamp,
}

/// What a service does at the times of one schedule.
pub(crate) struct Entry<A> {
    pub(crate) name: &'static str,
    /// The kind of its jobs.
    kind: &'static str,
    pub(crate) schedule: Schedule,
    run: Arc<Run<A>>,
}

type Run<A> = dyn Fn(Ctx<A>, Fire) -> BoxFuture<Result<(), JobError>> + Send + Sync;

impl<A: App> Entry<A> {
    pub(crate) fn new<F, R>(name: &'static str, schedule: Schedule, run: F) -> Self
    where
        F: Fn(Ctx<A>, Fire) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), JobError>> + Send + 'static,
    {
        // Kinds are known while the process lives, and there is one for each schedule.
        let kind = String::leak(format!("{KIND}{name}"));
        Self { name, kind, schedule, run: Arc::new(move |app, fire| Box::pin(run(app, fire))) }
    }

    /// Lets workers do the jobs of this schedule.
    pub(crate) fn add_to(&self, jobs: &mut Jobs<A>) {
        let run = Arc::clone(&self.run);
        let entry = move |app: Ctx<A>| {
            let run = Arc::clone(&run);
            Handler {
                policy: JobPolicy::DEFAULT,
                begin: Arc::new(move |attempt: &Attempt| {
                    let Payload { due } = serde_json::from_str(attempt.payload())?;
                    let fire = Fire { due, attempt: attempt.clone() };
                    Ok(run(app.clone(), fire) as Work)
                }),
            }
        };
        jobs.insert(self.kind, Arc::new(entry));
    }
}
