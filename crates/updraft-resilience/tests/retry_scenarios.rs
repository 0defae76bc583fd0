//! What Resilience4j, Polly, tenacity and gRPC promise of retries, and the storm that a
//! budget prevents; each scenario names its source.

use std::time::Duration;

use updraft_resilience::backoff::{Backoff, Jitter};
use updraft_resilience::retry::{Budget, BudgetConfig, Next, Retry, RetryConfig, StopReason};
use updraft_resilience::{Instant, ManualClock, Verdict};

const OK: Verdict = Verdict::Success;
const ERR: Verdict = Verdict::Retry;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn config(attempts: u32, backoff: Backoff) -> RetryConfig {
    RetryConfig { attempts, backoff, budget: None, ..RetryConfig::default() }
}

/// How one call went.
#[derive(Debug, PartialEq)]
struct Course {
    attempts: usize,
    waits: Vec<Duration>,
    stop: StopReason,
}

/// A call as a policy makes it, with the time of its waits and attempts turned by hand.
struct Caller<'a> {
    config: &'a RetryConfig,
    budget: Option<&'a Budget>,
    clock: &'a ManualClock,
    random: fastrand::Rng,
    deadline: Option<Instant>,
    took: Duration,
}

impl<'a> Caller<'a> {
    fn new(config: &'a RetryConfig, clock: &'a ManualClock) -> Self {
        let random = fastrand::Rng::with_seed(1);
        Self { config, budget: None, clock, random, deadline: None, took: Duration::ZERO }
    }

    /// Each attempt has the next of `verdicts`, the last one for ever.
    fn call(&mut self, verdicts: &[Verdict]) -> Course {
        let mut retry = Retry::begin(self.clock.now());
        if let Some(budget) = self.budget {
            budget.deposit(self.clock.now());
        }
        let mut course = Course { attempts: 0, waits: Vec::new(), stop: StopReason::Attempts };
        loop {
            let verdict = verdicts[course.attempts.min(verdicts.len() - 1)];
            course.attempts += 1;
            self.clock.advance(self.took);
            let now = self.clock.now();
            let next = retry
                .after(self.config, verdict, now, self.deadline, &mut self.random)
                .paid_from(self.budget, now);
            match next {
                Next::Retry { wait, attempt } => {
                    assert_eq!(attempt as usize, course.attempts + 1);
                    self.clock.advance(wait);
                    course.waits.push(wait);
                }
                Next::Stop(stop) => {
                    course.stop = stop;
                    return course;
                }
            }
        }
    }
}

fn course(config: &RetryConfig, verdicts: &[Verdict]) -> Course {
    Caller::new(config, &ManualClock::new()).call(verdicts)
}

/// Resilience4j `SupplierRetryTest.shouldNotRetry`.
#[test]
fn r4j_a_success_is_not_retried() {
    let course = course(&config(3, Backoff::constant(ms(500))), &[OK]);
    assert_eq!(course, Course { attempts: 1, waits: vec![], stop: StopReason::NotRetryable });
}

/// Resilience4j `SupplierRetryTest.shouldReturnSuccessfullyAfterSecondAttempt`.
#[test]
fn r4j_a_call_may_succeed_at_the_second_attempt() {
    let course = course(&config(3, Backoff::constant(ms(500))), &[ERR, OK]);
    let stop = StopReason::NotRetryable;
    assert_eq!(course, Course { attempts: 2, waits: vec![ms(500)], stop });
}

/// Resilience4j `SupplierRetryTest.shouldReturnAfterThreeAttempts`: 3 attempts, 2 waits.
#[test]
fn r4j_three_attempts_are_two_waits() {
    let course = course(&config(3, Backoff::constant(ms(500))), &[ERR]);
    let stop = StopReason::Attempts;
    assert_eq!(course, Course { attempts: 3, waits: vec![ms(500); 2], stop });
}

/// Resilience4j `SupplierRetryTest.testDecorateSupplierAndInvokeTwice`: calls share nothing.
#[test]
fn r4j_each_call_has_its_own_attempts() {
    let (config, clock) = (config(2, Backoff::constant(ms(500))), ManualClock::new());
    let mut caller = Caller::new(&config, &clock);
    let first = caller.call(&[ERR, OK]);
    assert_eq!(first, caller.call(&[ERR, OK]));
    assert_eq!(first.attempts, 2);
}

