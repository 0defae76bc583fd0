//! What is wrong with the configuration of a gateway, all at once: what cannot be true
//! whatever the types allow. It is found before the configuration is taken, so that a gateway
//! goes on with the last good one.

mod calls;
mod cluster;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::{EdgeConfig, EndpointTls, GatewayConfig, IngressConfig, Limits, text};
use crate::{Name, nearest};

/// One thing that is wrong with the configuration of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayProblem {
    /// Where: a JSON pointer (RFC 6901), such as `/edges/0/calls/retry/attempts`.
    pub pointer: String,
    /// What is wrong, and how to mend it.
    pub message: String,
    /// Whether a gateway can run with it.
    pub severity: Severity,
    /// Where it is in the text, if it comes from one that has places.
    pub place: Option<Place>,
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It may be so for a while, such as a split to a version that has no endpoint yet.
    Warning,
    /// The configuration must not be taken.
    Error,
}

/// A place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for GatewayProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Place { line, column }) = self.place {
            write!(f, "{line}:{column}: ")?;
        }
        if !self.pointer.is_empty() {
            write!(f, "{}: ", self.pointer)?;
        }
        f.write_str(&self.message)
    }
}

/// A place in the configuration on the way down.
#[derive(Clone, Debug, Default)]
pub(super) struct Pointer(String);

