//! On a simulated target: the limit settles, follows, comes back, and never runs away; and
//! the laws that hold for any calls whatever.

use proptest::prelude::*;

use super::simulation::*;
use super::window::Summary;
use super::*;

fn config(algorithm: &Algorithm, initial: u32) -> AdaptiveConfig {
    AdaptiveConfig { algorithm: algorithm.clone(), initial, ..AdaptiveConfig::default() }
}

fn assert_settled(name: &str, outcome: Outcome, (low, high): (f64, f64)) {
    assert!(low <= outcome.average && outcome.average <= high, "{name}: {outcome:?}");
    assert!(outcome.used > 0.95, "capacity is lost: {name}: {outcome:?}");
}

#[test]
fn each_algorithm_settles_near_the_capacity() {
    for (seed, (algorithm, bounds)) in (0..).zip(algorithms()) {
        for workers in [8, 30, 100] {
            for initial in [4, 20, 190] {
                let mut simulation = Simulation::new(config(&algorithm, initial), seed);
                let queue = queue_for(&algorithm, workers);
                let outcome = simulation.run(Phase { seconds: 90, workers, queue, ..STEADY });
                let name = format!("{algorithm:?} from {initial} to {workers}");
                assert_settled(&name, outcome, bounds(workers as f64));
            }
        }
    }
}

#[test]
fn each_algorithm_follows_a_capacity_that_changes() {
    for (algorithm, bounds) in algorithms() {
        let mut simulation = Simulation::new(config(&algorithm, 20), 7);
        for workers in [60, 15, 60] {
            let queue = queue_for(&algorithm, workers);
            let outcome = simulation.run(Phase { seconds: 90, workers, queue, ..STEADY });
            assert_settled(&format!("{algorithm:?} at {workers}"), outcome, bounds(workers as f64));
        }
    }
}

#[test]
fn each_algorithm_follows_a_target_that_becomes_slower_for_good() {
    for (algorithm, bounds) in algorithms() {
        let mut simulation = Simulation::new(config(&algorithm, 20), 7);
        let queue = queue_for(&algorithm, 40);
        let phase = Phase { workers: 40, queue, ..STEADY };
        simulation.run(phase);
        let slower = Phase { seconds: 200, service: 150_000, ..phase };
        assert_settled(&format!("{algorithm:?}"), simulation.run(slower), bounds(40.0));
    }
}

#[test]
fn each_algorithm_comes_back_after_an_outage() {
    for (algorithm, bounds) in algorithms() {
        let mut simulation = Simulation::new(config(&algorithm, 20), 3);
        let queue = queue_for(&algorithm, 40);
        let up = Phase { workers: 40, queue, ..STEADY };
        simulation.run(up);
        let outage = simulation.run(Phase { seconds: 30, down: true, ..up });
        assert_eq!(outage.most, 4, "{algorithm:?} must not go on as before: {outage:?}");
        assert_settled(&format!("{algorithm:?}"), simulation.run(up), bounds(40.0));
    }
}

#[test]
fn a_limit_that_is_not_used_does_not_grow() {
    for (algorithm, _) in algorithms() {
        let mut simulation = Simulation::new(config(&algorithm, 20), 3);
        let outcome = simulation.run(Phase { demand: 9, ..STEADY });
        assert_eq!((outcome.least, outcome.most), (20, 20), "{algorithm:?}");
        // And of what is used it grows to no more than twice.
        let outcome = simulation.run(Phase { seconds: 120, demand: 30, ..STEADY });
        assert!(outcome.most <= 60, "{algorithm:?}: {outcome:?}");
    }
}

#[test]
fn a_target_that_always_fails_a_little_is_not_overloaded() {
    for (algorithm, _) in algorithms() {
        let adaptive = Adaptive::with_seed(config(&algorithm, 20), 1).unwrap();
        let mut now = Instant::from_nanos(1_000_000_000);
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..20_000 {
            let sample = adaptive.on_start(now);
            now = now + Duration::from_millis(10);
            let verdict = if random.f64() < 0.03 { Verdict::Fail } else { Verdict::Success };
            adaptive.on_end(sample, verdict, now);
        }
        assert!(adaptive.limit() > 10, "{algorithm:?}: {}", adaptive.limit());
    }
}