/// Resilience4j `SupplierRetryTest.shouldIgnoreExceptionOfDecoratedTry`.
#[test]
fn r4j_what_is_ignored_is_not_retried() {
    for verdict in [Verdict::Ignore, Verdict::Fail] {
        let course = course(&config(3, Backoff::constant(ms(500))), &[verdict]);
        assert_eq!((course.attempts, course.stop), (1, StopReason::NotRetryable));
    }
}

/// Resilience4j `RetryBudgetImplTest.testShouldHitRetryThresholdSupplier` (commit 8c726d84, of
/// no release): a share of the
/// calls stops a call before its attempts are used up.
#[test]
fn r4j_the_budget_stops_before_the_attempts_do() {
    let (config, clock) = (config(5, Backoff::constant(ms(500))), ManualClock::new());
    let budget = BudgetConfig { share: 0.4, per_second: 0.0, burst: 1 };
    let budget = Budget::new(budget, clock.now()).unwrap();
    let mut caller = Caller { budget: Some(&budget), ..Caller::new(&config, &clock) };
    let course = caller.call(&[ERR]);
    assert_eq!((course.attempts, course.stop), (2, StopReason::Budget));
    assert_eq!(course.waits, [ms(500)], "a refused retry is not waited for");
}

/// Resilience4j `RetryBudgetImplTest.testShouldRecoverFromHittingRetryThreshold` (same).
#[test]
fn r4j_calls_that_succeed_fill_the_budget_again() {
    let (config, clock) = (config(3, Backoff::constant(ms(500))), ManualClock::new());
    let budget = BudgetConfig { share: 0.5, per_second: 0.0, burst: 2 };
    let budget = Budget::new(budget, clock.now()).unwrap();
    let mut caller = Caller { budget: Some(&budget), ..Caller::new(&config, &clock) };
    assert_eq!(caller.call(&[ERR]).stop, StopReason::Attempts);
    assert_eq!(caller.call(&[ERR]).stop, StopReason::Budget);
    assert_eq!(caller.call(&[OK]).attempts, 1);
    assert_eq!(caller.call(&[ERR, OK]).attempts, 2);
}

/// Polly `RetryResilienceStrategyTests.Retry_RetryCount_Respected`: 12 retries, 13 attempts.
#[test]
fn polly_the_number_of_retries_is_respected() {
    let course = course(&config(13, Backoff::constant(ms(0))), &[ERR]);
    assert_eq!((course.attempts, course.waits.len()), (13, 12));
}

/// Polly `RetryResilienceStrategyTests.RetryDelayGenerator_Respected`.
#[test]
fn polly_a_function_of_waits_is_respected() {
    let course = course(&config(4, Backoff::function(|_| ms(123))), &[ERR]);
    assert_eq!(course.waits, [ms(123); 3]);
}

/// Polly `RetryResilienceStrategyTests.OnRetry_EnsureCorrectArguments`: linear from 2 s.
#[test]
fn polly_linear_waits() {
    let linear = Backoff::linear(ms(2000), ms(2000)).jitter(Jitter::None);
    assert_eq!(course(&config(4, linear), &[ERR]).waits, [ms(2000), ms(4000), ms(6000)]);
}

/// Polly `GetRetryDelay_OverflowWithMaxDelay_ReturnsMaxDelay`, and
/// Polly#2163: a thousand retries neither overflow nor turn negative.
#[test]
fn polly_a_thousand_retries_keep_to_the_longest_wait() {
    let day = ms(86_400_000);
    let doubled = Backoff::exponential(day, day * 2).jitter(Jitter::None);
    let course = course(&config(1001, doubled), &[ERR]);
    assert_eq!(course.waits.len(), 1000);
    assert!(course.waits[1..].iter().all(|wait| *wait == day * 2));
}

