//! Resolves the names by which parts of a manifest refer to each other, and
//! finds what goes in a circle.

use std::collections::{BTreeMap, BTreeSet};

use super::needs;
use super::process::WEB;
use super::report::{Report, known_names};
use super::tree::Tree;
use crate::mesh::Protocol;
use crate::{After, Name, Span};

/// All names of a manifest, whether what they name is sound or not: a service
/// with a mistake in it is still the one that others refer to.
#[derive(Debug)]
pub(super) struct Index<'a> {
    resources: BTreeMap<&'a str, Entry<'a>>,
    services: BTreeMap<&'a str, Entry<'a>>,
}

#[derive(Debug)]
struct Entry<'a> {
    key: Span,
    table: Tree<'a>,
}

impl<'a> Index<'a> {
    pub(super) fn of(root: Tree<'a>) -> Self {
        let entries = |key| {
            let entries = root.table(key).entries();
            entries
                .map(|(name, key, value)| (name, Entry { key, table: Tree::of(value) }))
                .collect()
        };
        Self { resources: entries("resource"), services: entries("service") }
    }

    /// Whether the manifest describes nothing at all.
    pub(super) fn is_empty(&self) -> bool {
        self.resources.is_empty() && self.services.is_empty()
    }

    /// The kind of a resource; empty where the manifest does not tell.
    pub(super) fn resource(&self, name: &str) -> Option<&'a str> {
        let entry = self.resources.get(name)?;
        Some(entry.table.text("kind").map_or("", |(kind, _)| kind))
    }

    /// Whether a name is that of a relational database.
    pub(super) fn is_database(&self, name: &str) -> bool {
        matches!(self.resource(name), Some("sql" | "postgres"))
    }

    /// The resources of one kind.
    pub(super) fn resources_of(&self, kind: &str) -> impl Iterator<Item = &'a str> {
        let of_kind = move |name: &&'a str| self.resource(name) == Some(kind);
        self.resources.keys().copied().filter(of_kind)
    }

    /// Each name is one thing only, since `<NAME>_URL` can lead to one place only.
    pub(super) fn check_names(&self, report: &mut Report<'_>) {
        for (name, service) in &self.services {
            if let Some(resource) = self.resources.get(name) {
                let later = if resource.key.start < service.key.start { service } else { resource };
                let message = format!("`{name}` is both a service and a resource");
                let help = "rename one of them: both would be reached by the same `<NAME>_URL`";
                let span = later.key.clone();
                report.add("manifest::name_clash", span, message, "here again", help.to_owned());
            }
        }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> + Clone {
        self.services.keys().chain(self.resources.keys()).copied()
    }

    pub(super) fn service_names(&self) -> impl Iterator<Item = &'a str> + Clone {
        self.services.keys().copied()
    }

    pub(super) fn is_service(&self, name: &str) -> bool {
        self.services.contains_key(name)
    }

    /// What a service speaks.
    pub(super) fn protocol(&self, service: &str) -> Protocol {
        let entry = self.services.get(service);
        entry.and_then(|entry| entry.table.read("protocol")).unwrap_or_default()
    }

    /// The operations that a service declares, sound or not.
    pub(super) fn operations(&self, service: &str) -> Vec<&'a str> {
        let entry = self.services.get(service).into_iter();
        let operations = entry.flat_map(|entry| entry.table.table("operation").entries());
        operations.map(|(operation, ..)| operation).collect()
    }

    /// Whether a service names another thing in its `needs`.
    pub(super) fn needs(&self, service: &str, target: &str) -> bool {
        let entry = self.services.get(service).into_iter();
        let mut needs = entry.flat_map(|entry| needs::texts(entry.table));
        needs.any(|need| need.target == target)
    }

    pub(super) fn has_process(&self, service: &str, process: &str) -> bool {
        self.services.get(service).is_some_and(|entry| {
            let short = process == WEB && entry.table.value("run").is_some();
            short || entry.table.table("process").value(process).is_some()
        })
    }
}

/// What the start of the service `of` waits for.
pub(super) fn after(
    of: &Name,
    service: Tree<'_>,
    index: &Index<'_>,
    report: &mut Report<'_>,
) -> Vec<After> {
    let mut all: Vec<After> = Vec::new();
    for (text, span) in service.texts("after") {
        match step(of, text, index) {
            Ok(Some(one)) if all.contains(&one) => {
                let message = format!("`{text}` is in `after` twice");
                let help = "remove one of the two".to_owned();
                report.add("manifest::duplicate", span, message, "here again", help);
            }
            Ok(one) => all.extend(one),
            // What seems to be missing may stand where the text could not be read.
            Err(wrong) if wrong.code == UNKNOWN && report.is_damaged() => {}
            Err(wrong) => report.add(wrong.code, span, wrong.message, wrong.label, wrong.help),
        }
    }
    all
}

/// Why a text is nothing that a start can wait for.
struct WrongStep {
    code: &'static str,
    message: String,
    label: &'static str,
    help: Option<String>,
}

const UNKNOWN: &str = "manifest::unknown_reference";

