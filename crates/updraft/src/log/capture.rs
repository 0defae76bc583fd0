//! The log of a service that is tested within the test: what would be written to standard
//! output is kept, line by line, as it would stand there.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::layer::EventLayer;
use super::rate::RateLimit;
use super::value::Style;
use super::writer::LogWriter;
use super::{Directives, Identity, LogControl, LogCounts, Logs};
use crate::metrics::LogLines;

/// The lines of one test that are kept, in bytes: the last ones.
const KEPT_BYTES: usize = 16 * 1024 * 1024;

/// The lines of one service. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<String>,
    bytes: usize,
}

impl Lines {
    pub(super) fn keep(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let mut kept = self.lock();
        kept.bytes += line.len();
        kept.lines.push_back(line.into_owned());
        while KEPT_BYTES < kept.bytes
            && let Some(oldest) = kept.lines.pop_front()
        {
            kept.bytes -= oldest.len();
        }
    }

    /// All of them, the oldest first.
    pub(crate) fn all(&self) -> Vec<String> {
        self.lock().lines.iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Logs {
    /// Keeps the lines instead of writing them. No thread is started.
    pub(crate) fn kept(
        identity: Identity,
        directives: Directives,
        lines_per_second: u32,
    ) -> (Self, EventLayer, Lines) {
        let (counts, lines, kept) = (LogCounts::default(), LogLines::default(), Lines::default());
        let writer = LogWriter::keeping(counts.clone(), kept.clone());
        let control = LogControl::new(directives, || {});
        let rate = Arc::new(RateLimit::new(lines_per_second));
        let layer = EventLayer::new(identity, Style::Json, writer.clone(), rate, lines.clone());
        (Self { writer, control, counts, lines }, layer, kept)
    }
}
