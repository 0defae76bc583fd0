//! The breaker itself: the path of a call through a closed circuit, and every change of state.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::probing::Probing;
use super::window::{Apart, Meter, Outcome, Streak};
use super::word::{Control, Word};
use super::{Abandoned, Admission, BreakerConfig, Open, Permit, State, Transition, Trip};
use crate::{Instant, Invalid, Verdict};

/// A circuit breaker. Shared between threads by reference or `Arc`; see the
/// [module](super) for what it does.
///
/// [`Error::Rejected`](crate::Error::Rejected) of our own policies must not be recorded as
/// failures: give such permits back with [`Verdict::Ignore`].
#[derive(Debug)]
pub struct Breaker {
    /// The state, which every call reads, with what is read together with it and as seldom
    /// written.
    pub(super) shared: Apart<Shared>,
    pub(super) streak: Apart<Streak>,
    pub(super) tolls: Apart<Tolls>,
    pub(super) meters: Box<[Meter]>,
    pub(super) probing: Probing,
    /// The fewest consecutive failures that open.
    consecutive: u64,
    /// Held while the state changes; the times that it has opened since it was closed.
    turn: Mutex<u32>,
    config: BreakerConfig,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) word: AtomicU64,
    /// In nanoseconds; says something while the circuit is open, and is written before.
    pub(super) open_until: AtomicU64,
}

/// Counters that nothing depends on.
#[derive(Debug, Default)]
pub(super) struct Tolls {
    pub(super) rejected: AtomicU64,
    pub(super) lost: AtomicU64,
}

impl Breaker {
    /// A closed circuit.
    ///
    /// # Errors
    ///
    /// [`Invalid`] when the configuration makes no sense.
    pub fn new(config: BreakerConfig) -> Result<Self, Invalid> {
        config.validate()?;
        let consecutive = config.trips.iter().filter_map(|trip| match trip {
            Trip::Consecutive { failures } => Some(u64::from(*failures)),
            Trip::FailureRate { .. } | Trip::SlowRate { .. } => None,
        });
        let word = AtomicU64::new(Word::NEW.bits());
        Ok(Self {
            shared: Apart(Shared { word, open_until: AtomicU64::new(0) }),
            streak: Apart::default(),
            tolls: Apart::default(),
            meters: config.trips.iter().filter_map(Meter::new).collect(),
            probing: Probing::new(&config),
            consecutive: consecutive.min().unwrap_or(u64::MAX),
            turn: Mutex::new(0),
            config,
        })
    }

    /// What it was built from.
    pub const fn config(&self) -> &BreakerConfig {
        &self.config
    }

    /// Asks to make a call. Like [`admit`](Self::admit), for who does not watch changes of
    /// state.
    ///
    /// # Errors
    ///
    /// [`Open`] when the call must not be made.
    #[inline]
    pub fn try_acquire(&self, now: Instant) -> Result<Permit, Open> {
        let word = self.word();
        if word.is_plainly_closed() {
            return Ok(Permit { head: word.head(), started: now });
        }
        self.admit_otherwise(now).answer
    }

    /// The permit of a circuit that is closed with nothing special; otherwise it takes an
    /// [`admit`](Self::admit) to know.
    #[inline]
    pub(crate) fn admit_closed(&self, now: Instant) -> Option<Permit> {
        let word = self.word();
        word.is_plainly_closed().then(|| Permit { head: word.head(), started: now })
    }

    /// Asks to make a call.
    #[inline]
    pub fn admit(&self, now: Instant) -> Admission {
        let word = self.word();
        if word.is_plainly_closed() {
            let permit = Permit { head: word.head(), started: now };
            return Admission { answer: Ok(permit), transition: None };
        }
        self.admit_otherwise(now)
    }

    /// Hands a permit back with what came of the call, and tells whether that changed the
    /// state. The call took from the start of the permit until `now`.
    ///
    /// [`Verdict::Ignore`] gives the permit back uncounted; [`Verdict::Throttled`] counts for
    /// rates and probes, and not for consecutive failures.
    #[inline]
    pub fn record(&self, permit: Permit, verdict: Verdict, now: Instant) -> Option<Transition> {
        let word = self.word();
        if word.head() != permit.head {
            self.note_stray(permit);
            return None;
        }
        match word.state() {
            State::Closed => self.record_closed(word, permit, verdict, now),
            _ => self.record_probe(permit, verdict, now),
        }
    }

