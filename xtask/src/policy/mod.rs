//! The rules about crates, held over `cargo metadata`: who may use whom, and what
//! may come into the house from outside.

mod bans;
mod floors;
mod inheritance;
mod licences;

use std::collections::{BTreeSet, HashMap};

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};

use crate::repository;
use crate::tidy::Finding;

/// Every breach of a rule about crates.
pub(crate) fn findings() -> Result<Vec<Finding>> {
    let tree = Tree::load()?;
    let deny = bans::DenyList::load()?;
    let mut findings = floors::findings(&tree);
    findings.extend(bans::findings(&tree, &deny));
    findings.extend(licences::findings(&tree, &deny.licences));
    findings.extend(inheritance::findings(&tree)?);
    Ok(findings)
}

/// The resolved dependency tree of the workspace, for every platform.
pub(crate) struct Tree {
    metadata: Metadata,
}

/// One use of a crate by a crate.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) kind: DependencyKind,
}

impl Tree {
    fn load() -> Result<Self> {
        let metadata = MetadataCommand::new()
            .manifest_path(repository::root().join("Cargo.toml"))
            .other_options(["--locked".to_owned()])
            .exec()
            .context("cargo metadata failed; is Cargo.lock up to date?")?;
        Ok(Self { metadata })
    }

    pub(crate) fn members(&self) -> Vec<&Package> {
        self.metadata.workspace_packages()
    }

    /// Every package from outside.
    pub(crate) fn outsiders(&self) -> impl Iterator<Item = &Package> {
        self.metadata.packages.iter().filter(|package| package.source.is_some())
    }

    /// What the members use directly: normal, test and build dependencies.
    pub(crate) fn direct_edges(&self) -> Vec<Edge> {
        let mut edges = Vec::new();
        for member in self.members() {
            for dependency in &member.dependencies {
                edges.push(Edge {
                    from: member.name.to_string(),
                    to: dependency.name.clone(),
                    kind: dependency.kind,
                });
            }
        }
        edges
    }

    /// Every package that ends up in the build of `name`, its tests left out.
    pub(crate) fn closure(&self, name: &str) -> BTreeSet<String> {
        let nodes: HashMap<&PackageId, _> = self
            .metadata
            .resolve
            .iter()
            .flat_map(|resolve| &resolve.nodes)
            .map(|node| (&node.id, node))
            .collect();
        let start = self.members().into_iter().find(|package| package.name.as_str() == name);
        let mut open: Vec<&PackageId> = start.map(|package| &package.id).into_iter().collect();
        let mut seen = BTreeSet::new();
        while let Some(id) = open.pop() {
            for dependency in nodes.get(id).into_iter().flat_map(|node| &node.deps) {
                let built =
                    dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
                if built && seen.insert(&dependency.pkg) {
                    open.push(&dependency.pkg);
                }
            }
        }
        seen.into_iter().map(|id| self.metadata[id].name.to_string()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_keeps_the_rules_about_crates() {
        let findings = findings().unwrap();
        assert!(findings.is_empty(), "{}", Finding::list(&findings));
    }
}
