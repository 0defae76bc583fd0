//! An attempt at an address, from its choice to its end, whatever the end is: an answer, a
//! failure, or a caller that is gone.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use updraft_resilience::breaker::{Permit, State, Transition};
use updraft_resilience::{Clock, Instant, Verdict};

use super::address::Address;
use super::metrics::{ClientSeries, End, Kind};
use crate::metrics::Exemplar;

/// An attempt that has not ended.
pub(super) struct Lease {
    address: Arc<Address>,
    permit: Option<Permit>,
    clock: Clock,
    series: Arc<ClientSeries>,
    began: Instant,
    /// What it is counted under, and when a silence is the address's fault; `None`: it was not
    /// sent yet.
    sent: Option<Sent>,
    is_over: bool,
}

struct Sent {
    kind: Kind,
    patience: Duration,
    exemplar: Option<Exemplar>,
}

impl Lease {
    pub(super) fn new(
        address: Arc<Address>,
        permit: Option<Permit>,
        clock: Clock,
        series: Arc<ClientSeries>,
    ) -> Self {
        address.outstanding.fetch_add(1, Ordering::Relaxed);
        let began = clock.now();
        Self { address, permit, clock, series, began, sent: None, is_over: false }
    }

    pub(super) fn address(&self) -> &Arc<Address> {
        &self.address
    }

    /// It is about to be sent. An address that is silent for longer than `patience` has failed,
    /// even when its caller goes away by itself.
    pub(super) fn begin(&mut self, kind: Kind, patience: Duration, exemplar: Option<Exemplar>) {
        self.sent = Some(Sent { kind, patience, exemplar });
    }

    /// It has ended like this.
    pub(super) fn conclude(mut self, end: End, verdict: Verdict) {
        self.is_over = true;
        let now = self.clock.now();
        self.record(end, now);
        // One bad answer is no reason to leave an address to the others; silence is.
        self.address.note(matches!(end, End::Failed(_)) && verdict != Verdict::Ignore, now);
        if let (Some(breaker), Some(permit)) = (&self.address.breaker, self.permit.take()) {
            self.tell(breaker.record(permit, verdict, now));
        }
    }

    fn record(&mut self, end: End, now: Instant) {
        if let Some(Sent { kind, exemplar, .. }) = self.sent.take() {
            self.series.record(kind, end, now.saturating_duration_since(self.began), exemplar);
        }
    }

    fn tell(&self, transition: Option<Transition>) {
        let Some(transition) = transition else { return };
        let (client, address) = (self.series.name(), self.address.label());
        match transition.to {
            State::Open => {
                tracing::warn!(
                    client,
                    address,
                    "the address has failed too often: it is left alone"
                );
            }
            State::Closed => tracing::info!(client, address, "the address is well again"),
            State::HalfOpen => tracing::debug!(client, address, "the address is tried again"),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.address.outstanding.fetch_sub(1, Ordering::Relaxed);
        if self.is_over {
            return;
        }
        let now = self.clock.now();
        let waited = now.saturating_duration_since(self.began);
        let was_sent = self.sent.is_some();
        let was_silent = self.sent.as_ref().is_some_and(|sent| sent.patience <= waited);
        let end = if was_silent { End::Failed("timeout") } else { End::Failed("cancelled") };
        self.record(end, now);
        if was_silent {
            self.address.note(true, now);
        }
        if let (Some(breaker), Some(permit)) = (&self.address.breaker, self.permit.take()) {
            let transition = match (was_silent, was_sent) {
                (true, _) => breaker.record(permit, Verdict::Fail, now),
                (false, true) => breaker.abandon(permit, now),
                (false, false) => breaker.record(permit, Verdict::Ignore, now),
            };
            self.tell(transition);
        }
    }
}
