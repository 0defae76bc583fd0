//! In which order services start, and, backwards, end.

use std::collections::BTreeSet;

use updraft_system::{After, Name, Service, System, Target};

/// The services of a system, each behind what it comes after and what it needs.
/// Where needs form a cycle, names decide.
pub(super) fn start_order(system: &System) -> Vec<Name> {
    let mut order = Vec::new();
    let mut seen = BTreeSet::new();
    for service in system.services.values() {
        visit(system, service, &mut seen, &mut order);
    }
    order
}

fn visit(system: &System, service: &Service, seen: &mut BTreeSet<Name>, order: &mut Vec<Name>) {
    if !seen.insert(service.name.clone()) {
        return;
    }
    for before in dependencies(service).filter_map(|name| system.services.get(name)) {
        visit(system, before, seen, order);
    }
    order.push(service.name.clone());
}

/// `system` cut down to `only` and what they need, directly or not; all of it when
/// `only` is empty.
pub(super) fn closure(system: &System, only: &[Name]) -> System {
    let mut kept = BTreeSet::new();
    let mut queue: Vec<&Name> = only.iter().collect();
    if only.is_empty() {
        return system.clone();
    }
    while let Some(name) = queue.pop() {
        if let (Some(service), true) = (system.services.get(name), kept.insert(name.clone())) {
            queue.extend(dependencies(service));
        }
    }
    let mut system = system.clone();
    system.services.retain(|name, _| kept.contains(name));
    let needs = system.services.values().flat_map(|service| &service.needs);
    let needed: BTreeSet<Name> = needs.map(|need| need.target.name().clone()).collect();
    // A queue may live in a database that nobody names.
    let on = |name: &Name| {
        system.resources.values().any(|resource| {
            needed.contains(&resource.name)
                && matches!(&resource.kind, updraft_system::ResourceKind::Queue { on: Some(on), .. } if on == name)
        })
    };
    let kept: BTreeSet<Name> = system
        .resources
        .keys()
        .filter(|name| needed.contains(*name) || on(name))
        .cloned()
        .collect();
    system.resources.retain(|name, _| kept.contains(name));
    system
}

fn dependencies(service: &Service) -> impl Iterator<Item = &Name> {
    let after = service.after.iter().map(|after| match after {
        After::Service(name) | After::Process(name, _) | After::Task(name, _) => name,
    });
    let needs = service.needs.iter().filter_map(|need| match &need.target {
        Target::Service(name) => Some(name),
        Target::Resource(_) => None,
    });
    after.chain(needs)
}
