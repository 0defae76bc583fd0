//! Percentiles, held to a naive reference.

use proptest::prelude::*;

use super::*;

fn counted(values: &[u64]) -> Latencies {
    let mut all = Latencies::default();
    for value in values {
        let bucket = u16::try_from(Latencies::bucket_of(*value)).unwrap();
        all = all.plus(&Latencies { buckets: vec![(bucket, 1)], sum_nanos: *value });
    }
    all
}

/// The definition: sort, and take the first that so many do not exceed.
fn naive_quantile(values: &[u64], share: f64) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let wanted = (share * sorted.len() as f64).ceil().max(1.0);
    *sorted.iter().enumerate().find(|(at, _)| (at + 1) as f64 >= wanted).unwrap().1
}

fn latency() -> impl Strategy<Value = u64> {
    (0_u32..40, 1_u64..=1 << 20).prop_map(|(bits, value)| ((value << bits) >> 20).max(1))
}

#[test]
fn buckets_follow_each_other_without_gap_or_overlap() {
    assert_eq!(Latencies::bounds(0).0, 0);
    for bucket in 1..Latencies::BUCKETS {
        assert_eq!(Latencies::bounds(bucket).0, Latencies::bounds(bucket - 1).1, "{bucket}");
    }
    assert_eq!(Latencies::bounds(Latencies::BUCKETS - 1).1, u64::MAX);
}

#[test]
fn a_bucket_holds_its_upper_bound_and_not_its_lower_one() {
    for bucket in 0..Latencies::BUCKETS {
        let (low, high) = Latencies::bounds(bucket);
        assert_eq!(Latencies::bucket_of(low + 1), bucket);
        assert_eq!(Latencies::bucket_of(high), bucket);
    }
    assert_eq!(Latencies::bucket_of(0), 0);
}

#[test]
fn no_bucket_is_wider_than_a_tenth_of_its_start() {
    for bucket in 1..Latencies::BUCKETS - 1 {
        let (low, high) = Latencies::bounds(bucket);
        assert!((high - low) as f64 / 2.0 <= Latencies::ERROR * low as f64, "{low} to {high}");
    }
}

#[test]
fn a_latency_beyond_all_buckets_is_told_as_the_highest_bound() {
    let all = counted(&[u64::MAX]);
    assert_eq!(all.quantile(0.5), Some(Duration::from_secs(1000)));
}

#[test]
fn a_bucket_that_does_not_exist_is_no_reason_to_fail() {
    let foreign = Latencies { buckets: vec![(u16::MAX, 3)], sum_nanos: 0 };
    assert_eq!(foreign.quantile(1.0), Some(Duration::from_secs(1000)));
    assert_eq!(foreign.at_most(1_000_000), 0);
}

proptest! {
    #[test]
    fn a_quantile_is_that_of_the_sorted_values_within_the_error(
        values in prop::collection::vec(latency(), 1..200),
        share in 0.0..=1.0_f64,
    ) {
        let exact = naive_quantile(&values, share);
        let told = counted(&values).quantile(share).unwrap().as_nanos() as f64;
        if exact > 1000 {
            prop_assert!((told - exact as f64).abs() <= Latencies::ERROR * exact as f64 + 1.0);
        } else {
            prop_assert!(told <= 1000.0);
        }
    }

    #[test]
    fn what_came_since_and_what_was_before_are_all(
        before in prop::collection::vec(latency(), 0..50),
        after in prop::collection::vec(latency(), 0..50),
    ) {
        let older = counted(&before);
        let newer = counted(&[before, after.clone()].concat());
        prop_assert_eq!(newer.since(&older), counted(&after));
    }

    #[test]
    fn counting_up_to_a_bound_is_exact(values in prop::collection::vec(latency(), 0..100)) {
        for bound in [500_000, 2_500_000, 25_000_000, 75_000_000, 10_000_000_000] {
            let exact = values.iter().filter(|value| **value <= bound).count() as u64;
            prop_assert_eq!(counted(&values).at_most(bound), exact);
        }
    }
}
