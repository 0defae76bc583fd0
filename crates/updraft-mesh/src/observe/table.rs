//! The one table of metrics: what is rendered and what `docs/reference/mesh-metrics.md` says
//! are made from it. Names follow the conventions of Prometheus
//! (<https://prometheus.io/docs/practices/naming/>), and after the prefix those of
//! OpenTelemetry (`http.server.request.duration`, `http.server.active_requests`,
//! `http.client.open_connections`) where there is one.

/// What kind of metric a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only grows. Samples have the suffix `_total`.
    Counter,
    /// A state.
    Gauge,
    /// Sizes, by upper bound. Samples have the suffixes `_bucket`, `_count` and `_sum`.
    Histogram,
    /// 1, for its labels. Samples have the suffix `_info`.
    Info,
}

/// One metric with all its series.
#[derive(Debug)]
pub(super) struct Family {
    /// The name without suffix.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// What the name ends in, where it has a unit.
    pub(super) unit: Option<&'static str>,
    pub(super) labels: &'static [&'static str],
    /// One sentence of plain characters.
    pub(super) help: &'static str,
}

const EDGE: &[&str] = &["from", "to", "side"];
const ENDPOINT: &[&str] = &["from", "to", "side", "endpoint"];

macro_rules! families {
    ($($ident:ident = $kind:ident $name:literal $labels:expr, $unit:expr, $help:literal;)*) => {
        $(pub(super) static $ident: Family = Family {
            name: concat!("updraft_mesh_", $name),
            kind: Kind::$kind,
            unit: $unit,
            labels: $labels,
            help: $help,
        };)*

        /// All families, in the order in which they are rendered.
        #[cfg(test)]
        pub(super) static FAMILIES: &[&Family] = &[$(&$ident,)*];
    };
}

families! {
    EDGE_INFO = Info "edge" &["from", "to", "side", "protocol"], None,
        "What is spoken on an edge, and whether this gateway is the one of its client or of its server.";
    REQUESTS = Counter "requests" &["from", "to", "side", "operation", "code_class"], None,
        "Requests that ended, by class of status; refused are those the gateway answered itself, error those that broke off.";
    REQUEST_DURATION = Histogram "request_duration_seconds" &["from", "to", "side", "operation"], Some("seconds"),
        "Time from the head of a request to the end of its response.";
    FIRST_BYTE = Histogram "time_to_first_byte_seconds" EDGE, Some("seconds"),
        "Time from the head of a request to the head of its response.";
    ACTIVE_REQUESTS = Gauge "active_requests" EDGE, None,
        "Requests under way.";
    REQUEST_BYTES = Counter "request_body_bytes" EDGE, Some("bytes"),
        "Bytes of bodies of requests.";
    RESPONSE_BYTES = Counter "response_body_bytes" EDGE, Some("bytes"),
        "Bytes of bodies of responses.";
    RETRIES = Counter "retries" &["from", "to", "side", "reason"], None,
        "Attempts after a failed one, by the reason of that failure.";
    REFUSALS = Counter "refusals" &["from", "to", "side", "reason"], None,
        "Requests, connections and tunnels that the gateway refused, by reason.";
    UNDECLARED = Counter "undeclared_requests" EDGE, None,
        "Requests that nobody declared and that were let through, because authorization only audits.";
    OPEN_CONNECTIONS = Gauge "open_connections" EDGE, None,
        "Open connections of callers.";
    CONNECTIONS = Counter "connections" EDGE, None,
        "Connections that callers opened.";
    ACTIVE_TUNNELS = Gauge "active_tunnels" EDGE, None,
        "Open tunnels: plain TCP and upgraded connections.";
    TUNNELS = Counter "tunnels" EDGE, None,
        "Tunnels that were opened.";
    TUNNEL_BYTES = Counter "tunnel_bytes" &["from", "to", "side", "direction"], Some("bytes"),
        "Bytes that went through tunnels, to endpoints and to callers.";
    ENDPOINT_BREAKER = Gauge "endpoint_breaker_state" &["from", "to", "side", "endpoint", "state"], None,
        "1 for the state that the circuit breaker of an endpoint is in, 0 for the others.";
    ENDPOINT_EJECTED = Gauge "endpoint_ejected" ENDPOINT, None,
        "1 while an endpoint is left alone.";
    ENDPOINT_WEIGHT = Gauge "endpoint_weight" ENDPOINT, None,
        "The part of the work that an endpoint gets, relative to others.";
    ENDPOINT_ACTIVE = Gauge "endpoint_active_requests" ENDPOINT, None,
        "Attempts under way at an endpoint.";
    ENDPOINT_LATENCY = Gauge "endpoint_latency_seconds" ENDPOINT, Some("seconds"),
        "The moving average of latency by which the balancer judges an endpoint.";
    ENDPOINT_REQUESTS = Counter "endpoint_requests" ENDPOINT, None,
        "Attempts that ended at an endpoint.";
    ENDPOINT_FAILURES = Counter "endpoint_failures" ENDPOINT, None,
        "Attempts that failed at an endpoint.";
    CERTIFICATE = Gauge "certificate_not_after_timestamp_seconds" &["service"], Some("seconds"),
        "When the certificate that is served now ends, in seconds since 1970.";
    GATE_RULES = Counter "gate_rules_broken" &["rule"], None,
        "Messages that broke a rule of the gate, by rule.";
    LIMITS = Counter "limits_hit" &["limit"], None,
        "How often a limit refused or ended something, by name of the limit.";
    HANDSHAKES_FAILED = Counter "handshakes_failed" &[], None,
        "Connections to the mesh listener that did not come to a handshake.";
    MIRRORS_DROPPED = Counter "mirrors_dropped" &[], None,
        "Copies of requests that were not made: their body was too long, or too many were under way.";
    PROXY_HEADERS = Counter "proxy_headers_refused" &["reason"], None,
        "Connections from outside that were closed because they did not begin with a header of the PROXY protocol, by reason.";
    UNROUTED = Counter "unrouted" &["reason"], None,
        "Requests, and connections of plain TCP, that were refused because they are for no edge, by reason; no other series counts them.";
    CONFIG_VERSION = Gauge "config_version" &[], None,
        "The version of the configuration that is in force.";
    CONFIG_REFUSED = Gauge "config_refused" &[], None,
        "1 while the newest configuration is one that was refused, so that an older one is in force.";
    SPANS = Counter "spans_exported" &[], None,
        "Spans that the receiver took.";
    SPANS_DROPPED = Counter "spans_dropped" &["reason"], None,
        "Spans that were lost: queue_full before they were sent, refused by the receiver, unreachable when it did not answer in time.";
    LOG_DROPPED = Counter "access_log_events_dropped" &[], None,
        "Events of the access log that were lost because their reader was slow.";
    TAP_DROPPED = Counter "tap_events_dropped" EDGE, None,
        "Events of taps that were lost because their reader was slow.";
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
