//! The life of a circuit: fencing, abandoned calls, slow calls, open times, waits and ramps.

use super::*;
use crate::ManualClock;
use crate::breaker::{HalfOpen, OpenFor, Window};

const SECOND: Duration = Duration::from_secs(1);

struct Bench {
    breaker: Breaker,
    hand: ManualClock,
}

impl Bench {
    fn new(config: BreakerConfig) -> Self {
        Self { breaker: Breaker::new(config).unwrap(), hand: ManualClock::new() }
    }

    fn acquire(&self) -> Permit {
        self.breaker.try_acquire(self.hand.now()).unwrap()
    }

    fn is_refused(&self) -> bool {
        self.breaker.try_acquire(self.hand.now()).is_err()
    }

    fn record(&self, permit: Permit, verdict: Verdict) -> Option<State> {
        self.breaker.record(permit, verdict, self.hand.now()).map(|change| change.to)
    }

    fn call(&self, verdict: Verdict) -> Option<State> {
        self.record(self.acquire(), verdict)
    }

    fn calls(&self, count: u32, verdict: Verdict) -> Option<State> {
        (0..count).filter_map(|_| self.call(verdict)).last()
    }

    fn abandon(&self) -> Option<State> {
        self.breaker.abandon(self.acquire(), self.hand.now()).map(|change| change.to)
    }

    fn state(&self) -> State {
        self.breaker.state(self.hand.now())
    }

    fn lost(&self) -> u64 {
        self.breaker.snapshot(self.hand.now()).lost
    }

    /// Lets the open time pass.
    fn wait(&self) -> Duration {
        let left = self.breaker.try_acquire(self.hand.now()).unwrap_err().retry_after;
        self.hand.advance(left);
        left
    }
}

fn consecutive(failures: u32) -> BreakerConfig {
    BreakerConfig::any_of([Trip::consecutive(failures)])
}

fn rate(window: Window, min_calls: u32) -> BreakerConfig {
    BreakerConfig::any_of([Trip::failure_rate(0.5).over(window).min_calls(min_calls)])
}

#[test]
fn a_permit_is_small_and_a_breaker_is_shared() {
    fn shared<T: Send + Sync>() {}
    shared::<Breaker>();
    assert_eq!(size_of::<Permit>(), 16);
}

#[test]
fn a_stale_result_changes_nothing_in_any_later_state() {
    let bench = Bench::new(consecutive(2));
    let stale: Vec<Permit> = (0..40).map(|_| bench.acquire()).collect();
    let hand_in = |range: std::ops::Range<usize>| {
        let before = bench.breaker.snapshot(bench.hand.now());
        for (index, permit) in stale[range].iter().enumerate() {
            let verdict = if index % 2 == 0 { Verdict::Success } else { Verdict::Fail };
            assert_eq!(bench.record(*permit, verdict), None);
        }
        let after = bench.breaker.snapshot(bench.hand.now());
        assert_eq!(after.lost, before.lost + 10);
        assert_eq!((after.state, after.probes), (before.state, before.probes));
        assert_eq!(after.consecutive_failures, before.consecutive_failures);
    };
    bench.calls(2, Verdict::Fail);
    hand_in(0..10);
    bench.wait();
    let probe = bench.acquire();
    hand_in(10..20);
    assert!(bench.is_refused(), "a stale result gave the place of the probe away");
    assert_eq!(bench.record(probe, Verdict::Success), Some(State::Closed));
    hand_in(20..30);
    bench.call(Verdict::Fail);
    hand_in(30..40);
    assert_eq!(bench.call(Verdict::Fail), Some(State::Open));
}

#[test]
fn a_probe_of_an_earlier_half_open_time_decides_nothing() {
    let config = consecutive(1).half_open(HalfOpen::permits(2));
    let bench = Bench::new(config);
    bench.call(Verdict::Fail);
    bench.wait();
    let (hanging, failing) = (bench.acquire(), bench.acquire());
    assert_eq!(bench.record(failing, Verdict::Fail), Some(State::Open));
    bench.wait();
    let probes = [bench.acquire(), bench.acquire()];
    for verdict in [Verdict::Success, Verdict::Fail, Verdict::Ignore] {
        assert_eq!(bench.record(hanging, verdict), None);
    }
    bench.breaker.abandon(hanging, bench.hand.now());
    assert_eq!(bench.lost(), 4);
    assert!(bench.is_refused(), "both places are taken");
    assert_eq!(bench.record(probes[0], Verdict::Success), None);
    assert_eq!(bench.record(probes[1], Verdict::Success), Some(State::Closed));
}

