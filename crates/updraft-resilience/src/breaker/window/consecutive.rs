//! Failures in a row, and abandoned calls in a row: one word, which a success only reads as
//! long as all goes well.

use std::sync::atomic::{AtomicU64, Ordering};

/// Both rows; each saturates at 2³² − 1.
#[derive(Debug, Default)]
pub(in crate::breaker) struct Streak(AtomicU64);

const ABANDONED: u64 = (1 << 32) - 1;

impl Streak {
    /// Ends both rows.
    #[inline]
    pub(in crate::breaker) fn succeed(&self) {
        // A store would take the cache line from every other thread.
        if self.0.load(Ordering::Relaxed) != 0 {
            self.0.store(0, Ordering::Relaxed);
        }
    }

    /// One more failure in a row; returns how many there are now.
    pub(in crate::breaker) fn fail(&self) -> u64 {
        let longer = |row: u64| ((row >> 32) + 1).min(ABANDONED) << 32;
        longer(self.update(longer)) >> 32
    }

    /// A result that is neither failure nor success.
    pub(in crate::breaker) fn pass(&self) {
        self.update(|row| row & !ABANDONED);
    }

    /// One more abandoned call in a row; returns how many there are now.
    pub(in crate::breaker) fn abandon(&self) -> u64 {
        let longer = |row: u64| (row & !ABANDONED) | ((row & ABANDONED) + 1).min(ABANDONED);
        longer(self.update(longer)) & ABANDONED
    }

    pub(in crate::breaker) fn failures(&self) -> u64 {
        self.0.load(Ordering::Relaxed) >> 32
    }

    pub(in crate::breaker) fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Returns the row before.
    fn update(&self, change: impl Fn(u64) -> u64) -> u64 {
        let mut row = self.0.load(Ordering::Relaxed);
        loop {
            let changed = self.0.compare_exchange_weak(
                row,
                change(row),
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match changed {
                Ok(before) => return before,
                Err(other) => row = other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Event {
        Succeed,
        Fail,
        Pass,
        Abandon,
    }

    proptest! {
        #[test]
        fn the_rows_are_those_of_the_list_of_events(events in prop::collection::vec(0..4_u8, 0..60)) {
            let streak = Streak::default();
            let mut seen = Vec::new();
            for event in events {
                let event = [Event::Succeed, Event::Fail, Event::Pass, Event::Abandon][usize::from(event)];
                seen.push(event);
                let abandoned = seen.iter().rev().take_while(|e| matches!(e, Event::Abandon)).count();
                let failures = seen
                    .iter()
                    .rev()
                    .take_while(|e| !matches!(e, Event::Succeed))
                    .filter(|e| matches!(e, Event::Fail))
                    .count();
                match event {
                    Event::Succeed => streak.succeed(),
                    Event::Fail => prop_assert_eq!(streak.fail(), failures as u64),
                    Event::Pass => streak.pass(),
                    Event::Abandon => prop_assert_eq!(streak.abandon(), abandoned as u64),
                }
                prop_assert_eq!(streak.failures(), failures as u64);
            }
        }
    }

    #[test]
    fn no_failure_of_many_threads_is_missed() {
        let streak = Streak::default();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        streak.fail();
                    }
                });
            }
        });
        assert_eq!(streak.failures(), 8000);
    }

    #[test]
    fn rows_beyond_the_word_saturate() {
        let streak = Streak(AtomicU64::new(u64::MAX));
        assert_eq!(streak.fail(), ABANDONED);
        streak.0.store(u64::MAX, Ordering::Relaxed);
        assert_eq!(streak.abandon(), ABANDONED);
        assert_eq!(streak.failures(), ABANDONED);
    }
}
