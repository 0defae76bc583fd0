//! An empty database of each kind, and how long tests wait.

use std::time::Duration;

use tokio::time::Instant;
use updraft::sql::query_of;
use updraft::testing::server::{Database, Kind, Server};
use updraft::{Sql, SqlUrl, Variable as _};

/// How long a test waits for anything: long enough for a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// An empty database.
pub(crate) struct Bench {
    pub(crate) sql: Sql,
    pub(crate) kind: &'static str,
    pub(crate) url: String,
    _folder: Option<tempfile::TempDir>,
    _database: Option<Database>,
}

impl Bench {
    pub(crate) async fn sqlite(parameters: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("db.sqlite3").display());
        let sql = open(&url, parameters).await;
        Self { sql, kind: "sqlite", url, _folder: Some(folder), _database: None }
    }

    pub(crate) async fn postgres(parameters: &str) -> Self {
        let database = tokio::task::spawn_blocking(|| {
            Server::shared(Kind::Postgres).and_then(|server| server.database())
        });
        let database = database.await.unwrap().unwrap_or_else(|error| panic!("{error}"));
        let url = database.url();
        let sql = open(&url, parameters).await;
        Self { sql, kind: "postgres", url, _folder: None, _database: Some(database) }
    }

    /// The same database, as another process would have it.
    pub(crate) async fn again(&self, parameters: &str) -> Sql {
        open(&self.url, parameters).await
    }

    /// Runs a statement of the test's own.
    pub(crate) async fn run(&self, text: &str) {
        let done = query_of(text).execute(&self.sql).await;
        done.unwrap_or_else(|error| panic!("{} {text}: {error:?}", self.kind));
    }
}

pub(crate) async fn open(url: &str, parameters: &str) -> Sql {
    let url = format!("{url}?{parameters}");
    let url = SqlUrl::parse(url.trim_end_matches('?'));
    url.unwrap_or_else(|wrong| panic!("the URL {wrong}")).open().await.unwrap()
}

/// An empty database of each kind.
pub(crate) async fn each(parameters: &str) -> [Bench; 2] {
    [Bench::sqlite(parameters).await, Bench::postgres(parameters).await]
}

/// Asks until it holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
