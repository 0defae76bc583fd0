//! What the manifest tells of parity between deploys: `X.kinds`.

use updraft_system::{ResourceKind, System};

use super::{Declared, Tree};
use crate::seen::Seen;

pub(super) const NO_MANIFEST: &str =
    "no manifest declares what other deploys there are, so that there is nothing to compare with";

/// `X.kinds`: the same kinds of resources everywhere.
///
/// The only second deploy that is known is the one of somebody who has attached nothing. That
/// is not a proof, since the other deploys may have attached the same; so it is no failure.
pub(super) fn kinds(tree: &Tree) -> Seen {
    let Some(declared) = &tree.declared else { return Seen::unknown(NO_MANIFEST) };
    let needed = needed(declared);
    if needed.is_empty() {
        return Seen::not_applicable("the service needs no resource");
    }
    let other: Vec<String> = needed
        .iter()
        .filter_map(|resource| difference(&declared.system, declared, resource))
        .collect();
    if !other.is_empty() {
        return Seen::warn(other.join("; ")).listing("resources", other);
    }
    let loose: Vec<String> = needed
        .iter()
        .filter_map(|name| declared.system.resources.get(*name))
        .filter(|resource| is_of_any_version(&resource.kind))
        .map(|resource| resource.name.to_string())
        .collect();
    if loose.is_empty() {
        return Seen::not_applicable(
            "one deploy only: there is nothing to compare; the manifest declares each kind",
        );
    }
    Seen::not_applicable(format!(
        "one deploy only: there is nothing to compare; no version is declared of {}",
        loose.join(", ")
    ))
    .listing("without_version", loose)
}

/// The resources that the service needs, each with the database that holds it.
fn needed(declared: &Declared) -> Vec<&updraft_system::Name> {
    let system = &declared.system;
    let Some(service) = system.services.get(&declared.service) else { return Vec::new() };
    let mut names = Vec::new();
    for need in &service.needs {
        let Some(resource) = system.resources.get(need.target.name()) else { continue };
        names.push(&resource.name);
        if let ResourceKind::Queue { on: Some(database), .. } = &resource.kind {
            names.push(database);
        }
    }
    names.sort();
    names.dedup();
    names
}

fn difference(system: &System, declared: &Declared, name: &updraft_system::Name) -> Option<String> {
    let scheme = declared.attached.get(name)?;
    let embedded = embedded(&system.resources.get(name)?.kind)?;
    let is_same = embedded.schemes.contains(&scheme.as_str());
    (!is_same).then(|| {
        format!(
            "`{name}` is {} where nothing is attached, and a `{scheme}:` server is attached here",
            embedded.what
        )
    })
}

struct Embedded {
    schemes: &'static [&'static str],
    what: &'static str,
}

/// What a capability is where nothing is attached; servers are servers everywhere.
fn embedded(kind: &ResourceKind) -> Option<Embedded> {
    let (schemes, what): (&[_], _) = match kind {
        ResourceKind::Sql => (&["sqlite"], "a file of SQLite"),
        ResourceKind::Queue { .. } => (&["sqlite"], "tables in a file of SQLite"),
        ResourceKind::Cache => (&["memory"], "the memory of each process"),
        ResourceKind::Blob => (&["file"], "a folder"),
        ResourceKind::Postgres { .. } | ResourceKind::Redis { .. } | ResourceKind::Nats { .. } => {
            return None;
        }
    };
    Some(Embedded { schemes, what })
}

const fn is_of_any_version(kind: &ResourceKind) -> bool {
    matches!(
        kind,
        ResourceKind::Postgres { version: None }
            | ResourceKind::Redis { version: None }
            | ResourceKind::Nats { version: None }
    )
}

#[cfg(test)]
#[path = "parity_tests.rs"]
mod tests;
