//! A connection to a PostgreSQL.

use std::time::Duration;

use sqlx::ConnectOptions;

use super::{Connection, Mode};
use crate::sql::error::{SqlError, SqlErrorKind, of_driver};
use crate::sql::url::PostgresUrl;

/// How connections to one server are made.
#[derive(Clone)]
pub(crate) struct PostgresOpener {
    pub(crate) url: PostgresUrl,
    pub(crate) read_only: bool,
    /// `None`: statements may take as long as they take.
    pub(crate) statement_timeout: Option<Duration>,
}

impl PostgresOpener {
    /// What a connection is told at its start.
    ///
    /// # Errors
    ///
    /// When the password file cannot be read.
    pub(crate) fn options(&self) -> Result<sqlx::postgres::PgConnectOptions, SqlError> {
        let options = self
            .url
            .options()
            .map_err(|error| SqlError::new(SqlErrorKind::Unavailable).detail(error.to_string()))?;
        let timeout = self.statement_timeout.map_or(0, |limit| limit.as_millis().max(1));
        let mut settings = vec![
            ("statement_timeout", timeout.to_string()),
            // A transaction that its process forgot holds locks; a process that is cut off
            // from the server cannot end it.
            ("timezone", "UTC".to_owned()),
        ];
        if self.read_only {
            settings.push(("default_transaction_read_only", "on".to_owned()));
        }
        Ok(options.options(settings).disable_statement_logging())
    }

    /// Connects, once.
    ///
    /// # Errors
    ///
    /// [`SqlErrorKind::Unavailable`] or [`SqlErrorKind::Denied`].
    pub(crate) async fn open(&self) -> Result<Connection, SqlError> {
        let raw = self.options()?.connect().await.map_err(of_driver)?;
        Ok(Connection::Postgres(raw))
    }
}

pub(super) fn begin(mode: Mode) -> &'static str {
    match mode {
        Mode::Write => "BEGIN",
        Mode::Serializable => "BEGIN ISOLATION LEVEL SERIALIZABLE",
        Mode::Snapshot => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    }
}
