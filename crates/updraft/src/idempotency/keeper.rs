//! The way of a request with a key: the key is taken, the handler answers, the answer is kept.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use updraft_resilience::deadline;

use super::IdempotencySettings;
use super::answer::{Answer, is_final};
use super::carried::Places;
use super::key::{Known, in_progress, reused, too_long, unavailable};
use super::metrics::KeyMetrics;
use super::record::{Idempotency, IsRecorded};
use super::store::{Held, Store, Took, keep};
use crate::http::body::read_body;
use crate::in_hand::InHand;
use crate::metrics::Metrics;
use crate::process::Context;
use crate::web::Peer;
use crate::{BoxError, Declaration, Sql, Stop};

/// From one look for expired keys to the next, where there are few.
const SWEEP_PAUSE: Duration = Duration::from_secs(60);

/// The same while there are more than one statement forgets.
const SWEEP_STEP: Duration = Duration::from_millis(100);

/// Keys that one statement forgets.
const SWEEP_MOST: u32 = 1000;

/// A lease is renewed so often before it is over.
const RENEWALS: u32 = 3;

/// The attribute of the request's span that says what came of its key.
const ATTRIBUTE: &str = "updraft.idempotency";

/// Keeps the keys of a process. Clones keep the same.
#[derive(Clone, Debug)]
pub(crate) struct Keeper {
    store: Store,
    metrics: Arc<KeyMetrics>,
    places: Places,
    /// The drain waits for work that keeps an answer.
    _drain: Stop,
}

impl Keeper {
    pub(crate) fn new(
        sql: Sql,
        settings: IdempotencySettings,
        metrics: &Metrics,
        drain: Stop,
    ) -> Self {
        let IdempotencySettings { ttl, lease } = settings;
        let metrics: Arc<KeyMetrics> = metrics.families();
        let places = Places::new(Arc::clone(&metrics));
        Self { store: Store { sql, ttl, lease }, metrics, places, _drain: drain }
    }

    /// Forgets keys that have expired, from here to the end of the process.
    pub(crate) fn start(&self, context: &Context) {
        let (keeper, stop) = (self.clone(), context.stop());
        context.run("idempotency keys", async move { keeper.sweep(&stop).await });
    }

    async fn sweep(&self, stop: &Stop) -> Result<(), BoxError> {
        let mut pause = SWEEP_PAUSE;
        loop {
            // Not all replicas at once.
            let pause_now = pause.mul_f64(0.5 + fastrand::f64());
            tokio::select! {
                () = tokio::time::sleep(pause_now) => {}
                () = stop.requested() => return Ok(()),
            }
            pause = SWEEP_PAUSE;
            match self.store.sweep(SWEEP_MOST.into()).await {
                Ok(count) => {
                    self.metrics.expired.inc_by(count);
                    if u64::from(SWEEP_MOST) <= count {
                        pause = SWEEP_STEP;
                    }
                }
                Err(error) => warn(&error, "expired Idempotency-Keys cannot be forgotten"),
            }
        }
    }

    /// A request whose key is none, or is missing.
    pub(crate) fn refused(&self) {
        self.told("invalid_key");
    }

    /// Answers a request by its handler, or by what the handler answered to it before. Its
    /// caller must be among its extensions, if it has one.
    pub(crate) async fn answer<F>(
        &self,
        operation: &'static Declaration,
        key: String,
        request: Request,
        handler: impl FnOnce(Request) -> F + Send + 'static,
    ) -> Response
    where
        F: Future<Output = Response> + Send + 'static,
    {
        let (mut parts, body) = request.into_parts();
        let body = match read_body(body).await {
            Ok(body) => body,
            Err(refusal) => return refusal.into_response(),
        };
        let known = Known::of(&key, operation, &parts, &body);
        // Work that goes on without its request has none in hand.
        if parts.extensions.get::<Peer>().is_none()
            && let Some(peer) = InHand::current(|hand| hand.peer().clone())
        {
            parts.extensions.insert(peer);
        }
        let keeper = self.clone();
        let work = async move {
            let held = match keeper.store.take(&known).await {
                Ok(Took::Key(held)) => held,
                Ok(took) => return keeper.without_handler(took),
                Err(error) => {
                    // Without the key there is no telling whether it was done before.
                    warn(&error, "an Idempotency-Key cannot be looked up");
                    keeper.told("unavailable");
                    return unavailable().into_response();
                }
            };
            parts.extensions.insert(Idempotency::of(held.clone(), key));
            keeper.handled(&held, handler(Request::from_parts(parts, body.into()))).await
        };
        self.places.carry(Box::pin(work)).await
    }

