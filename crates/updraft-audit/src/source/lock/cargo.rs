//! Cargo: `Cargo.lock` stands at the root of the workspace and has an entry for each member.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::version::{Dialect, satisfies};
use super::{Reading, text};

const MANIFEST: &str = "Cargo.toml";
const LOCK: &str = "Cargo.lock";
const KINDS: &[&str] = &["dependencies", "dev-dependencies", "build-dependencies"];

pub(super) fn read(folder: &Path) -> Option<Reading> {
    let path = folder.join(MANIFEST);
    if !path.is_file() {
        return None;
    }
    let mut reading = Reading::of(MANIFEST);
    let Some(manifest) = text::toml(&path) else { return Some(reading.unreadable(MANIFEST)) };
    let root = workspace(folder, &manifest);
    let root_manifest = text::toml(&root.join(MANIFEST)).unwrap_or_default();
    let wanted = dependencies(&manifest, &root_manifest);
    reading.dependencies = wanted.len();
    let is_virtual = !manifest.contains_key("package");
    let lock_path = root.join(LOCK);
    if !lock_path.is_file() {
        if !wanted.is_empty() || is_virtual {
            reading.fail(format!("there is no {LOCK} in {}", root.display()));
        }
        return Some(reading);
    }
    reading.lock = Some(lock_path.clone());
    let Some(lock) = text::toml(&lock_path) else { return Some(reading.unreadable(LOCK)) };
    if is_virtual {
        reading.unknown("a workspace without a package: check its members one by one");
        return Some(reading);
    }
    compare(&mut reading, &manifest, &wanted, &lock);
    Some(reading)
}

/// The folder whose `Cargo.lock` counts: <https://doc.rust-lang.org/cargo/reference/workspaces.html>.
fn workspace(folder: &Path, manifest: &Table) -> PathBuf {
    if manifest.contains_key("workspace") {
        return folder.to_owned();
    }
    if let Some(named) = at(manifest, &["package", "workspace"]).and_then(Value::as_str) {
        let named = folder.join(named);
        return named.canonicalize().unwrap_or(named);
    }
    for above in folder.ancestors().skip(1) {
        let found = text::toml(&above.join(MANIFEST));
        let Some(Value::Table(workspace)) = found.as_ref().and_then(|one| one.get("workspace"))
        else {
            continue;
        };
        let excluded = workspace.get("exclude").and_then(Value::as_array).is_some_and(|paths| {
            let paths = paths.iter().filter_map(Value::as_str);
            paths.map(|path| above.join(path)).any(|path| folder.starts_with(path))
        });
        return if excluded { folder.to_owned() } else { above.to_owned() };
    }
    folder.to_owned()
}

/// A dependency of the manifest: the name of its package, and the requirement if it is plain.
struct Wanted {
    name: String,
    requirement: Option<String>,
}

fn dependencies(manifest: &Table, root: &Table) -> Vec<Wanted> {
    let targets = manifest.get("target").and_then(Value::as_table);
    let targets = targets.into_iter().flat_map(|table| table.values()).filter_map(Value::as_table);
    let tables = std::iter::once(manifest).chain(targets);
    let mut wanted = Vec::new();
    for table in tables {
        for kind in KINDS {
            let Some(Value::Table(entries)) = table.get(*kind) else { continue };
            wanted.extend(entries.iter().map(|(key, entry)| one(key, entry, root)));
        }
    }
    wanted
}

fn one(key: &str, entry: &Value, root: &Table) -> Wanted {
    let is_inherited = entry.get("workspace").and_then(Value::as_bool) == Some(true);
    let entry = match is_inherited {
        true => at(root, &["workspace", "dependencies", key]).unwrap_or(entry),
        false => entry,
    };
    let name = entry.get("package").and_then(Value::as_str).unwrap_or(key).to_owned();
    let is_elsewhere = ["path", "git"].iter().any(|kind| entry.get(kind).is_some());
    let requirement = entry.as_str().or_else(|| entry.get("version").and_then(Value::as_str));
    Wanted { name, requirement: requirement.filter(|_| !is_elsewhere).map(str::to_owned) }
}

fn at<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(table.get(*first)?, |value, key| value.get(key))
}

fn compare(reading: &mut Reading, manifest: &Table, wanted: &[Wanted], lock: &Table) {
    let Some(name) = at(manifest, &["package", "name"]).and_then(Value::as_str) else { return };
    let packages = lock.get("package").and_then(Value::as_array);
    let packages = packages.map(Vec::as_slice).unwrap_or_default();
    let named = |name: &str| {
        let name = normal(name);
        packages.iter().filter(move |one| field(one, "name").is_some_and(|one| normal(one) == name))
    };
    let Some(own) = named(name).find(|one| one.get("source").is_none()) else {
        reading.fail(format!("{LOCK} has no package `{name}`"));
        return;
    };
    let locked = own.get("dependencies").and_then(Value::as_array);
    let locked: Vec<&str> = locked.into_iter().flatten().filter_map(Value::as_str).collect();
    for Wanted { name: dependency, requirement } in wanted.iter().filter(|one| one.name != name) {
        if !locked.iter().any(|one| one.split(' ').next().map(normal) == Some(normal(dependency))) {
            reading.fail(format!("{LOCK} does not have `{dependency}` for `{name}`"));
            continue;
        }
        let Some(requirement) = requirement else { continue };
        let mut answers = named(dependency)
            .filter_map(|one| field(one, "version"))
            .map(|version| satisfies(Dialect::Cargo, requirement, version));
        if answers.all(|answer| answer == Some(false)) {
            reading.fail(format!("{LOCK} has no `{dependency}` that is `{requirement}`"));
        }
    }
}

fn field<'a>(package: &'a Value, key: &str) -> Option<&'a str> {
    package.get(key).and_then(Value::as_str)
}

/// The registry takes `-` and `_` for the same.
fn normal(name: &str) -> String {
    name.replace('_', "-")
}
