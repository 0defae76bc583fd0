//! The one table of the manifest's keys. The checker refuses what is not in it,
//! and the JSON Schema and `docs/reference/manifest.md` are made from it, so that
//! the three cannot tell different stories.

mod audit;
mod calls;
mod confinement;
mod mesh;
mod scaling;
mod traffic;

use super::form;
use super::shape::{Absent, Key, Label, Record, Shape, Tagged, Unbuilt, Variant};

use Absent::{Means, Required};

/// Most copies of one process type on one machine.
pub(super) const SCALE_MAX: i64 = 1000;
/// How often a job of a queue is tried, where the manifest does not say.
pub(super) const MAX_ATTEMPTS: u32 = 5;

/// The whole file.
pub(super) static MANIFEST: Record = Record {
    title: "The file",
    doc: "One file describes one system. Names are lower-case letters, digits and `-`, \
          starting with a letter, at most 63 characters.",
    keys: &[
        key("system", Shape::Name, Required, "The system's name."),
        key(
            "resource",
            Shape::Map(Label::Name("resource"), &Shape::Tagged(&RESOURCE)),
            Means("none"),
            "The attached resources by name.",
        ),
        key(
            "service",
            Shape::Map(Label::Name("service"), &Shape::Record(&SERVICE)),
            Means("none"),
            "The services by name.",
        ),
        mesh::MESH_KEY,
        audit::CHECK_KEY,
        key("deploy", Shape::Unbuilt(&DEPLOY), Means("none"), "How deploys differ in shape."),
    ],
    exactly_one: &[],
};

static RESOURCE: Tagged = Tagged {
    title: "`[resource]`",
    doc: "An attached resource is a capability or a server, never an address. A service that \
          needs it receives `<NAME>_URL`. A service and a resource cannot share a name.",
    tag: "kind",
    variants: &[
        built("sql", "A relational database; one SQLite file, nothing to install.", &[]),
        built("cache", "A cache inside each process, nothing to install.", &[]),
        built("queue", "A job queue in a SQL database, nothing to install.", QUEUE_KEYS),
        built("blob", "Files by name in a directory, nothing to install.", &[]),
        built("postgres", "A PostgreSQL server; the installed program is run.", VERSION_KEYS),
        built("redis", "A Redis server; the installed program is run.", VERSION_KEYS),
        built("nats", "A NATS server with JetStream; the installed program is run.", VERSION_KEYS),
        Variant {
            name: "smtp",
            doc: "A mail server.",
            keys: &[key("local", Shape::Word(&["capture"]), Means("none"), "Where mail goes.")],
            unbuilt: Some(
                "give the service a variable of its own: `config = { SMTP_URL = \"url\" }`",
            ),
        },
    ],
};

const QUEUE_KEYS: &[Key] = &[
    key(
        "on",
        Shape::Name,
        Means("the only `sql` resource; without one a database of its own"),
        "The `sql` resource whose database holds the queue, so that a job can be enqueued \
         in the transaction that causes it.",
    ),
    key(
        "max_attempts",
        Shape::Whole { least: 1, most: 1000 },
        Means("5"),
        "How often a job is tried before it is a dead letter.",
    ),
];

const VERSION_KEYS: &[Key] = &[key(
    "version",
    Shape::Version,
    Means("any"),
    "The version that the installed program must have, or its beginning.",
)];

