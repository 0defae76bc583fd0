//! The thread of `main`, which stands outside of the runtime that does the work: signals,
//! deadlines, the watchdog and the admin listener live on a small runtime of its own, so
//! that they keep their word when every worker of the other one is blocked.

use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};

use super::{Begin, Outcome, Platform, failed, run};
use crate::admin::{Admin, Shown};
use crate::drain::Drain;
use crate::health::Health;
use crate::metrics::{BuildInfo, Metrics, PlatformMetrics, Policies, RuntimeMetrics};
use crate::release::Release;
use crate::telemetry::{Telemetry, TelemetryHandle};
use crate::watchdog::Delays;

/// What a process is made of before it does anything.
pub(super) struct Life {
    pub(super) drain: Drain,
    pub(super) health: Health,
    pub(super) metrics: Metrics,
    pub(super) telemetry: TelemetryHandle,
}

impl Life {
    pub(super) fn begin(
        platform: &Platform,
        release: &Release,
        runtime: &Runtime,
        delays: &Delays,
        telemetry: TelemetryHandle,
    ) -> Self {
        let drain = Drain::new(platform.budget.grace);
        let health = Health::new(drain.sender(), platform.watchdog);
        let metrics = Metrics::default();
        metrics.expose(Arc::new(BuildInfo::of(release)));
        metrics.expose(Arc::new(health.clone()));
        metrics.expose(Arc::new(PlatformMetrics::now()));
        metrics.expose(Arc::new(RuntimeMetrics::of(runtime.handle().clone())));
        metrics.expose(Arc::new(delays.clone()));
        metrics.expose(Arc::new(Policies));
        telemetry.show_in(&metrics);
        Self { drain, health, metrics, telemetry }
    }
}

/// Runs one process to its end on `runtime`, and watches it from outside. The logs are
/// flushed and the admin listener is closed when there is nothing else left.
pub(crate) fn supervise(
    runtime: Runtime,
    platform: Platform,
    release: Release,
    telemetry: Telemetry,
    start: Begin<'_>,
) -> Outcome {
    let outside = match Builder::new_current_thread().enable_all().build() {
        Ok(outside) => outside,
        Err(error) => return failed("cannot make the runtime of the supervisor", &error),
    };
    let outcome = outside.block_on(async move {
        let delays = Delays::default();
        let handle = telemetry.handle();
        let log_control = handle.log_control().clone();
        let life = Life::begin(&platform, &release, &runtime, &delays, handle);
        let shown = Shown {
            health: life.health.clone(),
            metrics: life.metrics.clone(),
            release,
            log_control,
        };
        let admin = match platform.admin.map(|address| Admin::listen(address, shown)).transpose() {
            Ok(admin) => admin,
            Err(error) => {
                runtime.shutdown_background();
                return failed("cannot serve the admin listener", &error);
            }
        };
        let outcome = run(platform, life, runtime.handle(), delays, start).await;
        // What still runs was cut off by the drain, which has said so.
        runtime.shutdown_background();
        // Flushing waits for the reader of the logs, and the admin listener answers meanwhile.
        let flushed = tokio::task::spawn_blocking(move || drop(telemetry)).await;
        if let Some(admin) = admin {
            admin.close().await;
        }
        if flushed.is_ok() { outcome } else { Outcome::Failed }
    });
    outside.shutdown_background();
    outcome
}
