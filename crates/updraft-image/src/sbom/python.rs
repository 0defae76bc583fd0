//! Components of a Python program: the lock files of uv, Poetry and pip.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{Component, Components, Hash, SbomError, bounded, purl, shape};

const UV: &str = "uv.lock";
const POETRY: &str = "poetry.lock";
const REQUIREMENTS: &str = "requirements.txt";

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    #[serde(default)]
    version: String,
    /// A table in uv's file.
    #[serde(default)]
    source: Source,
    sdist: Option<File>,
    #[serde(default)]
    wheels: Vec<File>,
    /// Poetry's list.
    #[serde(default)]
    files: Vec<File>,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    dependencies: Needs,
}

#[derive(Deserialize, Default)]
struct Source {
    #[serde(rename = "type")]
    kind: Option<String>,
    url: Option<String>,
    resolved_reference: Option<String>,
    registry: Option<String>,
    git: Option<String>,
    #[serde(rename = "virtual")]
    project: Option<String>,
    editable: Option<String>,
    directory: Option<String>,
    path: Option<String>,
}

#[derive(Deserialize)]
struct File {
    hash: Option<String>,
}

/// uv has a list of tables, Poetry a table.
#[derive(Deserialize)]
#[serde(untagged)]
enum Needs {
    Listed(Vec<Need>),
    Named(BTreeMap<String, toml::Value>),
}

#[derive(Deserialize)]
struct Need {
    name: String,
}

impl Default for Needs {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

impl Needs {
    fn names(&self) -> Vec<&str> {
        match self {
            Self::Listed(list) => list.iter().map(|it| it.name.as_str()).collect(),
            Self::Named(table) => table.keys().map(String::as_str).collect(),
        }
    }
}

/// The packages of a `uv.lock`, without the program itself.
///
/// # Errors
///
/// [`SbomError`] when the text is not such a file.
pub fn uv_components(lock: &str) -> Result<Components, SbomError> {
    let lock = read(UV, lock)?;
    let is_foreign = |it: &&Package| {
        let source = &it.source;
        source.project.is_none() && source.editable.is_none() && source.directory.is_none()
    };
    Ok(components(lock.package.iter().filter(is_foreign)))
}

/// The packages of a `poetry.lock`. What is in no group but those for development has the
/// scope `excluded`, where the file says it (Poetry 2).
///
/// # Errors
///
/// [`SbomError`] when the text is not such a file.
pub fn poetry_components(lock: &str) -> Result<Components, SbomError> {
    Ok(components(read(POETRY, lock)?.package.iter()))
}

fn read(file: &'static str, text: &str) -> Result<Lock, SbomError> {
    toml::from_str(bounded(file, text)?).map_err(|error| shape(file)(&error))
}

fn components<'a>(packages: impl Iterator<Item = &'a Package> + Clone) -> Components {
    let mut references: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in packages.clone() {
        references.entry(normal(&package.name)).or_default().insert(reference(package));
    }
    let mut made = Components::default();
    for package in packages {
        let names = package.dependencies.names();
        let needs = names.into_iter().filter_map(|name| references.get(&normal(name)));
        let needs: BTreeSet<String> = needs.flatten().cloned().collect();
        made.needs.entry(reference(package)).or_default().extend(needs);
        let mut component = Component::library(reference(package), &package.name, &package.version);
        let is_local = package.source.path.is_some();
        if is_local {
            component.purl = None;
        }
        let is_for_development =
            !package.groups.is_empty() && !package.groups.iter().any(|it| it == "main");
        if is_for_development {
            component.scope = Some("excluded".to_owned());
        }
        let files = package.sdist.iter().chain(&package.wheels).chain(&package.files);
        let hashes: BTreeSet<Hash> = files.filter_map(|it| hash(it.hash.as_deref()?)).collect();
        component.hashes = hashes.into_iter().collect();
        made.components.push(component);
    }
    made
}

