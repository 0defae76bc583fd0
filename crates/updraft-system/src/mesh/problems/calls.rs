//! What is wrong with the policy of one edge.

use std::time::Duration;

use super::{Findings, Pointer};
use crate::mesh::{Balance, Calls, Protocol, RetryOn, RetryPolicy};

/// `protocol` is that of the one cluster that is called; `None`: of many.
pub(super) fn check(
    calls: &Calls,
    protocol: Option<Protocol>,
    at: &Pointer,
    findings: &mut Findings,
) {
    findings.some_time(at, "timeout", calls.timeout);
    findings.some_time(at, "idle", calls.idle);
    if let Some(attempt) = calls.attempt_timeout {
        findings.some_time(at, "attempt_timeout", attempt);
        if calls.timeout < attempt {
            let message = "one attempt cannot take longer than `timeout`, which is for all of them";
            findings.error(at.key("attempt_timeout"), message);
        }
    }
    check_retry(&calls.retry, calls.attempt_timeout.is_some(), &at.key("retry"), findings);
    let breaker = at.key("breaker");
    findings.at_least_one(&breaker, "consecutive", calls.breaker.consecutive);
    findings.some_time(&breaker, "open_for", calls.breaker.open_for);
    if calls.breaker.failures.parts() == 0 {
        let message = "at 0% an endpoint that never failed would be left alone";
        findings.error(breaker.key("failures"), message);
    }
    findings.at_least_one(at, "concurrency", calls.concurrency);
    if let Some(rate) = calls.rate
        && (rate.count == 0 || rate.per == Duration::ZERO)
    {
        findings.error(at.key("rate"), "this lets nothing through: write a rate such as 100/s");
    }
    if protocol == Some(Protocol::Tcp)
        && let Balance::Hash(by) = &calls.balance
    {
        let message = format!("a tcp connection has no `{by}`: write least-request or round-robin");
        findings.error(at.key("balance"), message);
    }
}

fn check_retry(retry: &RetryPolicy, timed: bool, at: &Pointer, findings: &mut Findings) {
    findings.at_least_one(at, "attempts", retry.attempts);
    for on in &retry.on {
        match on {
            RetryOn::Timeout if !timed => {
                let message = "no attempt has a time of its own: add `attempt_timeout`";
                findings.error(at.key("on"), message);
            }
            RetryOn::Status(status) if !matches!(status, 429 | 500..=599) => {
                let message = format!("{status} is neither 429 nor a status from 500 to 599");
                findings.error(at.key("on"), message);
            }
            _ => {}
        }
    }
}
