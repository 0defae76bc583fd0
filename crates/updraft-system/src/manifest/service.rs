//! Builds the services of a system.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::needs;
use super::references::{self, Index};
use super::report::Report;
use super::tree::{self, Tree};
use super::{calls, config, operation, process, scaling, schedule, traffic};
use crate::mesh::Protocol;
use crate::{Build, ImageSettings, Name, Service, Span};

/// What a service is given besides `<NAME>_URL` where it needs one database.
const DATABASE_URL: &str = "DATABASE_URL";

/// The services that are sound.
pub(super) fn all(
    root: Tree<'_>,
    index: &Index<'_>,
    report: &mut Report<'_>,
) -> BTreeMap<Name, Service> {
    let services = root.table("service").named::<Name>();
    services.map(|(name, value)| (name.clone(), service(name, value, index, report))).collect()
}

fn service<'a>(
    name: Name,
    value: &'a super::check::Value<'a>,
    index: &Index<'_>,
    report: &mut Report<'_>,
) -> Service {
    let table = Tree::of(value);
    let processes = process::all(table, report);
    check_processes(&name, table, report);
    check_requests(&name, table, index, report);
    scaling::check(&name, table, index, report);
    schedule::check(table, report);
    let needs = needs::all(table, index, report);
    let after = references::after(&name, table, index, report);
    let config = config::contract(table, report);
    check_urls(table, &needs, index, report);
    Service {
        path: PathBuf::from(table.text("path").map_or(".", |(path, _)| path)),
        build: build(table),
        image: image(table.table("image")),
        processes,
        tasks: process::tasks(table, report),
        needs,
        after,
        route: table.text("route").map(|(route, _)| route.to_owned()),
        api: table.text("api").map(|(path, _)| PathBuf::from(path)),
        config,
        protocol: index.protocol(name.as_str()),
        operations: operation::all(table, report),
        calls: calls::all(table, index, report),
        traffic: traffic::traffic(name.as_str(), table, index, report),
        name,
    }
}

fn build(service: Tree<'_>) -> Build {
    let Some(value) = service.value("build") else {
        return Build::None;
    };
    match tree::text(value) {
        Some(("node", _)) => return Build::Node,
        Some(("python", _)) => return Build::Python,
        Some(_) => return Build::Cargo,
        None => {}
    }
    let table = Tree::of(value);
    let fetch = table.text("fetch").map(|(fetch, _)| fetch.to_owned());
    let run = table.text("run").map_or("", |(run, _)| run).to_owned();
    let keep = table.texts("keep").map(|(path, _)| PathBuf::from(path)).collect();
    let reproducible = table.flag("reproducible").unwrap_or_default();
    Build::Command { fetch, run, keep, reproducible }
}

fn image(table: Tree<'_>) -> ImageSettings {
    let base = table.text("base").and_then(|(base, _)| base.parse().ok()).unwrap_or_default();
    let include = table.texts("include").map(|(path, _)| PathBuf::from(path)).collect();
    ImageSettings { base, include }
}

/// What the processes and tasks of a service must be to each other.
fn check_processes(name: &Name, service: Tree<'_>, report: &mut Report<'_>) {
    let processes = service.table("process");
    if let Some(value) = service.value("process")
        && value.get_ref().as_table().is_some_and(|table| table.is_empty())
    {
        let message = format!("`{name}` has no process");
        let help = "add one: `web = \"…\"`".to_owned();
        report.add("manifest::missing", value.span(), message, "empty", help);
    }
    for (task, span, _) in service.table("task").entries() {
        let twin = processes.value(task).is_some()
            || (task == process::WEB && service.value("run").is_some());
        if twin {
            let message = format!("`{task}` is a process of `{name}` already");
            let help = "give the task another name".to_owned();
            report.add("manifest::name_clash", span, message, "the same name", help);
        }
    }
}

/// What is said of requests to a service needs a process that serves them.
fn check_requests(name: &Name, service: Tree<'_>, index: &Index<'_>, report: &mut Report<'_>) {
    if index.protocol(name.as_str()) == Protocol::Tcp {
        for (key, what) in [("route", "no paths"), ("operation", "no operations")] {
            if let Some(span) = service.key_span(key) {
                let message = format!("`{name}` speaks tcp, which has {what}");
                let help = format!("leave `{key}` out, or change `protocol`");
                report.add("manifest::without_effect", span, message, "no requests", help);
            }
        }
    }
    let has_web = index.has_process(name.as_str(), process::WEB);
    if has_web || report.is_damaged() {
        return;
    }
    let said = ["route", "protocol", "operation", "traffic"].into_iter();
    let said = said.filter_map(|key| Some((service.key_span(key)?, key)));
    let versions = service
        .table("process")
        .entries()
        .filter_map(|(_, _, process)| Some((Tree::of(process).key_span("version")?, "version")));
    for (span, key) in said.chain(versions) {
        let message = format!(
            "`{key}` is for requests, and `{name}` has no process `web` that could serve them"
        );
        let help = "call the process that listens on `PORT` `web`".to_owned();
        report.add("manifest::nothing_listens", span, message, "leads nowhere", help);
    }
}

/// No variable may be given twice: by the contract, by the name of a need, or as
/// the `DATABASE_URL` of the only database.
fn check_urls(
    service: Tree<'_>,
    needs: &[crate::Need],
    index: &Index<'_>,
    report: &mut Report<'_>,
) {
    let names = || needs.iter().map(|need| need.target.name());
    let mut provided: BTreeMap<String, &Name> =
        names().map(|name| (format!("{}_URL", name.to_env()), name)).collect();
    let databases: Vec<_> = names().filter(|name| index.is_database(name.as_str())).collect();
    if let [only] = databases.as_slice()
        && let Some(other) = provided.insert(DATABASE_URL.to_owned(), *only)
        && other != *only
        && let Some(span) = needs::span(service, other.as_str())
    {
        let message = format!("`{DATABASE_URL}` would lead to `{other}` and to `{only}`");
        let help = format!("rename `{other}`: the only database that a service needs has that URL");
        report.add("manifest::name_clash", span, message, "the same variable", help);
    }
    for (variable, span, _) in service.table("config").entries() {
        if let Some(need) = provided.get(variable) {
            clash(variable, need, span, report);
        }
    }
}

fn clash(variable: &str, need: &Name, span: Span, report: &mut Report<'_>) {
    let message =
        format!("`{variable}` is given to the service already, because it needs `{need}`");
    let help = format!("leave `{variable}` out of the contract");
    report.add("manifest::name_clash", span, message, "given twice", help);
}
