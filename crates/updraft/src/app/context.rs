//! How a handler, a job or a task sees its `App`.

use std::convert::Infallible;
use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::process::Context;
use crate::{Condition, LogControl, Stop};

/// The service's [`App`](crate::App), shared. Cloning it is cheap.
#[derive(Debug)]
pub struct Ctx<A> {
    app: Arc<A>,
    context: Context,
}

impl<A> Ctx<A> {
    pub(crate) fn new(app: A, context: Context) -> Self {
        Self { app: Arc::new(app), context }
    }

    /// How much this process logs, to be changed while it runs.
    pub fn log_control(&self) -> &LogControl {
        self.context.telemetry().log_control()
    }

    /// Whoever tells callers by their tokens.
    pub(crate) fn auth(&self) -> &crate::auth::Auth {
        self.context.auth()
    }

    /// Whoever keeps idempotency keys.
    pub(crate) fn keeper(&self) -> Option<&crate::idempotency::Keeper> {
        self.context.keeper()
    }

    /// The handle by which work learns that the process ends.
    pub fn stop(&self) -> Stop {
        self.context.stop()
    }

    /// Something without which the process is not ready. It is unmet until it is said to be
    /// met; the same name is the same condition.
    pub fn condition(&self, name: &'static str) -> Condition {
        self.context.condition(name)
    }
}

impl<A> Clone for Ctx<A> {
    fn clone(&self) -> Self {
        Self { app: Arc::clone(&self.app), context: self.context.clone() }
    }
}

impl<A> Deref for Ctx<A> {
    type Target = A;

    fn deref(&self) -> &A {
        &self.app
    }
}

impl<A: Send + Sync + 'static> FromRequestParts<Ctx<A>> for Ctx<A> {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, state: &Ctx<A>) -> Result<Self, Infallible> {
        Ok(state.clone())
    }
}
