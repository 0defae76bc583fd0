//! Which number of a gateway is which series.

use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use updraft_system::mesh::{BreakerState, EdgeReport, EndpointReport, Latencies};

use super::Registry;
use crate::observe::edge::EdgeMetrics;
use crate::observe::exposition::{Exposition, Format, Samples};
use crate::observe::outcome::{CodeClass, Limit, NoProxyHeader, Refused, RetryReason, Unrouted};
use crate::observe::table;

/// One edge as it was when the answer was begun.
struct Edge {
    metrics: Arc<EdgeMetrics>,
    report: EdgeReport,
    endpoints: Vec<(String, EndpointReport)>,
}

impl Edge {
    /// The labels that every series of an edge has.
    fn ends(&self) -> [&str; 3] {
        let (from, to) = (self.metrics.from().as_str(), self.metrics.to().as_str());
        [from, to, self.metrics.side().as_str()]
    }
}

pub(super) fn render(
    registry: &Registry,
    format: Format,
    endpoints: &dyn Fn(&EdgeMetrics) -> Vec<EndpointReport>,
) -> String {
    let read = |metrics: &Arc<EdgeMetrics>| Edge {
        metrics: Arc::clone(metrics),
        report: metrics.report(registry.started_unix_ms, 0, Vec::new()),
        endpoints: one_per_address(endpoints(metrics)),
    };
    let edges: Vec<Edge> = registry.edges.load().iter().map(read).collect();
    let mut out = Exposition::new(format);
    requests(&mut out, &edges);
    reasons(&mut out, &edges);
    connections(&mut out, &edges);
    endpoint_states(&mut out, &edges);
    process(&mut out, registry);
    out.family(&table::TAP_DROPPED, |samples| {
        each(samples, &edges, |edge| edge.metrics.tap().dropped());
    });
    out.end()
}

/// Two lives of one address are one series: what they counted is added, and the state is that
/// of the newer one.
fn one_per_address(mut all: Vec<EndpointReport>) -> Vec<(String, EndpointReport)> {
    all.sort_by_key(|endpoint| (endpoint.address, endpoint.incarnation));
    let mut merged: Vec<EndpointReport> = Vec::with_capacity(all.len());
    for endpoint in all {
        match merged.last_mut() {
            Some(last) if last.address == endpoint.address => {
                *last = EndpointReport {
                    active_requests: last.active_requests.saturating_add(endpoint.active_requests),
                    requests: last.requests.saturating_add(endpoint.requests),
                    failures: last.failures.saturating_add(endpoint.failures),
                    ..endpoint
                };
            }
            _ => merged.push(endpoint),
        }
    }
    merged.into_iter().map(|endpoint| (endpoint.address.to_string(), endpoint)).collect()
}

fn each(samples: &mut Samples<'_>, edges: &[Edge], value: impl Fn(&Edge) -> u64) {
    for edge in edges {
        samples.count(&edge.ends(), value(edge));
    }
}

fn requests(out: &mut Exposition, edges: &[Edge]) {
    out.family(&table::EDGE_INFO, |samples| {
        for edge in edges {
            let [from, to, side] = edge.ends();
            samples.count(&[from, to, side, edge.metrics.protocol().as_str()], 1);
        }
    });
    out.family(&table::REQUESTS, |samples| {
        operations(edges, &mut |[from, to, side], operation, classes, _| {
            for (class, count) in CodeClass::ALL.iter().zip(classes) {
                samples.count(&[from, to, side, operation, class.as_str()], *count);
            }
        });
    });
    out.family(&table::REQUEST_DURATION, |samples| {
        operations(edges, &mut |[from, to, side], operation, _, latencies| {
            samples.latencies(&[from, to, side, operation], latencies);
        });
    });
    out.family(&table::FIRST_BYTE, |samples| {
        for edge in edges {
            samples.latencies(&edge.ends(), &edge.report.first_byte);
        }
    });
    out.family(&table::ACTIVE_REQUESTS, |samples| {
        each(samples, edges, |edge| edge.report.active_requests);
    });
    out.family(&table::REQUEST_BYTES, |samples| {
        each(samples, edges, |edge| edge.report.request_bytes);
    });
    out.family(&table::RESPONSE_BYTES, |samples| {
        each(samples, edges, |edge| edge.report.response_bytes);
    });
}

type EachOperation<'a> = dyn FnMut([&str; 3], &str, &[u64], &Latencies) + 'a;

fn operations(edges: &[Edge], each: &mut EachOperation<'_>) {
    for edge in edges {
        edge.metrics.each_operation(|operation, counts| {
            each(edge.ends(), operation, &counts.classes, &counts.latencies);
        });
    }
}

fn reasons(out: &mut Exposition, edges: &[Edge]) {
    out.family(&table::RETRIES, |samples| {
        let names = RetryReason::ALL.iter().map(|reason| reason.as_str());
        by_reason(samples, edges, names, |report| &report.retries);
    });
    out.family(&table::REFUSALS, |samples| {
        let names = Refused::ALL.iter().map(|reason| reason.as_str());
        by_reason(samples, edges, names, |report| &report.refusals);
    });
    out.family(&table::UNDECLARED, |samples| {
        each(samples, edges, |edge| edge.report.undeclared);
    });
}

