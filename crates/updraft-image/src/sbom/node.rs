//! Components of a Node program: `package-lock.json` of npm 7 and later.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use super::{Component, Components, Hash, SbomError, bounded, licence, purl, shape};

const LOCK: &str = "package-lock.json";
const REGISTRY: &str = "https://registry.npmjs.org/";
const FOLDER: &str = "node_modules/";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lock {
    lockfile_version: u32,
    #[serde(default)]
    packages: BTreeMap<String, Package>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Package {
    name: Option<String>,
    version: Option<String>,
    resolved: Option<String>,
    integrity: Option<String>,
    license: Option<Value>,
    dev: bool,
    dev_optional: bool,
    link: bool,
    dependencies: BTreeMap<String, Value>,
    optional_dependencies: BTreeMap<String, Value>,
    peer_dependencies: BTreeMap<String, Value>,
}

/// The packages of a lock file of version 2 or 3, without the program itself. What is only for
/// development has the scope `excluded`.
///
/// # Errors
///
/// [`SbomError`] when the text is not such a file.
pub fn npm_components(lock: &str) -> Result<Components, SbomError> {
    let lock: Lock =
        serde_json::from_str(bounded(LOCK, lock)?).map_err(|error| shape(LOCK)(&error))?;
    if !matches!(lock.lockfile_version, 2 | 3) {
        let why = format!(
            "its version is {}; 2 and 3 are read: run `npm install` of npm 7 or newer",
            lock.lockfile_version
        );
        return Err(shape(LOCK)(&why));
    }
    let mut made = Components::default();
    for (path, package) in lock.packages.iter().filter(|(path, it)| !path.is_empty() && !it.link) {
        let Some(component) = component(path, package) else { continue };
        let named =
            [&package.dependencies, &package.optional_dependencies, &package.peer_dependencies];
        let names = named.into_iter().flat_map(BTreeMap::keys);
        let needs: BTreeSet<String> = names.filter_map(|name| found(&lock, path, name)).collect();
        let reference = component.bom_ref.clone().unwrap_or_default();
        made.needs.entry(reference).or_default().extend(needs);
        made.components.push(component);
    }
    Ok(made)
}

/// Node looks into the folder of the package, and then into those above.
fn found(lock: &Lock, path: &str, name: &str) -> Option<String> {
    let mut from = path;
    loop {
        let prefix = if from.is_empty() { String::new() } else { format!("{from}/") };
        let at = format!("{prefix}{FOLDER}{name}");
        if let Some(package) = lock.packages.get(&at) {
            return component(&at, package)?.bom_ref;
        }
        if from.is_empty() {
            return None;
        }
        from = from.rfind(FOLDER).map_or("", |at| from[..at].trim_end_matches('/'));
    }
}

fn component(path: &str, package: &Package) -> Option<Component> {
    let place = path.rfind(FOLDER).map(|at| &path[at + FOLDER.len()..]);
    let name = package.name.as_deref().or(place)?;
    let version = package.version.as_deref().unwrap_or_default();
    let resolved = package.resolved.as_deref().unwrap_or_default();
    let is_own = !path.contains(FOLDER);
    let qualifiers: &[(&str, &str)] = match resolved {
        git if git.starts_with("git") => &[("vcs_url", git)],
        other if other.starts_with("http") && !other.starts_with(REGISTRY) => {
            &[("download_url", other)]
        }
        _ => &[],
    };
    let reference = match is_own {
        true => format!("path:{path}@{version}"),
        false => purl::npm(name, version, qualifiers),
    };
    let mut component = Component::library(reference, name, version);
    if is_own {
        component.purl = None;
    }
    if let Some((group, name)) = name.split_once('/') {
        component.group = Some(group.to_owned());
        component.name = name.to_owned();
    }
    if package.dev || package.dev_optional {
        component.scope = Some("excluded".to_owned());
    }
    component.hashes = package.integrity.as_deref().map(hashes).unwrap_or_default();
    // Long ago it was a table.
    let words = |it: &'_ Value| it.as_str().or_else(|| it.get("type")?.as_str()).map(str::to_owned);
    let text = package.license.as_ref().and_then(words);
    component.licenses = text.as_deref().and_then(licence).into_iter().collect();
    Some(component)
}

/// Subresource Integrity: words of an algorithm and the hash in Base64.
fn hashes(integrity: &str) -> Vec<Hash> {
    let hash = |word: &str| {
        let (algorithm, text) = word.split_once('-')?;
        let alg = match algorithm {
            "sha1" => "SHA-1",
            "sha256" => "SHA-256",
            "sha384" => "SHA-384",
            "sha512" => "SHA-512",
            _ => return None,
        };
        let bytes = STANDARD.decode(text).ok()?;
        let content = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Some(Hash { alg: alg.to_owned(), content })
    };
    integrity.split_whitespace().filter_map(hash).collect()
}
