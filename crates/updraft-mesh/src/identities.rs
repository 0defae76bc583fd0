//! The services that this gateway speaks for: their certificates, kept fresh, and the TLS
//! configurations that use them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::{ClientConfig, ServerConfig};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use updraft_system::Name;
use updraft_system::mesh::Served;

use crate::identity::{
    Alpn, Denied, Issuer, LocalIssuer, RemoteIssuer, SpiffeId, Trust, WallClock, Workload,
    client_config, server_config,
};
use crate::pool::TargetTls;

/// Where certificates come from.
#[derive(Clone, Debug)]
pub enum Certificates {
    /// An authority of this process.
    Local(LocalIssuer),
    /// That of another one, behind its control socket.
    Remote(std::path::PathBuf),
}

/// All of them.
pub(crate) struct Identities {
    system: Name,
    source: Option<Certificates>,
    trust: Arc<Trust>,
    denied: Arc<Denied>,
    state: Mutex<State>,
    server: ArcSwapOption<ServerConfig>,
}

#[derive(Default)]
struct State {
    workloads: BTreeMap<Name, Held>,
    /// One configuration for each pair, so that connections of equal targets are shared.
    clients: BTreeMap<(Name, Name, &'static [u8]), Arc<ClientConfig>>,
    /// Services behind the mesh listener.
    listening: Vec<Name>,
}

/// A service with the task that keeps its certificate fresh.
struct Held {
    workload: Arc<Workload>,
    renewing: JoinHandle<()>,
}

impl Identities {
    /// None yet. Without a source there is never any.
    pub(crate) fn new(system: Name, source: Option<Certificates>) -> Self {
        let trust = Arc::new(Trust::new(system.clone()));
        let denied = Arc::new(ArcSwap::from_pointee(BTreeSet::new()));
        Self {
            system,
            source,
            trust,
            denied,
            state: Mutex::default(),
            server: ArcSwapOption::empty(),
        }
    }

    /// Speaks for these services from now on, and listens for those of `listening`. Renewal
    /// runs on `runtime`.
    pub(crate) fn set(&self, services: &BTreeSet<Name>, listening: &[Name], runtime: &Handle) {
        let Some(source) = &self.source else { return };
        let mut state = self.state();
        state.workloads.retain(|name, held| {
            let kept = services.contains(name);
            if !kept {
                held.renewing.abort();
            }
            kept
        });
        for name in services {
            if !state.workloads.contains_key(name) {
                state.workloads.insert(name.clone(), self.hold(source, name, runtime));
            }
        }
        state.clients.retain(|(from, ..), _| services.contains(from));
        if state.listening != listening || self.server.load().is_none() {
            listening.clone_into(&mut state.listening);
            let listening = listening.iter().filter_map(|name| state.workloads.get(name));
            let workloads: Vec<_> = listening.map(|held| Arc::clone(&held.workload)).collect();
            let alpn = [Alpn::H2, Alpn::Http1, Alpn::Tcp];
            self.server.store(server_config(&workloads, &self.denied, &alpn).ok());
        }
    }

    fn hold(&self, source: &Certificates, name: &Name, runtime: &Handle) -> Held {
        let id = SpiffeId::new(self.system.clone(), name.clone());
        let workload = Arc::new(Workload::new(id, Arc::clone(&self.trust), WallClock::System));
        let renewed = Arc::clone(&workload);
        let renewing = match source.clone() {
            Certificates::Local(issuer) => runtime.spawn(keep(renewed, issuer)),
            Certificates::Remote(socket) => runtime.spawn(keep(renewed, RemoteIssuer::new(socket))),
        };
        Held { workload, renewing }
    }

    /// For connections of `from` to `to`; `None`: this gateway does not speak for `from`.
    pub(crate) fn client(&self, from: &Name, to: SpiffeId, alpn: Alpn) -> Option<TargetTls> {
        let mut state = self.state();
        let name = to.server_name().ok()?;
        let key = (from.clone(), to.service().clone(), alpn.as_bytes());
        if let Some(config) = state.clients.get(&key) {
            return Some(TargetTls { config: Arc::clone(config), name });
        }
        let workload = &state.workloads.get(from)?.workload;
        let config = client_config(workload, to, &self.denied, &[alpn]).ok()?;
        state.clients.insert(key, Arc::clone(&config));
        Some(TargetTls { config, name })
    }

    /// For the mesh listener; `None`: nobody is behind it.
    pub(crate) fn server(&self) -> Option<Arc<ServerConfig>> {
        self.server.load_full()
    }

    /// The service that a client asks for by this name.
    pub(crate) fn listening(&self, server_name: &str) -> Option<Name> {
        let state = self.state();
        let named =
            |name: &&Name| SpiffeId::new(self.system.clone(), (*name).clone()).sni() == server_name;
        state.listening.iter().find(named).cloned()
    }

    /// What is served now.
    pub(crate) fn served(&self) -> Vec<Served> {
        let state = self.state();
        state.workloads.values().map(|held| held.workload.served().borrow().clone()).collect()
    }

    /// Asks for new certificates of all, or of one.
    pub(crate) fn rotate(&self, only: Option<&Name>) {
        let state = self.state();
        for (name, held) in &state.workloads {
            if only.is_none_or(|only| only == name) {
                held.workload.rotate();
            }
        }
    }

    /// Whether every service has a certificate.
    pub(crate) fn is_ready(&self) -> bool {
        self.state().workloads.values().all(|held| held.workload.certified().is_some())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn keep(workload: Arc<Workload>, issuer: impl Issuer) {
    workload.run(&issuer).await;
}

impl Drop for Identities {
    fn drop(&mut self) {
        for held in self.state().workloads.values() {
            held.renewing.abort();
        }
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identities").field("system", &self.system).finish_non_exhaustive()
    }
}
