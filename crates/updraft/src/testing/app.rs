//! A service within its test.

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Method;

use super::logs::{TestLogs, chain};
use super::request::TestRequest;
use super::{CapturedSpan, LogRecord, fail, metrics};
use crate::api::Operation;
use crate::app::{App, Ctx};
use crate::clock::TestClock;
use crate::cron::Scheduler;
use crate::metrics::Metrics;
use crate::process::Rehearsal;
use crate::queue::{Queue, Worker};
use crate::service::Rehearsed;
use crate::telemetry::Captured;
use crate::web::{InProcess, Web};
use crate::{BoxError, Declaration};

/// The service of a test. Clones are the same service; all of them must be gone when the test
/// ends, for then it drains.
///
/// Requests go through all that requests of a process go through (bounds, admission, deadline,
/// problems, traces, metrics), but through no network.
pub struct TestApp<A: App> {
    stage: Arc<Stage<A>>,
}

/// What is on for a test.
pub(super) struct Stage<A: App> {
    pub(super) app: Ctx<A>,
    pub(super) web: InProcess,
    pub(super) metrics: Metrics,
    captured: Captured,
    clock: TestClock,
    versions: Option<RangeInclusive<u32>>,
    pub(super) queue: Option<Queue>,
    pub(super) worker: Option<Worker>,
    pub(super) scheduler: Option<Scheduler>,
    /// The listener, once it is asked for.
    served: Mutex<Option<(String, Web)>>,
}

impl<A: App> Clone for TestApp<A> {
    fn clone(&self) -> Self {
        Self { stage: Arc::clone(&self.stage) }
    }
}

impl<A: App> std::fmt::Debug for TestApp<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestApp").finish_non_exhaustive()
    }
}

impl<A: App> Stage<A> {
    pub(super) async fn set(
        rehearsed: Result<Rehearsed<A>, BoxError>,
        web: InProcess,
        life: &Rehearsal,
        captured: &Captured,
        clock: TestClock,
    ) -> Self {
        let rehearsed = match rehearsed {
            Ok(rehearsed) => rehearsed,
            Err(error) => fail(format_args!("the service cannot start: {}", chain(&*error))),
        };
        let Rehearsed { app, routes, versions, queue, worker, scheduler } = rehearsed;
        web.installer().install(routes);
        // A schedule begins when it is first seen.
        if let Some(scheduler) = &scheduler
            && let Err(error) = scheduler.turn().await
        {
            fail(format_args!("the schedules cannot be noted: {}", chain(&error)));
        }
        let (metrics, captured) = (life.metrics().clone(), captured.clone());
        let served = Mutex::default();
        Self { app, web, metrics, captured, clock, versions, queue, worker, scheduler, served }
    }
}

impl<A: App> TestApp<A> {
    pub(super) fn on(stage: Arc<Stage<A>>) -> Self {
        Self { stage }
    }

    pub(super) fn stage(&self) -> &Stage<A> {
        &self.stage
    }

    /// The service's `App`: its configuration, and what it is attached to.
    #[must_use]
    pub fn app(&self) -> &Ctx<A> {
        &self.stage.app
    }

    /// Asks with `GET`; await it for the answer. The target is a path with its query.
    pub fn get(&self, target: impl Into<String>) -> TestRequest {
        self.request(Method::GET, target)
    }

    /// Asks with `POST`.
    pub fn post(&self, target: impl Into<String>) -> TestRequest {
        self.request(Method::POST, target)
    }

    /// Asks with `PUT`.
    pub fn put(&self, target: impl Into<String>) -> TestRequest {
        self.request(Method::PUT, target)
    }

    /// Asks with `PATCH`.
    pub fn patch(&self, target: impl Into<String>) -> TestRequest {
        self.request(Method::PATCH, target)
    }

    /// Asks with `DELETE`.
    pub fn delete(&self, target: impl Into<String>) -> TestRequest {
        self.request(Method::DELETE, target)
    }

    /// Asks with any method.
    pub fn request(&self, method: Method, target: impl Into<String>) -> TestRequest {
        TestRequest::new(self.stage.web.clone(), method, target.into())
    }

    /// Calls an operation: `t.call::<show>().path("id", 7).await`. Method and path are those
    /// of its declaration; where the API has versions, the latest that has the operation is
    /// called.
    pub fn call<O: Operation<A>>(&self) -> TestRequest {
        let Declaration { method, path, since, .. } = O::DECLARATION;
        let method = Method::from_bytes(method.as_str().as_bytes()).unwrap_or(Method::GET);
        let Some(since) = since else { return self.request(method, *path) };
        let of = |version: &u32| O::DECLARATION.is_of(*version);
        let latest = self.stage.versions.clone().into_iter().flatten().filter(of).max();
        self.request(method, format!("/v{}{path}", latest.unwrap_or(*since)))
    }

    /// Listens on a free port of 127.0.0.1 too, for clients that need a network; gives the
    /// base of its URLs, such as `http://127.0.0.1:40123`. The same each time.
    #[track_caller]
    pub fn serve(&self) -> String {
        let mut served = self.stage.served.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((address, _)) = &*served {
            return format!("http://{address}");
        }
        let (address, web) = match self.stage.web.listen() {
            Ok(listening) => listening,
            Err(error) => fail(chain(&*error)),
        };
        let url = format!("http://{address}");
        *served = Some((address, web));
        url
    }

    /// Turns the clock of the service on, for what is due, kept or over at a time of the
    /// calendar: jobs with their waits and leases, schedules, the freshness of cached values.
    /// Of a queue in Redis only what the service itself writes is turned, since Redis asks its
    /// own clock what is due. Timers (`tokio::time`), timeouts and rates run as ever.
    pub fn advance(&self, by: Duration) {
        self.stage.clock.advance(by);
    }

    /// The time by the clock of the service.
    #[must_use]
    pub fn now(&self) -> jiff::Timestamp {
        crate::clock::now()
    }

    /// The log of the service so far: that of this test alone, whatever else runs in this
    /// program.
    #[must_use]
    pub fn logs(&self) -> TestLogs {
        TestLogs::of(&self.stage.captured)
    }

    /// The last line of the log whose message begins like this.
    ///
    /// # Panics
    ///
    /// When there is none; it shows the log then.
    #[track_caller]
    #[must_use]
    pub fn logged(&self, message: &str) -> LogRecord {
        let logs = self.logs();
        match logs.iter().rev().find(|line| line.message().starts_with(message)) {
            Some(line) => line.clone(),
            None => fail(format_args!("no line of the log begins with `{message}`:\n{logs}")),
        }
    }

    /// The spans of the service that have ended, the first first.
    #[must_use]
    pub fn spans(&self) -> Vec<CapturedSpan> {
        self.stage.captured.spans.all()
    }

    /// The sum of all series of a metric that have these labels, by its name in `/metrics`:
    /// `t.metric("http_server_request_duration_seconds_count", &[("http_route", "/orders")])`.
    /// 0 when there is no such series of a metric that is there.
    ///
    /// # Panics
    ///
    /// When there is no metric of this name; it names those that are like it.
    #[track_caller]
    #[must_use]
    pub fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let text = match self.stage.metrics.encode() {
            Ok(text) => text,
            Err(error) => fail(format_args!("the metrics cannot be written: {error}")),
        };
        match metrics::sum(&text, name, labels) {
            Ok(sum) => sum,
            Err(unknown) => fail(unknown),
        }
    }
}