    /// Hands a permit back for a call that was given up without a result.
    pub fn abandon(&self, permit: Permit, now: Instant) -> Option<Transition> {
        let word = self.word();
        if word.head() != permit.head {
            self.note_stray(permit);
            return None;
        }
        let closed = word.state() == State::Closed;
        match self.config.abandoned {
            Abandoned::Failure => self.record(permit, Verdict::Fail, now),
            Abandoned::Neutral if closed => None,
            Abandoned::Neutral => self.record(permit, Verdict::Ignore, now),
            Abandoned::FailureIfAll if closed => self.abandon_closed(word, now),
            Abandoned::FailureIfAll => self.abandon_probe(permit, now),
        }
    }

    /// The state at this moment. An open circuit whose time is over is half-open: the next
    /// call is a probe.
    pub fn state(&self, now: Instant) -> State {
        let word = self.word();
        let held = word.control() == Control::Held;
        match word.state() {
            State::Open if !held && now >= self.open_until() => State::HalfOpen,
            state => state,
        }
    }

    #[inline]
    fn record_closed(
        &self,
        word: Word,
        permit: Permit,
        verdict: Verdict,
        now: Instant,
    ) -> Option<Transition> {
        if verdict == Verdict::Ignore {
            return None;
        }
        let elapsed = now.saturating_duration_since(permit.started);
        let outcome = Outcome { failed: verdict.is_failure(), elapsed, now };
        let mut opens = false;
        for meter in &self.meters {
            opens |= meter.record(outcome);
        }
        match verdict {
            Verdict::Success => self.streak.0.succeed(),
            Verdict::Throttled(_) => self.streak.0.pass(),
            _ => opens |= self.streak.0.fail() >= self.consecutive,
        }
        if opens { self.open(word, now, hint(verdict)) } else { None }
    }

    fn abandon_closed(&self, word: Word, now: Instant) -> Option<Transition> {
        let in_a_row = self.streak.0.abandon();
        let mut opens = in_a_row >= self.consecutive;
        for meter in &self.meters {
            opens |= meter.abandon(in_a_row, now);
        }
        if opens { self.open(word, now, Duration::ZERO) } else { None }
    }

    #[cold]
    fn note_stray(&self, permit: Permit) {
        if permit.head != Word::UNCOUNTED {
            self.tolls.0.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(super) fn word(&self) -> Word {
        Word::from_bits(self.shared.0.word.load(Ordering::Acquire))
    }

    pub(super) fn open_until(&self) -> Instant {
        Instant::from_nanos(self.shared.0.open_until.load(Ordering::Acquire))
    }

    /// Changes the word, unless it has changed meanwhile.
    pub(super) fn swing(&self, from: Word, to: Word) -> bool {
        let word = &self.shared.0.word;
        word.compare_exchange(from.bits(), to.bits(), Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Nobody else changes the state while this is held; only the counts of a half-open
    /// circuit may still change.
    pub(super) fn turn(&self) -> MutexGuard<'_, u32> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the circuit, unless the word is not this any more.
    pub(super) fn open(&self, from: Word, now: Instant, hint: Duration) -> Option<Transition> {
        if from.control() == Control::Held {
            return None;
        }
        let mut openings = self.turn();
        if self.word().head() != from.head() {
            return None;
        }
        let open_for = self.config.open_for;
        let span = open_for.after(*openings).max(hint.min(open_for.max));
        self.shared.0.open_until.store((now + span).as_nanos(), Ordering::Release);
        self.swing(from, from.enter(State::Open)).then(|| {
            *openings = openings.saturating_add(1);
            Transition { from: from.state(), to: State::Open, at: now }
        })
    }

    /// Closes the circuit, unless the word is not this any more.
    pub(super) fn close(&self, from: Word, now: Instant) -> Option<Transition> {
        let mut openings = self.turn();
        if self.word().head() != from.head() {
            return None;
        }
        self.forget();
        self.swing(from, from.enter(State::Closed)).then(|| {
            *openings = 0;
            Transition { from: from.state(), to: State::Closed, at: now }
        })
    }

    /// Empties what a closed circuit is judged by.
    pub(super) fn forget(&self) {
        self.streak.0.reset();
        self.meters.iter().for_each(Meter::reset);
    }
}

/// How long the target asked to be left alone.
pub(super) fn hint(verdict: Verdict) -> Duration {
    match verdict {
        Verdict::Throttled(Some(hint)) => hint,
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
#[path = "core_tests.rs"]
mod tests;
