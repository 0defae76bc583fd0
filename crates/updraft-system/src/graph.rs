//! The validated graph of a system: what the manifest means once it is sound.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::audit::Audit;
use crate::mesh::{Calls, MeshSettings, Operation, OperationPolicy, Protocol, Traffic};
use crate::{ConfigKey, Confinement, ImageSettings, Name, ScaleRule, TaskSchedule};

/// A system of services and the resources they need. Every reference inside
/// it is known to resolve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct System {
    /// The system's name.
    pub name: Name,
    /// Attached resources.
    pub resources: BTreeMap<Name, Resource>,
    /// Services.
    pub services: BTreeMap<Name, Service>,
    /// What holds for the calls between all of them.
    #[serde(default)]
    pub mesh: MeshSettings,
}

/// An attached resource: a capability or a server, never an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// Its name; `<NAME>_URL` is what a service that needs it receives.
    pub name: Name,
    /// What it is.
    pub kind: ResourceKind,
}

/// The kinds of resources. The first four are capabilities with an embedded
/// default that needs nothing installed, the last three are servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum ResourceKind {
    /// A relational database; embedded: one SQLite file.
    Sql,
    /// A cache; embedded: inside each process.
    Cache,
    /// A job queue; embedded: tables in a SQLite database.
    Queue {
        /// The `sql` resource whose database holds the queue, so that a job can be
        /// enqueued in the transaction that causes it. `None`: a database of its own.
        on: Option<Name>,
        /// How often a job is tried before it is a dead letter.
        max_attempts: u32,
    },
    /// Files by name; embedded: a directory.
    Blob,
    /// A PostgreSQL server.
    Postgres {
        /// Required major version, for example `15`.
        version: Option<String>,
    },
    /// A Redis server.
    Redis {
        /// Required major version, for example `7`.
        version: Option<String>,
    },
    /// A NATS server with JetStream.
    Nats {
        /// Required version prefix, for example `2.9` or `2`.
        version: Option<String>,
    },
}

/// One service: a codebase with its process types and tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Its name; `<NAME>_URL` is what a service that needs it receives.
    pub name: Name,
    /// Its folder, relative to the manifest.
    pub path: PathBuf,
    /// How its artefact is made.
    pub build: Build,
    /// What its image is made of.
    #[serde(default)]
    pub image: ImageSettings,
    /// Its process types by name. `run = "…"` in the manifest is the type `web`.
    pub processes: BTreeMap<Name, Process>,
    /// Its admin tasks by name.
    pub tasks: BTreeMap<Name, Task>,
    /// What it needs: each an edge of the graph. Cycles are allowed.
    pub needs: Vec<Need>,
    /// What must be ready, or done, before its processes start. Never a cycle.
    pub after: Vec<After>,
    /// The path under which the service is public.
    pub route: Option<String>,
    /// The file of its contract, an OpenAPI document, relative to its folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<PathBuf>,
    /// The contract of its configuration; values live elsewhere.
    pub config: BTreeMap<String, ConfigKey>,
    /// What its endpoints speak.
    #[serde(default)]
    pub protocol: Protocol,
    /// The operations it declares, with what holds for each; empty: it declares none, and
    /// all may be asked of it.
    #[serde(default)]
    pub operations: BTreeMap<Operation, OperationPolicy>,
    /// How it calls what it needs; what is absent has the defaults.
    #[serde(default)]
    pub calls: BTreeMap<Name, Calls>,
    /// Where the requests to it go, and what is done to them on the way.
    #[serde(default)]
    pub traffic: Traffic,
}

impl Service {
    /// Whether other services can reach it: it has a process type `web`.
    pub fn has_address(&self) -> bool {
        self.processes.contains_key(&Name::web())
    }

    /// The process types whose replicas serve the service's requests, each with the version
    /// that it runs.
    pub fn endpoints(&self) -> impl Iterator<Item = (&Process, Name)> {
        self.processes.values().filter_map(|process| Some((process, process.serves()?)))
    }

    /// Whether the replicas of a process type serve the service's requests.
    pub fn is_endpoint(&self, process: &Name) -> bool {
        self.processes.get(process).is_some_and(|process| process.serves().is_some())
    }
}

/// How the artefact of a service is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Build {
    /// The source is the artefact.
    None,
    /// `cargo build --release`; the executables come first in `PATH`.
    Cargo,
    /// `npm ci`, then the script `build` where there is one.
    Node,
    /// A virtual environment by uv, or by pip from `requirements.txt`.
    Python,
    /// A shell command.
    Command {
        /// What fetches what the command needs; only this has a network.
        fetch: Option<String>,
        /// The command line, run in the service's folder.
        run: String,
        /// Files and folders that must exist afterwards, relative to the service.
        keep: Vec<PathBuf>,
        /// Two builds of one source must be equal, and it is a failure when they are not.
        #[serde(default)]
        reproducible: bool,
    },
}

