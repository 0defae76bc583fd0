//! The graph of a system with what goes along its edges: what the manifest declares and what
//! the gateway sees, put together.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use updraft_system::mesh::Protocol;
use updraft_system::{Name, ResourceKind, System};

use crate::wire_rates::Edge;

/// Nodes and edges, from the outside inwards.
#[derive(Debug)]
pub(crate) struct Topology {
    pub(crate) nodes: Vec<Node>,
    pub(crate) links: Vec<Link>,
}

/// A node of the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) name: Name,
    pub(crate) kind: NodeKind,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NodeKind {
    /// Whoever comes in.
    Outside,
    Service,
    /// With the word for its kind.
    Resource(&'static str),
}

/// An edge of the graph.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) from: Name,
    pub(crate) to: Name,
    pub(crate) protocol: Option<Protocol>,
    /// What the gateway sees; `None`: the calls go past it.
    pub(crate) seen: Option<Edge>,
}

impl Topology {
    /// Puts both together.
    pub(crate) fn of(system: &System, seen: Vec<Edge>) -> Self {
        let mut seen: BTreeMap<(Name, Name), Edge> = seen
            .into_iter()
            .map(|edge| ((edge.report.from.clone(), edge.report.to.clone()), edge))
            .collect();
        let mut declared: BTreeSet<(Name, Name)> = seen.keys().cloned().collect();
        for service in system.services.values() {
            if service.route.is_some() {
                declared.insert((Name::ingress(), service.name.clone()));
            }
            let needs = service.needs.iter().map(|need| need.target.name().clone());
            declared.extend(needs.map(|need| (service.name.clone(), need)));
        }
        let order = order(system, &declared);
        let nodes = order.iter().map(|name| node(system, name)).collect();
        let place = |name: &Name| order.iter().position(|known| known == name);
        let mut declared: Vec<_> = declared.into_iter().collect();
        declared.sort_by_key(|(from, to)| (place(from), place(to)));
        let links = declared.into_iter().map(|(from, to)| {
            let seen = seen.remove(&(from.clone(), to.clone()));
            let protocol = seen.as_ref().map(|edge| edge.report.protocol);
            let protocol = protocol.or_else(|| Some(system.services.get(&to)?.protocol));
            Link { from, to, protocol, seen }
        });
        Self { links: links.collect(), nodes }
    }
}

impl Link {
    /// Whether anything was ever carried, as far as it can be seen.
    pub(crate) fn was_used(&self) -> bool {
        self.seen.as_ref().is_some_and(Edge::was_used)
    }
}

/// All nodes: by their distance from the outside, then those that nothing leads to.
fn order(system: &System, edges: &BTreeSet<(Name, Name)>) -> Vec<Name> {
    let mut order = Vec::new();
    let outside = Name::ingress();
    let comes_in = edges.iter().any(|(from, _)| *from == outside);
    let called: BTreeSet<&Name> = edges.iter().map(|(_, to)| to).collect();
    let roots = system.services.keys().filter(|name| !called.contains(name));
    let first = comes_in.then_some(&outside).into_iter().chain(roots);
    // Those in a circle that nothing leads into come after all others.
    let rest = system.services.keys().chain(system.resources.keys());
    for start in first.chain(rest) {
        let mut next = VecDeque::from([start]);
        while let Some(name) = next.pop_front() {
            if order.contains(name) {
                continue;
            }
            order.push(name.clone());
            next.extend(edges.iter().filter(|(from, _)| from == name).map(|(_, to)| to));
        }
    }
    order
}

fn node(system: &System, name: &Name) -> Node {
    let kind = match system.resources.get(name) {
        Some(resource) => NodeKind::Resource(kind_in_words(&resource.kind)),
        None if *name == Name::ingress() => NodeKind::Outside,
        None => NodeKind::Service,
    };
    Node { name: name.clone(), kind }
}

fn kind_in_words(kind: &ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Sql => "sql",
        ResourceKind::Cache => "cache",
        ResourceKind::Queue { .. } => "queue",
        ResourceKind::Blob => "blob",
        ResourceKind::Postgres { .. } => "postgres",
        ResourceKind::Redis { .. } => "redis",
        ResourceKind::Nats { .. } => "nats",
    }
}

impl NodeKind {
    /// Its word in JSON.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Outside => "outside",
            Self::Service => "service",
            Self::Resource(_) => "resource",
        }
    }
}
