//! A service as a test has it: attached, migrated, with its routes in place, and nothing
//! running that the test has not asked for.

use super::Service;
use crate::api::Routes;
use crate::app::{App, Ctx};
use crate::cron::{Scheduler, Timetable};
use crate::idempotency::IdempotencySettings;
use crate::migration::SchemaWatch;
use crate::process::Context;
use crate::queue::{JobFamilies, Worker};
use crate::release::Release;
use crate::{BoxError, Queue};

/// What a test needs of a service.
pub(crate) struct Rehearsed<A: App> {
    pub(crate) app: Ctx<A>,
    pub(crate) routes: Routes,
    /// The versions of its API, when it has any.
    pub(crate) versions: Option<std::ops::RangeInclusive<u32>>,
    /// The queue of its jobs.
    pub(crate) queue: Option<Queue>,
    /// What does jobs, one at a time.
    pub(crate) worker: Option<Worker>,
    pub(crate) scheduler: Option<Scheduler>,
}

impl<A: App> Service<A> {
    /// Which release it is.
    pub(crate) fn release(&self) -> &Release {
        &self.release
    }

    /// What keeps its operations from being an API.
    pub(crate) fn api_faults(&self) -> Vec<String> {
        self.faults()
    }

    /// Attaches, and applies the migrations. Jobs, relays of outboxes, schedules and the
    /// service's own background work are not started.
    ///
    /// # Errors
    ///
    /// What cannot be attached or migrated.
    pub(crate) async fn rehearse(
        self,
        parsed: A::Parsed,
        context: &Context,
        settings: IdempotencySettings,
    ) -> Result<Rehearsed<A>, BoxError> {
        let metrics = context.metrics();
        let attaching = self.attaching(context);
        let app = A::attach(parsed, &attaching).await?;
        context.watch(attaching.attached())?;
        if let Some(sql) = self.migrated(&attaching)? {
            sql.migrate(self.migrations).await?;
            SchemaWatch::start(context, &sql, self.migrations).await;
        }
        context.auth().start(context);
        self.keep_keys(&attaching, context, settings)?;
        let app = Ctx::new(app, context.clone());
        let queue = attaching.queue(None);
        let families = metrics.families::<JobFamilies>();
        let worker = queue
            .clone()
            .filter(|_| !self.jobs.is_empty())
            .map(|queue| Worker::new(queue, self.jobs.handlers(&app), families.clone(), 1));
        let table = Timetable::of(&self.cron).map_err(|errors| {
            errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        })?;
        let scheduler = queue
            .clone()
            .filter(|_| self.fires())
            .map(|queue| Scheduler::new(queue, table, families));
        let versions = self.api.versions();
        let routes = self.api.into_routes(&self.release, &app);
        Ok(Rehearsed { app, routes, versions, queue, worker, scheduler })
    }
}
