//! Waiting with a thread instead of a task: a waker that unparks the thread.

use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::thread::Thread;

use super::{Bulkhead, Full, Place, State, Ticket};
use crate::{Clock, Instant, Priority};

struct Parked(Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// A waker that unparks the calling thread.
pub(super) fn unparks_this_thread() -> Waker {
    Waker::from(Arc::new(Parked(std::thread::current())))
}

impl Bulkhead {
    /// Takes a place, blocking the thread for up to [`max_wait`](super::BulkheadConfig) or
    /// until `deadline`. For threads only: in a task it would block the executor.
    ///
    /// # Errors
    ///
    /// [`Full`] when the queue is full, the wait is over, or a more important caller took the
    /// spot in the queue.
    pub fn acquire_blocking(
        &self,
        clock: &Clock,
        priority: Priority,
        deadline: Option<Instant>,
    ) -> Result<Place, Full> {
        let ticket = self.enqueue(priority, clock.now(), deadline)?;
        self.wait_blocking(ticket, clock)
    }

    /// Waits with a ticket that was taken before, blocking the thread.
    ///
    /// # Errors
    ///
    /// As for [`acquire_blocking`](Self::acquire_blocking).
    pub fn wait_blocking(&self, mut ticket: Ticket, clock: &Clock) -> Result<Place, Full> {
        if let State::Placed(place) = ticket.state {
            return Ok(place);
        }
        let waker = unparks_this_thread();
        loop {
            if let Poll::Ready(outcome) = self.poll_ticket(&mut ticket, &waker) {
                return outcome;
            }
            if clock.now() >= ticket.deadline() {
                self.cancel(ticket);
                return Err(Full);
            }
            clock.park_until(ticket.deadline(), &waker);
        }
    }
}
