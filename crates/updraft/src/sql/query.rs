//! One statement with its parameters, written once for both kinds of database.

mod rows;

use std::sync::Arc;

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};
use tokio::time::Instant;
use tracing::Instrument;

use super::Sql;
use super::connection::{Answer, Statement, Want};
use super::error::{SqlError, SqlErrorKind};
use super::metrics::Instruments;
use super::pool::Pool;
use super::row::Record;
use super::transaction::Transaction;
use super::value::{IntoValue, Value};
pub use rows::Rows;

/// Rows that [`Query::fetch_all`] gives at most, unless [`Query::at_most`] says otherwise.
pub const ROWS_MOST: u32 = 100_000;

/// A statement. Placeholders are `$1`, `$2`, …, on both kinds of database.
///
/// ```
/// use jiff::Timestamp;
/// use updraft::sql::{self, Record};
/// use updraft::{Sql, SqlError};
///
/// #[derive(Record)]
/// struct Order {
///     id: i64,
///     placed_at: Timestamp,
/// }
///
/// async fn latest(db: &Sql, shop: &str) -> Result<Vec<Order>, SqlError> {
///     sql::query("SELECT id, placed_at FROM orders WHERE shop = $1 ORDER BY id DESC LIMIT $2")
///         .bind(shop)
///         .bind(20)
///         .fetch_all(db)
///         .await
/// }
/// ```
///
/// Where it runs is the argument of the last call: `&Sql` reads with `fetch_…` and writes with
/// `execute`, [`Sql::writer`] always writes, and `&mut Transaction` is within that.
pub fn query(text: &'static str) -> Query<'static> {
    Query::new(SqlStr::from_static(text))
}

/// A statement that is put together while the program runs. Never put a value into its text:
/// what people type would become a part of the statement. The prepared statement is not kept.
pub fn query_of(text: impl Into<String>) -> Query<'static> {
    let text: String = text.into();
    let mut query = Query::new(AssertSqlSafe(text).into_sql_str());
    query.statement.kept = false;
    query
}

/// A statement that is yet to be run; see [`query`].
#[must_use = "a query does nothing until it is run"]
#[derive(Debug)]
pub struct Query<'v> {
    statement: Statement<'v>,
    most: u32,
    /// The first parameter that cannot be sent.
    wrong: Option<SqlError>,
}

impl<'v> Query<'v> {
    fn new(text: SqlStr) -> Self {
        let statement = Statement { text, values: Vec::new(), kept: true };
        Self { statement, most: ROWS_MOST, wrong: None }
    }

    /// Binds the next placeholder.
    pub fn bind<'w>(self, value: impl IntoValue<'w>) -> Query<'w>
    where
        'v: 'w,
    {
        let Self { statement, most, mut wrong } = self;
        let Statement { text, mut values, kept } = statement;
        match value.into_value() {
            Ok(value) => values.push(value),
            Err(error) if wrong.is_none() => {
                let place = values.len() + 1;
                let said = SqlError::new(SqlErrorKind::Value).detail(format!("${place}: {error}"));
                wrong = Some(said);
            }
            Err(_further) => {}
        }
        Query { statement: Statement { text, values: shorter(values), kept }, most, wrong }
    }

    /// The most rows that [`Query::fetch_all`] takes before it fails: [`ROWS_MOST`] by default.
    pub fn at_most(self, rows: u32) -> Self {
        Self { most: rows, ..self }
    }

    /// Runs it for its effect, and gives how many rows were touched.
    ///
    /// # Errors
    ///
    /// [`SqlError`].
    pub async fn execute<'t>(self, on: impl Executor<'t>) -> Result<u64, SqlError> {
        Ok(self.run(on.target().written(), Want::Count).await?.affected)
    }

    /// The first row, if there is one.
    ///
    /// # Errors
    ///
    /// [`SqlError`].
    pub async fn fetch_optional<'t, R: Record>(
        self,
        on: impl Executor<'t>,
    ) -> Result<Option<R>, SqlError> {
        let answer = self.run(on.target(), Want::First).await?;
        answer.first.as_ref().map(R::from_row).transpose()
    }

    /// The first row.
    ///
    /// # Errors
    ///
    /// [`SqlErrorKind::NotFound`] when there is none, or another [`SqlError`].
    pub async fn fetch_one<'t, R: Record>(self, on: impl Executor<'t>) -> Result<R, SqlError> {
        let row = self.fetch_optional(on).await?;
        row.ok_or_else(|| SqlError::new(SqlErrorKind::NotFound))
    }

    /// All rows.
    ///
    /// # Errors
    ///
    /// [`SqlErrorKind::TooManyRows`] when there are more than [`Query::at_most`] says, or
    /// another [`SqlError`].
    pub async fn fetch_all<'t, R: Record>(self, on: impl Executor<'t>) -> Result<Vec<R>, SqlError> {
        let want = Want::Most(self.most);
        let answer = self.run(on.target(), want).await?;
        answer.rows.iter().map(R::from_row).collect()
    }

    /// The rows one after another, for more of them than fit into memory. A few are read ahead;
    /// the connection is in use until the stream is dropped.
    ///
    /// The server's own `statement_timeout` is for all rows together; use a transaction with
    /// a longer one, or several queries, for what takes longer.
    pub fn fetch<'t, R>(self, on: impl Executor<'t>) -> Rows<'t, R>
    where
        R: Record + Send + 't,
        'v: 't,
    {
        Rows::new(self, on.target())
    }

    async fn run(self, target: Target<'_>, want: Want) -> Result<Answer, SqlError> {
        let Self { statement, wrong, .. } = self;
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
        let begun = Instant::now();
        let (sql, instruments) = target.told()?;
        let span = span(sql, statement.text.as_str());
        let result = run(target, &statement, want).instrument(span).await;
        instruments.queried(begun.elapsed(), &result);
        result
    }
}