/// `None`: the name resolves, and what it names was reported elsewhere.
fn step(of: &Name, text: &str, index: &Index<'_>) -> Result<Option<After>, WrongStep> {
    let unknown = |message, help| WrongStep { code: UNKNOWN, message, label: "not known", help };
    let (service, part) = match text.split_once('.') {
        Some((service, part)) => (service, Some(part)),
        None => (text, None),
    };
    let Some(entry) = index.services.get(service) else {
        if index.resources.contains_key(service) {
            return Err(WrongStep {
                code: "manifest::wrong_reference",
                message: format!("`{service}` is a resource: all of them start before any service"),
                label: "needless",
                help: Some(format!("leave `{service}` out of `after`")),
            });
        }
        let help = known_names(service, index.service_names());
        return Err(unknown(format!("there is no service `{service}`"), help));
    };
    let Ok(name) = service.parse::<Name>() else {
        return Ok(None);
    };
    let Some(part) = part else {
        return Ok(Some(After::Service(name)));
    };
    if index.has_process(service, part) {
        return Ok(part.parse().ok().map(|part| After::Process(name, part)));
    }
    let tasks = entry.table.table("task");
    match tasks.value(part) {
        Some(_) if *of == name => Err(WrongStep {
            code: "manifest::wrong_reference",
            message: format!("`{text}` is a task of this service itself"),
            label: "needless",
            help: Some("leave it out: a service's release tasks run before its processes".into()),
        }),
        Some(_) if tasks.table(part).text("when").is_none_or(|(when, _)| when != "release") => {
            Err(WrongStep {
                code: "manifest::wrong_reference",
                message: format!("`{text}` runs when somebody asks, so nothing can wait for it"),
                label: "not a release task",
                help: Some(format!("give the task `{part}` `when = \"release\"`")),
            })
        }
        Some(_) => Ok(part.parse().ok().map(|part| After::Task(name, part))),
        None => {
            let processes = entry.table.table("process");
            let short = entry.table.value("run").map(|_| WEB);
            let known = processes.entries().chain(tasks.entries()).map(|(name, ..)| name);
            let known: Vec<_> = known.chain(short).collect();
            let help = known_names(part, known);
            Err(unknown(format!("`{service}` has no process and no task `{part}`"), help))
        }
    }
}

/// Reports each circle of `after`: none of its services could ever start.
pub(super) fn check_cycles(root: Tree<'_>, index: &Index<'_>, report: &mut Report<'_>) {
    let mut waits: BTreeMap<&str, Vec<(&str, Span)>> = BTreeMap::new();
    for (name, _, value) in root.table("service").entries() {
        let edges = Tree::of(value).texts("after").filter_map(|(text, span)| {
            let (service, part) = match text.split_once('.') {
                Some((service, part)) => (service, Some(part)),
                None => (text, None),
            };
            // To wait for a task of its own is reported as what it is.
            let own_task = name == service && part.is_some_and(|it| !index.has_process(name, it));
            (index.services.contains_key(service) && !own_task).then_some((service, span))
        });
        waits.insert(name, edges.collect());
    }
    loop {
        settle(&mut waits);
        let Some(circle) = circle(&waits) else {
            return;
        };
        let names: Vec<_> = circle.iter().map(|(name, _)| *name).collect();
        if let (Some(first), Some((_, span))) = (names.first(), circle.last()) {
            let message = format!("`after` goes in a circle: {} → {first}", names.join(" → "));
            let help = "remove one of these; what may start in any order belongs in `needs`";
            let label = "closes the circle";
            report.add("manifest::cycle", span.clone(), message, label, help.to_owned());
        }
        for name in names {
            waits.remove(name);
        }
    }
}

/// Removes all that can start, until nothing else can.
fn settle(waits: &mut BTreeMap<&str, Vec<(&str, Span)>>) {
    loop {
        let stuck: BTreeSet<_> = waits.keys().copied().collect();
        for edges in waits.values_mut() {
            edges.retain(|(to, _)| stuck.contains(to));
        }
        waits.retain(|_, edges| !edges.is_empty());
        if waits.len() == stuck.len() {
            return;
        }
    }
}

/// Follows the first edge of each until a name comes again. Each step of the
/// circle has the place of the edge that leaves it.
fn circle<'a>(waits: &BTreeMap<&'a str, Vec<(&'a str, Span)>>) -> Option<Vec<(&'a str, Span)>> {
    let mut walk: Vec<(&str, Span)> = Vec::new();
    let mut at = *waits.keys().next()?;
    loop {
        if let Some(start) = walk.iter().position(|(name, _)| *name == at) {
            return Some(walk.split_off(start));
        }
        let (next, span) = waits.get(at)?.first()?;
        walk.push((at, span.clone()));
        at = next;
    }
}

/// Two services cannot be public under one path.
pub(super) fn check_routes(root: Tree<'_>, report: &mut Report<'_>) {
    let mut routes: Vec<(&str, Span, &str)> = root
        .table("service")
        .entries()
        .filter_map(|(name, _, value)| {
            Tree::of(value).text("route").map(|(route, span)| (route, span, name))
        })
        .collect();
    routes.sort_by_key(|(_, span, _)| span.start);
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    for (route, span, name) in routes {
        // `/api` and `/api/` are the same path to a router.
        let plain = route.trim_end_matches('/');
        if let Some(first) = taken.get(plain) {
            let message = format!("`{first}` is public under \"{route}\" already");
            let help = "give one of the two another route".to_owned();
            report.add("manifest::name_clash", span, message, "the same route", help);
        } else {
            taken.insert(plain, name);
        }
    }
}
