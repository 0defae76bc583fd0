//! The bulkhead under real threads: no place lost or given twice, no wake lost.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Poll, Wake, Waker};
use std::thread;

use super::*;
use crate::{Clock, ManualClock};

fn bulkhead(max: u32, queue: u32) -> Arc<Bulkhead> {
    // Nobody gives up: a wake that is lost is a test that hangs.
    let max_wait = Duration::from_secs(3600);
    let config = BulkheadConfig { max, queue, max_wait, ..BulkheadConfig::default() };
    Arc::new(Bulkhead::new(config).unwrap())
}

/// Counts who is inside at once.
#[derive(Default)]
struct Inside {
    now: AtomicU32,
    most: AtomicU32,
}

impl Inside {
    fn visit(&self) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        std::hint::spin_loop();
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
}

/// One of the ways to use a place.
fn one_call(bulkhead: &Bulkhead, inside: &Inside, random: &mut fastrand::Rng) {
    let priority = Priority::ALL[random.usize(..Priority::ALL.len())];
    let place = match random.u8(..4) {
        0 => bulkhead.try_acquire(),
        1 | 2 => bulkhead.acquire_blocking(&Clock::system(), priority, None),
        _ => {
            let Ok(mut ticket) = bulkhead.enqueue(priority, Instant::ZERO, None) else { return };
            match bulkhead.poll_ticket(&mut ticket, Waker::noop()) {
                Poll::Ready(outcome) => outcome,
                Poll::Pending => {
                    bulkhead.cancel(ticket);
                    return;
                }
            }
        }
    };
    if let Ok(place) = place {
        inside.visit();
        bulkhead.release(place);
    }
}

fn storm(max: u32, queue: u32, order: QueueOrder) {
    let bulkhead = bulkhead(max, queue);
    bulkhead.reconfigure(BulkheadConfig { order, ..bulkhead.config() }).unwrap();
    let inside = Arc::new(Inside::default());
    thread::scope(|scope| {
        for seed in 0..8 {
            let (bulkhead, inside) = (&bulkhead, &inside);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(seed);
                for _ in 0..12_500 {
                    one_call(bulkhead, inside, &mut random);
                }
            });
        }
    });
    assert!(inside.most.load(Ordering::SeqCst) <= max);
    assert_eq!((bulkhead.in_use(), bulkhead.queued()), (0, 0));
    for _ in 0..max {
        assert!(bulkhead.try_acquire().is_ok(), "no mark is left behind");
    }
}

#[test]
fn never_more_than_max_are_inside() {
    storm(3, 100, QueueOrder::Fifo);
}

#[test]
fn a_single_place_and_a_short_queue_lose_nobody() {
    storm(1, 2, QueueOrder::Lifo);
}

#[test]
fn a_moving_limit_loses_nobody() {
    let bulkhead = bulkhead(4, 100);
    let inside = Arc::new(Inside::default());
    thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|seed| {
                let (bulkhead, inside) = (&bulkhead, &inside);
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(seed);
                    for _ in 0..5_000 {
                        one_call(bulkhead, inside, &mut random);
                    }
                })
            })
            .collect();
        let mut random = fastrand::Rng::with_seed(99);
        while callers.iter().any(|caller| !caller.is_finished()) {
            bulkhead.set_max(random.u32(1..=4));
            thread::yield_now();
        }
    });
    assert!(inside.most.load(Ordering::SeqCst) <= 4);
    assert_eq!((bulkhead.in_use(), bulkhead.queued()), (0, 0));
}

/// Netflix/concurrency-limits#179: a place that was handed over while its caller gave up.
#[test]
fn a_place_that_comes_while_the_caller_gives_up_is_passed_on() {
    const ROUNDS: usize = 5_000;
    let bulkhead = bulkhead(1, 2);
    let start = Barrier::new(2);
    let end = Barrier::new(2);
    let held = Mutex::new(None);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..ROUNDS {
                start.wait();
                let place = held.lock().unwrap().take().unwrap();
                bulkhead.release(place);
                end.wait();
            }
        });
        for _ in 0..ROUNDS {
            *held.lock().unwrap() = Some(bulkhead.try_acquire().unwrap());
            let mut quitter = bulkhead.enqueue(Priority::High, Instant::ZERO, None).unwrap();
            let mut heir = bulkhead.enqueue(Priority::Low, Instant::ZERO, None).unwrap();
            assert!(bulkhead.poll_ticket(&mut quitter, Waker::noop()).is_pending());
            assert!(bulkhead.poll_ticket(&mut heir, Waker::noop()).is_pending());
            start.wait();
            bulkhead.cancel(quitter);
            end.wait();
            match bulkhead.poll_ticket(&mut heir, Waker::noop()) {
                Poll::Ready(Ok(place)) => bulkhead.release(place),
                other => panic!("the place is lost: {other:?}"),
            }
            assert_eq!((bulkhead.in_use(), bulkhead.queued()), (0, 0));
        }
    });
}

/// Whoever is refused for a more important caller is woken, also when it had fallen asleep.
#[test]
fn an_evicted_thread_wakes_up() {
    let bulkhead = bulkhead(1, 1);
    let held = bulkhead.try_acquire().unwrap();
    let hand = ManualClock::new();
    let clock = hand.clock();
    thread::scope(|scope| {
        let low = scope.spawn(|| bulkhead.acquire_blocking(&clock, Priority::Low, None));
        while hand.next_deadline().is_none() {
            thread::yield_now();
        }
        let ticket = bulkhead.enqueue(Priority::High, clock.now(), None).unwrap();
        assert_eq!(low.join().unwrap(), Err(Full));
        assert_eq!(bulkhead.snapshot().evicted, 1);
        bulkhead.cancel(ticket);
    });
    bulkhead.release(held);
    assert_eq!((bulkhead.in_use(), bulkhead.queued()), (0, 0));
}

