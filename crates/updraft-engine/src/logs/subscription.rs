//! One reader of the log: what is stored, then what comes, joined at a number.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use updraft_system::LogLine;

use super::batch::Batch;
use super::feed::{Entry, FeedReceiver};
use super::query::{LogQuery, Sieve};
use super::stored::{ReadLogError, StoredLines, read_stored_before};
use super::writer::Progress;

/// How much is read from the files at a time.
const PAGE_LINES: usize = 1024;
const PAGE_BYTES: usize = 256 << 10;

/// Lines of a [`LogQuery`], in order. A reader that is slow delays nobody: what its queue
/// does not hold is dropped, and counted on the next line of the source that it gets.
#[derive(Debug)]
pub struct LogSubscription {
    sieve: Sieve,
    history: History,
    history_error: Option<ReadLogError>,
    ready: VecDeque<LogLine>,
    current: Option<LiveLines>,
    live: Option<FeedReceiver>,
}

#[derive(Debug)]
enum History {
    /// The files are complete once the writer has passed the number at which live begins.
    Unwritten {
        dir: PathBuf,
        live_from: u64,
        progress: watch::Receiver<Progress>,
    },
    Reading(JoinHandle<Page>),
    Done,
}

#[derive(Debug)]
struct Page {
    lines: VecDeque<LogLine>,
    rest: Option<StoredLines>,
    error: Option<ReadLogError>,
}

/// A batch that is being given line by line.
#[derive(Debug)]
struct LiveLines {
    batch: Arc<Batch>,
    next: usize,
    dropped: u64,
}

impl LogSubscription {
    pub(crate) fn new(
        dir: &Path,
        query: LogQuery,
        live_from: u64,
        progress: watch::Receiver<Progress>,
        live: Option<FeedReceiver>,
    ) -> Self {
        let history = match query.last {
            Some(0) => History::Done,
            _ => History::Unwritten { dir: dir.to_owned(), live_from, progress },
        };
        Self {
            sieve: Sieve::new(query),
            history,
            history_error: None,
            ready: VecDeque::new(),
            current: None,
            live,
        }
    }

    /// The next line; `None` after the last stored one, or with `follow` when the log was
    /// closed. Can be dropped and called again without losing a line.
    pub async fn recv(&mut self) -> Option<LogLine> {
        loop {
            if let Some(line) = self.try_recv() {
                return Some(line);
            }
            if !matches!(self.history, History::Done) {
                self.read_history().await;
                continue;
            }
            let entry = match &mut self.live {
                Some(live) => live.recv().await,
                None => None,
            };
            match entry {
                Some(entry) => self.current = Some(entry.into()),
                None => {
                    self.ready
                        .extend(self.live.take().into_iter().flat_map(|live| live.untold_losses()));
                    self.ready.extend(self.sieve.rest());
                    return self.ready.pop_front();
                }
            }
        }
    }

    /// Waits for a line and gives it with those that need no waiting, at most `max` in all;
    /// 0 at the end.
    pub async fn recv_many(&mut self, lines: &mut Vec<LogLine>, max: usize) -> usize {
        let Some(first) = self.recv().await else { return 0 };
        lines.push(first);
        let mut count = 1;
        while count < max
            && let Some(line) = self.try_recv()
        {
            lines.push(line);
            count += 1;
        }
        count
    }

    /// Why stored lines are missing from what was received, if a file could not be read.
    pub fn history_error(&self) -> Option<&ReadLogError> {
        self.history_error.as_ref()
    }

    /// A line that needs no waiting.
    fn try_recv(&mut self) -> Option<LogLine> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(line);
            }
            if !matches!(self.history, History::Done) {
                return None;
            }
            while let Some(current) = &mut self.current {
                match current.next_line() {
                    None => self.current = None,
                    Some(line) => {
                        if let Some(line) = self.sieve.sift(line) {
                            return Some(line);
                        }
                    }
                }
            }
            let live = self.live.as_mut()?;
            match live.try_recv() {
                Some(entry) => self.current = Some(entry.into()),
                None => {
                    // The reader has caught up: now it can be told what it missed.
                    self.ready.extend(live.untold_losses());
                    if self.ready.is_empty() {
                        return None;
                    }
                }
            }
        }
    }

    /// One step through the stored lines. What is awaited is kept in `self`, so that
    /// nothing is lost when the caller stops waiting.
    async fn read_history(&mut self) {
        match &mut self.history {
            History::Unwritten { dir, live_from, progress } => {
                let live_from = *live_from;
                // An error means that the writer is gone; what it stored can be read.
                drop(progress.wait_for(|progress| progress.has_passed(live_from)).await);
                let (dir, query) = (dir.clone(), self.sieve.query.clone());
                self.history =
                    History::Reading(tokio::task::spawn_blocking(
                        move || match read_stored_before(&dir, &query, live_from) {
                            Ok(stored) => Page::read(stored),
                            Err(error) => {
                                Page { lines: VecDeque::new(), rest: None, error: Some(error) }
                            }
                        },
                    ));
            }
            History::Reading(page) => {
                // The runtime that reads the page is shutting down: there is no more.
                let Ok(page) = page.await else {
                    self.history = History::Done;
                    return;
                };
                self.ready = page.lines;
                self.history_error = page.error.or(self.history_error.take());
                self.history = match page.rest {
                    Some(rest) => {
                        History::Reading(tokio::task::spawn_blocking(move || Page::read(rest)))
                    }
                    None => History::Done,
                };
            }
            History::Done => {}
        }
    }
}

impl Page {
    fn read(mut stored: StoredLines) -> Self {
        let mut page = Self { lines: VecDeque::new(), rest: None, error: None };
        let mut bytes = 0;
        while page.lines.len() < PAGE_LINES && bytes < PAGE_BYTES {
            match stored.next() {
                Some(Ok(line)) => {
                    bytes += line.line.len();
                    page.lines.push_back(line);
                }
                Some(Err(error)) => page.error = Some(error),
                None => return page,
            }
        }
        page.rest = Some(stored);
        page
    }
}

impl From<Entry> for LiveLines {
    fn from(Entry { batch, dropped }: Entry) -> Self {
        Self { batch, next: 0, dropped }
    }
}

impl LiveLines {
    fn next_line(&mut self) -> Option<LogLine> {
        let line = self.batch.line(self.next, std::mem::take(&mut self.dropped))?;
        self.next += 1;
        Some(line)
    }
}
