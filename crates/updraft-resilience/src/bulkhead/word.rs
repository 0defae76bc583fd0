//! The one word that all callers of a bulkhead share: the places in use, the most of them, and
//! whether somebody waits. In one word, because a caller must see all three at one moment.

use std::sync::atomic::{AtomicU64, Ordering};

use super::config::MOST;

const IN_USE: u64 = 0xFFFF_FFFF;
const MAX_SHIFT: u32 = 32;
const WAITING: u64 = 1 << 63;

/// `waiting: 1 | max: 31 | in use: 32`, on a cache line of its own.
///
/// All that changes is changed by one atomic step on this word, so that its changes have one
/// order, and whoever gives a place back either comes before the mark (and the one who set the
/// mark sees the place) or after it (and sees the mark).
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Word(AtomicU64);

/// Whether a caller takes a place although others wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Manners {
    /// Not before those who wait.
    Queues,
    /// On behalf of the one who is next.
    IsNext,
}

#[inline]
fn low(word: u64) -> u32 {
    u32::try_from(word & IN_USE).unwrap_or(u32::MAX)
}

#[inline]
fn high(word: u64) -> u32 {
    low((word & !WAITING) >> MAX_SHIFT)
}

impl Word {
    pub(super) fn new(max: u32) -> Self {
        Self(AtomicU64::new(u64::from(max) << MAX_SHIFT))
    }

    pub(super) fn in_use(&self) -> u32 {
        low(self.0.load(Ordering::Relaxed))
    }

    pub(super) fn max(&self) -> u32 {
        high(self.0.load(Ordering::Relaxed))
    }

    /// Takes a place if there is one.
    #[inline]
    pub(super) fn take(&self, manners: Manners) -> bool {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let barred = manners == Manners::Queues && seen & WAITING != 0;
            if barred || low(seen) >= high(seen) {
                return false;
            }
            match self.0.compare_exchange_weak(seen, seen + 1, Ordering::Acquire, Ordering::Relaxed)
            {
                Ok(_) => return true,
                Err(other) => seen = other,
            }
        }
    }

    /// Gives a place back; tells whether somebody waits for it.
    #[inline]
    pub(super) fn give(&self) -> bool {
        let before = self.0.fetch_sub(1, Ordering::AcqRel);
        if low(before) == 0 {
            // Released twice. Left alone, it would borrow from `max`.
            self.0.fetch_add(1, Ordering::AcqRel);
            debug_assert!(low(before) > 0, "a place was released twice");
        }
        before & WAITING != 0
    }

    /// Changes the most places; tells whether somebody waits.
    pub(super) fn set_max(&self, max: u32) -> bool {
        let max = u64::from(max.clamp(1, MOST)) << MAX_SHIFT;
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let next = seen & (WAITING | IN_USE) | max;
            match self.0.compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return seen & WAITING != 0,
                Err(other) => seen = other,
            }
        }
    }

    /// Says that somebody waits, or that nobody does. Only the owner of the queue's lock does.
    pub(super) fn mark(&self, waiting: bool) {
        if waiting {
            self.0.fetch_or(WAITING, Ordering::AcqRel);
        } else {
            self.0.fetch_and(!WAITING, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_the_word_do_not_touch_each_other() {
        let word = Word::new(MOST);
        word.mark(true);
        assert_eq!((word.max(), word.in_use()), (MOST, 0));
        assert!(!word.take(Manners::Queues) && word.take(Manners::IsNext));
        assert!(word.set_max(1));
        assert_eq!((word.max(), word.in_use()), (1, 1));
        assert!(!word.take(Manners::IsNext));
        word.mark(false);
        assert!(!word.give());
        assert_eq!((word.max(), word.in_use()), (1, 0));
        assert!(!word.set_max(0), "a limit of 0 would never let a call through");
        assert_eq!(word.max(), 1);
        word.set_max(u32::MAX);
        assert_eq!(word.max(), MOST);
    }
}
