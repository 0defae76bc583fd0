//! The counts by which a closed circuit is judged. Every way of counting takes the same small
//! time per call however many calls it remembers, and no lock.

mod consecutive;
mod count;
mod meter;
mod time;

pub(super) use consecutive::Streak;
pub(super) use meter::{Meter, Outcome};

/// Calls, and how many of them were bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) calls: u64,
    pub(super) hits: u64,
}

impl Sums {
    /// The share of bad calls; 0 when there were none.
    pub(super) fn rate(self) -> f64 {
        // Dividing, where comparing products would make 7 of 100 less than 0.07.
        if self.calls == 0 { 0.0 } else { self.hits as f64 / self.calls as f64 }
    }
}

/// Keeps a value away from the cache lines of its neighbours, in pairs of lines, as processors
/// fetch them.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Apart<T>(pub(super) T);
