//! The window of time against a plain queue, and from many threads.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;

fn at(millis: u64) -> Instant {
    Instant::from_nanos(millis * MS)
}

proptest! {
    #[test]
    fn it_counts_what_a_plain_queue_of_the_last_tenths_counts(
        bucket_ms in 10_u64..5000,
        origin_ms in 0_u64..100_000_000,
        calls in prop::collection::vec((0_u64..4000, any::<bool>()), 1..200),
    ) {
        let window = TimeWindow::new(Duration::from_millis(bucket_ms * BUCKETS));
        let mut queue: VecDeque<(u64, bool)> = VecDeque::new();
        let mut now = origin_ms;
        for (pause, hit) in calls {
            now += pause * bucket_ms / 1000;
            let tick = now / bucket_ms;
            window.add(hit, at(now));
            queue.push_back((tick, hit));
            while queue.front().is_some_and(|(old, _)| old + BUCKETS <= tick) {
                queue.pop_front();
            }
            let hits = queue.iter().filter(|(_, hit)| *hit).count() as u64;
            let expected = Sums { calls: queue.len() as u64, hits };
            prop_assert_eq!(window.sums(at(now)), expected);
        }
    }

    #[test]
    fn ticks_are_those_of_a_division(bucket_ms in 10_u64..10_000, now_ms in 0_u64..1_000_000_000) {
        let window = TimeWindow::new(Duration::from_millis(bucket_ms * BUCKETS));
        // Half a millisecond inside, beyond the documented earliness of 11 days.
        let now = Instant::from_nanos(now_ms * MS + MS / 2);
        prop_assert_eq!(window.tick(now), now_ms / bucket_ms);
        prop_assert_eq!(window.tick(at(now_ms * bucket_ms % 1_000_000_000 / bucket_ms * bucket_ms)),
            now_ms * bucket_ms % 1_000_000_000 / bucket_ms);
    }
}

#[test]
fn calls_leave_the_window_when_it_has_passed_and_not_before() {
    let window = TimeWindow::new(Duration::from_secs(10));
    window.add(true, at(500));
    assert_eq!(window.sums(at(9_999)).calls, 1);
    assert_eq!(window.sums(at(10_000)).calls, 0);
}

#[test]
fn the_calls_of_many_threads_are_all_there_across_ticks() {
    let window = TimeWindow::new(Duration::from_secs(10));
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| (0..10_000).for_each(|call| window.add(call % 5 == 0, at(call))));
        }
    });
    assert_eq!(window.sums(at(9_999)), Sums { calls: 160_000, hits: 32_000 });
}

#[test]
fn threads_that_share_a_stripe_begin_a_bucket_anew_once() {
    for _ in 0..50 {
        let window = TimeWindow::new(Duration::from_secs(10));
        window.add(true, at(0));
        std::thread::scope(|scope| {
            for _ in 0..16 {
                // Ticks 10 and 20 take the place of tick 0.
                scope.spawn(|| window.add(true, at(20_000)));
            }
        });
        assert_eq!(window.sums(at(20_000)), Sums { calls: 16, hits: 16 });
    }
}

#[test]
fn a_full_bucket_keeps_its_rate() {
    let window = TimeWindow::new(Duration::from_secs(10));
    (0..200_000).for_each(|call| window.add(call % 4 == 0, at(1)));
    let sums = window.sums(at(1));
    assert!((sums.rate() - 0.25).abs() < 0.001, "{sums:?}");
    assert!(sums.calls >= 30_000, "{sums:?}");
}

#[test]
fn a_call_older_than_the_window_is_not_counted_and_takes_nothing_away() {
    let window = TimeWindow::new(Duration::from_secs(10));
    window.add(true, at(30_000));
    window.add(true, at(20_000));
    assert_eq!(window.sums(at(30_000)), Sums { calls: 1, hits: 1 });
}

#[test]
fn a_slightly_older_moment_still_counts() {
    let window = TimeWindow::new(Duration::from_secs(10));
    window.add(true, at(30_000));
    window.add(false, at(29_000));
    assert_eq!(window.sums(at(30_000)), Sums { calls: 2, hits: 1 });
}

#[test]
fn it_works_again_after_any_time_of_rest() {
    for rest_ms in [1 << 20, 1 << 31, (1 << 31) * 100, (1_u64 << 32) * 100 + 37_000] {
        let window = TimeWindow::new(Duration::from_secs(1));
        window.add(true, at(0));
        window.add(false, at(rest_ms));
        assert_eq!(window.sums(at(rest_ms)), Sums { calls: 1, hits: 0 }, "{rest_ms}");
    }
}

#[test]
fn a_window_that_is_new_counts_at_any_moment() {
    // Ticks just before their number begins again, as an empty bucket has it: 0.
    let window = TimeWindow::new(Duration::from_millis(100));
    let now = at(((1 << 32) - 5) * 10 + 5);
    window.add(true, now);
    assert_eq!(window.sums(now), Sums { calls: 1, hits: 1 });
}
