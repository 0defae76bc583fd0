//! The wire of a run: the gateway on every edge, always in step with the board.
//!
//! Whoever changes the readiness of a replica tells the wire before anything else happens, so
//! that a replica gets no more calls by the time it is asked to end.

mod address;
mod attest;
mod authority;
mod config;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use updraft_mesh::{Certificates, EventSink, Gateway, GatewayError, LocalIssuer, Options};
use updraft_system::mesh::{Framing, GatewayConfig, Traffic};
use updraft_system::{Name, System};

use crate::board::Board;
use crate::resource::{ResourcePlan, ResourceUrl};
use crate::scope::Scopes;

use attest::ScopeAttest;
pub(crate) use authority::KeepError;
pub(crate) use authority::KeptAuthority;
use config::Situation;

/// The wire of one run. Clones are handles of the same one.
#[derive(Clone)]
pub(crate) struct Wire(Arc<Inner>);

struct Inner {
    system: System,
    board: watch::Sender<Board>,
    ports: BTreeMap<String, u16>,
    state: Mutex<State>,
}

struct State {
    /// `None` once the run has ended.
    gateway: Option<Gateway>,
    version: u64,
    /// What the gateway goes by, to see whether there is anything new.
    told: GatewayConfig,
    resources: BTreeMap<Name, Behind>,
    traffic: BTreeMap<Name, Traffic>,
}

/// A resource that is behind the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Behind {
    pub(crate) address: SocketAddr,
    pub(crate) framing: Framing,
}

/// What a wire is made of.
pub(crate) struct Parts {
    pub(crate) system: System,
    pub(crate) board: watch::Sender<Board>,
    /// Reserved ports by owner.
    pub(crate) ports: BTreeMap<String, u16>,
    pub(crate) scopes: Scopes,
    pub(crate) issuer: LocalIssuer,
    pub(crate) log: Arc<dyn EventSink>,
    pub(crate) resources: BTreeMap<Name, Behind>,
}

/// The owners of the ports that a system's wire needs, beside those of its processes.
pub(crate) fn owners(system: &System) -> Vec<String> {
    let edges = system.services.values().flat_map(|service| {
        service.needs.iter().map(|need| config::edge(&service.name, need.target.name()))
    });
    let mut owners: Vec<String> = edges.collect();
    owners.push(config::MESH.to_owned());
    if system.mesh.admin.is_none() {
        owners.push(config::ADMIN.to_owned());
    }
    if system.mesh.ingress.is_none() {
        owners.push(config::INGRESS.to_owned());
    }
    owners
}

/// The resources that are behind the gateway.
pub(crate) fn behind(resources: &BTreeMap<Name, ResourcePlan>) -> BTreeMap<Name, Behind> {
    let behind = |(name, plan): (&Name, &ResourcePlan)| {
        let address = address::endpoint(&plan.url)?;
        let framing = match plan.url.scheme().as_str() {
            "postgres" | "postgresql" => Framing::Postgres,
            "redis" => Framing::Redis,
            _ => Framing::Opaque,
        };
        Some((name.clone(), Behind { address, framing }))
    };
    resources.iter().filter_map(behind).collect()
}

impl Wire {
    /// Opens every port of the wire.
    pub(crate) fn open(parts: Parts) -> Result<Self, GatewayError> {
        let Parts { system, board, mut ports, scopes, issuer, log, resources } = parts;
        let fixed = [(config::INGRESS, system.mesh.ingress), (config::ADMIN, system.mesh.admin)];
        ports.extend(fixed.into_iter().filter_map(|(owner, port)| Some((owner.to_owned(), port?))));
        let traffic = BTreeMap::new();
        let told = {
            let board = board.borrow();
            situation(&system, &ports, &resources, &board, &traffic).config(1)
        };
        let gateway = Gateway::start(
            &told,
            Options {
                attest: Some(Arc::new(ScopeAttest::new(scopes))),
                certificates: Some(Certificates::Local(issuer)),
                log: Some(log),
                ..Options::default()
            },
        )?;
        let state = State { gateway: Some(gateway), version: 1, told, resources, traffic };
        Ok(Self(Arc::new(Inner { system, board, ports, state: Mutex::new(state) })))
    }

