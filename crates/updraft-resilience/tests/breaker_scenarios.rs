//! Scenarios that other libraries document, replayed: who comes from one of them finds the
//! behaviour that was described there, and where it differs on purpose, the difference.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use updraft_resilience::breaker::{Breaker, BreakerConfig, HalfOpen, OpenFor, State, Trip, Window};
use updraft_resilience::{ManualClock, Verdict};

struct Circuit {
    breaker: Breaker,
    hand: ManualClock,
}

impl Circuit {
    fn new(config: BreakerConfig) -> Self {
        Self { breaker: Breaker::new(config).unwrap(), hand: ManualClock::new() }
    }

    fn calls(&self, count: u32, verdict: Verdict) {
        for _ in 0..count {
            let permit = self.breaker.try_acquire(self.hand.now()).unwrap();
            self.breaker.record(permit, verdict, self.hand.now());
        }
    }

    fn admits(&self) -> bool {
        self.breaker.try_acquire(self.hand.now()).is_ok()
    }

    fn state(&self) -> State {
        self.breaker.state(self.hand.now())
    }

    fn advance(&self, seconds: u64) {
        self.hand.advance(Duration::from_secs(seconds));
    }
}

mod resilience4j {
    //! <https://resilience4j.readme.io/docs/circuitbreaker>, "Create and configure a
    //! CircuitBreaker".

    use super::*;

    fn config(min_calls: u32) -> BreakerConfig {
        let trip = Trip::failure_rate(0.5).over(Window::Count(10)).min_calls(min_calls);
        BreakerConfig::any_of([trip]).open_for(OpenFor::fixed(Duration::from_secs(60)))
    }

    /// `minimumNumberOfCalls`: "if minimumNumberOfCalls is 10, then at least 10 calls must be
    /// recorded, before the failure rate can be calculated. If only 9 calls have been recorded
    /// the CircuitBreaker will not transition to open even if all 9 calls have failed."
    #[test]
    fn nine_failures_do_not_open_when_ten_calls_are_the_minimum() {
        let circuit = Circuit::new(config(10));
        circuit.calls(9, Verdict::Fail);
        assert_eq!(circuit.state(), State::Closed);
        circuit.calls(1, Verdict::Fail);
        assert_eq!(circuit.state(), State::Open);
    }

    /// `failureRateThreshold`: "When the failure rate is equal or greater than the threshold
    /// the CircuitBreaker transitions to open". `slidingWindowSize`: the last 10 calls.
    #[test]
    fn five_failures_of_the_last_ten_calls_are_the_threshold() {
        let circuit = Circuit::new(config(10));
        circuit.calls(100, Verdict::Success);
        circuit.calls(4, Verdict::Fail);
        assert_eq!(circuit.state(), State::Closed);
        circuit.calls(1, Verdict::Fail);
        assert_eq!(circuit.state(), State::Open);
    }

    /// The oldest of ten calls is evicted: four failures, and later one more, are never five
    /// of ten.
    #[test]
    fn failures_leave_the_window_of_ten() {
        let circuit = Circuit::new(config(10));
        circuit.calls(5, Verdict::Success);
        circuit.calls(4, Verdict::Fail);
        circuit.calls(9, Verdict::Success);
        circuit.calls(4, Verdict::Fail);
        assert_eq!(circuit.state(), State::Closed);
    }

    /// A difference: Resilience4j looks at the rate after each call, so that it opens with the
    /// success that completes the minimum; here the next failure opens.
    #[test]
    fn a_success_that_completes_the_minimum_does_not_open_yet() {
        let circuit = Circuit::new(config(10));
        circuit.calls(9, Verdict::Fail);
        circuit.calls(1, Verdict::Success);
        assert_eq!(circuit.state(), State::Closed);
        circuit.calls(1, Verdict::Fail);
        assert_eq!(circuit.state(), State::Open);
    }