#[test]
fn a_permit_handed_back_twice_cannot_make_room_for_more_than_permitted() {
    let config = consecutive(1).half_open(HalfOpen::permits(1).successes_needed(9));
    let bench = Bench::new(config);
    bench.call(Verdict::Fail);
    bench.wait();
    let first = bench.acquire();
    bench.record(first, Verdict::Ignore);
    bench.record(first, Verdict::Ignore);
    let _probe = bench.acquire();
    assert!(bench.is_refused());
}

#[test]
fn verdicts_count_as_their_table_says() {
    let bench = Bench::new(consecutive(2));
    bench.call(Verdict::Retry);
    bench.calls(5, Verdict::Throttled(None));
    bench.calls(5, Verdict::Ignore);
    assert_eq!(bench.state(), State::Closed, "neither is a consecutive failure");
    assert_eq!(bench.call(Verdict::Fail), Some(State::Open), "neither interrupts the row");

    let bench = Bench::new(rate(Window::Count(10), 4));
    bench.calls(3, Verdict::Ignore);
    assert_eq!(bench.calls(3, Verdict::Throttled(None)), None);
    assert_eq!(bench.call(Verdict::Throttled(None)), Some(State::Open));

    let bench = Bench::new(consecutive(2));
    bench.call(Verdict::Fail);
    bench.call(Verdict::Success);
    assert_eq!(bench.call(Verdict::Fail), None, "a success ends the row");
}

#[test]
fn calls_that_are_too_slow_open_even_if_they_succeed() {
    let trip = Trip::slow_rate(0.5).slower_than(SECOND).over(Window::Count(4)).min_calls(4);
    let bench = Bench::new(BreakerConfig::any_of([trip]));
    let timed = |millis| {
        let permit = bench.acquire();
        bench.hand.advance(Duration::from_millis(millis));
        bench.record(permit, Verdict::Success)
    };
    assert_eq!([timed(1000), timed(1000), timed(1000)], [None; 3], "not slower than a second");
    assert_eq!(timed(1001), None);
    assert_eq!(timed(1001), Some(State::Open));

    bench.wait();
    assert_eq!(timed(1001), Some(State::Open), "a slow probe is a failed one");
    bench.wait();
    assert_eq!(timed(1000), Some(State::Closed));
}

#[test]
fn any_of_the_trips_opens() {
    let config = BreakerConfig::any_of([
        Trip::failure_rate(0.9).over(Window::Count(10)).min_calls(10),
        Trip::consecutive(3),
    ]);
    let bench = Bench::new(config.clone());
    assert_eq!(bench.calls(3, Verdict::Fail), Some(State::Open));
    let bench = Bench::new(config);
    bench.call(Verdict::Success);
    assert_eq!(bench.calls(9, Verdict::Throttled(None)), Some(State::Open));
}

#[test]
fn neutral_abandoned_calls_mean_nothing() {
    let bench = Bench::new(consecutive(1).abandoned(Abandoned::Neutral));
    (0..100).for_each(|_| assert_eq!(bench.abandon(), None));
    bench.call(Verdict::Fail);
    bench.wait();
    (0..100).for_each(|_| assert_eq!(bench.abandon(), None));
    assert_eq!(bench.call(Verdict::Success), Some(State::Closed));
}

#[test]
fn abandoned_calls_may_be_failures() {
    let bench = Bench::new(consecutive(3).abandoned(Abandoned::Failure));
    assert_eq!([bench.abandon(), bench.abandon()], [None; 2]);
    assert_eq!(bench.abandon(), Some(State::Open));
    bench.wait();
    assert_eq!(bench.abandon(), Some(State::Open));
}

#[test]
fn abandoned_calls_are_failures_when_there_is_nothing_else() {
    let windows = [(Window::Count(10), "count"), (Window::Time(SECOND * 10), "time")].map(
        |(window, name)| {
            let bench = Bench::new(rate(window, 5));
            assert_eq!([(); 4].map(|()| bench.abandon()), [None; 4], "{name}");
            assert_eq!(bench.abandon(), Some(State::Open), "{name}");
            Bench::new(rate(window, 5))
        },
    );
    // One result is enough to tell that the target answers.
    let [count, time] = windows;
    count.call(Verdict::Success);
    assert_eq!([(); 9].map(|()| count.abandon()), [None; 9]);
    assert_eq!(count.abandon(), Some(State::Open), "the last ten were all abandoned");

    time.call(Verdict::Success);
    assert_eq!([(); 50].map(|()| time.abandon()), [None; 50]);
    time.hand.advance(SECOND * 9);
    assert_eq!([(); 4].map(|()| time.abandon()), [None; 4]);
    time.hand.advance(SECOND);
    assert_eq!(time.abandon(), Some(State::Open), "the result has left the window");

    let bench = Bench::new(consecutive(3));
    assert_eq!([bench.abandon(), bench.abandon()], [None; 2]);
    bench.call(Verdict::Success);
    assert_eq!([bench.abandon(), bench.abandon()], [None; 2]);
    assert_eq!(bench.abandon(), Some(State::Open));
}