static SERVICE: Record = Record {
    title: "`[service.NAME]`",
    doc: "A service is one codebase with its process types and tasks.",
    keys: &[
        key("path", Shape::Path, Means("`.`"), "Its folder, relative to the manifest."),
        key(
            "build",
            Shape::Either(&[Shape::Word(&["cargo", "node", "python"]), Shape::Record(&BUILD)]),
            Means("nothing is built"),
            "How its artefact is made; `\"cargo\"` builds in release mode and puts the \
             executables first in `PATH`, `\"node\"` runs `npm ci` and the script `build`, \
             `\"python\"` makes `.venv` from `uv.lock` or `requirements.txt`.",
        ),
        key(
            "image",
            Shape::Record(&IMAGE),
            Means("see there"),
            "What `updraft build` makes its image of.",
        ),
        key("run", Shape::Command, Means("see `process`"), "The command of its process `web`."),
        key(
            "process",
            Shape::Map(
                Label::Name("process"),
                &Shape::Either(&[Shape::Command, Shape::Record(&PROCESS)]),
            ),
            Means("see `run`"),
            "Its process types by name; the one named `web` is where its URL leads.",
        ),
        key(
            "needs",
            Shape::List(&Shape::Text),
            Means("none"),
            "Services and resources that it calls: for each it receives `<NAME>_URL`, and \
             `DATABASE_URL` for its only `sql` or `postgres`. `orders` is all that the service \
             does, `orders:GET /orders/{id}` that operation alone, and there may be several. \
             Cycles are allowed.",
        ),
        key(
            "after",
            Shape::List(&Shape::Text),
            Means("none"),
            "What must be ready before its release tasks and its processes start: \
             `service`, `service.process`, or `service.task` for a release task.",
        ),
        key("route", Shape::UrlPath, Means("not public"), "The path under which it is public."),
        key(
            "config",
            Shape::Map(
                Label::Variable,
                &Shape::Either(&[Shape::Word(CONFIG_TYPES), Shape::Record(&CONFIG)]),
            ),
            Means("none"),
            "The contract of its configuration; the values live elsewhere.",
        ),
        key(
            "task",
            Shape::Map(Label::Name("task"), &Shape::Record(&TASK)),
            Means("none"),
            "Its admin tasks by name.",
        ),
        calls::PROTOCOL,
        calls::OPERATION_KEY,
        calls::CALLS_KEY,
        traffic::TRAFFIC_KEY,
        key(
            "api",
            Shape::Path,
            Means("none"),
            "The file of its contract, an OpenAPI document in JSON or YAML, relative to the \
             service: `updraft check` compares it with what the service serves.",
        ),
        key("function", Shape::Unbuilt(&FUNCTION), Means("none"), "Its functions by name."),
    ],
    exactly_one: &["run", "process"],
};

static IMAGE: Record = Record {
    title: "`image = { … }`",
    doc: "What the image of a service stands on and holds, beside what its build makes.",
    keys: &[
        key(
            "base",
            Shape::Form(&form::BASE_IMAGE),
            Means("`closure`"),
            "`closure`: the loader, libraries and interpreters that its programs need, taken \
             from the machine that builds; `scratch`: nothing; `oci:FOLDER` or \
             `oci:FOLDER:TAG`: an image in an OCI layout; `REGISTRY/NAME@sha256:…`: an image \
             of a registry.",
        ),
        key(
            "include",
            Shape::List(&Shape::Path),
            Means("none"),
            "Files and folders that its programs read, relative to the service.",
        ),
    ],
    exactly_one: &[],
};

static BUILD: Record = Record {
    title: "`build = { … }`",
    doc: "How the artefact of a service is made by a command.",
    keys: &[
        key(
            "fetch",
            Shape::Command,
            Means("none"),
            "A command that runs before and may use the network; with it, `run` has none in \
             `updraft build`.",
        ),
        key("run", Shape::Command, Required, "The command, run in the service's folder."),
        key(
            "keep",
            Shape::List(&Shape::Path),
            Means("none"),
            "Files and folders that must exist afterwards, relative to the service.",
        ),
        key(
            "reproducible",
            Shape::Bool,
            Means("`false`"),
            "Whether two builds of one source must be equal: `updraft check` fails when they are \
             not, and warns otherwise.",
        ),
    ],
    exactly_one: &[],
};

