//! The way of spans to a collector. It runs on a thread of its own with a runtime of its own:
//! a collector that is slow, stalled or away must not be felt by any request, on one core
//! neither, and the last spans can be sent while the runtime of the service ends.

mod counts;
mod otlp;
mod post;
mod protobuf;

use std::cell::Cell;
use std::error::Error as _;
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use updraft_resilience::backoff::Backoff;
use updraft_resilience::retry::RetryConfig;
use updraft_resilience::{Classify, Error, Policy, Verdict};

use super::record::FinishedSpan;
use super::settings::ExportSettings;
use counts::Lost;
pub(crate) use counts::SpanCounts;
pub(crate) use otlp::Resource;
use post::{Collector, PostError};

/// Spans that wait to be sent; further ones are lost and counted. The bounds of queue and batch
/// are those of OpenTelemetry's batch processor.
const QUEUE_MOST: usize = 2048;

/// Spans in one message.
const BATCH_MOST: usize = 512;

/// Attempts at one message, while the queue behind it fills.
const ATTEMPTS: u32 = 5;

/// The first wait between attempts, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// How long the end of the process waits for the last spans, at most.
const FLUSH_MOST: Duration = Duration::from_secs(5);

/// Those that may ask for a flush at once.
const FLUSHES_MOST: usize = 4;

/// Where spans that ended are put. Clones are the same queue.
#[derive(Clone, Debug)]
pub(crate) struct SpanQueue {
    sender: mpsc::Sender<FinishedSpan>,
    counts: SpanCounts,
}

impl SpanQueue {
    /// A queue that nobody sends from.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn of_test(length: usize) -> (Self, mpsc::Receiver<FinishedSpan>) {
        let (sender, spans) = mpsc::channel(length);
        (Self { sender, counts: SpanCounts::default() }, spans)
    }

    #[cfg(test)]
    pub(super) fn lost(&self) -> u64 {
        self.counts.lost_in_all()
    }

    /// Takes a span, or counts it as lost when there is no room. It never waits.
    pub(super) fn offer(&self, span: FinishedSpan) {
        if self.sender.try_send(span).is_err() {
            self.counts.lost(Lost::QueueFull, 1);
        }
    }
}

/// The thread that sends spans.
#[derive(Debug)]
pub(crate) struct Exporter {
    queue: SpanQueue,
    handle: ExporterHandle,
}

/// Asks the thread for a flush, and knows its counts.
#[derive(Clone, Debug)]
pub(crate) struct ExporterHandle {
    flushes: mpsc::Sender<oneshot::Sender<()>>,
    counts: SpanCounts,
}

impl Exporter {
    /// Starts the thread.
    pub(crate) fn start(settings: ExportSettings, resource: Resource) -> std::io::Result<Self> {
        let (sender, spans) = mpsc::channel(QUEUE_MOST);
        let (flushes, asked) = mpsc::channel(FLUSHES_MOST);
        let counts = SpanCounts::default();
        let queue = SpanQueue { sender, counts: counts.clone() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let of_thread = counts.clone();
        let run = move || {
            runtime.block_on(async {
                match Worker::new(&settings, resource, of_thread) {
                    Ok(worker) => worker.run(spans, asked).await,
                    Err(error) => {
                        let error = &*error as &dyn std::error::Error;
                        tracing::error!(error, "spans cannot be exported");
                    }
                }
            });
        };
        std::thread::Builder::new().name("otlp-export".to_owned()).spawn(run)?;
        Ok(Self { queue, handle: ExporterHandle { flushes, counts } })
    }

    pub(crate) fn queue(&self) -> SpanQueue {
        self.queue.clone()
    }

    pub(crate) fn handle(&self) -> ExporterHandle {
        self.handle.clone()
    }
}

impl ExporterHandle {
    /// Waits until what has ended is sent or given up, but never beyond `deadline` nor longer
    /// than 5 s. The runtime of the caller goes on meanwhile.
    pub(crate) async fn flush(&self, deadline: Instant) {
        let (done, sent) = oneshot::channel();
        let flush = async {
            if self.flushes.send(done).await.is_ok() {
                // A thread that is gone has nothing left to send.
                drop(sent.await);
            }
        };
        let deadline = deadline.min(Instant::now() + FLUSH_MOST);
        if tokio::time::timeout_at(deadline, flush).await.is_err() {
            tracing::warn!("the last spans were not exported: the collector takes too long");
        }
    }

    pub(crate) fn counts(&self) -> &SpanCounts {
        &self.counts
    }
}

/// What an attempt to send means to the policy.
#[derive(Debug)]
struct Answers;

impl Classify<Bytes, PostError> for Answers {
    fn classify(&self, outcome: Result<&Bytes, &PostError>) -> Verdict {
        outcome.map_or_else(PostError::verdict, |_taken| Verdict::Success)
    }
}

/// What became of a message.
type Outcome = Result<Bytes, Error<PostError>>;

/// An attempt, while it is under way.
struct Attempt<'a>(&'a Cell<bool>);

