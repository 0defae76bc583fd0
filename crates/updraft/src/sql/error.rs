//! What a database can answer instead of rows, in kinds that both kinds of database have.
//! Nothing here holds a value: neither of a row, nor of a parameter, nor of a URL.

mod classify;

use std::fmt;
use std::time::Duration;

pub(crate) use classify::of_driver;

/// What went wrong, for code that decides by it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SqlErrorKind {
    /// A row with this key exists.
    Unique {
        /// The constraint by PostgreSQL's name for it (`orders_number_key`, `orders_pkey`); on
        /// SQLite, which knows no such names, the name that PostgreSQL would give by default.
        constraint: String,
    },
    /// A row that is referred to is missing, or one that is still referred to would go.
    ForeignKey {
        /// The constraint's name; SQLite does not say it.
        constraint: Option<String>,
    },
    /// A `CHECK` does not hold.
    Check {
        /// The constraint's name, or on SQLite the text of a nameless one.
        constraint: String,
    },
    /// A column that needs a value got none.
    NotNull {
        /// The column.
        column: String,
    },
    /// There is no such row, where one was asked for.
    NotFound,
    /// Another transaction was in the way (a lock, a deadlock, a serialization failure): the
    /// whole transaction can be tried again.
    Busy,
    /// Every connection of this attachment is in use, and stayed so for `acquire_timeout`, or
    /// too many callers wait already.
    Saturated,
    /// The server is away, or the connection was lost. A write may or may not have happened.
    Unavailable,
    /// The statement took longer than `statement_timeout`, and was ended.
    Timeout,
    /// A write was sent where only reading is allowed: `fetch_…(&db)` reads. Use
    /// [`Sql::writer`](crate::Sql::writer) or a transaction.
    ReadOnly,
    /// User or password are not accepted, or may not do this.
    Denied,
    /// An earlier statement of the transaction failed, so nothing of it can be kept: as on
    /// PostgreSQL, also on SQLite. Wrap what may fail in
    /// [`Transaction::attempt`](crate::sql::Transaction::attempt).
    Aborted,
    /// A value has no place in the column, or the column cannot be read as the type asked for.
    Value,
    /// More rows came than the bound of the query allows.
    TooManyRows {
        /// The bound.
        bound: u32,
    },
    /// The statement is wrong, or needs something (a table, a column) that is not there.
    Statement,
    /// Anything else.
    Other,
}

impl SqlErrorKind {
    /// The label of metrics: a lower-case word.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Unique { .. } => "unique",
            Self::ForeignKey { .. } => "foreign_key",
            Self::Check { .. } => "check",
            Self::NotNull { .. } => "not_null",
            Self::NotFound => "not_found",
            Self::Busy => "busy",
            Self::Saturated => "saturated",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::ReadOnly => "read_only",
            Self::Denied => "denied",
            Self::Aborted => "aborted",
            Self::Value => "value",
            Self::TooManyRows { .. } => "too_many_rows",
            Self::Statement => "statement",
            Self::Other => "other",
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::Unique { constraint } => {
                format!("a row with this key exists (constraint `{constraint}`)")
            }
            Self::ForeignKey { constraint: Some(constraint) } => {
                format!("a row that is referred to is missing (constraint `{constraint}`)")
            }
            Self::ForeignKey { constraint: None } => "a row that is referred to is missing".into(),
            Self::Check { constraint } => format!("the check `{constraint}` does not hold"),
            Self::NotNull { column } => format!("the column `{column}` needs a value"),
            Self::NotFound => "there is no such row".into(),
            Self::Busy => "another transaction was in the way".into(),
            Self::Saturated => "every connection to the database is in use".into(),
            Self::Unavailable => "the database is unavailable".into(),
            Self::Timeout => "the statement took longer than its statement_timeout".into(),
            Self::ReadOnly => "a write was sent to a connection that only reads".into(),
            Self::Denied => "the database denies access".into(),
            Self::Aborted => "an earlier statement of the transaction failed".into(),
            Self::Value => "a value has no place where it should go".into(),
            Self::TooManyRows { bound } => format!("more than {bound} rows came"),
            Self::Statement => "the statement is wrong for this database".into(),
            Self::Other => "the database failed".into(),
        }
    }
}

/// A statement failed.
///
/// ```
/// use updraft::sql::{self, SqlErrorKind};
/// use updraft::{Sql, SqlError};
///
/// /// Whether the number was free.
/// async fn take(db: &Sql, number: &str) -> Result<bool, SqlError> {
///     let taken = sql::query("INSERT INTO invoices (number) VALUES ($1)")
///         .bind(number)
///         .execute(db)
///         .await;
///     match taken {
///         Ok(_) => Ok(true),
///         Err(error) if matches!(error.kind(), SqlErrorKind::Unique { .. }) => Ok(false),
///         Err(error) => Err(error),
///     }
/// }
/// ```
#[derive(Debug)]
pub struct SqlError(Box<Told>);

#[derive(Debug)]
struct Told {
    kind: SqlErrorKind,
    /// The SQLSTATE, or the extended code of SQLite.
    code: Option<String>,
    retry_after: Option<Duration>,
    source: Option<SqlDetail>,
}

/// What the driver said, without values.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct SqlDetail(pub(crate) String);

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.kind.sentence())?;
        self.0.code.as_ref().map_or(Ok(()), |code| write!(f, " ({code})"))
    }
}

impl std::error::Error for SqlError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| source as _)
    }
}

impl SqlError {
    pub(crate) fn new(kind: SqlErrorKind) -> Self {
        Self(Box::new(Told { kind, code: None, retry_after: None, source: None }))
    }

    /// The same with what is known besides; `detail` holds no value.
    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.source = Some(SqlDetail(detail.into()));
        self
    }

    pub(crate) fn code_of(mut self, code: String) -> Self {
        self.0.code = Some(code);
        self
    }

    pub(crate) fn after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> &SqlErrorKind {
        &self.0.kind
    }

    /// The database's own code: the SQLSTATE of PostgreSQL (`23505`), the extended result code
    /// of SQLite (`2067`).
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// How long the attachment will refuse at once, because its server was away just now.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether the whole transaction can be done again because another one was in its way.
    pub fn is_retryable(&self) -> bool {
        self.0.kind == SqlErrorKind::Busy
    }

    /// Whether the database or the way to it is in trouble, rather than the statement.
    pub fn is_unavailable(&self) -> bool {
        matches!(
            self.0.kind,
            SqlErrorKind::Unavailable | SqlErrorKind::Saturated | SqlErrorKind::Timeout
        )
    }
}
