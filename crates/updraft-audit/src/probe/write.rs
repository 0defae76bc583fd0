//! `VI.write`: what a program has to keep is not in files of its own.

use std::path::{Path, PathBuf};

use super::written::{self, Class, Written};
use super::{Bench, Control, Dynamic, Looking, always};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::lab::tree::How;
use crate::seen::Seen;

pub(super) const WRITE: Dynamic = Dynamic {
    id: ProbeId::ViWrite,
    applies: always,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &Control::pair(&[Behaviour::Good], &[Behaviour::WritesDatabase]),
};

async fn look(bench: Bench) -> Seen {
    let written = match written::observe(&bench).await {
        Ok(written) => written,
        Err(seen) => return seen,
    };
    let files = files(&written, &bench.subject.scratch);
    let listing = files.iter().map(|(_, path)| path.clone()).collect();
    let mut seen = verdict(&files, &written.exercise.words()).listing("written_paths", listing);
    if !files.is_empty() {
        seen = seen.reproduced_by(written::pasted(&bench));
    }
    seen.timeline = written.timeline;
    seen
}

/// What was written, in its folder by relative paths and elsewhere by absolute ones, without
/// what it has declared to be scratch.
fn files(written: &Written, scratch: &[PathBuf]) -> Vec<(Class, String)> {
    let declared = |path: &Path| scratch.iter().any(|folder| path.starts_with(folder));
    let changes = written.changes.iter();
    let changes = changes.filter(|change| change.how != How::Removed && !declared(&change.path));
    let inside = changes.map(|change| (change.class(), change.path.display().to_string()));
    let outside = written.elsewhere.iter();
    let outside =
        outside.map(|path| (written::class(path, b"", false), path.display().to_string()));
    let mut files: Vec<_> = inside.chain(outside).collect();
    files.sort();
    files
}

/// Databases, uploads and logs are lost with the copy that wrote them.
fn verdict(files: &[(Class, String)], run: &str) -> Seen {
    let lost = |(class, _): &&(Class, String)| {
        matches!(class, Class::Database | Class::Upload | Class::Log)
    };
    let lost: Vec<_> = files.iter().filter(lost).cloned().collect();
    if !lost.is_empty() {
        let words = written::words(&lost);
        return Seen::fail(format!("a run {run} keeps what other copies do not have: {words}"));
    }
    if !files.is_empty() {
        return Seen::warn(format!("a run {run} wrote {}", written::words(files)));
    }
    Seen::pass(format!("a run {run} wrote no file outside of folders for temporary ones"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Verdict;

    #[test]
    fn what_would_be_lost_with_the_copy_is_a_failure() {
        let table: &[(&[Class], Verdict)] = &[
            (&[], Verdict::Pass),
            (&[Class::Cache, Class::Pid], Verdict::Warn),
            (&[Class::Code], Verdict::Warn),
            (&[Class::Cache, Class::Database], Verdict::Fail),
            (&[Class::Log], Verdict::Fail),
            (&[Class::Upload], Verdict::Fail),
        ];
        for (classes, expected) in table {
            let files: Vec<_> = classes.iter().map(|class| (*class, "x".to_owned())).collect();
            assert_eq!(verdict(&files, "").verdict, *expected, "{classes:?}");
        }
    }
}
