//! What the tests of blobs share.

use std::time::{Duration, Instant};

use updraft::{Blobs, BlobsUrl, Variable as _};

/// How long a test waits for anything: long enough for a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A place by its URL, with keys that no output may show.
pub(crate) fn open(url: &str) -> Blobs {
    let url = BlobsUrl::parse(url).unwrap_or_else(|wrong| panic!("the URL {wrong}"));
    let keys = [("AWS_ACCESS_KEY_ID", "key-id"), ("AWS_SECRET_ACCESS_KEY", "canary")];
    url.open(keys.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap()
}

/// Asks until it holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// An error and all its causes, as a log would tell them.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
    let mut told = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(error) = source {
        told.push_str(&format!(" {error} {error:?}"));
        source = error.source();
    }
    told
}
