//! Which operation of a service a request is: the label of its metrics and the unit of its
//! authorization. What is no known operation is `other`, so that labels stay bounded.

use std::collections::BTreeMap;

use updraft_system::mesh::{Operation, OperationPolicy};

/// The label of what is no declared operation.
pub(crate) const OTHER: &str = "other";

/// The operations of one edge, the most specific first.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Operations {
    known: Vec<Known>,
    /// Whether what is no known operation may be asked for.
    open: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct Known {
    operation: Operation,
    policy: OperationPolicy,
    allowed: bool,
}

/// What is known of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    /// Its place among the [`labels`](Operations::labels).
    pub(crate) label: usize,
    /// The policy of its operation.
    pub(crate) policy: Option<&'a OperationPolicy>,
    /// Whether the edge may ask for it.
    pub(crate) allowed: bool,
}

impl Operations {
    /// Those that `declared` names and those that the edge is bound to by `only`. An empty
    /// `only` allows everything.
    pub(crate) fn new(declared: &BTreeMap<Operation, OperationPolicy>, only: &[Operation]) -> Self {
        let undeclared = only.iter().filter(|one| !declared.contains_key(*one));
        let all = declared
            .iter()
            .map(|(operation, policy)| (operation, policy.clone()))
            .chain(undeclared.map(|operation| (operation, OperationPolicy::default())));
        let mut known: Vec<Known> = all
            .map(|(operation, policy)| Known {
                operation: operation.clone(),
                policy,
                allowed: only.is_empty() || only.contains(operation),
            })
            .collect();
        known.sort_by(|a, b| rank(&a.operation).cmp(&rank(&b.operation)));
        if !only.is_empty() {
            // A declared operation may be the narrower form of one that is allowed.
            for one in &mut known {
                one.allowed |= only.iter().any(|wide| covers(wide, &one.operation));
            }
        }
        Self { known, open: only.is_empty() }
    }

    /// The operation of a request whose path is normal and has no query.
    pub(crate) fn find(&self, method: &str, path: &str) -> Found<'_> {
        let place = self.known.iter().position(|known| known.operation.matches(method, path));
        match place.map(|place| (place, &self.known[place])) {
            Some((label, known)) => {
                Found { label, policy: Some(&known.policy), allowed: known.allowed }
            }
            None => Found { label: self.known.len(), policy: None, allowed: self.open },
        }
    }

    /// The labels of metrics, in order; the last one is [`OTHER`].
    pub(crate) fn labels(&self) -> Vec<String> {
        let known = self.known.iter().map(|known| known.operation.to_string());
        known.chain([OTHER.to_owned()]).collect()
    }
}

/// Fixed segments go before parameters, parameters before the rest; a method before any.
fn rank(operation: &Operation) -> (Vec<u8>, bool, &Operation) {
    let kinds = operation.path.segments().map(|segment| match segment {
        rest if rest.starts_with("{*") => 2,
        parameter if parameter.starts_with('{') => 1,
        _ => 0,
    });
    (kinds.collect(), operation.method.is_none(), operation)
}

/// Whether every request of `narrow` is one of `wide`.
fn covers(wide: &Operation, narrow: &Operation) -> bool {
    let method = wide.method.is_none() || wide.method == narrow.method;
    let (mut wide, mut narrow) = (wide.path.segments(), narrow.path.segments());
    method
        && loop {
            match (wide.next(), narrow.next()) {
                (None, None) => break true,
                (Some(rest), Some(_)) if rest.starts_with("{*") => break true,
                (Some(parameter), Some(other))
                    if parameter.starts_with('{') && !other.starts_with("{*") => {}
                (Some(same), Some(other)) if same == other => {}
                _ => break false,
            }
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(text: &str) -> Operation {
        text.parse().unwrap()
    }

    fn table(declared: &[&str], only: &[&str]) -> Operations {
        let declared =
            declared.iter().map(|text| (operation(text), OperationPolicy::default())).collect();
        let only: Vec<_> = only.iter().map(|text| operation(text)).collect();
        Operations::new(&declared, &only)
    }

    #[test]
    fn the_most_specific_operation_wins() {
        let table = table(
            &["GET /quotes/{id}", "GET /quotes/latest", "* /quotes/{*rest}", "POST /quotes"],
            &[],
        );
        let labels = table.labels();
        for (method, path, expected) in [
            ("GET", "/quotes/7", "GET /quotes/{id}"),
            ("GET", "/quotes/latest", "GET /quotes/latest"),
            ("GET", "/quotes/7/lines", "* /quotes/{*rest}"),
            ("DELETE", "/quotes/7", "* /quotes/{*rest}"),
            ("POST", "/quotes", "POST /quotes"),
            ("GET", "/quotes", OTHER),
            ("GET", "/quotes/", OTHER),
        ] {
            assert_eq!(labels[table.find(method, path).label], expected, "{method} {path}");
        }
    }

    #[test]
    fn an_edge_may_ask_for_what_it_declares_and_nothing_else() {
        let table = table(
            &["GET /quotes/{id}", "GET /quotes/latest", "DELETE /quotes/{id}"],
            &["GET /quotes/{id}"],
        );
        for (method, path, allowed) in [
            ("GET", "/quotes/7", true),
            ("GET", "/quotes/latest", true),
            ("DELETE", "/quotes/7", false),
            ("GET", "/", false),
            ("GET", "/quotes/7/x", false),
        ] {
            assert_eq!(table.find(method, path).allowed, allowed, "{method} {path}");
        }
    }

    #[test]
    fn an_edge_without_operations_may_ask_for_everything() {
        let table = table(&["GET /quotes/{id}"], &[]);
        assert!(table.find("DELETE", "/anything").allowed);
        assert!(super::Operations::new(&BTreeMap::new(), &[]).find("GET", "/").allowed);
    }

    #[test]
    fn an_operation_that_only_the_edge_knows_is_a_label_too() {
        let table = table(&[], &["POST /send"]);
        assert_eq!(table.labels(), ["POST /send", OTHER]);
        assert!(table.find("POST", "/send").allowed);
        assert!(!table.find("GET", "/send").allowed);
    }
}
