//! The gateway: its data threads, its open doors, and the configuration they follow. A new
//! configuration is taken as a whole or not at all, and no connection is dropped for it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use updraft_system::Name;
use updraft_system::mesh::{EdgeReport, GatewayConfig, Limits, Served, Severity, Share};

use crate::attest::Attest;
use crate::door::{self, Door};
use crate::gate::Pseudonym;
use crate::handover::Inherited;
use crate::identities::{Certificates, Identities};
use crate::instrument::Instrument;
use crate::listener;
use crate::observe::{EventSink, Format};
use crate::pool::Target;
use crate::shared::Shared;
use crate::snapshot::{self, Entry, Snapshot};
use crate::taps::{TapError, Taps};
use crate::telemetry::{Exporting, Telemetry};
use crate::worker::Worker;

/// A running gateway. Dropped, it ends at once; [`drain`](Self::drain) ends it in peace.
pub struct Gateway {
    shared: Arc<Shared>,
    state: Mutex<State>,
    threads: Vec<DataThread>,
    log: Option<Arc<dyn EventSink>>,
}

/// What a gateway is started with, beside its configuration.
#[derive(Default)]
pub struct Options {
    /// Data threads. 1.
    pub threads: Option<usize>,
    /// Who may use the port of an edge. `None`: anybody on this machine.
    pub attest: Option<Arc<dyn Attest>>,
    /// Where certificates come from. `None`: there is no mutual TLS.
    pub certificates: Option<Certificates>,
    /// Takes the lines of the access log. `None`: there is none, whatever the configuration.
    pub log: Option<Arc<dyn EventSink>>,
    /// Whether TCP edges are carried message by message, so that instruments can act. It
    /// costs a copy of each byte.
    pub instruments: bool,
    /// Listening sockets of the gateway before.
    pub inherited: Option<Inherited>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("threads", &self.threads)
            .field("attest", &self.attest)
            .field("certificates", &self.certificates)
            .field("instruments", &self.instruments)
            .finish_non_exhaustive()
    }
}

/// A gateway cannot be started, or a configuration not be taken.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The configuration makes no sense.
    #[error("the configuration has problems: {}", .0.join("; "))]
    Config(Vec<String>),
    /// Addresses cannot be listened at.
    #[error("cannot listen: {}", .0.iter().map(|(address, error)| format!("{address}: {error}")).collect::<Vec<_>>().join("; "))]
    Listen(Vec<(SocketAddr, io::Error)>),
    /// A thread could not be started.
    #[error("cannot start a data thread")]
    Thread(#[source] io::Error),
}

/// What the present configuration has made.
#[derive(Default)]
struct State {
    snapshot: Snapshot,
    config: Option<GatewayConfig>,
    doors: BTreeMap<SocketAddr, Door>,
    /// Doors that were closed, whose connections end.
    closing: Vec<JoinHandle<()>>,
    exporting: Option<Exporting>,
    inherited: Option<Inherited>,
}

/// A socket that listens, and where.
type Opened = (SocketAddr, TcpListener);

