//! Python: `pyproject.toml` with the lockfile of uv, Poetry or PDM, or pinned requirements.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::version::{Dialect, satisfies};
use super::{Reading, requirements, text};

const MANIFEST: &str = "pyproject.toml";
pub(super) const LIST: &str = "requirements.txt";

/// Lockfiles, and whether a dependency for another platform is in it too.
const LOCKS: &[(&str, bool)] =
    &[("uv.lock", true), ("poetry.lock", true), ("pdm.lock", false), ("pylock.toml", false)];

/// A dependency of the manifest.
struct Wanted {
    name: String,
    requirement: Option<(Dialect, String)>,
    /// Only for some platforms, or only on demand.
    is_conditional: bool,
}

pub(super) fn read(folder: &Path) -> Option<Reading> {
    let path = folder.join(MANIFEST);
    if !path.is_file() {
        return requirements::read(folder);
    }
    let mut reading = Reading::of(MANIFEST);
    let Some(manifest) = text::toml(&path) else { return Some(reading.unreadable(MANIFEST)) };
    if !is_project(&manifest) {
        // The settings of a formatter, for instance.
        return requirements::read(folder);
    }
    let wanted = dependencies(&manifest);
    reading.dependencies = wanted.len();
    if is_dynamic(&manifest) && !folder.join(LIST).is_file() {
        reading.unknown(format!("the dependencies in {MANIFEST} are made by a program"));
        return Some(reading);
    }
    if let Some((lock, _)) = find(folder) {
        reading.lock = Some(lock.clone());
        compare(&mut reading, &manifest, &wanted, &lock);
        return Some(reading);
    }
    if folder.join(LIST).is_file() {
        return listed(reading, folder, &wanted);
    }
    if !wanted.is_empty() {
        reading.fail(format!("{MANIFEST} has dependencies, and there is no lockfile"));
    }
    Some(reading)
}

fn is_project(manifest: &Table) -> bool {
    manifest.contains_key("project") || at(manifest, &["tool", "poetry"]).is_some()
}

fn is_dynamic(manifest: &Table) -> bool {
    let dynamic = at(manifest, &["project", "dynamic"]).and_then(Value::as_array);
    dynamic.into_iter().flatten().any(|one| one.as_str() == Some("dependencies"))
}

fn dependencies(manifest: &Table) -> Vec<Wanted> {
    let own =
        at(manifest, &["project", "name"]).or_else(|| at(manifest, &["tool", "poetry", "name"]));
    let own = own.and_then(Value::as_str).map(normal);
    let listed = at(manifest, &["project", "dependencies"]).and_then(Value::as_array);
    let listed = listed.into_iter().flatten().filter_map(Value::as_str).filter_map(of_text);
    let poetry = at(manifest, &["tool", "poetry", "dependencies"]).and_then(Value::as_table);
    let poetry = poetry.into_iter().flatten().filter(|(name, _)| *name != "python");
    let poetry = poetry.map(|(name, entry)| of_poetry(name, entry));
    listed.chain(poetry).filter(|one| own.as_ref() != Some(&one.name)).collect()
}

/// A requirement as PEP 508 writes it.
fn of_text(text: &str) -> Option<Wanted> {
    let (requirement, marker) = text.split_once(';').unwrap_or((text, ""));
    let (name, rest) = named(requirement)?;
    let is_address = rest.starts_with('@');
    let requirement =
        (!is_address).then(|| (Dialect::Python, rest.trim_matches(['(', ')', ' ']).to_owned()));
    Some(Wanted { name, requirement, is_conditional: !marker.trim().is_empty() })
}

fn of_poetry(name: &str, entry: &Value) -> Wanted {
    let requirement = entry.as_str().or_else(|| entry.get("version").and_then(Value::as_str));
    let is_elsewhere = ["git", "path", "url"].iter().any(|key| entry.get(key).is_some());
    let requirement = requirement.filter(|_| !is_elsewhere).map(|text| {
        let is_npm_like =
            text.starts_with(['^', '~']) && !text.starts_with("~=") && !text.contains(',');
        let dialect = if is_npm_like { Dialect::Npm } else { Dialect::Python };
        (dialect, text.to_owned())
    });
    let limits = ["python", "platform", "markers", "optional"];
    let is_conditional = entry.is_array() || limits.iter().any(|key| entry.get(key).is_some());
    Wanted { name: normal(name), requirement, is_conditional }
}

