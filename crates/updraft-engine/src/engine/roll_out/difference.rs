//! What a roll-out has to replace: two targets, and what runs of the one, held side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use updraft_system::{
    Name, PlannedProcess, PlannedService, Process, Roll, RollOutPlan, Service, ServiceChange,
    TaskTrigger, Way,
};

use super::super::target::union;
use super::super::{RunTarget, ServiceTarget, order};
use updraft_system::audit::Audit;

/// What runs of one process type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Present {
    pub(super) copies: u32,
    /// The longest that one of them took to be ready.
    pub(super) booted_in: Option<Duration>,
}

/// What runs, by service and process.
pub(super) type AllPresent = BTreeMap<(Name, Name), Present>;

/// What is to be done to come from `old` to `new`; `all`: what has not changed is replaced too.
pub(super) fn plan(
    old: &RunTarget,
    new: &RunTarget,
    present: &AllPresent,
    all: bool,
) -> RollOutPlan {
    let mut order = order::start_order(&union(&new.system, &old.system));
    // What goes, goes last: nobody needs it any more by then.
    order.sort_by_key(|name| !new.system.services.contains_key(name));
    let services = order.iter().map(|name| {
        let pair = |target: &RunTarget| {
            let service = target.system.services.get(name).cloned();
            service.map(|service| (service, target.part(name)))
        };
        service(name, pair(old), pair(new), present, all)
    });
    let release = new.parts.values().filter_map(|part| part.release).max();
    RollOutPlan { release, services: services.collect() }
}

/// Leaves all services but the `chosen` ones as they are; none chosen: all are.
pub(super) fn only(plan: &mut RollOutPlan, chosen: &[Name]) {
    let others = |it: &&mut PlannedService| !chosen.is_empty() && !chosen.contains(&it.service);
    for other in plan.services.iter_mut().filter(others) {
        other.change = ServiceChange::Same;
        other.reason.clear();
        other.tasks.clear();
        other.processes.clear();
    }
}

/// Whether there is anything to be done at all.
pub(super) fn is_any(old: &RunTarget, new: &RunTarget, plan: &RollOutPlan) -> bool {
    old.system != new.system
        || plan.services.iter().any(|it| it.change != ServiceChange::Same)
        || plan.services.iter().any(|it| !it.processes.is_empty())
}

type Whole = Option<(Service, ServiceTarget)>;

fn service(name: &Name, old: Whole, new: Whole, present: &AllPresent, all: bool) -> PlannedService {
    let copies =
        |process: &Name| present.get(&(name.clone(), process.clone())).copied().unwrap_or_default();
    let planned = |change, reasons: Vec<String>, tasks, processes| {
        let reason = reasons.join(", ");
        PlannedService { service: name.clone(), change, reason, tasks, processes }
    };
    match (old, new) {
        (Some((old, before)), Some((new, after))) => {
            let reasons = reasons(&old, &before, &new, &after, all);
            let (processes, causes) = processes(&old, &new, copies, !reasons.is_empty());
            let runs_anew = |it: &PlannedProcess| !matches!(it.way, Way::Start | Way::Stop);
            let prepares =
                !reasons.is_empty() || processes.iter().any(runs_anew) || old.tasks != new.tasks;
            let tasks = if prepares { release_tasks(&new) } else { Vec::new() };
            let same = old == new && before == after && reasons.is_empty();
            let change = if same { ServiceChange::Same } else { ServiceChange::Changed };
            planned(change, reasons.into_iter().chain(causes).collect(), tasks, processes)
        }
        (None, Some((new, _))) => {
            let start = |it: &Process| process(it, it.scale, Way::Start, None);
            let processes = new.processes.values().map(start).collect();
            planned(ServiceChange::Added, Vec::new(), release_tasks(&new), processes)
        }
        (Some((old, _)), None) => {
            let stop = |it: &Process| process(it, 0, Way::Stop, None);
            let processes = old.processes.values().map(stop).collect();
            planned(ServiceChange::Removed, Vec::new(), Vec::new(), processes)
        }
        (None, None) => planned(ServiceChange::Same, Vec::new(), Vec::new(), Vec::new()),
    }
}

