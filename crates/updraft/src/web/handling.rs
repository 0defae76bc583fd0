//! The routes at work on one request: with the request in hand and its deadline around them, and
//! behind a wall against panics.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use updraft_resilience::deadline::{self, Deadline};

use crate::api::Answering;
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
    /// Nothing runs before it is polled.
    pub(super) fn new(work: Answering, hand: Arc<InHand>, deadline: Option<Deadline>) -> Self {
        Self { work: Some(work), hand, deadline }
    }

    /// A panic in a handler is that request's failure and nobody else's. The panic hook has
    /// logged it, with the request in hand.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Response> {
        let _hand = self.hand.enter();
        let _deadline = self.deadline.map(deadline::enter);
        let Some(work) = &mut self.work else { return Poll::Pending };
        let poll = AssertUnwindSafe(|| work.as_mut().poll(context));
        let polled = catch_unwind(poll).unwrap_or_else(|_panic| {
            let problem = ProblemDetails::new(StatusCode::INTERNAL_SERVER_ERROR);
            Poll::Ready(problem.into_response())
        });
        if polled.is_ready() {
            self.work = None;
        }
        polled
    }
}

impl Drop for Handling {
    fn drop(&mut self) {
        if self.work.is_some() {
            let _hand = self.hand.enter();
            self.work = None;
        }
    }
}
