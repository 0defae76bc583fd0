//! Rates and percentiles between two reports of one edge.

use std::time::Duration;

use super::{CallCounts, ClassCounts, EdgeReport, Latencies};

/// What happened on an edge between two reports. Rates are per second.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EdgeRates {
    /// How long the time between them was. When it is zero, so are all rates.
    pub span: Duration,
    /// All operations together.
    pub calls: CallRates,
    /// Each operation of the newer report.
    pub operations: Vec<OperationRates>,
    /// Retries.
    pub retries_per_s: f64,
    /// Requests that the gateway answered itself.
    pub refusals_per_s: f64,
    /// Bytes of bodies of requests.
    pub request_bytes_per_s: f64,
    /// Bytes of bodies of responses.
    pub response_bytes_per_s: f64,
    /// Bytes of tunnels, in both directions.
    pub tunnel_bytes_per_s: f64,
}

/// What happened to one operation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OperationRates {
    /// Method and path template, or `other`.
    pub operation: String,
    /// Its calls.
    pub calls: CallRates,
}

/// Rate, errors and duration of calls.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CallRates {
    /// Calls that ended, per second.
    pub rps: f64,
    /// The share of them that failed, 0 to 1: see [`ClassCounts::failed`]. 0 without calls.
    pub error_share: f64,
    /// Half of the calls took no longer.
    pub p50: Option<Duration>,
    /// 90 % of the calls took no longer.
    pub p90: Option<Duration>,
    /// 99 % of the calls took no longer.
    pub p99: Option<Duration>,
}

/// What happened between two reports of the same edge. Where the gateway was started anew in
/// between, all that the newer one counts happened since that start; a single counter that
/// went back has begun anew as well.
#[must_use]
pub fn rate_between(older: &EdgeReport, newer: &EdgeReport) -> EdgeRates {
    let same_life =
        older.started_unix_ms == newer.started_unix_ms && older.taken_ms <= newer.taken_ms;
    let older = same_life.then_some(older);
    let since = older.map_or(0, |older| older.taken_ms);
    let span = Duration::from_millis(newer.taken_ms.saturating_sub(since));
    let grown = |count: fn(&EdgeReport) -> u64| {
        per_second(growth(older.map_or(0, count), count(newer)), span)
    };

    let mut all = CallCounts::default();
    let mut operations = Vec::with_capacity(newer.operations.len());
    for now in &newer.operations {
        let known = older.map_or(&[][..], |older| &older.operations);
        let before = known.iter().find(|known| known.operation == now.operation);
        let calls = match before {
            Some(before) => calls_since(&before.calls, &now.calls),
            None => now.calls.clone(),
        };
        all = sum(&all, &calls);
        let calls = rates(&calls, span);
        operations.push(OperationRates { operation: now.operation.clone(), calls });
    }
    EdgeRates {
        span,
        calls: rates(&all, span),
        operations,
        retries_per_s: grown(|report| total(report.retries.values())),
        refusals_per_s: grown(|report| total(report.refusals.values())),
        request_bytes_per_s: grown(|report| report.request_bytes),
        response_bytes_per_s: grown(|report| report.response_bytes),
        tunnel_bytes_per_s: grown(|report| {
            let tunnels = &report.tunnels;
            tunnels.bytes_to_endpoint.saturating_add(tunnels.bytes_to_caller)
        }),
    }
}

fn rates(calls: &CallCounts, span: Duration) -> CallRates {
    let all = calls.classes.all();
    let failed = calls.classes.failed();
    CallRates {
        rps: per_second(all, span),
        error_share: if all == 0 { 0.0 } else { failed as f64 / all as f64 },
        p50: calls.latencies.quantile(0.5),
        p90: calls.latencies.quantile(0.9),
        p99: calls.latencies.quantile(0.99),
    }
}

fn per_second(count: u64, span: Duration) -> f64 {
    if span.is_zero() { 0.0 } else { count as f64 / span.as_secs_f64() }
}

/// What a counter grew by; one that went back began at zero.
fn growth(older: u64, newer: u64) -> u64 {
    newer.checked_sub(older).unwrap_or(newer)
}

fn total<'a>(counts: impl Iterator<Item = &'a u64>) -> u64 {
    counts.fold(0, |sum, count| sum.saturating_add(*count))
}

fn calls_since(older: &CallCounts, newer: &CallCounts) -> CallCounts {
    CallCounts {
        classes: by_class(&older.classes, &newer.classes, growth),
        latencies: newer.latencies.since(&older.latencies),
    }
}

fn sum(one: &CallCounts, other: &CallCounts) -> CallCounts {
    CallCounts {
        classes: by_class(&one.classes, &other.classes, u64::saturating_add),
        latencies: Latencies::plus(&one.latencies, &other.latencies),
    }
}

fn by_class(one: &ClassCounts, other: &ClassCounts, each: fn(u64, u64) -> u64) -> ClassCounts {
    ClassCounts {
        informational: each(one.informational, other.informational),
        success: each(one.success, other.success),
        redirect: each(one.redirect, other.redirect),
        client_error: each(one.client_error, other.client_error),
        server_error: each(one.server_error, other.server_error),
        refused: each(one.refused, other.refused),
        error: each(one.error, other.error),
    }
}

#[cfg(test)]
#[path = "rates_tests.rs"]
mod tests;
