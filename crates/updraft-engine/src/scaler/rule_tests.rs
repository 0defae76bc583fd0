//! The rule against the cases of Kubernetes and against a naive one, and its laws.

use std::time::Duration;

use proptest::prelude::*;
use updraft_system::{Stabilize, Steps};

use super::*;

fn rule(min: u32, max: u32) -> ScaleRule {
    ScaleRule {
        min,
        max,
        cpu: None,
        concurrency: Some(1),
        queue: None,
        every: Duration::from_secs(5),
        stabilize: Stabilize { up: Duration::ZERO, down: Duration::ZERO },
        step: Steps { up: Some(1000), down: None },
    }
}

fn copies(seen: &[u64], unseen: u32, unready: u32) -> Sample {
    Sample::PerCopy { seen: seen.to_vec(), unseen, unready }
}

/// The cases of `replica_calculator_test.go` whose target is all of what a pod asks for, or
/// in which no pod is without metrics.
#[test]
fn it_asks_for_what_kubernetes_asks_for() {
    for (title, current, expected, target, sample) in [
        ("ScaleUp", 3, 5, 300, copies(&[300, 500, 700], 0, 0)),
        ("ScaleUpUnreadyLessScale", 3, 4, 300, copies(&[500, 700], 0, 1)),
        ("ScaleUpUnreadyNoScale", 3, 3, 300, copies(&[400], 0, 2)),
        ("ScaleDown", 5, 3, 500, copies(&[100, 300, 500, 250, 250], 0, 0)),
        ("ScaleDownIncludeUnreadyPods", 5, 2, 500, copies(&[100, 300, 500], 0, 2)),
        ("ScaleUpCM", 3, 4, 15000, copies(&[20000, 10000, 30000], 0, 0)),
        ("ScaleDownCM", 5, 3, 20000, copies(&[12000; 5], 0, 0)),
        ("ScaleDownExcludeUnscheduledPods", 5, 1, 500, copies(&[100], 0, 4)),
        ("MissingMetrics", 4, 3, 1000, copies(&[400, 95], 2, 0)),
        ("MissingMetricsNoChangeEq", 2, 2, 1000, copies(&[1000], 1, 0)),
        ("MissingMetricsNoChangeGt", 2, 2, 1000, copies(&[1900], 1, 0)),
        ("MissingMetricsNoChangeLt", 2, 2, 1000, copies(&[600], 1, 0)),
        ("MissingMetricsUnreadyNoChange", 3, 3, 500, copies(&[450], 1, 1)),
        ("MissingMetricsUnreadyScaleUp", 3, 4, 500, copies(&[2000], 1, 1)),
        ("Tolerance, 10% above", 3, 3, 1000, copies(&[1100, 1100, 1100], 0, 0)),
        ("Tolerance, just beyond", 3, 4, 1000, copies(&[1100, 1100, 1101], 0, 0)),
        ("Tolerance, 10% below", 10, 10, 1000, copies(&[900; 10], 0, 0)),
        ("documentation: 200m of 100m", 1, 2, 100, copies(&[200], 0, 0)),
        ("documentation: 50m of 100m", 2, 1, 100, copies(&[50, 50], 0, 0)),
        ("ScaleUpPerPodCMExternal", 3, 4, 2150, Sample::Whole(8600)),
        ("ScaleDownPerPodCMExternal", 6, 5, 1750, Sample::Whole(8600)),
        ("from none by a queue", 0, 2, 50, Sample::Whole(51)),
        ("to none by a queue", 3, 0, 50, Sample::Whole(0)),
    ] {
        assert_eq!(load::desired(&sample, target, current), Some(expected), "{title}");
    }
    assert_eq!(load::desired(&copies(&[], 2, 1), 1000, 3), None, "EmptyMetrics");
}

#[test]
fn a_number_says_why_it_is_not_the_wish() {
    let (at, one) = (Instant::now(), |load| vec![(Some(Sample::Whole(load)), 10)]);
    let mut steps = rule(2, 20);
    steps.step = Steps { up: Some(3), down: Some(1) };
    let mut windows = rule(2, 20);
    windows.stabilize = Stabilize { up: Duration::from_secs(9), down: Duration::from_secs(9) };
    for (title, rule, current, samples, wish, copies, because) in [
        ("the load", rule(2, 20), 4, one(70), Some(7), 7, Because::Load(0)),
        ("at least", rule(2, 20), 4, one(0), Some(2), 2, Because::Least(0)),
        ("at most", rule(2, 20), 4, one(999), Some(20), 20, Because::Most(0)),
        ("step up", steps.clone(), 4, one(200), Some(20), 7, Because::Step),
        ("step down", steps, 4, one(20), Some(2), 3, Because::Step),
        ("window up", windows.clone(), 4, one(70), Some(7), 4, Because::Window),
        ("window down", windows, 4, one(20), Some(2), 4, Because::Window),
        ("nothing seen", rule(2, 20), 4, vec![(None, 10)], None, 4, Because::Unmeasured),
        ("nothing seen, too few", rule(2, 20), 1, vec![(None, 10)], None, 2, Because::Bounds),
        (
            "the greatest of two",
            rule(2, 20),
            4,
            vec![(Some(Sample::Whole(50)), 10), (Some(Sample::Whole(80)), 10)],
            Some(8),
            8,
            Because::Load(1),
        ),
        (
            "half is seen, and it would be fewer",
            rule(2, 20),
            4,
            vec![(None, 10), (Some(Sample::Whole(20)), 10)],
            Some(4),
            4,
            Because::PartlyUnmeasured,
        ),
        (
            "half is seen, and it is more",
            rule(2, 20),
            4,
            vec![(None, 10), (Some(Sample::Whole(80)), 10)],
            Some(8),
            8,
            Because::Load(1),
        ),
    ] {
        let verdict = Ruling::new(rule).decide(at, current, &samples);
        assert_eq!(
            (verdict.wish, verdict.copies, verdict.because),
            (wish, copies, because),
            "{title}"
        );
    }
}

