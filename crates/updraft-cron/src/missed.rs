//! What becomes of times that passed while nobody looked.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// What happens to the times that passed while no scheduler ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missed {
    /// They are left out; the schedule goes on with its next time.
    Skip,
    /// The last of them is fired, once.
    #[default]
    RunOnce,
    /// Each of them is fired, the oldest first; of more than `most`, the last so many.
    RunAll {
        /// How many at most.
        most: u32,
    },
}

/// A time later than this was missed; until then it is only late.
const LATE: Duration = Duration::from_secs(60);

/// What is to be fired now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// The times, the oldest first.
    pub fires: Vec<Timestamp>,
    /// Times that are left out.
    pub left_out: u64,
}

impl Missed {
    /// What is to be fired of `passed`, which are times up to `now`, the oldest first.
    pub(crate) fn keep(self, mut passed: Vec<Timestamp>, now: Timestamp) -> Due {
        let all = passed.len();
        let on_time = |at: &Timestamp| {
            now.duration_since(*at) <= SignedDuration::try_from(LATE).unwrap_or_default()
        };
        let keep = match self {
            Self::Skip => usize::from(passed.last().is_some_and(on_time)),
            Self::RunOnce => all.min(1),
            Self::RunAll { most } => all.min(usize::try_from(most.max(1)).unwrap_or(usize::MAX)),
        };
        let fires = passed.split_off(all - keep);
        Due { fires, left_out: u64::try_from(all - keep).unwrap_or(u64::MAX) }
    }
}
