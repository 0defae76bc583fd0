//! A place in the bulkhead of a pool, waited for and given back without fail.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use updraft_resilience::bulkhead::{Place, Ticket};
use updraft_resilience::{Priority, Sleep, deadline};

use super::Pool;
use crate::sql::error::{SqlError, SqlErrorKind};

/// A place of a pool. Dropped, it is free again.
pub(super) struct Held {
    pub(super) pool: Arc<Pool>,
    place: Option<Place>,
}

impl Held {
    /// Waits for a place, no longer than `acquire_timeout` and the caller's own deadline.
    ///
    /// # Errors
    ///
    /// [`SqlErrorKind::Saturated`].
    pub(super) async fn wait(pool: Arc<Pool>) -> Result<Self, SqlError> {
        let now = pool.clock.now();
        let until = deadline::current().map(deadline::Deadline::instant);
        let ticket = pool
            .bulkhead
            .enqueue(Priority::default(), now, until)
            .map_err(|full| SqlError::new(SqlErrorKind::Saturated).detail(full.to_string()))?;
        Waiting { pool: Some(pool), ticket: Some(ticket), sleep: None }.await
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.pool.bulkhead.release(place);
        }
    }
}

struct Waiting {
    pool: Option<Arc<Pool>>,
    ticket: Option<Ticket>,
    /// There is none before the first look: most callers do not wait.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Future for Waiting {
    type Output = Result<Held, SqlError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let (Some(pool), Some(ticket)) = (&this.pool, &mut this.ticket) else {
            return Poll::Pending;
        };
        if let Poll::Ready(outcome) = pool.bulkhead.poll_ticket(ticket, context.waker()) {
            this.ticket = None;
            let held = outcome.map(|place| this.pool.take().map(|pool| (pool, place)));
            return Poll::Ready(match held {
                Ok(Some((pool, place))) => Ok(Held { pool, place: Some(place) }),
                Ok(None) | Err(_) => Err(SqlError::new(SqlErrorKind::Saturated)),
            });
        }
        let until = ticket.deadline();
        let sleep = this.sleep.get_or_insert_with(|| Box::pin(pool.clock.sleep_until(until)));
        match sleep.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(SqlError::new(SqlErrorKind::Saturated)
                .detail("none became free within acquire_timeout and the deadline of the caller"))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let (Some(pool), Some(ticket)) = (&self.pool, self.ticket.take()) {
            pool.bulkhead.cancel(ticket);
        }
    }
}
