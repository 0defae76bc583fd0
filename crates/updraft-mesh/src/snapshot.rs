//! One configuration, compiled: every edge ready for its calls, and what each open port is
//! for. What an edge has learnt (breakers, latencies, budgets, counts) passes from one
//! configuration to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use updraft_resilience::Invalid;
use updraft_system::Name;
use updraft_system::mesh::{
    Calls, ClusterConfig, EdgeSide, EndpointConfig, Framing, GatewayConfig, IngressConfig,
    IngressRoute, Limits, Operation, Protocol, RetryOn,
};

use crate::balance::{Balancer, VersionSplit};
use crate::edge::{Caller, Direction, Edge, EdgeKey};
use crate::instrument::{Instrument, stream};
use crate::observe::{EdgeMetrics, EdgeSpec};
use crate::operations::Operations;
use crate::phase::{PhaseSwitch, PhaseWatch};
use crate::policy;
use crate::shared::Shared;
use crate::target::Targets;
use crate::traffic::Rules;

/// Where connections find their edge: the present form of it, `None` once it is gone.
pub(crate) type Slot = Arc<Place>;

/// The place of one edge, in all its forms.
#[derive(Debug)]
pub(crate) struct Place {
    edge: ArcSwapOption<Edge>,
    /// Moves on when the edge is withdrawn: tunnels end by it.
    switch: PhaseSwitch,
}

/// What a port is for.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    /// The calls of one service to another.
    Edge {
        /// The edge.
        slot: Slot,
        /// Whose port it is.
        caller: Name,
        /// What it leads to.
        to: Name,
        /// What is spoken.
        protocol: Protocol,
    },
    /// The outside.
    Ingress(Arc<ArcSwap<Ingress>>),
    /// Other gateways.
    Mesh(Arc<ArcSwap<Inbound>>),
    /// Metrics and health.
    Admin,
}

/// Public services.
#[derive(Debug, Default)]
pub(crate) struct Ingress {
    /// Path prefixes, the longest first.
    pub(crate) routes: Vec<(String, Arc<Edge>)>,
    /// Whether each connection begins with a header of the PROXY protocol.
    pub(crate) proxy_protocol: bool,
}

/// What other gateways may call here: by caller and callee.
#[derive(Debug, Default)]
pub(crate) struct Inbound {
    pub(crate) edges: BTreeMap<(Name, Name), Slot>,
    pub(crate) protocols: BTreeMap<Name, Protocol>,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    edges: BTreeMap<EdgeKey, Standing>,
    ingress: Arc<ArcSwap<Ingress>>,
    inbound: Arc<ArcSwap<Inbound>>,
    public: Ingress,
    callable: Inbound,
    pub(crate) entries: BTreeMap<SocketAddr, Entry>,
}

/// An edge with its place.
#[derive(Debug)]
struct Standing {
    edge: Arc<Edge>,
    slot: Slot,
    /// What its lasting parts are to become; `None` once they have.
    due: Option<Due>,
}

/// What changes with a configuration of what outlives it.
#[derive(Debug)]
struct Due {
    targets: Targets,
    endpoints: Vec<EndpointConfig>,
    calls_changed: bool,
}

/// An edge that is to be compiled.
struct Planned<'a> {
    key: EdgeKey,
    only: &'a [Operation],
    calls: Calls,
    cluster: &'a ClusterConfig,
    door: Way<'a>,
}

/// How calls come to an edge.
enum Way<'a> {
    Port(SocketAddr),
    /// One service under several paths is one edge.
    Paths(Vec<&'a str>),
    Mesh,
}