#[test]
fn a_thread_gives_up_at_its_deadline_and_not_before() {
    let bulkhead = bulkhead(1, 1);
    let held = bulkhead.try_acquire().unwrap();
    let hand = ManualClock::new();
    let clock = hand.clock();
    let deadline = clock.now() + Duration::from_secs(10);
    thread::scope(|scope| {
        let waiter =
            scope.spawn(|| bulkhead.acquire_blocking(&clock, Priority::Normal, Some(deadline)));
        while hand.next_deadline() != Some(deadline) {
            thread::yield_now();
        }
        hand.advance(Duration::from_secs(9));
        assert!(!waiter.is_finished());
        assert_eq!(bulkhead.queued(), 1);
        hand.advance(Duration::from_secs(1));
        assert_eq!(waiter.join().unwrap(), Err(Full));
    });
    assert_eq!((bulkhead.in_use(), bulkhead.queued()), (1, 0));
    bulkhead.release(held);
    assert_eq!(bulkhead.in_use(), 0);
}

/// A task whose last waker is dropped may drop its own ticket: under the lock that would be
/// the end of all.
#[test]
fn a_waker_whose_drop_gives_up_another_ticket_blocks_nobody() {
    struct Task(Arc<Bulkhead>, Mutex<Option<Ticket>>);
    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for Task {
        fn drop(&mut self) {
            if let Some(ticket) = self.1.lock().unwrap().take() {
                self.0.cancel(ticket);
            }
        }
    }
    let bulkhead = bulkhead(1, 9);
    let held = bulkhead.try_acquire().unwrap();
    let queue = || bulkhead.enqueue(Priority::Normal, Instant::ZERO, None).unwrap();
    let task = || Waker::from(Arc::new(Task(Arc::clone(&bulkhead), Mutex::new(Some(queue())))));

    let (mut polled_anew, mut cancelled, mut granted) = (queue(), queue(), queue());
    for ticket in [&mut polled_anew, &mut cancelled, &mut granted] {
        assert!(bulkhead.poll_ticket(ticket, &task()).is_pending());
    }
    assert_eq!(bulkhead.queued(), 6);
    assert!(bulkhead.poll_ticket(&mut polled_anew, Waker::noop()).is_pending());
    assert_eq!(bulkhead.queued(), 5);
    bulkhead.cancel(cancelled);
    assert_eq!(bulkhead.queued(), 3);
    bulkhead.cancel(polled_anew);
    bulkhead.release(held);
    assert_eq!((bulkhead.in_use(), bulkhead.queued()), (1, 0));
    bulkhead.cancel(granted);
    assert_eq!(bulkhead.in_use(), 0);
}

/// Between two places that are handed over, one is free: it is not for passers-by.
#[test]
fn nobody_overtakes_the_queue_while_places_are_handed_over() {
    struct PasserBy(Arc<Bulkhead>, Mutex<Vec<Ticket>>);
    impl Wake for PasserBy {
        fn wake(self: Arc<Self>) {
            assert_eq!((self.0.in_use(), self.0.queued()), (2, 1), "one more place is free");
            assert_eq!(self.0.try_acquire(), Err(Full));
            let ticket = self.0.enqueue(Priority::Normal, Instant::ZERO, None).unwrap();
            self.1.lock().unwrap().push(ticket);
        }
    }
    let bulkhead = bulkhead(1, 9);
    let held = bulkhead.try_acquire().unwrap();
    let queue = || bulkhead.enqueue(Priority::Normal, Instant::ZERO, None).unwrap();
    let (mut first, mut second) = (queue(), queue());
    let passer_by = Arc::new(PasserBy(Arc::clone(&bulkhead), Mutex::default()));
    assert!(bulkhead.poll_ticket(&mut first, &Arc::clone(&passer_by).into()).is_pending());
    assert!(bulkhead.poll_ticket(&mut second, Waker::noop()).is_pending());
    bulkhead.set_max(3);
    let mut late = passer_by.1.lock().unwrap().pop().unwrap();
    assert!(bulkhead.poll_ticket(&mut late, Waker::noop()).is_pending());
    for ticket in [first, second, late] {
        bulkhead.cancel(ticket);
    }
    bulkhead.release(held);
    assert_eq!((bulkhead.in_use(), bulkhead.queued()), (0, 0));
}

/// The last place comes back after a caller has found none and before it is in the queue:
/// nobody else will ever wake it.
#[test]
fn a_place_that_comes_before_the_caller_is_in_the_queue_is_seen() {
    for _ in 0..100 {
        let bulkhead = bulkhead(1, 9);
        let held = bulkhead.try_acquire().unwrap();
        let line = bulkhead.line();
        thread::scope(|scope| {
            let caller = scope.spawn(|| {
                let mut ticket = bulkhead.enqueue(Priority::Normal, Instant::ZERO, None).unwrap();
                bulkhead.poll_ticket(&mut ticket, Waker::noop())
            });
            (0..50).for_each(|_| thread::yield_now());
            bulkhead.release(held);
            drop(line);
            assert!(matches!(caller.join().unwrap(), Poll::Ready(Ok(_))));
        });
        assert_eq!((bulkhead.in_use(), bulkhead.queued()), (1, 0));
    }
}
