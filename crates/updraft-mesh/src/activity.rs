//! What goes on on a connection of HTTP/2, so that one on which nothing does is found. Hyper
//! and h2 have no timer for it: pings tell that a peer is there, not that it wants anything,
//! and a peer that opens no window holds the answer and its endpoint's connection for ever.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::exchange::{BrokenBody, ResponseBody};

/// Looks at a connection within the shorter of its limits.
const LOOKS: u32 = 4;
/// The shortest time between two looks.
const LOOK_MIN: Duration = Duration::from_millis(10);

/// What goes on on one connection.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// Requests whose answer has not ended.
    requests: AtomicU32,
    /// Those of them whose answer has begun.
    bodies: AtomicU32,
    /// Goes up with all that happens.
    steps: AtomicU64,
}

/// Why nothing goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quiet {
    /// Nobody asked for anything.
    Idle,
    /// Answers are ready, and none of them is taken.
    Stalled,
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Activity>);

/// The body of an answer, which is watched.
#[derive(Debug)]
pub(crate) struct BusyBody {
    body: ResponseBody,
    busy: Busy,
}

impl Activity {
    /// Requests whose answer has not ended.
    pub(crate) fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Resolves when there was no request for `idle`, or when answers have begun and none of
    /// them went on for one and a half times `stall`: a silent endpoint is let go after
    /// `stall` itself, so that what stands still beyond it is the client's doing.
    pub(crate) async fn quiet(&self, idle: Duration, stall: Duration) -> Quiet {
        let pause = (idle.min(stall) / LOOKS).max(LOOK_MIN);
        let (mut before, mut quiet) = (0, Duration::ZERO);
        loop {
            tokio::time::sleep(pause).await;
            let steps = self.steps.load(Ordering::Relaxed);
            quiet = if steps == before { quiet + pause } else { Duration::ZERO };
            before = steps;
            if self.requests() == 0 && idle <= quiet {
                return Quiet::Idle;
            }
            if 0 < self.bodies.load(Ordering::Relaxed) && stall + stall / 2 <= quiet {
                return Quiet::Stalled;
            }
        }
    }

    fn step(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }
}

impl Busy {
    pub(crate) fn new(activity: &Arc<Activity>) -> Self {
        activity.requests.fetch_add(1, Ordering::Relaxed);
        activity.step();
        Self(Arc::clone(activity))
    }

    /// The answer has begun.
    pub(crate) fn with(self, body: ResponseBody) -> BusyBody {
        self.0.bodies.fetch_add(1, Ordering::Relaxed);
        self.0.step();
        BusyBody { body, busy: self }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
        self.0.step();
    }
}

impl Body for BusyBody {
    type Data = Bytes;
    type Error = BrokenBody;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenBody>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_ready() {
            self.busy.0.step();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for BusyBody {
    fn drop(&mut self) {
        self.busy.0.bodies.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[path = "activity_tests.rs"]
mod tests;
