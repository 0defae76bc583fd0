//! Where the resources of a deploy are.

use std::collections::BTreeSet;

use updraft_system::{Name, ResourceKind, System, Target};

/// The resources that must be bound in a deploy. The local one binds its own; a queue that
/// lies in a database is where that is; what nobody needs need not be anywhere.
pub(crate) fn required(system: &System, deploy: &Name) -> BTreeSet<Name> {
    if *deploy == Name::local() {
        return BTreeSet::new();
    }
    let targets = system.services.values().flat_map(|service| &service.needs);
    let mut required = BTreeSet::new();
    for need in targets {
        let Target::Resource(name) = &need.target else { continue };
        let kind = system.resources.get(name).map(|resource| &resource.kind);
        let place = match kind {
            Some(ResourceKind::Queue { on: Some(database), .. }) => database,
            _ => name,
        };
        required.insert(place.clone());
    }
    required
}
