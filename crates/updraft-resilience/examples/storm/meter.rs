//! Figures of the last second, from counters that only grow.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::load::Client;

/// Samples of a second.
const SAMPLES: usize = 10;
/// How far back the small curve goes, in samples.
const CURVE: usize = 120;

/// Counts since the start.
#[derive(Clone, Copy, Default)]
pub(crate) struct Totals {
    pub(crate) calls: u64,
    pub(crate) attempts: u64,
    pub(crate) answered: u64,
    pub(crate) failed: u64,
    pub(crate) open: u64,
    pub(crate) full: u64,
    pub(crate) late: u64,
    pub(crate) retries: u64,
    pub(crate) not_granted: u64,
}

impl Totals {
    fn read(client: &Client) -> Self {
        let tally = &client.tally;
        Self {
            calls: tally.calls.load(Ordering::Relaxed),
            attempts: tally.attempts.load(Ordering::Relaxed),
            answered: tally.answered.load(Ordering::Relaxed),
            failed: tally.failed.load(Ordering::Relaxed),
            open: tally.open.load(Ordering::Relaxed),
            full: tally.full.load(Ordering::Relaxed),
            late: tally.late.load(Ordering::Relaxed),
            retries: client.snapshot().counts.retries,
            not_granted: client.not_granted(),
        }
    }

    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self {
            calls: self.calls - earlier.calls,
            attempts: self.attempts - earlier.attempts,
            answered: self.answered - earlier.answered,
            failed: self.failed - earlier.failed,
            open: self.open - earlier.open,
            full: self.full - earlier.full,
            late: self.late - earlier.late,
            retries: self.retries - earlier.retries,
            not_granted: self.not_granted - earlier.not_granted,
        }
    }

    /// Requests that the target got for each call.
    pub(crate) fn load(&self) -> f64 {
        self.attempts as f64 / self.calls.max(1) as f64
    }

    /// The share of calls that were answered, in percent. Calls of the scene before may end
    /// in this one.
    pub(crate) fn answered_percent(&self) -> u64 {
        (self.answered * 100 / self.calls.max(1)).min(100)
    }
}

/// What there is to be shown of a client.
pub(crate) struct Figures {
    /// Of the last second.
    pub(crate) second: Totals,
    /// The median and the 99th percentile of the answers of the last second.
    pub(crate) latency: Option<(Duration, Duration)>,
    /// Answers in each tenth of a second, the latest last.
    pub(crate) curve: Vec<u64>,
}

/// Looks at a client from time to time.
pub(crate) struct Meter {
    samples: VecDeque<(Totals, Vec<Duration>)>,
}

impl Meter {
    pub(crate) fn new(client: &Client) -> Self {
        Self { samples: VecDeque::from([(Totals::read(client), Vec::new())]) }
    }

    pub(crate) fn sample(&mut self, client: &Client) {
        self.samples.push_back((Totals::read(client), client.tally.take_latencies()));
        if self.samples.len() > CURVE + 1 {
            self.samples.pop_front();
        }
    }

    pub(crate) fn totals(&self) -> Totals {
        self.samples.back().map(|(totals, _)| *totals).unwrap_or_default()
    }

    pub(crate) fn figures(&self) -> Figures {
        let begin = self.samples.len().saturating_sub(SAMPLES + 1);
        let before = self.samples.get(begin).map(|(totals, _)| *totals).unwrap_or_default();
        let recent = self.samples.iter().skip(begin + 1);
        let mut latencies: Vec<Duration> =
            recent.flat_map(|(_, latencies)| latencies.iter().copied()).collect();
        latencies.sort_unstable();
        let at = |percent: usize| latencies.get(latencies.len() * percent / 100).copied();
        let steps = self.samples.iter().zip(self.samples.iter().skip(1));
        Figures {
            second: self.totals().since(&before),
            latency: at(50).zip(at(99)),
            curve: steps.map(|((a, _), (b, _))| b.answered - a.answered).collect(),
        }
    }
}
