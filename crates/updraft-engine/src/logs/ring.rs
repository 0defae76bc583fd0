//! The last lines of each source, in memory: what a crash report shows.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use updraft_system::{LogLine, LogSource};

use super::LogLimits;
use super::batch::Batch;

/// The rings of all sources.
#[derive(Debug, Default)]
pub(crate) struct Rings {
    by_source: HashMap<Arc<LogSource>, Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    batches: VecDeque<Arc<Batch>>,
    lines: usize,
    bytes: usize,
}

impl Rings {
    pub(crate) fn push(&mut self, batch: &Arc<Batch>, limits: &LogLimits) {
        if let Some(ring) = self.by_source.get_mut(&batch.source) {
            ring.push(batch, limits);
            return;
        }
        if self.by_source.len() >= limits.ring_sources {
            self.evict_quietest();
        }
        let ring = self.by_source.entry(Arc::clone(&batch.source)).or_default();
        ring.push(batch, limits);
    }

    /// The lines of `source` from number `from` on that are still here.
    pub(crate) fn since(&self, source: &LogSource, from: u64) -> Vec<Arc<Batch>> {
        let batches = self.by_source.get(source).into_iter().flat_map(|ring| &ring.batches);
        batches.filter(|batch| batch.end_seq() > from).cloned().collect()
    }

    /// The batches that hold the last `count` lines of `source`.
    pub(crate) fn newest(&self, source: &LogSource, count: usize) -> Vec<Arc<Batch>> {
        let mut newest = Vec::new();
        let mut lines = 0;
        let batches = self.by_source.get(source).into_iter().flat_map(|ring| &ring.batches);
        for batch in batches.rev().take_while(|batch| {
            let wanted = lines < count;
            lines += batch.lines.len();
            wanted
        }) {
            newest.push(Arc::clone(batch));
        }
        newest.reverse();
        newest
    }

    fn evict_quietest(&mut self) {
        let newest = |ring: &Ring| ring.batches.back().map(|batch| batch.first_seq);
        let quietest = self.by_source.iter().min_by_key(|(_, ring)| newest(ring));
        if let Some(source) = quietest.map(|(source, _)| Arc::clone(source)) {
            self.by_source.remove(&source);
        }
    }
}

impl Ring {
    fn push(&mut self, batch: &Arc<Batch>, limits: &LogLimits) {
        self.lines += batch.lines.len();
        self.bytes += batch.size_bytes();
        self.batches.push_back(Arc::clone(batch));
        while self.batches.len() > 1 && self.oldest_is_spare(limits) {
            if let Some(oldest) = self.batches.pop_front() {
                self.lines -= oldest.lines.len();
                self.bytes -= oldest.size_bytes();
            }
        }
    }

    fn oldest_is_spare(&self, limits: &LogLimits) -> bool {
        let oldest = self.batches.front().map_or(0, |batch| batch.lines.len());
        self.bytes > limits.ring_bytes || self.lines - oldest >= limits.ring_lines
    }
}

/// The last `count` lines of `batches`.
pub(crate) fn last_lines(batches: &[Arc<Batch>], count: usize) -> Vec<LogLine> {
    let total: usize = batches.iter().map(|batch| batch.lines.len()).sum();
    let mut spare = total.saturating_sub(count);
    let mut lines = Vec::with_capacity(total - spare);
    for batch in batches {
        let first = spare.min(batch.lines.len());
        spare -= first;
        lines.extend((first..batch.lines.len()).filter_map(|index| batch.line(index, 0)));
    }
    lines
}
