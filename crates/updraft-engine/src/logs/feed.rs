//! The bounded queue before a consumer of lines: the writer of the files, or a subscriber.
//!
//! Offering never waits. What does not fit is counted and told with what fits next.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use updraft_system::LogLine;

use super::batch::Batch;
use super::losses::Losses;

/// Lines of one read, and how many lines of their source were lost before them.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) batch: Arc<Batch>,
    pub(crate) dropped: u64,
}

/// Makes a queue for `bytes_max` of lines.
pub(crate) fn feed(bytes_max: usize) -> (FeedSender, FeedReceiver) {
    // Bytes are the bound; this makes the number of entries never the tighter one.
    let entries_max = (bytes_max / size_of::<Batch>()).max(1);
    let (sender, receiver) = mpsc::channel(entries_max);
    let state = Arc::new(FeedState::default());
    (FeedSender { sender, state: Arc::clone(&state), bytes_max }, FeedReceiver { receiver, state })
}

#[derive(Debug, Default)]
struct FeedState {
    queued_bytes: AtomicUsize,
    losses: Mutex<Losses>,
}

impl FeedState {
    fn losses(&self) -> MutexGuard<'_, Losses> {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The store's end. Its calls are made one at a time, under the store's lock.
#[derive(Debug)]
pub(crate) struct FeedSender {
    sender: mpsc::Sender<Entry>,
    state: Arc<FeedState>,
    bytes_max: usize,
}

impl FeedSender {
    /// Queues the lines, or counts them as lost.
    pub(crate) fn offer(&self, batch: &Arc<Batch>) {
        let size = batch.size_bytes();
        // Locked before looking: a receiver that found its queue and the losses empty may
        // go to sleep, so what is lost after that must have been lost against a full queue.
        let mut losses = self.state.losses();
        let queued = self.state.queued_bytes.load(Ordering::Acquire);
        // An empty queue takes any batch: a small bound must not mean that nothing passes.
        let permit = match queued == 0 || queued + size <= self.bytes_max {
            true => self.sender.try_reserve().ok(),
            false => None,
        };
        if let Some(permit) = permit {
            self.state.queued_bytes.fetch_add(size, Ordering::AcqRel);
            permit.send(Entry { batch: Arc::clone(batch), dropped: losses.take(&batch.source) });
        } else {
            let lines = batch.lines.len() as u64;
            losses.add(&batch.source, lines, batch.end_seq().saturating_sub(1), batch.time);
        }
    }

    /// Whether nobody will receive any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

/// The consumer's end.
#[derive(Debug)]
pub(crate) struct FeedReceiver {
    receiver: mpsc::Receiver<Entry>,
    state: Arc<FeedState>,
}

impl FeedReceiver {
    /// Waits for lines; `None` when the store was closed and all was received.
    pub(crate) async fn recv(&mut self) -> Option<Entry> {
        let entry = self.receiver.recv().await;
        self.account(entry)
    }

    /// [`FeedReceiver::recv`] for a thread.
    pub(crate) fn blocking_recv(&mut self) -> Option<Entry> {
        let entry = self.receiver.blocking_recv();
        self.account(entry)
    }

    /// Lines that need no waiting.
    pub(crate) fn try_recv(&mut self) -> Option<Entry> {
        let entry = self.receiver.try_recv().ok();
        self.account(entry)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.receiver.is_empty()
    }

    /// Losses that no queued entry tells, as lines. To be asked when the queue is empty.
    pub(crate) fn untold_losses(&self) -> Vec<LogLine> {
        self.state.losses().notices()
    }

    /// Counts lines as lost that were received and could not be used.
    pub(crate) fn lose(&self, entry: &Entry) {
        let batch = &entry.batch;
        let lines = batch.lines.len() as u64 + entry.dropped;
        self.state.losses().add(
            &batch.source,
            lines,
            batch.end_seq().saturating_sub(1),
            batch.time,
        );
    }

    /// Counts losses again that could not be told.
    pub(crate) fn lose_again(&self, told: &LogLine) {
        self.state.losses().add(&told.source, told.dropped, told.seq, told.time);
    }

    fn account(&self, entry: Option<Entry>) -> Option<Entry> {
        if let Some(entry) = &entry {
            self.state.queued_bytes.fetch_sub(entry.batch.size_bytes(), Ordering::AcqRel);
        }
        entry
    }
}
