//! npm, pnpm, Yarn and Bun: one manifest, four lockfiles.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::version::{Dialect, satisfies};
use super::{Reading, text, yarn};

const MANIFEST: &str = "package.json";

/// Lockfiles, in the order in which the package managers prefer them.
const LOCKS: &[&str] = &[
    "npm-shrinkwrap.json",
    "package-lock.json",
    "pnpm-lock.yaml",
    "yarn.lock",
    "bun.lock",
    "bun.lockb",
];

/// A dependency of the manifest.
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) requirement: String,
}

impl Wanted {
    /// A range of versions of the registry: neither a folder, nor a repository, nor a tag.
    pub(super) fn is_range(&self) -> bool {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"^~<>=.|*-+ ".contains(&byte);
        let first = self.requirement.trim_start_matches(['^', '~', '<', '>', '=', 'v', ' ']);
        first.starts_with(|letter: char| letter.is_ascii_digit() || letter == '*')
            && self.requirement.bytes().all(allowed)
    }

    /// The requirement, unless it is an address, which may hold a password.
    pub(super) fn shown(&self) -> &str {
        if self.is_range() { &self.requirement } else { "…" }
    }

    /// A folder or a member of the workspace.
    pub(super) fn is_local(&self) -> bool {
        ["file:", "link:", "workspace:", "portal:", ".", "/"]
            .iter()
            .any(|beginning| self.requirement.starts_with(beginning))
    }
}

pub(super) fn read(folder: &Path) -> Option<Reading> {
    let path = folder.join(MANIFEST);
    if !path.is_file() {
        return None;
    }
    let mut reading = Reading::of(MANIFEST);
    let Some(manifest) = text::json(&path) else { return Some(reading.unreadable(MANIFEST)) };
    let (wanted, is_run) = dependencies(&manifest);
    reading.dependencies = wanted.len();
    if wanted.is_empty() {
        return Some(reading);
    }
    let lock = match find(folder) {
        Place::Found(lock) => lock,
        Place::Elsewhere(other) => {
            reading.unknown(format!(
                "{} is above, and whether it is for this folder is not known",
                other.display()
            ));
            return Some(reading);
        }
        Place::Nowhere if is_run => {
            reading.fail(format!("{MANIFEST} has dependencies, and there is no lockfile"));
            return Some(reading);
        }
        Place::Nowhere => {
            reading.warn(format!("{MANIFEST} has dependencies of development and no lockfile"));
            return Some(reading);
        }
    };
    let name = super::name_of(&lock);
    let member = text::relative(folder, lock.parent().unwrap_or(folder));
    reading.lock = Some(lock.clone());
    match &*name {
        "npm-shrinkwrap.json" | "package-lock.json" => npm(&mut reading, &lock, &member, &wanted),
        "pnpm-lock.yaml" => yarn::pnpm(&mut reading, &lock, &member, &wanted),
        "yarn.lock" => {
            let is_overridden = is_overridden(folder, &manifest);
            yarn::yarn(&mut reading, &lock, is_overridden, &wanted);
        }
        _ => reading.unknown(format!("whether {name} fits {MANIFEST} is known to Bun only")),
    }
    Some(reading)
}

/// The dependencies, and whether some are for more than development. Optional ones may be
/// absent, and those of peers are somebody else's.
fn dependencies(manifest: &Value) -> (Vec<Wanted>, bool) {
    let table = |key: &str| manifest.get(key).and_then(Value::as_object);
    let optional = table("optionalDependencies");
    let mut wanted: Vec<Wanted> = Vec::new();
    let mut is_run = false;
    for key in ["dependencies", "devDependencies"] {
        for (name, requirement) in table(key).into_iter().flatten() {
            let is_optional = optional.is_some_and(|one| one.contains_key(name));
            let Some(requirement) = requirement.as_str() else { continue };
            if is_optional || wanted.iter().any(|known| known.name == *name) {
                continue;
            }
            is_run |= key == "dependencies";
            wanted.push(Wanted { name: name.clone(), requirement: requirement.to_owned() });
        }
    }
    (wanted, is_run)
}

enum Place {
    Found(PathBuf),
    /// One above, of which nothing says that it is for this folder.
    Elsewhere(PathBuf),
    Nowhere,
}

fn find(folder: &Path) -> Place {
    for above in folder.ancestors() {
        let lock = LOCKS.iter().map(|name| above.join(name)).find(|path| path.is_file());
        let is_own = above == folder || is_workspace(above);
        match lock {
            Some(lock) if is_own => return Place::Found(lock),
            Some(lock) => return Place::Elsewhere(lock),
            None if above.join("rush.json").is_file() => {
                return Place::Elsewhere(above.join("rush.json"));
            }
            None => {}
        }
    }
    Place::Nowhere
}

fn is_workspace(folder: &Path) -> bool {
    folder.join("pnpm-workspace.yaml").is_file()
        || text::json(&folder.join(MANIFEST)).is_some_and(|one| one.get("workspaces").is_some())
}

/// Whether something replaces the requirements of the manifest.
fn is_overridden(folder: &Path, manifest: &Value) -> bool {
    let replaces = |manifest: &Value| {
        ["resolutions", "overrides", "pnpm"].iter().any(|key| manifest.get(key).is_some())
    };
    replaces(manifest)
        || folder
            .ancestors()
            .skip(1)
            .filter_map(|above| text::json(&above.join(MANIFEST)))
            .any(|manifest| replaces(&manifest))
}

/// `package-lock.json`, in its versions 1 to 3.
fn npm(reading: &mut Reading, path: &Path, member: &str, wanted: &[Wanted]) {
    let file = super::name_of(path);
    let Some(lock) = text::json(path) else {
        reading.unknown(format!("{file} could not be read"));
        return;
    };
    let packages = lock.get("packages").and_then(Value::as_object);
    let old = lock.get("dependencies").and_then(Value::as_object);
    if packages.is_none() && old.is_none() {
        reading.fail(format!("{file} has no packages, and {MANIFEST} has dependencies"));
        return;
    }
    let is_named = match packages {
        Some(packages) => packages.contains_key(member),
        None => member.is_empty(),
    };
    if !is_named {
        reading.unknown(format!("{file} does not name the folder `{member}`"));
        return;
    }
    for one in wanted {
        let nested = format!("{member}/node_modules/{}", one.name);
        let hoisted = format!("node_modules/{}", one.name);
        let entry = match packages {
            Some(packages) => packages.get(&nested).or_else(|| packages.get(&hoisted)),
            None => old.and_then(|packages| packages.get(&one.name)),
        };
        let Some(entry) = entry else {
            reading.fail(format!("{file} does not have `{}`", one.name));
            continue;
        };
        let own = packages
            .and_then(|packages| packages.get(member))
            .into_iter()
            .flat_map(|own| [own.get("dependencies"), own.get("devDependencies")])
            .flatten()
            .filter_map(|table| table.get(&one.name)?.as_str());
        if own.into_iter().any(|requirement| requirement == one.requirement) {
            continue;
        }
        let version = entry.get("version").and_then(Value::as_str).unwrap_or_default();
        if one.is_range() && satisfies(Dialect::Npm, &one.requirement, version) == Some(false) {
            reading.fail(format!(
                "{file} has `{}` {version}, which is not `{}`",
                one.name, one.requirement
            ));
        }
    }
}
