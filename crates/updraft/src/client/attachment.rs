//! Another service as something that is attached: it is up as long as calls of it bring
//! answers. What it answers is its own health and no matter of ours. Nothing is asked for the
//! check alone, unless a path to ask for is set.

use std::sync::Arc;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{Method, Request};
use http_body_util::Full;
use updraft_resilience::breaker::State;

use super::Untyped;
use crate::BoxError;
use crate::attachment::{Attachment, Location};
use crate::process::BoxFuture;

/// A service that is called.
#[derive(Debug)]
pub(super) struct Called(pub(super) Untyped);

/// Calls of the service bring no answers.
#[derive(Debug, thiserror::Error)]
enum Down {
    #[error("every address of the service has failed when it was last called")]
    Failed,
    #[error("every address of the service has failed too often, and is left alone for a while")]
    Open,
}

impl Called {
    pub(super) fn new(caller: Untyped) -> Arc<Self> {
        Arc::new(Self(caller))
    }

    /// What the last calls have taught.
    fn known(&self) -> Result<(), Down> {
        let shared = &self.0.shared;
        let (known, now) = (shared.addresses.known(), shared.clock.now());
        // A service that nobody has called yet is not known to be down.
        if known.is_empty() {
            return Ok(());
        }
        if self.0.is_left_alone() {
            return Err(Down::Open);
        }
        if known.iter().all(|it| it.is_suspect(now)) { Err(Down::Failed) } else { Ok(()) }
    }
}

impl Attachment for Called {
    fn location(&self) -> Location {
        self.0.shared.addresses.url().location()
    }

    fn check(&self) -> BoxFuture<Result<(), BoxError>> {
        let Some(path) = &self.0.shared.ping else {
            return Box::pin(std::future::ready(self.known().map_err(BoxError::from)));
        };
        let (caller, path) = (self.0.clone(), path.parse::<PathAndQuery>());
        Box::pin(async move {
            // Neither breaker nor budget: the check takes no part in the traffic.
            let path = path?;
            let addresses = caller.shared.addresses.current().await?;
            let asked = addresses.iter().map(|address| async {
                let mut request = Request::new(Full::<Bytes>::default());
                *request.method_mut() = Method::HEAD;
                *request.uri_mut() = address.uri(&path)?;
                drop(address.http.request(request).await?);
                Ok::<_, BoxError>(())
            });
            let (_answered, _others) = futures_util::future::select_ok(asked.map(Box::pin)).await?;
            // It answers, so only what keeps us from calling it counts.
            if caller.is_left_alone() { Err(Down::Open.into()) } else { Ok(()) }
        })
    }
}

impl Untyped {
    /// Whether no address may be called now.
    fn is_left_alone(&self) -> bool {
        let (known, now) = (self.shared.addresses.known(), self.shared.clock.now());
        !known.is_empty() && known.iter().all(|it| it.state(now) == State::Open)
    }
}
