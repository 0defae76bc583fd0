//! Composer: `composer.lock` has each package that `composer.json` names.

use std::path::Path;

use serde_json::Value;

use super::{Reading, text};

const MANIFEST: &str = "composer.json";
const LOCK: &str = "composer.lock";

pub(super) fn read(folder: &Path) -> Option<Reading> {
    let path = folder.join(MANIFEST);
    if !path.is_file() {
        return None;
    }
    let mut reading = Reading::of(MANIFEST);
    let Some(manifest) = text::json(&path) else { return Some(reading.unreadable(MANIFEST)) };
    let wanted: Vec<String> = ["require", "require-dev"]
        .iter()
        .filter_map(|key| manifest.get(key)?.as_object())
        .flat_map(|packages| packages.keys().map(|name| name.to_ascii_lowercase()))
        // `php` and `ext-json` are of the platform, and have no slash.
        .filter(|name| name.contains('/'))
        .collect();
    reading.dependencies = wanted.len();
    if wanted.is_empty() {
        return Some(reading);
    }
    if !folder.join(LOCK).is_file() {
        reading.fail(format!("{MANIFEST} requires packages, and there is no {LOCK}"));
        return Some(reading);
    }
    reading.lock = Some(folder.join(LOCK));
    let Some(lock) = text::json(&folder.join(LOCK)) else { return Some(reading.unreadable(LOCK)) };
    let locked = locked(&lock);
    for name in wanted {
        if !locked.contains(&name) {
            reading.fail(format!("{LOCK} does not have `{name}`"));
        }
    }
    Some(reading)
}

/// The names of all packages, and of what they stand in for.
fn locked(lock: &Value) -> Vec<String> {
    let mut names = Vec::new();
    let lists = ["packages", "packages-dev"].iter().filter_map(|key| lock.get(key)?.as_array());
    for package in lists.flatten() {
        names.extend(package.get("name").and_then(Value::as_str).map(str::to_ascii_lowercase));
        for key in ["replace", "provide"] {
            let others = package.get(key).and_then(Value::as_object);
            names.extend(
                others.into_iter().flat_map(|one| one.keys()).map(|name| name.to_ascii_lowercase()),
            );
        }
    }
    names
}
