//! The timers of tokio: paused, real, and ahead of a coarse clock.

use std::task::Poll;
use std::time::Duration;

use updraft_resilience::policy::Policy;
use updraft_resilience::{Clock, Rejection, Scope};

use crate::rig::{ms, tries};

#[tokio::test(start_paused = true)]
async fn the_paused_clock_of_tokio_drives_every_wait() {
    let policy = Policy::named("tokio")
        .clock(Clock::tokio())
        .deadline(Duration::from_secs(60))
        .attempt_timeout(Duration::from_secs(10))
        .retry(tries(3, 5_000))
        .build()
        .unwrap();
    let begin = tokio::time::Instant::now();
    let outcome = policy.call(|_| std::future::pending::<Result<u32, &str>>()).await;
    assert_eq!(outcome.unwrap_err().rejection(), Some(Rejection::Deadline(Scope::Attempt)));
    assert_eq!(begin.elapsed(), Duration::from_secs(40));
}

/// Tokio's time is paused and jumps ahead, while the system's clock stands nearly still: each
/// timer goes off long before that clock knows of it.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_behind_its_timers_does_not_make_a_call_spin() {
    let policy = Policy::named("coarse")
        .deadline(Duration::from_secs(3600))
        .attempt_timeout(Duration::from_secs(600))
        .retry(tries(3, 60_000))
        .build()
        .unwrap();
    let polls = std::cell::Cell::new(0);
    let mut call = std::pin::pin!(policy.call(|_| std::future::pending::<Result<u32, &str>>()));
    let outcome = std::future::poll_fn(|cx| {
        polls.set(polls.get() + 1);
        call.as_mut().poll(cx)
    });
    let outcome = outcome.await;
    assert_eq!(outcome.unwrap_err().rejection(), Some(Rejection::Deadline(Scope::Attempt)));
    assert!(polls.get() <= 12, "{} polls", polls.get());
}

#[tokio::test]
async fn real_time_is_kept_without_spinning() {
    let policy = Policy::named("real").attempt_timeout(ms(7)).retry(tries(3, 3)).build().unwrap();
    let polls = std::cell::Cell::new(0);
    let outcome = policy
        .call(|_| {
            std::future::poll_fn(|_| {
                polls.set(polls.get() + 1);
                Poll::<Result<u32, &str>>::Pending
            })
        })
        .await;
    assert_eq!(outcome.unwrap_err().rejection(), Some(Rejection::Deadline(Scope::Attempt)));
    assert!(polls.get() <= 12, "{} polls for 3 attempts", polls.get());
}