/// The documentation's words, with a list of all copies and numbers with fractions.
fn naive(seen: &[u64], unseen: u32, unready: u32, target: u64, current: u32) -> u32 {
    let ratio = |values: &[f64]| {
        values.iter().sum::<f64>() / f64::from(u32::try_from(values.len()).unwrap())
    };
    let aimed = target as f64;
    let mut values: Vec<f64> = seen.iter().map(|value| *value as f64).collect();
    let first = ratio(&values) / aimed;
    if first < 1.0 {
        values.extend((0..unseen).map(|_| aimed));
    } else if 1.0 < first {
        values.extend((0..unseen + unready).map(|_| 0.0));
    }
    let second = ratio(&values) / aimed;
    if (second - 1.0).abs() <= 0.1 + 1e-9 || (first < 1.0) != (second < 1.0) {
        return current;
    }
    let sum: f64 = values.iter().sum();
    let wanted = (0..).find(|copies| sum <= f64::from(*copies) * aimed + 1e-6).unwrap();
    // What is missing or not ready never turns the direction.
    let guessed = 0 < unseen || (0 < unready && 1.0 < first);
    match guessed && ((1.0 < second && wanted < current) || (second < 1.0 && current < wanted)) {
        true => current,
        false => wanted,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_load_asks_for_what_a_naive_one_asks_for(
        seen in prop::collection::vec(0u64..2000, 1..12),
        unseen in 0u32..4,
        unready in 0u32..4,
        target in 1u64..1000,
    ) {
        let current = u32::try_from(seen.len()).unwrap() + unseen + unready;
        let expected = naive(&seen, unseen, unready, target, current);
        let sample = Sample::PerCopy { seen, unseen, unready };
        prop_assert_eq!(load::desired(&sample, target, current), Some(expected));
    }

    /// Windows against a list of all wishes, and the bounds and steps of each decision.
    #[test]
    fn a_rule_decides_as_a_naive_one_with_all_it_ever_wished(
        up in 0u64..30,
        down in 0u64..30,
        step_up in 1u32..8,
        step_down in 1u32..8,
        loads in prop::collection::vec((1u64..12, 0u64..300), 1..60),
    ) {
        let mut rule = rule(1, 25);
        rule.stabilize =
            Stabilize { up: Duration::from_secs(up), down: Duration::from_secs(down) };
        rule.step = Steps { up: Some(step_up), down: Some(step_down) };
        let mut ruling = Ruling::new(rule);
        let (begin, mut now, mut current) = (Instant::now(), 0, 3u32);
        let mut wishes = vec![(0u64, current)];
        for (wait, load) in loads {
            now += wait;
            let wish = load::desired(&Sample::Whole(load), 10, current).unwrap().clamp(1, 25);
            let young = |length: u64| {
                let young = wishes.iter().filter(move |(at, _)| now < at + length);
                young.map(|(_, wish)| *wish).chain([wish])
            };
            let (least, greatest) = (young(up).min().unwrap(), young(down).max().unwrap());
            let mut expected = current;
            if expected < least {
                expected = least;
            }
            if greatest < expected {
                expected = greatest;
            }
            let expected = expected.min(current + step_up).max(current.saturating_sub(step_down));
            let at = begin + Duration::from_secs(now);
            let verdict = ruling.decide(at, current, &[(Some(Sample::Whole(load)), 10)]);
            // The first decision adds what ran at that moment, and not when the test began.
            if wishes.len() == 1 {
                wishes[0].0 = now;
                prop_assert!(verdict.copies.abs_diff(current) <= step_up.max(step_down));
            } else {
                prop_assert_eq!(verdict.copies, expected, "{:?}", wishes);
            }
            wishes.push((now, wish));
            current = verdict.copies;
            prop_assert!((1..=25).contains(&current));
        }
    }

    /// A load that stays is followed to the number that it needs, and that number stays.
    #[test]
    fn a_steady_load_comes_to_rest(load in 0u64..2000, start in 1u32..50) {
        let mut ruling = Ruling::new(rule(1, 50));
        let (mut now, mut current) = (Instant::now(), start);
        let mut rest = 0;
        for _ in 0..20 {
            now += Duration::from_secs(5);
            let before = current;
            current = ruling.decide(now, current, &[(Some(Sample::Whole(load)), 20)]).copies;
            rest = if before == current { rest + 1 } else { 0 };
        }
        prop_assert!(10 <= rest);
        let (load, held) = (u128::from(load), u128::from(current) * 20);
        prop_assert!(load <= held + held / 10 || current == 50, "{load} at {current}");
    }

    /// More load never makes fewer copies.
    #[test]
    fn more_load_is_never_fewer_copies(
        less in 0u64..1000, more in 0u64..1000, current in 1u32..50, target in 1u64..100,
    ) {
        let ask = |load| load::desired(&Sample::Whole(load), target, current).unwrap();
        let (less, more) = (less.min(more), less.max(more));
        prop_assert!(ask(less) <= ask(more));
    }
}
