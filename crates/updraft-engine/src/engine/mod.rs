//! A run of a system: from the graph to processes and back.

mod boot;
mod commands;
mod confinement;
mod error;
mod mesh;
mod order;
mod plans;
mod roll_out;
mod scaling;
mod stop;
mod target;
mod tasks;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use updraft_system::{LogSource, Name, ProcessStatus, Route, System, SystemStatus};

use crate::board::{Board, Stage};
use crate::environment;
use crate::logs::{LogLimits, LogStore};
use crate::memory::{Memory, Remembered};
use crate::ports::{Ports, Reservation};
use crate::replica::{Intent, ReplicaPlan};
use crate::resource::{Attachments, Planner, Programs, ResourcePlan};
use crate::scaler;
use crate::schedule::TaskBook;
use crate::scope::Scopes;
use crate::state_dir::{StateDir, StateLock};
use crate::wire::{self, KeptAuthority, Wire};

use error::Reason;
pub use error::{CommandError, ErrorClass, StartError};
pub use roll_out::{RollOut, RollOutOptions};
pub use stop::{StopOptions, StopReport};
pub use target::{RunTarget, ServiceTarget, Source};
pub use tasks::TerminalInput;

/// Most copies of one process.
pub(crate) const REPLICAS_MAX: u32 = 1000;

/// What to run of a system.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// These services and what they need; empty: all.
    pub only: Vec<Name>,
    /// Replace promised ports that somebody else holds.
    pub new_ports: bool,
    /// Keep what runs in the state folder, beginning with this, so that it can be started
    /// again after a crash; its copies of processes go before those of the manifest. `None`:
    /// nothing is kept, and what was kept stays.
    pub remember: Option<Remembered>,
}

/// A system that runs. Clones are handles of the same run.
#[derive(Clone)]
pub struct Engine(Arc<Run>);

/// Resolves at each change of what [`Engine::status`] and [`Engine::processes`] tell.
#[derive(Debug)]
pub struct Changes(watch::Receiver<Board>);

struct Run {
    name: Name,
    /// What runs, as a whole: replaced by a roll-out.
    target: watch::Sender<Arc<RunTarget>>,
    /// Whether the first target is to be built.
    builds: bool,
    only: Vec<Name>,
    directory: PathBuf,
    state: StateDir,
    /// Given back when the run has ended.
    lock: Mutex<Option<StateLock>>,
    scopes: Scopes,
    logs: LogStore,
    programs: Programs,
    board: watch::Sender<Board>,
    wire: Wire,
    authority: Arc<KeptAuthority>,
    held: Mutex<Held>,
    /// Commands that change what runs go one after another.
    commands: tokio::sync::Mutex<()>,
    /// So do roll-outs, which build before it is their turn.
    roll_outs: tokio::sync::Mutex<()>,
    /// Two release tasks never run at once: they may be two migrations.
    releases: tokio::sync::Mutex<()>,
    /// What is kept of its tasks.
    book: TaskBook,
    /// What is known of the scaling by rule.
    scaling: scaler::Book,
    /// Held shared by each task that runs.
    tasks: tokio::sync::RwLock<()>,
    memory: Mutex<Memory>,
    stop: watch::Sender<Option<StopOptions>>,
    finished: watch::Sender<Option<StopReport>>,
}

/// What a run holds at the moment.
struct Held {
    ports: Ports,
    reservations: BTreeMap<String, Reservation>,
    attachments: Attachments,
    resources: BTreeMap<Name, ResourcePlan>,
    replicas: BTreeMap<LogSource, Running>,
}

/// The reins of one replica.
struct Running {
    intent: watch::Sender<Intent>,
    plan: watch::Sender<Arc<ReplicaPlan>>,
    /// Ends with whether it had to be killed.
    task: JoinHandle<bool>,
}

