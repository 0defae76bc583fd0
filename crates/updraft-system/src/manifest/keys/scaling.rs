//! The keys of scaling by rule and of tasks by the calendar.

use super::super::form;
use super::super::shape::{Absent, Key, Record, Shape};
use super::{SCALE_MAX, key};

use Absent::{Means, Required};

/// `scale = { … }`.
pub(super) static SCALE: Record = Record {
    title: "`scale = { … }`",
    doc: "Between which bounds the number of copies follows the load. At least one of `cpu`, \
          `concurrency` and `queue` is required; of several, the one that asks for most wins.",
    keys: &[
        key(
            "min",
            Shape::Whole { least: 0, most: SCALE_MAX },
            Means("1"),
            "Fewest copies, with which it starts; 0 only with a `queue`.",
        ),
        key("max", Shape::Whole { least: 1, most: SCALE_MAX }, Required, "Most copies."),
        key(
            "cpu",
            Shape::Form(&form::CPU_TARGET),
            Means("it does not count"),
            "Processor time of one copy that is aimed at; \"100%\" is one processor.",
        ),
        key(
            "concurrency",
            Shape::Whole { least: 1, most: 1_000_000 },
            Means("it does not count"),
            "Requests in flight at one copy that are aimed at, as the gateways count them.",
        ),
        key(
            "queue",
            Shape::Name,
            Means("none"),
            "The queue whose depth counts: jobs that are due or under way.",
        ),
        key(
            "per",
            Shape::Whole { least: 1, most: 1_000_000 },
            Means("required with `queue`"),
            "Jobs of the `queue` for each copy.",
        ),
        key(
            "every",
            Shape::Duration { zero: false },
            Means("\"5s\""),
            "From one decision to the next, from 100ms to 1h.",
        ),
        key(
            "stabilize",
            Shape::Record(&STABILIZE),
            Means("see there"),
            "How long a wish must last before it is followed.",
        ),
        key(
            "step",
            Shape::Record(&STEP),
            Means("see there"),
            "Most copies by which one decision changes the number.",
        ),
    ],
    exactly_one: &[],
};

static STABILIZE: Record = Record {
    title: "`stabilize = { … }`",
    doc: "How long a wish must last before it is followed: of all wishes of that time, the \
          most cautious one counts. At most 1h.",
    keys: &[
        key("up", Shape::Duration { zero: true }, Means("\"0s\""), "For more copies."),
        key("down", Shape::Duration { zero: true }, Means("\"5m\""), "For fewer copies."),
    ],
    exactly_one: &[],
};

static STEP: Record = Record {
    title: "`step = { … }`",
    doc: "Most copies by which one decision changes the number.",
    keys: &[
        key(
            "up",
            Shape::Whole { least: 1, most: SCALE_MAX },
            Means("as many as run, and at least 4"),
            "Copies that are started at once.",
        ),
        key(
            "down",
            Shape::Whole { least: 1, most: SCALE_MAX },
            Means("all that are too many"),
            "Copies that are ended at once.",
        ),
    ],
    exactly_one: &[],
};

/// When a task runs by the calendar.
pub(super) const EVERY: Key = key(
    "every",
    Shape::Form(&form::CRON),
    Means("not by the calendar"),
    "A cron expression: minute, hour, day of the month, month, day of the week.",
);

/// Whose clocks count.
pub(super) const TIMEZONE: Key = key(
    "timezone",
    Shape::Form(&form::ZONE),
    Means("\"UTC\""),
    "Whose clocks `every` goes by: a name of the IANA database.",
);

/// What two runs do.
pub(super) const OVERLAP: Key = key(
    "overlap",
    Shape::Word(&["skip", "queue", "allow"]),
    Means("\"skip\""),
    "What happens when the run before still goes on: this time is left out, waits, or both run.",
);

/// What becomes of times at which the system did not run.
pub(super) const MISSED: Key = key(
    "missed",
    Shape::Word(&["skip", "once"]),
    Means("\"skip\""),
    "What happens to times at which the system did not run: they are left out, or the last of \
     them runs at the next `up`.",
);

/// Whether a task wants a terminal.
pub(super) const TTY: Key = key(
    "tty",
    Shape::Bool,
    Means("false"),
    "Whether it talks with a person: `updraft task` gives it a terminal without `--tty`.",
);
