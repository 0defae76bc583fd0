//! Answers that do not end by themselves, and how they learn that the process does.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::response::sse::{Event, KeepAlive};
use axum::response::{IntoResponse, Response};
use futures_util::TryStream;
use http::request::Parts;

use crate::app::Ctx;
use crate::{BoxError, Stop};

/// A stream of events to a browser (server-sent events, `text/event-stream`).
///
/// A comment every 15 s keeps proxies from closing it. It ends by itself when the process
/// closes, after `DRAIN_DELAY`: the browser connects again, to a process that stays. A handler
/// that wants to say something before asks for [`Stop`].
///
/// ```
/// use std::convert::Infallible;
/// use futures_util::stream;
/// use updraft::http::{Sse, SseEvent};
///
/// async fn ticks() -> Sse<impl futures_util::Stream<Item = Result<SseEvent, Infallible>>> {
///     Sse::new(stream::iter((0..3).map(|tick| Ok(SseEvent::default().data(tick.to_string())))))
/// }
/// ```
#[derive(Debug)]
#[must_use = "it is an answer"]
pub struct Sse<S>(S);

impl<S> Sse<S>
where
    S: TryStream<Ok = Event> + Send + 'static,
    S::Error: Into<BoxError>,
{
    /// Sends these events. The answer ends with them, or with the first error.
    pub fn new(events: S) -> Self {
        Self(events)
    }
}

impl<S, E> IntoResponse for Sse<S>
where
    S: futures_util::Stream<Item = Result<Event, E>> + Send + 'static,
    E: Into<BoxError> + 'static,
{
    fn into_response(self) -> Response {
        axum::response::Sse::new(self.0).keep_alive(KeepAlive::default()).into_response()
    }
}

/// A handler that asks for it learns when the process is asked to stop. The process waits for
/// the handle to be dropped, within its budget.
impl<A: Send + Sync + 'static> FromRequestParts<Ctx<A>> for Stop {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, state: &Ctx<A>) -> Result<Self, Infallible> {
        Ok(state.stop())
    }
}