    /// Tells the gateway what is new on the board.
    ///
    /// # Errors
    ///
    /// Why the gateway goes on as before.
    pub(crate) fn sync(&self) -> Result<(), GatewayError> {
        let mut state = self.state();
        let state = &mut *state;
        let Inner { system, board, ports, .. } = &*self.0;
        let config = {
            let board = board.borrow();
            let situation = situation(system, ports, &state.resources, &board, &state.traffic);
            situation.config(state.version)
        };
        if config == state.told {
            return Ok(());
        }
        let config = GatewayConfig { version: state.version + 1, ..config };
        if let Some(gateway) = &state.gateway {
            gateway.apply(&config)?;
        }
        state.version += 1;
        state.told = config;
        Ok(())
    }

    /// These resources are behind the gateway from now on.
    pub(crate) fn set_resources(
        &self,
        resources: BTreeMap<Name, Behind>,
    ) -> Result<(), GatewayError> {
        self.state().resources = resources;
        self.sync()
    }

    /// Changes the traffic to a service; `None`: what the manifest says.
    pub(crate) fn set_traffic(
        &self,
        service: &Name,
        traffic: Option<Traffic>,
    ) -> Result<(), GatewayError> {
        let before = {
            let mut state = self.state();
            match traffic {
                Some(traffic) => state.traffic.insert(service.clone(), traffic),
                None => state.traffic.remove(service),
            }
        };
        self.sync().inspect_err(|_| {
            let mut state = self.state();
            match before {
                Some(before) => drop(state.traffic.insert(service.clone(), before)),
                None => drop(state.traffic.remove(service)),
            }
        })
    }

    /// The traffic of each service as it is now.
    pub(crate) fn traffic(&self) -> BTreeMap<Name, Traffic> {
        let state = self.state();
        let services = self.0.system.services.values().filter(|service| service.has_address());
        let traffic = services.map(|service| {
            let changed = state.traffic.get(&service.name).unwrap_or(&service.traffic);
            (service.name.clone(), changed.clone())
        });
        traffic.collect()
    }

    /// The address by which `from` calls a service.
    pub(crate) fn service_url(&self, from: &Name, to: &Name) -> Option<String> {
        let port = self.0.ports.get(&config::edge(from, to))?;
        Some(format!("http://127.0.0.1:{port}"))
    }

    /// The address by which `from` reaches a resource: through the gateway where it is behind
    /// one.
    pub(crate) fn resource_url(&self, from: &Name, to: &Name, url: &ResourceUrl) -> ResourceUrl {
        let behind = self.state().resources.contains_key(to);
        match self.0.ports.get(&config::edge(from, to)) {
            Some(port) if behind => url.through(*port),
            _ => url.clone(),
        }
    }

    /// The port where the outside comes in.
    pub(crate) fn ingress(&self) -> Option<u16> {
        self.0.ports.get(config::INGRESS).copied()
    }

    /// Uses the gateway; `None` once the run has ended.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&Gateway) -> T) -> Option<T> {
        self.state().gateway.as_ref().map(act)
    }

    /// Lets what is under way end, and closes.
    pub(crate) async fn close(&self) {
        let gateway = self.state().gateway.take();
        if let Some(gateway) = gateway {
            gateway.drain().await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn situation<'a>(
    system: &'a System,
    ports: &'a BTreeMap<String, u16>,
    resources: &'a BTreeMap<Name, Behind>,
    board: &'a Board,
    traffic: &'a BTreeMap<Name, Traffic>,
) -> Situation<'a> {
    Situation { system, ports, resources, board, traffic }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Wire").field(&self.0.system.name).finish_non_exhaustive()
    }
}
