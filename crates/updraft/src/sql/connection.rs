//! One connection to one kind of database: the only place that knows how each kind is spoken
//! to. Static dispatch, a match per call.

#[cfg(feature = "postgres")]
mod postgres;
mod sqlite;

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use sqlx::{AssertSqlSafe, SqlStr};

use super::error::{SqlError, SqlErrorKind, of_driver};
use super::row::{Inner, Row};
#[cfg(feature = "postgres")]
use super::value::postgres_arguments;
use super::value::{Value, sqlite_arguments};

#[cfg(feature = "postgres")]
pub(crate) use postgres::PostgresOpener;
pub(crate) use sqlite::{SqliteLink, SqliteOpener};

/// What the client waits beyond the bound that the database itself keeps, before it takes the
/// connection for lost.
const SLACK: Duration = Duration::from_secs(1);

/// An open connection.
pub(crate) enum Connection {
    Sqlite(SqliteLink),
    #[cfg(feature = "postgres")]
    Postgres(sqlx::PgConnection),
}

/// A statement with its parameters.
#[derive(Clone, Debug)]
pub(crate) struct Statement<'v> {
    pub(crate) text: SqlStr,
    pub(crate) values: Vec<Value<'v>>,
    /// Whether the prepared statement is kept for the next time.
    pub(crate) kept: bool,
}

/// What rows are wanted of a statement.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Want {
    /// None: how many were touched.
    Count,
    /// The first.
    First,
    /// All, which are no more than this.
    Most(u32),
}

/// What a statement gave.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) affected: u64,
    pub(crate) first: Option<Row>,
    pub(crate) rows: Vec<Row>,
}

/// How a transaction begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Write,
    Serializable,
    Snapshot,
}

/// What moves a transaction. Savepoints are numbered by how deep they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Begin(Mode),
    Commit,
    Rollback,
    Save(u32),
    Release(u32),
    Back(u32),
}

/// What one kind of database does with a statement; the same text for each driver.
macro_rules! ask {
    ($connection:expr, $statement:expr, $want:expr, $arguments:path, $inner:path) => {{
        let Statement { text, values, kept } = $statement;
        let query = sqlx::query_with(text.clone(), $arguments(values)?).persistent(*kept);
        let mut answer = Answer::default();
        match $want {
            Want::Count => {
                let done = query.execute($connection).await.map_err(of_driver)?;
                answer.affected = done.rows_affected();
            }
            Want::First => {
                let row = query.fetch_optional($connection).await.map_err(of_driver)?;
                answer.first = row.map(|row| Row($inner(row)));
            }
            Want::Most(bound) => {
                let mut stream = query.fetch($connection);
                while let Some(row) = stream.next().await {
                    if answer.rows.len() >= usize_of(bound) {
                        return Err(SqlError::new(SqlErrorKind::TooManyRows { bound }));
                    }
                    answer.rows.push(Row($inner(row.map_err(of_driver)?)));
                }
            }
        }
        Ok(answer)
    }};
}