#[test]
fn a_dropped_probe_gives_its_place_back_and_many_open_again() {
    let bench = Bench::new(consecutive(1));
    bench.call(Verdict::Fail);
    bench.wait();
    assert_eq!([bench.abandon(), bench.abandon()], [None; 2]);
    assert_eq!(bench.abandon(), Some(State::Open), "nothing but abandoned probes");
    bench.wait();
    assert_eq!([bench.abandon(), bench.abandon()], [None; 2]);
    assert_eq!(bench.call(Verdict::Success), Some(State::Closed));
}

#[test]
fn the_open_time_grows_with_each_opening_until_the_circuit_closes() {
    let open_for = OpenFor { first: SECOND, factor: 3.0, max: SECOND * 10 };
    let bench = Bench::new(consecutive(1).open_for(open_for));
    bench.call(Verdict::Fail);
    let waits = [1, 3, 9, 10, 10].map(|seconds| {
        assert_eq!(bench.wait(), SECOND * seconds);
        bench.call(Verdict::Fail)
    });
    assert_eq!(waits, [Some(State::Open); 5]);
    assert_eq!(bench.breaker.snapshot(bench.hand.now()).openings, 6);
    bench.wait();
    assert_eq!(bench.call(Verdict::Success), Some(State::Closed));
    bench.call(Verdict::Fail);
    assert_eq!(bench.wait(), SECOND);
}

#[test]
fn a_hint_of_the_target_makes_the_open_time_longer_within_the_limit() {
    let config =
        || rate(Window::Count(1), 1).open_for(OpenFor { max: SECOND * 30, ..OpenFor::default() });
    for (hint, expected) in [(1, 5), (20, 20), (1000, 30)] {
        let bench = Bench::new(config());
        bench.call(Verdict::Throttled(Some(SECOND * hint)));
        assert_eq!(bench.wait(), SECOND * expected);
    }
}

#[test]
fn a_refusal_tells_the_time_that_is_left() {
    let bench = Bench::new(consecutive(1));
    bench.call(Verdict::Fail);
    bench.hand.advance(SECOND * 3);
    let refused = bench.breaker.try_acquire(bench.hand.now()).unwrap_err();
    assert_eq!(refused.retry_after, SECOND * 2);
    let snapshot = bench.breaker.snapshot(bench.hand.now());
    assert_eq!(snapshot.open_until, Some(bench.hand.now() + SECOND * 2));
    assert_eq!(snapshot.rejected, 1);
}

#[test]
fn hanging_probes_open_the_circuit_again_for_longer() {
    let half_open = HalfOpen::permits(2).max_wait(SECOND * 4);
    let bench = Bench::new(consecutive(1).half_open(half_open));
    bench.call(Verdict::Fail);
    bench.wait();
    let hanging = bench.acquire();
    bench.hand.advance(SECOND * 3);
    let _later = bench.acquire();
    bench.hand.advance(SECOND * 3);
    let admission = bench.breaker.admit(bench.hand.now());
    assert_eq!(admission.transition, None, "three seconds since the last admission");
    assert_eq!(admission.answer, Err(Open { retry_after: SECOND }));
    bench.hand.advance(SECOND);
    let admission = bench.breaker.admit(bench.hand.now());
    assert_eq!(admission.transition.map(|t| (t.from, t.to)), Some((State::HalfOpen, State::Open)));
    assert_eq!(admission.answer, Err(Open { retry_after: SECOND * 10 }));
    assert_eq!(bench.record(hanging, Verdict::Success), None, "too late");
    bench.wait();
    assert_eq!(bench.calls(2, Verdict::Success), Some(State::Closed));
}

#[test]
fn half_open_without_traffic_waits_with_its_places() {
    let half_open = HalfOpen::permits(1).successes_needed(2).max_wait(SECOND);
    let bench = Bench::new(consecutive(1).half_open(half_open));
    bench.call(Verdict::Fail);
    bench.wait();
    bench.call(Verdict::Success);
    bench.hand.advance(SECOND * 1000);
    assert_eq!(bench.call(Verdict::Success), Some(State::Closed));
}

