//! Tests of the histogram against a sorted list of everything that was recorded.

use proptest::prelude::*;

use super::*;

const WINDOW: Duration = Duration::from_secs(4);
const START: Instant = Instant::from_nanos(1_000_000_000_000);

/// The smallest value that at least this share of the values does not exceed.
fn exact_quantile(values: &mut [u64], share: f64) -> u64 {
    values.sort_unstable();
    let wanted = share * values.len() as f64;
    let at = (1..=values.len()).find(|rank| *rank as f64 >= wanted).unwrap();
    values[at - 1]
}

fn relative_error(found: Duration, exact: u64) -> f64 {
    (found.as_nanos() as f64 - exact as f64).abs() / exact as f64
}

/// From a microsecond to an hour, each size as likely as the others.
fn any_latency() -> impl Strategy<Value = u64> {
    (10_u32..41, 0.0..1.0_f64).prop_map(|(doubling, part)| {
        let low = 1_u64 << doubling;
        low + nanos(Duration::from_nanos(low).mul_f64(part))
    })
}

proptest! {
    #[test]
    fn a_quantile_is_off_by_less_than_five_per_cent(
        mut values in proptest::collection::vec(any_latency(), 1..400),
        share in 0.001..0.999_f64,
    ) {
        let histogram = Histogram::new(WINDOW);
        for value in &values {
            histogram.record(Duration::from_nanos(*value), START);
        }
        let all = histogram.distribution(START);
        prop_assert_eq!(all.total(), values.len() as u64);
        let found = all.quantile(share).unwrap();
        let exact = exact_quantile(&mut values, share);
        prop_assert!(relative_error(found, exact) <= 0.05, "{:?} for {}", found, exact);
    }

    #[test]
    fn what_is_in_the_window_counts_and_what_has_left_it_does_not(
        steps in proptest::collection::vec((0_u64..1500, any_latency()), 1..300),
        ahead in 0_u64..6000,
    ) {
        let histogram = Histogram::new(WINDOW);
        let mut now = START;
        let mut recorded = Vec::new();
        for (step, latency) in steps {
            now = now + Duration::from_millis(step);
            histogram.record(Duration::from_nanos(latency), now);
            recorded.push(now);
        }
        now = now + Duration::from_millis(ahead);
        let younger = |span: Duration| {
            let young = recorded.iter().filter(|at| now.saturating_duration_since(**at) < span);
            young.count() as u64
        };
        let total = histogram.distribution(now).total();
        prop_assert!(total <= younger(WINDOW));
        prop_assert!(total >= younger(WINDOW * 3 / 4));
    }

    #[test]
    fn no_latency_and_no_moment_is_out_of_range(latency in any::<u64>(), moment in any::<u64>()) {
        let histogram = Histogram::new(Duration::from_millis(100));
        let now = Instant::from_nanos(moment);
        histogram.record(Duration::from_nanos(latency), now);
        histogram.record(Duration::MAX, now);
        prop_assert_eq!(histogram.distribution(now).total(), 2);
    }
}

#[test]
fn buckets_follow_each_other_without_gaps() {
    for bucket in 0..BUCKETS {
        assert_eq!(bucket_of(middle_of(bucket)), bucket);
    }
    assert_eq!(bucket_of(Duration::ZERO), 0);
    assert_eq!(bucket_of(Duration::MAX), BUCKETS - 1);
}

#[test]
fn a_latency_that_comes_late_does_not_undo_a_newer_epoch() {
    let histogram = Histogram::new(WINDOW);
    let latency = Duration::from_millis(5);
    histogram.record(latency, START + WINDOW);
    histogram.record(latency, START);
    assert_eq!(histogram.distribution(START + WINDOW).total(), 1);
}

#[test]
fn a_count_stops_before_it_would_spoil_the_epoch() {
    let histogram = Histogram::new(WINDOW);
    let latency = Duration::from_millis(5);
    histogram.record(latency, START);
    let bucket = histogram.buckets.iter().find(|word| word.load(Ordering::Relaxed) != 0).unwrap();
    bucket.fetch_add(COUNT_LIMIT, Ordering::Relaxed);
    let before = histogram.distribution(START).total();
    histogram.record(latency, START);
    assert_eq!(histogram.distribution(START).total(), before);
    histogram.record(latency, START + WINDOW);
    assert_eq!(histogram.distribution(START + WINDOW).total(), 1);
}

#[test]
fn threads_lose_no_latency_while_epochs_change() {
    const EACH: u64 = 20_000;
    let histogram = Histogram::new(WINDOW);
    // All moments are within three quarters of the window: nothing may be forgotten.
    let step = nanos(WINDOW) * 3 / 4 / EACH;
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let histogram = &histogram;
            scope.spawn(move || {
                for n in 0..EACH {
                    let latency = Duration::from_micros(1 + (n * 7 + thread) % 50);
                    histogram.record(latency, START + Duration::from_nanos(n * step));
                }
            });
        }
    });
    let end = START + Duration::from_nanos((EACH - 1) * step);
    assert_eq!(histogram.distribution(end).total(), 4 * EACH);
}
