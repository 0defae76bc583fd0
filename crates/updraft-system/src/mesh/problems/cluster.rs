//! What is wrong with a cluster: its endpoints, operations and traffic.

use std::collections::{BTreeMap, BTreeSet};

use super::{Findings, Pointer};
use crate::mesh::{
    Action, ClusterConfig, EndpointTls, Matches, Operation, Redirect, Split, TrafficRule, text,
};
use crate::{Name, nearest};

/// `has_identity`: whether the gateway has certificates.
pub(super) fn check(
    cluster: &ClusterConfig,
    has_identity: bool,
    at: &Pointer,
    findings: &mut Findings,
) {
    check_endpoints(cluster, has_identity, &at.key("endpoints"), findings);
    check_operations(cluster, &at.key("operations"), findings);
    let at = at.key("traffic");
    if let Some(split) = &cluster.traffic.split {
        check_split(split, cluster, &at.key("split"), findings);
    }
    let rules = at.key("rules");
    if !cluster.protocol.is_http() && !cluster.traffic.rules.is_empty() {
        findings.error(rules.clone(), "tcp has no requests that a rule could be for");
    }
    let mut names: BTreeMap<&Name, usize> = BTreeMap::new();
    for (position, rule) in cluster.traffic.rules.iter().enumerate() {
        let at = rules.key(position);
        if let Some(first) = names.get(&rule.name) {
            let message = format!("rule {first} is called `{}` already", rule.name);
            findings.error(at.key("name"), message);
        } else {
            names.insert(&rule.name, position);
        }
        check_rule(rule, cluster, &at, findings);
    }
}

fn check_endpoints(
    cluster: &ClusterConfig,
    has_identity: bool,
    at: &Pointer,
    findings: &mut Findings,
) {
    let mut addresses = BTreeMap::new();
    for (position, endpoint) in cluster.endpoints.iter().enumerate() {
        let at = at.key(position);
        let address = endpoint.address;
        if address.port() == 0 {
            findings.error(at.key("address"), "nothing can listen on port 0");
        } else if let Some(first) = addresses.insert(address, position) {
            let message = format!("endpoint {first} is at {address} already");
            findings.error(at.key("address"), message);
        }
        if endpoint.tls == EndpointTls::Mutual && !has_identity {
            let message = "mutual TLS needs a certificate, and there is no `identity`";
            findings.error(at.key("tls"), message);
        }
    }
    let mut weights = cluster.endpoints.iter().map(|endpoint| endpoint.weight);
    if !cluster.endpoints.is_empty() && weights.all(|weight| weight == 0) {
        findings.error(at.clone(), "all weights are 0, so that no endpoint would get work");
    }
}

fn check_operations(cluster: &ClusterConfig, at: &Pointer, findings: &mut Findings) {
    if !cluster.protocol.is_http() && !cluster.operations.is_empty() {
        findings.error(at.clone(), "tcp has no operations");
    }
    let all: Vec<_> = cluster.operations.keys().collect();
    for (position, operation) in all.iter().enumerate() {
        let mut earlier = all.iter().take(position);
        if let Some(first) = earlier.find(|other| other.same_requests(operation)) {
            let message = format!("this is for the same requests as `{first}`");
            findings.error(at.key(operation), message);
        }
    }
    for (operation, policy) in &cluster.operations {
        if policy.timeout.is_some_and(|timeout| timeout.is_zero()) {
            let message = "this must be longer than no time";
            findings.error(at.key(operation).key("timeout"), message);
        }
    }
}

