//! What a bulkhead is told: how many calls at once, who may wait, how long and in which order.

use std::time::Duration;

use crate::invalid::{Findings, Invalid};

/// The most calls at once that can be configured; the counter shares its word with two others.
pub(super) const MOST: u32 = u32::MAX >> 1;

/// The limits of a [`Bulkhead`](super::Bulkhead).
///
/// ```
/// use std::time::Duration;
/// use updraft_resilience::bulkhead::{Bulkhead, BulkheadConfig, QueueOrder};
///
/// let config = BulkheadConfig {
///     max: 256,
///     queue: 64,
///     max_wait: Duration::from_millis(100),
///     order: QueueOrder::Lifo,
/// };
/// assert!(Bulkhead::new(config).is_ok());
///
/// // No call could ever run.
/// assert!(Bulkhead::new(BulkheadConfig { max: 0, ..BulkheadConfig::default() }).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields, default, rename_all = "snake_case"))]
pub struct BulkheadConfig {
    /// How many calls may run at once: 1 to 2³¹ − 1, 64 by default.
    pub max: u32,
    /// How many callers may wait for a place. 0, the default, refuses at once.
    pub queue: u32,
    /// How long a caller may wait; 1 s by default. It must not be zero where there is a queue.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub max_wait: Duration,
    /// Who of the waiting callers of one priority is served first; the oldest by default.
    pub order: QueueOrder,
}

/// Who of the waiting callers of one priority is served first. More important ones always go
/// before less important ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum QueueOrder {
    /// Who came first: fair.
    #[default]
    Fifo,
    /// Who came last: while there are too many calls, some are answered in time, where a fair
    /// queue would answer all of them too late. After the adaptive LIFO of Ben Maurer, "Fail
    /// at Scale", ACM Queue 13(8), 2015; there is no need to switch between the orders, as
    /// they do not differ while the queue is short.
    Lifo,
}

impl Default for BulkheadConfig {
    fn default() -> Self {
        Self { max: 64, queue: 0, max_wait: Duration::from_secs(1), order: QueueOrder::Fifo }
    }
}

impl BulkheadConfig {
    /// Looks for limits that make no sense.
    ///
    /// # Errors
    ///
    /// [`Invalid`] with every bad field.
    pub fn validate(&self) -> Result<(), Invalid> {
        let mut findings = Findings::default();
        findings.require((1..=MOST).contains(&self.max), "max", "from 1 to 2147483647");
        let waits = self.queue == 0 || !self.max_wait.is_zero();
        findings.require(waits, "max_wait", "longer than nothing where there is a queue");
        findings.into_result()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bad_limit_is_named_at_once() {
        let config =
            BulkheadConfig { max: 0, queue: 3, max_wait: Duration::ZERO, ..Default::default() };
        let invalid = config.validate().unwrap_err();
        assert_eq!(invalid.problems().len(), 2, "{invalid}");
        assert!(BulkheadConfig { max: MOST + 1, ..Default::default() }.validate().is_err());
        assert!(BulkheadConfig { max: MOST, ..Default::default() }.validate().is_ok());
        assert!(
            BulkheadConfig { queue: 0, ..config }.validate().unwrap_err().problems().len() == 1
        );
    }

    #[cfg(feature = "serde")]
    #[test]
    fn the_configuration_is_data() {
        fn data<T: serde::Serialize + serde::de::DeserializeOwned>() {}
        data::<BulkheadConfig>();
    }
}
