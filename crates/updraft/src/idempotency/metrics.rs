//! What is counted of keys.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::metrics::Families;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Labels {
    outcome: &'static str,
}

/// The families of idempotency keys.
#[derive(Debug, Default)]
pub(super) struct KeyMetrics {
    requests: Family<Labels, Counter>,
    carried: Family<Labels, Counter>,
    pub(super) expired: Counter,
}

/// What can come of work without its request.
const CARRIED: [&str; 3] = ["done", "dropped", "too_slow"];

impl KeyMetrics {
    pub(super) fn request(&self, outcome: &'static str) {
        self.requests.get_or_create(&Labels { outcome }).inc();
    }

    pub(super) fn carried(&self, outcome: &'static str) {
        self.carried.get_or_create(&Labels { outcome }).inc();
    }
}

impl Families for KeyMetrics {
    fn register(registry: &mut Registry) -> Self {
        let made = Self::default();
        // What is rare is shown as never from the beginning on: a rate needs two samples.
        for outcome in CARRIED {
            drop(made.carried.get_or_create(&Labels { outcome }));
        }
        registry.register(
            "idempotency_requests",
            "Requests with an Idempotency-Key, by what came of it",
            made.requests.clone(),
        );
        registry.register(
            "idempotency_carried",
            "Requests with an Idempotency-Key that went on when nobody waited for them any more",
            made.carried.clone(),
        );
        registry.register(
            "idempotency_expired",
            "Keys that were forgotten because their time was over",
            made.expired.clone(),
        );
        made
    }
}
