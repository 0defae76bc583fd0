//! Components of a Rust program: `Cargo.lock`, and what `cargo metadata` knows about it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use serde::Deserialize;

use super::{Component, Components, Hash, SbomError, bounded, licence, purl, shape};

const LOCK: &str = "Cargo.lock";
const METADATA: &str = "the answer of `cargo metadata`";
const TREE: &str = "the answer of `cargo tree`";
const REGISTRIES: [&str; 2] =
    ["registry+https://github.com/rust-lang/crates.io-index", "sparse+https://index.crates.io/"];

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Described>,
    resolve: Option<Resolve>,
}

#[derive(Deserialize)]
struct Described {
    id: String,
    name: String,
    version: String,
    source: Option<String>,
    license: Option<String>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<EdgeKind>,
}

#[derive(Deserialize)]
struct EdgeKind {
    kind: Option<String>,
}

/// A package by name, version and source, as the lock file and Cargo have it.
type Key = (String, String, Option<String>);

/// Which crates of a workspace a program is made of, as Cargo tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CargoUse<'a> {
    /// The program's package.
    pub package: &'a str,
    /// The answer of `cargo metadata --format-version 1 --locked --filter-platform TARGET`.
    pub metadata: &'a str,
    /// The answer of `cargo tree --locked -p PACKAGE -e normal,build --prefix none -f {p} --target
    /// TARGET`. Without it the features that other packages of the workspace ask for count too.
    pub tree: Option<&'a str>,
}

/// The crates of a lock file, all of them or those that a program really uses.
///
/// Of those that are used, what only takes part in the build (build scripts, macros) has the
/// scope `excluded`, and licences are named.
///
/// # Errors
///
/// [`SbomError`] when one of the texts is not what it should be, or has no such package.
pub fn cargo_components(
    lock: &str,
    used_by: Option<CargoUse<'_>>,
) -> Result<Components, SbomError> {
    let locked: Lock = toml::from_str(bounded(LOCK, lock)?).map_err(|error| shape(LOCK)(&error))?;
    let Some(used_by) = used_by else { return Ok(all(&locked)) };
    let metadata: Metadata = serde_json::from_str(bounded(METADATA, used_by.metadata)?)
        .map_err(|error| shape(METADATA)(&error))?;
    let tree = used_by.tree.map(|tree| bounded(TREE, tree)).transpose()?.map(in_tree);
    used(&locked, &metadata, used_by.package, tree.as_ref())
}

/// Names and versions in lines as `name v1.2.3 (proc-macro)`.
fn in_tree(text: &str) -> HashSet<(&str, &str)> {
    let words = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?, words.next()?.strip_prefix('v')?))
    });
    words.collect()
}

fn all(lock: &Lock) -> Components {
    let mut made = Components::default();
    let by_name = |needed: &str| {
        let mut words = needed.split(' ');
        let (name, version) = (words.next().unwrap_or_default(), words.next());
        let fits =
            |it: &&Locked| it.name == name && version.is_none_or(|known| it.version == known);
        lock.package.iter().find(fits).map(reference)
    };
    for package in &lock.package {
        let needs: BTreeSet<String> =
            package.dependencies.iter().filter_map(|it| by_name(it)).collect();
        made.needs.insert(reference(package), needs);
        made.components.push(component(package));
    }
    made
}

