//! The calls of the last while: ten buckets, kept apart per thread, so that threads which
//! record successes never wait for each other. The ten buckets are those of linkerd2 and
//! seatbelt.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::Sums;
use crate::Instant;
use crate::clock::nanos;

const SLOTS: usize = 10;
const BUCKETS: u64 = SLOTS as u64;
/// Threads beyond these share a stripe, which stays exact.
const STRIPES: usize = 8;

/// The buckets.
///
/// A bucket is one word: the number of its tenth of the window (its *tick*) modulo 2³², the
/// bad calls, and all calls, so that a bucket is begun anew and counted in one step, and no
/// call is counted twice, lost, or put into another tick, however many threads record. Its
/// limits:
///
/// * At 65 535 calls in one bucket and stripe both numbers are halved: the rate stays, the
///   sums are then smaller than the truth.
/// * A sum is taken bucket by bucket, while others go on counting.
/// * A call whose moment is a whole window or more older than what its bucket already holds is
///   not counted.
/// * An unused bucket is taken for a recent one after exactly 2³² ticks, which is 497 days for
///   the shortest window, and grows with the window.
#[derive(Debug)]
pub(super) struct TimeWindow {
    stripes: [Stripe; STRIPES],
    /// 2⁶⁴ divided by the length of a bucket in nanoseconds: to multiply takes a fraction of
    /// the time that it takes to divide. Rounded up, so that a tick begins at the moment it
    /// should or earlier, by at most one part in 2⁶⁴ of the time on the clock times its own
    /// length: 54 µs after 11 days, for a bucket of a second.
    per_tick: u64,
}

#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe([AtomicU64; SLOTS]);

/// One bucket as a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bucket {
    tick: u64,
    hits: u64,
    calls: u64,
}

const MOST: u64 = (1 << 16) - 1;
const TICKS: u64 = (1 << 32) - 1;
/// Moments of several threads differ by far less; more is the end of a long time of rest.
const LATE: u64 = 1 << 16;

impl Bucket {
    const fn unpack(word: u64) -> Self {
        Self { tick: word >> 32, hits: (word >> 16) & MOST, calls: word & MOST }
    }

    const fn pack(self) -> u64 {
        (self.tick << 32) | (self.hits << 16) | self.calls
    }

    const fn add(self, hit: bool) -> Self {
        let room = if self.calls < MOST {
            self
        } else {
            Self { hits: self.hits / 2, calls: self.calls / 2, ..self }
        };
        Self { calls: room.calls + 1, hits: room.hits + hit as u64, ..room }
    }
}

impl TimeWindow {
    pub(super) fn new(span: Duration) -> Self {
        let bucket = (nanos(span) / BUCKETS).max(2);
        Self { stripes: Default::default(), per_tick: u64::MAX / bucket + 1 }
    }

    #[inline]
    fn tick(&self, now: Instant) -> u64 {
        let product = u128::from(now.as_nanos()) * u128::from(self.per_tick);
        u64::try_from(product >> 64).unwrap_or(u64::MAX)
    }

    #[inline]
    pub(super) fn add(&self, hit: bool, now: Instant) {
        let tick = self.tick(now);
        let bucket = usize::try_from(tick % BUCKETS).unwrap_or_default();
        let slot = &self.stripes[stripe()].0[bucket];
        let tick = tick & TICKS;
        let mut word = slot.load(Ordering::Relaxed);
        loop {
            let seen = Bucket::unpack(word);
            let next = if seen.tick == tick {
                seen
            } else if seen.calls > 0 && seen.tick.wrapping_sub(tick) & TICKS <= LATE {
                return;
            } else {
                Bucket { tick, hits: 0, calls: 0 }
            };
            let written = slot.compare_exchange_weak(
                word,
                next.add(hit).pack(),
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match written {
                Ok(_) => return,
                Err(other) => word = other,
            }
        }
    }

    pub(super) fn sums(&self, now: Instant) -> Sums {
        let tick = self.tick(now);
        let slots = self.stripes.iter().flat_map(|stripe| &stripe.0);
        let recent = slots
            .map(|slot| Bucket::unpack(slot.load(Ordering::Relaxed)))
            .filter(|bucket| tick.wrapping_sub(bucket.tick) & TICKS < BUCKETS);
        recent.fold(Sums::default(), |sums, bucket| Sums {
            calls: sums.calls + bucket.calls,
            hits: sums.hits + bucket.hits,
        })
    }

    pub(super) fn reset(&self) {
        let slots = self.stripes.iter().flat_map(|stripe| &stripe.0);
        slots.for_each(|slot| slot.store(0, Ordering::Relaxed));
    }
}

/// The stripe of this thread: each new thread takes the next one.
#[inline]
fn stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    const NONE: usize = usize::MAX;
    thread_local! {
        static MINE: Cell<usize> = const { Cell::new(NONE) };
    }
    MINE.with(|mine| {
        if mine.get() == NONE {
            mine.set(NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES);
        }
        mine.get()
    })
}

#[cfg(test)]
#[path = "time_tests.rs"]
mod tests;
