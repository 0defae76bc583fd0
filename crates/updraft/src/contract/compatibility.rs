//! Whether callers of an old contract can live with a new one. What is read may only grow
//! (a request that was right must stay right), and what is answered may only shrink (an
//! answer must be one that callers know): contravariance and covariance, as for functions.

mod operation;
mod schema;

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::api::form;

/// What a change means for callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Class {
    /// Some caller that is right now would be wrong, or would be told what it does not know.
    Breaking,
    /// Every caller stays right.
    Compatible,
    /// Only what people read.
    Documentation,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Change {
    pub(crate) class: Class,
    /// Method and path, or `contract`.
    pub(crate) operation: String,
    /// Where in the operation, such as `response 200 body /items/*/id`.
    pub(crate) location: String,
    /// The name of the rule, such as `response-member-removed`.
    pub(crate) rule: &'static str,
    /// What it was and what it is.
    pub(crate) detail: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = match self.class {
            Class::Breaking => "breaking",
            Class::Compatible => "compatible",
            Class::Documentation => "documentation",
        };
        let Self { operation, location, rule, detail, .. } = self;
        write!(f, "{class}: {operation}: {location}: {detail} [{rule}]")
    }
}

/// Both contracts, and what has been found.
pub(super) struct Comparison<'a> {
    pub(super) old: &'a Value,
    pub(super) new: &'a Value,
    operation: String,
    pub(super) changes: Vec<Change>,
}

impl Comparison<'_> {
    pub(super) fn note(
        &mut self,
        class: Class,
        rule: &'static str,
        location: impl Into<String>,
        detail: impl Into<String>,
    ) {
        let operation = self.operation.clone();
        let (location, detail) = (location.into(), detail.into());
        let change = Change { class, operation, location, rule, detail };
        // A type that is used twice in one place is looked at twice.
        if !self.changes.contains(&change) {
            self.changes.push(change);
        }
    }

    /// What people read.
    pub(super) fn compare_texts(&mut self, old: &Value, new: &Value, location: &str) {
        for key in ["title", "summary", "description", "tags", "example", "examples"] {
            if old.get(key) != new.get(key) {
                let detail = format!("the {key} has changed");
                self.note(Class::Documentation, "text-changed", location, detail);
            }
        }
    }
}

/// Every change from one contract to another: breaking ones first, else in the order of the
/// document.
pub(crate) fn changes(old: &Value, new: &Value) -> Vec<Change> {
    let mut comparison = Comparison { old, new, operation: String::new(), changes: Vec::new() };
    if old.get("servers") != new.get("servers") {
        comparison.operation = "contract".to_owned();
        let detail = "another version is compared";
        comparison.note(Class::Documentation, "version-changed", "servers", detail);
    }
    let (before, after) = (operations(old), operations(new));
    for (key, operation) in &before {
        comparison.operation.clone_from(&operation.name);
        match after.get(key) {
            Some(now) => comparison.compare_operations(operation, now),
            None => comparison.note(
                Class::Breaking,
                "operation-removed",
                "operation",
                "it is no longer there",
            ),
        }
    }
    for (key, operation) in &after {
        if !before.contains_key(key) {
            comparison.operation.clone_from(&operation.name);
            comparison.note(Class::Compatible, "operation-added", "operation", "it is new");
        }
    }
    let mut changes = comparison.changes;
    changes.sort_by_key(|change| change.class);
    changes
}

/// An operation of a document.
pub(super) struct Found<'a> {
    /// Method and path.
    name: String,
    path: &'a str,
    pub(super) value: &'a Value,
}

impl Found<'_> {
    /// Whether it is not below what the other operations of its contract are.
    fn has_own_place(&self) -> bool {
        self.value.get("servers").is_some()
    }
}

/// The operations of a document by method and form of the path: callers do not see what its
/// parameters are called.
fn operations(document: &Value) -> BTreeMap<(String, String), Found<'_>> {
    let methods = ["get", "put", "post", "delete", "patch", "head", "options", "trace"];
    let mut found = BTreeMap::new();
    for (path, item) in document.get("paths").and_then(Value::as_object).into_iter().flatten() {
        for method in methods {
            let Some(value) = item.get(method) else { continue };
            let name = format!("{} {path}", method.to_uppercase());
            found.insert((form(path), method.to_owned()), Found { name, path, value });
        }
    }
    found
}

#[cfg(test)]
#[path = "compatibility_tests.rs"]
mod tests;