/// One process type of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// Its name: `web`, `worker`, …
    pub name: Name,
    /// The command line.
    pub run: String,
    /// When it may receive work.
    pub ready: Probe,
    /// When it must be restarted; `None`: only when it exits.
    pub live: Option<Liveness>,
    /// How many copies run.
    pub scale: u32,
    /// From SIGTERM to SIGKILL.
    pub stop: Duration,
    /// The version of the service that it runs; with one, it serves requests beside `web`.
    #[serde(default)]
    pub version: Option<Name>,
    /// How a new program takes the place of the one that runs.
    #[serde(default)]
    pub roll: Roll,
    /// What an audit of it cannot guess.
    #[serde(default)]
    pub audit: Audit,
    /// What it may use and do.
    #[serde(default)]
    pub confinement: Confinement,
    /// The load that the number of copies follows, which begins with `scale`; `None`: it
    /// stays until somebody changes it.
    #[serde(default)]
    pub autoscale: Option<ScaleRule>,
}

impl Process {
    /// The version as which it serves the service's requests: its own, or `web` for the
    /// process of that name. `None`: it serves none.
    pub fn serves(&self) -> Option<Name> {
        self.version.clone().or_else(|| (self.name == Name::web()).then(Name::web))
    }
}

/// How a new program takes the place of the one that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Roll {
    /// The new starts beside the old, and takes over when it has proven itself.
    Beside(Beside),
    /// The old stops before the new starts: there must never be two.
    Exclusive,
}

impl Default for Roll {
    fn default() -> Self {
        Self::Beside(Beside::default())
    }
}

/// How a new program proves itself beside the old.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beside {
    /// How many new copies run beside the old ones at once, at least 1.
    pub surge: u32,
    /// How often in a row a copy must be ready, at least 1.
    pub ready: u32,
    /// How long it must stay ready after that before it takes over.
    pub settle: Duration,
}

impl Default for Beside {
    fn default() -> Self {
        Self { surge: 1, ready: 3, settle: Duration::from_secs(6) }
    }
}

/// When a process is ready, and how long it may take to boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// What is asked.
    pub kind: ProbeKind,
    /// The boot budget: a process that is not ready by then is restarted.
    pub within: Duration,
    /// From one probe to the next.
    pub every: Duration,
    /// How long one probe may take.
    pub timeout: Duration,
    /// After so many failures in a row a ready process is unready again.
    pub failures: u32,
}

/// What a readiness probe asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProbeKind {
    /// `GET` of this path on the process's port gives 200 to 399.
    Http(String),
    /// A TCP connection to the process's port opens.
    Tcp,
    /// A line of its output matches this regular expression.
    Log(String),
    /// It runs.
    Started,
}

/// When a ready process is taken for dead: `GET` of `path` fails `failures` times in a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Liveness {
    /// The path asked on the process's port.
    pub path: String,
    /// From one probe to the next.
    pub every: Duration,
    /// How long one probe may take.
    pub timeout: Duration,
    /// Failures in a row that make it dead.
    pub failures: u32,
}

/// An admin task of a service, run in the environment of its processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its name.
    pub name: Name,
    /// The command line.
    pub run: String,
    /// When it runs.
    pub when: TaskTrigger,
    /// It is killed after so long; `None`: never.
    pub timeout: Option<Duration>,
    /// What it may use and do.
    #[serde(default)]
    pub confinement: Confinement,
    /// When it runs by the calendar; `None`: it does not.
    #[serde(default)]
    pub schedule: Option<TaskSchedule>,
    /// It talks with a person, and so gets a terminal.
    #[serde(default)]
    pub tty: bool,
}

/// When a task runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskTrigger {
    /// When somebody calls `updraft task`.
    Manual,
    /// Once at each `up`, before the processes of its service start; its failure stops them.
    Release,
}

/// One edge of the graph: what a service needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    /// The service or resource at the other end.
    pub target: Target,
    /// The operations that may be asked of it; empty: all.
    #[serde(default)]
    pub only: Vec<Operation>,
}

/// The end of an edge.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// A service.
    Service(Name),
    /// A resource.
    Resource(Name),
}

impl Target {
    /// The name at the end of the edge.
    pub fn name(&self) -> &Name {
        match self {
            Self::Service(name) | Self::Resource(name) => name,
        }
    }
}

/// What the start of a service waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum After {
    /// All processes of a service are ready.
    Service(Name),
    /// One process type is ready.
    Process(Name, Name),
    /// A task with `when = "release"` has succeeded.
    Task(Name, Name),
}
