//! From what a manifest says of an edge to the one policy that all its calls go through.
//! Everything in it is of `updraft-resilience`; here is only what outcomes mean.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use updraft_resilience::backoff::Backoff;
use updraft_resilience::bulkhead::BulkheadConfig;
use updraft_resilience::policy::PolicyConfig;
use updraft_resilience::rate_limit::RateLimitConfig;
use updraft_resilience::retry::{BudgetConfig, RetryConfig};
use updraft_resilience::shed::ShedConfig;
use updraft_resilience::{Classify, Policy, Priority, Verdict};
use updraft_system::mesh::{Calls, RetryOn, RetryPolicy};

/// The wait before the first retry, which doubles; half of it or more is by chance.
const RETRY_WAIT: Duration = Duration::from_millis(25);
/// The longest wait before a retry.
const RETRY_WAIT_MAX: Duration = Duration::from_millis(250);
/// The longest `Retry-After` that a call waits for, as its caller waits with it. A server that
/// wants to be left alone for longer is: the caller gets its answer, and the hint with it.
const HINT_MAX: Duration = Duration::from_secs(2);
/// How long the floor of a budget of retries is saved up, which is what a new budget begins
/// with: Finagle's `RetryBudget` has the same ten seconds.
const BUDGET_SAVED: u32 = 10;
/// Of the queue, this part is for calls of normal priority; the rest is for what matters more.
const NORMAL_QUEUE: f64 = 0.8;
/// From this load on background work is shed.
const SHED_BACKGROUND: f64 = 0.8;

/// The policy of one edge. The endpoints' circuit breakers are the balancer's.
pub(crate) type EdgePolicy = Policy<Outcomes>;

/// Outcomes know by themselves what they mean, because that depends on the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcomes;

/// What one attempt gave.
pub(crate) trait Attempted {
    /// What it means to the policy.
    fn verdict(&self) -> Verdict;
}

impl<T: Attempted, E: Attempted> Classify<T, E> for Outcomes {
    fn classify(&self, outcome: Result<&T, &E>) -> Verdict {
        match outcome {
            Ok(response) => response.verdict(),
            Err(error) => error.verdict(),
        }
    }
}

/// What a failure means: whether the manifest wants it tried again, and whether that is safe.
/// What is provably unsent always is.
pub(crate) fn verdict(
    failure: Option<RetryOn>,
    is_repeatable: bool,
    retry_after: Option<Duration>,
    retry: &RetryPolicy,
) -> Verdict {
    let Some(failure) = failure else { return Verdict::Success };
    let safe = failure == RetryOn::Connect || is_repeatable;
    match retry_after {
        _ if !safe || !retry.on.contains(&failure) => Verdict::Fail,
        Some(after) if after > HINT_MAX => Verdict::Fail,
        Some(after) => Verdict::Throttled(Some(after)),
        None => Verdict::Retry,
    }
}

/// The policy of an edge that is called `name` in events and metrics.
///
/// # Errors
///
/// [`updraft_resilience::Invalid`] with every value that cannot be.
pub(crate) fn of(name: String, calls: &Calls) -> Result<EdgePolicy, updraft_resilience::Invalid> {
    Policy::named(name).config(config(calls)).classifier(Outcomes).build()
}

/// The same as data, for a policy that is changed while it is at work.
pub(crate) fn config(calls: &Calls) -> PolicyConfig {
    let budget = calls.retry.budget;
    let earned = budget.share.parts() > 0 || budget.floor > 0;
    let backoff = Backoff::exponential(RETRY_WAIT, RETRY_WAIT_MAX);
    let retry = RetryConfig {
        attempts: calls.retry.attempts,
        budget: Some(BudgetConfig {
            share: budget.share.ratio(),
            per_second: f64::from(budget.floor),
            burst: budget.floor.saturating_mul(BUDGET_SAVED).max(BUDGET_SAVED),
        }),
        backoff,
        hint_max: HINT_MAX,
        ..RetryConfig::default()
    };
    PolicyConfig {
        deadline: Some(calls.timeout),
        retry: (earned && calls.retry.attempts > 1).then_some(retry),
        rate_limit: calls.rate.map(|rate| RateLimitConfig::new(rate.count, rate.per)),
        bulkhead: Some(BulkheadConfig {
            max: calls.concurrency,
            queue: calls.queue,
            max_wait: calls.timeout,
            ..BulkheadConfig::default()
        }),
        shed: Some(shed(calls)),
        ..PolicyConfig::default()
    }
}