impl Snapshot {
    /// Compiles a configuration that has no problems. Calls do not go by it yet, and what
    /// they go by is not touched.
    ///
    /// # Errors
    ///
    /// The edges whose policy cannot be, each with what is wrong.
    pub(crate) fn compile(
        config: &GatewayConfig,
        before: &Self,
        shared: &Shared,
    ) -> Result<Self, Vec<String>> {
        let mut snapshot = Self {
            ingress: Arc::clone(&before.ingress),
            inbound: Arc::clone(&before.inbound),
            ..Self::default()
        };
        let planned = planned(config);
        let metrics = shared.metrics(config.version, planned.iter().map(Planned::spec).collect());
        let limits = Arc::new(config.limits.clone());
        let mut problems = Vec::new();
        for (planned, metrics) in planned.into_iter().zip(metrics) {
            let old = before.edges.get(&planned.key);
            let slot = old.map_or_else(Slot::default, |old| Arc::clone(&old.slot));
            let old = old.map(|old| &*old.edge);
            let made = Made { config, shared, old, limits: &limits, end: slot.switch.watch() };
            match made.compile(&planned, metrics) {
                Ok((edge, due)) => snapshot.add(planned, Arc::new(edge), slot, due),
                Err(invalid) => problems.push(format!("{}: {invalid}", planned.key)),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        snapshot.public.routes.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        snapshot.add_entries(config);
        Ok(snapshot)
    }

    /// Makes it what calls go by, from now on. Gives the places of edges that are withdrawn.
    pub(crate) fn publish(&mut self, before: &Self) -> Vec<Slot> {
        for Standing { edge, slot, due } in self.edges.values_mut() {
            if let Some(due) = due.take() {
                due.take_effect(edge);
            }
            slot.edge.store(Some(Arc::clone(edge)));
        }
        self.ingress.store(Arc::new(std::mem::take(&mut self.public)));
        self.inbound.store(Arc::new(std::mem::take(&mut self.callable)));
        let gone = before.edges.iter().filter(|(key, _)| !self.edges.contains_key(key));
        let gone: Vec<Slot> = gone.map(|(_, standing)| Arc::clone(&standing.slot)).collect();
        gone.iter().for_each(|slot| slot.edge.store(None));
        gone
    }

    /// All edges.
    pub(crate) fn edges(&self) -> impl Iterator<Item = &Arc<Edge>> {
        self.edges.values().map(|standing| &standing.edge)
    }

    fn add(&mut self, planned: Planned<'_>, edge: Arc<Edge>, slot: Slot, due: Due) {
        match planned.door {
            Way::Port(listen) => {
                let entry = Entry::Edge {
                    slot: Arc::clone(&slot),
                    caller: edge.caller.clone(),
                    to: edge.key.to.clone(),
                    protocol: edge.protocol,
                };
                self.entries.insert(listen, entry);
            }
            Way::Paths(paths) => {
                let plain = paths.iter().map(|path| path.trim_end_matches('/').to_owned());
                self.public.routes.extend(plain.map(|path| (path, Arc::clone(&edge))));
            }
            Way::Mesh => {
                let (from, to) = (edge.caller.clone(), planned.key.to.clone());
                self.callable.protocols.insert(to.clone(), edge.protocol);
                self.callable.edges.insert((from, to), Arc::clone(&slot));
            }
        }
        self.edges.insert(planned.key, Standing { edge, slot, due: Some(due) });
    }

    fn add_entries(&mut self, config: &GatewayConfig) {
        if let Some(ingress) = &config.ingress {
            self.public.proxy_protocol = ingress.proxy_protocol;
            self.entries.insert(ingress.listen, Entry::Ingress(Arc::clone(&self.ingress)));
        }
        if let Some(mesh) = &config.mesh {
            self.entries.insert(mesh.listen, Entry::Mesh(Arc::clone(&self.inbound)));
            for service in &mesh.services {
                if let Some(cluster) = config.clusters.get(service) {
                    self.callable.protocols.insert(service.clone(), cluster.protocol);
                }
            }
        }
        if let Some(admin) = config.admin {
            self.entries.insert(admin, Entry::Admin);
        }
    }
}

/// The edges that a configuration asks for.
fn planned(config: &GatewayConfig) -> Vec<Planned<'_>> {
    let served = |name: &Name| config.mesh.as_ref().is_some_and(|it| it.services.contains(name));
    let mut planned = Vec::new();
    for edge in &config.edges {
        let Some(cluster) = config.clusters.get(&edge.to) else { continue };
        let key = |direction| EdgeKey {
            from: Caller::Service(edge.from.clone()),
            to: edge.to.clone(),
            direction,
        };
        if let Some(listen) = edge.listen {
            let (key, calls) = (key(Direction::Outbound), edge.calls.clone());
            let door = Way::Port(listen);
            planned.push(Planned { key, only: &edge.only, calls, cluster, door });
        }
        if served(&edge.to) {
            let (key, calls) = (key(Direction::Inbound), inbound(&edge.calls));
            planned.push(Planned { key, only: &edge.only, calls, cluster, door: Way::Mesh });
        }
    }
    planned.extend(config.ingress.iter().flat_map(|ingress| public(config, ingress)));
    planned
}

/// The edges of the outside: one to each public service.
fn public<'a>(config: &'a GatewayConfig, ingress: &'a IngressConfig) -> Vec<Planned<'a>> {
    let mut services: BTreeMap<&Name, Vec<&str>> = BTreeMap::new();
    for IngressRoute { path, to } in &ingress.routes {
        services.entry(to).or_default().push(path);
    }
    let edge = |(to, paths): (&Name, Vec<&'a str>)| {
        let (from, direction) = (Caller::Outside, Direction::Outbound);
        Some(Planned {
            key: EdgeKey { from, to: to.clone(), direction },
            only: &[],
            calls: ingress.calls.clone(),
            cluster: config.clusters.get(to)?,
            door: Way::Paths(paths),
        })
    };
    services.into_iter().filter_map(edge).collect()
}

impl Planned<'_> {
    fn spec(&self) -> EdgeSpec {
        let mut operations = Operations::new(&self.cluster.operations, self.only).labels();
        // The last one is that of everything else, which metrics have by themselves.
        operations.pop();
        EdgeSpec {
            from: self.key.from.name(),
            to: self.key.to.clone(),
            protocol: self.cluster.protocol,
            side: match self.key.direction {
                Direction::Outbound => EdgeSide::Client,
                Direction::Inbound => EdgeSide::Server,
            },
            operations,
        }
    }
}

/// Attempts of what comes from another gateway: that one retries, this one only goes on to the
/// next endpoint when there was no connection.
const INBOUND_ATTEMPTS: u32 = 3;

