//! The task that sends spans to an OTLP/HTTP receiver, in batches, beside the data threads.
//! It may fall behind or fail for ever: the queue is bounded, and what is lost is counted.

mod post;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use updraft_system::Name;

use super::otlp;
use super::span::{Span, SpanCounts, SpanQueue};
use post::{Answer, Receiver};

pub(crate) use post::InvalidReceiver;

/// The most spans of one message.
const BATCH_MAX: usize = 512;
/// The longest that a span waits for others.
const BATCH_WAIT: Duration = Duration::from_secs(5);
/// How often a batch is sent before it is lost.
const ATTEMPTS_MAX: u32 = 5;
/// The wait after the first failure; it doubles with each further one.
const BACKOFF: Duration = Duration::from_secs(1);
/// The longest wait, also where the receiver asks for a longer one.
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// The longest that the end of the gateway waits for the last spans.
const FLUSH_MAX: Duration = Duration::from_secs(5);

/// Where spans are put, and the task that takes them to `base`, such as
/// `http://127.0.0.1:4318`.
///
/// # Errors
///
/// [`InvalidReceiver`] when `base` is no address that can be posted to.
pub(crate) fn exporter(
    base: &str,
    system: &Name,
    counts: &Arc<SpanCounts>,
) -> Result<(SpanQueue, Exporter), InvalidReceiver> {
    let to = Receiver::new(base)?;
    let (queue, spans) = SpanQueue::new(Arc::clone(counts));
    let exporter = Exporter {
        to,
        system: system.clone(),
        spans,
        batch: Vec::with_capacity(BATCH_MAX),
        counts: Arc::clone(counts),
        rng: random(),
    };
    Ok((queue, exporter))
}

/// The task. It does nothing until it [runs](Self::run).
#[derive(Debug)]
pub(crate) struct Exporter {
    to: Receiver,
    system: Name,
    spans: mpsc::Receiver<Span>,
    /// What is on its way.
    batch: Vec<Span>,
    counts: Arc<SpanCounts>,
    rng: fastrand::Rng,
}

impl Exporter {
    /// Sends spans until `stop` is ready, or until nobody has the queue any more; then those
    /// that are left, for at most 5 s.
    pub(crate) async fn run(mut self, stop: impl Future<Output = ()>) {
        let (tell, stopping) = watch::channel(false);
        let in_time = {
            let mut work = std::pin::pin!(self.work(stopping));
            let done = tokio::select! {
                () = &mut work => true,
                () = stop => false,
            };
            tell.send_replace(true);
            done || tokio::time::timeout(FLUSH_MAX, work).await.is_ok()
        };
        if !in_time {
            self.spans.close();
            let mut lost = self.batch.len();
            while self.spans.try_recv().is_ok() {
                lost += 1;
            }
            self.counts.add_unreachable(lost as u64);
        }
    }

    async fn work(&mut self, mut stopping: watch::Receiver<bool>) {
        loop {
            let more = self.collect(&mut stopping).await;
            if !self.batch.is_empty() {
                self.deliver().await;
                self.batch.clear();
            }
            if !more {
                return;
            }
        }
    }

    /// Fills the batch. False when there is nothing to come after it.
    async fn collect(&mut self, stopping: &mut watch::Receiver<bool>) -> bool {
        let until = tokio::time::sleep(BATCH_WAIT);
        tokio::pin!(until);
        while self.batch.len() < BATCH_MAX {
            let room = BATCH_MAX - self.batch.len();
            let was_empty = self.batch.is_empty();
            tokio::select! {
                biased;
                taken = self.spans.recv_many(&mut self.batch, room) => {
                    if taken == 0 {
                        return false;
                    }
                    if was_empty {
                        until.as_mut().reset(Instant::now() + BATCH_WAIT);
                    }
                }
                () = told(stopping) => {
                    // What is in the queue still comes; nothing new goes in.
                    self.spans.close();
                    let room = BATCH_MAX - self.batch.len();
                    return self.spans.recv_many(&mut self.batch, room).await > 0;
                }
                () = &mut until, if !was_empty => return true,
            }
        }
        true
    }

    async fn deliver(&mut self) {
        let body = Bytes::from(otlp::request(&self.system, &self.batch).to_string());
        let count = self.batch.len() as u64;
        for attempt in 1..=ATTEMPTS_MAX {
            let wait = match self.to.post(body.clone()).await {
                Ok(Answer::Taken { rejected }) => {
                    let rejected = rejected.min(count);
                    self.counts.add_exported(count - rejected);
                    self.counts.add_refused(rejected);
                    return;
                }
                Ok(Answer::Refused) => {
                    self.counts.add_refused(count);
                    return;
                }
                Ok(Answer::Later(wait)) => wait,
                Err(_) => None,
            };
            if attempt < ATTEMPTS_MAX {
                let wait = wait.map_or_else(|| self.backoff(attempt), |wait| wait.min(BACKOFF_MAX));
                tokio::time::sleep(wait).await;
            }
        }
        self.counts.add_unreachable(count);
    }

    /// Half of it is random, so that gateways that failed together do not come back together.
    fn backoff(&mut self, attempt: u32) -> Duration {
        let full = BACKOFF.saturating_mul(1 << (attempt - 1).min(16)).min(BACKOFF_MAX);
        full.mul_f64(0.5 + self.rng.f64() / 2.0)
    }
}

/// Waits until `stopping` is true, or nobody is there to say so.
async fn told(stopping: &mut watch::Receiver<bool>) {
    drop(stopping.wait_for(|stopping| *stopping).await);
}

/// A source of waits, seeded by the operating system.
fn random() -> fastrand::Rng {
    let mut seed = [0; 8];
    match rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty()) {
        Ok(8) => fastrand::Rng::with_seed(u64::from_ne_bytes(seed)),
        // An old kernel in its first seconds: time and thread have to do.
        _ => fastrand::Rng::new(),
    }
}

#[cfg(test)]
#[path = "exporter_tests.rs"]
mod tests;
