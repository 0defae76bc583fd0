//! Reads manifests. A text becomes a [`System`], or the list of everything that
//! is wrong with it.
//!
//! Three steps, each over the whole text, so that one report holds all findings:
//! the tree of values is held against the table of keys ([`check`]), the graph is
//! built from it ([`service`], [`resource`]), and its references are resolved
//! ([`references`]).

mod audit;
mod calls;
mod check;
mod config;
mod confinement;
mod document;
mod form;
mod keys;
mod mesh;
mod needs;
mod operation;
mod process;
mod procfile;
mod references;
mod report;
mod resource;
mod scalar;
mod scaling;
mod schedule;
mod schema;
mod service;
mod shape;
mod traffic;
mod tree;

pub use document::reference_markdown;
pub use procfile::parse_procfile;
pub use schema::json_schema;

use toml::de::DeTable;

use self::references::Index;
use self::report::Report;
use self::tree::Tree;
use crate::{Problem, System};

/// Reads a manifest, `updraft.toml`.
///
/// # Errors
///
/// Everything that is wrong with it, in the order of the text.
pub fn parse_manifest(text: &str) -> Result<System, Vec<Problem>> {
    let mut report = Report::new(text);
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        report.add_syntax(error);
    }
    let root = root.into_inner();
    check::record(&keys::MANIFEST, &root, &(0..0), &mut report);
    let system = system(Tree::new(&root), &mut report);
    match system {
        Some(system) if report.is_empty() => Ok(system),
        _ => Err(report.into_problems()),
    }
}

fn system(root: Tree<'_>, report: &mut Report<'_>) -> Option<System> {
    let index = Index::of(root);
    index.check_names(report);
    let resources = resource::all(root, &index, report);
    let mut services = service::all(root, &index, report);
    audit::attach(root, &mut services, &index, report);
    references::check_cycles(root, &index, report);
    references::check_routes(root, report);
    let name = root.text("system").and_then(|(name, _)| name.parse().ok())?;
    let is_other = |key| root.value(key).is_some_and(|value| !value.get_ref().is_table());
    if index.is_empty() && !is_other("service") && !is_other("resource") && !report.is_damaged() {
        let span = root.value("system").map_or(0..0, toml::Spanned::span);
        let help = "add a service: `[service.web]` with `run = \"…\"`".to_owned();
        let message = "the system has no service and no resource";
        report.add("manifest::missing", span, message, "an empty system", help);
    }
    Some(System { name, resources, services, mesh: mesh::settings(root.table("mesh"), report) })
}
