//! One rate that may open the circuit: what it counts, in which window, and from when on.

use std::time::Duration;

use super::Sums;
use super::count::CountWindow;
use super::time::TimeWindow;
use crate::Instant;
use crate::breaker::{Trip, Window};

/// What a closed circuit learns from one call.
#[derive(Clone, Copy, Debug)]
pub(in crate::breaker) struct Outcome {
    pub(in crate::breaker) failed: bool,
    pub(in crate::breaker) elapsed: Duration,
    pub(in crate::breaker) now: Instant,
}

/// A rate with its window.
#[derive(Debug)]
pub(in crate::breaker) struct Meter {
    counts: Counts,
    at_least: f64,
    min_calls: u64,
    tally: Tally,
}

#[derive(Debug)]
enum Counts {
    Failures,
    Slower(Duration),
}

#[derive(Debug)]
enum Tally {
    Count { results: Box<CountWindow>, size: u64 },
    Time { results: Box<TimeWindow>, abandoned: Box<TimeWindow> },
}

impl Meter {
    /// The meter of a rate; consecutive failures need none.
    pub(in crate::breaker) fn new(trip: &Trip) -> Option<Self> {
        let (counts, at_least, window, min_calls) = match *trip {
            Trip::FailureRate { at_least, window, min_calls } => {
                (Counts::Failures, at_least, window, min_calls)
            }
            Trip::SlowRate { at_least, slower_than, window, min_calls } => {
                (Counts::Slower(slower_than), at_least, window, min_calls)
            }
            Trip::Consecutive { .. } => return None,
        };
        let tally = match window {
            Window::Count(size) => {
                Tally::Count { results: Box::new(CountWindow::new(size)), size: u64::from(size) }
            }
            Window::Time(span) => Tally::Time {
                results: Box::new(TimeWindow::new(span)),
                abandoned: Box::new(TimeWindow::new(span)),
            },
        };
        Some(Self { counts, at_least, min_calls: u64::from(min_calls), tally })
    }

    /// Counts a call; whether it was bad and makes the rate too high.
    #[inline]
    pub(in crate::breaker) fn record(&self, outcome: Outcome) -> bool {
        let hit = match self.counts {
            Counts::Failures => outcome.failed,
            Counts::Slower(than) => outcome.elapsed > than,
        };
        match &self.tally {
            Tally::Count { results, .. } => results.add(hit),
            Tally::Time { results, .. } => results.add(hit, outcome.now),
        }
        hit && self.is_reached(outcome.now)
    }

    fn is_reached(&self, now: Instant) -> bool {
        let sums = self.sums(now);
        sums.calls >= self.min_calls && sums.rate() >= self.at_least
    }

    /// Notes an abandoned call, the `in_a_row`th; whether there is nothing but abandoned ones.
    pub(in crate::breaker) fn abandon(&self, in_a_row: u64, now: Instant) -> bool {
        if matches!(self.counts, Counts::Slower(_)) {
            return false;
        }
        match &self.tally {
            Tally::Count { results, size } => {
                let untried = results.sums().calls == 0;
                in_a_row >= if untried { self.min_calls } else { *size }
            }
            Tally::Time { results, abandoned } => {
                abandoned.add(true, now);
                results.sums(now).calls == 0 && abandoned.sums(now).calls >= self.min_calls
            }
        }
    }

    pub(in crate::breaker) fn sums(&self, now: Instant) -> Sums {
        match &self.tally {
            Tally::Count { results, .. } => results.sums(),
            Tally::Time { results, .. } => results.sums(now),
        }
    }

    pub(in crate::breaker) fn reset(&self) {
        match &self.tally {
            Tally::Count { results, .. } => results.reset(),
            Tally::Time { results, abandoned } => {
                results.reset();
                abandoned.reset();
            }
        }
    }
}