#[test]
fn a_coarse_clock_does_not_mislead_it() {
    for (algorithm, _) in algorithms() {
        let mut simulation = Simulation::new(config(&algorithm, 20), 5);
        simulation.tick = 4000;
        // Calls of 3 ms, on a clock that shows 0 or 4.
        let phase = Phase { seconds: 30, service: 3000, workers: 40, ..STEADY };
        let outcome = simulation.run(phase);
        assert!(outcome.used > 0.95, "{algorithm:?}: {outcome:?}");
        assert!(outcome.average > 36.0, "{algorithm:?}: {outcome:?}");
    }
}

/// Drives a limit with `limit` calls at a time, each of `latency`, and tells each limit.
fn limits(adaptive: &Adaptive, windows: u32, latency: Duration) -> Vec<u32> {
    let mut now = Instant::from_nanos(1_000_000_000);
    let mut limits = Vec::new();
    for _ in 0..windows {
        let calls: Vec<_> = (0..adaptive.limit()).map(|_| adaptive.on_start(now)).collect();
        now = now + latency;
        for call in calls {
            limits.push(adaptive.on_end(call, Verdict::Success, now));
        }
    }
    limits.dedup();
    limits
}

/// A window of successes with a latency in milliseconds.
fn window_of(latency: u32, in_flight: u32) -> Summary {
    Summary { latency: Some(f64::from(latency) * 1e6), successes: 100, failures: 0, in_flight }
}

/// By how much a limit of 100 in full use changes, with these latencies.
fn change(vegas: &Vegas, baseline: u32, latency: u32) -> f64 {
    let settings = config(&Algorithm::Vegas(vegas.clone()), 100);
    let mut estimate = Estimate::new(100, fastrand::Rng::with_seed(1));
    estimate.learn(&settings, &window_of(baseline, 1));
    estimate.learn(&settings, &window_of(latency, 100));
    estimate.limit - 100.0
}

#[test]
fn vegas_keeps_the_queue_between_alpha_and_beta() {
    let vegas = Vegas { noise: Duration::ZERO, ..Vegas::default() };
    // 2, 5, 9, and 13 calls in the queue; alpha and beta are 6 and 12 at a limit of 100.
    let table = [(100, 12.0), (102, 12.0), (105, 2.0), (110, 0.0), (115, -2.0), (199, -2.0)];
    for (latency, expected) in table {
        let found = change(&vegas, 100, latency);
        assert!((found - expected).abs() < 1e-6, "{latency} ms: {found}");
    }
    let found = change(&vegas, 100, 201);
    assert!((found + 10.0).abs() < 1e-6, "a queue of half the limit goes faster: {found}");
}

#[test]
fn a_difference_within_the_noise_of_the_clock_is_none() {
    let noisy = Vegas { noise: Duration::from_millis(5), ..Vegas::default() };
    assert!(change(&noisy, 1, 6) > 0.0);
    assert!(change(&noisy, 1, 12) < 0.0);
    assert!(change(&Vegas { noise: Duration::ZERO, ..noisy }, 1, 6) < 0.0);
}

#[test]
fn the_long_average_of_a_slow_time_is_soon_left_behind() {
    let rare = Gradient2 { probe_every: 100_000, ..Gradient2::default() };
    let settings = config(&Algorithm::Gradient2(rare), 20);
    let mut estimate = Estimate::new(20, fastrand::Rng::with_seed(1));
    for _ in 0..300 {
        estimate.learn(&settings, &window_of(900, 1));
    }
    assert!(estimate.baseline > Some(800e6));
    for _ in 0..20 {
        estimate.learn(&settings, &window_of(100, 1));
    }
    assert!(estimate.baseline < Some(220e6), "{:?}", estimate.baseline);
}