/// How a call that comes from another gateway goes on: its retries are that gateway's.
fn inbound(calls: &Calls) -> Calls {
    let mut calls = calls.clone();
    calls.retry.on = [RetryOn::Connect].into();
    calls.retry.attempts = INBOUND_ATTEMPTS;
    calls
}

/// What an edge is made of, beside its plan.
struct Made<'a> {
    config: &'a GatewayConfig,
    shared: &'a Shared,
    old: Option<&'a Edge>,
    limits: &'a Arc<Limits>,
    end: PhaseWatch,
}

impl Made<'_> {
    /// The edge, with what the one before has learnt. What the two have in common becomes
    /// what is due only when calls go by the new one.
    fn compile(
        self,
        planned: &Planned<'_>,
        metrics: Arc<EdgeMetrics>,
    ) -> Result<(Edge, Due), Invalid> {
        let Self { config, shared, old, limits, end } = self;
        let Planned { key, only, calls, cluster, .. } = planned;
        let endpoints = endpoints(cluster, key.direction);
        policy::config(calls).validate()?;
        let balancer = Balancer::new(calls, &endpoints, shared.clock.clone())?;
        let split = cluster.traffic.split.as_ref().map(VersionSplit::new);
        let due = Due {
            targets: Targets::new(shared, key, cluster.protocol, calls.hop, &endpoints),
            endpoints,
            calls_changed: old.is_some_and(|old| old.calls != *calls),
        };
        let edge = Edge {
            caller: key.from.name(),
            protocol: cluster.protocol,
            framing: framing(cluster.framing),
            authorization: config.authorization,
            operations: Operations::new(&cluster.operations, only),
            rules: Rules::new(&cluster.traffic),
            split,
            limits: Arc::clone(limits),
            policy: match old {
                Some(old) => old.policy.clone(),
                None => policy::of(key.to_string(), calls)?,
            },
            instrument: match old {
                Some(old) => Arc::clone(&old.instrument),
                None => Instrument::new(&key.to_string()),
            },
            targets: old.map_or_else(Arc::default, |old| Arc::clone(&old.targets)),
            calls: calls.clone(),
            key: key.clone(),
            balancer: old.map_or_else(|| Arc::new(balancer), |old| Arc::clone(&old.balancer)),
            metrics,
            end,
        };
        Ok((edge, due))
    }
}

impl Due {
    /// Ways first, so that no endpoint is chosen to which none is known; those to the
    /// endpoints before stay for attempts that have chosen one already.
    fn take_effect(self, edge: &Edge) {
        let before = edge.targets.load_full();
        edge.targets.store(Arc::new(self.targets.after(&before)));
        // Both have been found valid.
        drop(edge.balancer.update(&edge.calls, &self.endpoints));
        if self.calls_changed {
            drop(edge.policy.handle().update(|config| *config = policy::config(&edge.calls)));
        }
    }
}

impl Place {
    /// The edge as it is now.
    pub(crate) fn edge(&self) -> Option<Arc<Edge>> {
        self.edge.load_full()
    }

    /// Lets what is under way end within `grace`, once the edge is withdrawn.
    pub(crate) async fn end(&self, grace: Duration) -> bool {
        self.switch.drain(grace).await
    }
}

impl Default for Place {
    fn default() -> Self {
        Self { edge: ArcSwapOption::empty(), switch: PhaseSwitch::new() }
    }
}

impl Entry {
    /// Whether a connection that came for the one has come for the other.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Edge { slot, protocol, .. },
                Self::Edge { slot: other, protocol: spoken, .. },
            ) => Arc::ptr_eq(slot, other) && protocol == spoken,
            (Self::Ingress(_), Self::Ingress(_))
            | (Self::Mesh(_), Self::Mesh(_))
            | (Self::Admin, Self::Admin) => true,
            _ => false,
        }
    }
}

/// All addresses that a configuration listens at.
pub(crate) fn addresses(config: &GatewayConfig) -> BTreeSet<SocketAddr> {
    let edges = config.edges.iter().filter_map(|edge| edge.listen);
    let ingress = config.ingress.iter().map(|ingress| ingress.listen);
    let mesh = config.mesh.iter().map(|mesh| mesh.listen);
    edges.chain(ingress).chain(mesh).chain(config.admin).collect()
}

fn framing(framing: Framing) -> stream::Protocol {
    match framing {
        Framing::Opaque => stream::Protocol::Opaque,
        Framing::Postgres => stream::Protocol::Postgres,
        Framing::Redis => stream::Protocol::Redis,
    }
}

/// Those that a call of this direction may go to: out by mutual TLS where there is any
/// gateway, in to programs of this machine alone.
fn endpoints(cluster: &ClusterConfig, direction: Direction) -> Vec<EndpointConfig> {
    let mutual = cluster.endpoints.iter().any(|endpoint| !endpoint.tls.is_off());
    let wanted = direction == Direction::Outbound && mutual;
    let of_kind = |endpoint: &&EndpointConfig| endpoint.tls.is_off() != wanted;
    cluster.endpoints.iter().filter(of_kind).cloned().collect()
}
