//! A SQL database by its URL: SQLite or PostgreSQL, in one program, by one small API, so that a
//! statement is written once and behaves alike on both. It is no ORM: statements are SQL.
//!
//! ```
//! use updraft::sql::{self, Record};
//! use updraft::{Sql, SqlError};
//!
//! #[derive(Record)]
//! struct Order {
//!     id: i64,
//!     sku: String,
//! }
//!
//! async fn place(db: &Sql, sku: &str) -> Result<Order, SqlError> {
//!     let mut tx = db.begin().await?;
//!     sql::query("UPDATE stock SET on_hand = on_hand - 1 WHERE sku = $1")
//!         .bind(sku)
//!         .execute(&mut tx)
//!         .await?;
//!     let order = sql::query("INSERT INTO orders (sku) VALUES ($1) RETURNING id, sku")
//!         .bind(sku)
//!         .fetch_one(&mut tx)
//!         .await?;
//!     tx.commit().await?;
//!     Ok(order)
//! }
//! ```

mod attach;
mod column;
mod connection;
mod error;
mod metrics;
mod pool;
mod query;
mod row;
mod session;
mod transaction;
mod url;
mod value;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;
use updraft_resilience::backoff::Backoff;
use updraft_resilience::retry::{Next, Retry, RetryConfig};
use updraft_resilience::{Clock, Verdict};

pub use column::{Cell, FromColumn, Unreadable};
pub use error::{SqlError, SqlErrorKind};
pub use query::{Executor, Query, ROWS_MOST, Rows, Target, Writer, query, query_of};
pub use row::{Record, Row};
use transaction::Attempted;
pub use transaction::Transaction;
pub use updraft_macros::Record;
pub use url::SqlUrl;
pub use value::{IntoValue, Json, Value, ValueError, ValueType};

use crate::attachment::Location;
use connection::{Mode, SqliteOpener, Step};
use metrics::Instruments;
use pool::{Lease, Opener, Pool};
pub(crate) use session::Session;
use url::Place;

/// How long opening a file waits for one that another process is just creating.
const OPEN_TIME: Duration = Duration::from_secs(10);

/// From one try to open to the next.
const OPEN_PAUSE: Duration = Duration::from_millis(50);

/// How often [`Sql::transaction`] runs its work, the first time included.
pub const TRANSACTION_ATTEMPTS: u32 = 8;

/// Connections of the pools of `sqlx` that [`Sql::sqlite`] and [`Sql::postgres`] give.
const ESCAPE_CONNECTIONS: u32 = 2;

/// The database cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the database {location}")]
pub struct SqlOpenError {
    location: Location,
    source: SqlError,
}

/// A SQL database. Clones share its connections.
#[derive(Clone)]
pub struct Sql {
    shared: Arc<Shared>,
}

struct Shared {
    url: SqlUrl,
    readers: Arc<Pool>,
    writers: Arc<Pool>,
    instruments: Arc<Instruments>,
    escape_sqlite: OnceLock<sqlx::SqlitePool>,
    #[cfg(feature = "postgres")]
    escape_postgres: OnceLock<sqlx::PgPool>,
}

impl std::fmt::Debug for Sql {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sql").field("url", &self.shared.url).finish_non_exhaustive()
    }
}

impl SqlUrl {
    /// Opens the database. A SQLite file is made when it is missing, its folder is not; for a
    /// PostgreSQL nothing is waited for: it is connected to when it is first used.
    ///
    /// # Errors
    ///
    /// [`SqlOpenError`] when a file is no database, or cannot be read and written.
    pub async fn open(&self) -> Result<Sql, SqlOpenError> {
        self.open_as(Instruments::new(&crate::metrics::Metrics::default(), "db")).await
    }

    pub(crate) async fn open_as(&self, instruments: Instruments) -> Result<Sql, SqlOpenError> {
        let failed = |source| SqlOpenError { location: self.location(), source };
        let instruments = Arc::new(instruments);
        let (reader, writer) = self.openers();
        let (readers, writers) = match &self.place {
            Place::Sqlite(_) => (self.limits.pool_max - 1, 1),
            #[cfg(feature = "postgres")]
            Place::Postgres(_) => (self.limits.pool_max.div_ceil(2), self.limits.pool_max / 2),
        };
        let pool = |opener, max| {
            Pool::new(opener, max, self.limits, Arc::clone(&instruments)).map(Arc::new).map_err(
                |error| failed(SqlError::new(SqlErrorKind::Other).detail(error.to_string())),
            )
        };
        let sql = Sql {
            shared: Arc::new(Shared {
                url: self.clone(),
                readers: pool(reader, readers)?,
                writers: pool(writer, writers)?,
                instruments: Arc::clone(&instruments),
                escape_sqlite: OnceLock::new(),
                #[cfg(feature = "postgres")]
                escape_postgres: OnceLock::new(),
            }),
        };
        if self.sqlite_path().is_some() {
            sql.create().await.map_err(failed)?;
        }
        Ok(sql)
    }

