//! `requirements.txt`: each line is one version, by number or by checksum.

use std::collections::BTreeSet;
use std::path::Path;

use super::python::{LIST, named};
use super::{Reading, text};

/// So deep may lists include lists.
const DEPTH_MAX: usize = 8;

/// What a list says, with what it includes.
#[derive(Default)]
struct List {
    /// Names, and whether they are pinned where they stand.
    lines: Vec<(String, bool)>,
    /// Names that a list of constraints pins.
    constrained: BTreeSet<String>,
    /// Files that are included and are not there.
    missing: Vec<String>,
}

pub(super) fn read(folder: &Path) -> Option<Reading> {
    let path = folder.join(LIST);
    if !path.is_file() {
        return None;
    }
    let mut reading = Reading::of(LIST);
    let mut list = List::default();
    list.read(&path, false, 0);
    reading.dependencies = list.lines.len();
    reading.lock = Some(path);
    for missing in &list.missing {
        reading.unknown(format!("{missing} could not be read"));
    }
    for (name, is_pinned) in &list.lines {
        if !is_pinned && !list.constrained.contains(name) {
            reading.warn(format!("{LIST} does not pin `{name}`"));
        }
    }
    Some(reading)
}

/// The normal names of all that it lists.
pub(super) fn names(folder: &Path) -> BTreeSet<String> {
    let mut list = List::default();
    list.read(&folder.join(LIST), false, 0);
    list.lines.into_iter().map(|(name, _)| name).collect()
}

impl List {
    fn read(&mut self, path: &Path, is_constraint: bool, depth: usize) {
        let text = if depth < DEPTH_MAX { text::read(path) } else { None };
        let Some(text) = text else {
            self.missing.push(super::name_of(path));
            return;
        };
        let text = text.replace("\\\r\n", " ").replace("\\\n", " ");
        for line in text.lines() {
            let line = line.trim();
            let line = line.split(" #").next().unwrap_or(line).trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some((option, value)) = option(line) {
                if value.contains("://") {
                    // It may hold a password, and is asked of nobody.
                    let is_list = ["-r", "--requirement"].contains(&option);
                    self.missing.extend(is_list.then(|| "a list at an address".to_owned()));
                    continue;
                }
                let included = path.parent().unwrap_or(Path::new("")).join(value);
                match option {
                    "-r" | "--requirement" => self.read(&included, is_constraint, depth + 1),
                    "-c" | "--constraint" => self.read(&included, true, depth + 1),
                    _ => {}
                }
                continue;
            }
            self.add(line, is_constraint);
        }
    }

    fn add(&mut self, line: &str, is_constraint: bool) {
        let is_local =
            line.starts_with(['.', '/']) || line.ends_with(".whl") && !line.contains("//");
        let is_bare_address = line.split_whitespace().next().is_some_and(|one| one.contains("://"));
        let found = match is_bare_address {
            true => Some(("a package at an address".to_owned(), line)),
            false => named(line),
        };
        let Some((name, rest)) = found.filter(|_| !is_local) else { return };
        let is_pinned = is_pinned(line, rest);
        match is_constraint {
            true if is_pinned => drop(self.constrained.insert(name)),
            true => {}
            false => self.lines.push((name, is_pinned)),
        }
    }
}

/// An option and its value; `--index-url=X` and `-r x` alike.
fn option(line: &str) -> Option<(&str, &str)> {
    if !line.starts_with('-') {
        return None;
    }
    let (option, value) = line.split_once(['=', ' ']).unwrap_or((line, ""));
    let short = option.get(..2).filter(|_| option.len() > 2 && !option.starts_with("--"));
    // `-rbase.txt`
    Some(match short {
        Some(short) => (short, option.get(2..).unwrap_or_default()),
        None => (option, value.trim()),
    })
}

fn is_pinned(line: &str, rest: &str) -> bool {
    if line.contains("--hash=") {
        return true;
    }
    if line.contains("://") {
        let is_commit = |part: &str| {
            let part = part.split(['#', ';', ' ']).next().unwrap_or(part);
            part.len() >= 40 && part.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        return line.contains("#sha256=") || line.rsplit('@').next().is_some_and(is_commit);
    }
    let rest = rest.split(';').next().unwrap_or(rest).trim();
    let version = rest.strip_prefix("===").or_else(|| rest.strip_prefix("=="));
    version.is_some_and(|version| !version.contains(['*', ',']) && !version.trim().is_empty())
}