fn process(process: &Process, replicas: u32, way: Way, gap: Option<Duration>) -> PlannedProcess {
    let gap_ms = gap.map(|gap| u64::try_from(gap.as_millis()).unwrap_or(u64::MAX));
    PlannedProcess { process: process.name.clone(), replicas, way, gap_ms }
}

/// Why all processes of a service are to be replaced; none: they are not.
fn reasons(
    old: &Service,
    before: &ServiceTarget,
    new: &Service,
    after: &ServiceTarget,
    all: bool,
) -> Vec<String> {
    let mut reasons = Vec::new();
    let mut add = |is_so: bool, reason: &str| {
        if is_so {
            reasons.push(reason.to_owned());
        }
    };
    add(all, "all is to be replaced");
    match (&before.artefact, &after.artefact) {
        (_, None) => add(true, "it runs from its folder, which may have changed"),
        (old, new) => add(old != new, "its programs have changed"),
    }
    let configured = before.config != after.config || old.config.keys().ne(new.config.keys());
    if configured {
        let keys: BTreeSet<_> = before.config.keys().chain(after.config.keys()).collect();
        let differs = |key: &&&String| before.config.get(**key) != after.config.get(**key);
        let names: Vec<_> = keys.iter().filter(differs).map(|key| key.as_str()).collect();
        add(true, format!("its configuration has changed ({})", names.join(", ")).trim_end());
    }
    add(before.directory != after.directory, "its folder is another one");
    let needs = |service: &Service| -> BTreeSet<_> {
        service.needs.iter().map(|need| need.target.clone()).collect()
    };
    add(needs(old) != needs(new), "it needs something else");
    reasons
}

/// What is to be done with each process type, and why, where it is its own doing.
fn processes(
    old: &Service,
    new: &Service,
    present: impl Fn(&Name) -> Present,
    whole: bool,
) -> (Vec<PlannedProcess>, Vec<String>) {
    let (mut planned, mut reasons) = (Vec::new(), Vec::new());
    for after in new.processes.values() {
        let (name, now) = (&after.name, present(&after.name));
        let Some(before) = old.processes.get(name) else {
            reasons.push(format!("`{name}` is new"));
            planned.push(process(after, after.scale, Way::Start, None));
            continue;
        };
        // A number that was chosen while it ran holds until the manifest has another one.
        let replicas = match &after.autoscale {
            _ if before.scale == after.scale => now.copies,
            // Where a rule decides, its bounds hold and the load has the last word.
            Some(rule) if before.autoscale.is_some() => now.copies.max(rule.min).min(rule.max),
            _ => after.scale,
        };
        let changed = is_another(before, after);
        if changed {
            reasons.push(format!("`{name}` has changed"));
        }
        let way = match (changed || whole, &after.roll) {
            (true, Roll::Exclusive) => Way::Exclusive,
            (true, Roll::Beside(_)) => Way::Beside,
            (false, _) if now.copies < replicas => Way::Start,
            (false, _) if replicas < now.copies => Way::Stop,
            (false, _) => continue,
        };
        let gap = (way == Way::Exclusive).then_some(now.booted_in).flatten();
        planned.push(process(after, replicas, way, gap));
    }
    let gone = old.processes.values().filter(|it| !new.processes.contains_key(&it.name));
    for gone in gone {
        reasons.push(format!("`{}` is no more", gone.name));
        planned.push(process(gone, 0, Way::Stop, None));
    }
    (planned, reasons)
}

/// Whether a program would run or be judged in another way. How many there are and how they
/// are replaced is nothing that one that runs could tell.
fn is_another(old: &Process, new: &Process) -> bool {
    let seen = |process: &Process| Process {
        scale: 0,
        autoscale: None,
        roll: Roll::default(),
        audit: Audit::default(),
        ..process.clone()
    };
    seen(old) != seen(new)
}

fn release_tasks(service: &Service) -> Vec<Name> {
    let release = service.tasks.values().filter(|task| task.when == TaskTrigger::Release);
    release.map(|task| task.name.clone()).collect()
}

#[cfg(test)]
#[path = "difference_tests.rs"]
mod tests;
