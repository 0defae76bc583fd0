//! The routes at work on one request: with the request in hand and its deadline around them, and
//! behind a wall against panics.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{Request, StatusCode};
use updraft_resilience::deadline::{self, Deadline};

use crate::api::{Answering, Routes};
use crate::in_hand::InHand;
use crate::problem::ProblemDetails;

/// The answer to one request that is being made. What is dropped of it is dropped with the
/// request in hand too.
pub(super) struct Handling {
    work: Option<Answering>,
    hand: Arc<InHand>,
    deadline: Option<Deadline>,
}

impl Handling {
    /// Gives the request to the routes.
    pub(super) fn new(
        routes: &Routes,
        request: Request<Body>,
        hand: Arc<InHand>,
        deadline: Option<Deadline>,
    ) -> Self {
        let entered = (hand.enter(), deadline.map(deadline::enter));
        let work = behind_a_wall(|| routes.answer(request));
        drop(entered);
        let work = work.unwrap_or_else(|Panicked| Box::pin(async { failed() }));
        Self { work: Some(work), hand, deadline }
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Response> {
        let _hand = self.hand.enter();
        let _deadline = self.deadline.map(deadline::enter);
        let Some(work) = &mut self.work else { return Poll::Pending };
        let polled = behind_a_wall(|| work.as_mut().poll(context));
        let polled = polled.unwrap_or_else(|Panicked| Poll::Ready(failed()));
        if polled.is_ready() {
            self.work = None;
        }
        polled
    }
}

/// A panic in a handler is that request's failure and nobody else's. The panic hook has logged
/// it, with the request in hand.
fn behind_a_wall<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_payload| Panicked)
}

struct Panicked;

fn failed() -> Response {
    ProblemDetails::new(StatusCode::INTERNAL_SERVER_ERROR).into_response()
}

impl Drop for Handling {
    fn drop(&mut self) {
        if self.work.is_some() {
            let _hand = self.hand.enter();
            self.work = None;
        }
    }
}
