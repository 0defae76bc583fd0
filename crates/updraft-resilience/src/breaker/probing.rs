//! The way of a call when the circuit is not plainly closed, and the results of probes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::core::hint;
use super::word::{Control, Limits, Probe, Step, Word};
use super::{Admission, Breaker, BreakerConfig, HalfOpen, Open, Permit, State, Transition, Trip};
use crate::{Instant, Verdict};

/// The fewest abandoned probes that mean something.
const FEWEST_ABANDONED: u32 = 3;
/// What the field of the state word holds.
const MOST_ABANDONED: u32 = 63;

/// What a half-open circuit goes by.
#[derive(Debug)]
pub(super) struct Probing {
    limits: Limits,
    /// The longest a refused call may find every place taken.
    max_wait: Option<Duration>,
    /// A ramp's shares, and how long each holds at least.
    shares: Vec<f64>,
    stage: Duration,
    /// A slower probe is a failed one.
    slower_than: Duration,
    /// What a refused call is told while half-open.
    pause: Duration,
    /// Nanoseconds: the last admission of a probe, or the beginning of a ramp's stage.
    pub(super) since: AtomicU64,
    /// The calls that asked during a ramp.
    asked: AtomicU64,
}

impl Probing {
    pub(super) fn new(config: &BreakerConfig) -> Self {
        let slowest = config.trips.iter().filter_map(|trip| match trip {
            Trip::SlowRate { slower_than, .. } => Some(*slower_than),
            Trip::FailureRate { .. } | Trip::Consecutive { .. } => None,
        });
        let (limits, max_wait) = match &config.half_open {
            HalfOpen::Permits { calls, successes_needed, failures_allowed, max_wait } => {
                let abandoned = (*successes_needed).clamp(FEWEST_ABANDONED, MOST_ABANDONED);
                let limits = Limits::Permits {
                    calls: u64::from(*calls),
                    successes: u64::from(*successes_needed),
                    failures: u64::from(*failures_allowed),
                    abandoned: u64::from(abandoned),
                };
                (limits, *max_wait)
            }
            HalfOpen::Ramp { min_calls, reopen_at, .. } => {
                (Limits::Ramp { min_calls: u64::from(*min_calls), reopen_at: *reopen_at }, None)
            }
        };
        let (shares, stage) = match &config.half_open {
            HalfOpen::Ramp { shares, stage, .. } => (shares.clone(), *stage),
            HalfOpen::Permits { .. } => (Vec::new(), Duration::ZERO),
        };
        Self {
            limits,
            max_wait,
            shares,
            stage,
            slower_than: slowest.min().unwrap_or(Duration::MAX),
            pause: config.open_for.first.min(Duration::from_secs(1)),
            since: AtomicU64::new(0),
            asked: AtomicU64::new(0),
        }
    }

    pub(super) fn begin(&self, now: Instant) {
        self.since.store(now.as_nanos(), Ordering::Release);
        self.asked.store(0, Ordering::Relaxed);
    }

    /// The share of the calls that goes through in this stage.
    pub(super) fn share(&self, stage: u64) -> Option<f64> {
        self.shares.get(usize::try_from(stage).ok()?).copied()
    }

    /// How long it has been since the last admission, or since the stage began.
    fn waited(&self, now: Instant) -> Duration {
        let since = Instant::from_nanos(self.since.load(Ordering::Acquire));
        now.saturating_duration_since(since)
    }

    /// Whether the next call belongs to a share. The multiples of the golden ratio fill the
    /// unit interval evenly: of any n calls in a row, about n × share are chosen.
    fn chooses(&self, share: f64) -> bool {
        const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
        let place = self.asked.fetch_add(1, Ordering::Relaxed).wrapping_mul(GOLDEN);
        // The 53 highest bits, as a number below 1.
        ((place >> 11) as f64) / ((1_u64 << 53) as f64) < share
    }
}

impl Breaker {
    #[cold]
    pub(super) fn admit_otherwise(&self, now: Instant) -> Admission {
        let mut transition = None;
        loop {
            let word = self.word();
            let answer = match (word.control(), word.state()) {
                (Control::Disabled, _) => Some(Ok(Word::UNCOUNTED)),
                (_, State::Closed) => Some(Ok(word.head())),
                (Control::Held, State::Open) => Some(Err(Duration::MAX)),
                (_, State::Open) => {
                    let left = self.open_until().saturating_duration_since(now);
                    if left.is_zero() {
                        transition = self.begin_probing(word, now).or(transition);
                        None
                    } else {
                        Some(Err(left))
                    }
                }
                (_, State::HalfOpen) => {
                    let (answer, opened) = self.admit_probe(word, now);
                    transition = opened.or(transition);
                    answer
                }
            };
            if let Some(answer) = answer {
                return Admission { answer: self.answer(answer, word, now), transition };
            }
        }
    }