impl Pointer {
    pub(super) fn key(&self, key: impl fmt::Display) -> Self {
        let escaped = key.to_string().replace('~', "~0").replace('/', "~1");
        Self(format!("{}/{escaped}", self.0))
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// What was found so far.
#[derive(Debug, Default)]
struct Findings(Vec<GatewayProblem>);

impl Findings {
    fn error(&mut self, at: Pointer, message: impl Into<String>) {
        self.add(at, message.into(), Severity::Error);
    }

    fn warning(&mut self, at: Pointer, message: impl Into<String>) {
        self.add(at, message.into(), Severity::Warning);
    }

    fn add(&mut self, at: Pointer, message: String, severity: Severity) {
        self.0.push(GatewayProblem { pointer: at.0, message, severity, place: None });
    }

    /// A time that must pass before something happens cannot be none.
    fn some_time(&mut self, at: &Pointer, key: &str, span: Duration) {
        if span.is_zero() {
            self.error(at.key(key), "this must be longer than no time");
        }
    }

    fn at_least_one(&mut self, at: &Pointer, key: &str, number: u32) {
        if number == 0 {
            self.error(at.key(key), "this must be at least 1");
        }
    }
}

impl GatewayConfig {
    /// Everything that is wrong with the configuration beyond its form, in its own order.
    #[must_use]
    pub fn problems(&self) -> Vec<GatewayProblem> {
        let mut findings = Findings::default();
        let root = Pointer::default();
        self.check_edges(&root.key("edges"), &mut findings);
        for (name, cluster) in &self.clusters {
            let mutual = self.identity.is_some();
            cluster::check(cluster, mutual, &root.key("clusters").key(name), &mut findings);
        }
        if let Some(ingress) = &self.ingress {
            self.check_ingress(ingress, &root.key("ingress"), &mut findings);
        }
        self.check_mesh(&root, &mut findings);
        self.check_addresses(&root, &mut findings);
        if let Some(otlp) = &self.telemetry.otlp
            && !text::is_otlp_address(otlp)
        {
            let message = format!(
                "`{otlp}` is not the address of an OTLP/HTTP receiver: write one such as \
                 http://127.0.0.1:4318"
            );
            findings.error(root.key("telemetry").key("otlp"), message);
        }
        check_limits(&self.limits, &root.key("limits"), &mut findings);
        findings.0
    }

    fn check_edges(&self, at: &Pointer, findings: &mut Findings) {
        let mut known: BTreeMap<(&Name, &Name), usize> = BTreeMap::new();
        for (position, edge) in self.edges.iter().enumerate() {
            let at = at.key(position);
            if let Some(first) = known.get(&(&edge.from, &edge.to)) {
                let (from, to) = (&edge.from, &edge.to);
                let message = format!("edge {first} leads from `{from}` to `{to}` already");
                findings.error(at.clone(), message);
            } else {
                known.insert((&edge.from, &edge.to), position);
            }
            let Some(cluster) = self.clusters.get(&edge.to) else {
                self.unknown_cluster(&edge.to, at.key("to"), findings);
                continue;
            };
            cluster::check_only(&edge.only, cluster, &at.key("only"), findings);
            calls::check(&edge.calls, Some(cluster.protocol), &at.key("calls"), findings);
            self.check_ends(edge, &at, findings);
        }
    }

    /// The gateways at both ends of an edge must be able to show who they are.
    fn check_ends(&self, edge: &EdgeConfig, at: &Pointer, findings: &mut Findings) {
        let EdgeConfig { from, to, listen, .. } = edge;
        match (&self.mesh, listen) {
            (None, None) => {
                let message = "the caller's gateway is another one, and there is no `mesh` \
                               where it could come in: add `listen` or `mesh`";
                findings.error(at.key("listen"), message);
            }
            (Some(mesh), None) if !mesh.services.contains(to) => {
                let message = format!(
                    "calls from other gateways lead to `{to}`, which is not in /mesh/services"
                );
                findings.error(at.key("to"), message);
            }
            (_, None) => {}
            (_, Some(_)) => {
                let cluster = self.clusters.get(to);
                let endpoints = cluster.iter().flat_map(|cluster| &cluster.endpoints);
                let mutual = endpoints.filter(|one| one.tls == EndpointTls::Mutual).count();
                let identity = self.identity.as_ref();
                if mutual != 0 && identity.is_some_and(|it| !it.services.contains(from)) {
                    let message =
                        format!("`{from}` calls by mutual TLS, and is not in /identity/services");
                    findings.error(at.key("from"), message);
                }
            }
        }
    }

    fn check_ingress(&self, ingress: &IngressConfig, at: &Pointer, findings: &mut Findings) {
        calls::check(&ingress.calls, None, &at.key("calls"), findings);
        let mut taken: BTreeMap<&str, &Name> = BTreeMap::new();
        for (position, route) in ingress.routes.iter().enumerate() {
            let at = at.key("routes").key(position);
            if !text::is_absolute_path(&route.path) {
                let message = format!("`{}` is not a path that starts with `/`", route.path);
                findings.error(at.key("path"), message);
            }
            // `/api` and `/api/` are the same prefix of whole segments.
            let plain = route.path.trim_end_matches('/');
            if let Some(first) = taken.insert(plain, &route.to) {
                let message = format!("`{first}` is public under `{}` already", route.path);
                findings.error(at.key("path"), message);
            }
            match self.clusters.get(&route.to) {
                None => self.unknown_cluster(&route.to, at.key("to"), findings),
                Some(cluster) if !cluster.protocol.is_http() => {
                    let message = format!(
                        "`{}` speaks tcp: there are no requests that a path could lead to it",
                        route.to
                    );
                    findings.error(at.key("to"), message);
                }
                Some(_) => {}
            }
        }
    }

    fn check_mesh(&self, root: &Pointer, findings: &mut Findings) {
        let Some(mesh) = &self.mesh else {
            return;
        };
        if self.identity.is_none() {
            let message = "other gateways come in by mutual TLS, and there is no `identity` to \
                           show them";
            findings.error(root.key("mesh"), message);
        }
        let mut known = BTreeSet::new();
        for (position, service) in mesh.services.iter().enumerate() {
            let at = root.key("mesh").key("services").key(position);
            if !known.insert(service) {
                findings.error(at.clone(), format!("`{service}` is in the list already"));
            }
            if !self.clusters.contains_key(service) {
                self.unknown_cluster(service, at.clone(), findings);
            }
            if self.identity.as_ref().is_some_and(|own| !own.services.contains(service)) {
                let message = format!("`{service}` is not in /identity/services");
                findings.error(at, message);
            }
        }
    }

    fn unknown_cluster(&self, name: &Name, at: Pointer, findings: &mut Findings) {
        let mut message = format!("there is no cluster `{name}`");
        let known = self.clusters.keys().map(Name::as_str);
        if let Some(near) = nearest(name.as_str(), known) {
            message += &format!(": did you mean `{near}`?");
        }
        findings.error(at, message);
    }

    /// Each address is listened on once. Port 0 is another port each time.
    fn check_addresses(&self, root: &Pointer, findings: &mut Findings) {
        let edges = self.edges.iter().enumerate();
        let edges = edges.filter_map(|(position, edge)| {
            Some((root.key("edges").key(position).key("listen"), edge.listen?))
        });
        let ingress = self.ingress.iter().map(|it| (root.key("ingress").key("listen"), it.listen));
        let mesh = self.mesh.iter().map(|it| (root.key("mesh").key("listen"), it.listen));
        let admin = self.admin.iter().map(|it| (root.key("admin"), *it));
        let all: Vec<_> = edges.chain(ingress).chain(mesh).chain(admin).collect();
        for (position, (at, address)) in all.iter().enumerate() {
            let earlier = all.iter().take(position).find(|(_, other)| collide(*other, *address));
            if let Some((first, _)) = earlier {
                let message = format!("{address} is listened on by {} already", first.0);
                findings.error(at.clone(), message);
            }
        }
    }
}

/// Whether two listeners cannot be at once: one port, and one address or all addresses.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let any = one.ip().is_unspecified() || other.ip().is_unspecified();
    let same_family = one.is_ipv4() == other.is_ipv4();
    one.port() == other.port() && one.port() != 0 && (one.ip() == other.ip() || any && same_family)
}

fn check_limits(limits: &Limits, at: &Pointer, findings: &mut Findings) {
    findings.at_least_one(at, "connections", limits.connections);
    findings.at_least_one(at, "head_bytes", limits.head_bytes);
    findings.at_least_one(at, "head_fields", limits.head_fields);
    findings.at_least_one(at, "streams", limits.streams);
    findings.some_time(at, "head_timeout", limits.head_timeout);
    findings.some_time(at, "keep_alive", limits.keep_alive);
    findings.some_time(at, "upstream_idle", limits.upstream_idle);
    findings.some_time(at, "connect_timeout", limits.connect_timeout);
    findings.some_time(at, "tunnel_idle", limits.tunnel_idle);
    findings.some_time(at, "tunnel_linger", limits.tunnel_linger);
}

#[cfg(test)]
#[path = "problems_tests.rs"]
mod tests;
