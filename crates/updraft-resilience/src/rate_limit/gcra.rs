//! The arithmetic of the limiter: one word per limited thing, changed by compare-and-swap.
//!
//! GCRA, the generic cell rate algorithm of ITU-T I.371 (virtual scheduling), as the crate
//! `governor` uses it. The word is the theoretical arrival time: the moment from which on the
//! whole burst is free again. A call moves it on by one interval; how far it lies in the
//! future is what has been used up of the burst.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{Limited, RateLimitConfig};
use crate::Instant;
use crate::invalid::Invalid;

/// How fast calls may come; shared by all that is limited alike, and replaced while in use.
#[derive(Debug)]
pub(super) struct Pace {
    /// Nanoseconds of one call.
    interval: AtomicU64,
    burst: AtomicU32,
    config: Mutex<RateLimitConfig>,
}

/// The state of one limited thing.
#[derive(Debug)]
pub(super) struct Arrival {
    /// The theoretical arrival time, in nanoseconds.
    theoretical: AtomicU64,
    /// The pace at which it was reckoned, to notice when that has been replaced.
    interval: AtomicU64,
    burst: AtomicU32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Step {
    interval: u64,
    burst: u32,
}

impl Step {
    /// The time in which a used up burst comes back.
    fn whole(self) -> u64 {
        self.interval.saturating_mul(u64::from(self.burst))
    }
}

impl Pace {
    pub(super) fn new(config: RateLimitConfig) -> Result<Self, Invalid> {
        config.validate()?;
        Ok(Self {
            interval: AtomicU64::new(config.interval()),
            burst: AtomicU32::new(config.burst),
            config: Mutex::new(config),
        })
    }

    pub(super) fn set(&self, config: RateLimitConfig) -> Result<(), Invalid> {
        config.validate()?;
        let mut current = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        self.interval.store(config.interval(), Ordering::Relaxed);
        self.burst.store(config.burst, Ordering::Relaxed);
        *current = config;
        Ok(())
    }

    pub(super) fn config(&self) -> RateLimitConfig {
        self.config.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A state with the whole burst free.
    pub(super) fn arrival(&self) -> Arrival {
        let step = self.step();
        Arrival {
            theoretical: AtomicU64::new(0),
            interval: AtomicU64::new(step.interval),
            burst: AtomicU32::new(step.burst),
        }
    }

    fn step(&self) -> Step {
        Step {
            interval: self.interval.load(Ordering::Relaxed),
            burst: self.burst.load(Ordering::Relaxed),
        }
    }

    #[inline]
    pub(super) fn acquire(&self, arrival: &Arrival, n: u32, now: Instant) -> Result<(), Limited> {
        let step = self.current(arrival, now);
        let now = now.as_nanos();
        let (cost, whole) = (step.interval.saturating_mul(u64::from(n)), step.whole());
        if cost > whole {
            return Err(Limited { retry_after: Duration::MAX });
        }
        let mut theoretical = arrival.theoretical.load(Ordering::Relaxed);
        loop {
            let used = theoretical.saturating_sub(now).saturating_add(cost);
            if used > whole {
                return Err(Limited { retry_after: Duration::from_nanos(used - whole) });
            }
            let Some(next) = now.checked_add(used) else {
                return Err(Limited { retry_after: Duration::MAX });
            };
            // Relaxed: the word guards no other memory.
            match arrival.theoretical.compare_exchange_weak(
                theoretical,
                next,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Ok(()),
                Err(changed) => theoretical = changed,
            }
        }
    }

    /// How many calls are free at this moment, and how long until there is one.
    pub(super) fn free(&self, arrival: &Arrival, now: Instant) -> (u32, Duration) {
        let step = self.current(arrival, now);
        let used = arrival.theoretical.load(Ordering::Relaxed).saturating_sub(now.as_nanos());
        let left = step.whole().saturating_sub(used);
        let free = u32::try_from(left / step.interval).unwrap_or(step.burst);
        let wait = used.saturating_add(step.interval).saturating_sub(step.whole());
        (free, Duration::from_nanos(wait))
    }

    /// The pace now, with the state brought up to it.
    #[inline]
    fn current(&self, arrival: &Arrival, now: Instant) -> Step {
        let step = self.step();
        if step != arrival.step() {
            self.carry_over(arrival, now);
            return self.step();
        }
        step
    }

    /// After a change of the pace a state keeps the calls it had left, as far as the new
    /// burst holds them: neither does a faster pace wait for the debts of a slower one, nor
    /// is a change a gift.
    #[cold]
    fn carry_over(&self, arrival: &Arrival, now: Instant) {
        let config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        let new = Step { interval: config.interval(), burst: config.burst };
        let old = arrival.step();
        if old == new {
            return;
        }
        let now = now.as_nanos();
        let move_over = |theoretical: u64| {
            let left = old.whole().saturating_sub(theoretical.saturating_sub(now));
            let same_calls = u128::from(left) * u128::from(new.interval) / u128::from(old.interval);
            let left = u64::try_from(same_calls).unwrap_or(u64::MAX).min(new.whole());
            now.saturating_add(new.whole() - left)
        };
        arrival.theoretical.update(Ordering::Relaxed, Ordering::Relaxed, move_over);
        arrival.interval.store(new.interval, Ordering::Relaxed);
        arrival.burst.store(new.burst, Ordering::Relaxed);
    }
}

impl Arrival {
    fn step(&self) -> Step {
        Step {
            interval: self.interval.load(Ordering::Relaxed),
            burst: self.burst.load(Ordering::Relaxed),
        }
    }
}
