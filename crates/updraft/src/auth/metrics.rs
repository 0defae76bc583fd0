//! What is counted of tokens and keys.

use std::sync::atomic::AtomicI64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::metrics::Families;

/// How something went.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct Labels {
    outcome: &'static str,
}

/// The families of authentication.
#[derive(Debug, Default)]
pub(super) struct AuthMetrics {
    tokens: Family<Labels, Counter>,
    refreshes: Family<Labels, Counter>,
    pub(super) keys: Gauge<i64, AtomicI64>,
}

impl AuthMetrics {
    pub(super) fn token(&self, outcome: &'static str) {
        self.tokens.get_or_create(&Labels { outcome }).inc();
    }

    pub(super) fn refreshed(&self, outcome: &'static str) {
        self.refreshes.get_or_create(&Labels { outcome }).inc();
    }
}

impl Families for AuthMetrics {
    fn register(registry: &mut Registry) -> Self {
        let made = Self::default();
        registry.register(
            "auth_tokens",
            "Tokens that were looked at, by what came of it",
            made.tokens.clone(),
        );
        registry.register(
            "auth_key_refreshes",
            "Times that the issuer was asked for its keys, by what came of it",
            made.refreshes.clone(),
        );
        registry.register("auth_keys", "Keys that tokens are verified by", made.keys.clone());
        made
    }
}
