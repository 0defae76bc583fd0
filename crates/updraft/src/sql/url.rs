//! Where a SQL database is and how much of it one process may use. Parameters of ours are
//! taken off before the driver sees the rest, and what is unknown is an error: a limit that is
//! misspelt would be no limit.

#[cfg(feature = "postgres")]
mod postgres;
mod sqlite;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::attachment::Location;
use crate::config::Variable;

#[cfg(feature = "postgres")]
pub(crate) use postgres::PostgresUrl;
pub(crate) use sqlite::sqlite_file;

/// Where a SQL database is: `sqlite:` or `postgres:`.
#[derive(Clone, PartialEq, Eq)]
pub struct SqlUrl {
    pub(crate) place: Place,
    pub(crate) limits: SqlLimits,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Sqlite(PathBuf),
    #[cfg(feature = "postgres")]
    Postgres(Box<PostgresUrl>),
}

/// How much of a database one attachment may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SqlLimits {
    /// Connections at once, those for reading and those for writing together.
    pub(crate) pool_max: u32,
    /// How long the server may take to accept a connection.
    pub(crate) connect_timeout: Duration,
    /// How long a caller waits for a free connection, and on SQLite for another process's lock.
    pub(crate) acquire_timeout: Duration,
    /// How long one statement may take.
    pub(crate) statement_timeout: Duration,
}

/// One writer and four readers; more readers of one file gain little.
const SQLITE_POOL_MAX: u32 = 5;
/// Five for reading and five for writing: a hundred connections, the default of PostgreSQL,
/// are enough for nine processes.
#[cfg(feature = "postgres")]
const POSTGRES_POOL_MAX: u32 = 10;
/// One for reading and one for writing.
const POOL_MAX_LEAST: u32 = 2;
const POOL_MAX_MOST: u32 = 10_000;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(15);
/// An hour is for ever, for a request and for a job.
const TIMEOUT_MOST: Duration = Duration::from_secs(3600);

impl SqlLimits {
    fn new(pool_max: u32) -> Self {
        Self {
            pool_max,
            connect_timeout: CONNECT_TIMEOUT,
            acquire_timeout: ACQUIRE_TIMEOUT,
            statement_timeout: STATEMENT_TIMEOUT,
        }
    }

    /// Takes one parameter; `false`: it is none of these.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    fn take(&mut self, key: &str, value: &str) -> Result<bool, String> {
        match key {
            "pool_max" => {
                let range = POOL_MAX_LEAST..=POOL_MAX_MOST;
                let number = value.parse().ok().filter(|number| range.contains(number));
                self.pool_max = number.ok_or_else(|| {
                    format!(
                        "has a `pool_max` that is not a whole number from {POOL_MAX_LEAST} to \
                         {POOL_MAX_MOST}"
                    )
                })?;
            }
            "connect_timeout" => self.connect_timeout = timeout(key, value)?,
            "acquire_timeout" => self.acquire_timeout = timeout(key, value)?,
            "statement_timeout" => self.statement_timeout = timeout(key, value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn timeout(key: &str, value: &str) -> Result<Duration, String> {
    let range = Duration::from_millis(1)..=TIMEOUT_MOST;
    Duration::parse(value)
        .ok()
        .filter(|span| range.contains(span))
        .ok_or_else(|| format!("has a `{key}` that is not a time span from 1ms to 1h, such as 5s"))
}

impl Variable for SqlUrl {
    const EXPECTED: &'static str = "the URL of a SQL database: sqlite:///absolute/path/file.db, \
        sqlite:file.db in the working directory, or postgres://user@host:5432/database; \
        parameters of both are pool_max=10, connect_timeout=5s, acquire_timeout=5s and \
        statement_timeout=15s, and of postgres also sslmode, sslrootcert, sslcert, sslkey, \
        password_file, application_name and schema";

    fn parse(text: &str) -> Result<Self, String> {
        let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
        match scheme {
            "sqlite" => {
                let (path, parameters) = sqlite_file(text)?;
                let mut limits = SqlLimits::new(SQLITE_POOL_MAX);
                for (key, value) in &parameters {
                    if !limits.take(key, value)? {
                        return Err(UNKNOWN.to_owned());
                    }
                }
                Ok(Self { place: Place::Sqlite(path), limits })
            }
            #[cfg(feature = "postgres")]
            "postgres" | "postgresql" => {
                let mut limits = SqlLimits::new(POSTGRES_POOL_MAX);
                let url = PostgresUrl::parse(text, &mut limits)?;
                Ok(Self { place: Place::Postgres(Box::new(url)), limits })
            }
            #[cfg(not(feature = "postgres"))]
            "postgres" | "postgresql" => Err("is a PostgreSQL, and this program was built \
                without it: build it with the feature `postgres` of the crate `updraft`"
                .to_owned()),
            "" => Err("is not a URL".to_owned()),
            _ => Err("has a scheme that is neither sqlite nor postgres".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.location().to_string()
    }
}

/// What is said of a parameter, which may be a secret in the wrong place.
const UNKNOWN: &str = "has a parameter that no SQL database of this kind knows";

impl SqlUrl {
    /// Where it is, without anything secret.
    pub(crate) fn location(&self) -> Location {
        match &self.place {
            Place::Sqlite(path) if path.is_absolute() => {
                Location::new("sqlite", format!("//{}", path.display()))
            }
            Place::Sqlite(path) => Location::new("sqlite", path.display().to_string()),
            #[cfg(feature = "postgres")]
            Place::Postgres(url) => url.location(),
        }
    }

    /// Whether tables of the one are tables of the other.
    pub(crate) fn is_same_database(&self, other: &Self) -> bool {
        self.location() == other.location() && self.schema() == other.schema()
    }

    fn schema(&self) -> Option<&str> {
        match &self.place {
            Place::Sqlite(_) => None,
            #[cfg(feature = "postgres")]
            Place::Postgres(url) => url.schema.as_deref(),
        }
    }

    pub(crate) fn sqlite_path(&self) -> Option<&std::path::Path> {
        match &self.place {
            Place::Sqlite(path) => Some(path),
            #[cfg(feature = "postgres")]
            Place::Postgres(_) => None,
        }
    }

    /// A SQLite database in this file, with the limits that hold by default.
    #[cfg(test)]
    pub(crate) fn of_file(path: PathBuf) -> Self {
        Self { place: Place::Sqlite(path), limits: SqlLimits::new(SQLITE_POOL_MAX) }
    }
}

impl fmt::Debug for SqlUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limits, .. } = self;
        f.debug_struct("SqlUrl").field("at", &self.show()).field("limits", limits).finish()
    }
}

#[cfg(test)]
#[path = "url/url_tests.rs"]
mod tests;
