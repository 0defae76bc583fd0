//! One value that makes calls of an unreliable target reliable, or honestly and quickly
//! refused.
//!
//! # The order
//!
//! A [`Policy`] has its parts in one order, the outermost first, whatever order they were
//! named in:
//!
//! | part | why it is here |
//! |---|---|
//! | fallback | sees every failure, also those of the parts below |
//! | load shedding | refuses work before anything was spent on it |
//! | total deadline | bounds everything: attempts, their waits, and the queue |
//! | hedge | another row of attempts beside a slow one |
//! | retry, with its budget | waits hold no place in the bulkhead and no permit of the breaker |
//! | rate limit, throttle | count attempts, since those are what the target sees |
//! | circuit breaker | hears of each attempt, never of what the parts above and below refuse |
//! | bulkhead, adaptive limit | a place is held only while an attempt runs |
//! | attempt timeout | one attempt's time; a late one is a failure of the target |
//! | fault injection | what it does looks to all parts above as if the target did it |
//!
//! Another order is asked for by a word of its own: [`Policy::around`] puts one policy
//! around another.

mod admission;
mod around;
mod builder;
mod call;
mod config;
mod core;
#[cfg(feature = "serde")]
mod env;
mod events;
mod fallback;
mod handle;
mod keyed;
#[cfg(feature = "tower")]
mod layer;
mod leg;
mod operation;
mod options;
mod stack;
mod tally;
mod thread;
mod version;

use std::fmt;
use std::sync::Arc;

#[cfg(feature = "macros")]
pub(crate) use around::flatten;
pub use around::{Around, Inwards};
pub use builder::PolicyBuilder;
pub use call::Call;
pub use config::PolicyConfig;
pub use events::Event;
pub use fallback::{Fallback, FallbackAsync, FallbackFn, NoFallback, Recovery};
pub use handle::{PolicyHandle, PolicySnapshot, handle, snapshots};
pub use keyed::KeyedPolicy;
#[cfg(feature = "tower")]
pub use layer::{
    CloneRequest, KeyedLayer, KeyedService, PolicyLayer, PolicyService, Replay, SendOnce,
    ServiceAttempt, ServiceOperation,
};
pub use operation::{Attempt, FromFn, Operation};
pub use options::CallOptions;
pub use tally::Counts;

use self::core::Core;
use crate::{Classify, Error, RetryErrors};

/// Everything that is to hold for the calls of one target. A clone is the same policy, with
/// the same state.
///
/// ```
/// use std::time::Duration;
/// use updraft_resilience::policy::Policy;
/// use updraft_resilience::retry::RetryConfig;
/// use updraft_resilience::breaker::BreakerConfig;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let orders = Policy::named("orders")
///     .deadline(Duration::from_secs(2))
///     .retry(RetryConfig::default())
///     .breaker(BreakerConfig::default())
///     .attempt_timeout(Duration::from_millis(500))
///     .build()?;
///
/// let answer = orders.call(|attempt| async move {
///     // Ask the target; `attempt.remaining()` is the time that is left for it.
///     if attempt.number() == 1 { Err("not yet") } else { Ok(42) }
/// });
/// assert_eq!(answer.await, Ok(42));
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Policy<C = RetryErrors, F = NoFallback> {
    inner: Arc<Inner<C, F>>,
}

struct Inner<C, F> {
    core: Arc<Core>,
    classify: C,
    fallback: F,
}

impl Policy {
    /// Begins a policy without any part. The name stands for it in events, metrics,
    /// snapshots and the environment.
    pub fn named(name: impl Into<String>) -> PolicyBuilder {
        PolicyBuilder::new(name.into())
    }
}

impl<C, F> Policy<C, F> {
    pub(super) fn from_parts(core: Arc<Core>, classify: C, fallback: F) -> Self {
        Self { inner: Arc::new(Inner { core, classify, fallback }) }
    }

    /// The same with a state of its own, for a key.
    pub(super) fn sibling(&self) -> Self
    where
        C: Clone,
        F: Clone,
    {
        let Inner { core, classify, fallback } = &*self.inner;
        Self::from_parts(core.sibling(), classify.clone(), fallback.clone())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.inner.core.name
    }

    /// What watches and changes it, without its types.
    pub fn handle(&self) -> PolicyHandle {
        PolicyHandle::new(Arc::clone(&self.inner.core))
    }

