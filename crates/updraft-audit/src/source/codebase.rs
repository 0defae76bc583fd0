//! `I.repo`: the program's folder is in one repository, and what is in the folder is what is
//! committed.

use std::path::Path;

use super::Tree;
use super::git::{self, GitError};
use super::repository::{Repository, Vcs};
use crate::seen::Seen;

/// Whether the folder is under version control, and clean.
pub(super) fn look(tree: &Tree) -> Seen {
    let folder = tree.folder.display();
    let Some(repository) = &tree.repository else {
        return match &tree.unreadable {
            Some(above) => Seen::unknown(format!(
                "whether {} is a repository could not be read",
                above.display()
            )),
            None => Seen::fail(format!(
                "neither {folder} nor a folder above it is under version control"
            ))
            .reproduced_by(reproducer(&tree.folder, "rev-parse --show-toplevel")),
        };
    };
    let root = repository.root.display();
    match repository.vcs {
        Vcs::Jujutsu => Seen::pass(format!(
            "one repository of Jujutsu at {root}; its working copy is a commit by itself"
        )),
        Vcs::Other(name) => Seen::unknown(format!(
            "a repository of {name} is at {root}; whether the folder is clean is read for Git \
             only"
        )),
        Vcs::Git => in_git(tree, repository),
    }
}

fn in_git(tree: &Tree, repository: &Repository) -> Seen {
    let root = repository.root.display();
    let state = match State::read(&tree.folder, &repository.root) {
        Ok(state) => state,
        Err(problem) => {
            return Seen::unknown(format!(
                "a repository is at {root}; whether the folder is clean could not be seen: \
                 {problem}"
            ));
        }
    };
    let seen = state.judge(tree, repository);
    seen.reproduced_by(reproducer(&tree.folder, "status --short ."))
        .measured("tracked_files", count(state.tracked))
        .measured("submodules", count(state.submodules))
        .measured("shallow", if state.shallow { 1.0 } else { 0.0 })
        .listing("changed", state.changed.into_iter().take(LISTED_MAX).collect())
        .listing("untracked", state.untracked.into_iter().take(LISTED_MAX).collect())
}

/// So many paths stand in the report.
const LISTED_MAX: usize = 50;

/// What Git says of the folder.
#[derive(Debug, Default)]
struct State {
    /// How many of its files are tracked.
    tracked: usize,
    /// How many of them are repositories of their own.
    submodules: usize,
    /// The history is cut.
    shallow: bool,
    /// Tracked paths that differ from the commit.
    changed: Vec<String>,
    /// Paths that are neither tracked nor ignored.
    untracked: Vec<String>,
    /// Nothing is committed yet.
    unborn: bool,
}

impl State {
    fn read(folder: &Path, root: &Path) -> Result<Self, GitError> {
        let staged = git::ask(folder, &["ls-files", "-z", "--stage", "--", "."])?;
        let entries = || staged.split(|byte| *byte == 0).filter(|entry| !entry.is_empty());
        let status = git::ask(folder, &["status", "--porcelain=v1", "-z", "--", "."])?;
        let shallow = git::ask(root, &["rev-parse", "--is-shallow-repository"])?;
        let unborn = match git::ask(root, &["rev-parse", "--quiet", "--verify", "HEAD"]) {
            Ok(_) => false,
            Err(GitError::Refused(_)) => true,
            Err(problem) => return Err(problem),
        };
        let (changed, untracked) = changes(&status);
        Ok(Self {
            tracked: entries().count(),
            submodules: entries().filter(|entry| entry.starts_with(b"160000 ")).count(),
            shallow: shallow.starts_with(b"true"),
            changed,
            untracked,
            unborn,
        })
    }

    fn judge(&self, tree: &Tree, repository: &Repository) -> Seen {
        let root = repository.root.display();
        if self.tracked == 0 {
            return Seen::warn(format!(
                "the repository at {root} tracks no file of {}",
                tree.folder.display()
            ));
        }
        if self.unborn {
            return Seen::warn(format!("the repository at {root} has no commit yet"));
        }
        if !self.changed.is_empty() || !self.untracked.is_empty() {
            let first = self.changed.first().or(self.untracked.first());
            return Seen::warn(format!(
                "one repository at {root}, and its folder is not what is committed: {} changed \
                 and {} untracked, `{}` first",
                self.changed.len(),
                self.untracked.len(),
                first.map_or("", String::as_str),
            ));
        }
        let shallow = if self.shallow { "; its history is cut (a shallow clone)" } else { "" };
        Seen::pass(format!(
            "one repository at {root}, {} tracked files of this program, all as committed\
             {shallow}",
            self.tracked
        ))
    }
}

/// The changed and the untracked paths of `git status --porcelain=v1 -z`.
fn changes(status: &[u8]) -> (Vec<String>, Vec<String>) {
    let (mut changed, mut untracked) = (Vec::new(), Vec::new());
    let mut entries = status.split(|byte| *byte == 0);
    while let Some(entry) = entries.next() {
        let (Some(kinds), Some(path)) = (entry.get(..2), entry.get(3..)) else { continue };
        // The path before a renaming follows as an entry of its own.
        if kinds.contains(&b'R') || kinds.contains(&b'C') {
            entries.next();
        }
        let path = String::from_utf8_lossy(path).into_owned();
        match kinds {
            b"??" => untracked.push(path),
            _ => changed.push(path),
        }
    }
    (changed, untracked)
}

fn reproducer(folder: &Path, verb: &str) -> String {
    format!("git -C {} {verb}", shell_words::quote(&folder.to_string_lossy()))
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}

#[cfg(test)]
#[path = "codebase_tests.rs"]
mod tests;
