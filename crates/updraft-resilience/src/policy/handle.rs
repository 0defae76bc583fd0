//! Watching and changing a policy while it is at work.

use std::sync::Arc;

use super::config::PolicyConfig;
use super::core::Core;
use super::events::Event;
use super::tally::Counts;
use crate::Invalid;
use crate::adaptive::Adaptive;
use crate::breaker::{Breaker, BreakerSnapshot};
use crate::bulkhead::{Bulkhead, BulkheadSnapshot};
use crate::chaos::Chaos;
use crate::hedge::Hedge;
use crate::rate_limit::RateLimiter;
use crate::retry::Budget;
use crate::throttle::Throttle;

/// A policy without its types: it survives boxing, and does not keep the policy's callers
/// from being dropped.
#[derive(Clone, Debug)]
pub struct PolicyHandle {
    core: Arc<Core>,
}

/// A policy at one moment.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct PolicySnapshot {
    /// Its name.
    pub name: String,
    /// What has happened since it was built.
    pub counts: Counts,
    /// The breaker.
    pub breaker: Option<BreakerSnapshot>,
    /// The bulkhead.
    pub bulkhead: Option<BulkheadSnapshot>,
    /// Retries that the budget would allow at once.
    pub retry_budget: Option<f64>,
    /// How many attempts the adaptive limit would run at once.
    pub adaptive_limit: Option<u32>,
}

/// Snapshots of every policy that lives, by name: for a health page.
#[must_use]
pub fn snapshots() -> Vec<PolicySnapshot> {
    let mut all: Vec<_> = Core::living().iter().map(|core| snapshot(core)).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// The policy of that name; the one that was built last where several have it.
#[must_use]
pub fn handle(name: &str) -> Option<PolicyHandle> {
    let core = Core::living().into_iter().rev().find(|core| core.name == name)?;
    Some(PolicyHandle::new(core))
}

fn snapshot(core: &Core) -> PolicySnapshot {
    let (stack, now) = (core.stack(), core.clock.now());
    PolicySnapshot {
        name: core.name.clone(),
        counts: core.tally.counts(),
        breaker: stack.breaker.as_ref().map(|breaker| breaker.snapshot(now)),
        bulkhead: stack.bulkhead.as_ref().map(|bulkhead| bulkhead.snapshot()),
        retry_budget: stack.budget.as_ref().map(|budget| budget.balance(now)),
        adaptive_limit: stack.adaptive.as_ref().map(|adaptive| adaptive.limit()),
    }
}

impl PolicyHandle {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// The policy's name.
    pub fn name(&self) -> &str {
        &self.core.name
    }

    /// Its configuration as it is now.
    pub fn config(&self) -> PolicyConfig {
        self.core.stack().config.clone()
    }

    /// Changes the configuration for calls from now on; those under way end as they began.
    /// Parts whose configuration stays the same keep what they remember, others start anew;
    /// bulkhead and rate limit get new limits, and what runs or was used still counts.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with every bad field; then nothing was changed.
    pub fn update(&self, change: impl FnOnce(&mut PolicyConfig)) -> Result<(), Invalid> {
        self.core.update(change)
    }

    /// The policy at this moment.
    pub fn snapshot(&self) -> PolicySnapshot {
        snapshot(&self.core)
    }

    /// Calls `listener` with the policy's name and each event from now on.
    pub fn on_event(&self, listener: impl Fn(&str, &Event) + Send + Sync + 'static) {
        self.core.listeners.add(Arc::new(listener));
    }

    /// The circuit breaker, such as to force it open.
    pub fn breaker(&self) -> Option<Arc<Breaker>> {
        self.core.stack().breaker.clone()
    }

    /// The bulkhead.
    pub fn bulkhead(&self) -> Option<Arc<Bulkhead>> {
        self.core.stack().bulkhead.clone()
    }

    /// The budget of retries.
    pub fn retry_budget(&self) -> Option<Arc<Budget>> {
        self.core.stack().budget.clone()
    }

    /// The rate limiter.
    pub fn rate_limiter(&self) -> Option<Arc<RateLimiter>> {
        self.core.stack().rate_limit.clone()
    }

    /// The throttle.
    pub fn throttle(&self) -> Option<Arc<Throttle>> {
        self.core.stack().throttle.clone()
    }

    /// The hedge.
    pub fn hedge(&self) -> Option<Arc<Hedge>> {
        self.core.stack().hedge.clone()
    }

    /// The adaptive limit.
    pub fn adaptive(&self) -> Option<Arc<Adaptive>> {
        self.core.stack().adaptive.clone()
    }

    /// The faults on purpose, such as to switch them off.
    pub fn chaos(&self) -> Option<Arc<Chaos>> {
        self.core.stack().chaos.clone()
    }
}