    /// Runs `operation`, as often as it takes and the policy allows.
    ///
    /// The closure makes one attempt each time it is called. Nothing is cloned for the first.
    ///
    /// # Errors
    ///
    /// [`Error::Inner`] with the last failure, or [`Error::Rejected`] when a part refused.
    pub fn call<Op, Fut, T, E>(&self, operation: Op) -> Call<&Self, FromFn<Op>>
    where
        Op: FnMut(Attempt) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        C: Classify<T, E>,
        F: Fallback<T, E>,
    {
        self.call_with(CallOptions::default(), operation)
    }

    /// [`call`](Self::call) with wishes of this one call.
    ///
    /// # Errors
    ///
    /// As for [`call`](Self::call).
    pub fn call_with<Op, Fut, T, E>(
        &self,
        options: CallOptions,
        operation: Op,
    ) -> Call<&Self, FromFn<Op>>
    where
        Op: FnMut(Attempt) -> Fut,
        Fut: Future<Output = Result<T, E>>,
        C: Classify<T, E>,
        F: Fallback<T, E>,
    {
        Call::new(self, FromFn(operation), options)
    }

    /// Runs a blocking `operation` on this thread, which also waits here.
    ///
    /// An attempt that blocks cannot be cut off: it is told its time by
    /// [`Attempt::remaining`], and no further one is started when the time is over. There
    /// are no hedges.
    ///
    /// # Errors
    ///
    /// As for [`call`](Self::call).
    pub fn call_blocking<Op, T, E>(&self, operation: Op) -> Result<T, Error<E>>
    where
        Op: FnMut(Attempt) -> Result<T, E>,
        C: Classify<T, E>,
        F: Fallback<T, E>,
    {
        self.call_blocking_with(CallOptions::default(), operation)
    }

    /// [`call_blocking`](Self::call_blocking) with wishes of this one call.
    ///
    /// # Errors
    ///
    /// As for [`call`](Self::call).
    pub fn call_blocking_with<Op, T, E>(
        &self,
        options: CallOptions,
        operation: Op,
    ) -> Result<T, Error<E>>
    where
        Op: FnMut(Attempt) -> Result<T, E>,
        C: Classify<T, E>,
        F: Fallback<T, E>,
    {
        thread::call(self, options, operation)
    }

    /// This policy around `inner`: what `inner` gives is to this one the outcome of its
    /// operation. The word for another order than the usual one.
    pub fn around<C2, F2>(&self, inner: &Policy<C2, F2>) -> Around<C, F, C2, F2>
    where
        C: Clone,
        F: Clone,
    {
        Around::new(self, inner)
    }

    /// A policy like this one for each key, each with its own state, at most `capacity` of
    /// them; those that are not used make room.
    pub fn keyed<K>(&self, capacity: u32) -> KeyedPolicy<K, C, F>
    where
        K: std::hash::Hash + Eq + Clone + Send + Sync + 'static,
        C: Clone + Send + Sync + 'static,
        F: Clone + Send + Sync + 'static,
    {
        KeyedPolicy::new(self, capacity)
    }

    /// This policy as a `tower::Layer` for requests that can be cloned.
    #[cfg(feature = "tower")]
    pub fn layer(&self) -> PolicyLayer<C, F> {
        PolicyLayer::new(self.clone())
    }
}

impl<C, F> Clone for Policy<C, F> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<C, F> fmt::Debug for Policy<C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("name", &self.name()).finish_non_exhaustive()
    }
}

/// A policy, borrowed or owned.
pub trait AsPolicy: sealed::Sealed {
    /// Its classifier.
    type Classify;
    /// Its fallback.
    type Fallback;

    /// The policy.
    fn as_policy(&self) -> &Policy<Self::Classify, Self::Fallback>;
}

impl<C, F> AsPolicy for Policy<C, F> {
    type Classify = C;
    type Fallback = F;

    fn as_policy(&self) -> &Self {
        self
    }
}

impl<C, F> AsPolicy for &Policy<C, F> {
    type Classify = C;
    type Fallback = F;

    fn as_policy(&self) -> &Policy<C, F> {
        self
    }
}

mod sealed {
    pub trait Sealed {}

    impl<C, F> Sealed for super::Policy<C, F> {}
    impl<C, F> Sealed for &super::Policy<C, F> {}
}
