//! The time of the wall, as certificates mean it. Tests have a clock of their own, so that
//! expiry is seen without waiting.

use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

/// Where the time comes from.
#[derive(Clone, Debug, Default)]
pub(crate) enum WallClock {
    /// The clock of the system.
    #[default]
    System,
    /// Seconds since 1970 that a test sets.
    #[cfg(test)]
    Manual(std::sync::Arc<std::sync::atomic::AtomicU64>),
    /// A start, and the time of tokio since then, which a test pauses.
    #[cfg(test)]
    Paused(u64, tokio::time::Instant),
}

impl WallClock {
    pub(crate) fn now(&self) -> UnixTime {
        match self {
            Self::System => UnixTime::now(),
            #[cfg(test)]
            Self::Manual(seconds) => {
                let seconds = seconds.load(std::sync::atomic::Ordering::SeqCst);
                UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds))
            }
            #[cfg(test)]
            Self::Paused(start, origin) => UnixTime::since_unix_epoch(
                std::time::Duration::from_secs(*start).saturating_add(origin.elapsed()),
            ),
        }
    }
}

impl TimeProvider for WallClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.now())
    }
}