    fn openers(&self) -> (Opener, Opener) {
        match &self.place {
            Place::Sqlite(path) => (
                Opener::Sqlite(SqliteOpener::reader(path, self.limits.acquire_timeout)),
                Opener::Sqlite(SqliteOpener::writer(path, self.limits.acquire_timeout)),
            ),
            #[cfg(feature = "postgres")]
            Place::Postgres(url) => {
                let opener = |read_only| {
                    Opener::Postgres(connection::PostgresOpener {
                        url: (**url).clone(),
                        read_only,
                        statement_timeout: Some(self.limits.statement_timeout),
                    })
                };
                (opener(true), opener(false))
            }
        }
    }
}

impl Sql {
    /// Makes a SQLite file, or finds that it can be used.
    async fn create(&self) -> Result<(), SqlError> {
        let deadline = Instant::now() + OPEN_TIME;
        loop {
            match self.shared.writers.lease().await {
                Ok(lease) => {
                    drop(lease);
                    return Ok(());
                }
                // Turning to WAL does not wait for the lock, so two first starts collide.
                Err(error) if error.is_retryable() && Instant::now() < deadline => {
                    tokio::time::sleep(OPEN_PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The connections for writing, for statements that write and give rows:
    ///
    /// ```
    /// # use updraft::{Sql, SqlError, sql};
    /// async fn next_number(db: &Sql) -> Result<i64, SqlError> {
    ///     sql::query("UPDATE counter SET value = value + 1 RETURNING value")
    ///         .fetch_one(db.writer())
    ///         .await
    /// }
    /// ```
    pub fn writer(&self) -> Writer<'_> {
        Writer(self)
    }

    /// Begins a transaction that may write.
    ///
    /// On SQLite it holds the one write lock of the file from here on (`BEGIN IMMEDIATE`), so
    /// it never fails later for want of it: keep it short. On PostgreSQL it is a transaction of
    /// the server's default isolation, `READ COMMITTED`: two of them can both read a row before
    /// one writes it. Where that matters, use [`Sql::transaction`].
    ///
    /// # Errors
    ///
    /// [`SqlErrorKind::Busy`] when another process holds the lock for longer than
    /// `acquire_timeout`; [`SqlErrorKind::Saturated`], [`SqlErrorKind::Unavailable`].
    pub async fn begin(&self) -> Result<Transaction, SqlError> {
        self.begin_as(Mode::Write).await
    }

    /// Begins a transaction that only reads, and that sees one state of the database: that of
    /// its first statement.
    ///
    /// # Errors
    ///
    /// [`SqlErrorKind::Saturated`], [`SqlErrorKind::Unavailable`].
    pub async fn begin_read(&self) -> Result<Transaction, SqlError> {
        self.begin_as(Mode::Snapshot).await
    }

    /// Runs `work` in a transaction as if there were no other at the same time
    /// (`SERIALIZABLE`, which on SQLite every transaction is), and commits it when `work`
    /// succeeds. When another transaction was in the way, all of it is done again, up to
    /// [`TRANSACTION_ATTEMPTS`] times: `work` must do nothing outside of the database.
    ///
    /// ```
    /// # use updraft::{Sql, SqlError, sql};
    /// async fn withdraw(db: &Sql, account: i64, amount: i64) -> Result<bool, SqlError> {
    ///     db.transaction(|mut tx| async move {
    ///         let balance: i64 = sql::query("SELECT balance FROM accounts WHERE id = $1")
    ///             .bind(account)
    ///             .fetch_one(&mut tx)
    ///             .await?;
    ///         if balance < amount {
    ///             return Ok(false);
    ///         }
    ///         sql::query("UPDATE accounts SET balance = balance - $1 WHERE id = $2")
    ///             .bind(amount)
    ///             .bind(account)
    ///             .execute(&mut tx)
    ///             .await?;
    ///         Ok(true)
    ///     })
    ///     .await
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// What `work` gives, or [`SqlError`] of the transaction itself.
    pub async fn transaction<T, E, W, F>(&self, work: W) -> Result<T, E>
    where
        W: Fn(Transaction) -> F,
        F: Future<Output = Result<T, E>>,
        E: From<SqlError>,
    {
        let config = RetryConfig {
            attempts: TRANSACTION_ATTEMPTS,
            backoff: Backoff::exponential(Duration::from_millis(5), Duration::from_millis(500)),
            budget: None,
            ..RetryConfig::default()
        };
        // The clock that deadlines are of.
        let clock = Clock::system();
        let mut retry = Retry::begin(clock.now());
        loop {
            let Attempted { result, conflicted } = match self.begin_as(Mode::Serializable).await {
                Ok(tx) => tx.run(&work).await,
                Err(error) => {
                    Attempted { conflicted: error.is_retryable(), result: Err(error.into()) }
                }
            };
            if !conflicted || result.is_ok() {
                return result;
            }
            let until = updraft_resilience::deadline::current().map(|deadline| deadline.instant());
            let next =
                retry.after(&config, Verdict::Retry, clock.now(), until, &mut fastrand::Rng::new());
            match next {
                Next::Retry { wait, .. } => tokio::time::sleep(wait).await,
                Next::Stop(_) => return result,
            }
        }
    }

    async fn begin_as(&self, mode: Mode) -> Result<Transaction, SqlError> {
        let pool = match mode {
            Mode::Snapshot => &self.shared.readers,
            Mode::Write | Mode::Serializable => &self.shared.writers,
        };
        let result = begun(pool, mode).await;
        if let Err(error) = &result {
            self.shared.instruments.erred(error);
        }
        let instruments = Arc::clone(&self.shared.instruments);
        Ok(Transaction::begun(result?, instruments, self.system()))
    }

    /// A pool of `sqlx` for what this crate has no words for: at most 2 connections besides its
    /// own, opened when they are used. It may write. `None` on PostgreSQL.
    pub fn sqlite(&self) -> Option<&sqlx::SqlitePool> {
        let path = self.shared.url.sqlite_path()?;
        Some(self.shared.escape_sqlite.get_or_init(|| {
            let limits = self.shared.url.limits;
            let opener = SqliteOpener::writer(path, limits.acquire_timeout);
            sqlx::sqlite::SqlitePoolOptions::new()
                .max_connections(ESCAPE_CONNECTIONS)
                .acquire_timeout(limits.acquire_timeout)
                .connect_lazy_with(opener.options().clone())
        }))
    }

    /// A pool of `sqlx` for what this crate has no words for (`LISTEN`, `COPY`): at most 2
    /// connections besides its own, opened when they are used. It may write. `None` on SQLite,
    /// and when `password_file` cannot be read.
    #[cfg(feature = "postgres")]
    pub fn postgres(&self) -> Option<&sqlx::PgPool> {
        if let Some(pool) = self.shared.escape_postgres.get() {
            return Some(pool);
        }
        let (_, Opener::Postgres(opener)) = self.shared.url.openers() else { return None };
        let options = opener.options().ok()?;
        Some(self.shared.escape_postgres.get_or_init(|| {
            sqlx::postgres::PgPoolOptions::new()
                .max_connections(ESCAPE_CONNECTIONS)
                .acquire_timeout(self.shared.url.limits.acquire_timeout)
                .connect_lazy_with(options)
        }))
    }

    /// Gives back the connections that nobody uses.
    pub(crate) async fn close_idle(&self) {
        let Shared { readers, writers, escape_sqlite, .. } = &*self.shared;
        readers.forget_idle();
        writers.forget_idle();
        if let Some(pool) = escape_sqlite.get() {
            pool.close().await;
        }
        #[cfg(feature = "postgres")]
        if let Some(pool) = self.shared.escape_postgres.get() {
            pool.close().await;
        }
    }

    pub(crate) fn url(&self) -> &SqlUrl {
        &self.shared.url
    }

    /// By OpenTelemetry's name.
    pub(crate) fn system(&self) -> &'static str {
        match self.shared.url.place {
            Place::Sqlite(_) => "sqlite",
            #[cfg(feature = "postgres")]
            Place::Postgres(_) => "postgresql",
        }
    }

    /// A connection of its own, which no pool counts and no statement timeout bounds.
    pub(crate) async fn dedicated(&self) -> Result<connection::Connection, SqlError> {
        let (_, writer) = self.shared.url.openers();
        let writer = match writer {
            Opener::Sqlite(_) => writer,
            #[cfg(feature = "postgres")]
            Opener::Postgres(opener) => {
                Opener::Postgres(connection::PostgresOpener { statement_timeout: None, ..opener })
            }
        };
        let limit = self.shared.url.limits.connect_timeout;
        tokio::time::timeout(limit, writer.open()).await.unwrap_or_else(|_elapsed| {
            Err(SqlError::new(SqlErrorKind::Unavailable)
                .detail("its server did not answer within connect_timeout"))
        })
    }

    fn readers(&self) -> &Arc<Pool> {
        &self.shared.readers
    }

    fn writers(&self) -> &Arc<Pool> {
        &self.shared.writers
    }

    fn instruments(&self) -> &Arc<Instruments> {
        &self.shared.instruments
    }
}

/// A connection on which a transaction has begun. Beginning again is safe, so a connection that
/// turns out to be dead is no reason to fail.
async fn begun(pool: &Arc<Pool>, mode: Mode) -> Result<Lease, SqlError> {
    let mut lease = pool.lease().await?;
    match lease.step(Step::Begin(mode)).await {
        Err(error) if *error.kind() == SqlErrorKind::Unavailable && !lease.is_fresh() => {
            pool.forget_idle();
            drop(lease);
            let mut lease = pool.lease().await?;
            lease.step(Step::Begin(mode)).await?;
            Ok(lease)
        }
        result => result.map(|()| lease),
    }
}

#[cfg(test)]
#[path = "sql/sql_tests.rs"]
mod tests;
