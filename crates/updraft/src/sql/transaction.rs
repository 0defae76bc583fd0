//! Transactions. They behave alike on both kinds of database: after a statement failed,
//! nothing of the transaction can be kept, and a savepoint is the way to try something.

use std::sync::{Arc, Mutex, PoisonError};

use super::connection::{Answer, Statement, Step, Want};
use super::error::{SqlError, SqlErrorKind};
use super::metrics::Instruments;
use super::pool::Lease;

/// A transaction. Dropped, it is rolled back.
///
/// After a statement failed, each further one fails with [`SqlErrorKind::Aborted`], and so does
/// [`commit`](Self::commit): PostgreSQL works so, and here SQLite does too, so that what works
/// on the one works on the other. What may fail is tried in an [`attempt`](Self::attempt).
pub struct Transaction {
    /// `None` once it is over.
    open: Option<Open>,
    /// Where it goes when it is dropped, if somebody waits for it there.
    home: Option<Home>,
}

/// What a transaction is made of. Dropped, it is rolled back.
struct Open {
    lease: Option<Lease>,
    instruments: Arc<Instruments>,
    system: &'static str,
    failed: bool,
    /// How many savepoints are around what is done now.
    depth: u32,
    /// Another transaction was in the way of this one.
    conflicted: bool,
}

/// Whoever lends a transaction to work of the service's own gets it back here. The work owns
/// what it is lent, so its future has no lifetime that is in the way of `Send`.
#[derive(Clone, Default)]
struct Home(Arc<Mutex<Lent>>);

#[derive(Default)]
enum Lent {
    #[default]
    Away,
    Back(Open),
    /// The work has ended it by itself.
    Over,
}

impl Home {
    fn put(&self, lent: Lent) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = lent;
    }

    fn take(&self) -> Lent {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How an attempt at a whole transaction went.
pub(super) struct Attempted<T, E> {
    pub(super) result: Result<T, E>,
    /// Another transaction was in the way, so that it can be done again.
    pub(super) conflicted: bool,
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let failed = self.open.as_ref().is_some_and(|open| open.failed);
        f.debug_struct("Transaction").field("failed", &failed).finish_non_exhaustive()
    }
}

impl Transaction {
    pub(super) fn begun(lease: Lease, instruments: Arc<Instruments>, system: &'static str) -> Self {
        let open = Open {
            lease: Some(lease),
            instruments,
            system,
            failed: false,
            depth: 0,
            conflicted: false,
        };
        Self { open: Some(open), home: None }
    }

    /// Makes everything that was done in it last.
    ///
    /// # Errors
    ///
    /// [`SqlErrorKind::Aborted`] when a statement failed before, [`SqlErrorKind::Busy`] when
    /// another transaction was in the way. With [`SqlErrorKind::Unavailable`] or
    /// [`SqlErrorKind::Timeout`] nobody knows whether it lasts.
    pub async fn commit(mut self) -> Result<(), SqlError> {
        self.open()?.commit().await?;
        self.over();
        Ok(())
    }

    /// Undoes everything that was done in it.
    ///
    /// # Errors
    ///
    /// When the connection is lost, which undoes it too.
    pub async fn rollback(mut self) -> Result<(), SqlError> {
        let result = self.open()?.end(Step::Rollback).await;
        self.over();
        result
    }

    /// Tries something in a savepoint: when it fails, only what it did is undone, and the
    /// transaction goes on.
    ///
    /// ```
    /// use updraft::sql::{self, SqlErrorKind, Transaction};
    /// use updraft::SqlError;
    ///
    /// async fn tag(tx: &mut Transaction, order: i64, tag: &str) -> Result<(), SqlError> {
    ///     let added = tx
    ///         .attempt(|mut tx| async move {
    ///             sql::query("INSERT INTO tags (order_id, tag) VALUES ($1, $2)")
    ///                 .bind(order)
    ///                 .bind(tag)
    ///                 .execute(&mut tx)
    ///                 .await
    ///         })
    ///         .await;
    ///     match added {
    ///         Err(error) if matches!(error.kind(), SqlErrorKind::Unique { .. }) => Ok(()),
    ///         added => added.map(drop),
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// What `work` gives, or what the savepoint itself met.
    pub async fn attempt<T, E, W, F>(&mut self, work: W) -> Result<T, E>
    where
        W: FnOnce(Self) -> F,
        F: Future<Output = Result<T, E>>,
        E: From<SqlError>,
    {
        let open = self.open()?;
        open.usable()?;
        let depth = open.depth + 1;
        open.step(Step::Save(depth)).await?;
        open.depth = depth;
        let home = Home::default();
        let lent = Self { open: self.open.take(), home: Some(home.clone()) };
        let result = work(lent).await;
        let Lent::Back(mut open) = home.take() else { return Err(not_given_back().into()) };
        open.depth = depth - 1;
        let open = self.open.insert(open);
        if result.is_ok() && !open.failed {
            open.step(Step::Release(depth)).await?;
            return result;
        }
        let undone = open.lease()?.step(Step::Back(depth)).await;
        // A conflict cannot be undone so: it is of the whole transaction.
        open.failed = open.conflicted || undone.is_err();
        undone?;
        result.and_then(|_| Err(SqlError::new(SqlErrorKind::Aborted).into()))
    }

