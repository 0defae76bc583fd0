//! Names that a person typed, held against those that a system has.

use updraft_system::{LogSelector, Name, Resource, Service, System, nearest};

/// A name that the system does not have, and the nearest one that it has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no {what} `{name}` in {place}{}", hint(.nearest.as_deref(), .known))]
pub(crate) struct UnknownName {
    what: &'static str,
    name: String,
    place: String,
    nearest: Option<String>,
    known: Vec<String>,
}

/// The service of that name.
pub(crate) fn service<'a>(system: &'a System, name: &Name) -> Result<&'a Service, UnknownName> {
    let known = system.services.keys();
    system.services.get(name).ok_or_else(|| unknown("service", name, system.name.as_str(), known))
}

/// A process type of a service exists.
pub(crate) fn process(system: &System, service: &Name, process: &Name) -> Result<(), UnknownName> {
    let service = self::service(system, service)?;
    if service.processes.contains_key(process) {
        return Ok(());
    }
    Err(unknown("process", process, service.name.as_str(), service.processes.keys()))
}

/// A task of a service exists.
pub(crate) fn task(system: &System, service: &Name, task: &Name) -> Result<(), UnknownName> {
    let service = self::service(system, service)?;
    if service.tasks.contains_key(task) {
        return Ok(());
    }
    Err(unknown("task", task, service.name.as_str(), service.tasks.keys()))
}

/// The resource of that name.
pub(crate) fn resource<'a>(system: &'a System, name: &Name) -> Result<&'a Resource, UnknownName> {
    let known = system.resources.keys();
    system.resources.get(name).ok_or_else(|| unknown("resource", name, system.name.as_str(), known))
}

/// A selector names something that runs: a process or the server of a resource.
pub(crate) fn runs(system: &System, selector: &LogSelector) -> Result<(), UnknownName> {
    if system.resources.contains_key(&selector.service) {
        return Ok(());
    }
    let service = service_or_resource(system, &selector.service)?;
    match &selector.process {
        Some(process) => self::process(system, &service.name, process),
        None => Ok(()),
    }
}

/// A selector names something that writes lines: what runs, a task, or a build.
pub(crate) fn writes(system: &System, selector: &LogSelector) -> Result<(), UnknownName> {
    if system.resources.contains_key(&selector.service) {
        return Ok(());
    }
    let service = service_or_resource(system, &selector.service)?;
    let Some(process) = &selector.process else { return Ok(()) };
    let known = service.processes.keys().chain(service.tasks.keys());
    if *process == Name::build() || known.clone().any(|known| known == process) {
        return Ok(());
    }
    Err(unknown("process or task", process, service.name.as_str(), known))
}

/// Something that can be called: a service or a resource.
pub(crate) fn callee(system: &System, name: &Name) -> Result<(), UnknownName> {
    if system.resources.contains_key(name) {
        return Ok(());
    }
    service_or_resource(system, name).map(drop)
}

fn service_or_resource<'a>(system: &'a System, name: &Name) -> Result<&'a Service, UnknownName> {
    let known = system.services.keys().chain(system.resources.keys());
    system
        .services
        .get(name)
        .ok_or_else(|| unknown("service or resource", name, system.name.as_str(), known))
}

fn unknown<'a>(
    what: &'static str,
    name: &Name,
    place: &str,
    known: impl Iterator<Item = &'a Name> + Clone,
) -> UnknownName {
    UnknownName {
        what,
        name: name.to_string(),
        place: place.to_owned(),
        nearest: nearest(name.as_str(), known.clone().map(Name::as_str)).map(str::to_owned),
        known: known.map(ToString::to_string).collect(),
    }
}

fn hint(nearest: Option<&str>, known: &[String]) -> String {
    match (nearest, known) {
        (Some(nearest), _) => format!("; did you mean `{nearest}`?"),
        (None, []) => "; it has none".to_owned(),
        (None, known) => format!("; it has {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_answered_with_what_there_is() {
        let text = r#"{ "name": "shop", "services": {}, "resources": {
            "db": { "name": "db", "kind": { "kind": "sql" } } } }"#;
        let system: System = serde_json::from_str(text).unwrap();
        let said =
            |selector: &str| runs(&system, &selector.parse().unwrap()).unwrap_err().to_string();
        assert_eq!(said("dbb"), "no service or resource `dbb` in shop; did you mean `db`?");
        assert_eq!(said("mail.web"), "no service or resource `mail` in shop; it has db");
        assert_eq!(runs(&system, &"db".parse().unwrap()), Ok(()));
        let none = service(&system, &"api".parse().unwrap()).unwrap_err().to_string();
        assert_eq!(none, "no service `api` in shop; it has none");
    }
}
