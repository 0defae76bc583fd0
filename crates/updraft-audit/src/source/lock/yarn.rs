//! `yarn.lock` and `pnpm-lock.yaml`, which repeat the requirements as the manifest writes them,
//! so that no rule of versions is needed to compare.

use std::collections::BTreeMap;
use std::path::Path;

use super::node::Wanted;
use super::{Reading, text};

/// `yarn.lock` of Yarn 1 and later: the key of each entry lists `NAME@REQUIREMENT`.
pub(super) fn yarn(reading: &mut Reading, path: &Path, is_overridden: bool, wanted: &[Wanted]) {
    let Some(lock) = text::read(path) else {
        reading.unknown("yarn.lock could not be read");
        return;
    };
    let keys = keys(&lock);
    for one in wanted {
        if one.is_local() || one.requirement.starts_with("catalog:") {
            continue;
        }
        let of_name: Vec<&str> =
            keys.iter().filter_map(|key| requirement(key, &one.name)).collect();
        if of_name.is_empty() {
            reading.fail(format!("yarn.lock does not have `{}`", one.name));
            continue;
        }
        let is_there = of_name.iter().any(|found| {
            found.strip_prefix("npm:").unwrap_or(found) == one.requirement
                || found.starts_with("workspace:")
        });
        if !is_there && one.is_range() && !is_overridden {
            reading.fail(format!("yarn.lock has no `{}` for `{}`", one.name, one.requirement));
        } else if !is_there && is_overridden {
            reading.unknown(format!(
                "yarn.lock has `{}`, and something replaces the requirement `{}`",
                one.name,
                one.shown()
            ));
        }
    }
}

/// The keys of all entries; a long one stands after `? `, as YAML has it.
fn keys(lock: &str) -> Vec<&str> {
    lock.lines()
        .filter(|line| !line.starts_with([' ', '#']))
        .filter_map(|line| line.strip_prefix("? ").or_else(|| line.strip_suffix(':')))
        .flat_map(|line| line.split(", "))
        .map(|key| key.trim_matches('"'))
        .collect()
}

fn requirement<'a>(key: &'a str, name: &str) -> Option<&'a str> {
    key.strip_prefix(name)?.strip_prefix('@')
}

/// `pnpm-lock.yaml`: for each folder of the workspace the requirements of its manifest.
pub(super) fn pnpm(reading: &mut Reading, path: &Path, member: &str, wanted: &[Wanted]) {
    let Some(lock) = text::read(path) else {
        reading.unknown("pnpm-lock.yaml could not be read");
        return;
    };
    let Some(importer) = Importer::read(&lock, if member.is_empty() { "." } else { member }) else {
        reading.unknown(format!("pnpm-lock.yaml does not name the folder `{member}`"));
        return;
    };
    // A program may have changed the manifest before it was locked.
    let is_changed = ["overrides:", "pnpmfileChecksum:"]
        .iter()
        .any(|key| lock.lines().any(|line| line.starts_with(key)));
    for one in wanted {
        let text = match importer.specifiers.get(&one.name) {
            Some(locked) if *locked == one.requirement => continue,
            None if one.is_local() => continue,
            Some(_) => {
                format!("pnpm-lock.yaml has `{}`, but not for `{}`", one.name, one.shown())
            }
            None => format!("pnpm-lock.yaml does not have `{}`", one.name),
        };
        if is_changed {
            reading.unknown(text);
        } else {
            reading.fail(text);
        }
    }
}

/// The part of one folder.
struct Importer {
    specifiers: BTreeMap<String, String>,
}

impl Importer {
    /// Reads the lines that pnpm writes, each with two spaces for its depth.
    fn read(lock: &str, folder: &str) -> Option<Self> {
        let has_importers = lock.lines().any(|line| line == "importers:");
        let mut specifiers = BTreeMap::new();
        let mut path: Vec<&str> = Vec::new();
        let mut is_found = !has_importers && folder == ".";
        for line in lock.lines() {
            let content = line.trim_start();
            if content.is_empty() || content.starts_with('#') {
                continue;
            }
            let depth = (line.len() - content.len()) / 2;
            let Some((key, value)) = entry(content) else { continue };
            path.truncate(depth);
            path.push(key);
            let inside = match (&*path, has_importers) {
                (["importers", importer, inside @ ..], true) if *importer == folder => inside,
                (_, true) => continue,
                (inside, false) => inside,
            };
            is_found = true;
            match inside {
                [kind, name, "specifier"]
                    if kind.to_ascii_lowercase().ends_with("dependencies") =>
                {
                    specifiers.insert((*name).to_owned(), value.to_owned());
                }
                ["specifiers", name] => {
                    specifiers.insert((*name).to_owned(), value.to_owned());
                }
                _ => {}
            }
        }
        is_found.then_some(Self { specifiers })
    }
}

fn entry(content: &str) -> Option<(&str, &str)> {
    let (key, value) = match content.split_once(": ") {
        Some(pair) => pair,
        None => (content.strip_suffix(':')?, ""),
    };
    Some((unquoted(key), unquoted(value)))
}

fn unquoted(text: &str) -> &str {
    text.trim().trim_matches(['\'', '"'])
}
