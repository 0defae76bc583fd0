//! The ambient deadline: it follows its future and no other, and is given back in any case.

use std::future::{pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;

use super::*;

fn at(seconds: u64) -> Deadline {
    Deadline::after(Instant::ZERO, Duration::from_secs(seconds))
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn it_only_ever_gets_tighter() {
    let _whole = enter(at(10));
    {
        let _longer = enter(at(60));
        assert_eq!(current(), Some(at(10)));
        let _shorter = enter(at(5));
        assert_eq!(current(), Some(at(5)));
    }
    assert_eq!(current(), Some(at(10)));
    assert_eq!(at(60).within_current(), at(10));
    assert_eq!(at(1).within_current(), at(1));
}

#[test]
fn without_a_deadline_nothing_is_tightened() {
    assert_eq!(current(), None);
    assert_eq!(at(60).within_current(), at(60));
}

#[tokio::test]
async fn nested_futures_see_the_tightest() {
    let seen = with(at(10), async {
        let inner = with(at(60), async { current() }).await;
        let tight = with(at(5), async { current() }).await;
        let free = without(async { current() }).await;
        (inner, tight, free, current())
    });
    assert_eq!(seen.await, (Some(at(10)), Some(at(5)), None, Some(at(10))));
    assert_eq!(current(), None);
}

#[test]
fn a_future_keeps_the_deadline_of_where_it_was_made_and_of_where_it_is_polled() {
    let made = {
        let _entered = enter(at(5));
        with(at(60), async { current() })
    };
    assert_eq!(poll(pin!(made)), Poll::Ready(Some(at(5))));
    let made = with(at(60), async { current() });
    let _entered = enter(at(3));
    assert_eq!(poll(pin!(made)), Poll::Ready(Some(at(3))));
}

#[test]
fn between_polls_it_is_given_back() {
    let mut future = pin!(with(at(1), pending::<()>()));
    for _ in 0..3 {
        assert!(poll(future.as_mut()).is_pending());
        assert_eq!(current(), None);
    }
}

#[test]
fn a_panic_gives_it_back() {
    let polled = catch_unwind(|| {
        let failing = poll_fn(|_| -> Poll<()> { panic!("in the poll") });
        poll(pin!(with(at(1), failing)))
    });
    assert!(polled.is_err());
    assert_eq!(current(), None);
    let entered = catch_unwind(AssertUnwindSafe(|| {
        let _entered = enter(at(1));
        panic!("in the scope")
    }));
    assert!(entered.is_err());
    assert_eq!(current(), None);
}

#[test]
fn a_future_that_is_dropped_on_the_way_leaves_nothing() {
    {
        let mut future = Box::pin(with(at(1), async {
            let _nested = with(at(2), ready(())).await;
            pending::<()>().await;
        }));
        assert!(poll(future.as_mut()).is_pending());
    }
    assert_eq!(current(), None);
}

/// Many tasks on few threads, moved between them: each sees its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tasks_do_not_see_the_deadlines_of_each_other() {
    let tasks: Vec<_> = (1..=64)
        .map(|seconds| {
            tokio::spawn(with(at(seconds), async move {
                for _ in 0..200 {
                    assert_eq!(current(), Some(at(seconds)));
                    tokio::task::yield_now().await;
                    let other = tokio::spawn(async { current() }).await.unwrap();
                    assert_eq!(other, None, "a spawned task has none by itself");
                }
            }))
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(current(), None);
}

#[tokio::test]
async fn futures_that_run_side_by_side_keep_their_own() {
    let one = async |seconds| {
        for _ in 0..10 {
            assert_eq!(current(), Some(at(seconds)));
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(with(at(1), one(1)), with(at(2), one(2)), with(at(3), one(3)));
}

proptest! {
    #[test]
    fn time_left_is_counted_down_to_zero(span in any::<u64>(), passed in any::<u64>()) {
        let deadline = Deadline::after(Instant::ZERO, Duration::from_nanos(span));
        let now = Instant::ZERO + Duration::from_nanos(passed);
        let left = Duration::from_nanos(span.saturating_sub(passed));
        prop_assert_eq!(deadline.remaining(now), left);
        prop_assert_eq!(deadline.is_over(now), passed >= span);
    }
}
