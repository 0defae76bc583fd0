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
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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

/// From one look at the requests of an endpoint that was withdrawn to the next.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The wire of one run. Clones are handles of the same one.
#[derive(Clone)]
pub(crate) struct Wire(Arc<Inner>);

struct Inner {
    board: watch::Sender<Board>,
    state: Mutex<State>,
}

struct State {
    /// The graph that the gateway goes by.
    system: System,
    /// Ports by owner, those that the graph fixes too.
    ports: BTreeMap<String, u16>,
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
        let Parts { system, board, ports, scopes, issuer, log, resources } = parts;
        let ports = with_fixed(ports, &system);
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
        let gateway = Some(gateway);
        let state = State { system, ports, gateway, version: 1, told, resources, traffic };
        Ok(Self(Arc::new(Inner { board, state: Mutex::new(state) })))
    }

    /// Tells the gateway what is new on the board.
    ///
    /// # Errors
    ///
    /// Why the gateway goes on as before.
    pub(crate) fn sync(&self) -> Result<(), GatewayError> {
        self.state().sync(&self.0.board)
    }

    /// Goes by another graph from now on, and by what `turn` makes of the board: the gateway
    /// sees both at once or neither.
    ///
    /// # Errors
    ///
    /// Why the gateway goes on as before; then `turn` was called, and is to be taken back.
    pub(crate) fn turn_over(
        &self,
        system: System,
        ports: BTreeMap<String, u16>,
        turn: impl FnOnce(&mut Board),
    ) -> Result<(), GatewayError> {
        let mut state = self.state();
        let ports = with_fixed(ports, &system);
        let before = (
            std::mem::replace(&mut state.system, system),
            std::mem::replace(&mut state.ports, ports),
        );
        self.0.board.send_modify(turn);
        state.sync(&self.0.board).inspect_err(|_| (state.system, state.ports) = before)
    }

    /// Waits until no request that was sent to this life of an endpoint is under way; at most
    /// as long as `limit`. It is to be withdrawn before.
    pub(crate) async fn let_go(&self, port: u16, pid: u32, limit: Duration) {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let ends = tokio::time::Instant::now() + limit;
        while tokio::time::Instant::now() < ends {
            let left = self.with(|gateway| gateway.lingering(address, u64::from(pid)));
            if left.unwrap_or_default() == 0 {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
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
        let services = state.system.services.values().filter(|service| service.has_address());
        let traffic = services.map(|service| {
            let changed = state.traffic.get(&service.name).unwrap_or(&service.traffic);
            (service.name.clone(), changed.clone())
        });
        traffic.collect()
    }

    /// The address by which `from` calls a service.
    pub(crate) fn service_url(&self, from: &Name, to: &Name) -> Option<String> {
        let state = self.state();
        let port = state.ports.get(&config::edge(from, to))?;
        Some(format!("http://127.0.0.1:{port}"))
    }

    /// The address by which `from` reaches a resource: through the gateway where it is behind
    /// one.
    pub(crate) fn resource_url(&self, from: &Name, to: &Name, url: &ResourceUrl) -> ResourceUrl {
        let state = self.state();
        match state.ports.get(&config::edge(from, to)) {
            Some(port) if state.resources.contains_key(to) => url.through(*port),
            _ => url.clone(),
        }
    }

    /// The port where the outside comes in.
    pub(crate) fn ingress(&self) -> Option<u16> {
        self.state().ports.get(config::INGRESS).copied()
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

impl State {
    fn sync(&mut self, board: &watch::Sender<Board>) -> Result<(), GatewayError> {
        let config = {
            let board = board.borrow();
            let Self { system, ports, resources, traffic, version, .. } = self;
            situation(system, ports, resources, &board, traffic).config(*version)
        };
        if config == self.told {
            return Ok(());
        }
        let config = GatewayConfig { version: self.version + 1, ..config };
        if let Some(gateway) = &self.gateway {
            gateway.apply(&config)?;
        }
        self.version += 1;
        self.told = config;
        Ok(())
    }
}

/// The reserved ports with those that the graph fixes.
fn with_fixed(mut ports: BTreeMap<String, u16>, system: &System) -> BTreeMap<String, u16> {
    let fixed = [(config::INGRESS, system.mesh.ingress), (config::ADMIN, system.mesh.admin)];
    ports.extend(fixed.into_iter().filter_map(|(owner, port)| Some((owner.to_owned(), port?))));
    ports
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
        f.debug_tuple("Wire").field(&self.state().system.name).finish_non_exhaustive()
    }
}
