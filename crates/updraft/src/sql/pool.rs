//! The connections of one attachment to one database for one purpose (reading or writing): a
//! bulkhead of its own, so that a slow database takes no more of the process than this.
//!
//! It is not the pool of `sqlx`: that one retries a refused connection until the caller's time
//! is up, tells a full pool from a server that is away by nothing, and asks the server whether
//! it is there after each use.

mod lease;
mod place;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use updraft_resilience::breaker::{
    Breaker, BreakerConfig, HalfOpen, OpenFor, Permit, Transition, Trip,
};
use updraft_resilience::bulkhead::{Bulkhead, BulkheadConfig};
use updraft_resilience::{Clock, Verdict};

#[cfg(feature = "postgres")]
use super::connection::PostgresOpener;
use super::connection::{Connection, SqliteOpener};
use super::error::{SqlError, SqlErrorKind};
use super::metrics::Instruments;
use super::url::SqlLimits;
pub(crate) use lease::Lease;
use place::Held;

/// Callers that may wait for each connection.
const WAITING_PER_CONNECTION: u32 = 64;

/// A connection that nobody has used for this long is closed.
const IDLE_TIME: Duration = Duration::from_secs(600);

/// A connection that was idle for this long is asked whether it is there before it is used.
const TRUST_TIME: Duration = Duration::from_secs(1);

/// So many connects that fail in a row make callers fail at once, …
const FAILED_CONNECTS: u32 = 3;

/// … for this long, until one of them tries again; …
const AWAY_FIRST: Duration = Duration::from_millis(250);

/// … twice as long each time, up to this: the longest time that a server is back unseen.
const AWAY_MOST: Duration = Duration::from_secs(2);

/// How connections are made.
#[derive(Clone)]
pub(crate) enum Opener {
    Sqlite(SqliteOpener),
    #[cfg(feature = "postgres")]
    Postgres(PostgresOpener),
}

impl Opener {
    /// # Errors
    ///
    /// When the database is away or refuses.
    pub(crate) async fn open(&self) -> Result<Connection, SqlError> {
        match self {
            Self::Sqlite(opener) => opener.open().await,
            #[cfg(feature = "postgres")]
            Self::Postgres(opener) => opener.open().await,
        }
    }
}

/// The connections.
pub(crate) struct Pool {
    opener: Opener,
    limits: SqlLimits,
    bulkhead: Bulkhead,
    breaker: Breaker,
    clock: Clock,
    /// The most recently used last.
    idle: Mutex<Vec<Idle>>,
    instruments: Arc<Instruments>,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("bulkhead", &self.bulkhead.snapshot()).finish_non_exhaustive()
    }
}

impl Pool {
    /// # Errors
    ///
    /// When the limits make no sense.
    pub(crate) fn new(
        opener: Opener,
        max: u32,
        limits: SqlLimits,
        instruments: Arc<Instruments>,
    ) -> Result<Self, updraft_resilience::Invalid> {
        let bulkhead = Bulkhead::new(BulkheadConfig {
            max,
            queue: max.saturating_mul(WAITING_PER_CONNECTION),
            max_wait: limits.acquire_timeout,
            ..BulkheadConfig::default()
        })?;
        let away = OpenFor { first: AWAY_FIRST, factor: 2.0, max: AWAY_MOST };
        let breaker = Breaker::new(
            BreakerConfig::any_of([Trip::consecutive(FAILED_CONNECTS)])
                .open_for(away)
                .half_open(HalfOpen::permits(1)),
        )?;
        Ok(Self {
            opener,
            limits,
            bulkhead,
            breaker,
            // The clock that deadlines are of: moments of two clocks cannot be compared.
            clock: Clock::system(),
            idle: Mutex::default(),
            instruments,
        })
    }

    /// A connection, at the latest after `acquire_timeout` and `connect_timeout`.
    ///
    /// # Errors
    ///
    /// [`SqlErrorKind::Saturated`], [`SqlErrorKind::Unavailable`], [`SqlErrorKind::Denied`].
    pub(crate) async fn lease(self: &Arc<Self>) -> Result<Lease, SqlError> {
        let begun = Instant::now();
        let leased = self.leased().await;
        self.instruments.acquired(begun.elapsed());
        leased
    }

