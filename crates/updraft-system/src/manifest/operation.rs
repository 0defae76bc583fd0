//! Builds the operations that a service declares.

use std::collections::BTreeMap;

use super::report::Report;
use super::tree::Tree;
use crate::mesh::{Operation, OperationPolicy};

/// The operations that are sound, with what holds for each.
pub(super) fn all(
    service: Tree<'_>,
    report: &mut Report<'_>,
) -> BTreeMap<Operation, OperationPolicy> {
    let mut operations: BTreeMap<Operation, OperationPolicy> = BTreeMap::new();
    let mut entries: Vec<_> = service.table("operation").entries().collect();
    // The later one in the text is the one to be told of.
    entries.sort_by_key(|(_, span, _)| span.start);
    for (text, span, value) in entries {
        let Ok(operation) = text.parse::<Operation>() else {
            continue;
        };
        if let Some(first) = operations.keys().find(|known| known.same_requests(&operation)) {
            let message = format!("`{operation}` is for the same requests as `{first}`");
            let help = "keep one of the two: the names of parameters tell no requests apart";
            let label = "the same requests";
            report.add("manifest::ambiguous", span, message, label, help.to_owned());
            continue;
        }
        operations.insert(operation, policy(Tree::of(value)));
    }
    operations
}

fn policy(table: Tree<'_>) -> OperationPolicy {
    OperationPolicy {
        idempotent: table.flag("idempotent"),
        timeout: table.duration("timeout"),
        priority: table.read("priority"),
    }
}