    /// `waitDurationInOpenState` 60 s and `permittedNumberOfCallsInHalfOpenState` 10: a
    /// failure rate at or above the threshold opens again, a lower one closes.
    #[test]
    fn ten_probes_decide_by_the_threshold() {
        let half_open = HalfOpen::permits(10).successes_needed(6).failures_allowed(4);
        for (failures, expected) in [(4, State::Closed), (5, State::Open)] {
            let circuit = Circuit::new(config(10).half_open(half_open.clone()));
            circuit.calls(10, Verdict::Fail);
            circuit.advance(59);
            assert!(!circuit.admits());
            circuit.advance(1);
            let now = circuit.hand.now();
            let probes: Vec<_> =
                (0..10).map(|_| circuit.breaker.try_acquire(now).unwrap()).collect();
            assert!(!circuit.admits(), "an eleventh probe");
            for (index, probe) in probes.into_iter().enumerate() {
                let verdict = if index < failures { Verdict::Fail } else { Verdict::Success };
                circuit.breaker.record(probe, verdict, now);
            }
            assert_eq!(circuit.state(), expected, "{failures} of 10 failed");
        }
    }

    /// `slowCallRateThreshold` 50 and `slowCallDurationThreshold`: "the duration threshold
    /// above which calls are considered as slow".
    #[test]
    fn slow_calls_open_like_failures() {
        let trip = Trip::slow_rate(0.5)
            .slower_than(Duration::from_secs(2))
            .over(Window::Count(10))
            .min_calls(10);
        let circuit = Circuit::new(BreakerConfig::any_of([trip]));
        circuit.calls(5, Verdict::Success);
        for expected in [State::Closed, State::Closed, State::Closed, State::Closed, State::Open] {
            let permit = circuit.breaker.try_acquire(circuit.hand.now()).unwrap();
            circuit.advance(3);
            circuit.breaker.record(permit, Verdict::Success, circuit.hand.now());
            assert_eq!(circuit.state(), expected);
        }
    }
}

mod polly {
    //! <https://www.pollydocs.org/strategies/circuit-breaker.html>, "Defaults": `FailureRatio`
    //! 0.1, `MinimumThroughput` 100, `SamplingDuration` 30 s, `BreakDuration` 5 s.

    use super::*;

    fn circuit() -> Circuit {
        let window = Window::Time(Duration::from_secs(30));
        let trip = Trip::failure_rate(0.1).over(window).min_calls(100);
        let config = BreakerConfig::any_of([trip])
            .open_for(OpenFor::fixed(Duration::from_secs(5)))
            .half_open(HalfOpen::permits(1));
        Circuit::new(config)
    }

    #[test]
    fn a_tenth_of_a_hundred_calls_opens() {
        let circuit = circuit();
        circuit.calls(90, Verdict::Success);
        circuit.calls(9, Verdict::Fail);
        assert_eq!(circuit.state(), State::Closed, "99 calls are below the minimum throughput");
        circuit.calls(1, Verdict::Fail);
        assert_eq!(circuit.state(), State::Open);
    }

    #[test]
    fn below_the_ratio_it_stays_closed() {
        let circuit = circuit();
        circuit.calls(1000, Verdict::Success);
        circuit.calls(100, Verdict::Fail);
        assert_eq!(circuit.state(), State::Closed, "100 of 1100");
        circuit.calls(12, Verdict::Fail);
        assert_eq!(circuit.state(), State::Open, "112 of 1112");
    }

    #[test]
    fn failures_older_than_the_sampling_duration_do_not_count() {
        let circuit = circuit();
        circuit.calls(99, Verdict::Fail);
        circuit.advance(30);
        circuit.calls(95, Verdict::Success);
        circuit.calls(5, Verdict::Fail);
        assert_eq!(circuit.state(), State::Closed);
    }

