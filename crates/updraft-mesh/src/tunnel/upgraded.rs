//! A tunnel between two upgraded connections, after a 101 (RFC 9110, section 7.8).

use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::{TunnelCounters, TunnelEnd, TunnelLimits, relay};

/// Why there is no tunnel.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpgradeError {
    /// The caller's connection was not handed over.
    #[error("the caller did not complete the upgrade")]
    Client(#[source] hyper::Error),
    /// The endpoint's connection was not handed over.
    #[error("the endpoint did not complete the upgrade")]
    Upstream(#[source] hyper::Error),
    /// It took too long.
    #[error("the upgrade was not complete in time")]
    Timeout,
}

/// Waits for both connections, at most `wait`, and passes bytes between them. To be started
/// before the 101 is written to the caller: that is when its connection is handed over, which
/// never happens for a caller that takes no response.
///
/// # Errors
///
/// [`UpgradeError`]; both connections are closed then.
pub(crate) async fn upgraded(
    client: OnUpgrade,
    upstream: OnUpgrade,
    wait: Duration,
    limits: TunnelLimits,
    counters: &TunnelCounters,
    drained: impl Future<Output = ()>,
) -> Result<TunnelEnd, UpgradeError> {
    let both = async {
        let upstream = upstream.await.map_err(UpgradeError::Upstream)?;
        let client = client.await.map_err(UpgradeError::Client)?;
        Ok((client, upstream))
    };
    let (client, upstream) = match tokio::time::timeout(wait, both).await {
        Ok(both) => both?,
        Err(_elapsed) => return Err(UpgradeError::Timeout),
    };
    let (client, upstream) = (TokioIo::new(client), TokioIo::new(upstream));
    Ok(relay(client, upstream, limits, counters, drained).await)
}
