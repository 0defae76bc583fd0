//! How long a connection may be used.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// What the clock can hold in any case.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// The life of one connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    born: Instant,
    renew: Instant,
    end: Instant,
}

impl Life {
    /// A life from `born` on that lasts `max_age`, give or take a tenth so that connections
    /// that were opened together do not end together; or until `not_after` if that is earlier.
    pub(super) fn new(born: Instant, max_age: Duration, not_after: Option<SystemTime>) -> Self {
        let age = max_age.min(LONGEST).mul_f64(0.9 + 0.2 * fastrand::f64());
        let left = not_after.map_or(age, |end| {
            end.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO).min(age)
        });
        let end = born.checked_add(left).unwrap_or(born);
        let renew = born.checked_add(left.mul_f64(0.9)).unwrap_or(born);
        Self { born, renew, end }
    }

    /// Whether it must not be used any more.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        now >= self.end
    }

    /// Whether another connection should be opened to take its place.
    pub(super) fn is_ending(&self, now: Instant) -> bool {
        now >= self.renew
    }

    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.born)
    }
}