static PROCESS: Record = Record {
    title: "`[service.NAME.process]`",
    doc: "A process type is text, which is its command, or a table.",
    keys: &[
        key("run", Shape::Command, Required, "The command, run in the service's folder."),
        key(
            "ready",
            Shape::Either(&[Shape::UrlPath, Shape::Record(&READY)]),
            Means("`web` and those with a `version`: its port opens; any other: it runs"),
            "When it may receive work; text is the path of an HTTP probe.",
        ),
        key(
            "live",
            Shape::Either(&[Shape::UrlPath, Shape::Record(&LIVE)]),
            Means("it is restarted only when it exits"),
            "When it is taken for dead and restarted; text is the path of an HTTP probe.",
        ),
        key(
            "scale",
            Shape::Either(&[
                Shape::Whole { least: 0, most: SCALE_MAX },
                Shape::Record(&scaling::SCALE),
            ]),
            Means("1"),
            "How many copies run; a table is the load that their number follows.",
        ),
        key(
            "stop",
            Shape::Duration { zero: true },
            Means("\"10s\""),
            "How long it may take to end after SIGTERM, before SIGKILL.",
        ),
        key(
            "version",
            Shape::Name,
            Means("`web` has the version `web`; any other serves no requests"),
            "The version of the service that it runs: with one, it serves requests beside \
             `web`, and `traffic` tells which.",
        ),
        confinement::LIMITS_KEY,
        confinement::WRITABLE_KEY,
        confinement::CAPABILITIES_KEY,
        key(
            "roll",
            Shape::Either(&[Shape::Word(&["exclusive"]), Shape::Record(&ROLL)]),
            Means("a new copy starts beside the old and takes over"),
            "How a roll-out replaces it; `\"exclusive\"`: the old stops before the new starts, \
             for programs of which there must never be two.",
        ),
    ],
    exactly_one: &[],
};

static ROLL: Record = Record {
    title: "`roll = { … }`",
    doc: "How a new copy proves itself beside the old before it takes over.",
    keys: &[
        key(
            "surge",
            Shape::Whole { least: 1, most: SCALE_MAX },
            Means("1"),
            "How many new copies run beside the old ones at once.",
        ),
        key(
            "ready",
            Shape::Whole { least: 1, most: 1000 },
            Means("3"),
            "How often in a row it must be ready.",
        ),
        key(
            "settle",
            Shape::Duration { zero: true },
            Means("\"6s\""),
            "How long it must stay ready after that.",
        ),
    ],
    exactly_one: &[],
};

static READY: Record = Record {
    title: "`ready = { … }`",
    doc: "A readiness probe asks one thing: `http`, `tcp` or `log`.",
    keys: &[
        key("http", Shape::UrlPath, Means("none"), "`GET` of this path gives 200 to 399."),
        key("tcp", Shape::True, Means("none"), "A connection to its port opens."),
        key("log", Shape::Regex, Means("none"), "A line of its output matches."),
        key(
            "within",
            Shape::Duration { zero: false },
            Means("\"60s\""),
            "Its boot budget: a process that is not ready by then is restarted.",
        ),
        key("every", Shape::Duration { zero: false }, Means("\"1s\""), EVERY),
        key("timeout", Shape::Duration { zero: false }, Means("\"1s\""), PROBE_TIMEOUT),
        key(
            "failures",
            Shape::Whole { least: 1, most: 1000 },
            Means("3"),
            "Failures in a row after which a ready process is unready again.",
        ),
    ],
    exactly_one: &["http", "tcp", "log"],
};

static LIVE: Record = Record {
    title: "`live = { … }`",
    doc: "A liveness probe asks a process that was ready once.",
    keys: &[
        key("http", Shape::UrlPath, Required, "`GET` of this path gives 200 to 399."),
        key("every", Shape::Duration { zero: false }, Means("\"10s\""), EVERY),
        key("timeout", Shape::Duration { zero: false }, Means("\"1s\""), PROBE_TIMEOUT),
        key(
            "failures",
            Shape::Whole { least: 1, most: 1000 },
            Means("3"),
            "Failures in a row after which the process is restarted.",
        ),
    ],
    exactly_one: &[],
};

const EVERY: &str = "From one probe to the next.";
const PROBE_TIMEOUT: &str = "How long one probe may take.";

/// The types of configuration variables.
pub(super) const CONFIG_TYPES: &[&str] =
    &["string", "secret", "url", "bool", "int", "float", "duration"];

