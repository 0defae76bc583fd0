//! The log of a system: what its processes print, merged, numbered and kept.
//!
//! A program must never wait because somebody reads slowly, so everything behind the
//! pipe is bounded and drops what does not fit, and counts it:
//!
//! ```text
//! pipe ─▶ capture (frames lines) ─▶ append: number, time ─┬▶ ring of the source
//!                                                         ├▶ queue ─▶ writer thread ─▶ segment files
//!                                                         └▶ queue ─▶ each subscription
//! ```

use std::time::Duration;

mod batch;
mod capture;
mod feed;
mod framing;
mod losses;
mod query;
mod ring;
mod segments;
mod store;
mod stored;
mod subscription;
mod writer;

pub use capture::CaptureError;
pub use losses::Losses;
pub use query::LogQuery;
pub use segments::OpenLogError;
pub use store::{CloseLogError, LogStore};
pub use stored::{ReadLogError, StoredLines, read_stored};
pub use subscription::LogSubscription;

/// The bounds of a [`LogStore`].
#[derive(Clone, Copy, Debug)]
pub struct LogLimits {
    /// The longest line; a longer one is cut into partial pieces.
    pub line_bytes: usize,
    /// How long the start of a line waits for its end before it is shown as a partial piece.
    pub partial_after: Duration,
    /// Lines of each source that are kept in memory; at least, when their bytes fit.
    pub ring_lines: usize,
    /// Memory for the lines of each source; one read more is possible.
    pub ring_bytes: usize,
    /// Sources whose lines are kept in memory; the one quiet for longest makes room.
    pub ring_sources: usize,
    /// The size at which a segment file is finished.
    pub segment_bytes: u64,
    /// The size of all segment files together; the oldest is removed.
    pub total_bytes: u64,
    /// Memory for lines that the writer of the segment files has not got to.
    pub writer_queue_bytes: usize,
    /// Memory for lines that a subscriber has not got to, for each of them.
    pub subscriber_queue_bytes: usize,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self {
            line_bytes: 64 << 10,
            partial_after: Duration::from_millis(200),
            ring_lines: 1000,
            ring_bytes: 256 << 10,
            ring_sources: 256,
            segment_bytes: 8 << 20,
            total_bytes: 64 << 20,
            writer_queue_bytes: 8 << 20,
            subscriber_queue_bytes: 4 << 20,
        }
    }
}
