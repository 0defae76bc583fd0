//! The checks of what is attached: in the background, at their own pace, bounded in time.
//! Nobody who asks for health waits for a server.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::runtime::Handle;

use super::hysteresis::Hysteresis;
use super::{Health, Needs, lock, redaction};
use crate::BoxError;
use crate::attachment::{AttachError, Attached};
use crate::metrics::Buckets;

/// How long one check may take. What takes longer to answer a question as small as this is
/// of no use to requests either.
const CHECK_TIME: Duration = Duration::from_secs(1);

/// Upper bounds of seconds of checks.
const CHECK_SECONDS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];

/// How often is checked, and what decides readiness.
#[derive(Clone, Debug)]
pub(crate) struct Checks {
    /// From the end of one check to the next, while all is well.
    interval: Duration,
    /// Attachments without which the process is not ready.
    needs: Needs,
}

/// Whatever `HEALTH_INTERVAL` says: checks are no load test.
const INTERVAL_LEAST: Duration = Duration::from_millis(50);

impl Checks {
    pub(crate) fn new(interval: Duration, needs: Needs) -> Self {
        Self { interval: interval.max(INTERVAL_LEAST), needs }
    }
}

/// `READY_NEEDS` names something that is not attached.
#[derive(Debug, thiserror::Error)]
#[error("there is no attachment `{name}`; attached are: {attached}")]
struct UnknownNeed {
    name: String,
    attached: String,
}

/// An attachment and what is known of it.
pub(super) struct Watched {
    attached: Attached,
    kind: &'static str,
    location: String,
    gates: bool,
    state: Mutex<State>,
    pub(super) good: AtomicU64,
    pub(super) bad: AtomicU64,
    pub(super) took: Buckets,
}

#[derive(Clone, Debug)]
pub(super) struct State {
    hysteresis: Hysteresis,
    /// Since when the verdict is what it is.
    pub(super) since: Timestamp,
    pub(super) checked: Option<Timestamp>,
    pub(super) took: Duration,
    /// The last check failed, and so.
    pub(super) error: Option<String>,
}

impl State {
    pub(super) fn up(&self) -> Option<bool> {
        self.hysteresis.up()
    }
}

impl Health {
    /// Checks what is attached until [`Health::end_checks`].
    ///
    /// # Errors
    ///
    /// When `READY_NEEDS` names something that is not among it.
    pub(crate) fn watch(
        &self,
        attached: Vec<Attached>,
        checks: &Checks,
        runtime: &Handle,
    ) -> Result<(), AttachError> {
        if let Some(name) = checks
            .needs
            .names()
            .iter()
            .find(|name| attached.iter().all(|attached| attached.name != name.as_str()))
        {
            let names: Vec<_> = attached.iter().map(|attached| attached.name).collect();
            let error = UnknownNeed { name: name.clone(), attached: names.join(", ") };
            return Err(AttachError::new("READY_NEEDS", error));
        }
        let mut running = lock(&self.shared.checks);
        for attached in attached {
            let gates = checks.needs.names().iter().any(|name| name == attached.name);
            let watched = Arc::new(Watched::new(attached, gates));
            lock(&self.shared.watched).push(Arc::clone(&watched));
            running.spawn_on(watched.check_for_ever(checks.interval), runtime);
        }
        Ok(())
    }
}

impl Watched {
    fn new(attached: Attached, gates: bool) -> Self {
        let location = attached.attachment.location();
        Self {
            kind: location.kind(),
            location: location.to_string(),
            attached,
            gates,
            state: Mutex::new(State {
                hysteresis: Hysteresis::default(),
                since: Timestamp::now(),
                checked: None,
                took: Duration::ZERO,
                error: None,
            }),
            good: AtomicU64::new(0),
            bad: AtomicU64::new(0),
            took: Buckets::new(CHECK_SECONDS),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.attached.name
    }

    pub(super) fn variable(&self) -> &'static str {
        self.attached.variable
    }

    pub(super) fn kind(&self) -> &'static str {
        self.kind
    }

    pub(super) fn location(&self) -> &str {
        &self.location
    }

    pub(super) fn gates(&self) -> bool {
        self.gates
    }

    pub(super) fn is_up(&self) -> bool {
        lock(&self.state).up() == Some(true)
    }

    pub(super) fn state(&self) -> State {
        lock(&self.state).clone()
    }

    async fn check_for_ever(self: Arc<Self>, interval: Duration) {
        loop {
            let began = Instant::now();
            let result = self.check().await;
            self.note(result, began.elapsed());
            tokio::time::sleep(self.pause(interval)).await;
        }
    }

    /// One check, which may hang or panic.
    async fn check(&self) -> Result<(), BoxError> {
        let mut check = tokio::spawn(self.attached.attachment.check());
        match tokio::time::timeout(CHECK_TIME, &mut check).await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => Err(panic.into()),
            Err(_elapsed) => {
                check.abort();
                Err(format!("no answer within {CHECK_TIME:?}").into())
            }
        }
    }

    /// Whoever is down or in doubt is asked more often: both ends of an outage should be
    /// noticed soon. Replicas must not ask in step.
    fn pause(&self, interval: Duration) -> Duration {
        let State { hysteresis, .. } = self.state();
        let calm = hysteresis.up() == Some(true) && !hysteresis.is_in_doubt();
        let pause = if calm { interval } else { interval / 5 };
        pause.mul_f64(0.9 + 0.2 * fastrand::f64())
    }

    fn note(&self, result: Result<(), BoxError>, took: Duration) {
        let count = if result.is_ok() { &self.good } else { &self.bad };
        count.fetch_add(1, Ordering::Relaxed);
        self.took.record(took.as_secs_f64(), None);
        let error = result.err().map(|error| redaction::shown(&*error));
        let now = Timestamp::now();
        let mut state = lock(&self.state);
        let was = state.up();
        let changed = state.hysteresis.note(error.is_none());
        state.checked = Some(now);
        state.took = took;
        state.error = error;
        if !changed {
            return;
        }
        state.since = now;
        let (attachment, kind, gates) = (self.name(), self.kind, self.gates);
        match &state.error {
            Some(error) => tracing::warn!(attachment, kind, gates, error, "an attachment is down"),
            None if was.is_some() => {
                tracing::info!(attachment, kind, gates, "an attachment is up again")
            }
            None => tracing::debug!(attachment, kind, gates, "an attachment is up"),
        }
    }
}