impl Engine {
    /// Starts what `source` says of the system whose manifest is in `directory`. Everything
    /// that can be refused is refused here, before anything starts; then building and starting
    /// go on behind the handle.
    ///
    /// # Errors
    ///
    /// [`StartError`] with all reasons together.
    pub async fn start(
        source: Source,
        directory: PathBuf,
        state: StateDir,
        lock: StateLock,
        options: Options,
    ) -> Result<Self, StartError> {
        let mut reasons = Vec::new();
        let builds = matches!(source, Source::Tree { .. });
        let target = whole(source, &options.only, &mut reasons);
        let system = target.system.clone();
        let programs = Programs::of_this_machine();
        let first = match &options.remember {
            Some(remembered) => remembered.scaled(system.clone()),
            None => system.clone(),
        };
        let held = Held::reserve(&first, &state, &programs, options.new_ports, &mut reasons);
        let (Some(held), true) = (held, reasons.is_empty()) else {
            return Err(StartError::of(reasons));
        };
        let refuse = |reason: Reason| StartError::of(vec![reason]);
        let book = TaskBook::open(&state).map_err(|error| refuse(error.into()))?;
        let logs = LogStore::open(&state.logs(), LogLimits::default())
            .map_err(|error| refuse(Reason::Logs(error)))?;
        let scopes = Scopes::open(&lock, &state.socket()).await.map_err(|e| refuse(e.into()))?;
        let board = watch::Sender::new(Board::default());
        let authority = KeptAuthority::open(&system.name, state.authority());
        let authority = Arc::new(authority.map_err(|error| refuse(error.into()))?);
        let wire = Wire::open(wire::Parts {
            system: system.clone(),
            board: board.clone(),
            ports: held.ports_by_owner(),
            scopes: scopes.clone(),
            issuer: authority.issuer().clone(),
            log: Arc::new(mesh::WireLog::new(logs.clone())),
            resources: wire::behind(&held.resources),
        })
        .map_err(|error| refuse(Reason::Wire(error)))?;
        let memory = Memory::begin(&state, options.remember);
        let memory = Mutex::new(memory.map_err(|error| refuse(error.into()))?);
        let run = Arc::new(Run {
            memory,
            board,
            wire,
            authority,
            held: Mutex::new(held),
            commands: tokio::sync::Mutex::default(),
            book,
            scaling: scaler::Book::default(),
            roll_outs: tokio::sync::Mutex::default(),
            releases: tokio::sync::Mutex::default(),
            tasks: tokio::sync::RwLock::default(),
            stop: watch::Sender::new(None),
            finished: watch::Sender::new(None),
            lock: Mutex::new(Some(lock)),
            name: system.name,
            target: watch::Sender::new(Arc::new(target)),
            builds,
            only: options.only,
            directory,
            state,
            scopes,
            logs,
            programs,
        });
        tokio::spawn(mesh::keep_authority(Arc::clone(&run)));
        tokio::spawn(stop::when_told(Arc::clone(&run)));
        tokio::spawn(boot::boot(Arc::clone(&run)));
        tokio::spawn(scaling::follow_rules(Arc::clone(&run)));
        tokio::spawn(tasks::follow_schedules(Arc::clone(&run)));
        Ok(Self(run))
    }

    /// The graph that runs.
    pub fn system(&self) -> System {
        self.0.target().system.clone()
    }

    /// The folder of the manifest.
    pub fn directory(&self) -> &Path {
        &self.0.directory
    }

    /// The system as a whole.
    pub fn status(&self) -> SystemStatus {
        let (state, detail) = self.0.board.borrow().system_state();
        let roll_out = self.0.board.borrow().roll_out.clone();
        SystemStatus {
            name: self.0.name.clone(),
            directory: self.0.directory.display().to_string(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state,
            detail,
            routes: self.0.routes(),
            roll_out,
        }
    }

    /// Every replica, and every server of a resource.
    pub fn processes(&self) -> Vec<ProcessStatus> {
        let mut rows = self.0.board.borrow().statuses();
        self.0.tell_held(&mut rows);
        rows
    }

    /// Tells of changes from now on.
    pub fn changes(&self) -> Changes {
        Changes(self.0.board.subscribe())
    }

    /// Forgets what runs: after its end it is not to come back by itself.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when its file cannot be removed.
    pub fn forget_run(&self) -> Result<(), CommandError> {
        Ok(self.0.memory().forget()?)
    }

    /// Keeps which release runs from now on; `None`: the working tree.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when it cannot be written.
    pub fn remember_release(&self, release: Option<u64>) -> Result<(), CommandError> {
        Ok(self.0.memory().released(release)?)
    }

    /// The system's log.
    pub fn logs(&self) -> &LogStore {
        &self.0.logs
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Engine").field(&self.0.name).finish_non_exhaustive()
    }
}

impl Changes {
    /// Waits for the next change; `false`: there will be none.
    pub async fn next(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }
}

impl Run {
    fn held(&self) -> MutexGuard<'_, Held> {
        // What a panic left behind is still the truth about what runs.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Its file is replaced whole, so what a panic left behind is sound.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn routes(&self) -> Vec<Route> {
        let route = |service: &updraft_system::Service| {
            let path = service.route.as_ref()?;
            let port = self.wire.ingress()?;
            let url = format!("http://127.0.0.1:{port}{path}");
            Some(Route { service: service.name.clone(), url })
        };
        self.target().system.services.values().filter_map(route).collect()
    }

