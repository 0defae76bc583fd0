//! The thread that writes the segment files, so that a slow disk delays nothing else.

use std::io;
use std::sync::{Arc, Weak};

use tokio::sync::watch;
use updraft_system::LogLine;

use super::feed::{Entry, FeedReceiver};
use super::segments::SegmentWriter;
use super::store::Shared;

/// How many bytes of rows go into one write, about.
const WRITE_BYTES: usize = 256 << 10;

/// How far the writer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// All lines with a lower number are stored, or counted as lost.
    Through(u64),
    /// The log was closed, and nothing more will be stored.
    Done,
}

impl Progress {
    pub(crate) fn has_passed(self, seq: u64) -> bool {
        match self {
            Self::Through(through) => through >= seq,
            Self::Done => true,
        }
    }
}

pub(crate) struct LogWriter {
    lines: FeedReceiver,
    segments: SegmentWriter,
    shared: Weak<Shared>,
    progress: watch::Sender<Progress>,
    /// The disk refused the last rows.
    failing: bool,
    /// The first refusal.
    failed: Option<io::Error>,
}

impl LogWriter {
    pub(crate) fn new(
        lines: FeedReceiver,
        segments: SegmentWriter,
        shared: Weak<Shared>,
        progress: watch::Sender<Progress>,
    ) -> Self {
        Self { lines, segments, shared, progress, failing: false, failed: None }
    }

    /// Writes until the log is closed; gives the first error of the disk.
    pub(crate) fn run(mut self) -> Option<io::Error> {
        let mut rows = Vec::with_capacity(WRITE_BYTES);
        while let Some(entry) = self.lines.blocking_recv() {
            let through = self.write_round(entry, &mut rows);
            self.progress.send_replace(Progress::Through(through));
            self.rest();
        }
        self.write_losses();
        self.progress.send_replace(Progress::Done);
        self.failed
    }

    /// Writes what is queued, up to a write of a good size.
    fn write_round(&mut self, first: Entry, rows: &mut Vec<u8>) -> u64 {
        rows.clear();
        let first_seq = first.batch.first_seq;
        let mut through = first_seq;
        let mut entries = Vec::new();
        let mut next = Some(first);
        while let Some(entry) = next {
            through = entry.batch.end_seq();
            // Writing to memory does not fail, and neither does the JSON of text.
            if let Err(error) = entry.batch.encode(entry.dropped, rows) {
                self.fail(error.into(), &[entry]);
            } else {
                entries.push(entry);
            }
            next = if rows.len() < WRITE_BYTES { self.lines.try_recv() } else { None };
        }
        match self.segments.append(rows, first_seq) {
            Ok(()) => self.failing = false,
            Err(error) => self.fail(error, &entries),
        }
        through
    }

    /// When nothing is queued, stores what no line has told: the counts of lost lines.
    fn rest(&mut self) {
        let Some(shared) = self.shared.upgrade() else { return };
        let through = shared.queued_through(|| self.lines.is_empty());
        drop(shared);
        if let Some(through) = through {
            if !self.failing {
                self.write_losses();
            }
            self.progress.send_replace(Progress::Through(through));
        }
    }

    fn write_losses(&mut self) {
        let losses = self.lines.untold_losses();
        let Some(first_seq) = losses.first().map(|line| line.seq) else { return };
        let mut rows = Vec::new();
        let encoded = losses.iter().try_for_each(|line| encode_row(line, &mut rows));
        if let Err(error) = encoded.and_then(|()| self.segments.append(&rows, first_seq)) {
            for line in &losses {
                self.lines.lose_again(line);
            }
            self.remember(error);
        }
    }

    /// Counts the lines as lost, and says so once for each time the disk begins to refuse.
    fn fail(&mut self, error: io::Error, entries: &[Entry]) {
        for entry in entries {
            self.lines.lose(entry);
        }
        if !self.failing
            && let Some(shared) = self.shared.upgrade()
            && let Some(entry) = entries.first()
        {
            let source = Arc::clone(&entry.batch.source);
            shared.notice(&source, &format!("lines of the log cannot be stored: {error}"));
        }
        self.remember(error);
    }

    fn remember(&mut self, error: io::Error) {
        self.failing = true;
        self.failed.get_or_insert(error);
    }
}

fn encode_row(line: &LogLine, rows: &mut Vec<u8>) -> io::Result<()> {
    serde_json::to_writer(&mut *rows, line)?;
    rows.push(b'\n');
    Ok(())
}
