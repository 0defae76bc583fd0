//! What must hold for a process to be ready, as its parts say it.

use std::borrow::Cow;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use super::lock;

/// Something without which the process is not ready, such as a warm cache or a current
/// schema. Clones are the same condition.
///
/// It decides readiness only; a process that is alive and not ready is given no work and is
/// not restarted.
///
/// ```
/// # async fn load() {}
/// use updraft::{App, BoxError, Ctx, Stop};
///
/// /// A service that is of no use before its prices are loaded.
/// #[derive(App)]
/// struct Prices {}
///
/// async fn warm(app: Ctx<Prices>, stop: Stop) -> Result<(), BoxError> {
///     let warm = app.condition("prices");
///     load().await;
///     warm.met();
///     stop.requested().await;
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Condition {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    name: &'static str,
    state: Mutex<State>,
}

#[derive(Clone, Debug)]
struct State {
    since: Timestamp,
    /// Why it is unmet.
    why: Option<Cow<'static, str>>,
}

impl Condition {
    pub(super) fn new(name: &'static str) -> Self {
        let state = State { since: Timestamp::now(), why: Some("not known yet".into()) };
        Self { shared: Arc::new(Shared { name, state: Mutex::new(state) }) }
    }

    pub(super) fn name(&self) -> &'static str {
        self.shared.name
    }

    /// It holds.
    pub fn met(&self) {
        self.set(None);
    }

    /// It does not hold. `why` is shown on the admin listener, so it should hold no secret.
    pub fn unmet(&self, why: impl Into<Cow<'static, str>>) {
        self.set(Some(why.into()));
    }

    pub(super) fn is_met(&self) -> bool {
        lock(&self.shared.state).why.is_none()
    }

    /// Since when it is as it is, and why when it is unmet.
    pub(super) fn state(&self) -> (Timestamp, Option<Cow<'static, str>>) {
        let State { since, why } = lock(&self.shared.state).clone();
        (since, why)
    }

    fn set(&self, why: Option<Cow<'static, str>>) {
        let mut state = lock(&self.shared.state);
        if state.why.is_some() == why.is_some() {
            state.why = why;
            return;
        }
        let condition = self.shared.name;
        match &why {
            None => tracing::info!(condition, "a condition of readiness is met"),
            Some(why) => {
                tracing::warn!(condition, why = &**why, "a condition of readiness is unmet")
            }
        }
        *state = State { since: Timestamp::now(), why };
    }
}
