//! How many extra attempts there may be: a share of all calls, and a few at once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::nanos;

/// One extra attempt, in billionths: shares such as 0.05 are exact.
const ATTEMPT: u64 = 1_000_000_000;

/// Credit for extra attempts. A call deposits its share, an extra attempt takes a whole one;
/// at any time `attempts <= burst + share * calls`.
///
/// As the retry budget of Finagle (`com.twitter.finagle.service.RetryBudget`), but without
/// time: what idle time would add is the burst.
#[derive(Debug)]
pub(super) struct Budget {
    credit: AtomicU64,
    share: u64,
    most: u64,
}

impl Budget {
    pub(super) fn new(share: f64, burst: u32) -> Self {
        // A duration is a number in billionths, and its conversion is checked.
        let share = Duration::try_from_secs_f64(share).map_or(0, nanos);
        // Shares must be able to add up to one attempt even without a burst, and what is left
        // over of a share counts towards the next.
        let whole = u64::from(burst.max(1)).saturating_mul(ATTEMPT);
        let most = whole.saturating_add(share.max(ATTEMPT - 1));
        let credit = AtomicU64::new(u64::from(burst).saturating_mul(ATTEMPT));
        Self { credit, share, most }
    }

    pub(super) fn deposit(&self) {
        self.change(|credit| {
            (credit < self.most).then(|| credit.saturating_add(self.share).min(self.most))
        });
    }

    /// Takes one attempt out, in one step: two callers never spend the same credit.
    pub(super) fn withdraw(&self) -> bool {
        self.change(|credit| credit.checked_sub(ATTEMPT))
    }

    /// Whole attempts that could be made now.
    pub(super) fn available(&self) -> u64 {
        self.credit.load(Ordering::Relaxed) / ATTEMPT
    }

    fn change(&self, to: impl FnMut(u64) -> Option<u64>) -> bool {
        self.credit.fetch_update(Ordering::Relaxed, Ordering::Relaxed, to).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn attempts_are_never_more_than_the_burst_and_the_share_of_the_calls(
            share in 0.0..2.0_f64,
            burst in 0_u32..20,
            calls_first in proptest::collection::vec(any::<bool>(), 0..2000),
        ) {
            let budget = Budget::new(share, burst);
            let (mut calls, mut attempts) = (0_u32, 0_u32);
            for is_call in calls_first {
                if is_call {
                    budget.deposit();
                    calls += 1;
                } else if budget.withdraw() {
                    attempts += 1;
                }
                let allowed = f64::from(burst) + share * f64::from(calls);
                prop_assert!(f64::from(attempts) <= allowed + 1e-6);
            }
        }
    }

    #[test]
    fn the_whole_share_is_used_when_every_call_asks() {
        for (share, expected) in [(0.05, 500), (0.3, 3000), (1.0, 10_000), (0.0, 0)] {
            let budget = Budget::new(share, 0);
            let granted = (0..10_000).filter(|_| {
                budget.deposit();
                budget.withdraw()
            });
            assert_eq!(granted.count(), expected, "{share}");
        }
    }

    #[test]
    fn quiet_callers_save_no_more_than_the_burst() {
        let budget = Budget::new(0.5, 3);
        (0..1000).for_each(|_| budget.deposit());
        assert_eq!(budget.available(), 3);
        assert_eq!((0..100).filter(|_| budget.withdraw()).count(), 3);
    }

    #[test]
    fn threads_together_get_exactly_what_is_there() {
        let budget = Budget::new(0.05, 10);
        let granted: usize = std::thread::scope(|scope| {
            let ask = || {
                let calls = (0..20_000).filter(|_| {
                    budget.deposit();
                    budget.withdraw()
                });
                calls.count()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(granted, 4 * 20_000 / 20 + 10);
        assert_eq!(budget.available(), 0);
    }
}
