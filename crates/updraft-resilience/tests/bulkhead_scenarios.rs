//! What other libraries promise of their bulkheads, told anew from their tests: Resilience4j
//! (`SemaphoreBulkheadTest`, `ThreadPoolBulkheadTest`), failsafe-go (`bulkhead_test.go`) and
//! Polly (`BulkheadScenarios`, the concurrency limiter's predecessor and its test table).

#![expect(clippy::unwrap_used, reason = "a broken set-up is to end the test")]

use std::sync::mpsc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use updraft_resilience::bulkhead::pool::{PoolConfig, ThreadPool};
use updraft_resilience::bulkhead::{Bulkhead, BulkheadConfig, Full, Place, Ticket};
use updraft_resilience::{Clock, Instant, ManualClock, Priority, Rejection};

fn bulkhead(max: u32, queue: u32) -> Bulkhead {
    let max_wait = Duration::from_secs(500);
    Bulkhead::new(BulkheadConfig { max, queue, max_wait, ..BulkheadConfig::default() }).unwrap()
}

fn available(bulkhead: &Bulkhead) -> u32 {
    bulkhead.config().max.saturating_sub(bulkhead.in_use())
}

fn acquire(bulkhead: &Bulkhead, clock: &Clock) -> Result<(), Full> {
    let place = bulkhead.acquire_blocking(clock, Priority::Normal, None)?;
    bulkhead.release(place);
    Ok(())
}

fn until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

#[test]
fn resilience4j_test_bulkhead() {
    let bulkhead = bulkhead(2, 0);
    let (first, second) = (bulkhead.try_acquire().unwrap(), bulkhead.try_acquire().unwrap());
    assert_eq!(available(&bulkhead), 0);
    assert_eq!(bulkhead.try_acquire().map_err(Rejection::from), Err(Rejection::Full));
    bulkhead.release(first);
    assert_eq!(available(&bulkhead), 1);
    bulkhead.release(second);
    assert_eq!(available(&bulkhead), 2);
    assert!(bulkhead.try_acquire().is_ok());
    assert_eq!(bulkhead.snapshot().rejected, 1);
}

#[test]
fn resilience4j_test_entry_timeout() {
    let config = BulkheadConfig {
        max: 1,
        queue: 1,
        max_wait: Duration::from_millis(10),
        ..BulkheadConfig::default()
    };
    let bulkhead = Bulkhead::new(config).unwrap();
    let held = bulkhead.try_acquire().unwrap();
    assert_eq!(acquire(&bulkhead, &Clock::system()), Err(Full));
    bulkhead.release(held);
    assert_eq!(acquire(&bulkhead, &Clock::system()), Ok(()));
}

/// There it lets nobody through; here it is refused, as cowprotocol/services#4804 shows why.
#[test]
fn resilience4j_test_zero_max_concurrent_calls() {
    assert!(Bulkhead::new(BulkheadConfig { max: 0, ..BulkheadConfig::default() }).is_err());
}

#[test]
fn resilience4j_change_permissions_count_while_one_thread_is_running() {
    let bulkhead = bulkhead(1, 0);
    let running = bulkhead.try_acquire().unwrap();
    assert!(bulkhead.try_acquire().is_err());

    bulkhead.set_max(2);
    assert_eq!(available(&bulkhead), 1);
    let second = bulkhead.try_acquire().unwrap();
    assert!(bulkhead.try_acquire().is_err());

    // There the change waits until a call has ended; here it holds at once.
    bulkhead.set_max(1);
    assert_eq!((bulkhead.config().max, bulkhead.in_use()), (1, 2));
    bulkhead.release(running);
    assert!(bulkhead.try_acquire().is_err());
    bulkhead.release(second);
    assert_eq!(available(&bulkhead), 1);
}

#[test]
fn resilience4j_change_permissions_count_while_one_thread_is_waiting() {
    let bulkhead = bulkhead(1, 1);
    let held = bulkhead.try_acquire().unwrap();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| acquire(&bulkhead, &Clock::system()));
        until(|| bulkhead.queued() == 1);
        bulkhead.set_max(2);
        assert_eq!(waiter.join().unwrap(), Ok(()));
    });
    assert_eq!(available(&bulkhead), 1);
    bulkhead.release(held);
}