/// The operations that an edge is for must be some of those that the cluster has.
pub(super) fn check_only(
    only: &[Operation],
    cluster: &ClusterConfig,
    at: &Pointer,
    findings: &mut Findings,
) {
    if !cluster.protocol.is_http() && !only.is_empty() {
        findings.error(at.clone(), "tcp has no operations");
        return;
    }
    let known: Vec<_> = cluster.operations.keys().map(ToString::to_string).collect();
    let mut given = BTreeSet::new();
    for (position, operation) in only.iter().enumerate() {
        let at = at.key(position);
        if !given.insert(operation) {
            findings.error(at, format!("`{operation}` is in the list already"));
        } else if !known.is_empty() && !cluster.operations.contains_key(operation) {
            let text = operation.to_string();
            let near = nearest(&text, known.iter().map(String::as_str));
            let near = near.map(|near| format!(": did you mean `{near}`?")).unwrap_or_default();
            findings.error(at, format!("the cluster has no operation `{text}`{near}"));
        }
    }
}

fn check_split(split: &Split, cluster: &ClusterConfig, at: &Pointer, findings: &mut Findings) {
    if split.weights.values().all(|weight| *weight == 0) {
        let message = "all weights are 0, so that no version would get work";
        findings.error(at.key("weights"), message);
    }
    for version in split.weights.keys() {
        check_version(version, cluster, at.key("weights").key(version), findings);
    }
    if split.sticky.is_some() && !cluster.protocol.is_http() {
        findings.error(at.key("sticky"), "tcp has no headers and no cookies");
    }
}

/// A version without an endpoint may be on its way, so it is only told of.
fn check_version(version: &Name, cluster: &ClusterConfig, at: Pointer, findings: &mut Findings) {
    let known: BTreeSet<_> =
        cluster.endpoints.iter().filter_map(|one| one.version.as_ref()).collect();
    if !known.contains(version) {
        let near = nearest(version.as_str(), known.iter().map(|name| name.as_str()));
        let near = near.map(|near| format!(": did you mean `{near}`?")).unwrap_or_default();
        findings.warning(at, format!("no endpoint has the version `{version}`{near}"));
    }
}

fn check_rule(rule: &TrafficRule, cluster: &ClusterConfig, at: &Pointer, findings: &mut Findings) {
    check_matches(&rule.matches, &at.key("match"), findings);
    match &rule.action {
        Action::Route(version) => check_version(version, cluster, at.key("route"), findings),
        Action::Mirror(mirror) => {
            check_version(&mirror.to, cluster, at.key("mirror").key("to"), findings);
        }
        Action::Redirect(redirect) => check_redirect(redirect, &at.key("redirect"), findings),
        Action::Rewrite(rewrite) => {
            let at = at.key("rewrite");
            for (key, path) in [("from", &rewrite.from), ("to", &rewrite.to)] {
                if !text::is_absolute_path(path) {
                    let message = format!("`{path}` is not a path that starts with `/`");
                    findings.error(at.key(key), message);
                }
            }
        }
        Action::Delay { by, .. } => findings.some_time(&at.key("delay"), "by", *by),
        Action::Abort { status, .. } => {
            if !(200..=599).contains(status) {
                let message = format!("{status} is not a status from 200 to 599");
                findings.error(at.key("abort").key("status"), message);
            }
        }
    }
}

fn check_redirect(redirect: &Redirect, at: &Pointer, findings: &mut Findings) {
    if !text::is_location(&redirect.to) {
        let message = format!("`{}` is neither a path nor an http(s) address", redirect.to);
        findings.error(at.key("to"), message);
    }
    if !Redirect::STATUSES.contains(&redirect.status) {
        let message =
            format!("{} does not redirect: write 301, 302, 303, 307 or 308", redirect.status);
        findings.error(at.key("status"), message);
    }
}

fn check_matches(matches: &Matches, at: &Pointer, findings: &mut Findings) {
    for (position, method) in matches.methods.iter().enumerate() {
        if !text::is_method(method) {
            let message = format!("`{method}` is not a method in capital letters");
            findings.error(at.key("methods").key(position), message);
        }
    }
    for (position, header) in matches.headers.iter().enumerate() {
        let value = header.value.as_deref().unwrap_or_default();
        if !text::is_header_name(&header.name) || !text::is_header_value(value) {
            let message = "this is not a header: write `name` or `name=value`";
            findings.error(at.key("headers").key(position), message);
        }
    }
}
