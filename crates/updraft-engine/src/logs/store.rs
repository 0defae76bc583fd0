//! Where all lines meet: each gets its number here and is handed on, without waiting.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use regex::Regex;
use tokio::sync::{oneshot, watch};
use updraft_system::{LogLine, LogSource, LogStream};

use super::LogLimits;
use super::batch::{Batch, seq_at};
use super::feed::{FeedSender, feed};
use super::framing::{Framer, Pieces};
use super::query::LogQuery;
use super::ring::{Rings, last_lines};
use super::segments::{OpenLogError, SegmentWriter};
use super::subscription::LogSubscription;
use super::writer::{LogWriter, Progress};

/// The log of one running system. Clones are handles to the same log.
#[derive(Clone, Debug)]
pub struct LogStore {
    shared: Arc<Shared>,
}

/// The log could not be written to its end.
#[derive(Debug, thiserror::Error)]
pub enum CloseLogError {
    /// The disk took no more lines in time.
    #[error("the log was not written to its end within {0:?}: its last lines may be missing")]
    TimedOut(Duration),
    /// The disk refused lines.
    #[error("lines of the log could not be stored: check that the disk is not full")]
    NotStored(#[source] io::Error),
}

#[derive(Debug)]
pub(crate) struct Shared {
    limits: LogLimits,
    dir: Box<Path>,
    state: Mutex<State>,
    progress: watch::Receiver<Progress>,
    writer: Mutex<Option<std::thread::JoinHandle<Option<io::Error>>>>,
}

#[derive(Debug)]
struct State {
    next_seq: u64,
    rings: Rings,
    /// The way to the files; `None` once closed.
    file: Option<FeedSender>,
    subscribers: Vec<Subscriber>,
    watches: Vec<Watch>,
}

#[derive(Debug)]
struct Subscriber {
    query: LogQuery,
    feed: FeedSender,
}

/// Somebody waits for a line.
#[derive(Debug)]
struct Watch {
    source: LogSource,
    pattern: Regex,
    from: u64,
    found: oneshot::Sender<LogLine>,
}

impl LogStore {
    /// Opens the log in `dir`, made if need be. Numbers continue those of earlier runs.
    pub fn open(dir: &Path, limits: LogLimits) -> Result<Self, OpenLogError> {
        let fail = |cause| OpenLogError { dir: dir.to_owned(), cause };
        let (segments, next_seq) = SegmentWriter::open(dir, &limits).map_err(fail)?;
        let (file, lines) = feed(limits.writer_queue_bytes);
        let (progress, watch_progress) = watch::channel(Progress::Through(next_seq));
        let shared = Arc::new(Shared {
            limits,
            dir: dir.into(),
            state: Mutex::new(State {
                next_seq,
                rings: Rings::default(),
                file: Some(file),
                subscribers: Vec::new(),
                watches: Vec::new(),
            }),
            progress: watch_progress,
            writer: Mutex::new(None),
        });
        let writer = LogWriter::new(lines, segments, Arc::downgrade(&shared), progress);
        let thread = std::thread::Builder::new()
            .name("updraft-logs".to_owned())
            .spawn(move || writer.run())
            .map_err(fail)?;
        *shared.writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(Self { shared })
    }

    /// Adds a notice of Updraft's about `source`.
    pub fn notice(&self, source: &LogSource, text: &str) {
        self.shared.notice(source, text);
    }

    /// The number that the next line will get: where "from now on" begins.
    pub fn next_seq(&self) -> u64 {
        self.shared.state().next_seq
    }

    /// The last lines of `source` that are in memory, at most `count`.
    pub fn tail(&self, source: &LogSource, count: usize) -> Vec<LogLine> {
        let batches = self.shared.state().rings.newest(source, count);
        last_lines(&batches, count)
    }

    /// Waits until `source` prints a line that `pattern` finds something in, counted from
    /// number `from`; `None` when the log was closed before. It sees every line from this
    /// call on, and of the earlier ones those still in memory.
    pub fn matched(
        &self,
        source: &LogSource,
        pattern: Regex,
        from: u64,
    ) -> impl Future<Output = Option<LogLine>> + Send + use<> {
        let (found, wait) = oneshot::channel();
        let watch = Watch { source: source.clone(), pattern, from, found };
        let mut state = self.shared.state();
        let earlier = state.rings.since(source, from);
        match earlier.iter().find_map(|batch| watch.find(batch)) {
            // The receiver is here, so the line arrives.
            Some(line) => drop(watch.found.send(line)),
            None if state.file.is_some() => {
                state.watches.retain(|watch| !watch.found.is_closed());
                state.watches.push(watch);
            }
            None => drop(watch),
        }
        async { wait.await.ok() }
    }

