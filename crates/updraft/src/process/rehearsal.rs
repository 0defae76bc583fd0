//! The life of a process without a process: for tests, which have a service start, work and
//! drain within themselves. What it starts is what `run` starts; signals, the watchdog and the
//! admin listener are left out, and whoever holds it decides when it ends.

use std::sync::{Arc, OnceLock};

use futures_util::FutureExt as _;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::closers::Closers;
use super::components::Components;
use super::supervisor::Life;
use super::{Context, Outcome, Platform, Shared};
use crate::BoxError;
use crate::auth::Auth;
use crate::drain::{Drain, DrainBudget, Phase};
use crate::health::Health;
use crate::metrics::Metrics;
use crate::release::Release;
use crate::telemetry::TelemetryHandle;
use crate::watchdog::Delays;
use crate::web::InProcess;

/// A service that lives in a test.
#[derive(Debug)]
pub(crate) struct Rehearsal {
    drain: Drain,
    health: Health,
    components: Arc<Components>,
    closers: Arc<Closers>,
    budget: DrainBudget,
    metrics: Metrics,
}

impl Rehearsal {
    /// Begins a life, with the HTTP side that requests go through. Call it within `runtime`.
    ///
    /// # Errors
    ///
    /// When the HTTP side cannot be as its variables say.
    pub(crate) fn begin(
        platform: Platform,
        release: &Release,
        runtime: &Runtime,
        telemetry: TelemetryHandle,
    ) -> Result<(Self, Context, InProcess), BoxError> {
        let life = Life::begin(&platform, release, runtime, &Delays::default(), telemetry);
        let Life { drain, health, metrics, telemetry } = life;
        let of_health = (&health, platform.health_on_port);
        let web = InProcess::new(platform.web, &drain, of_health, &metrics)?;
        let (components, closers) = (Arc::<Components>::default(), Arc::<Closers>::default());
        let shared = Shared {
            components: Arc::clone(&components),
            closers: Arc::clone(&closers),
            health: health.clone(),
            auth: Auth::new(platform.auth, &metrics),
            keeper: OnceLock::new(),
            metrics: metrics.clone(),
            checks: platform.checks,
            telemetry,
            runtime: runtime.handle().clone(),
        };
        let context = Context { stop: drain.stop(), shared: Arc::new(shared) };
        let rehearsal =
            Self { drain, health, components, closers, budget: platform.budget, metrics };
        Ok((rehearsal, context, web))
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// All is attached: the service serves.
    pub(crate) fn started(&self) {
        self.health.started();
        self.drain.advance(Phase::Serving);
        self.health.entered(Phase::Serving);
    }

    /// Drains as a process does. Whoever holds anything of the service must have let it go.
    pub(crate) async fn end(self, runtime: &Runtime) -> Outcome {
        let died = self.components.next_end().now_or_never();
        let so_far = died.map_or(Outcome::Clean, super::components::Ended::died);
        for phase in [Phase::Draining, Phase::Closing] {
            self.drain.advance(phase);
            self.health.entered(phase);
        }
        let orderly = async {
            let outcome = self.components.all_ended().await;
            self.drain.released().await;
            outcome
        };
        let outcome = if let Ok(outcome) = timeout(self.budget.work(), orderly).await {
            so_far.and(outcome)
        } else {
            let background = self.components.running().join(", ");
            tracing::error!(background, "work was cut off: SHUTDOWN_GRACE is over");
            Outcome::Failed
        };
        self.health.end_checks();
        let open = self.closers.close(runtime.handle(), self.budget.closing()).await;
        if open.is_empty() {
            return outcome;
        }
        tracing::error!(attachments = open.join(", "), "not everything could be closed");
        Outcome::Failed
    }
}