static CONFIG: Record = Record {
    title: "`config = { VARIABLE = { … } }`",
    doc: "A variable is text, which is its type, or a table. Its name is upper-case letters, \
          digits and `_`. `PORT`, `HOST` and names that start with `UPDRAFT_` are Updraft's own.",
    keys: &[
        key("type", Shape::Word(CONFIG_TYPES), Means("see `one_of`"), "What a value must be."),
        key("one_of", Shape::List(&Shape::Text), Means("see `type`"), "The values allowed."),
        key("min", Shape::Number, Means("none"), "The least `int` or `float`."),
        key("max", Shape::Number, Means("none"), "The greatest `int` or `float`."),
        key(
            "default",
            Shape::Scalar,
            Means("the variable is required"),
            "The value where none is given; a `secret` has none.",
        ),
    ],
    exactly_one: &["type", "one_of"],
};

static TASK: Record = Record {
    title: "`[service.NAME.task]`",
    doc: "A task runs once, in the environment of the service's processes.",
    keys: &[
        key("run", Shape::Command, Required, "The command, run in the service's folder."),
        key(
            "when",
            Shape::Word(&["manual", "release"]),
            Means("\"manual\""),
            "`release`: at each `up`, before the service's processes start; its failure \
             stops them. `manual`: when somebody asks.",
        ),
        key(
            "timeout",
            Shape::Duration { zero: false },
            Means("none"),
            "After so long it is killed.",
        ),
        confinement::LIMITS_KEY,
        confinement::TASK_WRITABLE_KEY,
        confinement::CAPABILITIES_KEY,
        scaling::EVERY,
        scaling::TIMEZONE,
        scaling::OVERLAP,
        scaling::MISSED,
        scaling::TTY,
    ],
    exactly_one: &[],
};

static FUNCTION: Unbuilt = Unbuilt {
    shape: Shape::Map(
        Label::Name("function"),
        &Shape::Record(&Record {
            title: "`[service.NAME.function]`",
            doc: "A function runs once for each event.",
            keys: &[
                key("on", Shape::Text, Required, "The events."),
                key("run", Shape::Command, Required, "The command."),
                key("timeout", Shape::Duration { zero: false }, Means("none"), "Its limit."),
                key("retry", Shape::Whole { least: 0, most: 1000 }, Means("none"), "Tries."),
            ],
            exactly_one: &[],
        }),
    ),
    what: "a function on events",
    instead: "write a process that reads the queue: `[service.NAME.process]`",
};

static DEPLOY: Unbuilt = Unbuilt {
    shape: Shape::Map(
        Label::Name("deploy"),
        &Shape::Record(&Record {
            title: "`[deploy.NAME]`",
            doc: "How one deploy differs in shape.",
            keys: &[
                key("target", Shape::Word(&["kubernetes"]), Required, "Where it runs."),
                key("scale", Shape::Map(Label::Free, &Shape::Any), Means("none"), "Copies."),
                key("host", Shape::Text, Means("none"), "The public host name."),
            ],
            exactly_one: &[],
        }),
    ),
    what: "a deploy to somewhere else",
    instead: "leave `[deploy]` out and run the system with `updraft up`",
};

/// The tables to which a key belongs that stands in the wrong one.
pub(super) fn homes(name: &str) -> Vec<String> {
    let records = [
        &SERVICE,
        &PROCESS,
        &TASK,
        &confinement::LIMITS,
        &scaling::SCALE,
        &READY,
        &MANIFEST,
        &calls::CALLS,
        &calls::OPERATION,
        &traffic::TRAFFIC,
        &mesh::MESH,
        &audit::CHECK,
    ];
    let holding = records.iter().filter(|one| one.keys.iter().any(|key| key.name == name));
    holding.map(|record| record.title.to_owned()).collect()
}

const fn key(name: &'static str, shape: Shape, absent: Absent, doc: &'static str) -> Key {
    Key { name, shape, doc, absent }
}

const fn built(name: &'static str, doc: &'static str, keys: &'static [Key]) -> Variant {
    Variant { name, doc, keys, unbuilt: None }
}
