//! What is known of the health of this process: is it alive, has it started, should it be
//! asked. Everything here is looked up, never measured, when somebody asks: a probe costs
//! the same however ill the process is.

mod attachments;
mod beat;
mod condition;
mod hysteresis;
mod needs;
mod redaction;
mod report;
mod series;

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use http::{HeaderValue, Response, StatusCode, header};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub(crate) use attachments::Checks;
use attachments::Watched;
pub(crate) use beat::Beat;
use beat::Heart;
pub use condition::Condition;
pub(crate) use needs::Needs;

use crate::drain::Phase;

/// Conditions of one process at most.
const CONDITIONS_MOST: usize = 64;

/// Checks that a heart or the runtime may miss before the process counts as dead.
pub(crate) const MISSES_MOST: u32 = 3;

/// The health of one process. Clones are the same health.
#[derive(Clone)]
pub(crate) struct Health {
    shared: Arc<Shared>,
}

struct Shared {
    // A sender, since receivers hold up the drain until they are dropped.
    phase: watch::Sender<Phase>,
    /// From one beat of a heart to the next.
    beat: Duration,
    started: AtomicBool,
    /// Since when it is in which phase.
    phases: Mutex<Vec<(Phase, Instant)>>,
    conditions: Mutex<Vec<Condition>>,
    watched: Mutex<Vec<Arc<Watched>>>,
    checks: Mutex<JoinSet<()>>,
    hearts: Mutex<Vec<Arc<Heart>>>,
    /// What the watchdog found stuck at its last look.
    stuck: Mutex<Vec<&'static str>>,
}

/// What a probe asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// Can it still do anything? When not, it should be killed.
    Live,
    /// Has it started? Until then, `Live` and `Ready` should not be asked.
    Startup,
    /// Should it be given work?
    Ready,
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health")
            .field("phase", &*self.shared.phase.borrow())
            .finish_non_exhaustive()
    }
}

impl Probe {
    /// The probe of this path.
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        match path {
            "/health/live" | "/livez" => Some(Self::Live),
            "/health/startup" | "/startupz" => Some(Self::Startup),
            "/health/ready" | "/readyz" => Some(Self::Ready),
            _ => None,
        }
    }
}

impl Health {
    /// `looks`: from one look of the watchdog to the next.
    pub(crate) fn new(phase: watch::Sender<Phase>, looks: Duration) -> Self {
        let now = *phase.borrow();
        Self {
            shared: Arc::new(Shared {
                phase,
                beat: beat::between(looks),
                started: AtomicBool::new(false),
                phases: Mutex::new(vec![(now, Instant::now())]),
                conditions: Mutex::default(),
                watched: Mutex::default(),
                checks: Mutex::default(),
                hearts: Mutex::default(),
                stuck: Mutex::default(),
            }),
        }
    }

    /// Everything that was to be started has started.
    pub(crate) fn started(&self) {
        self.shared.started.store(true, Ordering::Relaxed);
    }

    /// A phase has begun.
    pub(crate) fn entered(&self, phase: Phase) {
        lock(&self.shared.phases).push((phase, Instant::now()));
    }

    /// How long each phase has lasted, or lasts already.
    pub(crate) fn phases(&self) -> Vec<(Phase, Duration)> {
        let phases = lock(&self.shared.phases);
        let ends = phases.iter().skip(1).map(|(_, began)| *began).chain([Instant::now()]);
        let spans = phases.iter().zip(ends);
        spans.map(|((phase, began), end)| (*phase, end.saturating_duration_since(*began))).collect()
    }

    /// Something without which the process is not ready. It is unmet until it is said to be
    /// met. The same name is the same condition.
    pub(crate) fn condition(&self, name: &'static str) -> Condition {
        let mut all = lock(&self.shared.conditions);
        if let Some(known) = all.iter().find(|condition| condition.name() == name) {
            return known.clone();
        }
        let condition = Condition::new(name);
        if all.len() < CONDITIONS_MOST {
            all.push(condition.clone());
        } else {
            tracing::error!(condition = name, "too many conditions: this one decides nothing");
        }
        condition
    }

    /// A sign of life of a loop that must never stand still.
    pub(crate) fn beat(&self, name: &'static str) -> Beat {
        let (beat, heart) = Beat::new(name, self.shared.beat);
        lock(&self.shared.hearts).push(heart);
        beat
    }

    /// The hearts that have not beaten since the last look and those that stopped unasked.
    pub(crate) fn silent_hearts(&self) -> Vec<&'static str> {
        let mut hearts = lock(&self.shared.hearts);
        hearts.retain(|heart| !heart.is_done());
        hearts.iter().filter(|heart| heart.is_silent()).map(|heart| heart.name()).collect()
    }

    /// What the watchdog found stuck; empty: nothing.
    pub(crate) fn set_stuck(&self, stuck: Vec<&'static str>) {
        *lock(&self.shared.stuck) = stuck;
    }

    fn stuck(&self) -> Vec<&'static str> {
        lock(&self.shared.stuck).clone()
    }

    /// Why the answer to this probe is no; empty: it is yes.
    pub(crate) fn objections(&self, probe: Probe) -> Vec<Cow<'static, str>> {
        match probe {
            Probe::Live => {
                self.stuck().into_iter().map(|what| format!("stuck: {what}").into()).collect()
            }
            Probe::Startup if self.shared.started.load(Ordering::Relaxed) => Vec::new(),
            Probe::Startup => vec!["starting".into()],
            Probe::Ready => self.unready(),
        }
    }

    fn unready(&self) -> Vec<Cow<'static, str>> {
        match *self.shared.phase.borrow() {
            Phase::Starting => return vec!["starting".into()],
            Phase::Draining | Phase::Closing => return vec!["draining".into()],
            Phase::Serving => {}
        }
        let conditions = lock(&self.shared.conditions);
        let unmet = conditions.iter().filter(|condition| !condition.is_met());
        let unmet = unmet.map(|condition| Cow::from(condition.name()));
        let watched = lock(&self.shared.watched);
        let down = watched.iter().filter(|attachment| attachment.gates() && !attachment.is_up());
        let down = down.map(|attachment| Cow::from(format!("{} is down", attachment.name())));
        unmet.chain(down).collect()
    }

    /// The answer to a probe: a status and one terse line. Details are for the admin
    /// listener alone.
    pub(crate) fn answer(&self, probe: Probe) -> Response<Body> {
        let objections = self.objections(probe);
        let (status, text) = if objections.is_empty() {
            let text = match probe {
                Probe::Live => "live\n",
                Probe::Startup => "started\n",
                Probe::Ready => "ready\n",
            };
            (StatusCode::OK, Cow::from(text))
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, Cow::from(format!("{}\n", objections.join(", "))))
        };
        let body = match text {
            Cow::Borrowed(text) => Body::from(text),
            Cow::Owned(text) => Body::from(text),
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        response
    }

    /// Ends the background checks.
    pub(crate) fn end_checks(&self) {
        lock(&self.shared.checks).abort_all();
    }

    /// The name of the phase the process is in.
    fn phase(&self) -> Phase {
        *self.shared.phase.borrow()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
