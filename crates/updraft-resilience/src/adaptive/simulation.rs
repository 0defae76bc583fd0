//! A target with so many workers and a queue before them, on simulated time, and clients
//! who keep to the limit.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::*;

/// What the target is like for a time.
#[derive(Clone, Copy)]
pub(super) struct Phase {
    pub(super) seconds: u64,
    /// Calls it works on at the same time.
    pub(super) workers: usize,
    /// The time of one call, in microseconds; each differs by up to a fifth.
    pub(super) service: u64,
    /// Calls that may wait; more are refused after a millisecond.
    pub(super) queue: usize,
    /// Calls that clients would make at the same time if they were let.
    pub(super) demand: u32,
    /// Every call fails.
    pub(super) down: bool,
}

pub(super) const STEADY: Phase = Phase {
    seconds: 60,
    workers: 50,
    service: 50_000,
    queue: usize::MAX,
    demand: 10_000,
    down: false,
};

/// What came of a phase, in its second half.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    pub(super) average: f64,
    pub(super) least: u32,
    pub(super) most: u32,
    /// Successes, as a share of what the target could have done.
    pub(super) used: f64,
}

/// A moment, in microseconds; the call; whether it succeeds.
type End = Reverse<(u64, u64, bool)>;

pub(super) struct Simulation {
    pub(super) adaptive: Adaptive,
    /// The clock shows only multiples of so many microseconds.
    pub(super) tick: u64,
    now: u64,
    random: fastrand::Rng,
    calls: std::collections::HashMap<u64, Sample>,
    next: u64,
    ends: BinaryHeap<End>,
    /// Calls that were not refused and have not ended.
    taken: usize,
    /// When each worker is free.
    free: BinaryHeap<Reverse<u64>>,
}

impl Simulation {
    pub(super) fn new(config: AdaptiveConfig, seed: u64) -> Self {
        Self {
            adaptive: Adaptive::with_seed(config, seed).unwrap(),
            tick: 1,
            now: 1_000_000_000,
            random: fastrand::Rng::with_seed(seed),
            calls: std::collections::HashMap::new(),
            next: 0,
            ends: BinaryHeap::new(),
            taken: 0,
            free: BinaryHeap::new(),
        }
    }

    fn clock(&self) -> Instant {
        Instant::from_nanos(self.now / self.tick * self.tick * 1000)
    }

    pub(super) fn run(&mut self, phase: Phase) -> Outcome {
        let begin = self.now;
        let end = begin + phase.seconds * 1_000_000;
        let half = begin + phase.seconds * 500_000;
        self.free = (0..phase.workers).map(|_| Reverse(begin)).collect();
        let (mut successes, mut area, mut since) = (0_u64, 0.0, half);
        let (mut least, mut most) = (u32::MAX, 0);
        while self.now < end {
            let limit = self.adaptive.limit().min(phase.demand) as usize;
            while self.calls.len() < limit {
                self.start(&phase);
            }
            let Some(Reverse((at, call, success))) = self.ends.pop() else { break };
            if at > half {
                let limit = self.adaptive.limit();
                area += f64::from(limit) * (at - since) as f64;
                since = at;
                (least, most) = (least.min(limit), most.max(limit));
                successes += u64::from(success);
            }
            self.now = at;
            self.taken -= usize::from(success);
            let verdict = if success { Verdict::Success } else { Verdict::Retry };
            let sample = self.calls.remove(&call).unwrap();
            self.adaptive.on_end(sample, verdict, self.clock());
        }
        let possible = (end - half) as f64 * phase.workers as f64 / phase.service as f64;
        let average = area / (since - half) as f64;
        Outcome { average, least, most, used: successes as f64 / possible }
    }

    fn start(&mut self, phase: &Phase) {
        let sample = self.adaptive.on_start(self.clock());
        self.next += 1;
        self.calls.insert(self.next, sample);
        let full = self.taken >= phase.workers.saturating_add(phase.queue);
        let service = phase.service * self.random.u64(80..=120) / 100;
        let (at, success) = if phase.down {
            (self.now + 20_000, false)
        } else if full {
            (self.now + 1000, false)
        } else {
            let Reverse(free) = self.free.pop().unwrap();
            self.taken += 1;
            let at = free.max(self.now) + service;
            self.free.push(Reverse(at));
            (at, true)
        };
        self.ends.push(Reverse((at, self.next, success)));
    }
}

/// For so many workers, the least and the most that a limit may be on average.
type Bounds = fn(f64) -> (f64, f64);

/// The bounds of each algorithm around a capacity: what is needed to keep all workers busy,
/// and the queue that it allows itself.
pub(super) fn algorithms() -> [(Algorithm, Bounds); 3] {
    [
        (Algorithm::aimd(), |workers| (0.85 * workers, 1.35 * workers + 5.0)),
        (Algorithm::vegas(), |workers| (0.95 * workers, workers + 8.0 * workers.log10().max(1.0))),
        (Algorithm::gradient2(), |workers| (0.95 * workers, 1.7 * workers + 6.0)),
    ]
}

/// Aimd sees refusals only, so its target must refuse.
pub(super) fn queue_for(algorithm: &Algorithm, workers: usize) -> usize {
    if matches!(algorithm, Algorithm::Aimd(_)) { workers / 10 } else { usize::MAX }
}
