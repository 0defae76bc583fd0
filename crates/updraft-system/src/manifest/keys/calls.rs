//! The keys of operations and of how one service calls another.

use super::super::form;
use super::super::shape::{Absent, Key, Label, Record, Shape};
use super::key;

use Absent::Means;

/// Most requests at once, or waiting, that a number makes sense for.
const REQUESTS_MAX: i64 = 1_000_000;
/// More attempts than this are a slip of the hand.
const ATTEMPTS_MAX: i64 = 20;

/// The key of a service for what its endpoints speak.
pub(super) const PROTOCOL: Key = key(
    "protocol",
    Shape::Word(&["http1", "h2c", "grpc", "tcp"]),
    Means("\"http1\""),
    "What its process `web` and those with a `version` speak; nothing is guessed. `h2c` is \
     HTTP/2 without TLS.",
);

/// The key of a service for its operations.
pub(super) const OPERATION_KEY: Key = key(
    "operation",
    Shape::Map(Label::Operation, &EACH_OPERATION),
    Means("it declares none, and all may be asked of it"),
    "Its operations, such as `\"GET /quotes/{id}\"`: what metrics and `needs` tell apart.",
);

/// The key of a service for its calls.
pub(super) const CALLS_KEY: Key = key(
    "calls",
    Shape::Map(Label::Name("need"), &EACH_CALLS),
    Means("each has the defaults"),
    "How it calls the services and servers that it needs.",
);

static EACH_OPERATION: Shape = Shape::Record(&OPERATION);
static EACH_CALLS: Shape = Shape::Record(&CALLS);

/// One operation.
pub(super) static OPERATION: Record = Record {
    title: "`[service.NAME.operation.\"METHOD /path\"]`",
    doc: "An operation is a method, or `*` for any, and a path whose segments are plain or one \
          parameter each, such as `/quotes/{id}`; a last segment `{*rest}` is all that follows. \
          What is said here holds whoever calls it.",
    keys: &[
        key(
            "idempotent",
            Shape::Bool,
            Means("as its method: `GET`, `HEAD`, `OPTIONS`, `PUT` and `DELETE` are"),
            "Whether it may run twice without harm, so that it may be tried again.",
        ),
        key(
            "timeout",
            Shape::Duration { zero: false },
            Means("that of the caller"),
            "The longest until the head of its response; the shorter of the two counts.",
        ),
        key(
            "priority",
            Shape::Word(&["background", "low", "normal", "high", "critical"]),
            Means("\"normal\""),
            "Where there is too much work, the least goes first.",
        ),
    ],
    exactly_one: &[],
};

/// How one service calls another.
pub(super) static CALLS: Record = Record {
    title: "`[service.NAME.calls.NEED]`",
    doc: "How a service calls one of its `needs`: another service, or a resource that is a \
          server. What speaks tcp has no requests, so `timeout`, `attempt_timeout`, `hop` and \
          keys of balancing are not for it, and only `connect` is tried again.",
    keys: &[
        key(
            "timeout",
            Shape::Duration { zero: false },
            Means("\"15s\""),
            "The longest until the head of the response, with all attempts and their waits; it \
             is passed on as a deadline.",
        ),
        key(
            "attempt_timeout",
            Shape::Duration { zero: false },
            Means("none"),
            "The longest that one attempt may take until the head of the response.",
        ),
        key(
            "idle",
            Shape::Duration { zero: false },
            Means("\"5m\""),
            "The longest without a byte of a body or of an upgraded connection.",
        ),
        key(
            "retry",
            Shape::Either(&[Shape::False, Shape::Record(&RETRY)]),
            Means("as below"),
            "What is tried again; `false`: nothing.",
        ),
        key(
            "breaker",
            Shape::Record(&BREAKER),
            Means("as below"),
            "When an endpoint is left alone for a while.",
        ),
        key(
            "concurrency",
            Shape::Whole { least: 1, most: REQUESTS_MAX },
            Means("1024"),
            "Requests in flight at once.",
        ),
        key(
            "queue",
            Shape::Whole { least: 0, most: REQUESTS_MAX },
            Means("256"),
            "Requests that wait for a place; further ones are refused.",
        ),
        key("rate", Shape::Form(&form::RATE), Means("none"), "Requests in a time."),
        key(
            "balance",
            Shape::Form(&form::BALANCE),
            Means("\"least-request\""),
            "Which endpoint a request goes to: the less busy of two, each in turn, or always \
             the same for one value of a header or cookie.",
        ),
        key(
            "hop",
            Shape::Word(&["h1", "h2"]),
            Means("\"h2\""),
            "What two gateways speak with each other.",
        ),
    ],
    exactly_one: &[],
};

static RETRY: Record = Record {
    title: "`retry = { … }`",
    doc: "What is tried again. `connect` is for all requests, since nothing was sent; the others \
          are for idempotent ones.",
    keys: &[
        key(
            "on",
            Shape::List(&Shape::Form(&form::RETRY_ON)),
            Means("`[\"connect\", \"reset\", \"503\", \"grpc-unavailable\"]`"),
            "`connect`, `reset`, `timeout` of an attempt, `grpc-unavailable`, or a status: 429, \
             or 500 to 599.",
        ),
        key(
            "attempts",
            Shape::Whole { least: 1, most: ATTEMPTS_MAX },
            Means("3"),
            "Attempts in all, the first one too.",
        ),
        key(
            "budget",
            Shape::Form(&form::BUDGET),
            Means("\"20%+3/s\""),
            "Retries there may be: a share of the first attempts, and so many a second in any \
             case.",
        ),
    ],
    exactly_one: &[],
};

static BREAKER: Record = Record {
    title: "`breaker = { … }`",
    doc: "When an endpoint is left alone. It is tried again after a wait, which doubles with \
          each time up to one minute.",
    keys: &[
        key(
            "consecutive",
            Shape::Whole { least: 1, most: 1_000 },
            Means("5"),
            "After so many failures in a row.",
        ),
        key(
            "failures",
            Shape::Form(&form::SOME_SHARE),
            Means("\"50%\""),
            "When so many of the last calls failed.",
        ),
        key(
            "open_for",
            Shape::Duration { zero: false },
            Means("\"5s\""),
            "How long it is left alone at first.",
        ),
        key(
            "at_most",
            Shape::Form(&form::SHARE),
            Means("\"50%\""),
            "Of several endpoints at most this share is left alone at once, unless all have \
             failed.",
        ),
    ],
    exactly_one: &[],
};
