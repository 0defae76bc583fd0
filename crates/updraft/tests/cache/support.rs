//! What the tests of caches share.

use std::time::{Duration, Instant};

use updraft::testing::server::{Database, Kind, Server};
use updraft::{Cache, CacheUrl, Variable as _};

/// How long a test waits for anything: long enough for a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Long enough that nothing runs out during a test.
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// A cache of each kind; the server's part is kept as long as the cache.
pub(crate) fn every_kind(parameters: &str) -> Vec<(Cache, Option<Database>)> {
    let memory = (open(&format!("memory:?{parameters}")), None);
    let database = Server::shared(Kind::Redis).and_then(|server| server.database());
    let database = database.unwrap_or_else(|error| panic!("{error}"));
    // The server may be busy with other tests.
    let url = format!("{}?timeout=10s&connect_timeout=10s&{parameters}", database.url());
    vec![memory, (open(&url), Some(database))]
}

pub(crate) fn open(url: &str) -> Cache {
    let url = CacheUrl::parse(url.trim_end_matches(['?', '&']));
    url.unwrap_or_else(|wrong| panic!("the URL {wrong}")).open("tests").unwrap()
}

/// Asks until it holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
