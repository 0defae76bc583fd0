//! What time it is, for what is due, kept and over at a time of the calendar: jobs, leases,
//! schedules, cached values. A service asks the machine. A test may turn the clock of its own
//! service: that of the threads that its service runs on, as `tracing` has it with subscribers,
//! so that services that are tested at once in one program have each its own time.

use jiff::Timestamp;

/// Now.
pub(crate) fn now() -> Timestamp {
    #[cfg(feature = "testing")]
    if let Some(ahead) = turned::ahead() {
        return Timestamp::now().saturating_add(ahead).unwrap_or(Timestamp::MAX);
    }
    Timestamp::now()
}

#[cfg(feature = "testing")]
pub(crate) use turned::TestClock;

#[cfg(feature = "testing")]
mod turned {
    use std::cell::RefCell;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use jiff::SignedDuration;

    thread_local! {
        static CLOCK: RefCell<Option<TestClock>> = const { RefCell::new(None) };
    }

    /// A clock that can be turned on. Clones are the same.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct TestClock {
        ahead_ms: Arc<AtomicU64>,
    }

    impl TestClock {
        /// Turns it on; never back.
        pub(crate) fn advance(&self, by: Duration) {
            let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
            self.ahead_ms.fetch_add(ms, Ordering::Relaxed);
        }

        /// Makes it, or none, the clock of this thread.
        pub(crate) fn of_thread(clock: Option<Self>) {
            // A thread that is ending asks for no time.
            drop(CLOCK.try_with(|own| own.replace(clock)));
        }
    }

    /// How far the clock of this thread is ahead, when it has one.
    pub(super) fn ahead() -> Option<SignedDuration> {
        let ahead = |clock: &TestClock| clock.ahead_ms.load(Ordering::Relaxed);
        let ms = CLOCK.try_with(|own| own.borrow().as_ref().map(ahead)).ok().flatten()?;
        Some(SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX)))
    }
}