fn by_reason(
    samples: &mut Samples<'_>,
    edges: &[Edge],
    names: impl Iterator<Item = &'static str> + Clone,
    counts: fn(&EdgeReport) -> &std::collections::BTreeMap<String, u64>,
) {
    for edge in edges {
        for name in names.clone() {
            let count = counts(&edge.report).get(name).copied().unwrap_or(0);
            let [from, to, side] = edge.ends();
            samples.count(&[from, to, side, name], count);
        }
    }
}

fn connections(out: &mut Exposition, edges: &[Edge]) {
    out.family(&table::OPEN_CONNECTIONS, |samples| {
        each(samples, edges, |edge| edge.report.connections.caller);
    });
    out.family(&table::CONNECTIONS, |samples| {
        each(samples, edges, |edge| edge.metrics.connections_opened());
    });
    out.family(&table::ACTIVE_TUNNELS, |samples| {
        each(samples, edges, |edge| edge.report.tunnels.active);
    });
    out.family(&table::TUNNELS, |samples| {
        each(samples, edges, |edge| edge.report.tunnels.opened);
    });
    out.family(&table::TUNNEL_BYTES, |samples| {
        for edge in edges {
            let [from, to, side] = edge.ends();
            let tunnels = &edge.report.tunnels;
            samples.count(&[from, to, side, "to_endpoint"], tunnels.bytes_to_endpoint);
            samples.count(&[from, to, side, "to_caller"], tunnels.bytes_to_caller);
        }
    });
}

fn endpoint_states(out: &mut Exposition, edges: &[Edge]) {
    let all = |write: &mut dyn FnMut(&[&str; 4], &EndpointReport)| {
        for edge in edges {
            for (address, endpoint) in &edge.endpoints {
                let [from, to, side] = edge.ends();
                write(&[from, to, side, address], endpoint);
            }
        }
    };
    out.family(&table::ENDPOINT_BREAKER, |samples| {
        all(&mut |[from, to, side, address], endpoint| {
            for state in BreakerState::ALL {
                let is = u64::from(endpoint.breaker == state);
                samples.count(&[from, to, side, address, state.as_str()], is);
            }
        });
    });
    out.family(&table::ENDPOINT_EJECTED, |samples| {
        all(&mut |ends, endpoint| samples.count(ends, u64::from(endpoint.ejected)));
    });
    out.family(&table::ENDPOINT_WEIGHT, |samples| {
        all(&mut |ends, endpoint| samples.count(ends, u64::from(endpoint.weight)));
    });
    out.family(&table::ENDPOINT_ACTIVE, |samples| {
        all(&mut |ends, endpoint| samples.count(ends, endpoint.active_requests));
    });
    out.family(&table::ENDPOINT_LATENCY, |samples| {
        all(&mut |ends, endpoint| {
            if let Some(nanos) = endpoint.latency_nanos {
                samples.seconds(ends, nanos as f64 / 1e9);
            }
        });
    });
    out.family(&table::ENDPOINT_REQUESTS, |samples| {
        all(&mut |ends, endpoint| samples.count(ends, endpoint.requests));
    });
    out.family(&table::ENDPOINT_FAILURES, |samples| {
        all(&mut |ends, endpoint| samples.count(ends, endpoint.failures));
    });
}

fn process(out: &mut Exposition, registry: &Registry) {
    out.family(&table::CERTIFICATE, |samples| {
        let all = registry.certificates.lock().unwrap_or_else(PoisonError::into_inner);
        for (service, not_after) in &*all {
            samples.seconds(&[service.as_str()], *not_after as f64);
        }
    });
    out.family(&table::GATE_RULES, |samples| {
        for (rule, cell) in registry.gate_rules.iter().zip(&registry.rules_broken) {
            samples.count(&[rule], cell.load(Ordering::Relaxed));
        }
    });
    out.family(&table::LIMITS, |samples| {
        for (limit, cell) in Limit::ALL.iter().zip(&registry.limits) {
            samples.count(&[limit.as_str()], cell.load(Ordering::Relaxed));
        }
    });
    out.family(&table::HANDSHAKES_FAILED, |samples| {
        samples.count(&[], registry.handshakes_failed.load(Ordering::Relaxed));
    });
    out.family(&table::MIRRORS_DROPPED, |samples| {
        samples.count(&[], registry.mirrors_dropped.load(Ordering::Relaxed));
    });
    out.family(&table::PROXY_HEADERS, |samples| {
        for (why, cell) in NoProxyHeader::ALL.iter().zip(&registry.no_proxy_header) {
            samples.count(&[why.as_str()], cell.load(Ordering::Relaxed));
        }
    });
    out.family(&table::UNROUTED, |samples| {
        for (why, cell) in Unrouted::ALL.iter().zip(&registry.unrouted) {
            samples.count(&[why.as_str()], cell.load(Ordering::Relaxed));
        }
    });
    out.family(&table::CONFIG_VERSION, |samples| {
        samples.count(&[], registry.config_version.load(Ordering::Relaxed));
    });
    out.family(&table::CONFIG_REFUSED, |samples| {
        samples.count(&[], u64::from(registry.config_refused.load(Ordering::Relaxed)));
    });
    let spans = &registry.spans;
    out.family(&table::SPANS, |samples| samples.count(&[], spans.exported()));
    out.family(&table::SPANS_DROPPED, |samples| {
        for (reason, count) in spans.dropped() {
            samples.count(&[reason], count);
        }
    });
    out.family(&table::LOG_DROPPED, |samples| {
        samples.count(&[], registry.log_dropped.load(Ordering::Relaxed));
    });
}
