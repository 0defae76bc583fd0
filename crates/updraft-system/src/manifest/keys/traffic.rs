//! The keys of where the requests to a service go.

use super::super::form;
use super::super::shape::{Absent, Key, Label, Record, Shape};
use super::key;

use Absent::{Means, Required};

/// The greatest weight of a version.
const WEIGHT_MAX: i64 = 1_000_000;

/// The key of a service for its traffic.
pub(super) const TRAFFIC_KEY: Key = key(
    "traffic",
    Shape::Record(&TRAFFIC),
    Means("all endpoints alike"),
    "Where the requests to it go, and what is done to them on the way.",
);

/// The traffic to one service.
pub(super) static TRAFFIC: Record = Record {
    title: "`[service.NAME.traffic]`",
    doc: "Where the requests to a service go. A version is the `version` of one of its \
          processes, or `web` for the process of that name if it has none. `updraft mesh` does \
          the same at run time.",
    keys: &[
        key(
            "split",
            Shape::Map(Label::Name("version"), &Shape::Whole { least: 0, most: WEIGHT_MAX }),
            Means("all endpoints alike"),
            "The weight of each version; one that is not named gets nothing.",
        ),
        key(
            "sticky",
            Shape::Form(&form::HASH_BY),
            Means("each request by chance"),
            "Requests with one value of this header or cookie stay with one version.",
        ),
        key("mirror", Shape::Record(&MIRROR), Means("none"), "A version that gets copies."),
        key(
            "rules",
            Shape::List(&Shape::Record(&RULE)),
            Means("none"),
            "Rules, in order. Delays, aborts and mirrors of all that match are done; of those \
             that route, rewrite or redirect, the first.",
        ),
    ],
    exactly_one: &[],
};

static MIRROR: Record = Record {
    title: "`mirror = { … }`",
    doc: "A copy of a request goes to another version too; its response is thrown away. It is \
          short for a rule with the name `mirror`.",
    keys: &[
        key("to", Shape::Name, Required, "The version that gets the copies."),
        key("share", Shape::Form(&form::SHARE), Means("\"100%\""), "Of how many requests."),
        key("match", Shape::Record(&MATCH), Means("all"), "Of which requests."),
    ],
    exactly_one: &[],
};

static RULE: Record = Record {
    title: "`[[service.NAME.traffic.rules]]`",
    doc: "A rule does one thing with the requests that match.",
    keys: &[
        key(
            "name",
            Shape::Name,
            Means("`rule-1`, `rule-2`, … by its position"),
            "What it is called in metrics.",
        ),
        key("match", Shape::Record(&MATCH), Means("all"), "Which requests it is for."),
        key("route", Shape::Name, ONE_OF_SIX, "They go to this version only."),
        key("redirect", Shape::Form(&form::LOCATION), ONE_OF_SIX, "They are sent elsewhere."),
        key(
            "status",
            Shape::Choice(&[301, 302, 303, 307, 308]),
            Means("307"),
            "The status of a redirect.",
        ),
        key("rewrite", Shape::Record(&REWRITE), ONE_OF_SIX, "They go on with another path."),
        key("mirror", Shape::Name, ONE_OF_SIX, "A copy goes to this version too."),
        key(
            "delay",
            Shape::Duration { zero: false },
            ONE_OF_SIX,
            "A fault on purpose: they wait for so long.",
        ),
        key(
            "abort",
            Shape::Whole { least: 200, most: 599 },
            ONE_OF_SIX,
            "A fault on purpose: they are answered with this status, without the service.",
        ),
        key(
            "share",
            Shape::Form(&form::SHARE),
            Means("\"100%\""),
            "How many of them are mirrored, delayed or aborted.",
        ),
    ],
    exactly_one: &["route", "redirect", "rewrite", "mirror", "delay", "abort"],
};

const ONE_OF_SIX: Absent = Means("see above");

static MATCH: Record = Record {
    title: "`match = { … }`",
    doc: "Requests that fit every condition.",
    keys: &[
        key(
            "method",
            Shape::Either(&[Shape::Form(&form::METHOD), METHODS]),
            Means("any"),
            "Its method, or one of several.",
        ),
        key("path", Shape::Form(&form::PATH_TEMPLATE), Means("any"), "Its path."),
        key(
            "header",
            Shape::Either(&[Shape::Form(&form::HEADER), HEADERS]),
            Means("any"),
            "A header that is there, `\"x-fault\"`, or has a value, `\"x-user=ann\"`; of \
             several, all.",
        ),
        key(
            "from",
            Shape::Either(&[Shape::Name, Shape::List(&Shape::Name)]),
            Means("any"),
            "The service that calls, or one of several.",
        ),
    ],
    exactly_one: &[],
};

const METHODS: Shape = Shape::List(&Shape::Form(&form::METHOD));
const HEADERS: Shape = Shape::List(&Shape::Form(&form::HEADER));

static REWRITE: Record = Record {
    title: "`rewrite = { … }`",
    doc: "The beginning of a path, in whole segments, becomes another one. The query stays.",
    keys: &[
        key("from", Shape::UrlPath, Required, "The beginning that goes."),
        key("to", Shape::UrlPath, Required, "What stands there instead."),
    ],
    exactly_one: &[],
};