    /// "If the first action after the break duration period results in a handled exception,
    /// the circuit will break again for another BreakDuration; if no exception is thrown, the
    /// circuit will reset." (`CircuitBreakerStrategyOptions`, remarks)
    #[test]
    fn the_first_call_after_the_break_decides() {
        let circuit = circuit();
        circuit.calls(100, Verdict::Fail);
        circuit.advance(4);
        assert!(!circuit.admits());
        circuit.advance(1);
        circuit.calls(1, Verdict::Fail);
        assert_eq!(circuit.state(), State::Open);
        circuit.advance(4);
        assert!(!circuit.admits());
        circuit.advance(1);
        circuit.calls(1, Verdict::Success);
        assert_eq!(circuit.state(), State::Closed);
        circuit.calls(99, Verdict::Fail);
        assert_eq!(circuit.state(), State::Closed, "the numbers begin again");
    }
}

mod failsafe_go {
    //! <https://failsafe-go.dev/circuit-breaker/>: count based thresholds, and success
    //! thresholds.

    use super::*;

    /// `WithFailureThresholdRatio(3, 5)`: opens when 3 of the last 5 executions failed; the
    /// ring must be full before.
    fn three_of_five() -> Trip {
        Trip::failure_rate(0.6).over(Window::Count(5)).min_calls(5)
    }

    #[test]
    fn three_failures_of_five_open() {
        let circuit = Circuit::new(BreakerConfig::any_of([three_of_five()]));
        circuit.calls(2, Verdict::Success);
        circuit.calls(2, Verdict::Fail);
        assert_eq!(circuit.state(), State::Closed);
        circuit.calls(1, Verdict::Fail);
        assert_eq!(circuit.state(), State::Open);

        let circuit = Circuit::new(BreakerConfig::any_of([three_of_five()]));
        for _ in 0..20 {
            circuit.calls(1, Verdict::Success);
            circuit.calls(1, Verdict::Fail);
            circuit.calls(1, Verdict::Success);
        }
        assert_eq!(circuit.state(), State::Closed, "two of five");
    }

    /// `WithFailureThreshold(5)`: opens after 5 consecutive failures.
    #[test]
    fn five_consecutive_failures_open() {
        let circuit = Circuit::new(BreakerConfig::any_of([Trip::consecutive(5)]));
        circuit.calls(4, Verdict::Fail);
        circuit.calls(1, Verdict::Success);
        circuit.calls(4, Verdict::Fail);
        assert_eq!(circuit.state(), State::Closed);
        circuit.calls(1, Verdict::Fail);
        assert_eq!(circuit.state(), State::Open);
    }

    /// `WithSuccessThreshold(5)`: closes after five successes in the half-open state, and one
    /// failure opens again.
    #[test]
    fn five_successes_close_and_one_failure_opens() {
        let config = BreakerConfig::any_of([Trip::consecutive(1)])
            .half_open(HalfOpen::permits(5))
            .open_for(OpenFor::fixed(Duration::from_secs(60)));
        let circuit = Circuit::new(config);
        circuit.calls(1, Verdict::Fail);
        circuit.advance(60);
        circuit.calls(4, Verdict::Success);
        assert_eq!(circuit.state(), State::HalfOpen);
        circuit.calls(1, Verdict::Fail);
        assert_eq!(circuit.state(), State::Open);
        circuit.advance(60);
        circuit.calls(5, Verdict::Success);
        assert_eq!(circuit.state(), State::Closed);
    }

    /// `WithSuccessThresholdRatio(3, 5)`: closes when 3 of 5 succeed; else it opens.
    #[test]
    fn three_successes_of_five_close() {
        let half_open = HalfOpen::permits(5).successes_needed(3).failures_allowed(2);
        for (failures, expected) in [(2, State::Closed), (3, State::Open)] {
            let config = BreakerConfig::any_of([Trip::consecutive(1)]).half_open(half_open.clone());
            let circuit = Circuit::new(config);
            circuit.calls(1, Verdict::Fail);
            circuit.advance(5);
            circuit.calls(failures, Verdict::Fail);
            if expected == State::Closed {
                circuit.calls(3, Verdict::Success);
            }
            assert_eq!(circuit.state(), expected);
        }
    }
}