    async fn leased(self: &Arc<Self>) -> Result<Lease, SqlError> {
        let held = Held::wait(Arc::clone(self)).await?;
        let limit = self.limits.connect_timeout;
        while let Some(Idle { mut connection, since }) = self.take_idle() {
            if since.elapsed() < TRUST_TIME {
                return Ok(Lease::new(held, connection, false));
            }
            match tokio::time::timeout(limit, connection.ping()).await {
                Ok(Ok(())) => return Ok(Lease::new(held, connection, false)),
                // What took one away has most likely taken all.
                Ok(Err(_)) | Err(_) => self.forget_idle(),
            }
        }
        let connection = self.connect(limit).await?;
        Ok(Lease::new(held, connection, true))
    }

    async fn connect(&self, limit: Duration) -> Result<Connection, SqlError> {
        let permit = self.breaker.try_acquire(self.clock.now()).map_err(|open| {
            SqlError::new(SqlErrorKind::Unavailable)
                .detail("its server was away just now")
                .after(open.retry_after)
        })?;
        let leave = Leave { pool: self, permit: Some(permit) };
        let opened = match tokio::time::timeout(limit, self.opener.open()).await {
            Ok(opened) => opened,
            Err(_elapsed) => Err(SqlError::new(SqlErrorKind::Unavailable)
                .detail("its server did not answer within connect_timeout")),
        };
        let verdict = match &opened {
            Err(error) if error.is_unavailable() => Verdict::Fail,
            // Who is denied has been answered.
            Ok(_) | Err(_) => Verdict::Success,
        };
        leave.record(verdict);
        opened
    }

    fn take_idle(&self) -> Option<Idle> {
        let idle = self.lock().pop();
        if idle.is_some() {
            self.instruments.idle.dec();
        }
        idle
    }

    /// Takes back a connection that is as good as new.
    fn put_back(&self, connection: Connection) {
        let mut stale = None;
        {
            let mut idle = self.lock();
            idle.push(Idle { connection, since: Instant::now() });
            if idle.first().is_some_and(|oldest| IDLE_TIME < oldest.since.elapsed()) {
                stale = Some(idle.remove(0));
            }
        }
        if stale.is_none() {
            self.instruments.idle.inc();
        }
    }

    /// Closes what is idle.
    pub(crate) fn forget_idle(&self) {
        let idle = std::mem::take(&mut *self.lock());
        self.instruments.idle.dec_by(i64::try_from(idle.len()).unwrap_or(i64::MAX));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The leave to connect. A caller that goes away gives it back too: a half-open circuit has
/// one, and would refuse everybody while it waits for it.
struct Leave<'p> {
    pool: &'p Pool,
    permit: Option<Permit>,
}

impl Leave<'_> {
    fn record(mut self, verdict: Verdict) {
        if let Some(permit) = self.permit.take() {
            said(self.pool.breaker.record(permit, verdict, self.pool.clock.now()));
        }
    }
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            said(self.pool.breaker.abandon(permit, self.pool.clock.now()));
        }
    }
}

fn said(change: Option<Transition>) {
    if let Some(change) = change {
        tracing::debug!(?change, "the circuit of a database changed");
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.forget_idle();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use crate::sql::SqlUrl;

    #[tokio::test]
    async fn a_caller_that_goes_away_while_it_connects_gives_its_leave_back() {
        let url = SqlUrl::of_file("never-opened.sqlite3".into());
        let (opener, _) = url.openers();
        let instruments = Arc::new(Instruments::new(&Metrics::default(), "db"));
        let pool = Pool::new(opener, 1, url.limits, instruments).unwrap();
        let leave =
            |now| Some(Leave { pool: &pool, permit: Some(pool.breaker.try_acquire(now).ok()?) });
        let now = pool.clock.now();
        for _ in 0..FAILED_CONNECTS {
            leave(now).unwrap().record(Verdict::Fail);
        }
        let later = pool.clock.now() + AWAY_FIRST;
        let probe = leave(later).unwrap();
        assert!(leave(later).is_none(), "there is one");
        drop(probe);
        assert!(leave(later).is_some());
    }
}