fn used(
    lock: &Lock,
    metadata: &Metadata,
    package: &str,
    tree: Option<&HashSet<(&str, &str)>>,
) -> Result<Components, SbomError> {
    let locked: HashMap<Key, &Locked> = lock.package.iter().map(|it| (key(it), it)).collect();
    let is_used = |it: &&Described| {
        tree.is_none_or(|tree| tree.contains(&(it.name.as_str(), it.version.as_str())))
    };
    let described: HashMap<&str, &Described> =
        metadata.packages.iter().filter(is_used).map(|it| (it.id.as_str(), it)).collect();
    let nodes: HashMap<&str, &Node> = metadata
        .resolve
        .iter()
        .flat_map(|resolve| &resolve.nodes)
        .map(|node| (node.id.as_str(), node))
        .collect();
    let root = metadata.packages.iter().filter(|it| it.name == package);
    let root = root
        .min_by_key(|it| it.source.is_some())
        .ok_or_else(|| SbomError::NoPackage { file: METADATA, package: package.to_owned() })?;
    let runs = reached(&root.id, &nodes, &described);
    let mut made = Components::default();
    for (id, is_in_program) in &runs {
        let Some(known) = described.get(id) else { continue };
        let key = (known.name.clone(), known.version.clone(), known.source.clone());
        let bare = Locked {
            name: known.name.clone(),
            version: known.version.clone(),
            source: known.source.clone(),
            checksum: None,
            dependencies: Vec::new(),
        };
        let mut component = component(locked.get(&key).copied().unwrap_or(&bare));
        component.licenses = known.license.as_deref().and_then(licence).into_iter().collect();
        if !is_in_program {
            component.scope = Some("excluded".to_owned());
        }
        let of = |it: &Described| reference_of(&it.name, &it.version, it.source.as_deref());
        let edges = nodes.get(id).into_iter().flat_map(|node| &node.deps);
        let edges = edges.filter(|edge| edge.dep_kinds.iter().any(is_not_for_tests));
        let needs = edges.filter_map(|edge| Some(of(described.get(edge.pkg.as_str())?)));
        made.needs.insert(of(known), needs.collect());
        made.components.push(component);
    }
    Ok(made)
}

/// What a package uses, and whether that is a part of the program or only of its build.
fn reached<'a>(
    root: &'a str,
    nodes: &HashMap<&str, &'a Node>,
    described: &HashMap<&str, &Described>,
) -> BTreeMap<&'a str, bool> {
    let mut reached: BTreeMap<&str, bool> = BTreeMap::new();
    let mut open = VecDeque::from([(root, true)]);
    while let Some((id, is_in_program)) = open.pop_front() {
        if !described.contains_key(id) {
            continue;
        }
        let before = reached.get(id).copied();
        if before == Some(true) || before == Some(is_in_program) {
            continue;
        }
        reached.insert(id, is_in_program);
        for edge in nodes.get(id).into_iter().flat_map(|node| &node.deps) {
            let is_macro = described.get(edge.pkg.as_str()).is_some_and(|it| {
                it.targets.iter().any(|target| target.kind.iter().any(|kind| kind == "proc-macro"))
            });
            let is_linked = edge.dep_kinds.iter().any(|it| it.kind.is_none()) && !is_macro;
            if edge.dep_kinds.iter().any(is_not_for_tests) {
                open.push_back((edge.pkg.as_str(), is_in_program && is_linked));
            }
        }
    }
    reached
}

fn is_not_for_tests(kind: &EdgeKind) -> bool {
    kind.kind.as_deref() != Some("dev")
}

fn key(package: &Locked) -> Key {
    (package.name.clone(), package.version.clone(), package.source.clone())
}

fn reference(package: &Locked) -> String {
    reference_of(&package.name, &package.version, package.source.as_deref())
}

/// The package URL, or for a crate of the repository itself a name that is none: no registry
/// has it, and a crate there may have the same name.
fn reference_of(name: &str, version: &str, source: Option<&str>) -> String {
    match source {
        None => format!("path:{name}@{version}"),
        Some(source) => purl_of(name, version, source),
    }
}

fn purl_of(name: &str, version: &str, source: &str) -> String {
    if REGISTRIES.contains(&source) {
        return purl::cargo(name, version, &[]);
    }
    if let Some(git) = source.strip_prefix("git+") {
        let (address, commit) = git.split_once('#').unwrap_or((git, ""));
        let address = address.split('?').next().unwrap_or(address);
        let at = if commit.is_empty() { String::new() } else { format!("@{commit}") };
        return purl::cargo(name, version, &[("vcs_url", &format!("git+{address}{at}"))]);
    }
    let address = source.trim_start_matches("registry+").trim_start_matches("sparse+");
    purl::cargo(name, version, &[("repository_url", address)])
}

fn component(package: &Locked) -> Component {
    let reference = reference(package);
    let mut component = Component::library(reference, &package.name, &package.version);
    if package.source.is_none() {
        component.purl = None;
    }
    let hash = |content: &String| Hash { alg: "SHA-256".to_owned(), content: content.clone() };
    component.hashes = package.checksum.iter().map(hash).collect();
    component
}
