//! Builds the attached resources of a system.

use std::collections::BTreeMap;

use super::keys;
use super::references::Index;
use super::report::{Report, known_names};
use super::tree::Tree;
use crate::{Name, Resource, ResourceKind, Span};

/// The resources that are sound.
pub(super) fn all(
    root: Tree<'_>,
    index: &Index<'_>,
    report: &mut Report<'_>,
) -> BTreeMap<Name, Resource> {
    let mut resources = BTreeMap::new();
    for (name, value) in root.table("resource").named::<Name>() {
        let table = Tree::of(value);
        if let Some(kind) = kind(table, &value.span(), index, report) {
            resources.insert(name.clone(), Resource { name, kind });
        }
    }
    resources
}

fn kind(
    table: Tree<'_>,
    span: &Span,
    index: &Index<'_>,
    report: &mut Report<'_>,
) -> Option<ResourceKind> {
    let version = || table.text("version").map(|(version, _)| version.to_owned());
    Some(match table.text("kind")?.0 {
        "sql" => ResourceKind::Sql,
        "cache" => ResourceKind::Cache,
        "queue" => ResourceKind::Queue {
            on: database(table, span, index, report)?,
            max_attempts: table.whole("max_attempts").unwrap_or(keys::MAX_ATTEMPTS),
        },
        "blob" => ResourceKind::Blob,
        "postgres" => ResourceKind::Postgres { version: version() },
        "redis" => ResourceKind::Redis { version: version() },
        "nats" => ResourceKind::Nats { version: version() },
        _ => return None,
    })
}

/// The `sql` resource that holds a queue; `Some(None)`: a database of its own.
fn database(
    table: Tree<'_>,
    span: &Span,
    index: &Index<'_>,
    report: &mut Report<'_>,
) -> Option<Option<Name>> {
    let databases: Vec<_> = index.resources_of("sql").collect();
    let Some((on, on_span)) = table.text("on") else {
        return match databases.as_slice() {
            [] => Some(None),
            [one] => Some(one.parse().ok()),
            several => {
                let several: Vec<_> = several.iter().map(|name| format!("`{name}`")).collect();
                let message = "`on` is missing: more than one `sql` resource could hold the queue";
                let help = format!("add `on` with one of {}", several.join(", "));
                report.add("manifest::missing", span.clone(), message, "which one?", help);
                None
            }
        };
    };
    if databases.contains(&on) {
        return on.parse().ok().map(Some);
    }
    // A name that is not one was reported with its shape.
    let on: Name = on.parse().ok()?;
    match index.resource(on.as_str()) {
        Some(kind) => {
            let message = format!("`{on}` is a `{kind}`, and a queue lives on a `sql` resource");
            let help = known_names(on.as_str(), databases).or_else(|| {
                Some("leave `on` out: the queue gets a database of its own".to_owned())
            });
            report.add("manifest::wrong_reference", on_span, message, "not a database", help);
        }
        None if report.is_damaged() => {}
        None => {
            let message = format!("there is no resource `{on}`");
            let help = known_names(on.as_str(), databases).or_else(|| {
                Some("leave `on` out: the queue gets a database of its own".to_owned())
            });
            report.add("manifest::unknown_reference", on_span, message, "not known", help);
        }
    }
    None
}