    /// What runs now.
    fn target(&self) -> Arc<RunTarget> {
        Arc::clone(&self.target.borrow())
    }

    fn set_target(&self, target: Arc<RunTarget>) {
        self.target.send_replace(target);
    }

    fn set_stage(&self, stage: Stage) {
        self.board.send_modify(|board| {
            // Why it failed is to be seen until the end.
            if !matches!(board.stage, Stage::Failed(_)) {
                board.stage = stage;
            }
        });
    }

    /// Resolves when the run is told to stop.
    async fn told_to_stop(&self) {
        // The sender lives in `self`.
        drop(self.stop.subscribe().wait_for(Option::is_some).await);
    }
}

/// What `source` says of `only` and what they need; what cannot be had goes to `reasons`.
fn whole(source: Source, only: &[Name], reasons: &mut Vec<Reason>) -> RunTarget {
    let known = match &source {
        Source::Tree { system, .. } => system,
        Source::Made(target) => &target.system,
    };
    let unknown = only.iter().filter(|name| !known.services.contains_key(*name));
    reasons.extend(unknown.map(|name| Reason::NoService(name.to_string())));
    match source {
        Source::Tree { system, directory } => {
            let system = order::closure(&system, only);
            let config = environment::configure(&system, &directory)
                .map_err(|error| reasons.push(error.into()))
                .unwrap_or_default();
            RunTarget::unbuilt(system, &directory, config)
        }
        Source::Made(RunTarget { system, parts }) => {
            let system = order::closure(&system, only);
            RunTarget { system, parts }
        }
    }
}

impl Held {
    /// Reserves every port and plans every resource; what cannot be had goes to `reasons`.
    fn reserve(
        system: &System,
        state: &StateDir,
        programs: &Programs,
        new_ports: bool,
        reasons: &mut Vec<Reason>,
    ) -> Option<Self> {
        let attachments =
            Attachments::load(state.root()).map_err(|error| reasons.push(error.into())).ok()?;
        let mut held = Self {
            ports: Ports::open(state.identity(), state.ports(), new_ports),
            reservations: BTreeMap::new(),
            attachments,
            resources: BTreeMap::new(),
            replicas: BTreeMap::new(),
        };
        let mut owners = wire::owners(system);
        for service in system.services.values() {
            for process in service.processes.values() {
                let sources = (1..=process.scale).map(|n| plans::source(service, process, n));
                owners.extend(sources.map(|source| source.to_string()));
            }
        }
        for owner in owners {
            if let Err(error) = held.port(&owner) {
                reasons.push(error.into());
            }
        }
        held.plan_resources(system, state, programs, reasons);
        Some(held)
    }

    /// Plans all resources, each at its own port where it runs a server.
    fn plan_resources(
        &mut self,
        system: &System,
        state: &StateDir,
        programs: &Programs,
        reasons: &mut Vec<Reason>,
    ) {
        let attachments = self.attachments.clone();
        let planner = Planner {
            resources: &system.resources,
            directory: &state.resources(),
            attachments: &attachments,
            programs,
        };
        for resource in system.resources.values() {
            let port = match planner.runs_server(resource) {
                true => self.port(resource.name.as_str()),
                false => Ok(0),
            };
            let plan =
                port.map_err(Reason::from).and_then(|port| Ok(planner.plan(resource, port)?));
            match plan {
                Ok(plan) => drop(self.resources.insert(resource.name.clone(), plan)),
                Err(reason) => reasons.push(reason),
            }
        }
    }

    /// The copy of a process that does the work, in whichever slot, or comes or goes.
    fn copies_of(&self, source: &LogSource) -> impl Iterator<Item = &LogSource> {
        self.replicas.keys().filter(|it| it.is_same_copy(source))
    }

    /// The ports that are reserved now.
    fn ports_by_owner(&self) -> BTreeMap<String, u16> {
        let port = |(owner, held): (&String, &Reservation)| (owner.clone(), held.port);
        self.reservations.iter().map(port).collect()
    }

    /// The port of `owner`, reserved as long as the run lasts.
    fn port(&mut self, owner: &str) -> Result<u16, crate::ports::PortError> {
        if let Some(reservation) = self.reservations.get(owner) {
            return Ok(reservation.port);
        }
        let reservation = self.ports.reserve(owner)?;
        let port = reservation.port;
        self.reservations.insert(owner.to_owned(), reservation);
        Ok(port)
    }
}
