//! How jobs of one kind are done: attempts, time, urgency, and the waits between attempts.

use std::time::Duration;

use updraft_resilience::backoff::{Backoff, Jitter};

use crate::queue::NORMAL;

/// How jobs of one kind are done, unless one of them says otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JobPolicy {
    /// How often a job is tried before it is a dead letter; `None`: as the queue's URL says.
    pub attempts: Option<u32>,
    /// The longest that one attempt may take; then it is cut off, and has failed.
    pub timeout: Duration,
    /// From 0, the least urgent, to 9. Of due jobs the most urgent come first.
    pub priority: u8,
    /// The waits between attempts.
    pub backoff: JobBackoff,
    /// For how long after its enqueueing a unique key is held at least, also when the job is
    /// done before; `None`: while the job waits or runs.
    pub unique_for: Option<Duration>,
}

impl JobPolicy {
    /// What holds when nothing is said: the attempts of the queue, 10 minutes for each,
    /// priority 5, and the back-off of [`JobBackoff::DEFAULT`].
    pub const DEFAULT: Self = Self {
        attempts: None,
        timeout: Duration::from_secs(600),
        priority: NORMAL,
        backoff: JobBackoff::DEFAULT,
        unique_for: None,
    };
}

impl Default for JobPolicy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The waits between the attempts of a job: exponential, of which by chance half to all is
/// waited, so that jobs that failed together do not come back together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JobBackoff {
    /// After the first failure.
    pub first: Duration,
    /// What each wait is of the one before.
    pub factor: f64,
    /// The longest.
    pub max: Duration,
}

impl JobBackoff {
    /// 1 s after the first failure, doubled each time, up to 5 min.
    pub const DEFAULT: Self =
        Self { first: Duration::from_secs(1), factor: 2.0, max: Duration::from_secs(300) };

    /// The wait after this many attempts have failed.
    pub(crate) fn after(&self, attempts: u32) -> Duration {
        let waits = Backoff::exponential(self.first, self.max).factor(self.factor);
        waits.jitter(Jitter::Equal).delay(attempts.max(1), None, &mut fastrand::Rng::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_their_bound_and_are_never_nothing() {
        let waits = JobBackoff::DEFAULT;
        for attempts in 1..100 {
            let doubled = waits.first.saturating_mul(1 << (attempts - 1).min(16));
            let most = doubled.min(waits.max);
            let wait = waits.after(attempts);
            assert!(most / 2 <= wait && wait <= most, "{attempts}: {wait:?}");
        }
    }
}
