//! From a token to its caller.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use moka::future::Cache;

use super::caller::Caller;
use super::challenged;
use super::issuer::IssuerKeys;
use super::key::{Checked, KeySet};
use super::metrics::AuthMetrics;
use super::settings::{AuthSettings, KeySource, Rules, Verification};
use super::token::{Refused, Token, in_time};
use crate::metrics::Metrics;
use crate::problem::{ProblemDetails, ProblemKind};
use crate::process::Context;

/// Callers that are remembered, so that their tokens are verified once and not for each
/// request. A token has at most 8 KiB, so all of them at most 8 MiB.
const CALLERS_MOST: u64 = 1024;

/// How long one is.
const CALLER_TIME: Duration = Duration::from_secs(300);

/// Verifies tokens.
#[derive(Debug)]
pub(super) struct Verifier {
    keys: Keys,
    pub(super) rules: Rules,
    /// By a hash of the token and of the keys that it was verified by.
    known: Cache<[u8; 32], Caller>,
    metrics: Arc<AuthMetrics>,
}

#[derive(Debug)]
enum Keys {
    Given(Arc<KeySet>),
    Issuer(Arc<IssuerKeys>),
}

impl Verifier {
    /// `None`: nothing says how.
    pub(super) fn new(settings: AuthSettings, metrics: &Metrics) -> Option<Self> {
        let Verification { keys, rules } = settings.0?;
        let metrics = metrics.families::<AuthMetrics>();
        let keys = match keys {
            KeySource::Given(keys) => {
                metrics.keys.set(i64::try_from(keys.len()).unwrap_or(i64::MAX));
                Keys::Given(Arc::new(keys))
            }
            KeySource::Issuer { issuer, schedule } => {
                Keys::Issuer(Arc::new(IssuerKeys::new(issuer, schedule)))
            }
        };
        let known = Cache::builder().max_capacity(CALLERS_MOST).time_to_live(CALLER_TIME).build();
        Some(Self { keys, rules, known, metrics })
    }

    pub(super) fn start(&self, context: &Context) {
        if let Keys::Issuer(keys) = &self.keys {
            Arc::clone(keys).start(context, Arc::clone(&self.metrics));
        }
    }

    /// The caller whom a token names.
    ///
    /// # Errors
    ///
    /// 401 when it is not good, 503 while there are no keys.
    pub(super) async fn verify(&self, text: &str) -> Result<Caller, ProblemDetails> {
        let now = now();
        let outcome = match &self.keys {
            Keys::Given(keys) => self.by_keys(text, keys, 0, now).await,
            Keys::Issuer(issuer) => {
                let mut state = issuer.now();
                if state.keys.is_none() {
                    state = issuer.newer(&state).await;
                }
                let Some(keys) = &state.keys else { return Err(self.no_keys()) };
                match self.by_keys(text, keys, state.generation, now).await {
                    Err(Refused::Key) => {
                        let newer = issuer.newer(&state).await;
                        match &newer.keys {
                            Some(keys) if newer.generation != state.generation => {
                                self.by_keys(text, keys, newer.generation, now).await
                            }
                            _ => Err(Refused::Key),
                        }
                    }
                    outcome => outcome,
                }
            }
        };
        outcome.map_err(|refused| self.refusal(refused))
    }

    async fn by_keys(
        &self,
        text: &str,
        keys: &KeySet,
        generation: u64,
        now: f64,
    ) -> Result<Caller, Refused> {
        let hash = blake3::Hasher::new()
            .update(&generation.to_le_bytes())
            .update(text.as_bytes())
            .finalize()
            .into();
        if let Some(caller) = self.known.get(&hash).await {
            in_time(&caller, &self.rules, now)?;
            self.metrics.token("known");
            return Ok(caller);
        }
        let token = Token::read(text, &self.rules)?;
        match keys.check(token.algorithm, token.key.as_deref(), token.signed, &token.signature) {
            Checked::Good => {}
            Checked::Bad => return Err(Refused::Signature),
            Checked::NoKey => return Err(Refused::Key),
        }
        let caller = token.caller(&self.rules, now)?;
        self.known.insert(hash, caller.clone()).await;
        self.metrics.token("verified");
        Ok(caller)
    }

    fn refusal(&self, refused: Refused) -> ProblemDetails {
        self.metrics.token(refused.name());
        // Without the token, and without anything that it says.
        tracing::info!(reason = refused.name(), "a token was refused: {refused}");
        let detail = match refused {
            // Its caller has proven to have had a good one, and can get another.
            Refused::Expired => "the token has expired",
            _ => "the token is not good for this service",
        };
        let challenge = format!("Bearer error=\"invalid_token\", error_description=\"{detail}\"");
        challenged(ProblemDetails::of(&ProblemKind::UNAUTHORIZED).detail(detail), &challenge)
    }

    /// The token may be as good as any: it is this service that cannot tell.
    fn no_keys(&self) -> ProblemDetails {
        self.metrics.token("no_keys");
        ProblemDetails::new(http::StatusCode::SERVICE_UNAVAILABLE)
            .detail("tokens cannot be verified at the moment")
            .retry_after(1)
    }
}

/// In seconds since 1970. Before that there were no tokens.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
#[path = "verifier_tests.rs"]
mod tests;
