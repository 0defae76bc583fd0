//! Cargo packages with binaries.

use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::Context;
use regex::Regex;
use serde::Deserialize;
use updraft_system::Name;

use super::program::{self, BuildSketch, Program};

/// The file that tells of a package.
pub(super) const FILE: &str = "Cargo.toml";

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Manifest {
    package: Option<Package>,
    workspace: Option<Workspace>,
    #[serde(default)]
    bin: Vec<Binary>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Package {
    name: String,
    autobins: Option<bool>,
    default_run: Option<String>,
}

#[derive(Deserialize)]
struct Workspace {
    #[serde(default)]
    members: Vec<String>,
    #[serde(default)]
    exclude: Vec<String>,
}

#[derive(Deserialize)]
struct Binary {
    name: String,
}

/// The package in `folder`, if it has binaries.
pub(super) fn find(folder: &Path) -> anyhow::Result<Option<Program>> {
    let Some(Manifest { package: Some(package), bin, .. }) = manifest(folder)? else {
        return Ok(None);
    };
    // By convention the chores of a repository, not a service.
    if package.name == "xtask" {
        return Ok(None);
    }
    let binaries = binaries(folder, &package, bin);
    if binaries.is_empty() {
        return Ok(None);
    }
    let main = package.default_run.filter(|name| binaries.contains(name)).or_else(|| {
        let only = (binaries.len() == 1).then(|| binaries[0].clone());
        only.or_else(|| binaries.iter().find(|name| **name == package.name).cloned())
    });
    let processes = binaries.into_iter().filter_map(|binary| {
        let name = match &main {
            Some(main) if *main == binary => program::WEB.to_owned(),
            _ => Name::mended(&binary)?.into(),
        };
        Some((name, binary))
    });
    Ok(Some(Program {
        name: Some(package.name.clone()),
        build: Some(BuildSketch::Cargo),
        processes: processes.collect(),
        files: vec![FILE.to_owned()],
        ..Program::default()
    }))
}

/// The members of the workspace at `root`, relative to it.
pub(super) fn members(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let Some(Manifest { workspace: Some(workspace), .. }) = manifest(root)? else {
        return Ok(Vec::new());
    };
    let mut members = Vec::new();
    for pattern in &workspace.members {
        members.extend(expand(root, pattern));
    }
    members.retain(|member| !workspace.exclude.iter().any(|out| member.starts_with(out)));
    Ok(members)
}

fn manifest(folder: &Path) -> anyhow::Result<Option<Manifest>> {
    let path = folder.join(FILE);
    let Some(text) = program::read(&path)? else {
        return Ok(None);
    };
    let manifest = toml::from_str(&text);
    manifest.map(Some).with_context(|| format!("cannot understand {}", path.display()))
}

/// The names of the binaries, as Cargo finds them.
fn binaries(folder: &Path, package: &Package, declared: Vec<Binary>) -> Vec<String> {
    let mut names: Vec<String> = declared.into_iter().map(|binary| binary.name).collect();
    if package.autobins != Some(false) {
        if folder.join("src/main.rs").is_file() && names.is_empty() {
            names.push(package.name.clone());
        }
        for path in children(&folder.join("src/bin")) {
            let is_binary = path.extension().is_some_and(|extension| extension == "rs")
                || path.join("main.rs").is_file();
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            names.extend(stem.filter(|_| is_binary).map(str::to_owned));
        }
    }
    names.sort();
    names.dedup();
    names
}

/// The folders that a member pattern such as `crates/*` stands for.
fn expand(root: &Path, pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in Path::new(pattern).components() {
        let part = match part {
            Component::CurDir => continue,
            Component::Normal(part) => part.to_string_lossy(),
            // A member outside the folder cannot be a service of its manifest.
            _ => return Vec::new(),
        };
        if !part.contains(['*', '?']) {
            found.iter_mut().for_each(|path| path.push(part.as_ref()));
            continue;
        }
        let escaped = regex::escape(&part).replace(r"\*", ".*").replace(r"\?", ".");
        let Ok(matcher) = Regex::new(&format!("^{escaped}$")) else {
            return Vec::new();
        };
        found = found
            .iter()
            .flat_map(|parent| children(&root.join(parent)))
            .filter(|path| path.is_dir())
            .filter(|path| {
                path.file_name().and_then(|name| name.to_str()).is_some_and(|n| matcher.is_match(n))
            })
            .filter_map(|path| path.strip_prefix(root).map(Path::to_owned).ok())
            .collect();
    }
    found.retain(|path| root.join(path).join(FILE).is_file());
    found
}

/// What is in a folder, in order; nothing where there is no such folder.
fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}
