//! What an image is made of, and how it came about.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use serde_json::{Value, json};
use updraft_image::{
    Bom, CargoUse, Components, HarvestedFile, Resource, SbomError, Statement, cargo_components,
    harvested_components, npm_components, poetry_components, requirements_components,
    uv_components,
};
use updraft_system::Build;

use super::{Artifact, ArtifactError, ArtifactRequest, preset};

/// The state of the sources in Git.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// The commit.
    pub commit: String,
    /// Files differ from it.
    pub dirty: bool,
    /// Where others find it, where Git knows a place.
    pub repository: Option<String>,
}

impl Revision {
    /// The revision of `folder`; `None` without Git.
    pub fn of(folder: &Path) -> Option<Self> {
        let git = |words: &[&str]| {
            let output = Command::new("git").arg("-C").arg(folder).args(words).output().ok()?;
            let text = String::from_utf8(output.stdout).ok()?;
            output.status.success().then(|| text.trim().to_owned())
        };
        let commit = git(&["rev-parse", "HEAD"])?;
        let dirty = git(&["status", "--porcelain", "--untracked-files=normal"]);
        Some(Self {
            commit,
            dirty: dirty.is_none_or(|changes| !changes.is_empty()),
            // What is before an `@` may be a password.
            repository: git(&["remote", "get-url", "origin"]).filter(|url| !url.contains('@')),
        })
    }
}

impl Artifact {
    /// How it came about, to be signed.
    pub fn statement(
        &self,
        request: &ArtifactRequest<'_>,
        revision: Option<&Revision>,
        cut: bool,
        times: (SystemTime, SystemTime),
    ) -> Statement {
        let service = request.service;
        // A command without a fetch step fetches by itself.
        let cut = cut && !matches!(service.build, Build::Command { fetch: None, .. });
        let mut parameters = BTreeMap::from([
            ("service".to_owned(), json!(service.name.as_str())),
            ("preset".to_owned(), json!(preset(&service.build))),
            ("base".to_owned(), json!(service.image.base.to_string())),
            ("network".to_owned(), json!(if cut { "fetch step only" } else { "open" })),
        ]);
        if let Build::Command { fetch, run, .. } = &service.build {
            parameters.insert("run".to_owned(), json!(run));
            parameters.extend(fetch.iter().map(|fetch| ("fetch".to_owned(), json!(fetch))));
        }
        let mut resolved = Vec::new();
        if let Some(revision) = revision {
            let repository = revision.repository.as_deref().unwrap_or("local");
            let mut source = Resource::git(repository, &revision.commit);
            source.annotations.insert("dirty".to_owned(), Value::Bool(revision.dirty));
            resolved.push(source);
        }
        let inputs = request.built.inputs.as_ref();
        resolved.extend(inputs.map(|it| Resource::input("inputs", "blake3", it.as_str())));
        let base = request.base.as_ref().map(|base| &base.descriptor().digest);
        resolved.extend(base.map(|digest| Resource::input("base", "sha256", digest.hex())));
        let name = format!("{}/{}", request.system, service.name);
        let statement = Statement::of(&name, &self.image.manifest.digest, parameters, resolved);
        statement.ran(times.0, times.1)
    }
}

pub(super) fn bom(
    request: &ArtifactRequest<'_>,
    folder: &Path,
    harvested: &[HarvestedFile],
) -> Result<Bom, ArtifactError> {
    let service = request.service;
    let untold = |source| ArtifactError::Materials { service: service.name.clone(), source };
    let mut parts = vec![harvested_components(harvested)];
    parts.extend(locked(&service.build, folder).map_err(untold)?);
    let name = format!("{}/{}", request.system, service.name);
    Bom::of(&name, None, parts).map_err(untold)
}

/// What people should know of a bill of materials.
pub(super) fn gap(request: &ArtifactRequest<'_>, folder: &Path) -> Option<String> {
    let locks = ["package-lock.json", "uv.lock", "poetry.lock"];
    if request.service.build == Build::Cargo || locks.iter().any(|it| folder.join(it).is_file()) {
        return None;
    }
    let text = fs::read_to_string(folder.join("requirements.txt")).ok()?;
    requirements_components(&text).err().map(|error| {
        let name = &request.service.name;
        format!("the bill of materials of `{name}` lacks its Python packages: {error}")
    })
}

/// What the lock files of a service say.
fn locked(build: &Build, folder: &Path) -> Result<Option<Components>, SbomError> {
    let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
    if *build == Build::Cargo {
        return cargo(folder);
    }
    if let Some(lock) = read("package-lock.json") {
        return npm_components(&lock).map(Some);
    }
    if let Some(lock) = read("uv.lock") {
        return uv_components(&lock).map(Some);
    }
    if let Some(lock) = read("poetry.lock") {
        return poetry_components(&lock).map(Some);
    }
    // One without versions locks nothing, and says nothing for certain.
    Ok(read("requirements.txt").and_then(|text| requirements_components(&text).ok()))
}

/// With what Cargo says of the package, where it can say that without a network.
fn cargo(folder: &Path) -> Result<Option<Components>, SbomError> {
    let cargo = |words: &[&str]| {
        let output = Command::new("cargo").args(words).current_dir(folder).output().ok()?;
        output.status.success().then(|| String::from_utf8(output.stdout).ok()).flatten()
    };
    let root = cargo(&["locate-project", "--workspace", "--message-format=plain"]);
    let root = root.map(|path| PathBuf::from(path.trim()).with_file_name("Cargo.lock"));
    let Some(lock) = root.and_then(|path| fs::read_to_string(path).ok()) else { return Ok(None) };
    let id = cargo(&["pkgid"]);
    let package = id.as_deref().and_then(package_of).unwrap_or_default();
    let metadata = match package {
        "" => None,
        _ => cargo(&["metadata", "--format-version", "1", "--locked", "--offline"]),
    };
    let tree = ["tree", "--locked", "--offline", "-p", package, "-e", "normal,build"];
    let tree = cargo(&[&tree[..], &["--prefix", "none", "-f", "{p}"]].concat());
    let known = metadata.as_deref();
    let used = known.map(|metadata| CargoUse { package, metadata, tree: tree.as_deref() });
    cargo_components(&lock, used).map(Some)
}

/// The name in a package id: `path+file:///shop/orders#0.1.0`, or `…#name@0.1.0` where folder
/// and package have other names.
fn package_of(id: &str) -> Option<&str> {
    let (place, version) = id.trim().split_once('#')?;
    match version.split_once('@') {
        Some((name, _)) => Some(name),
        None => place.rsplit('/').next(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_known_by_its_id() {
        for (id, name) in [
            ("path+file:///shop/orders#0.1.0\n", Some("orders")),
            ("path+file:///shop/dir#orders@0.1.0", Some("orders")),
            ("nothing", None),
        ] {
            assert_eq!(package_of(id), name, "{id}");
        }
    }
}
