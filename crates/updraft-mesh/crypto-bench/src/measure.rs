//! CPU time of this thread, and rows of a table.

use std::fmt;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// One line of the table: microseconds, `None` where a subject has no such part.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) values: Vec<Option<f64>>,
}

/// The CPU time that this thread has used.
pub(crate) fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// The middle of what was taken.
pub(crate) fn median(mut taken: Vec<Option<f64>>) -> Option<f64> {
    taken.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    taken.get(taken.len() / 2).copied().flatten()
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| {} |", self.name)?;
        for value in &self.values {
            match value {
                Some(value) => write!(f, " {value:.2} µs |")?,
                None => write!(f, " n/a |")?,
            }
        }
        Ok(())
    }
}
