//! How much is logged, by level: the first sign of trouble that costs nothing to look at.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::Level;

use super::{Exposed, Kind, Text, labels};

const LEVELS: [(Level, &str); 5] = [
    (Level::ERROR, "error"),
    (Level::WARN, "warn"),
    (Level::INFO, "info"),
    (Level::DEBUG, "debug"),
    (Level::TRACE, "trace"),
];

/// The counts of one process. Clones are the same counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogLines {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    written: [AtomicU64; LEVELS.len()],
}

impl LogLines {
    /// A line was made.
    pub(crate) fn made(&self, level: Level) {
        let place = LEVELS.iter().position(|(known, _)| *known == level);
        if let Some(count) = place.and_then(|place| self.shared.written.get(place)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Exposed for LogLines {
    fn write(&self, text: &mut Text<'_>) {
        let name = "updraft_log_lines";
        text.family(name, Kind::Counter, "Log lines that were made, by level.");
        for ((_, level), count) in LEVELS.iter().zip(&self.shared.written) {
            text.counter(name, &labels([("level", *level)]), count.load(Ordering::Relaxed));
        }
    }
}
