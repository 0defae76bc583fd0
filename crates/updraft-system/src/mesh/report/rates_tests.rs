//! Rates between two reports, held to a naive computation.

use proptest::prelude::*;

use super::super::{EdgeSide, OperationReport, TunnelCounts};
use super::*;
use crate::mesh::Protocol;

/// One call, as whoever watches the edge would write it down.
#[derive(Clone, Debug)]
struct Call {
    operation: usize,
    class: usize,
    nanos: u64,
    retries: u64,
    bytes: u64,
}

const OPERATIONS: [&str; 3] = ["GET /a", "POST /b/{id}", "other"];

fn call() -> impl Strategy<Value = Call> {
    (0..3_usize, 0..7_usize, 2_000_u64..60_000_000_000, 0..3_u64, 0..10_000_u64).prop_map(
        |(operation, class, nanos, retries, bytes)| Call {
            operation,
            class,
            nanos,
            retries,
            bytes,
        },
    )
}

fn report(taken_ms: u64, calls: &[Call]) -> EdgeReport {
    let mut operations: Vec<OperationReport> = Vec::new();
    for call in calls {
        let name = OPERATIONS[call.operation];
        if !operations.iter().any(|known| known.operation == name) {
            let calls = CallCounts::default();
            operations.push(OperationReport { operation: name.to_owned(), calls });
        }
        let own = operations.iter_mut().find(|known| known.operation == name).unwrap();
        let classes = &mut own.calls.classes;
        let fields = [
            &mut classes.informational,
            &mut classes.success,
            &mut classes.redirect,
            &mut classes.client_error,
            &mut classes.server_error,
            &mut classes.refused,
            &mut classes.error,
        ];
        for (at, field) in fields.into_iter().enumerate() {
            *field += u64::from(at == call.class);
        }
        let bucket = u16::try_from(Latencies::bucket_of(call.nanos)).unwrap();
        let one = Latencies { buckets: vec![(bucket, 1)], sum_nanos: call.nanos };
        own.calls.latencies = own.calls.latencies.plus(&one);
    }
    EdgeReport {
        from: "cart".parse().unwrap(),
        to: "pricing".parse().unwrap(),
        protocol: Protocol::Http1,
        side: EdgeSide::Client,
        started_unix_ms: 1,
        taken_ms,
        totals: CallCounts::default(),
        operations,
        first_byte: Latencies::default(),
        retries: [("reset".to_owned(), calls.iter().map(|call| call.retries).sum())].into(),
        refusals: [("full".to_owned(), calls.iter().filter(|c| c.class == 5).count() as u64)]
            .into(),
        undeclared: 0,
        request_bytes: calls.iter().map(|call| call.bytes).sum(),
        response_bytes: calls.iter().map(|call| call.bytes * 2).sum(),
        active_requests: 0,
        connections: super::super::ConnectionCounts::default(),
        tunnels: TunnelCounts {
            active: 0,
            opened: 0,
            bytes_to_endpoint: calls.iter().map(|call| call.bytes * 3).sum(),
            bytes_to_caller: calls.iter().map(|call| call.bytes * 5).sum(),
        },
        endpoints: Vec::new(),
    }
}

fn near(told: f64, expected: f64) -> bool {
    (told - expected).abs() <= 1e-9 * expected.abs().max(1.0)
}

/// The same by hand, from the calls themselves.
fn check(told: &CallRates, calls: &[&Call], seconds: f64) -> Result<(), TestCaseError> {
    let failed = calls.iter().filter(|call| call.class >= 4).count() as f64;
    let all = calls.len() as f64;
    prop_assert!(near(told.rps, all / seconds));
    let share = if calls.is_empty() { 0.0 } else { failed / all };
    prop_assert!(near(told.error_share, share));
    let mut sorted: Vec<u64> = calls.iter().map(|call| call.nanos).collect();
    sorted.sort_unstable();
    for (share, told) in [(50, told.p50), (90, told.p90), (99, told.p99)] {
        let rank = (sorted.len() * share).div_ceil(100).max(1);
        match (sorted.get(rank - 1), told) {
            (Some(exact), Some(told)) => {
                let off = (told.as_nanos() as f64 - *exact as f64).abs();
                prop_assert!(off <= Latencies::ERROR * *exact as f64 + 1.0);
            }
            (exact, told) => prop_assert_eq!(exact.is_some(), told.is_some()),
        }
    }
    Ok(())
}

fn check_all(rates: &EdgeRates, calls: &[Call], seconds: f64) -> Result<(), TestCaseError> {
    let every: Vec<&Call> = calls.iter().collect();
    check(&rates.calls, &every, seconds)?;
    for own in &rates.operations {
        let of = |call: &&&Call| OPERATIONS[call.operation] == own.operation;
        let calls: Vec<&Call> = every.iter().filter(of).copied().collect();
        check(&own.calls, &calls, seconds)?;
    }
    let sum = |each: fn(&Call) -> u64| calls.iter().map(each).sum::<u64>() as f64 / seconds;
    prop_assert!(near(rates.retries_per_s, sum(|call| call.retries)));
    prop_assert!(near(rates.refusals_per_s, sum(|call| u64::from(call.class == 5))));
    prop_assert!(near(rates.request_bytes_per_s, sum(|call| call.bytes)));
    prop_assert!(near(rates.response_bytes_per_s, sum(|call| call.bytes * 2)));
    prop_assert!(near(rates.tunnel_bytes_per_s, sum(|call| call.bytes * 8)));
    Ok(())
}

proptest! {
    #[test]
    fn rates_are_those_of_the_calls_in_between(
        before in prop::collection::vec(call(), 0..40),
        between in prop::collection::vec(call(), 0..40),
        at in 0..100_000_u64,
        span in 1..100_000_u64,
    ) {
        let older = report(at, &before);
        let newer = report(at + span, &[before, between.clone()].concat());
        let rates = rate_between(&older, &newer);
        prop_assert_eq!(rates.span, Duration::from_millis(span));
        check_all(&rates, &between, span as f64 / 1000.0)?;
    }

    #[test]
    fn after_a_new_start_everything_is_new(
        before in prop::collection::vec(call(), 0..40),
        after in prop::collection::vec(call(), 0..40),
        taken in 1..100_000_u64,
    ) {
        let older = report(50_000, &before);
        let newer = EdgeReport { started_unix_ms: 2, ..report(taken, &after) };
        check_all(&rate_between(&older, &newer), &after, taken as f64 / 1000.0)?;
    }
}

#[test]
fn two_reports_of_one_moment_have_no_rates() {
    let call = Call { operation: 0, class: 1, nanos: 5_000, retries: 1, bytes: 1 };
    let report = report(7, &[call]);
    let rates = rate_between(&report, &report);
    assert_eq!(rates.calls, CallRates::default());
    assert_eq!(rates.retries_per_s.to_bits(), 0.0_f64.to_bits());
}

#[test]
fn a_report_survives_the_way_through_json() {
    let call = Call { operation: 1, class: 4, nanos: 5_000, retries: 1, bytes: 1 };
    let report = report(7, &[call]);
    let text = serde_json::to_string(&report).unwrap();
    assert!(text.contains(r#""5xx":1"#), "{text}");
    assert_eq!(serde_json::from_str::<EdgeReport>(&text).unwrap(), report);
}
