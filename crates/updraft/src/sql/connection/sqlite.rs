//! A connection to a SQLite file. Its statements run on a thread of their own, which ends them
//! at their bound.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection};

use super::{Connection, Mode};
use crate::sql::error::{SqlError, of_driver};

/// From one look at the time to the next, in instructions of SQLite's virtual machine: some
/// tens of microseconds.
const INSTRUCTIONS: i32 = 1000;

/// No bound.
const NEVER: u64 = u64::MAX;

/// How connections to one file are made.
#[derive(Clone, Debug)]
pub(crate) struct SqliteOpener {
    options: SqliteConnectOptions,
}

/// An open file.
pub(crate) struct SqliteLink {
    raw: SqliteConnection,
    watch: Arc<Watch>,
}

/// When the running statement has to end.
struct Watch {
    origin: Instant,
    until_us: AtomicU64,
}

impl Watch {
    fn now_us(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(NEVER)
    }
}

impl SqliteOpener {
    pub(crate) fn writer(path: &Path, lock_time: Duration) -> Self {
        // An acknowledged write outlives the machine, not only the process.
        let options = options(path, lock_time)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        Self { options }
    }

    pub(crate) fn reader(path: &Path, lock_time: Duration) -> Self {
        Self { options: options(path, lock_time).pragma("query_only", "on") }
    }

    pub(crate) fn options(&self) -> &SqliteConnectOptions {
        &self.options
    }

    /// Opens the file; it is made when it is missing.
    ///
    /// # Errors
    ///
    /// When the file is no database, or cannot be read and written.
    pub(crate) async fn open(&self) -> Result<Connection, SqlError> {
        let mut raw = self.options.connect().await.map_err(of_driver)?;
        let watch = Arc::new(Watch { origin: Instant::now(), until_us: AtomicU64::new(NEVER) });
        let seen = Arc::clone(&watch);
        let goes_on = move || seen.now_us() < seen.until_us.load(Ordering::Relaxed);
        raw.lock_handle().await.map_err(of_driver)?.set_progress_handler(INSTRUCTIONS, goes_on);
        Ok(Connection::Sqlite(SqliteLink { raw, watch }))
    }
}

fn options(path: &Path, lock_time: Duration) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(PathBuf::from(path))
        .create_if_missing(true)
        .foreign_keys(true)
        .busy_timeout(lock_time)
        .disable_statement_logging()
}

impl SqliteLink {
    pub(crate) fn raw(&mut self) -> &mut SqliteConnection {
        &mut self.raw
    }

    /// Bounds the next statement.
    pub(super) fn bound(&self, limit: Duration) {
        let limit = u64::try_from(limit.as_micros()).unwrap_or(NEVER);
        self.watch.until_us.store(self.watch.now_us().saturating_add(limit), Ordering::Relaxed);
    }

    pub(crate) fn unbound(&self) {
        self.watch.until_us.store(NEVER, Ordering::Relaxed);
    }

    pub(super) fn interrupt(&self) {
        self.watch.until_us.store(0, Ordering::Relaxed);
    }
}

pub(super) fn begin(mode: Mode) -> &'static str {
    match mode {
        Mode::Write | Mode::Serializable => "BEGIN IMMEDIATE",
        Mode::Snapshot => "BEGIN",
    }
}
