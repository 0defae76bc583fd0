//! A connection in the hands of one caller.

use std::time::Duration;

use super::{Held, Pool};
use crate::sql::connection::{Answer, Connection, Statement, Step, Want};
use crate::sql::error::{SqlError, SqlErrorKind};

/// A connection. Dropped, it goes back to its pool, unless nobody knows what state it is in.
pub(crate) struct Lease {
    held: Held,
    connection: Option<Connection>,
    fresh: bool,
    /// Something is being done with it: when that is dropped, the connection is lost.
    busy: bool,
}

impl Lease {
    pub(super) fn new(held: Held, connection: Connection, fresh: bool) -> Self {
        held.pool.instruments.used.inc();
        Self { held, connection: Some(connection), fresh, busy: false }
    }

    /// Whether it was made for this caller, so that its server was there a moment ago.
    pub(crate) fn is_fresh(&self) -> bool {
        self.fresh
    }

    pub(crate) fn is_busy(&self) -> bool {
        self.busy
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.held.pool
    }

    /// The connection, to be used in one go; [`Lease::end`] says how it went.
    ///
    /// # Errors
    ///
    /// [`SqlErrorKind::Unavailable`] when it was lost before.
    pub(crate) fn take(&mut self) -> Result<&mut Connection, SqlError> {
        self.busy = true;
        let lost = || SqlError::new(SqlErrorKind::Unavailable).detail("the connection was lost");
        self.connection.as_mut().ok_or_else(lost)
    }

    /// What was done with the connection is over.
    pub(crate) fn end<T>(&mut self, result: &Result<T, SqlError>) {
        self.busy = false;
        let Err(error) = result else { return };
        match error.kind() {
            SqlErrorKind::Unavailable => self.lose(),
            // A server that ended the statement itself has said so; else nothing is known.
            SqlErrorKind::Timeout if error.code().is_none() => self.lose(),
            // The rest of its rows was not read.
            SqlErrorKind::TooManyRows { .. } => self.lose(),
            _ => {}
        }
    }

    pub(crate) fn lose(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.give_up();
        }
    }

    pub(crate) async fn ask(
        &mut self,
        statement: &Statement<'_>,
        want: Want,
    ) -> Result<Answer, SqlError> {
        let limit = self.limit();
        let result = self.take()?.ask(statement, want, limit).await;
        self.end(&result);
        result
    }

    /// Moves its transaction.
    pub(crate) async fn step(&mut self, step: Step) -> Result<(), SqlError> {
        // To begin is on SQLite the wait for the lock, which has a bound of its own.
        let limit = self.limit().max(self.held.pool.limits.acquire_timeout);
        let result = self.take()?.step(step, limit).await;
        self.end(&result);
        result
    }

    /// How long one statement may take.
    pub(crate) fn limit(&self) -> Duration {
        self.held.pool.limits.statement_timeout
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.held.pool.instruments.used.dec();
        if self.busy {
            self.lose();
        }
        if let Some(connection) = self.connection.take() {
            self.held.pool.put_back(connection);
        }
    }
}

impl Lease {
    /// The connection, for what is done with it outside of this crate.
    pub(crate) fn escape(&mut self) -> Option<&mut Connection> {
        self.connection.as_mut()
    }
}
