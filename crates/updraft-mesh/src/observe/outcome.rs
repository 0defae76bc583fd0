//! How requests end, in words that are labels of metrics, fields of the access log and keys of
//! reports: closed lists, so that no series comes from what a client sends.

use updraft_resilience::Rejection;
use updraft_system::mesh::RetryOn;

/// Makes an enum whose variants are numbered cells with a stable name.
macro_rules! closed_list {
    ($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(crate) enum $name { $($(#[$about])* $variant,)* }

        impl $name {
            /// All of them, in the order of their cells.
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name in metrics, logs and reports.
            #[must_use]
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// Its cell.
            pub(super) const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

closed_list! {
    /// The class of a request's end.
    CodeClass {
        /// A connection that was upgraded: 101.
        Informational = "1xx",
        /// A success.
        Success = "2xx",
        /// A redirect.
        Redirect = "3xx",
        /// The caller's mistake.
        ClientError = "4xx",
        /// A failure of what is called.
        ServerError = "5xx",
        /// The gateway answered itself.
        Refused = "refused",
        /// No answer came, or it broke off.
        Error = "error",
    }
}

closed_list! {
    /// Why the gateway answered a request itself.
    Refused {
        /// Nobody declared that this caller may ask for this.
        Unauthorized = "unauthorized",
        /// The circuit of every endpoint is open.
        Open = "open",
        /// Every place is taken, and the queue is full.
        Full = "full",
        /// Too many requests in this time.
        RateLimited = "rate_limited",
        /// Not sent, because the target refuses most requests.
        Throttled = "throttled",
        /// More important work fills the capacity.
        Shed = "shed",
        /// The time of the request is over.
        Deadline = "deadline",
        /// No endpoint is ready.
        NoEndpoint = "no_endpoint",
        /// Nothing is public under this path.
        NoRoute = "no_route",
        /// It broke a rule of the gate.
        GateRule = "gate_rule",
        /// The response broke a rule of the gate.
        BadResponse = "bad_response",
        /// It was beyond a limit.
        Limit = "limit",
        /// The gateway is about to end.
        Draining = "draining",
        /// A fault on purpose.
        Injected = "injected",
    }
}

closed_list! {
    /// Why a request or a connection is for no edge, so that no edge counts it.
    Unrouted {
        /// Nothing is public under its path, or at its host.
        NoRoute = "no_route",
        /// A gateway came for a call that nobody declared.
        NoEdge = "no_edge",
        /// The call is not declared any more; its connection is older.
        Withdrawn = "withdrawn",
    }
}

closed_list! {
    /// Why an attempt was followed by another one.
    RetryReason {
        /// There was no connection, or the stream was refused.
        Connect = "connect",
        /// The connection broke before the head of the response.
        Reset = "reset",
        /// The attempt took too long.
        Timeout = "timeout",
        /// gRPC's `UNAVAILABLE`.
        GrpcUnavailable = "grpc_unavailable",
        /// A status that may be tried again.
        Status = "status",
    }
}

closed_list! {
    /// A bound of [`Limits`](updraft_system::mesh::Limits), by the name of its key.
    Limit {
        /// Connections of one listener.
        Connections = "connections",
        /// Bytes of a head.
        HeadBytes = "head_bytes",
        /// Fields of a head.
        HeadFields = "head_fields",
        /// Time until a head is complete.
        HeadTimeout = "head_timeout",
        /// Time until the next request.
        KeepAlive = "keep_alive",
        /// Time until the next request to an endpoint.
        UpstreamIdle = "upstream_idle",
        /// Time until a connection to an endpoint is open.
        ConnectTimeout = "connect_timeout",
        /// Streams of one connection.
        Streams = "streams",
        /// Bytes kept for another attempt.
        ReplayBytes = "replay_bytes",
        /// Time without a byte in a tunnel.
        TunnelIdle = "tunnel_idle",
        /// The same once one side has ended.
        TunnelLinger = "tunnel_linger",
        /// Time of a drain.
        Drain = "drain",
    }
}

closed_list! {
    /// Why a connection that has to begin with a header of the PROXY protocol was closed.
    NoProxyHeader {
        /// It begins with something else.
        Malformed = "malformed",
        /// It ended or broke before the end of the header.
        CutShort = "cut_short",
        /// The header was not there in time.
        Late = "late",
    }
}

impl CodeClass {
    /// That of an HTTP status; what is no status is an error.
    #[must_use]
    pub(crate) const fn of_status(status: u16) -> Self {
        match status {
            100..200 => Self::Informational,
            200..300 => Self::Success,
            300..400 => Self::Redirect,
            400..500 => Self::ClientError,
            500..600 => Self::ServerError,
            _ => Self::Error,
        }
    }

    /// That of a `grpc-status`, whose HTTP status is 200 whatever happened. The codes that
    /// OpenTelemetry's conventions for gRPC call errors of a server, and unknown ones, are 5xx;
    /// all other failures are 4xx.
    #[must_use]
    pub(crate) const fn of_grpc(status: u32) -> Self {
        match status {
            0 => Self::Success,
            // CANCELLED, INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED,
            // RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNAUTHENTICATED
            1 | 3 | 5..=11 | 16 => Self::ClientError,
            // UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS
            _ => Self::ServerError,
        }
    }
}

/// How one request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With a response of this HTTP status.
    Status(u16),
    /// With a response and this `grpc-status`.
    Grpc(u32),
    /// The gateway answered itself.
    Refused(Refused),
    /// No answer came, or it broke off, or the caller went away.
    Error,
}

impl Outcome {
    /// The class it is counted in.
    #[must_use]
    pub(crate) const fn class(self) -> CodeClass {
        match self {
            Self::Status(status) => CodeClass::of_status(status),
            Self::Grpc(status) => CodeClass::of_grpc(status),
            Self::Refused(_) => CodeClass::Refused,
            Self::Error => CodeClass::Error,
        }
    }
}

impl From<Rejection> for Refused {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::Open { .. } => Self::Open,
            Rejection::Full => Self::Full,
            Rejection::RateLimited { .. } => Self::RateLimited,
            Rejection::Throttled => Self::Throttled,
            Rejection::Shed => Self::Shed,
            Rejection::Injected => Self::Injected,
            Rejection::Deadline(_) => Self::Deadline,
        }
    }
}

impl From<RetryOn> for RetryReason {
    fn from(on: RetryOn) -> Self {
        match on {
            RetryOn::Connect => Self::Connect,
            RetryOn::Reset => Self::Reset,
            RetryOn::Timeout => Self::Timeout,
            RetryOn::GrpcUnavailable => Self::GrpcUnavailable,
            RetryOn::Status(_) => Self::Status,
        }
    }
}

#[cfg(test)]
mod tests {
    use updraft_system::mesh::Limits;

    use super::*;

    #[test]
    fn every_status_has_the_class_of_its_first_digit() {
        for status in 100..600 {
            let class = CodeClass::of_status(status).as_str();
            assert_eq!(class, format!("{}xx", status / 100), "{status}");
        }
        for status in [0, 99, 600, u16::MAX] {
            assert_eq!(CodeClass::of_status(status), CodeClass::Error);
        }
    }

    #[test]
    fn a_grpc_failure_of_the_server_is_5xx_although_its_status_is_200() {
        let servers = [2, 4, 12, 13, 14, 15, 17, u32::MAX];
        for status in 1..=16 {
            let expected = if servers.contains(&status) {
                CodeClass::ServerError
            } else {
                CodeClass::ClientError
            };
            assert_eq!(CodeClass::of_grpc(status), expected, "{status}");
        }
        assert_eq!(CodeClass::of_grpc(0), CodeClass::Success);
        assert_eq!(CodeClass::of_grpc(u32::MAX), CodeClass::ServerError);
    }

    #[test]
    fn every_key_of_the_limits_has_a_counter() {
        let limits = serde_json::to_value(Limits::default()).unwrap();
        let mut keys: Vec<&str> = limits.as_object().unwrap().keys().map(String::as_str).collect();
        let mut own: Vec<&str> = Limit::ALL.iter().map(|limit| limit.as_str()).collect();
        keys.sort_unstable();
        own.sort_unstable();
        assert_eq!(own, keys);
    }

    #[test]
    fn cells_are_numbered_as_listed() {
        assert!(CodeClass::ALL.iter().enumerate().all(|(at, class)| class.index() == at));
        assert!(Refused::ALL.iter().enumerate().all(|(at, reason)| reason.index() == at));
        assert!(RetryReason::ALL.iter().enumerate().all(|(at, reason)| reason.index() == at));
        assert!(Unrouted::ALL.iter().enumerate().all(|(at, why)| why.index() == at));
        assert!(Limit::ALL.iter().enumerate().all(|(at, limit)| limit.index() == at));
        assert!(NoProxyHeader::ALL.iter().enumerate().all(|(at, why)| why.index() == at));
    }
}
