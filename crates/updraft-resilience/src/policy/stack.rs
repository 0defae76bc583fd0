//! The parts of a policy at work, in their one order.

use std::sync::Arc;

use super::config::PolicyConfig;
use crate::adaptive::Adaptive;
use crate::breaker::{Breaker, BreakerConfig};
use crate::bulkhead::Bulkhead;
use crate::chaos::Chaos;
use crate::hedge::Hedge;
use crate::rate_limit::RateLimiter;
use crate::retry::Budget;
use crate::shed::Shedder;
use crate::throttle::Throttle;
use crate::{Instant, Invalid};

/// What calls read once, at their start; a change of the configuration is another stack.
#[derive(Clone, Debug)]
pub(crate) struct Stack {
    pub(crate) config: PolicyConfig,
    /// A part wants to know when a successful attempt ended.
    pub(crate) looks_at_the_end: bool,
    /// A part wants to know exactly how long a successful attempt took.
    pub(crate) measures: bool,
    /// There is a rate limit or a throttle.
    pub(crate) counts_attempts: bool,
    pub(crate) shed: Option<Arc<Shedder>>,
    pub(crate) hedge: Option<Arc<Hedge>>,
    pub(crate) budget: Option<Arc<Budget>>,
    pub(crate) rate_limit: Option<Arc<RateLimiter>>,
    pub(crate) throttle: Option<Arc<Throttle>>,
    pub(crate) breaker: Option<Arc<Breaker>>,
    pub(crate) bulkhead: Option<Arc<Bulkhead>>,
    pub(crate) adaptive: Option<Arc<Adaptive>>,
    pub(crate) chaos: Option<Arc<Chaos>>,
}

/// The part that there was when its configuration is still the same, else a new one.
fn keep_or_make<C: PartialEq, P>(
    old: Option<(&Option<C>, &Option<Arc<P>>)>,
    new: Option<&C>,
    make: impl FnOnce(&C) -> Result<P, Invalid>,
) -> Result<Option<Arc<P>>, Invalid> {
    let Some(config) = new else { return Ok(None) };
    if let Some((Some(before), Some(part))) = old
        && before == config
    {
        return Ok(Some(Arc::clone(part)));
    }
    make(config).map(|part| Some(Arc::new(part)))
}

/// The part that there was, changed where it has to be, or a new one.
fn keep_or_change<C, P>(
    old: Option<&Arc<P>>,
    new: Option<&C>,
    make: impl FnOnce(&C) -> Result<P, Invalid>,
    change: impl FnOnce(&P, &C) -> Result<(), Invalid>,
) -> Result<Option<Arc<P>>, Invalid> {
    match (old, new) {
        (_, None) => Ok(None),
        (None, Some(config)) => make(config).map(|part| Some(Arc::new(part))),
        (Some(part), Some(config)) => change(part, config).map(|()| Some(Arc::clone(part))),
    }
}

impl Stack {
    /// Builds the parts of `config`; those whose configuration has not changed are taken
    /// over from `old` with all that they remember. Nothing is changed when it is not valid.
    pub(crate) fn build(
        config: PolicyConfig,
        old: Option<&Self>,
        now: Instant,
    ) -> Result<Self, Invalid> {
        config.validate()?;
        macro_rules! part {
            ($name:ident, $make:expr) => {
                keep_or_make(
                    old.map(|old| (&old.config.$name, &old.$name)),
                    config.$name.as_ref(),
                    $make,
                )?
            };
        }
        let old_budget = old.map(|old| old.config.retry.as_ref().and_then(|retry| retry.budget));
        let budget = keep_or_make(
            old.zip(old_budget.as_ref()).map(|(old, config)| (config, &old.budget)),
            config.retry.as_ref().and_then(|retry| retry.budget.as_ref()),
            |config| Budget::new(*config, now),
        )?;
        // These two only change their limits: started anew they would let as much run at once,
        // or in the same time, as the old one and the new one together.
        let same_rate = old.is_some_and(|old| old.config.rate_limit == config.rate_limit);
        let rate_limit = keep_or_change(
            old.and_then(|old| old.rate_limit.as_ref()),
            config.rate_limit.as_ref(),
            |config| RateLimiter::new(config.clone()),
            |limiter, new| {
                if same_rate { Ok(()) } else { limiter.set_rate(new.calls, new.per, new.burst) }
            },
        )?;
        let same_places = old.is_some_and(|old| {
            let is_set_free = old.adaptive.is_some() && config.adaptive.is_none();
            old.config.bulkhead == config.bulkhead && !is_set_free
        });
        let bulkhead = keep_or_change(
            old.and_then(|old| old.bulkhead.as_ref()),
            config.bulkhead.as_ref(),
            |config| Bulkhead::new(*config),
            |bulkhead, new| if same_places { Ok(()) } else { bulkhead.reconfigure(*new) },
        )?;
        let adaptive = part!(adaptive, |config| Adaptive::new(config.clone()));
        if let (Some(adaptive), Some(bulkhead)) = (&adaptive, &bulkhead) {
            bulkhead.set_max(adaptive.limit());
        }
        Ok(Self {
            shed: part!(shed, |config| Shedder::new(config.clone())),
            hedge: part!(hedge, |config| Hedge::new(*config)),
            rate_limit,
            throttle: part!(throttle, |config| Throttle::new(config.clone())),
            breaker: part!(breaker, |config| Breaker::new(config.clone())),
            bulkhead,
            adaptive,
            chaos: part!(chaos, |config| Chaos::new(*config)),
            budget,
            measures: config.hedge.is_some()
                || config.adaptive.is_some()
                || config.breaker.as_ref().is_some_and(BreakerConfig::measures),
            counts_attempts: config.rate_limit.is_some() || config.throttle.is_some(),
            looks_at_the_end: config.hedge.is_some()
                || config.adaptive.is_some()
                || config.throttle.is_some()
                || config.breaker.is_some(),
            config,
        })
    }

    /// The same parts without what they remember.
    pub(crate) fn anew(&self, now: Instant) -> Result<Self, Invalid> {
        Self::build(self.config.clone(), None, now)
    }

    /// How much of the capacity is used, from 0; above 1 where some wait.
    pub(crate) fn load(&self) -> f64 {
        let Some(bulkhead) = &self.bulkhead else { return 0.0 };
        let snapshot = bulkhead.snapshot();
        f64::from(snapshot.in_use.saturating_add(snapshot.queued)) / f64::from(snapshot.max.max(1))
    }
}