fn reference(package: &Package) -> String {
    let source = &package.source;
    let (name, version) = (&package.name, &package.version);
    if let Some(path) = &source.path {
        return format!("path:{path}@{version}");
    }
    // uv writes the commit behind the address, Poetry beside it.
    let poetry_git = source.kind.as_deref() == Some("git");
    if let Some(git) = source.git.as_ref().or(source.url.as_ref().filter(|_| poetry_git)) {
        let (address, commit) = git.split_once('#').unwrap_or((git, ""));
        let address = address.split('?').next().unwrap_or(address);
        let commit = source.resolved_reference.as_deref().unwrap_or(commit);
        let at = if commit.is_empty() { String::new() } else { format!("@{commit}") };
        return purl::pypi(name, version, &[("vcs_url", &format!("git+{address}{at}"))]);
    }
    match source.registry.as_deref().or(source.url.as_deref()) {
        None | Some("https://pypi.org/simple" | "https://pypi.org/simple/") => {
            purl::pypi(name, version, &[])
        }
        Some(other) => purl::pypi(name, version, &[("repository_url", other)]),
    }
}

/// The packages of a `requirements.txt` whose versions are pinned by `==`, with the hashes of
/// `--hash`. Everything else in it (options, ranges, addresses) is not a locked package and is
/// refused by its line.
///
/// # Errors
///
/// [`SbomError::Shape`] that names each line which locks nothing.
pub fn requirements_components(text: &str) -> Result<Components, SbomError> {
    let text = bounded(REQUIREMENTS, text)?;
    let mut made = Components::default();
    let mut loose = Vec::new();
    for (number, line) in logical_lines(text) {
        let line = line.split(" #").next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // Where packages come from, and that all have hashes, is no package.
        let is_option = ["--index-url", "-i ", "--extra-index-url", "--require-hashes"]
            .iter()
            .any(|option| line.starts_with(option));
        if is_option {
            continue;
        }
        let mut words = line.split_whitespace();
        let wanted = words.by_ref().take_while(|it| !it.starts_with("--")).collect::<String>();
        let wanted = wanted.split(';').next().unwrap_or_default();
        let Some((name, version)) = wanted.split_once("==") else {
            loose.push(format!("line {number}: `{line}` pins no version by `==`"));
            continue;
        };
        let name = name.split('[').next().unwrap_or_default();
        let hashes = line.split_whitespace().filter_map(|it| hash(it.strip_prefix("--hash=")?));
        let hashes: BTreeSet<Hash> = hashes.collect();
        let version = version.trim_start_matches('=');
        let mut component = Component::library(purl::pypi(name, version, &[]), name, version);
        component.hashes = hashes.into_iter().collect();
        made.components.push(component);
    }
    if loose.is_empty() { Ok(made) } else { Err(shape(REQUIREMENTS)(&loose.join("; "))) }
}

/// Lines with those that go on after a backslash, and the number of the first.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut goes_on = false;
    for (number, line) in (1..).zip(text.lines()) {
        let rest = line.strip_suffix('\\');
        let part = rest.unwrap_or(line);
        match lines.last_mut().filter(|_| goes_on) {
            Some((_, whole)) => {
                whole.push(' ');
                whole.push_str(part);
            }
            None => lines.push((number, part.to_owned())),
        }
        goes_on = rest.is_some();
    }
    lines
}

fn hash(text: &str) -> Option<Hash> {
    let (algorithm, content) = text.split_once(':')?;
    let alg = match algorithm {
        "sha256" => "SHA-256",
        "sha384" => "SHA-384",
        "sha512" => "SHA-512",
        _ => return None,
    };
    Some(Hash { alg: alg.to_owned(), content: content.to_owned() })
}

/// Names are one name in all their ways of writing (PEP 503).
fn normal(name: &str) -> String {
    let name = name.to_lowercase().replace(['_', '.'], "-");
    name.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}