    /// Has the handler answer, and keeps that.
    async fn handled(&self, held: &Held, handler: impl Future<Output = Response>) -> Response {
        let handled = AssertUnwindSafe(self.while_held(held, handler)).catch_unwind().await;
        match handled {
            // What is done is done: keeping it is not bounded by the patience of the caller.
            Ok(response) => deadline::without(self.settle(held, response)).await,
            Err(panic) => {
                self.told("panicked");
                deadline::without(self.give_back(held)).await;
                resume_unwind(panic)
            }
        }
    }

    fn without_handler(&self, took: Took) -> Response {
        let (outcome, problem) = match took {
            Took::Other => ("other_request", reused()),
            Took::InProgress | Took::Key(_) => ("in_progress", in_progress()),
            Took::Answered(answer) => match answer.again() {
                Some(response) => {
                    self.told("replayed");
                    return response;
                }
                None => ("too_long", too_long()),
            },
        };
        self.told(outcome);
        problem.into_response()
    }

    /// Keeps the lease for as long as the handler needs.
    async fn while_held<T>(&self, held: &Held, handler: impl Future<Output = T>) -> T {
        let mut handler = std::pin::pin!(handler);
        loop {
            let renew = async {
                tokio::time::sleep(self.store.lease / RENEWALS).await;
                deadline::without(self.store.prolong(held)).await
            };
            tokio::select! {
                biased;
                done = &mut handler => return done,
                renewed = renew => {
                    if let Err(error) = renewed {
                        warn(&error, "the lease of an Idempotency-Key cannot be prolonged");
                    }
                }
            }
        }
    }

    /// Keeps the answer, or gives the key back when the same request may go better later.
    async fn settle(&self, held: &Held, mut response: Response) -> Response {
        if response.extensions_mut().remove::<IsRecorded>().is_some() {
            self.told("recorded");
            return response;
        }
        if !is_final(&response) {
            self.told("given_back");
            let was_ours = self.give_back(held).await;
            // A fault, where another answer is recorded or is being found: that one counts.
            let counts = was_ours || !response.status().is_server_error();
            return if counts { response } else { in_progress().into_response() };
        }
        let (answer, response) = Answer::taken(response).await;
        let Some(answer) = answer else {
            self.told("given_back");
            self.give_back(held).await;
            return response;
        };
        match keep(&self.store.sql, held, &answer).await {
            Ok(true) => self.told("kept"),
            // Recorded in a transaction, or taken over after the lease.
            Ok(false) => self.told("not_ours"),
            Err(error) => {
                self.told("lost");
                warn(
                    &error,
                    "an answer with an Idempotency-Key cannot be kept: once its lease is over, \
                     the same request has its effect again",
                );
            }
        }
        response
    }

    /// Gives the key back; `false`: it was not ours any more.
    async fn give_back(&self, held: &Held) -> bool {
        self.store.free(held).await.unwrap_or_else(|error| {
            warn(&error, "an Idempotency-Key cannot be given back before its lease is over");
            true
        })
    }

    /// What came of the key of the request in hand.
    fn told(&self, outcome: &'static str) {
        self.metrics.request(outcome);
        crate::trace::mark(ATTRIBUTE, outcome);
    }
}

fn warn(error: &(dyn std::error::Error + 'static), message: &str) {
    tracing::warn!(error, "{message}");
}
