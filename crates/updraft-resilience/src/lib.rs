//! Circuit breaker, bulkhead, retry with a budget, deadlines and what belongs to them.
//!
#![doc = include_str!("../README.md")]

pub mod adaptive;
#[cfg(feature = "macros")]
pub mod attributes;
pub mod backoff;
pub mod breaker;
pub mod bulkhead;
pub mod chaos;
mod clock;
pub mod deadline;
mod error;
pub mod hedge;
mod invalid;
pub mod keyed;
#[cfg(all(doctest, feature = "tokio", feature = "tower"))]
mod pages;
pub mod policy;
mod priority;
pub mod rate_limit;
pub mod retry;
pub mod shed;
pub mod single_flight;
pub mod throttle;
mod verdict;

#[cfg(feature = "macros")]
pub use attributes::{bulkhead, circuit_breaker, guard, retry, timeout};
pub use clock::{Clock, Instant, ManualClock, Sleep};
pub use error::{Error, Rejection, Scope};
pub use invalid::Invalid;
pub use policy::Policy;
pub use priority::Priority;
pub use verdict::{Classify, RetryErrors, Verdict};
