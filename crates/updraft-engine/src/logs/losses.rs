//! Counts of lines that one consumer did not get, until it can be told.

use std::collections::HashMap;

use jiff::Timestamp;
use updraft_system::{LogLine, LogSource, LogStream};

/// Lines that were dropped for one consumer, by source, exactly.
///
/// The count travels with the next line of the source that gets through, or, when none
/// comes, in a notice of its own ([`Losses::notices`]): it is never lost itself.
#[derive(Debug, Default)]
pub struct Losses {
    by_source: HashMap<LogSource, Loss>,
}

#[derive(Debug)]
struct Loss {
    lines: u64,
    last_seq: u64,
    last_time: Timestamp,
}

impl Losses {
    /// Counts lines of `source`, the last of which has the number `last_seq`.
    pub fn add(&mut self, source: &LogSource, lines: u64, last_seq: u64, last_time: Timestamp) {
        match self.by_source.get_mut(source) {
            Some(loss) => *loss = Loss { lines: loss.lines + lines, last_seq, last_time },
            None => {
                self.by_source.insert(source.clone(), Loss { lines, last_seq, last_time });
            }
        }
    }

    /// What was lost of `source` since the last call.
    pub fn take(&mut self, source: &LogSource) -> u64 {
        if self.by_source.is_empty() {
            return 0;
        }
        self.by_source.remove(source).map_or(0, |loss| loss.lines)
    }

    /// Whether nothing was lost since it was last told.
    pub fn is_empty(&self) -> bool {
        self.by_source.is_empty()
    }

    /// All losses that were not told, as lines in order of `seq`. Each stands in the place
    /// of the last line that was dropped and has its number, which no other line the
    /// consumer saw can have.
    pub fn notices(&mut self) -> Vec<LogLine> {
        let mut notices: Vec<LogLine> = self
            .by_source
            .drain()
            .map(|(source, loss)| LogLine {
                seq: loss.last_seq,
                time: loss.last_time,
                source,
                stream: LogStream::Updraft,
                line: String::new(),
                partial: false,
                dropped: loss.lines,
            })
            .collect();
        notices.sort_unstable_by_key(|line| line.seq);
        notices
    }
}