fn usize_of(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl Connection {
    /// Runs one statement.
    ///
    /// # Errors
    ///
    /// What the database said, or [`SqlErrorKind::Timeout`] after `limit`.
    pub(crate) async fn ask(
        &mut self,
        statement: &Statement<'_>,
        want: Want,
        limit: Duration,
    ) -> Result<Answer, SqlError> {
        let asking = async {
            match self {
                Self::Sqlite(link) => {
                    link.bound(limit);
                    ask!(link.raw(), statement, want, sqlite_arguments, Inner::Sqlite)
                }
                #[cfg(feature = "postgres")]
                Self::Postgres(raw) => {
                    ask!(raw, statement, want, postgres_arguments, Inner::Postgres)
                }
            }
        };
        within(limit.saturating_add(SLACK), asking).await
    }

    /// The rows of a statement, one after another.
    ///
    /// # Errors
    ///
    /// When a parameter cannot be sent.
    pub(crate) fn rows<'c>(
        &'c mut self,
        statement: &Statement<'_>,
        limit: Duration,
    ) -> Result<BoxStream<'c, Result<Row, SqlError>>, SqlError> {
        let Statement { text, values, kept } = statement;
        Ok(match self {
            Self::Sqlite(link) => {
                link.bound(limit);
                sqlx::query_with(text.clone(), sqlite_arguments(values)?)
                    .persistent(*kept)
                    .fetch(link.raw())
                    .map(|row| row.map(|row| Row(Inner::Sqlite(row))).map_err(of_driver))
                    .boxed()
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(raw) => sqlx::query_with(text.clone(), postgres_arguments(values)?)
                .persistent(*kept)
                .fetch(raw)
                .map(|row| row.map(|row| Row(Inner::Postgres(row))).map_err(of_driver))
                .boxed(),
        })
    }

    /// Runs statements that are written one after another, without parameters. Nothing bounds
    /// them but the connection itself.
    ///
    /// # Errors
    ///
    /// What the database said.
    pub(crate) async fn batch(&mut self, text: impl Into<String>) -> Result<(), SqlError> {
        let batch = sqlx::raw_sql(AssertSqlSafe(text.into()));
        match self {
            Self::Sqlite(link) => {
                link.unbound();
                batch.execute(link.raw()).await.map(drop).map_err(of_driver)
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(raw) => batch.execute(raw).await.map(drop).map_err(of_driver),
        }
    }

    /// Runs one of the statements that move a transaction.
    ///
    /// # Errors
    ///
    /// [`SqlErrorKind::Busy`] when SQLite's write lock stays with another process, or what else
    /// the database said.
    pub(crate) async fn step(&mut self, step: Step, limit: Duration) -> Result<(), SqlError> {
        let text = self.text_of(step);
        let done = within(limit.saturating_add(SLACK), self.batch(text)).await;
        match (done, step) {
            // SQLite ends a transaction by itself when a statement of it was interrupted.
            (Err(error), Step::Rollback) if error.code() == Some("1") => Ok(()),
            (done, _) => done,
        }
    }

    fn text_of(&self, step: Step) -> String {
        let own = match step {
            Step::Begin(mode) => match self {
                Self::Sqlite(_) => sqlite::begin(mode),
                #[cfg(feature = "postgres")]
                Self::Postgres(_) => postgres::begin(mode),
            },
            Step::Commit => "COMMIT",
            Step::Rollback => "ROLLBACK",
            Step::Save(depth) => return format!("SAVEPOINT updraft_{depth}"),
            Step::Release(depth) => return format!("RELEASE SAVEPOINT updraft_{depth}"),
            Step::Back(depth) => {
                return format!(
                    "ROLLBACK TO SAVEPOINT updraft_{depth}; RELEASE SAVEPOINT updraft_{depth}"
                );
            }
        };
        own.to_owned()
    }

    /// Whether it still speaks to its database.
    ///
    /// # Errors
    ///
    /// When it does not.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(clippy::unused_async, reason = "a file needs no question")
    )]
    pub(crate) async fn ping(&mut self) -> Result<(), SqlError> {
        match self {
            Self::Sqlite(_) => Ok(()),
            #[cfg(feature = "postgres")]
            Self::Postgres(raw) => sqlx::Connection::ping(raw).await.map_err(of_driver),
        }
    }

    /// Ends a statement that nobody waits for any more, as far as that can be done from here.
    pub(crate) fn give_up(&self) {
        match self {
            Self::Sqlite(link) => link.interrupt(),
            // Its own statement_timeout ends it; the socket is closed.
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => {}
        }
    }
}

/// A database that says nothing is taken for lost.
async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, SqlError>>,
) -> Result<T, SqlError> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_elapsed) => Err(SqlError::new(SqlErrorKind::Timeout).detail("nothing came back")),
    }
}