    /// Gives the lines of `query`: those stored, then, with `follow`, those that come,
    /// with none missing and none twice between the two.
    pub fn subscribe(&self, query: LogQuery) -> LogSubscription {
        let shared = &self.shared;
        let mut state = shared.state();
        let live = (query.follow && state.file.is_some()).then(|| {
            let (sender, receiver) = feed(shared.limits.subscriber_queue_bytes);
            state.subscribers.push(Subscriber { query: query.clone(), feed: sender });
            receiver
        });
        let live_from = state.next_seq;
        drop(state);
        LogSubscription::new(&shared.dir, query, live_from, shared.progress.clone(), live)
    }

    /// Ends all subscriptions, writes what is queued, and waits for that, for `within` at
    /// most. Later lines go to the rings only.
    pub async fn close(&self, within: Duration) -> Result<(), CloseLogError> {
        {
            let mut state = self.shared.state();
            state.file = None;
            state.subscribers.clear();
            state.watches.clear();
        }
        let mut progress = self.shared.progress.clone();
        let done = progress.wait_for(|progress| *progress == Progress::Done);
        if tokio::time::timeout(within, done).await.is_err() {
            return Err(CloseLogError::TimedOut(within));
        }
        // Its last act was to say so: this waits for its return alone.
        let writer = self.shared.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        match writer.and_then(|thread| thread.join().ok()).flatten() {
            Some(error) => Err(CloseLogError::NotStored(error)),
            None => Ok(()),
        }
    }

    pub(crate) fn limits(&self) -> &LogLimits {
        &self.shared.limits
    }

    pub(crate) fn append(&self, source: &Arc<LogSource>, stream: LogStream, lines: Pieces) {
        self.shared.append(source, stream, lines);
    }
}

impl Shared {
    pub(crate) fn notice(&self, source: &LogSource, text: &str) {
        let mut framer = Framer::new(self.limits.line_bytes);
        let lines = framer.push(format!("{}\n", text.trim_end_matches('\n')).as_bytes());
        self.append(&Arc::new(source.clone()), LogStream::Updraft, lines);
    }

    /// Numbers the lines and hands them on. Once for each read, not for each line.
    fn append(&self, source: &Arc<LogSource>, stream: LogStream, lines: Pieces) {
        let mut state = self.state();
        let first_seq = state.next_seq;
        // Taken under the lock, so that times never run against numbers.
        let time = Timestamp::now();
        let batch = Arc::new(Batch { source: Arc::clone(source), stream, time, first_seq, lines });
        state.next_seq = batch.end_seq();
        state.rings.push(&batch, &self.limits);
        if let Some(file) = &state.file {
            file.offer(&batch);
        }
        state.subscribers.retain(|subscriber| {
            if subscriber.query.selects(source) {
                subscriber.feed.offer(&batch);
            }
            !subscriber.feed.is_closed()
        });
        if !state.watches.is_empty() {
            state.find_watched(&batch);
        }
    }

    /// What the writer must do before it may rest: the number up to which all lines were
    /// queued for it, if its queue is empty as `is_empty` says.
    pub(crate) fn queued_through(&self, is_empty: impl FnOnce() -> bool) -> Option<u64> {
        let state = self.state();
        is_empty().then_some(state.next_seq)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn find_watched(&mut self, batch: &Batch) {
        for watch in self
            .watches
            .extract_if(.., |watch| watch.found.is_closed() || watch.find(batch).is_some())
        {
            if let Some(line) = watch.find(batch) {
                // Nobody waits any more: then the line is of no use.
                drop(watch.found.send(line));
            }
        }
    }
}

impl Watch {
    fn find(&self, batch: &Batch) -> Option<LogLine> {
        if batch.stream == LogStream::Updraft || *batch.source != self.source {
            return None;
        }
        let matches = |text: &[u8]| self.pattern.is_match(&String::from_utf8_lossy(text));
        let index = (0..batch.lines.len())
            .filter(|&index| seq_at(batch.first_seq, index) >= self.from)
            .find(|&index| batch.lines.get(index).is_some_and(|(text, _)| matches(text)))?;
        batch.line(index, 0)
    }
}
