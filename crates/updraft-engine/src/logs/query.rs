//! Which lines a reader wants.

use jiff::Timestamp;
use regex::Regex;
use updraft_system::{LogLine, LogSelector, LogSource, LogStream};

use super::losses::Losses;

/// Which lines to give. The default is all that is stored, and then the end.
#[derive(Clone, Debug, Default)]
pub struct LogQuery {
    /// Lines of any of these; none: of all sources.
    pub selectors: Vec<LogSelector>,
    /// Lines not older than this.
    pub since: Option<Timestamp>,
    /// Lines whose text this finds something in.
    pub grep: Option<Regex>,
    /// Only so many of the newest stored lines that fit the rest; 0 for none of them.
    pub last: Option<usize>,
    /// After the stored lines give those that come, until the log is closed.
    pub follow: bool,
}

impl LogQuery {
    pub(crate) fn selects(&self, source: &LogSource) -> bool {
        self.selectors.is_empty() || self.selectors.iter().any(|one| one.matches(source))
    }

    /// Whether the line fits, apart from `grep`.
    fn covers(&self, line: &LogLine) -> bool {
        self.since.is_none_or(|since| line.time >= since) && self.selects(&line.source)
    }

    fn finds(&self, line: &LogLine) -> bool {
        // What only says that lines were lost is for every reader they might have been for.
        let only_a_count = line.stream == LogStream::Updraft && line.line.is_empty();
        only_a_count || self.grep.as_ref().is_none_or(|grep| grep.is_match(&line.line))
    }

    pub(crate) fn admits(&self, line: &LogLine) -> bool {
        self.covers(line) && self.finds(line)
    }
}

/// Lets the lines of a query pass, and passes on the loss counts of those it holds back.
#[derive(Debug)]
pub(crate) struct Sieve {
    pub(crate) query: LogQuery,
    carried: Losses,
}

impl Sieve {
    pub(crate) fn new(query: LogQuery) -> Self {
        Self { query, carried: Losses::default() }
    }

    pub(crate) fn sift(&mut self, mut line: LogLine) -> Option<LogLine> {
        if !self.query.covers(&line) {
            return None;
        }
        if self.query.finds(&line) {
            line.dropped += self.carried.take(&line.source);
            return Some(line);
        }
        if line.dropped > 0 {
            self.carried.add(&line.source, line.dropped, line.seq, line.time);
        }
        None
    }

    /// Counts that no line that passed has told.
    pub(crate) fn rest(&mut self) -> Vec<LogLine> {
        self.carried.notices()
    }
}