#[test]
fn it_measures_by_half_of_the_limit_at_moments_of_its_own() {
    let mut moments = std::collections::HashSet::new();
    for seed in 0..20 {
        let settings = AdaptiveConfig { max: 60, initial: 60, ..AdaptiveConfig::default() };
        let adaptive = Adaptive::with_seed(settings, seed).unwrap();
        let mut now = Instant::from_nanos(1_000_000_000);
        let mut probes = Vec::new();
        for round in 0..400 {
            let calls: Vec<_> = (0..adaptive.limit()).map(|_| adaptive.on_start(now)).collect();
            now = now + Duration::from_millis(110);
            for call in calls {
                adaptive.on_end(call, Verdict::Success, now);
            }
            if adaptive.snapshot().probing {
                assert_eq!(adaptive.limit(), 30);
                probes.push(round);
            } else {
                assert_eq!(adaptive.limit(), 60, "it comes back to the former limit");
            }
        }
        assert!(probes.len() >= 4, "{probes:?}");
        moments.insert(probes);
    }
    assert!(moments.len() > 15, "many clients would measure together");
}

#[test]
fn a_stale_result_changes_nothing() {
    let adaptive = Adaptive::with_seed(config(&Algorithm::aimd(), 100), 1).unwrap();
    let start = Instant::from_nanos(1_000_000_000);
    let calls: Vec<_> = (0..100).map(|_| adaptive.on_start(start)).collect();
    let ms = Duration::from_millis;
    // Half of the calls fail, and the limit falls once, by a tenth.
    for (n, call) in (0..).zip(&calls[..50]) {
        adaptive.on_end(*call, Verdict::Retry, start + ms(10 * n));
    }
    assert_eq!(adaptive.limit(), 90);
    // The others began before: whatever becomes of them is known already.
    for (n, call) in (0..).zip(&calls[50..]) {
        adaptive.on_end(*call, Verdict::Retry, start + ms(1000 + 100 * n));
    }
    assert_eq!(adaptive.limit(), 90);
    assert_eq!(adaptive.snapshot().in_flight, 0, "they are no longer under way all the same");
    // Calls that began after count again.
    let calls: Vec<_> = (0..20).map(|_| adaptive.on_start(start + ms(9000))).collect();
    for (n, call) in (0..).zip(calls) {
        adaptive.on_end(call, Verdict::Retry, start + ms(9000 + 10 * n));
    }
    assert_eq!(adaptive.limit(), 81);
}

#[test]
fn what_says_nothing_about_the_target_changes_nothing() {
    let adaptive = Adaptive::with_seed(config(&Algorithm::vegas(), 20), 1).unwrap();
    let mut now = Instant::from_nanos(1_000_000_000);
    for n in 0..10_000 {
        let sample = adaptive.on_start(now);
        now = now + Duration::from_millis(20);
        if n % 2 == 0 {
            adaptive.on_end(sample, Verdict::Ignore, now);
        } else {
            adaptive.on_abandon(sample);
        }
    }
    let found = adaptive.snapshot();
    assert_eq!((found.limit, found.in_flight, found.latency), (20, 0, None));
}

#[test]
fn a_call_that_is_given_back_twice_does_no_harm() {
    let adaptive = Adaptive::new(AdaptiveConfig::default()).unwrap();
    let sample = adaptive.on_start(Instant::ZERO);
    adaptive.on_abandon(sample);
    adaptive.on_end(sample, Verdict::Success, Instant::ZERO);
    assert_eq!(adaptive.snapshot().in_flight, 0);
    assert_eq!(adaptive.on_start(Instant::ZERO).in_flight(), 1);
}

#[test]
fn after_a_reset_it_begins_anew() {
    let adaptive = Adaptive::with_seed(config(&Algorithm::vegas(), 20), 1).unwrap();
    let sample = adaptive.on_start(Instant::from_nanos(5));
    assert!(limits(&adaptive, 100, Duration::from_millis(50)).last() > Some(&50));
    adaptive.reset();
    let found = adaptive.snapshot();
    assert_eq!((found.limit, found.baseline, found.in_flight), (20, None, 1));
    adaptive.on_end(sample, Verdict::Fail, Instant::from_nanos(u64::MAX));
    assert_eq!(adaptive.limit(), 20);
}

#[test]
fn a_reset_forgets_the_window_that_was_not_full() {
    let aimd = Algorithm::Aimd(Aimd { tolerated: 0.0, ..Aimd::default() });
    let adaptive = Adaptive::with_seed(config(&aimd, 20), 1).unwrap();
    let now = Instant::from_nanos(1_000_000_000);
    for _ in 0..9 {
        adaptive.on_end(adaptive.on_start(now), Verdict::Fail, now);
    }
    adaptive.reset();
    limits(&adaptive, 1, Duration::from_millis(50));
    limits(&adaptive, 5, Duration::from_millis(50));
    assert!(adaptive.limit() >= 20, "{}", adaptive.limit());
}