#[test]
fn a_ramp_lets_growing_shares_through_and_closes_after_the_last() {
    let ramp = HalfOpen::ramp([0.01, 0.1, 0.5]).stage(SECOND).min_calls(3);
    let bench = Bench::new(consecutive(1).half_open(ramp));
    bench.call(Verdict::Fail);
    bench.wait();
    for (stage, expected) in [(0, 10), (1, 100), (2, 500)] {
        let permits: Vec<Permit> =
            (0..1000).filter_map(|_| bench.breaker.try_acquire(bench.hand.now()).ok()).collect();
        let admitted = i64::try_from(permits.len()).unwrap();
        assert!((admitted - expected).abs() <= 3, "{admitted} admitted in stage {stage}");
        let probes = bench.breaker.snapshot(bench.hand.now()).probes.unwrap();
        assert_eq!(probes.stage, Some(stage));
        assert_eq!(bench.record(permits[0], Verdict::Success), None);
        bench.hand.advance(SECOND);
        assert_eq!(bench.record(permits[1], Verdict::Success), None, "two results are too few");
        let last = bench.record(permits[2], Verdict::Success);
        assert_eq!(last, (stage == 2).then_some(State::Closed));
    }
}

#[test]
fn the_first_call_of_a_ramp_goes_through() {
    let bench = Bench::new(consecutive(1).half_open(HalfOpen::ramp([0.001])));
    for _ in 0..3 {
        bench.call(Verdict::Fail);
        bench.wait();
        assert!(bench.breaker.try_acquire(bench.hand.now()).is_ok());
        assert!(bench.is_refused());
        bench.breaker.reset();
    }
}

#[test]
fn a_ramp_that_goes_badly_opens_again() {
    let ramp = HalfOpen::ramp([1.0]).stage(SECOND).min_calls(4).reopen_at(0.5);
    let bench = Bench::new(consecutive(1).half_open(ramp));
    bench.call(Verdict::Fail);
    bench.wait();
    assert_eq!(bench.calls(2, Verdict::Fail), None);
    assert_eq!(bench.call(Verdict::Success), None);
    assert_eq!(bench.call(Verdict::Success), Some(State::Open), "two of four");
    bench.wait();
    bench.call(Verdict::Fail);
    assert_eq!(bench.calls(3, Verdict::Success), None, "one of four, and the stage is not over");
    bench.hand.advance(SECOND);
    assert_eq!(bench.call(Verdict::Success), Some(State::Closed));
}

#[test]
fn an_abandoned_call_of_a_ramp_is_not_counted() {
    let ramp = HalfOpen::ramp([1.0]).stage(Duration::ZERO).min_calls(2);
    let bench = Bench::new(consecutive(1).half_open(ramp));
    bench.call(Verdict::Fail);
    bench.wait();
    assert_eq!([(); 99].map(|()| bench.abandon()), [None; 99]);
    assert_eq!(bench.calls(1, Verdict::Success), None);
    assert_eq!(bench.calls(1, Verdict::Success), Some(State::Closed));
}

#[test]
fn a_snapshot_tells_rates_and_probes() {
    let config = rate(Window::Count(8), 8).half_open(HalfOpen::permits(3));
    let bench = Bench::new(config);
    bench.calls(6, Verdict::Success);
    bench.calls(2, Verdict::Fail);
    let snapshot = bench.breaker.snapshot(bench.hand.now());
    let reading = snapshot.readings[0];
    assert_eq!((reading.calls, reading.hits), (8, 2));
    assert!((reading.rate - 0.25).abs() < f64::EPSILON);
    assert_eq!((snapshot.consecutive_failures, snapshot.probes), (2, None));
    assert_eq!(bench.calls(2, Verdict::Fail), Some(State::Open));
    bench.wait();
    let (first, _second) = (bench.acquire(), bench.acquire());
    bench.record(first, Verdict::Success);
    let probes = bench.breaker.snapshot(bench.hand.now()).probes.unwrap();
    assert_eq!((probes.running, probes.successes, probes.failures), (1, 1, 0));
    assert_eq!(probes.stage, None);
}

#[test]
fn exactly_one_of_many_threads_opens_and_exactly_one_closes() {
    let bench = Bench::new(consecutive(10).half_open(HalfOpen::permits(8)));
    for _ in 0..200 {
        let permits: Vec<Permit> = (0..16).map(|_| bench.acquire()).collect();
        assert_eq!(count_changes(&bench, permits, Verdict::Fail), 1);
        bench.wait();
        let permits: Vec<Permit> = (0..8).map(|_| bench.acquire()).collect();
        assert_eq!(count_changes(&bench, permits, Verdict::Success), 1);
        assert_eq!(bench.state(), State::Closed);
    }
}

fn count_changes(bench: &Bench, permits: Vec<Permit>, verdict: Verdict) -> usize {
    let changes = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for half in permits.chunks(permits.len() / 2) {
            let changes = &changes;
            scope.spawn(move || {
                for permit in half {
                    let change = bench.record(*permit, verdict);
                    changes.fetch_add(usize::from(change.is_some()), Ordering::SeqCst);
                }
            });
        }
    });
    changes.into_inner()
}