impl<'a> Attempt<'a> {
    fn begin(is_under_way: &'a Cell<bool>) -> Self {
        is_under_way.set(true);
        Self(is_under_way)
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

/// The inside of the thread.
struct Worker {
    collector: Collector,
    resource: Resource,
    retried: Policy<Answers>,
    once: Policy<Answers>,
    schedule_delay: Duration,
    counts: SpanCounts,
    /// Spans lost since the collector was last well; none while it is.
    failing: Option<u64>,
}

impl Worker {
    fn new(
        settings: &ExportSettings,
        resource: Resource,
        counts: SpanCounts,
    ) -> Result<Self, crate::BoxError> {
        let policy = || Policy::named("otlp").attempt_timeout(settings.timeout).classifier(Answers);
        let retry = RetryConfig {
            attempts: ATTEMPTS,
            backoff: Backoff::exponential(BACKOFF.0, BACKOFF.1),
            // Messages are few and alone, so a share of them says nothing.
            budget: None,
            ..RetryConfig::default()
        };
        Ok(Self {
            collector: Collector::new(settings)?,
            resource,
            retried: policy().retry(retry).build()?,
            once: policy().build()?,
            schedule_delay: settings.schedule_delay,
            counts,
            failing: None,
        })
    }

    /// Sends until nobody has the queue any more.
    async fn run(
        mut self,
        mut spans: mpsc::Receiver<FinishedSpan>,
        mut flushes: mpsc::Receiver<oneshot::Sender<()>>,
    ) {
        let mut batch = Vec::with_capacity(BATCH_MOST);
        let mut due = Instant::now();
        loop {
            let room = BATCH_MOST - batch.len();
            tokio::select! {
                received = spans.recv_many(&mut batch, room) => match received {
                    0 => break,
                    _ if batch.len() == received => due = Instant::now() + self.schedule_delay,
                    _ => {}
                },
                () = tokio::time::sleep_until(due), if !batch.is_empty() => due = Instant::now(),
                Some(done) = flushes.recv() => {
                    self.flush(&mut batch, &mut spans).await;
                    // Who asked may have waited long enough.
                    done.send(()).unwrap_or_default();
                }
            }
            let is_due = !batch.is_empty() && due <= Instant::now();
            if (batch.len() == BATCH_MOST || is_due)
                && let Some(done) = self.export(&mut batch, &mut flushes).await
            {
                self.flush(&mut batch, &mut spans).await;
                done.send(()).unwrap_or_default();
            }
        }
        self.flush(&mut batch, &mut spans).await;
    }

    /// Sends a batch. A flush that is asked for meanwhile ends the waiting between attempts:
    /// the batch is left as it is then, for the last attempt. It does not end an attempt, which
    /// the collector may have taken already.
    async fn export(
        &mut self,
        batch: &mut Vec<FinishedSpan>,
        flushes: &mut mpsc::Receiver<oneshot::Sender<()>>,
    ) -> Option<oneshot::Sender<()>> {
        let message = Bytes::from(otlp::request(&self.resource, batch));
        let (outcome, flush) = self.send(message, flushes).await;
        if let Some(outcome) = outcome {
            self.settle(batch.len(), outcome);
            batch.clear();
        }
        flush
    }

    /// Sends a message; no outcome: a flush was asked for while it waited for its next attempt.
    async fn send(
        &self,
        message: Bytes,
        flushes: &mut mpsc::Receiver<oneshot::Sender<()>>,
    ) -> (Option<Outcome>, Option<oneshot::Sender<()>>) {
        let is_under_way = Cell::new(false);
        let mut sending = pin!(self.retried.call(|_| async {
            let _attempt = Attempt::begin(&is_under_way);
            self.collector.post(message.clone()).await
        }));
        let mut flush = None;
        let outcome = poll_fn(|context| match sending.as_mut().poll(context) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending => {
                if flush.is_none()
                    && let Poll::Ready(asked) = flushes.poll_recv(context)
                {
                    flush = asked;
                }
                let waits_for_next = flush.is_some() && !is_under_way.get();
                if waits_for_next { Poll::Ready(None) } else { Poll::Pending }
            }
        });
        (outcome.await, flush)
    }

    /// Sends all there is, each batch once; the first failure ends it.
    async fn flush(
        &mut self,
        batch: &mut Vec<FinishedSpan>,
        spans: &mut mpsc::Receiver<FinishedSpan>,
    ) {
        loop {
            while batch.len() < BATCH_MOST
                && let Ok(span) = spans.try_recv()
            {
                batch.push(span);
            }
            if batch.is_empty() {
                return;
            }
            let message = Bytes::from(otlp::request(&self.resource, batch));
            let outcome = self.once.call(|_| self.collector.post(message.clone())).await;
            let is_well = outcome.is_ok();
            self.settle(batch.len(), outcome);
            batch.clear();
            if !is_well {
                return;
            }
        }
    }

    /// Counts, and says so when the collector turned bad or well.
    fn settle(&mut self, spans: usize, outcome: Outcome) {
        let spans = spans as u64;
        match outcome {
            Ok(answer) => {
                let (rejected, why) = otlp::rejected(&answer);
                let rejected = rejected.min(spans);
                self.counts.exported(spans - rejected);
                if 0 < rejected || !why.is_empty() {
                    self.counts.lost(Lost::Refused, rejected);
                    tracing::warn!(rejected, why, "the collector did not take all spans");
                }
                if let Some(lost) = self.failing.take() {
                    tracing::info!(lost, "spans are exported again");
                }
            }
            Err(error) => {
                let refused = matches!(&error, Error::Inner(PostError::Answer { .. }));
                let reason = if refused { Lost::Refused } else { Lost::Unreachable };
                self.counts.lost(reason, spans);
                if self.failing.is_none() {
                    let why = match error.source() {
                        Some(source) => format!("{error}: {source}"),
                        None => error.to_string(),
                    };
                    tracing::warn!(
                        why,
                        "spans are not exported, and are lost until the collector answers; the \
                         service goes on without it"
                    );
                }
                *self.failing.get_or_insert(0) += spans;
            }
        }
    }
}

#[cfg(test)]
#[path = "export_tests.rs"]
mod tests;
