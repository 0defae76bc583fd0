//! The jobs of a service in its test: nothing does them but the test, so that it knows what
//! was done when.

use super::app::TestApp;
use super::fail;
use super::logs::chain;
use crate::app::App;
use crate::queue::Queue;

/// Attempts of one [`TestApp::run_jobs`]: what is more than that goes round in a circle.
const ATTEMPTS_MOST: u64 = 10_000;

/// What a test's jobs came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobsDone {
    /// Jobs that are done.
    pub done: u64,
    /// Attempts that failed, and will be made again later.
    pub failed: u64,
    /// Jobs that were given up.
    pub dead: u64,
}

impl<A: App> TestApp<A> {
    /// Fires the schedules that are due, and makes an attempt at every job that is due, one
    /// after another, until none is: those that other jobs have caused too. A job that has
    /// failed is due again after its wait: see [`advance`](Self::advance).
    ///
    /// # Panics
    ///
    /// When the service has no jobs, the store fails, or jobs cause jobs without end.
    #[track_caller]
    pub fn run_jobs(&self) -> impl Future<Output = JobsDone> + Send {
        let app = self.clone();
        async move { app.run_all().await }
    }

    async fn run_all(&self) -> JobsDone {
        let stage = self.stage();
        let Some(worker) = &stage.worker else {
            fail("this service has no jobs, or no one field of type Queue");
        };
        if let Some(scheduler) = &stage.scheduler
            && let Err(error) = scheduler.turn().await
        {
            fail(format_args!("the schedules cannot be fired: {}", chain(&error)));
        }
        let mut done = JobsDone::default();
        for _ in 0..ATTEMPTS_MOST {
            self.relayed().await;
            match worker.step().await {
                Ok(None) => return done,
                Ok(Some("done")) => done.done += 1,
                Ok(Some("dead")) => done.dead += 1,
                Ok(Some(_again)) => done.failed += 1,
                Err(error) => fail(format_args!("the jobs cannot be done: {}", chain(&error))),
            }
        }
        fail(format_args!(
            "after {ATTEMPTS_MOST} attempts there are jobs still: do they cause each other?"
        ))
    }

    /// How many jobs wait: for a worker, for their time or for their next attempt.
    ///
    /// # Panics
    ///
    /// When the service has no queue, or its store fails.
    #[track_caller]
    pub fn job_count(&self) -> impl Future<Output = u64> + Send {
        let app = self.clone();
        async move {
            app.relayed().await;
            match app.queue().counts().await {
                Ok(counts) => counts.waiting,
                Err(error) => fail(format_args!("the jobs cannot be counted: {}", chain(&error))),
            }
        }
    }

    /// Relays what is in the outbox, where the queue has one.
    async fn relayed(&self) {
        if let Err(error) = self.queue().relay_now(&self.stage().metrics).await {
            fail(format_args!("the outbox cannot be relayed: {}", chain(&*error)));
        }
    }

    #[track_caller]
    fn queue(&self) -> &Queue {
        match &self.stage().queue {
            Some(queue) => queue,
            None => fail("this service has no one field of type Queue"),
        }
    }
}
