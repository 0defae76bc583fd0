//! What the tests are made of: a gateway, what is behind it, and what comes in front of it.

pub(crate) mod client;
pub(crate) mod frame;
pub(crate) mod mesh;
pub(crate) mod message;
pub(crate) mod peer;
pub(crate) mod program;
pub(crate) mod upstream;

use std::time::Duration;

/// What no wait of these tests reaches unless something is broken.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Waits until `done`, and says what did not come if it never is.
pub(crate) async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = tokio::time::Instant::now() + DEADLINE;
    while !done() {
        assert!(tokio::time::Instant::now() < end, "{what}: it never came");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