/// Polly `RetryResilienceStrategyTests.ExecuteAsync_CancellationRequestedAfterCallback_
/// EnsureNotRetried`: here the reason to stop is the time of the caller.
#[test]
fn polly_nothing_is_retried_when_the_caller_is_gone() {
    let (config, clock) = (config(3, Backoff::constant(ms(0))), ManualClock::new());
    let deadline = Some(clock.now() + ms(100));
    let mut caller = Caller { deadline, took: ms(100), ..Caller::new(&config, &clock) };
    let course = caller.call(&[ERR]);
    assert_eq!((course.attempts, course.stop), (1, StopReason::Deadline));
}

/// tenacity `stop_before_delay`.
#[test]
fn tenacity_stops_before_the_time_is_over() {
    let config = RetryConfig { elapsed: Some(ms(1000)), ..config(100, Backoff::constant(ms(250))) };
    let clock = ManualClock::new();
    let begin = clock.now();
    let course = Caller { took: ms(50), ..Caller::new(&config, &clock) }.call(&[ERR]);
    assert_eq!((course.attempts, course.stop), (4, StopReason::Elapsed));
    assert!(clock.now().saturating_duration_since(begin) < ms(1000));
}

/// linkerd#2369: retries went on for five hours under a deadline of five seconds.
#[test]
fn linkerd_the_deadline_bounds_attempts_and_waits_together() {
    let config = config(u32::MAX, Backoff::default());
    let clock = ManualClock::new();
    let deadline = clock.now() + ms(5000);
    let throttled = Verdict::Throttled(Some(ms(900)));
    let mut caller =
        Caller { deadline: Some(deadline), took: ms(10), ..Caller::new(&config, &clock) };
    assert_eq!(caller.call(&[ERR, throttled]).stop, StopReason::Deadline);
    assert!(clock.now() < deadline, "the rest of the time is the caller's");
}

/// gRFC A6, "Pushback": the server's wait is used instead of the computed one.
#[test]
fn grpc_pushback_replaces_the_backoff() {
    let config = config(3, Backoff::constant(ms(500)));
    let course = course(&config, &[Verdict::Throttled(Some(ms(20))), ERR]);
    assert_eq!(course.waits, [ms(20), ms(500)]);
}

/// A thousand callers against a dead target make at most 1 + share attempts each, and the
/// burst once; without the budget they would make a thousand each.
#[test]
fn a_storm_of_retries_is_bounded_by_the_budget() {
    let (config, clock) = (config(1000, Backoff::constant(ms(0))), ManualClock::new());
    let budget = Budget::new(BudgetConfig::default(), clock.now()).unwrap();
    let mut caller = Caller { budget: Some(&budget), ..Caller::new(&config, &clock) };
    let attempts: usize = (0..1000).map(|_| caller.call(&[ERR]).attempts).sum();
    assert!(attempts <= 1000 + 200 + 100, "{attempts}");
    assert!(attempts >= 1000 + 199 + 100, "{attempts}: what was earned could be spent");
    assert!(budget.exhausted() >= 799);
}

/// Callers that go round in step (all fail, all wait, all come back) are no way around it.
#[test]
fn a_storm_in_step_is_bounded_too() {
    let (config, clock) = (RetryConfig::default(), ManualClock::new());
    let budget = Budget::new(BudgetConfig::default(), clock.now()).unwrap();
    let begin = clock.now();
    let mut random = fastrand::Rng::with_seed(1);
    let mut callers: Vec<_> = (0..1000)
        .map(|_| {
            budget.deposit(clock.now());
            Retry::begin(clock.now())
        })
        .collect();
    let mut attempts = 0.0;
    while !callers.is_empty() {
        attempts += callers.len() as f64;
        clock.advance(ms(100));
        let now = clock.now();
        callers.retain_mut(|retry| {
            let next = retry.after(&config, ERR, now, None, &mut random);
            matches!(next.paid_from(Some(&budget), now), Next::Retry { .. })
        });
    }
    let seconds = clock.now().saturating_duration_since(begin).as_secs_f64();
    assert!(attempts <= 1000.0 + 200.0 + 100.0 + 10.0 * seconds, "{attempts} in {seconds} s");
}
