//! Work that goes on when nobody waits for it any more. A client that went away mid-way, or
//! whose time was over, is the one that will ask again: were its work dropped between an effect
//! and the answer to it, the next try would do it again.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::response::Response;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::{Instrument as _, Span};
use updraft_resilience::Clock;
use updraft_resilience::deadline::{self, Deadline};

use super::metrics::KeyMetrics;
use crate::process::BoxFuture;

/// How long work goes on without its request.
const CARRIED_FOR: Duration = Duration::from_secs(30);

/// So much work of one process goes on at once. What is more is dropped: its key stays taken
/// until its lease is over.
const CARRIED_MOST: usize = 128;

/// Places for work that goes on. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    metrics: Arc<KeyMetrics>,
}

/// The work of one request, until it is done.
struct Carried {
    work: Option<BoxFuture<Response>>,
    span: Span,
    places: Places,
}

impl Places {
    pub(super) fn new(metrics: Arc<KeyMetrics>) -> Self {
        Self { free: Arc::new(Semaphore::new(CARRIED_MOST)), metrics }
    }

    /// Waits for the work. When this is dropped before, the work goes on without it, within
    /// its bounds; the drain waits for it as for any request. Work that panicks is over.
    pub(super) async fn carry(&self, work: BoxFuture<Response>) -> Response {
        let mut carried = Carried { work: Some(work), span: Span::current(), places: self.clone() };
        poll_fn(move |context| {
            // Away while it is polled: what panicks in there is not polled again.
            let Some(mut work) = carried.work.take() else { return Poll::Pending };
            let polled = work.as_mut().poll(context);
            if polled.is_pending() {
                carried.work = Some(work);
            }
            polled
        })
        .await
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        let Some(work) = self.work.take() else { return };
        let place = Arc::clone(&self.places.free).try_acquire_owned();
        let (Ok(place), Ok(runtime)) = (place, Handle::try_current()) else {
            self.places.metrics.carried("dropped");
            return;
        };
        let metrics = Arc::clone(&self.places.metrics);
        let work = async move {
            let _until_it_is_done = place;
            let deadline = Deadline::after(Clock::system().now(), CARRIED_FOR);
            let ended = timeout(CARRIED_FOR, deadline::with(deadline, work)).await;
            metrics.carried(if ended.is_ok() { "done" } else { "too_slow" });
        };
        // Bounded by its time, and the drain waits for the handles of the process in it.
        drop(runtime.spawn(work.instrument(self.span.clone())));
    }
}