#[test]
fn resilience4j_change_waiting_time_while_one_thread_is_waiting() {
    let bulkhead = bulkhead(1, 5);
    let held = bulkhead.try_acquire().unwrap();
    let hand = ManualClock::new();
    let clock = hand.clock();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| acquire(&bulkhead, &clock));
        until(|| bulkhead.queued() == 1);
        let max_wait = Duration::from_millis(1);
        bulkhead.reconfigure(BulkheadConfig { max_wait, ..bulkhead.config() }).unwrap();
        let shorter = bulkhead.enqueue(Priority::Normal, clock.now(), None).unwrap();
        assert_eq!(shorter.deadline(), clock.now() + max_wait);
        bulkhead.cancel(shorter);
        hand.advance(Duration::from_secs(400));
        assert_eq!(bulkhead.queued(), 1, "who waited before still waits");
        bulkhead.release(held);
        assert_eq!(waiter.join().unwrap(), Ok(()));
    });
}

#[test]
fn resilience4j_change_permissions_concurrently() {
    let bulkhead = bulkhead(3, 0);
    let held = [bulkhead.try_acquire().unwrap(), bulkhead.try_acquire().unwrap()];
    thread::scope(|scope| {
        for max in [1, 4, 2, 9, 4] {
            let bulkhead = &bulkhead;
            scope.spawn(move || (0..1000).for_each(|_| bulkhead.set_max(max)));
        }
    });
    bulkhead.set_max(4);
    assert_eq!(available(&bulkhead), 2);
    held.into_iter().for_each(|place| bulkhead.release(place));
    assert_eq!(available(&bulkhead), 4);
}

#[test]
fn failsafe_go_test_acquire_permit() {
    let bulkhead = bulkhead(2, 1);
    let held = bulkhead.try_acquire().unwrap();
    let other = bulkhead.try_acquire().unwrap();
    thread::scope(|scope| {
        let third = scope.spawn(|| acquire(&bulkhead, &Clock::system()));
        until(|| bulkhead.queued() == 1);
        bulkhead.release(held);
        assert_eq!(third.join().unwrap(), Ok(()));
    });
    bulkhead.release(other);
}

#[test]
fn failsafe_go_test_acquire_permit_with_max_wait_time() {
    let bulkhead = bulkhead(1, 1);
    let _held = bulkhead.try_acquire().unwrap();
    let clock = Clock::system();
    let deadline = clock.now() + Duration::from_millis(100);
    let refused = bulkhead.acquire_blocking(&clock, Priority::Normal, Some(deadline));
    assert_eq!(refused, Err(Full));
    assert!(clock.now() >= deadline, "not before its time");
}

#[test]
fn failsafe_go_test_try_acquire_permit_and_release_permit() {
    let bulkhead = bulkhead(2, 0);
    let first = bulkhead.try_acquire().unwrap();
    let second = bulkhead.try_acquire().unwrap();
    assert!(bulkhead.try_acquire().is_err());
    bulkhead.release(first);
    let third = bulkhead.try_acquire().unwrap();
    assert!(bulkhead.try_acquire().is_err());
    bulkhead.release(second);
    bulkhead.release(third);
    assert!(bulkhead.try_acquire().is_ok() && bulkhead.try_acquire().is_ok());
    assert!(bulkhead.try_acquire().is_err());
}

struct Scenario {
    name: &'static str,
    max: u32,
    queue: u32,
    load: u32,
    cancel_queuing: bool,
    cancel_executing: bool,
}

/// The table of Polly, but for the fifth line: the load there is 9, which the queue does hold.
const POLLY: [Scenario; 8] = [
    polly("no queue, not even oversubscribed", 5, 0, 3, false, false),
    polly("high capacity, no queue; cancel some executing", 20, 0, 3, false, true),
    polly("no queue, oversubscribed", 3, 0, 4, false, false),
    polly("not enough queue to avoid rejections", 3, 1, 5, false, false),
    polly("not enough queue; cancel some queuing, some executing", 6, 3, 10, true, true),
    polly("enough queue to avoid rejections", 5, 3, 8, false, false),
    polly("enough queue; cancel some queuing, some executing", 6, 3, 9, true, true),
    polly("very tight, but a huge queue; cancel some of both", 1, 6, 5, true, true),
];

const fn polly(
    name: &'static str,
    max: u32,
    queue: u32,
    load: u32,
    cancel_queuing: bool,
    cancel_executing: bool,
) -> Scenario {
    Scenario { name, max, queue, load, cancel_queuing, cancel_executing }
}

