//! A connection of its own, beside the pools: for what holds a lock of its session, and for
//! what may take as long as it takes.

use sqlx::SqlStr;
use std::time::Duration;

use super::Sql;
use super::connection::{Connection, Statement, Want};
use super::error::{SqlError, SqlErrorKind};
use super::row::Record;
use super::value::Value;

/// Whoever uses this bounds it in another way.
const NO_LIMIT: Duration = Duration::from_secs(7 * 24 * 3600);

/// A connection that is closed when this is dropped.
pub(crate) struct Session {
    connection: Connection,
}

impl Sql {
    /// Opens a connection that no pool counts and no statement timeout bounds.
    ///
    /// # Errors
    ///
    /// When the database is away or refuses.
    pub(crate) async fn session(&self) -> Result<Session, SqlError> {
        Ok(Session { connection: self.dedicated().await? })
    }
}

impl Session {
    pub(crate) fn is_sqlite(&self) -> bool {
        matches!(self.connection, Connection::Sqlite(_))
    }

    pub(crate) async fn batch(&mut self, text: impl Into<String>) -> Result<(), SqlError> {
        self.connection.batch(text).await
    }

    pub(crate) async fn execute(
        &mut self,
        text: &'static str,
        values: &[Value<'_>],
    ) -> Result<u64, SqlError> {
        let statement = statement(text, values.to_vec());
        Ok(self.connection.ask(&statement, Want::Count, NO_LIMIT).await?.affected)
    }

    pub(crate) async fn ask_one<R: Record>(&mut self, text: &'static str) -> Result<R, SqlError> {
        let statement = statement(text, Vec::new());
        let answer = self.connection.ask(&statement, Want::First, NO_LIMIT).await?;
        let row = answer.first.ok_or_else(|| SqlError::new(SqlErrorKind::NotFound))?;
        R::from_row(&row)
    }

    pub(crate) async fn ask_all<R: Record>(
        &mut self,
        text: &'static str,
    ) -> Result<Vec<R>, SqlError> {
        let statement = statement(text, Vec::new());
        let most = Want::Most(super::ROWS_MOST);
        let answer = self.connection.ask(&statement, most, NO_LIMIT).await?;
        answer.rows.iter().map(R::from_row).collect()
    }
}

fn statement<'v>(text: &'static str, values: Vec<Value<'v>>) -> Statement<'v> {
    Statement { text: SqlStr::from_static(text), values, kept: false }
}
