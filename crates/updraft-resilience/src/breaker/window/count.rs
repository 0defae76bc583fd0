//! The last so many calls: a ring with one bit per call, and the number of set bits beside it.
//! After failsafe-go's bit set, without its lock.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Apart, Sums};

/// The ring.
///
/// Recorded by one thread, it is exact. Recorded by many, each call gets its own place of the
/// ring, and since each flip of a bit tells what the bit was before, the number of bad calls
/// is always that of the set bits, except for the calls that are being recorded at that very
/// moment: sums are off by at most one per such thread, and exact once they are through. A
/// thread that is held up between taking its place and writing it, for as long as the others
/// need to go once round, overwrites one newer call with its older one.
#[derive(Debug)]
pub(super) struct CountWindow {
    size: u64,
    /// How many calls there have been since the last reset.
    cursor: Apart<AtomicU64>,
    /// How many bits are set. It wraps below 0 for an instant when a call is counted out by
    /// one thread before it is counted in by another.
    hits: Apart<AtomicU64>,
    bits: Box<[AtomicU64]>,
}

impl CountWindow {
    pub(super) fn new(size: u32) -> Self {
        let words = size.div_ceil(64);
        Self {
            size: u64::from(size).max(1),
            cursor: Apart::default(),
            hits: Apart::default(),
            bits: (0..words.max(1)).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    #[inline]
    pub(super) fn add(&self, hit: bool) {
        let place = self.cursor.0.fetch_add(1, Ordering::Relaxed) % self.size;
        let bit = 1 << (place % 64);
        let index = usize::try_from(place / 64).unwrap_or_default();
        let Some(word) = self.bits.get(index) else { return };
        let was_set = if hit {
            word.fetch_or(bit, Ordering::Relaxed) & bit != 0
        } else {
            // Good calls over good calls, as nearly all are, write nothing but the cursor.
            word.load(Ordering::Relaxed) & bit != 0
                && word.fetch_and(!bit, Ordering::Relaxed) & bit != 0
        };
        match (was_set, hit) {
            (false, true) => self.hits.0.fetch_add(1, Ordering::Relaxed),
            (true, false) => self.hits.0.fetch_sub(1, Ordering::Relaxed),
            _ => return,
        };
    }

    pub(super) fn sums(&self) -> Sums {
        let calls = self.cursor.0.load(Ordering::Relaxed).min(self.size);
        let hits = self.hits.0.load(Ordering::Relaxed);
        let below_zero = hits > u64::MAX / 2;
        Sums { calls, hits: if below_zero { 0 } else { hits.min(calls) } }
    }

    pub(super) fn reset(&self) {
        self.cursor.0.store(0, Ordering::Relaxed);
        for word in &self.bits {
            let set = word.swap(0, Ordering::Relaxed).count_ones();
            self.hits.0.fetch_sub(u64::from(set), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_counts_what_a_plain_queue_of_the_last_calls_counts(
            size in 1_u32..200,
            calls in prop::collection::vec(prop::option::weighted(0.98, any::<bool>()), 0..600),
        ) {
            let window = CountWindow::new(size);
            let mut queue = VecDeque::new();
            for call in calls {
                if let Some(hit) = call {
                    window.add(hit);
                    queue.push_back(hit);
                    if queue.len() > size as usize {
                        queue.pop_front();
                    }
                } else {
                    window.reset();
                    queue.clear();
                }
                let hits = queue.iter().filter(|hit| **hit).count() as u64;
                prop_assert_eq!(window.sums(), Sums { calls: queue.len() as u64, hits });
            }
        }
    }

    #[test]
    fn many_threads_leave_exactly_the_set_bits_counted() {
        let window = CountWindow::new(1000);
        std::thread::scope(|scope| {
            for thread in 0..8_u64 {
                let window = &window;
                scope.spawn(move || {
                    for call in 0..5000_u64 {
                        window.add((call * 7 + thread).is_multiple_of(3));
                        if call % 1999 == thread {
                            window.reset();
                        }
                    }
                });
            }
        });
        let set: u32 = window.bits.iter().map(|w| w.load(Ordering::Relaxed).count_ones()).sum();
        assert_eq!(window.hits.0.load(Ordering::Relaxed), u64::from(set));
    }

    #[test]
    fn the_failures_of_many_threads_within_the_window_are_all_there() {
        let window = CountWindow::new(8000);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..1000).for_each(|call| window.add(call % 4 == 0)));
            }
        });
        assert_eq!(window.sums(), Sums { calls: 8000, hits: 2000 });
    }
}