/// Who is shed when. Load is what is in flight and what waits, over the places: at 1 all places
/// are taken, and whoever may wait does, so that normal calls are shed only when most of the
/// queue is full.
fn shed(calls: &Calls) -> ShedConfig {
    let queue = f64::from(calls.queue) / f64::from(calls.concurrency.max(1));
    // Priorities lie evenly from the first to the fifth, and normal is the third.
    let normal = NORMAL_QUEUE.mul_add(queue, 1.0);
    let full = (normal - SHED_BACKGROUND).mul_add(2.0, SHED_BACKGROUND);
    ShedConfig { start: SHED_BACKGROUND, full, ..ShedConfig::default() }
}

/// Methods that may run twice without harm (RFC 9110 section 9.2.2).
pub(crate) fn is_idempotent(method: &Method) -> bool {
    method.is_idempotent() || method.as_str() == "QUERY"
}

/// The failure that a status stands for.
pub(crate) fn failed_status(status: StatusCode) -> Option<RetryOn> {
    let failed = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    failed.then(|| RetryOn::Status(status.as_u16()))
}

/// `Retry-After` in seconds (RFC 9110 section 10.2.3); its form with a date depends on two
/// clocks and is not obeyed.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER).map(HeaderValue::to_str)?.ok()?;
    seconds.trim().parse().ok().map(Duration::from_secs)
}

/// The priority of a manifest as the policies know it.
pub(crate) fn priority(priority: updraft_system::mesh::Priority) -> Priority {
    use updraft_system::mesh::Priority as Declared;
    match priority {
        Declared::Background => Priority::Background,
        Declared::Low => Priority::Low,
        Declared::Normal => Priority::Normal,
        Declared::High => Priority::High,
        Declared::Critical => Priority::Critical,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_unsent_or_harmless_is_tried_again() {
        let retry = RetryPolicy::default();
        for (failure, repeatable, expected) in [
            (None, false, Verdict::Success),
            (Some(RetryOn::Connect), false, Verdict::Retry),
            (Some(RetryOn::Reset), false, Verdict::Fail),
            (Some(RetryOn::Reset), true, Verdict::Retry),
            (Some(RetryOn::Status(503)), true, Verdict::Retry),
            (Some(RetryOn::Status(503)), false, Verdict::Fail),
            (Some(RetryOn::Status(500)), true, Verdict::Fail),
            (Some(RetryOn::Timeout), true, Verdict::Fail),
        ] {
            assert_eq!(verdict(failure, repeatable, None, &retry), expected, "{failure:?}");
        }
    }

    #[test]
    fn the_defaults_make_a_policy() {
        assert!(of("a→b".to_owned(), &Calls::default()).is_ok());
    }

    #[test]
    fn a_server_that_wants_to_be_left_alone_for_long_is() {
        let retry = RetryPolicy::default();
        for (seconds, expected) in [
            (1, Verdict::Throttled(Some(Duration::from_secs(1)))),
            (2, Verdict::Throttled(Some(HINT_MAX))),
            (3, Verdict::Fail),
            (3600, Verdict::Fail),
        ] {
            let after = Some(Duration::from_secs(seconds));
            assert_eq!(verdict(Some(RetryOn::Status(503)), true, after, &retry), expected);
        }
    }

    #[test]
    fn normal_calls_wait_in_most_of_the_queue_and_more_important_ones_in_all_of_it() {
        use updraft_resilience::shed::Shedder;
        use updraft_resilience::{ManualClock, Priority};
        for (concurrency, queue) in [(1024, 256), (1, 1), (4, 100), (16, 0)] {
            let calls = Calls { concurrency, queue, ..Calls::default() };
            let shedder = Shedder::new(shed(&calls)).unwrap();
            let now = ManualClock::new().now();
            let load = |waiting: f64| 1.0 + waiting * f64::from(queue) / f64::from(concurrency);
            assert!(!shedder.admit(Priority::Background, load(0.0), now));
            assert_eq!(shedder.admit(Priority::Normal, load(0.5), now), queue > 0);
            assert!(!shedder.admit(Priority::Normal, load(0.9), now));
            assert!(shedder.admit(Priority::High, load(1.0), now));
        }
    }
}
