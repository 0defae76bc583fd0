//! The keys of the wire of the whole system.

use super::super::form;
use super::super::shape::{Absent, Key, Record, Shape};
use super::key;

use Absent::Means;

const COUNT_MAX: i64 = 1_000_000;
const KIB: i64 = 1024;
const PORT: Shape = Shape::Whole { least: 1, most: 65_535 };

/// The key of the file for the wire.
pub(super) const MESH_KEY: Key = key(
    "mesh",
    Shape::Record(&MESH),
    Means("as below"),
    "What holds for the calls between all services.",
);

/// The wire of the whole system.
pub(super) static MESH: Record = Record {
    title: "`[mesh]`",
    doc: "Every edge of the graph leads through a gateway. This is what all gateways share.",
    keys: &[
        key(
            "authorization",
            Shape::Word(&["enforce", "audit"]),
            Means("\"enforce\""),
            "What becomes of a call that no `needs` declares: `enforce` refuses it with 403, \
             `audit` lets it through; both count and log it.",
        ),
        key(
            "mtls",
            Shape::Word(&["between-gateways", "always"]),
            Means("\"between-gateways\""),
            "Where calls travel by mutual TLS. `always`: on one machine too, by two gateways, \
             as between machines.",
        ),
        key("access_log", Shape::Bool, Means("false"), "Whether each request is an event."),
        key(
            "otlp",
            Shape::Form(&form::OTLP_ADDRESS),
            Means("spans go nowhere"),
            "The OTLP/HTTP receiver of spans.",
        ),
        key("limits", Shape::Record(&LIMITS), Means("as below"), "Bounds of connections."),
        key(
            "ingress",
            PORT,
            Means("a port that stays the same"),
            "The port at which the outside comes in.",
        ),
        key(
            "proxy_protocol",
            Shape::Bool,
            Means("false"),
            "Whether a proxy in front of that port begins each connection with a header of the \
             PROXY protocol, version 1 or 2, which says who connected. A connection without one \
             is closed.",
        ),
        key(
            "admin",
            PORT,
            Means("a port that stays the same"),
            "The port of `/metrics` and `/health/…` of the gateway.",
        ),
    ],
    exactly_one: &[],
};

static LIMITS: Record = Record {
    title: "`[mesh.limits]`",
    doc: "Bounds of connections and messages. A metric counts what each of them refused.",
    keys: &[
        key(
            "connections",
            Shape::Whole { least: 1, most: COUNT_MAX },
            Means("10000"),
            "Connections of one listener at once; further ones wait in the kernel.",
        ),
        key(
            "head_bytes",
            Shape::Whole { least: KIB, most: KIB * KIB },
            Means("16384"),
            "The head of a request, in bytes.",
        ),
        key(
            "head_fields",
            Shape::Whole { least: 1, most: 10_000 },
            Means("100"),
            "Fields in a head.",
        ),
        key("head_timeout", SPAN, Means("\"10s\""), "The longest until a head is complete."),
        key(
            "keep_alive",
            SPAN,
            Means("\"1m\""),
            "The longest that a connection waits for its next request.",
        ),
        key(
            "upstream_idle",
            SPAN,
            Means("\"3s\""),
            "The longest that a connection to an endpoint waits for its next request.",
        ),
        key(
            "connect_timeout",
            SPAN,
            Means("\"1s\""),
            "The longest until a connection to an endpoint is open.",
        ),
        key(
            "streams",
            Shape::Whole { least: 1, most: 10_000 },
            Means("128"),
            "Streams of one HTTP/2 connection at once.",
        ),
        key(
            "replay_bytes",
            Shape::Whole { least: 0, most: 16 * KIB * KIB },
            Means("65536"),
            "Bytes of a request's body that are kept for another attempt.",
        ),
        key(
            "tunnel_idle",
            SPAN,
            Means("\"1h\""),
            "The longest without a byte in a tcp connection that is open on both sides.",
        ),
        key("tunnel_linger", SPAN, Means("\"30s\""), "The same once one side has ended."),
        key(
            "drain",
            Shape::Duration { zero: true },
            Means("\"10s\""),
            "The longest that the end of a gateway waits for what is under way.",
        ),
    ],
    exactly_one: &[],
};

const SPAN: Shape = Shape::Duration { zero: false };
