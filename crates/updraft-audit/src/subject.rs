//! What is audited: one program with everything that is known of it before it runs.

mod building;
mod jobs;
pub(crate) mod steps;
pub(crate) mod system;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use building::Budget;
pub use building::Building;
pub use jobs::Jobs;
pub use updraft_system::audit::{Ask, Step};
use updraft_system::{ConfigKey, Name, Resource};

use crate::control::Behaviour;
use crate::role::VERB;
use crate::verdict::Shape;

/// One program that is audited.
#[derive(Clone, Debug)]
pub struct Subject {
    /// `SERVICE.PROCESS`, or the name of the program.
    pub name: String,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The folder it starts in, which is its artefact: each trial has a fresh copy.
    pub folder: PathBuf,
    /// Its environment without its port and what it needs.
    pub environment: BTreeMap<String, String>,
    /// What it does for others.
    pub serves: Serves,
    /// The variable it learns its port from.
    pub port_variable: String,
    /// The path that says whether it is ready; `None`: any answer says so.
    pub ready: Option<String>,
    /// The path that says whether it lives.
    pub live: Option<String>,
    /// The contract of its configuration.
    pub config: BTreeMap<String, ConfigKey>,
    /// What it needs.
    pub needs: Vec<Dependency>,
    /// A request that takes a second or more.
    pub slow: Option<Ask>,
    /// What a client does with it, step by step.
    pub journey: Vec<Step>,
    /// How long it may take to be ready. 5 s.
    pub startup: Duration,
    /// Its boot budget: whoever runs it restarts it if it gives no answer by then. 60 s.
    pub boot: Duration,
    /// From SIGTERM to SIGKILL. 10 s.
    pub grace: Duration,
    /// Folders below its own that hold what may be lost.
    pub scratch: Vec<PathBuf>,
    /// The shape it is deployed in.
    pub deployed: Shape,
    /// Whether there may be one of it only.
    pub exclusive: bool,
    /// The file of its contract, below its folder.
    pub api: Option<PathBuf>,
    /// Its admin tasks.
    pub tasks: Vec<AdminTask>,
    /// How the jobs of a worker are asked for; `None`: nobody says, or it is no worker.
    pub jobs: Option<Jobs>,
    /// How its artefact is made; `None`: nobody says.
    pub build: Option<Arc<Building>>,
}

/// The boot budget where nobody says, as platforms have it.
const BOOT: Duration = Duration::from_secs(60);

/// What a program does for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serves {
    /// It answers HTTP on its port.
    Http,
    /// Nothing on a port: a worker.
    Nothing,
}

/// Something a program needs.
#[derive(Clone, Debug)]
pub struct Dependency {
    /// Its name.
    pub name: Name,
    /// The variables that hold its address.
    pub variables: Vec<String>,
    /// What it is.
    pub kind: DependencyKind,
}

/// What a program needs.
#[derive(Clone, Debug)]
pub enum DependencyKind {
    /// A resource of the manifest; a throw-away instance for each trial.
    Resource(Resource),
    /// Another service, which is run itself.
    Service(Box<Subject>),
    /// A server that gives back each line. Only controls need it.
    Echo,
}

/// An admin task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminTask {
    /// Its name.
    pub name: Name,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Its environment without what it needs.
    pub environment: BTreeMap<String, String>,
    /// Whether it runs before each release.
    pub on_release: bool,
    /// How long it may take.
    pub timeout: Option<Duration>,
}

impl Subject {
    /// A command without a manifest: it is believed to serve HTTP at `PORT`.
    #[must_use]
    pub fn command(
        argv: Vec<String>,
        folder: PathBuf,
        environment: BTreeMap<String, String>,
    ) -> Self {
        let program = argv.first().map(String::as_str).unwrap_or_default();
        let name = program.rsplit('/').next().unwrap_or(program).to_owned();
        Self {
            name,
            argv,
            folder,
            environment,
            serves: Serves::Http,
            port_variable: "PORT".to_owned(),
            ready: None,
            live: None,
            config: BTreeMap::new(),
            needs: Vec::new(),
            slow: None,
            journey: Vec::new(),
            startup: Duration::from_secs(5),
            boot: BOOT,
            grace: Duration::from_secs(10),
            scratch: Vec::new(),
            deployed: Shape::Child,
            exclusive: false,
            api: None,
            tasks: Vec::new(),
            jobs: None,
            build: None,
        }
    }

    /// The control with these behaviours, in an empty folder.
    pub(crate) fn control(executable: String, folder: PathBuf, behaviours: &[Behaviour]) -> Self {
        let words: Vec<_> = behaviours.iter().map(|behaviour| behaviour.as_str()).collect();
        let argv = vec![executable, VERB.to_owned(), "control".to_owned(), words.join(",")];
        let name = format!("control {}", words.join(","));
        Self { name, ..Self::command(argv, folder, BTreeMap::new()) }
    }

    /// The command as it is typed.
    #[must_use]
    pub fn line(&self) -> String {
        shell_words::join(&self.argv)
    }
}
