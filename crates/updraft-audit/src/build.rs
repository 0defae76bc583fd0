//! Builds what is to be audited: a system's services are judged as they are deployed, built.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use updraft_engine::{Conditions, NotBuilt, Progress, Scopes, StateDir, StateDirError};
use updraft_system::{Name, System, Target};

use crate::subject::system::BuiltSystem;

/// A service could not be built.
#[derive(Debug, thiserror::Error)]
pub enum CannotBuild {
    /// There is no place for what is built.
    #[error("there is no place for what is built")]
    Place(#[from] StateDirError),
    /// A build failed.
    #[error(transparent)]
    Build(#[from] NotBuilt),
}

/// Builds some services of a system, and those that they need, one after another.
pub(crate) async fn build(
    scopes: &Scopes,
    system: &System,
    directory: &Path,
    services: &[Name],
    told: &impl Fn(&Name, Progress),
) -> Result<BuiltSystem, CannotBuild> {
    let state = StateDir::locate(&system.name, directory)?;
    let mut paths = BTreeMap::new();
    for name in needed(system, services) {
        let Some(service) = system.services.get(&name) else { continue };
        let store = state.builds().join(name.as_str());
        let usual = Conditions::default();
        let built = updraft_engine::build(scopes, service, directory, &store, &usual, told).await?;
        paths.insert(name, built.path_prefix);
    }
    Ok(BuiltSystem::new(system, directory, paths))
}

/// The services, and all that they need, directly or not.
fn needed(system: &System, services: &[Name]) -> BTreeSet<Name> {
    let mut found = BTreeSet::new();
    let mut open: Vec<Name> = services.to_vec();
    while let Some(name) = open.pop() {
        let needs = system.services.get(&name).map(|service| service.needs.as_slice());
        let peers = needs.unwrap_or_default().iter().filter_map(|need| match &need.target {
            Target::Service(peer) => Some(peer.clone()),
            Target::Resource(_) => None,
        });
        let peers: Vec<_> = peers.collect();
        if found.insert(name) {
            open.extend(peers);
        }
    }
    found
}
