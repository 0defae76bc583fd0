//! A client that has ended its half of the connection behind its request, as `nc -N` and some
//! health checks do, and waits for the answer. TCP tells that in the same way as the end of a
//! client that has closed altogether (a FIN), whose request nobody should work for any more.
//!
//! On one machine the kernel knows which of the two it is, and is asked. Of others nobody knows:
//! they are waited for a short time, and again after each part of an answer that they took; one
//! that has closed resets the connection at the first of them.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// When it is first looked whether the client is there: one that closes ends its half a little
/// before its socket is gone.
const FIRST_LOOK: Duration = Duration::from_millis(1);
/// How often it is looked again.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The longest that a client is waited for of which nobody knows whether it is there.
const UNKNOWN_TIME: Duration = Duration::from_secs(1);

/// What is known of the client at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// A program has its end open.
    Here,
    /// Nobody has.
    Gone,
    /// It is on another machine.
    Unknown,
}

/// The wait for the end of an answer.
#[derive(Debug)]
pub(super) struct HalfClosed {
    /// The end of its half, or the last part of the answer that it took.
    since: Instant,
    look: Pin<Box<Sleep>>,
}

impl HalfClosed {
    /// The client has just ended its half.
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), look: Box::pin(tokio::time::sleep(FIRST_LOOK)) }
    }

    /// The client took more of its answer.
    pub(super) fn wrote(&mut self) {
        self.since = Instant::now();
    }

    /// Ready once nothing speaks for it that the client still waits.
    pub(super) fn poll_gone(
        &mut self,
        presence: impl Fn() -> Presence,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            ready!(self.look.as_mut().poll(cx));
            let now = Instant::now();
            match presence() {
                Presence::Gone => return Poll::Ready(()),
                Presence::Unknown if UNKNOWN_TIME <= now - self.since => return Poll::Ready(()),
                Presence::Here | Presence::Unknown => {}
            }
            self.look.as_mut().reset(now + LOOK_EVERY);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::task::Waker;

    use super::*;

    /// How long one of this presence is waited for.
    async fn waited(presence: impl Fn() -> Presence, wrote_at: &[u64]) -> u64 {
        let half = Mutex::new(HalfClosed::new());
        let began = Instant::now();
        let gone = std::future::poll_fn(|cx| half.lock().unwrap().poll_gone(&presence, cx));
        let writes = async {
            for at in wrote_at {
                tokio::time::sleep_until(began + Duration::from_millis(*at)).await;
                half.lock().unwrap().wrote();
            }
            std::future::pending().await
        };
        tokio::select! {
            () = gone => u64::try_from(began.elapsed().as_millis()).unwrap(),
            () = writes => 0,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_has_gone_is_not_waited_for() {
        assert!(waited(|| Presence::Gone, &[]).await <= 2);
        let began = Instant::now();
        let leaves = |at| move || if Instant::now() < at { Presence::Here } else { Presence::Gone };
        for after in [0, 40, 5000, 70_000] {
            let at = began + Duration::from_millis(after);
            let waited = waited(leaves(at), &[]).await;
            assert!(waited <= after + 101, "{after}: {waited}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_of_whom_nobody_knows_is_waited_for_while_it_takes_its_answer() {
        for (wrote_at, most) in [(&[][..], 1000), (&[900], 1900), (&[900, 1800, 2700], 3700)] {
            let waited = waited(|| Presence::Unknown, wrote_at).await;
            assert!((most..most + 110).contains(&waited), "{wrote_at:?}: {waited}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_kernel_is_asked_ten_times_a_second_and_not_more() {
        let looks = Mutex::new(0);
        let mut half = HalfClosed::new();
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..1000 {
            let look = || {
                *looks.lock().unwrap() += 1;
                Presence::Here
            };
            assert!(half.poll_gone(look, &mut cx).is_pending());
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert!((9..=11).contains(&*looks.lock().unwrap()), "{looks:?}");
    }
}
