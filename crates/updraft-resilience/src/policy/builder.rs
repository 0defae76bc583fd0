//! Putting a policy together.

#[cfg(feature = "serde")]
use std::ffi::OsString;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::Policy;
use super::config::PolicyConfig;
use super::core::Core;
use super::events::Event;
use super::fallback::{FallbackAsync, FallbackFn, NoFallback};
use crate::adaptive::AdaptiveConfig;
use crate::breaker::BreakerConfig;
use crate::bulkhead::BulkheadConfig;
use crate::chaos::ChaosConfig;
use crate::hedge::HedgeConfig;
use crate::rate_limit::RateLimitConfig;
use crate::retry::RetryConfig;
use crate::shed::ShedConfig;
use crate::throttle::ThrottleConfig;
use crate::{Clock, Error, Invalid, RetryErrors, Verdict};

type Listener = Arc<dyn Fn(&str, &Event) + Send + Sync>;

/// Collects the parts of a [`Policy`]; their order does not matter.
#[must_use = "a policy is there when it is built"]
pub struct PolicyBuilder<C = RetryErrors, F = NoFallback> {
    name: String,
    config: PolicyConfig,
    clock: Clock,
    seed: Option<u64>,
    listeners: Vec<Listener>,
    classify: C,
    fallback: F,
}

impl PolicyBuilder {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            config: PolicyConfig::default(),
            clock: Clock::system(),
            seed: None,
            listeners: Vec::new(),
            classify: RetryErrors,
            fallback: NoFallback,
        }
    }
}

impl<C, F> PolicyBuilder<C, F> {
    /// All parts at once, from data; replaces those that were given before.
    pub fn config(mut self, config: PolicyConfig) -> Self {
        self.config = config;
        self
    }

    /// The longest that a call may take in all. None by default.
    pub fn deadline(mut self, total: Duration) -> Self {
        self.config.deadline = Some(total);
        self
    }

    /// The longest that one attempt may take. None by default.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.config.attempt_timeout = Some(timeout);
        self
    }

    /// The operation may run twice without harm, so it may be hedged.
    pub fn idempotent(mut self) -> Self {
        self.config.idempotent = true;
        self
    }

    /// Tries again what failed.
    pub fn retry(mut self, retry: RetryConfig) -> Self {
        self.config.retry = Some(retry);
        self
    }

    /// Tries beside what is slow; the operation must be [`idempotent`](Self::idempotent).
    pub fn hedge(mut self, hedge: HedgeConfig) -> Self {
        self.config.hedge = Some(hedge);
        self
    }

    /// Bounds attempts per time.
    pub fn rate_limit(mut self, limit: RateLimitConfig) -> Self {
        self.config.rate_limit = Some(limit);
        self
    }

    /// Holds attempts back in the measure in which the target refuses them.
    pub fn throttle(mut self, throttle: ThrottleConfig) -> Self {
        self.config.throttle = Some(throttle);
        self
    }

    /// Leaves a target alone for a while that fails too often.
    pub fn breaker(mut self, breaker: BreakerConfig) -> Self {
        self.config.breaker = Some(breaker);
        self
    }

    /// Bounds attempts at once.
    pub fn bulkhead(mut self, bulkhead: BulkheadConfig) -> Self {
        self.config.bulkhead = Some(bulkhead);
        self
    }

    /// Finds the bound of the bulkhead by itself, from latencies and failures.
    pub fn adaptive(mut self, adaptive: AdaptiveConfig) -> Self {
        self.config.adaptive = Some(adaptive);
        self
    }

    /// Refuses less important calls first when there is too much work.
    pub fn shed(mut self, shed: ShedConfig) -> Self {
        self.config.shed = Some(shed);
        self
    }

    /// Makes faults on purpose.
    pub fn chaos(mut self, chaos: ChaosConfig) -> Self {
        self.config.chaos = Some(chaos);
        self
    }

    /// What outcomes mean, for all parts; [`RetryErrors`] by default. A closure is
    /// `Fn(Result<&T, &E>) -> Verdict`.
    pub fn classify<T, E, C2>(self, classify: C2) -> PolicyBuilder<C2, F>
    where
        C2: Fn(Result<&T, &E>) -> Verdict,
    {
        self.classifier(classify)
    }

    /// The same by a type of one's own, which can also say what an attempt means that took
    /// too long ([`Classify::timed_out`](crate::Classify::timed_out)).
    pub fn classifier<C2>(self, classify: C2) -> PolicyBuilder<C2, F> {
        let Self { name, config, clock, seed, listeners, fallback, .. } = self;
        PolicyBuilder { name, config, clock, seed, listeners, classify, fallback }
    }

    /// What there is instead of a value when all else has failed.
    pub fn fallback<T, E, G>(self, fallback: G) -> PolicyBuilder<C, FallbackFn<G>>
    where
        G: Fn(Error<E>) -> Result<T, Error<E>>,
    {
        self.with_fallback(FallbackFn(fallback))
    }

    /// The same from elsewhere, and later. [`call_blocking`](Policy::call_blocking) waits for
    /// it on its thread, where nothing drives it but its own wakers.
    pub fn fallback_async<G>(self, fallback: G) -> PolicyBuilder<C, FallbackAsync<G>> {
        self.with_fallback(FallbackAsync(fallback))
    }

    fn with_fallback<F2>(self, fallback: F2) -> PolicyBuilder<C, F2> {
        let Self { name, config, clock, seed, listeners, classify, .. } = self;
        PolicyBuilder { name, config, clock, seed, listeners, classify, fallback }
    }

    /// Where time comes from; [`Clock::system`] by default.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Makes jitter and chance repeat themselves: for tests.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Calls `listener` with the policy's name and each event, outside of all locks. It
    /// should be quick; a panic of it is contained.
    pub fn on_event(mut self, listener: impl Fn(&str, &Event) + Send + Sync + 'static) -> Self {
        self.listeners.push(Arc::new(listener));
        self
    }

    /// Lets variables `RESILIENCE_<NAME>_…` of the environment change the parts so far: each
    /// field by its path, such as `RESILIENCE_ORDERS_RETRY_ATTEMPTS=5` for the attempts of
    /// the policy `orders`. Spans are such as `250ms`; a part that was not there is there
    /// when one of its fields is set, with defaults for the others.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with every variable that fits no field or has no sound value.
    #[cfg(feature = "serde")]
    pub fn env(self) -> Result<Self, Invalid> {
        let readable = |(key, value): (OsString, OsString)| {
            Some((key.into_string().ok()?, value.to_string_lossy().into_owned()))
        };
        self.variables(std::env::vars_os().filter_map(readable))
    }

    /// [`env`](Self::env) with variables from elsewhere.
    ///
    /// # Errors
    ///
    /// As for [`env`](Self::env).
    #[cfg(feature = "serde")]
    pub fn variables(
        mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Invalid> {
        self.config = super::env::apply(&self.name, self.config, variables)?;
        Ok(self)
    }

    /// The policy.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with every bad field of every part.
    pub fn build(self) -> Result<Policy<C, F>, Invalid> {
        let core = Core::build(self.name, self.clock, self.seed, self.config)?;
        for listener in self.listeners {
            core.listeners.add(listener);
        }
        Ok(Policy::from_parts(core, self.classify, self.fallback))
    }
}

impl<C, F> fmt::Debug for PolicyBuilder<C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyBuilder")
            .field("name", &self.name)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