/// A thread with a runtime of its own.
struct DataThread {
    runtime: Handle,
    worker: Arc<Worker>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Gateway {
    /// Starts a gateway with its first configuration.
    ///
    /// # Errors
    ///
    /// [`GatewayError`]; then nothing is left of it.
    pub fn start(config: &GatewayConfig, options: Options) -> Result<Self, GatewayError> {
        let Options { threads, attest, certificates, log, instruments, inherited } = options;
        let identities = Identities::new(config.system.clone(), certificates);
        let pseudonym = Pseudonym::new(&format!("{}.updraft", config.system));
        let pseudonym = pseudonym.ok_or_else(|| {
            GatewayError::Config(vec![format!("`{}` is no name of a system", config.system)])
        })?;
        let system = config.system.clone();
        let shared = Arc::new(Shared::new(system, attest, identities, pseudonym, instruments));
        let threads = (0..threads.unwrap_or(1).max(1))
            .map(|number| DataThread::start(number, &shared, &config.limits))
            .collect::<Result<Vec<_>, _>>()
            .map_err(GatewayError::Thread)?;
        let state = Mutex::new(State { inherited, ..State::default() });
        let gateway = Self { shared, state, threads, log };
        gateway.apply(config)?;
        Ok(gateway)
    }

    /// Takes a new configuration. Edges that stay keep their connections and what they have
    /// learnt; those that go let what is under way end within the time of a drain.
    ///
    /// # Errors
    ///
    /// [`GatewayError`]; then all stays as it was.
    pub fn apply(&self, config: &GatewayConfig) -> Result<(), GatewayError> {
        let taken = self.take(config);
        self.shared.registry.set_config_refused(taken.is_err());
        taken
    }

    /// Says in the metrics that there is a newer configuration, which did not come as far as
    /// [`apply`](Self::apply): it cannot be read.
    pub fn configuration_refused(&self) {
        self.shared.registry.set_config_refused(true);
    }

    fn take(&self, config: &GatewayConfig) -> Result<(), GatewayError> {
        let mut errors = config.problems();
        errors.retain(|problem| problem.severity == Severity::Error);
        if !errors.is_empty() {
            let errors = errors.iter().map(ToString::to_string).collect();
            return Err(GatewayError::Config(errors));
        }
        let mut state = self.state();
        let state = &mut *state;
        let runtime = &self.threads[0].runtime;
        // What may fail comes before what calls go by is changed.
        let opened = state.open(snapshot::addresses(config)).map_err(GatewayError::Listen)?;
        self.tell_by(config, state)?;
        // Before the edges, whose targets use them.
        self.shared.identities.set(&spoken_for(config), &listening(config), runtime);
        let snapshot = Snapshot::compile(config, &state.snapshot, &self.shared);
        let mut snapshot = snapshot.map_err(GatewayError::Config)?;
        for thread in &self.threads {
            thread.worker.limit(&config.limits);
        }
        let withdrawn = snapshot.publish(&state.snapshot);
        let grace = config.limits.drain;
        state.closing.retain(|closing| !closing.is_finished());
        for place in withdrawn {
            let end = door::end_place(place, Arc::clone(&self.shared), grace);
            state.closing.push(runtime.spawn(end));
        }
        self.open_doors(opened, &snapshot.entries, config, state)?;
        let targets: Vec<_> = snapshot
            .edges()
            .flat_map(|edge| edge.targets.load().all().cloned().collect::<Vec<_>>())
            .collect();
        for thread in &self.threads {
            thread.worker.pool.retire(|target| targets.contains(target));
        }
        self.shared.set_present(snapshot.edges().cloned().collect());
        state.snapshot = snapshot;
        state.config = Some(config.clone());
        Ok(())
    }

    /// Opens the doors that are new, closes those that are not wanted any more, and changes
    /// what the others are for. A port that goes on listens all the time.
    fn open_doors(
        &self,
        opened: Vec<Opened>,
        entries: &BTreeMap<SocketAddr, Entry>,
        config: &GatewayConfig,
        state: &mut State,
    ) -> Result<(), GatewayError> {
        let limits = Arc::new(config.limits.clone());
        let workers: Vec<_> = self.threads.iter().map(|it| Arc::clone(&it.worker)).collect();
        let failed = |at| move |error| GatewayError::Listen(vec![(at, error)]);
        for (address, listener) in opened {
            let Some(entry) = entries.get(&address) else { continue };
            let door = Door::open(listener, entry, &limits, &workers).map_err(failed(address))?;
            state.doors.insert(address, door);
        }
        let mut unwanted = Vec::new();
        for (_, door) in state.doors.extract_if(.., |at, _| !entries.contains_key(at)) {
            door.shut();
            unwanted.push(door);
        }
        let (shared, grace) = (&self.shared, config.limits.drain);
        let runtime = &self.threads[0].runtime;
        for (address, door) in &mut state.doors {
            let before = entries.get(address).and_then(|entry| door.set(entry, &limits));
            let ending = before.map(|before| door::end(before, Arc::clone(shared), grace));
            state.closing.extend(ending.map(|ending| runtime.spawn(ending)));
        }
        for door in unwanted {
            state.closing.push(runtime.spawn(door.drain(Arc::clone(shared), grace)));
        }
        Ok(())
    }

    /// Tells of single requests as the configuration wants it.
    fn tell_by(&self, config: &GatewayConfig, state: &mut State) -> Result<(), GatewayError> {
        let shared = &self.shared;
        if shared.telemetry.load().is_of(&config.telemetry) {
            return Ok(());
        }
        let (system, runtime) = (&config.system, &self.threads[0].runtime);
        let (telemetry, exporting) =
            Telemetry::new(&config.telemetry, system, &shared.registry, self.log.as_ref(), runtime)
                .map_err(|problem| GatewayError::Config(vec![problem]))?;
        shared.telemetry.store(Arc::new(telemetry));
        let before = std::mem::replace(&mut state.exporting, exporting);
        state.closing.extend(before.map(Exporting::end));
        Ok(())
    }

    /// What is known of each edge.
    pub fn report(&self) -> Vec<EdgeReport> {
        self.shared.reports()
    }

    /// The metrics as Prometheus text.
    pub fn metrics(&self) -> String {
        self.shared.render(Format::Text)
    }

    /// How many connections to one life of an endpoint are in use still, of one that the
    /// configuration has no more. Plain TCP and upgraded connections are not counted: they have
    /// no end of their own.
    pub fn lingering(&self, address: SocketAddr, incarnation: u64) -> usize {
        let chosen =
            |target: &Target| target.address() == address && target.incarnation() == incarnation;
        let pools = self.threads.iter().map(|thread| &thread.worker.pool);
        // A request that had chosen it at the moment when it went may have come since.
        pools.clone().for_each(|pool| pool.retire(|target| !chosen(target)));
        pools.map(|pool| pool.lingering(chosen)).sum()
    }

    /// The certificates that are served now.
    pub fn identities(&self) -> Vec<Served> {
        self.shared.identities.served()
    }

    /// Gets new certificates for all services, or for one.
    pub fn rotate(&self, only: Option<&Name>) {
        self.shared.identities.rotate(only);
    }

    /// The instrument of an edge.
    pub fn instrument(&self, from: &Name, to: &Name) -> Option<Arc<Instrument>> {
        let state = self.state();
        let mut edges = state.snapshot.edges();
        let edge = edges.find(|edge| edge.caller == *from && edge.key.to == *to)?;
        Some(Arc::clone(&edge.instrument))
    }

    /// Listens to live requests of the edges between these ends; `None`: any.
    ///
    /// # Errors
    ///
    /// [`TapError`] when there is no such edge, or too many listen already.
    pub fn tap(
        &self,
        from: Option<&Name>,
        to: Option<&Name>,
        share: Share,
    ) -> Result<Taps, TapError> {
        Taps::open(self.state().snapshot.edges(), from, to, share)
    }

    /// The configuration that is at work.
    pub fn config(&self) -> Option<GatewayConfig> {
        self.state().config.clone()
    }

    /// Copies of all listening sockets, for a hand-over.
    pub fn listeners(&self) -> Vec<TcpListener> {
        let state = self.state();
        state.doors.values().filter_map(|door| door.listener().ok()).collect()
    }

    /// The gateway before may go: this one serves.
    pub fn taken_over(&self) {
        if let Some(inherited) = self.state().inherited.take() {
            // A gateway that is gone needs no word.
            drop(inherited.serving());
        }
    }

    /// Accepts nothing more, lets what is under way end within the limit, and ends.
    pub async fn drain(self) {
        let (doors, mut closing, exporting, grace) = {
            let mut state = self.state();
            let grace = state.config.as_ref().map(|config| config.limits.drain);
            let doors = std::mem::take(&mut state.doors);
            let closing = std::mem::take(&mut state.closing);
            (doors, closing, state.exporting.take(), grace.unwrap_or_default())
        };
        let mut draining = tokio::task::JoinSet::new();
        for door in doors.into_values() {
            draining.spawn(door.drain(Arc::clone(&self.shared), grace));
        }
        while draining.join_next().await.is_some() {}
        // Last, so that it hears of all that has ended now.
        closing.extend(exporting.map(Exporting::end));
        for closing in closing {
            drop(closing.await);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Opens what is not open yet: all or nothing.
    fn open(
        &mut self,
        wanted: BTreeSet<SocketAddr>,
    ) -> Result<Vec<Opened>, Vec<(SocketAddr, io::Error)>> {
        let mut opened = Vec::new();
        let mut failed = Vec::new();
        for address in wanted.into_iter().filter(|address| !self.doors.contains_key(address)) {
            let inherited = self.inherited.as_mut().and_then(|it| it.take(address));
            match inherited.map_or_else(|| listener::bind(address), Ok) {
                Ok(listener) => opened.push((address, listener)),
                Err(error) => failed.push((address, error)),
            }
        }
        if failed.is_empty() { Ok(opened) } else { Err(failed) }
    }
}

impl DataThread {
    fn start(number: usize, shared: &Arc<Shared>, limits: &Limits) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let worker = Arc::new(Worker::new(Arc::clone(shared), limits, handle.clone()));
        shared.add_pool(Arc::clone(&worker.pool));
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name(format!("gateway-{number}")).spawn(move || {
            // A sender that is gone means the same as its word.
            drop(runtime.block_on(stopped));
        })?;
        Ok(Self { runtime: handle, worker, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for DataThread {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Its panic has been told already.
            drop(thread.join());
        }
    }
}

/// The services that a gateway needs a certificate for.
fn spoken_for(config: &GatewayConfig) -> BTreeSet<Name> {
    let mutual = |name: &Name| {
        let cluster = config.clusters.get(name);
        cluster.is_some_and(|it| it.endpoints.iter().any(|endpoint| !endpoint.tls.is_off()))
    };
    let callers = config.edges.iter().filter(|edge| edge.listen.is_some() && mutual(&edge.to));
    let own = config.identity.iter().flat_map(|identity| &identity.services);
    let listening = config.mesh.iter().flat_map(|mesh| &mesh.services);
    callers.map(|edge| &edge.from).chain(own).chain(listening).cloned().collect()
}

fn listening(config: &GatewayConfig) -> Vec<Name> {
    config.mesh.as_ref().map(|mesh| mesh.services.clone()).unwrap_or_default()
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("system", &self.shared.system).finish_non_exhaustive()
    }
}
