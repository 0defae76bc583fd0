//! `II.lock`: what the program depends on is fixed in a lockfile that fits its manifest.
//!
//! Each manifest is read as its package manager reads it, as far as that is decidable without
//! running it; where it is not, the verdict is `unknown`, for the manifest of a package manager
//! can be a program.

mod cargo;
mod golang;
mod java;
mod node;
mod php;
mod python;
mod requirements;
mod ruby;
mod scripts;
mod text;
mod version;
mod yarn;

use std::path::{Path, PathBuf};

use super::repository::Vcs;
use super::{Tree, git};
use crate::seen::Seen;

/// How much a problem says, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    Warn,
    Unknown,
    Fail,
}

/// What is not as it should be.
#[derive(Clone, Debug)]
struct Problem {
    weight: Weight,
    text: String,
}

/// What was read of one package manager in the folder.
#[derive(Clone, Debug)]
struct Reading {
    /// The name of the manifest.
    manifest: &'static str,
    /// Where the lockfile is.
    lock: Option<PathBuf>,
    /// How many dependencies the manifest names.
    dependencies: usize,
    problems: Vec<Problem>,
}

impl Reading {
    fn of(manifest: &'static str) -> Self {
        Self { manifest, lock: None, dependencies: 0, problems: Vec::new() }
    }

    fn add(&mut self, weight: Weight, text: impl Into<String>) {
        self.problems.push(Problem { weight, text: text.into() });
    }

    fn fail(&mut self, text: impl Into<String>) {
        self.add(Weight::Fail, text);
    }

    fn unknown(&mut self, text: impl Into<String>) {
        self.add(Weight::Unknown, text);
    }

    fn warn(&mut self, text: impl Into<String>) {
        self.add(Weight::Warn, text);
    }

    /// The manifest or the lockfile has a form that is not understood.
    fn unreadable(mut self, path: &str) -> Self {
        self.unknown(format!("{path} could not be read"));
        self
    }

    fn summary(&self) -> String {
        let (manifest, count) = (self.manifest, self.dependencies);
        match self.lock.as_deref().map(name_of) {
            _ if count == 0 => format!("{manifest} names no dependencies"),
            Some(lock) if lock != manifest => {
                format!("{lock} holds each of the {count} dependencies of {manifest}")
            }
            _ => format!("each of the {count} dependencies of {manifest} is pinned"),
        }
    }
}

type Reader = fn(&Path) -> Option<Reading>;

const READERS: &[Reader] = &[
    cargo::read,
    node::read,
    python::read,
    golang::read,
    ruby::read,
    php::read,
    java::maven,
    java::gradle,
];

/// Manifests of other package managers: that they are there is all that is seen.
const NOT_READ: &[&str] = &[
    "Pipfile",
    "setup.py",
    "setup.cfg",
    "environment.yml",
    "environment.yaml",
    "mix.exs",
    "Package.swift",
    "pubspec.yaml",
    "build.sbt",
    "deno.json",
    "deno.jsonc",
    "shard.yml",
    "rebar.config",
    "stack.yaml",
    "project.clj",
    "deps.edn",
    "dub.json",
    "elm.json",
    "build.zig.zon",
    "conanfile.txt",
    "conanfile.py",
    "vcpkg.json",
    "cpanfile",
    "rockspec",
    "flake.nix",
    "WORKSPACE",
    "MODULE.bazel",
    "BUILD.bazel",
    "packages.config",
    "DESCRIPTION",
    "Project.toml",
    "dune-project",
    "Makefile.PL",
    "cabal.project",
];

const NOT_READ_ENDS: &[&str] =
    &[".csproj", ".fsproj", ".vbproj", ".cabal", ".gemspec", ".nimble", ".rockspec", ".opam"];

/// Whether each dependency of each manifest in the folder is locked.
pub(super) fn look(tree: &Tree) -> Seen {
    let mut readings: Vec<Reading> =
        READERS.iter().filter_map(|reader| reader(&tree.folder)).collect();
    if readings.is_empty() {
        return match not_read(&tree.folder) {
            Some(name) => Seen::unknown(format!("the dependencies in {name} are not read here")),
            None => scripts::look(&tree.folder),
        };
    }
    for reading in &mut readings {
        if let Some(lock) = reading.lock.clone()
            && is_untracked(tree, &lock)
        {
            reading.warn(format!("{} is not under version control", name_of(&lock)));
        }
    }
    judge(&readings)
}

fn judge(readings: &[Reading]) -> Seen {
    let mut problems: Vec<&Problem> =
        readings.iter().flat_map(|reading| &reading.problems).collect();
    problems.sort_by_key(|problem| std::cmp::Reverse(problem.weight));
    let Some(worst) = problems.first() else {
        let said: Vec<String> = readings.iter().map(Reading::summary).collect();
        return Seen::pass(said.join("; "));
    };
    let texts: Vec<String> = problems.iter().map(|problem| problem.text.clone()).collect();
    let (first, more) = texts.split_at(texts.len().min(3));
    let more = match more.len() {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let evidence = format!("{}{more}", first.join("; "));
    let seen = match worst.weight {
        Weight::Fail => Seen::fail(evidence),
        Weight::Unknown => Seen::unknown(evidence),
        Weight::Warn => Seen::warn(evidence),
    };
    seen.listing("problems", texts.into_iter().take(50).collect())
}

fn not_read(folder: &Path) -> Option<String> {
    let known = NOT_READ.iter().find(|name| folder.join(name).is_file());
    if let Some(name) = known {
        return Some((*name).to_owned());
    }
    let Ok(entries) = folder.read_dir() else { return None };
    let names = entries.filter_map(Result::ok).map(|entry| entry.file_name());
    let mut names = names.map(|name| name.to_string_lossy().into_owned());
    names.find(|name| NOT_READ_ENDS.iter().any(|end| name.ends_with(end)))
}

/// Only where Git says so: a lockfile that nobody commits locks nothing.
fn is_untracked(tree: &Tree, lock: &Path) -> bool {
    let is_git = |tree: &Tree| tree.repository.as_ref().is_some_and(|one| one.vcs == Vcs::Git);
    let (Some(folder), Some(name)) =
        (lock.parent(), lock.file_name().and_then(|name| name.to_str()))
    else {
        return false;
    };
    is_git(tree)
        && git::ask(folder, &["ls-files", "-z", "--", name]).is_ok_and(|names| names.is_empty())
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
#[path = "lock_tests.rs"]
mod tests;