    /// The answer as it is given: who only observes refuses nobody.
    fn answer(
        &self,
        answer: Result<Word, Duration>,
        word: Word,
        now: Instant,
    ) -> Result<Permit, Open> {
        match answer {
            Ok(head) => Ok(Permit { head, started: now }),
            Err(retry_after) => {
                self.tolls.0.rejected.fetch_add(1, Ordering::Relaxed);
                if word.control() == Control::Observing {
                    Ok(Permit { head: Word::UNCOUNTED, started: now })
                } else {
                    Err(Open { retry_after })
                }
            }
        }
    }

    fn begin_probing(&self, from: Word, now: Instant) -> Option<Transition> {
        let _turn = self.turn();
        // Under the lock nothing but the time of another opening could have come between.
        if self.word() != from || now < self.open_until() {
            return None;
        }
        self.probing.begin(now);
        self.swing(from, from.enter(State::HalfOpen)).then_some(Transition {
            from: State::Open,
            to: State::HalfOpen,
            at: now,
        })
    }

    /// The answer to a call while half-open; none when the word has changed meanwhile.
    fn admit_probe(
        &self,
        word: Word,
        now: Instant,
    ) -> (Option<Result<Word, Duration>>, Option<Transition>) {
        let pause = Some(Err(self.probing.pause));
        let Limits::Permits { calls, .. } = self.probing.limits else {
            let share = self.probing.share(word.places()).unwrap_or(1.0);
            let chosen = self.probing.chooses(share);
            return (if chosen { Some(Ok(word.head())) } else { pause }, None);
        };
        if let Some(next) = word.reserve(calls) {
            // Before the place is taken, so that nobody finds it taken since long ago. If
            // another takes it first, its admission is as late as this.
            self.probing.since.fetch_max(now.as_nanos(), Ordering::AcqRel);
            return (self.swing(word, next).then_some(Ok(word.head())), None);
        }
        let hangs = self.probing.max_wait.is_some_and(|most| self.probing.waited(now) >= most);
        if !hangs {
            return (pause, None);
        }
        (None, self.open(word, now, Duration::ZERO))
    }

    pub(super) fn record_probe(
        &self,
        permit: Permit,
        verdict: Verdict,
        now: Instant,
    ) -> Option<Transition> {
        let slow = now.saturating_duration_since(permit.started) > self.probing.slower_than;
        let probe = match verdict {
            Verdict::Ignore => Probe::Returned,
            Verdict::Success if !slow => Probe::Succeeded,
            _ => Probe::Failed,
        };
        self.settle(permit, probe, hint(verdict), now)
    }

    pub(super) fn abandon_probe(&self, permit: Permit, now: Instant) -> Option<Transition> {
        self.settle(permit, Probe::Abandoned, Duration::ZERO, now)
    }

    fn settle(
        &self,
        permit: Permit,
        probe: Probe,
        hint: Duration,
        now: Instant,
    ) -> Option<Transition> {
        loop {
            let word = self.word();
            if word.head() != permit.head {
                self.tolls.0.lost.fetch_add(1, Ordering::Relaxed);
                return None;
            }
            let step = word.settle(probe, self.probing.limits);
            let (next, ripe) = match step {
                Step::Open => match self.open(word, now, hint) {
                    Some(transition) => return Some(transition),
                    None => continue,
                },
                Step::Close => match self.close(word, now) {
                    Some(transition) => return Some(transition),
                    None => continue,
                },
                Step::Stay(next) => (next, false),
                Step::Ripe(next) => (next, self.probing.waited(now) >= self.probing.stage),
            };
            if !ripe {
                if self.swing(word, next) {
                    return None;
                }
            } else if self.probing.share(word.places() + 1).is_none() {
                if let Some(transition) = self.close(word, now) {
                    return Some(transition);
                }
            } else if self.advance(word, next, now) {
                return None;
            }
        }
    }

    /// Enters the next stage of a ramp; false when the word has changed meanwhile.
    fn advance(&self, from: Word, counted: Word, now: Instant) -> bool {
        let _turn = self.turn();
        // Another thread may have begun a stage a moment ago; its time counts from then.
        if self.probing.waited(now) < self.probing.stage {
            return self.swing(from, counted);
        }
        let advanced = self.swing(from, counted.next_stage());
        if advanced {
            self.probing.since.store(now.as_nanos(), Ordering::Release);
        }
        advanced
    }
}
