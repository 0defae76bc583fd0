//! How slowly a body may come: all waiting for it has a bound, which grows with each byte, as
//! with `MinRate` of Apache's mod_reqtimeout. Time in which the handler does not read is not
//! the client's.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// Bytes that earn a second more.
const RATE: u64 = 1024;

#[derive(Debug)]
pub(super) struct Pace {
    /// What may be waited yet.
    left: Duration,
    waiting: Option<Waiting>,
}

/// A wait for the next bytes. Most bodies are there when they are read, and need none.
#[derive(Debug)]
struct Waiting {
    since: Instant,
    over: Pin<Box<Sleep>>,
}

impl Pace {
    pub(super) fn new(time: Duration) -> Self {
        Self { left: time, waiting: None }
    }

    /// Nothing has come: whether the wait is over.
    pub(super) fn poll_over(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let left = self.left;
        let waiting = self.waiting.get_or_insert_with(|| {
            let since = Instant::now();
            Waiting { since, over: Box::pin(tokio::time::sleep_until(since + left)) }
        });
        waiting.over.as_mut().poll(context)
    }

    /// So many bytes have come.
    pub(super) fn came(&mut self, bytes: u64) {
        if let Some(waiting) = self.waiting.take() {
            self.left = self.left.saturating_sub(waiting.since.elapsed());
        }
        let earned = Duration::from_millis(bytes.saturating_mul(1000) / RATE);
        self.left = self.left.saturating_add(earned);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits for the next byte of a body that comes in pieces; how long until it is cut.
    async fn cut(time: Duration, piece: u64, pause: Duration) -> Option<Duration> {
        let mut pace = Pace::new(time);
        let began = Instant::now();
        for _ in 0..1000 {
            let over = std::future::poll_fn(|context| pace.poll_over(context));
            if tokio::time::timeout(pause, over).await.is_ok() {
                return Some(began.elapsed());
            }
            pace.came(piece);
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_now_and_then_does_not_hold_a_body_open() {
        let second = Duration::from_secs(1);
        let cut_at = cut(10 * second, 1, second).await.unwrap();
        assert!(cut_at < 11 * second, "{cut_at:?}");
        assert_eq!(cut(10 * second, 2048, second).await, None, "slow, but it comes");
        assert_eq!(cut(2 * second, 0, 5 * second).await, Some(2 * second));
    }
}