    /// Lends it to `work`, and commits it when that succeeds.
    pub(super) async fn run<T, E, F>(mut self, work: impl FnOnce(Self) -> F) -> Attempted<T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: From<SqlError>,
    {
        let home = Home::default();
        self.home = Some(home.clone());
        let result = work(self).await;
        match (result, home.take()) {
            (Ok(done), Lent::Back(mut open)) => match open.commit().await {
                Ok(()) => Attempted { result: Ok(done), conflicted: false },
                Err(error) => {
                    Attempted { conflicted: error.is_retryable(), result: Err(error.into()) }
                }
            },
            (Ok(_), Lent::Away) => {
                Attempted { result: Err(not_given_back().into()), conflicted: false }
            }
            (result, Lent::Back(mut open)) => {
                let conflicted = open.conflicted;
                // Whether it is undone by this or by the end of its connection is the same.
                drop(open.end(Step::Rollback).await);
                Attempted { result, conflicted }
            }
            (result, Lent::Away | Lent::Over) => Attempted { result, conflicted: false },
        }
    }

    /// The connection of `sqlx`, for what this crate has no words for. A statement that fails
    /// there does not fail the transaction here. `None` on PostgreSQL.
    pub fn sqlite(&mut self) -> Option<&mut sqlx::SqliteConnection> {
        match self.open.as_mut()?.lease.as_mut()?.escape()? {
            super::connection::Connection::Sqlite(link) => {
                link.unbound();
                Some(link.raw())
            }
            #[cfg(feature = "postgres")]
            super::connection::Connection::Postgres(_) => None,
        }
    }

    /// The connection of `sqlx`, for what this crate has no words for (`COPY`). `None` on
    /// SQLite.
    #[cfg(feature = "postgres")]
    pub fn postgres(&mut self) -> Option<&mut sqlx::PgConnection> {
        match self.open.as_mut()?.lease.as_mut()?.escape()? {
            super::connection::Connection::Postgres(raw) => Some(raw),
            super::connection::Connection::Sqlite(_) => None,
        }
    }

    pub(super) async fn ask(
        &mut self,
        statement: &Statement<'_>,
        want: Want,
    ) -> Result<Answer, SqlError> {
        let open = self.open()?;
        open.usable()?;
        let result = open.lease()?.ask(statement, want).await;
        open.note(&result);
        result
    }

    /// The lease, for a stream of rows.
    pub(super) fn streaming(&mut self) -> Result<&mut Lease, SqlError> {
        let open = self.open()?;
        open.usable()?;
        open.lease()
    }

    /// What came of a statement that was run by other means than [`Self::ask`].
    pub(super) fn note<T>(&mut self, result: &Result<T, SqlError>) {
        if let Some(open) = &mut self.open {
            open.note(result);
        }
    }

    /// The name of the database system, and the metrics; `None` once it is over.
    pub(super) fn told(&self) -> Option<(&'static str, Arc<Instruments>)> {
        self.open.as_ref().map(|open| (open.system, Arc::clone(&open.instruments)))
    }

    fn open(&mut self) -> Result<&mut Open, SqlError> {
        let over = || SqlError::new(SqlErrorKind::Other).detail("the transaction is over");
        self.open.as_mut().ok_or_else(over)
    }

    fn over(&mut self) {
        self.open = None;
        if let Some(home) = self.home.take() {
            home.put(Lent::Over);
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let (Some(open), Some(home)) = (self.open.take(), self.home.take()) {
            home.put(Lent::Back(open));
        }
    }
}

fn not_given_back() -> SqlError {
    SqlError::new(SqlErrorKind::Other)
        .detail("the transaction was ended or kept by the work that it was lent to")
}

impl Open {
    async fn commit(&mut self) -> Result<(), SqlError> {
        self.usable()?;
        if self.depth != 0 {
            return Err(not_given_back());
        }
        self.end(Step::Commit).await
    }

    /// Ends it; when that fails, dropping it does what is left to do.
    async fn end(&mut self, step: Step) -> Result<(), SqlError> {
        self.step(step).await?;
        self.lease = None;
        Ok(())
    }

    async fn step(&mut self, step: Step) -> Result<(), SqlError> {
        let result = self.lease()?.step(step).await;
        self.note(&result);
        result
    }

    fn note<T>(&mut self, result: &Result<T, SqlError>) {
        if let Err(error) = result {
            self.failed |= *error.kind() != SqlErrorKind::NotFound;
            self.conflicted |= error.is_retryable();
        }
    }

    fn usable(&self) -> Result<(), SqlError> {
        if self.failed { Err(SqlError::new(SqlErrorKind::Aborted)) } else { Ok(()) }
    }

    fn lease(&mut self) -> Result<&mut Lease, SqlError> {
        let over = || SqlError::new(SqlErrorKind::Other).detail("the transaction is over");
        self.lease.as_mut().ok_or_else(over)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let Some(mut lease) = self.lease.take() else { return };
        // In the middle of a statement the connection is closed, which rolls back as well.
        if lease.is_busy() {
            return;
        }
        match tokio::runtime::Handle::try_current() {
            // Bounded by the statement timeout, and nobody waits for it but the connection.
            Ok(runtime) => drop(runtime.spawn(async move {
                if lease.step(Step::Rollback).await.is_err() {
                    lease.lose();
                }
            })),
            Err(_no_runtime) => lease.lose(),
        }
    }
}
