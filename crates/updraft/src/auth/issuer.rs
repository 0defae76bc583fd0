//! The keys of an issuer, found by OpenID Connect Discovery 1.0 and kept while it is away.
//! One loop of the process asks for them; requests only wait for what it brings, so that no
//! number of tokens with made-up keys makes more than one call per cooldown.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::Deserialize;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use updraft_resilience::backoff::Backoff;
use url::Url;

use super::key::{KeySet, KeySetError};
use super::metrics::AuthMetrics;
use super::settings::{IssuerUrl, Schedule};
use crate::process::Context;
use crate::{BoxError, Stop};

/// How long one answer of the issuer may take, whole.
const CALL_TIME: Duration = Duration::from_secs(5);

/// How long a request waits for keys that are just being asked for.
const WAIT: Duration = Duration::from_secs(3);

/// The longest answer in bytes.
const ANSWER_MOST: usize = 256 * 1024;

#[cfg(not(feature = "tls"))]
type Connector = HttpConnector;
#[cfg(feature = "tls")]
type Connector = hyper_rustls::HttpsConnector<HttpConnector>;

/// Why there are no new keys.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[cfg(feature = "tls")]
    #[error("the issuer cannot be called")]
    Connector(#[source] BoxError),
    #[error("the issuer does not answer whole")]
    Call(#[source] BoxError),
    #[error("the issuer does not answer within {CALL_TIME:?}")]
    Timeout,
    #[error("the issuer answers {0}")]
    Status(StatusCode),
    #[error("what the issuer says about itself is no discovery document")]
    Document(#[source] serde_json::Error),
    #[error("the discovery document is of another issuer than AUTH_ISSUER")]
    OtherIssuer,
    #[error("the keys are at a URL that is not trusted: it must be https")]
    Untrusted,
    #[error("the keys of the issuer cannot be used")]
    Keys(#[source] KeySetError),
}

/// The keys of an issuer.
#[derive(Debug)]
pub(super) struct IssuerKeys {
    issuer: IssuerUrl,
    schedule: Schedule,
    state: watch::Sender<State>,
    wanted: Notify,
}

/// What is known of them.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) keys: Option<Arc<KeySet>>,
    /// Tells these keys from others before them.
    pub(super) generation: u64,
    /// When the issuer was last asked, and its answer was over.
    asked: Option<Instant>,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl IssuerKeys {
    pub(super) fn new(issuer: IssuerUrl, schedule: Schedule) -> Self {
        let state = watch::Sender::new(State::default());
        Self { issuer, schedule, state, wanted: Notify::new() }
    }

    pub(super) fn now(&self) -> State {
        self.state.borrow().clone()
    }

    /// The keys after those of `seen`, when the issuer may be asked by now.
    pub(super) async fn newer(&self, seen: &State) -> State {
        let mut state = self.state.subscribe();
        let current = state.borrow_and_update().clone();
        if current.asked != seen.asked {
            return current;
        }
        self.wanted.notify_one();
        let rests = current.asked.is_some_and(|asked| asked.elapsed() < self.schedule.cooldown);
        if rests {
            return current;
        }
        match tokio::time::timeout(WAIT, state.changed()).await {
            Ok(Ok(())) => state.borrow().clone(),
            _ => current,
        }
    }

    /// Asks for the keys until the process ends. It is not ready before it has any.
    pub(super) fn start(self: Arc<Self>, context: &Context, metrics: Arc<AuthMetrics>) {
        let (stop, ready) = (context.stop(), context.condition("auth_keys"));
        context.run("auth keys", async move {
            let met = move || ready.met();
            self.keep(&stop, &metrics, met).await;
            Ok(())
        });
    }

    pub(super) async fn keep(&self, stop: &Stop, metrics: &AuthMetrics, met: impl Fn()) {
        // Nobody sends tokens to a process that is not ready, so none wakes this loop: it must
        // not sleep through the issuer's return.
        let most = self.schedule.every.min(self.schedule.cooldown);
        let backoff = Backoff::exponential(Duration::from_secs(1).min(most), most);
        let mut failures: u32 = 0;
        let mut client = None;
        loop {
            let fetched = tokio::select! {
                fetched = self.fetch(&mut client) => fetched,
                () = stop.requested() => return,
            };
            let keys = match fetched {
                Ok(keys) => {
                    failures = 0;
                    metrics.refreshed("success");
                    metrics.keys.set(i64::try_from(keys.len()).unwrap_or(i64::MAX));
                    met();
                    Some(Arc::new(keys))
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    metrics.refreshed("failure");
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(
                        error,
                        "the keys of AUTH_ISSUER cannot be had; the old ones hold"
                    );
                    None
                }
            };
            self.state.send_modify(|state| {
                if keys.is_some() {
                    state.keys = keys;
                    state.generation += 1;
                }
                state.asked = Some(Instant::now());
            });
            let rest = match failures {
                0 => self.schedule.every,
                failures => backoff.delay(failures, None, &mut fastrand::Rng::new()),
            };
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = self.asked_for() => {}
                () = stop.requested() => return,
            }
        }
    }

    /// Somebody has met a key that is not known, and the cooldown is over.
    async fn asked_for(&self) {
        let cooldown = tokio::time::sleep(self.schedule.cooldown);
        self.wanted.notified().await;
        cooldown.await;
    }

    async fn fetch(
        &self,
        client: &mut Option<Client<Connector, Full<Bytes>>>,
    ) -> Result<KeySet, FetchError> {
        let client = match client {
            Some(client) => client,
            none => none.insert(new_client()?),
        };
        let base = self.issuer.text.trim_end_matches('/');
        let document = get(client, &format!("{base}/.well-known/openid-configuration")).await?;
        let document: Discovery =
            serde_json::from_slice(&document).map_err(FetchError::Document)?;
        if document.issuer != self.issuer.text {
            return Err(FetchError::OtherIssuer);
        }
        let uri = Url::parse(&document.jwks_uri).ok().filter(|uri| self.issuer.trusts(uri));
        let keys = get(client, uri.ok_or(FetchError::Untrusted)?.as_str()).await?;
        KeySet::of_json(&keys).map_err(FetchError::Keys)
    }
}

/// A whole answer. No redirect is followed: it could lead away from TLS.
async fn get(client: &Client<Connector, Full<Bytes>>, url: &str) -> Result<Bytes, FetchError> {
    let called = |error: BoxError| FetchError::Call(error);
    let uri: Uri = url.parse().map_err(|error: http::uri::InvalidUri| called(error.into()))?;
    let request = Request::get(uri).header(header::ACCEPT, "application/json");
    let request = request.body(Full::default()).map_err(|error| called(error.into()))?;
    let whole = async {
        let answer = client.request(request).await.map_err(|error| called(error.into()))?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status()));
        }
        let body = Limited::new(answer.into_body(), ANSWER_MOST).collect().await;
        Ok(body.map_err(called)?.to_bytes())
    };
    tokio::time::timeout(CALL_TIME, whole).await.unwrap_or(Err(FetchError::Timeout))
}

fn new_client() -> Result<Client<Connector, Full<Bytes>>, FetchError> {
    Ok(Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(CALL_TIME)
        .pool_max_idle_per_host(1)
        .build(connector()?))
}

#[cfg(not(feature = "tls"))]
fn connector() -> Result<Connector, FetchError> {
    Ok(HttpConnector::new())
}

#[cfg(feature = "tls")]
fn connector() -> Result<Connector, FetchError> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    let provider = rustls::crypto::ring::default_provider();
    let builder = hyper_rustls::HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(provider)
        .map_err(|error| FetchError::Connector(error.into()))?;
    Ok(builder.https_or_http().enable_http1().wrap_connector(http))
}
