//! Against the formula counted by hand, and against targets with a known capacity.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn start() -> Instant {
    Instant::from_nanos(1_000_000_000_000)
}

proptest! {
    #[test]
    fn it_counts_what_the_last_tenths_of_the_window_saw(
        calls in prop::collection::vec((0_u64..30_000, any::<bool>()), 1..200),
    ) {
        let throttle = Throttle::new(ThrottleConfig::default()).unwrap();
        let (mut now, mut seen) = (start(), Vec::new());
        for (space, accepted) in calls {
            now = now + Duration::from_millis(space);
            throttle.record(accepted, now);
            seen.push((now.as_nanos() / 12_000_000_000, accepted));
            let turn = now.as_nanos() / 12_000_000_000;
            let counted = || seen.iter().filter(|(at, _)| turn - at < 10);
            let requests = counted().count() as u64;
            let accepts = counted().filter(|(_, accepted)| *accepted).count() as u64;
            let found = throttle.snapshot(now);
            prop_assert_eq!((found.requests, found.accepts), (requests, accepts));
            let formula = (requests as f64 - 2.0 * accepts as f64) / (requests as f64 + 1.0);
            let expected = if requests < 10 { 0.0 } else { formula.clamp(0.0, 0.95) };
            prop_assert!((found.refusal - expected).abs() < 1e-9);
        }
    }
}

/// Offers `offered` calls a second for some time to a target that accepts so many of them a
/// second; answers come after 200 ms. Gives what was sent and accepted in each second.
fn run(
    throttle: &Throttle,
    seconds: u64,
    offered: u64,
    capacity: impl Fn(u64) -> u64,
) -> Vec<(u64, u64)> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut answers: VecDeque<(Instant, bool)> = VecDeque::new();
    let mut result = Vec::new();
    for second in 0..seconds {
        let (mut sent, mut accepted) = (0, 0);
        for n in 0..offered {
            let now = start()
                + SECOND * u32::try_from(second).unwrap()
                + Duration::from_nanos(1_000_000_000 / offered * n);
            while answers.front().is_some_and(|(at, _)| *at <= now) {
                let (at, accepted) = answers.pop_front().unwrap();
                throttle.record(accepted, at);
            }
            if throttle.admit(now, &mut random) {
                sent += 1;
                // The capacity is spread evenly over the second.
                let taken = accepted < (n + 1) * capacity(second) / offered + 1
                    && accepted < capacity(second);
                accepted += u64::from(taken);
                answers.push_back((now + Duration::from_millis(200), taken));
            }
        }
        result.push((sent, accepted));
    }
    result
}

#[test]
fn what_is_sent_settles_at_k_times_what_is_accepted() {
    for (k, capacity) in [(2.0, 100), (2.0, 200), (1.5, 100), (1.1, 300), (3.0, 100)] {
        let throttle = Throttle::new(ThrottleConfig { k, ..ThrottleConfig::default() }).unwrap();
        let rates = run(&throttle, 400, 1000, |_| capacity);
        let last = &rates[300..];
        let sent = last.iter().map(|(sent, _)| sent).sum::<u64>() as f64;
        let accepted = last.iter().map(|(_, accepted)| accepted).sum::<u64>() as f64;
        let ratio = sent / accepted;
        assert!((ratio / k - 1.0).abs() < 0.05, "k {k}, capacity {capacity}: {ratio}");
        // Nothing that the target could have taken is lost.
        assert!(accepted >= 0.95 * 100.0 * capacity as f64, "k {k}: {accepted}");
    }
}

#[test]
fn a_target_that_takes_at_least_its_share_is_never_throttled() {
    let throttle = Throttle::new(ThrottleConfig::default()).unwrap();
    for (sent, _) in run(&throttle, 200, 100, |_| 60) {
        assert_eq!(sent, 100);
    }
}

#[test]
fn after_an_outage_it_comes_back_within_some_windows() {
    let throttle = Throttle::new(ThrottleConfig::default()).unwrap();
    let outage = 100..220;
    let rates = run(&throttle, 600, 500, |second| if outage.contains(&second) { 0 } else { 500 });
    assert_eq!(rates[99].0, 500);
    let asked = rates[219].0;
    assert!((10..60).contains(&asked), "it must go on to ask, and not for more: {asked}");
    let back = rates[220..].iter().position(|(sent, _)| *sent > 490).unwrap();
    assert!(back < 300, "{back} s");
    assert!(rates[220 + back..].iter().all(|(sent, _)| *sent > 450), "it stays so");
}

#[test]
fn a_client_that_begins_is_not_held_back_by_its_own_calls_under_way() {
    let throttle = Throttle::new(ThrottleConfig::default()).unwrap();
    let mut random = fastrand::Rng::with_seed(3);
    assert!((0..10_000).all(|_| throttle.admit(start(), &mut random)));
}

#[test]
fn a_call_held_back_counts_as_refused() {
    let throttle = Throttle::new(ThrottleConfig::default()).unwrap();
    let mut random = fastrand::Rng::with_seed(3);
    (0..100).for_each(|_| throttle.record(false, start()));
    let held = (0..100).filter(|_| !throttle.admit(start(), &mut random)).count() as u64;
    assert!(held > 50);
    assert_eq!(throttle.snapshot(start()).requests, 100 + held);
}

#[test]
fn all_is_forgotten_after_the_window_and_after_any_pause() {
    for pause in [120_u64, 121, 132, 12_000, 12_582_912 - 120, 900_000_000] {
        let throttle = Throttle::new(ThrottleConfig::default()).unwrap();
        (0..100).for_each(|_| throttle.record(false, start()));
        let later = start() + Duration::from_secs(pause);
        assert_eq!(throttle.snapshot(later).requests, 0, "{pause}");
    }
    let throttle = Throttle::new(ThrottleConfig::default()).unwrap();
    assert_eq!(throttle.snapshot(Instant::ZERO).requests, 0);
    throttle.record(true, Instant::from_nanos(u64::MAX));
    assert_eq!(throttle.snapshot(Instant::from_nanos(u64::MAX)).requests, 1);
}

#[test]
fn counts_that_overflow_keep_their_ratio() {
    let throttle = Throttle::new(ThrottleConfig::default()).unwrap();
    for n in 0..6_000_000 {
        throttle.record(n % 4 == 0, start());
    }
    let found = throttle.snapshot(start());
    assert!(found.requests > 1_000_000);
    assert!((found.refusal - 0.5).abs() < 0.01, "{found:?}");
}

#[test]
fn threads_lose_no_count() {
    let throttle = Throttle::new(ThrottleConfig::default()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let throttle = &throttle;
            scope.spawn(move || {
                for n in 0..10_000 {
                    // All threads turn the ring again and again.
                    let now = start() + Duration::from_secs(n / 1000 * 12);
                    throttle.record(thread % 2 == 0, now);
                }
            });
        }
    });
    // All of it lies within the ten turns.
    let found = throttle.snapshot(start() + Duration::from_secs(108));
    assert_eq!((found.requests, found.accepts), (80_000, 40_000));
}

#[test]
fn what_makes_no_sense_is_found_all_at_once() {
    let bad =
        ThrottleConfig { k: 0.5, window: Duration::ZERO, most_refused: f64::NAN, min_requests: 0 };
    assert_eq!(Throttle::new(bad).unwrap_err().problems().len(), 3);
}