/// The normal form of the name at the beginning of a requirement, and what follows its extras.
pub(super) fn named(requirement: &str) -> Option<(String, &str)> {
    let text = requirement.trim();
    let belongs = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let end = text.find(|letter| !belongs(letter)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let rest = rest.trim_start();
    let rest = match rest.strip_prefix('[') {
        Some(extras) => extras.split_once(']').map_or("", |(_, rest)| rest).trim_start(),
        None => rest,
    };
    (!name.is_empty()).then(|| (normal(name), rest))
}

/// The normal form of a name (PEP 503).
fn normal(name: &str) -> String {
    let small = name.to_ascii_lowercase();
    let parts: Vec<&str> = small.split(['-', '_', '.']).filter(|part| !part.is_empty()).collect();
    parts.join("-")
}

/// In the folder, or at the root of a workspace of uv.
fn find(folder: &Path) -> Option<(PathBuf, bool)> {
    let own = LOCKS.iter().map(|(name, whole)| (folder.join(name), *whole));
    own.chain(folder.ancestors().skip(1).filter_map(|above| {
        let manifest = text::toml(&above.join(MANIFEST))?;
        let is_workspace = at(&manifest, &["tool", "uv", "workspace"]).is_some();
        is_workspace.then(|| (above.join("uv.lock"), true))
    }))
    .find(|(path, _)| path.is_file())
}

fn compare(reading: &mut Reading, manifest: &Table, wanted: &[Wanted], path: &Path) {
    let file = super::name_of(path);
    let Some(lock) = text::toml(path) else {
        reading.unknown(format!("{file} could not be read"));
        return;
    };
    let packages = lock.get("package").or_else(|| lock.get("packages")).and_then(Value::as_array);
    let packages = packages.map(Vec::as_slice).unwrap_or_default();
    let is_overridden =
        ["override-dependencies", "constraint-dependencies", "exclude-dependencies"]
            .iter()
            .any(|key| at(manifest, &["tool", "uv", key]).is_some());
    let field = |one: &Value, key: &str| one.get(key).and_then(Value::as_str).map(str::to_owned);
    for one in wanted {
        let versions: Vec<Option<String>> = packages
            .iter()
            .filter(|package| field(package, "name").is_some_and(|name| normal(&name) == one.name))
            .map(|package| field(package, "version"))
            .collect();
        if versions.is_empty() {
            let text = format!("{file} does not have `{}`", one.name);
            if one.is_conditional || is_overridden {
                reading.unknown(format!("{text}, which is not for each platform"));
            } else {
                reading.fail(text);
            }
            continue;
        }
        let Some((dialect, requirement)) = &one.requirement else { continue };
        let answers = versions.iter().flatten();
        let mut answers = answers.map(|version| satisfies(*dialect, requirement, version));
        let all_known = versions.iter().all(Option::is_some);
        if all_known && !is_overridden && answers.all(|answer| answer == Some(false)) {
            reading.fail(format!("{file} has no `{}` that is `{requirement}`", one.name));
        }
    }
}

/// The requirements of `pyproject.toml` that a list of pinned ones repeats.
fn listed(mut reading: Reading, folder: &Path, wanted: &[Wanted]) -> Option<Reading> {
    let list = requirements::read(folder)?;
    let names = requirements::names(folder);
    for one in wanted.iter().filter(|one| !one.is_conditional && !names.contains(&one.name)) {
        reading.unknown(format!("{LIST} does not have `{}` of {MANIFEST}", one.name));
    }
    reading.lock = list.lock;
    reading.problems.extend(list.problems);
    Some(reading)
}

fn at<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(table.get(*first)?, |value, key| value.get(key))
}
