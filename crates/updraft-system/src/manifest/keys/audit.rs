//! The keys of what an audit cannot guess.

use super::super::form;
use super::super::shape::{Absent, Key, Label, Record, Shape};
use super::key;

use Absent::{Means, Required};

/// The key of the file for audits.
pub(super) const CHECK_KEY: Key = key(
    "check",
    // The first name is a service, the second a process: `[check.api.web]`.
    Shape::Map(Label::Name("service"), &EACH_SERVICE),
    Means("the audit finds out what it can"),
    "What an audit of a process cannot guess, by service and process.",
);

static EACH_SERVICE: Shape = Shape::Map(Label::Name("process"), &EACH_PROCESS);
static EACH_PROCESS: Shape = Shape::Record(&CHECK);

/// What an audit of one process cannot guess.
pub(super) static CHECK: Record = Record {
    title: "`[check.NAME.NAME]`",
    doc: "What `updraft check` cannot guess of a process.",
    keys: &[
        key(
            "slow",
            Shape::Form(&form::ASK),
            Means("a request is held in another way"),
            "A request that takes a second or more, for SIGTERM to come in its middle.",
        ),
        key(
            "journey",
            Shape::List(&Shape::Record(&STEP)),
            Means("probes that need one are `unknown`"),
            "What a client does with it, step by step: written to one copy, read from another, \
             and after a restart.",
        ),
        key(
            "startup",
            Shape::Duration { zero: false },
            Means("\"5s\""),
            "How long it may take from its start to its first answer.",
        ),
        key(
            "scratch",
            Shape::List(&Shape::Path),
            Means("none"),
            "Folders below the service's own in which it may write what may be lost.",
        ),
        key(
            "waive",
            Shape::List(&Shape::Record(&WAIVER)),
            Means("none"),
            "Findings that are accepted for a time.",
        ),
    ],
    exactly_one: &[],
};

static STEP: Record = Record {
    title: "`journey = [{ … }]`",
    doc: "One request of a journey, and what must come of it.",
    keys: &[
        key(
            "do",
            Shape::Form(&form::ASK),
            Required,
            "The request. `{name}` in it is what an earlier step saved.",
        ),
        key("json", Shape::Any, Means("no body"), "Its body, as JSON."),
        key(
            "expect",
            Shape::Whole { least: 100, most: 599 },
            Means("any below 400"),
            "The status of the answer.",
        ),
        key(
            "save",
            Shape::Map(Label::Free, &Shape::Form(&form::POINTER)),
            Means("nothing"),
            "What is kept of the answer, by name: JSON pointers (RFC 6901).",
        ),
        key(
            "match",
            Shape::Map(Label::Free, &Shape::Any),
            Means("nothing"),
            "What must stand in the answer: values by JSON pointer.",
        ),
    ],
    exactly_one: &[],
};

static WAIVER: Record = Record {
    title: "`waive = [{ … }]`",
    doc: "A finding that is accepted until a day.",
    keys: &[
        key("id", Shape::Text, Required, "The probe, such as \"IX.idle\"."),
        key("because", Shape::Text, Required, "The reason."),
        key("until", Shape::Date, Required, "The last day it holds."),
    ],
    exactly_one: &[],
};
