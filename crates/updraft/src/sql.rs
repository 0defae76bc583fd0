//! A SQL database by its URL. This build has one kind, SQLite: one writer and a few
//! readers per process, which is what makes it safe and quick with several processes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, Transaction};
use tokio::time::Instant;

use crate::config::Variable;

/// Readers at once in one process.
const READERS: u32 = 4;

/// How long a connection waits for the lock of another process, and how long a caller
/// waits for a connection.
const LOCK_TIME: Duration = Duration::from_secs(5);

/// How long opening waits for a file that another process is just creating.
const OPEN_TIME: Duration = Duration::from_secs(10);

/// From one try to open to the next.
const OPEN_PAUSE: Duration = Duration::from_millis(50);

/// Where a SQL database is: `sqlite:///absolute/path/file.db`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlUrl {
    path: PathBuf,
}

impl Variable for SqlUrl {
    const EXPECTED: &'static str =
        "the URL of a SQL database; this build has sqlite:///absolute/path/file.db";

    fn parse(text: &str) -> Result<Self, String> {
        let (path, parameters) = sqlite_file(text)?;
        match parameters.first() {
            Some(_) => Err("has parameters, and a SQL database takes none".to_owned()),
            None => Ok(Self { path }),
        }
    }

    fn show(&self) -> String {
        format!("sqlite://{}", self.path.display())
    }
}

/// The file and the parameters of a `sqlite:` URL; our parameters never reach the driver,
/// because it is given the path alone. Errors name no part of the text.
pub(crate) fn sqlite_file(text: &str) -> Result<(PathBuf, Vec<(String, String)>), String> {
    let url = url::Url::parse(text).map_err(|_not_url| "is not a URL".to_owned())?;
    if url.scheme() != "sqlite" {
        return Err("has a scheme that this build does not have".to_owned());
    }
    let no_file = || "does not name an absolute path after sqlite://".to_owned();
    let path = url.to_file_path().map_err(|()| no_file())?;
    if path.file_name().is_none() {
        return Err(no_file());
    }
    let parameters = url.query_pairs().map(|(key, value)| (key.into_owned(), value.into_owned()));
    Ok((path, parameters.collect()))
}

/// The database cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot open the SQLite database {}", path.display())]
pub struct SqlOpenError {
    path: PathBuf,
    source: sqlx::Error,
}

impl SqlUrl {
    /// Opens the database; the file is made when it is missing, its folder is not.
    ///
    /// # Errors
    ///
    /// [`SqlOpenError`] when the file is no database, or cannot be read and written.
    pub async fn open(&self) -> Result<Sql, SqlOpenError> {
        Sql::open(&self.path).await
    }
}

/// An open SQL database.
#[derive(Clone, Debug)]
pub struct Sql {
    path: PathBuf,
    writer: SqlitePool,
    readers: SqlitePool,
}

impl Sql {
    pub(crate) async fn open(path: &Path) -> Result<Self, SqlOpenError> {
        let failed = |source| SqlOpenError { path: path.to_owned(), source };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .foreign_keys(true)
            .busy_timeout(LOCK_TIME);
        // An acknowledged write outlives the machine, not only the process.
        let writing = options
            .clone()
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let reading = options.pragma("query_only", "on");
        let pool = |most| SqlitePoolOptions::new().max_connections(most).acquire_timeout(LOCK_TIME);
        let deadline = Instant::now() + OPEN_TIME;
        let writer = loop {
            match pool(1).connect_with(writing.clone()).await {
                Ok(writer) => break writer,
                // Turning to WAL does not wait for the lock, so two first starts collide.
                Err(error) if is_busy(&error) && Instant::now() < deadline => {
                    tokio::time::sleep(OPEN_PAUSE).await;
                }
                Err(error) => return Err(failed(error)),
            }
        };
        let readers = pool(READERS).connect_with(reading).await.map_err(failed)?;
        Ok(Self { path: path.to_owned(), writer, readers })
    }

    /// The connections for reading.
    pub fn read(&self) -> &SqlitePool {
        &self.readers
    }

    /// Begins a transaction that may write. It holds the database's one write lock from
    /// here on, so it never fails later for want of it: keep it short.
    ///
    /// # Errors
    ///
    /// When another process holds the lock for too long.
    pub async fn begin(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }

    pub(crate) fn write(&self) -> &SqlitePool {
        &self.writer
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether another process held the lock.
fn is_busy(error: &sqlx::Error) -> bool {
    // The low byte is the primary code: 5 is SQLITE_BUSY.
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == 5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_absolute_sqlite_path_without_parameters_is_a_database() {
        let url = SqlUrl::parse("sqlite:///data/my%20shop/db.sqlite3").unwrap();
        assert_eq!(url.path, Path::new("/data/my shop/db.sqlite3"));
        for wrong in [
            "",
            "db.sqlite3",
            "sqlite:db.sqlite3",
            "sqlite://host/db.sqlite3",
            "sqlite:///",
            "sqlite:///db.sqlite3?mode=ro",
            "postgres://user:canary@host/db",
        ] {
            let error = SqlUrl::parse(wrong).unwrap_err();
            assert!(!error.contains("canary"), "{error}");
        }
    }

    #[tokio::test]
    async fn many_first_starts_at_once_all_open_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db.sqlite3");
        let mut opening = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let path = path.clone();
            opening.spawn(async move { Sql::open(&path).await });
        }
        while let Some(opened) = opening.join_next().await {
            let sql = opened.unwrap().unwrap();
            let mode: String =
                sqlx::query_scalar("PRAGMA journal_mode").fetch_one(sql.read()).await.unwrap();
            assert_eq!(mode, "wal");
        }
    }

    #[tokio::test]
    async fn readers_cannot_write_and_foreign_keys_hold() {
        let folder = tempfile::tempdir().unwrap();
        let sql = Sql::open(&folder.path().join("db.sqlite3")).await.unwrap();
        let mut tx = sql.begin().await.unwrap();
        let tables = "CREATE TABLE a (id INTEGER PRIMARY KEY);
                      CREATE TABLE b (a INTEGER REFERENCES a (id));";
        sqlx::raw_sql(tables).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        sqlx::query("INSERT INTO a VALUES (1)").execute(sql.read()).await.unwrap_err();
        sqlx::query("INSERT INTO b VALUES (7)").execute(sql.write()).await.unwrap_err();
    }
}