/// A call that ends after some time, and how.
#[derive(Clone, Debug)]
struct Call {
    pause: u64,
    latency: u64,
    verdict: Verdict,
}

fn any_call() -> impl Strategy<Value = Call> {
    let verdict = prop_oneof![
        6 => Just(Verdict::Success),
        1 => Just(Verdict::Retry),
        1 => Just(Verdict::Throttled(None)),
        1 => Just(Verdict::Ignore),
    ];
    let latency =
        prop_oneof![Just(0_u64), 0..10_000_000_u64, 0..100_000_000_000_u64, Just(u64::MAX)];
    (0_u64..50_000_000, latency, verdict).prop_map(|(pause, latency, verdict)| Call {
        pause,
        latency,
        verdict,
    })
}

proptest! {
    #[test]
    fn the_limit_stays_within_its_bounds(
        calls in prop::collection::vec(any_call(), 1..400),
        which in 0_usize..3,
        seed in any::<u64>(),
    ) {
        let (algorithm, _) = &algorithms()[which];
        let settings = AdaptiveConfig { min: 7, max: 40, ..config(algorithm, 20) };
        let adaptive = Adaptive::with_seed(settings, seed).unwrap();
        let mut now = Instant::from_nanos(1_000_000_000);
        for call in calls {
            let samples: Vec<_> = (0..10).map(|_| adaptive.on_start(now)).collect();
            now = now + Duration::from_nanos(call.pause);
            let end = now + Duration::from_nanos(call.latency);
            for sample in samples {
                let limit = adaptive.on_end(sample, call.verdict, end);
                prop_assert!((7..=40).contains(&limit));
            }
        }
        prop_assert_eq!(adaptive.snapshot().in_flight, 0);
    }
}

#[test]
fn threads_at_once_leave_nothing_under_way() {
    let adaptive = Adaptive::new(AdaptiveConfig::default()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let adaptive = &adaptive;
            scope.spawn(move || {
                for n in 0..20_000_u64 {
                    let now = Instant::from_nanos(1_000_000_000 + n * 1_000_000);
                    let sample = adaptive.on_start(now);
                    let end = now + Duration::from_micros(500 + thread * 100);
                    match n % 10 {
                        0 => adaptive.on_abandon(sample),
                        1 => drop(adaptive.on_end(sample, Verdict::Ignore, end)),
                        _ => drop(adaptive.on_end(sample, Verdict::Success, end)),
                    }
                }
            });
        }
    });
    let found = adaptive.snapshot();
    assert_eq!(found.in_flight, 0);
    assert!((4..=200).contains(&found.limit));
    let latency = found.latency.unwrap();
    // Averages of what was there: the words of a window were never torn.
    assert!(Duration::from_micros(490) < latency && latency < Duration::from_micros(1210));
}

#[test]
fn what_makes_no_sense_is_found_all_at_once() {
    let bad =
        Vegas { alpha: f64::NAN, beta: -1.0, tolerated: 1.0, probe_every: 0, ..Vegas::default() };
    let settings = AdaptiveConfig { algorithm: Algorithm::Vegas(bad), initial: 0, min: 0, max: 0 };
    let invalid = Adaptive::new(settings).unwrap_err();
    assert_eq!(invalid.problems().len(), 5, "{invalid}");
    let bad = Gradient2 { tolerance: 2.0, queue: 0, smoothing: 0.0, ..Gradient2::default() };
    let invalid = Adaptive::new(config(&Algorithm::Gradient2(bad), 20)).unwrap_err();
    assert_eq!(invalid.problems().len(), 3, "{invalid}");
    let bad = Aimd { increase: 0, decrease: 1.0, tolerated: -1.0, slow: Duration::ZERO };
    let invalid = Adaptive::new(config(&Algorithm::Aimd(bad), 201)).unwrap_err();
    assert_eq!(invalid.problems().len(), 5, "{invalid}");
}
