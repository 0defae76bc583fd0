//! What the tests of this binary share: servers that fail on command, callers, and gateways
//! between them.

mod authority;
mod caller;
mod config;
mod lines;
mod pair;
mod process;
mod upstream;

use std::time::Duration;

pub(crate) use authority::{Authority, knock};
pub(crate) use caller::{Answer, Session, ask, get, request, send};
pub(crate) use config::{Setup, cluster, edge, endpoint, name, operation, port, report};
pub(crate) use lines::Lines;
pub(crate) use pair::{Pair, Source, certified, raw_echo};
pub(crate) use process::{alone, descriptors, resident};
pub(crate) use upstream::{Act, Asked, Upstream};

/// The longest that any condition is waited for.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Waits until it is so.
pub(crate) async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = tokio::time::Instant::now() + DEADLINE;
    while !so() {
        assert!(tokio::time::Instant::now() < end, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The result, within the time that anything may take.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.unwrap()
}
