//! Whether builds, values and bindings are all that a manifest asks for.

use std::collections::BTreeMap;

use secrecy::ExposeSecret as _;
use updraft_system::release::Artifact;
use updraft_system::{ConfigKey, Name, ResourceUrl, System};

use crate::bindings;
use crate::document::{Document, Exposed};
use crate::finding::Finding;

/// Everything that a release of a deploy would lack.
pub(crate) fn findings(
    system: &System,
    deploy: &Name,
    document: Option<&Document>,
    builds: &BTreeMap<Name, Artifact>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let missing = system.services.keys().filter(|name| !builds.contains_key(*name));
    findings.extend(missing.map(|name| Finding::new(name, "has no build")));
    for name in builds.keys().filter(|name| !system.services.contains_key(*name)) {
        let known = system.services.keys().map(Name::as_str);
        let message = format!("was built, and is no service of {}", system.name);
        findings.push(Finding::unknown(name, message, name.as_str(), known));
    }
    for (name, service) in &system.services {
        let given = document.map_or_else(Exposed::default, |it| it.given(service));
        let problems = ConfigKey::resolve(&service.config, &given.0).err().unwrap_or_default();
        findings.extend(problems.into_iter().map(|problem| {
            let about = format!("{name}.{}", problem.variable);
            let help = format!("set it with `updraft config set -e {deploy} {about}=…`");
            Finding::new(about, problem.message).help(help)
        }));
    }
    findings.extend(binding_findings(system, deploy, document));
    findings
}

fn binding_findings(system: &System, deploy: &Name, document: Option<&Document>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let bound = |name: &Name| document.and_then(|document| document.resources.get(name));
    for name in bindings::required(system, deploy).iter().filter(|name| bound(name).is_none()) {
        let help = format!("set it with `updraft config set -e {deploy} {name}=-`, from stdin");
        let message = format!("is a resource without an address in {deploy}");
        findings.push(Finding::new(name, message).help(help));
    }
    for (name, resource) in &system.resources {
        let Some(value) = bound(name) else { continue };
        let unfit = match ResourceUrl::parse(value.text.expose_secret()) {
            Ok(url) => url.fits(&resource.kind).err().map(|unfit| unfit.to_string()),
            Err(invalid) => Some(invalid.to_string()),
        };
        let finding = |why| Finding::new(name, format!("has an address that does not fit: {why}"));
        findings.extend(unfit.map(finding));
    }
    findings
}