fn served(bulkhead: &Bulkhead, ticket: &mut Ticket) -> Option<Place> {
    match bulkhead.poll_ticket(ticket, Waker::noop()) {
        Poll::Ready(outcome) => outcome.ok(),
        Poll::Pending => None,
    }
}

#[test]
fn polly_bulkhead_scenarios() {
    for Scenario { name, max, queue, load, cancel_queuing, cancel_executing } in POLLY {
        let bulkhead = bulkhead(max, queue);
        let asked = (0..load).map(|_| bulkhead.enqueue(Priority::Normal, Instant::ZERO, None));
        let (taken, refused): (Vec<_>, Vec<_>) = asked.partition(Result::is_ok);
        let mut line: Vec<Ticket> = taken.into_iter().map(Result::unwrap).collect();

        let expected_executing = load.min(max);
        let expected_queued = (load - expected_executing).min(queue);
        let expected_refused = load - expected_executing - expected_queued;
        assert_eq!(bulkhead.in_use(), expected_executing, "{name}");
        assert_eq!(bulkhead.queued(), expected_queued, "{name}");
        assert_eq!(refused.len(), expected_refused as usize, "{name}");

        if cancel_queuing {
            bulkhead.cancel(line.pop().unwrap());
            assert_eq!(bulkhead.queued(), expected_queued - 1, "{name}");
            assert_eq!(bulkhead.in_use(), expected_executing, "{name}");
        }
        if cancel_executing {
            // Dropped before it knew of its place: the next one has it.
            let next = bulkhead.queued().min(1);
            bulkhead.cancel(line.remove(0));
            assert_eq!(bulkhead.in_use(), expected_executing - 1 + next, "{name}");
        }
        // All others are served in the order in which they came.
        for mut ticket in line {
            let place = served(&bulkhead, &mut ticket);
            assert!(place.is_some(), "{name}");
            let before = bulkhead.in_use() + bulkhead.queued();
            assert!(bulkhead.queued() == 0 || bulkhead.try_acquire().is_err(), "{name}: overtaken");
            place.into_iter().for_each(|place| bulkhead.release(place));
            assert_eq!(bulkhead.in_use() + bulkhead.queued(), before - 1, "{name}");
        }
        assert_eq!((bulkhead.in_use(), bulkhead.queued()), (0, 0), "{name}");
    }
}

fn pool(name: &str, threads: u32, queue: u32) -> ThreadPool {
    ThreadPool::new(PoolConfig { name: name.into(), threads, queue }).unwrap()
}

#[test]
fn resilience4j_should_execute_supplier_and_fail_with_bulkhead_full() {
    let pool = pool("test", 1, 1);
    let (end, ended) = mpsc::sync_channel::<()>(1);
    let first = pool.submit(move || ended.recv().is_err()).unwrap();
    let second = pool.submit(|| "Hello world").unwrap();
    assert_eq!(pool.submit(|| "Hello world").map(drop), Err(Full));
    assert_eq!(pool.snapshot().rejected, 1);
    drop(end);
    assert_eq!(first.wait(), Ok(true));
    assert_eq!(second.wait(), Ok("Hello world"));
}

#[test]
fn resilience4j_test_create_threads_using_name_for_prefix() {
    let pool = pool("bulkhead-TEST", 1, 1);
    let name = pool.submit(|| thread::current().name().map(str::to_owned)).unwrap();
    assert_eq!(name.wait(), Ok(Some("bulkhead-TEST-1".to_owned())));
}

#[test]
fn resilience4j_test_with_synchronous_queue() {
    let pool = pool("test", 2, 0);
    let (ends, jobs): (Vec<_>, Vec<_>) = (0..2)
        .map(|_| {
            let (end, ended) = mpsc::sync_channel::<()>(1);
            (end, pool.submit(move || ended.recv().is_err()).unwrap())
        })
        .unzip();
    assert_eq!(pool.submit(|| ()).map(drop), Err(Full));
    until(|| pool.snapshot().running == 2);
    assert_eq!(pool.snapshot().queued, 0);
    assert_eq!(pool.snapshot().threads, 2);
    drop(ends);
    for job in jobs {
        assert_eq!(job.wait(), Ok(true));
    }
}
