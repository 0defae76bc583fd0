//! How long a client may take: until its next request, until a head is whole, until it takes
//! what it asked for. Whoever takes longer holds a connection, and often an endpoint's too,
//! for nothing (slowloris, slow read).
//!
//! A timer is made when a connection first has to wait, and is then moved as seldom as it can
//! be: it may go off too early, and is asked again for the rest.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// The longest waits of a connection.
#[derive(Clone)]
pub(crate) struct Patience {
    /// From the first byte of a head until it is whole. 10 s.
    pub(crate) head: Duration,
    /// Until the first byte of the next request. 60 s.
    pub(crate) idle: Duration,
    /// Until the client takes any byte of what is ready for it. 5 min.
    pub(crate) stall: Duration,
    /// Hears of what took too long, but for a head, which has a [`Rule`](super::Rule).
    pub(crate) ended: Arc<dyn Fn(Overdue) + Send + Sync>,
}

/// What took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// The next request.
    Request,
    /// The client's taking of an answer.
    Answer,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    /// The first byte of a request.
    Request,
    /// The rest of a head.
    Head,
    /// Room for an answer.
    Room,
}

/// One wait at a time.
#[derive(Debug, Default)]
pub(super) struct Wait {
    now: Option<(Awaited, Instant)>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    fn of(&self, awaited: Awaited) -> Duration {
        match awaited {
            Awaited::Request => self.idle,
            Awaited::Head => self.head,
            Awaited::Room => self.stall,
        }
    }
}

impl Wait {
    /// It is over: what comes next is waited for anew.
    pub(super) fn end(&mut self) {
        self.now = None;
    }

    /// Ready once `awaited` has been waited for as long as may be.
    pub(super) fn poll(
        &mut self,
        awaited: Awaited,
        patience: &Patience,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let end = match self.now {
            Some((same, end)) if same == awaited => end,
            _ => {
                let end = Instant::now() + patience.of(awaited);
                self.now = Some((awaited, end));
                end
            }
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
        if end < timer.deadline() {
            timer.as_mut().reset(end);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if end <= timer.deadline() {
                return Poll::Ready(());
            }
            timer.as_mut().reset(end);
        }
        Poll::Pending
    }
}

impl fmt::Debug for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Patience");
        debug.field("head", &self.head).field("idle", &self.idle).field("stall", &self.stall);
        debug.finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "patience_tests.rs"]
mod tests;