/// The same values, known to live shorter.
fn shorter<'w>(values: Vec<Value<'w>>) -> Vec<Value<'w>> {
    values
}

/// A span at level debug for one statement, by OpenTelemetry's conventions; without values.
pub(super) fn span(system: &'static str, text: &str) -> tracing::Span {
    tracing::debug_span!(
        "sql",
        "otel.kind" = "client",
        "db.system.name" = system,
        "db.operation.name" = operation(text),
    )
}

/// The first word of the statement.
fn operation(text: &str) -> &str {
    text.split_ascii_whitespace().find(|word| !word.starts_with("--")).unwrap_or_default()
}

async fn run(
    target: Target<'_>,
    statement: &Statement<'_>,
    want: Want,
) -> Result<Answer, SqlError> {
    match target {
        Target::Reader(sql) => read(sql.readers(), statement, want).await,
        Target::Writer(sql) => sql.writers().lease().await?.ask(statement, want).await,
        Target::Transaction(tx) => tx.ask(statement, want).await,
    }
}

/// Reads. A connection that turns out to be dead is no reason to fail: reading again is safe.
async fn read(
    readers: &Arc<Pool>,
    statement: &Statement<'_>,
    want: Want,
) -> Result<Answer, SqlError> {
    let mut lease = readers.lease().await?;
    let result = lease.ask(statement, want).await;
    match result {
        Err(error) if *error.kind() == SqlErrorKind::Unavailable && !lease.is_fresh() => {
            // What took this one away has most likely taken the others.
            lease.pool().forget_idle();
            drop(lease);
            readers.lease().await?.ask(statement, want).await
        }
        result => result,
    }
}

/// Where a statement runs: `&Sql`, [`Writer`], `&mut Transaction`.
pub trait Executor<'t>: sealed::Sealed {
    /// The one place that it is.
    #[doc(hidden)]
    fn target(self) -> Target<'t>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for &super::Sql {}
    impl Sealed for super::Writer<'_> {}
    impl Sealed for &mut super::Transaction {}
}

/// Where a statement runs.
#[doc(hidden)]
#[derive(Debug)]
pub enum Target<'t> {
    Reader(&'t Sql),
    Writer(&'t Sql),
    Transaction(&'t mut Transaction),
}

impl<'t> Target<'t> {
    /// The same, for a statement that writes.
    fn written(self) -> Self {
        match self {
            Self::Reader(sql) => Self::Writer(sql),
            other => other,
        }
    }

    /// The name of the database system, and the metrics.
    fn told(&self) -> Result<(&'static str, Arc<Instruments>), SqlError> {
        let over = || SqlError::new(SqlErrorKind::Other).detail("the transaction is over");
        match self {
            Self::Reader(sql) | Self::Writer(sql) => {
                Ok((sql.system(), Arc::clone(sql.instruments())))
            }
            Self::Transaction(tx) => tx.told().ok_or_else(over),
        }
    }
}

/// The connections for writing: for statements that write and give rows (`… RETURNING`). By
/// [`Sql::writer`].
#[derive(Clone, Copy, Debug)]
pub struct Writer<'t>(pub(super) &'t Sql);

impl<'t> Executor<'t> for &'t Sql {
    fn target(self) -> Target<'t> {
        Target::Reader(self)
    }
}

impl<'t> Executor<'t> for Writer<'t> {
    fn target(self) -> Target<'t> {
        Target::Writer(self.0)
    }
}

impl<'t> Executor<'t> for &'t mut Transaction {
    fn target(self) -> Target<'t> {
        Target::Transaction(self)
    }
}
