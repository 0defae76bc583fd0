//! The house: each crate has a floor and may use crates of lower floors only.

use std::collections::BTreeSet;

use super::{Edge, Tree};
use crate::tidy::Finding;

/// Floors, the ground first. A crate has its line here before it has a folder.
const FLOORS: &[(&str, u8)] = &[
    ("updraft-cron", 0),
    ("updraft-image", 0),
    ("updraft-macros", 0),
    ("updraft-system", 1),
    ("updraft-trace", 0),
    ("updraft-resilience", 1),
    ("updraft", 2),
    ("updraft-mesh", 2),
    ("updraft-release", 2),
    ("updraft-engine", 3),
    ("updraft-audit", 4),
    ("updraft-functions", 3),
    ("updraft-kubernetes", 3),
    ("updraft-audit", 4),
    ("updraft-cli", 5),
    ("integration-tests", 6),
    ("xtask", 6),
];

/// Services of the examples stand where a user stands: outside, with the published crates.
const PUBLISHED: &[&str] = &["updraft", "updraft-cron", "updraft-resilience", "updraft-trace"];

/// Crates whose policy is that text comes in and a value goes out.
const PURE: &[&str] = &["updraft-system", "updraft-trace"];

/// What a pure crate must not reach, however far down.
const IO: &[&str] = &["async-io", "hyper", "mio", "nix", "rustix", "socket2", "tokio"];

/// The only crates whose errors nobody matches on.
const MAY_USE_ANYHOW: &[&str] = &["updraft-cli", "xtask", "integration-tests"];

pub(super) fn findings(tree: &Tree) -> Vec<Finding> {
    let members: Vec<Member> = tree
        .members()
        .iter()
        .map(|package| Member {
            name: package.name.to_string(),
            example: package
                .manifest_path
                .strip_prefix(&tree.metadata.workspace_root)
                .is_ok_and(|path| path.starts_with("examples")),
        })
        .collect();
    let mut findings = judge(&members, &tree.direct_edges());
    for name in PURE {
        findings.extend(impurities(name, &tree.closure(name)));
    }
    findings
}

fn impurities(name: &str, closure: &BTreeSet<String>) -> Vec<Finding> {
    let reached = IO.iter().filter(|io| closure.contains(**io));
    reached.map(|io| Finding::of(name, format!("it does no I/O, and it reaches {io}"))).collect()
}

struct Member {
    name: String,
    example: bool,
}

fn judge(members: &[Member], edges: &[Edge]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in members {
        if !member.example && floor(&member.name).is_none() {
            findings.push(Finding::of(
                &member.name,
                "the crate has no floor; add it to the table in xtask/src/policy/floors.rs",
            ));
        }
    }
    for edge in edges {
        let Some(user) = members.iter().find(|member| member.name == edge.from) else { continue };
        if edge.to == "anyhow" && !user.example && !MAY_USE_ANYHOW.contains(&&*user.name) {
            findings.push(Finding::of(
                &edge.from,
                "anyhow is for the command and the chores; a library has a type per operation",
            ));
        }
        if members.iter().any(|member| member.name == edge.to) {
            findings.extend(inside(user, edge));
        }
    }
    findings
}

fn inside(user: &Member, edge: &Edge) -> Option<Finding> {
    let (kind, to) = (edge.kind, &edge.to);
    if user.example {
        let text = format!("an example uses {to} ({kind}); it may use published crates only");
        return (!PUBLISHED.contains(&&**to)).then(|| Finding::of(&edge.from, text));
    }
    let (from_floor, to_floor) = (floor(&edge.from)?, floor(to).unwrap_or(u8::MAX));
    let text = format!("floor {from_floor} uses {to} of floor {to_floor} ({kind})");
    (from_floor <= to_floor).then(|| Finding::of(&edge.from, text))
}

fn floor(name: &str) -> Option<u8> {
    FLOORS.iter().find(|(crate_name, _)| *crate_name == name).map(|(_, floor)| *floor)
}

#[cfg(test)]
mod tests {
    use cargo_metadata::DependencyKind;

    use super::*;

    fn member(name: &str, example: bool) -> Member {
        Member { name: name.to_owned(), example }
    }

    fn edge(from: &str, to: &str) -> Edge {
        Edge { from: from.to_owned(), to: to.to_owned(), kind: DependencyKind::Development }
    }

    #[test]
    fn a_crate_uses_lower_floors_only() {
        let members = [
            member("updraft-system", false),
            member("updraft-engine", false),
            member("updraft", false),
            member("shop", true),
        ];
        for (from, to, allowed) in [
            ("updraft-engine", "updraft-system", true),
            ("updraft-system", "updraft-engine", false),
            ("updraft-engine", "updraft-engine", false),
            ("updraft-engine", "anyhow", false),
            ("updraft-engine", "serde", true),
            ("shop", "updraft", true),
            ("shop", "anyhow", true),
            ("shop", "updraft-engine", false),
        ] {
            let findings = judge(&members, &[edge(from, to)]);
            assert_eq!(findings.is_empty(), allowed, "{from} uses {to}: {findings:?}");
        }
    }

    #[test]
    fn a_crate_without_a_floor_is_found() {
        let findings = judge(&[member("updraft-cellar", false)], &[]);
        assert_eq!(findings.len(), 1, "{findings:?}");
    }

    #[test]
    fn a_pure_crate_that_reaches_a_runtime_is_found() {
        let closure = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        assert!(impurities("updraft-system", &closure(&["serde", "toml"])).is_empty());
        assert_eq!(impurities("updraft-system", &closure(&["serde", "tokio"])).len(), 1);
    }

    #[test]
    fn the_closure_reaches_what_is_used_indirectly() {
        let closure = Tree::load().unwrap().closure("updraft-system");
        assert!(closure.contains("serde_core"), "{closure:?}");
        assert!(!closure.contains("proptest"), "tests are not part of the crate: {closure:?}");
    }
}
