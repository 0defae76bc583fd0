//! `V.pure`: a release is not changed by running it.

use super::written::{self, Class};
use super::{Bench, Control, Dynamic, Looking, always};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::seen::Seen;

pub(super) const PURE: Dynamic = Dynamic {
    id: ProbeId::VPure,
    applies: always,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &Control::pair(&[Behaviour::Good], &[Behaviour::WritesCode]),
};

async fn look(bench: Bench) -> Seen {
    let written = match written::observe(&bench).await {
        Ok(written) => written,
        Err(seen) => return seen,
    };
    let changes = written.changes.iter().map(|change| (change.class(), change.words())).collect();
    let mut seen = verdict(changes, &written.exercise.words());
    if !written.changes.is_empty() {
        seen = seen.reproduced_by(written::pasted(&bench));
    }
    seen.timeline = written.timeline;
    seen
}

/// Code that a run changes is no longer what was released; the rest can be thrown away.
fn verdict(changes: Vec<(Class, String)>, run: &str) -> Seen {
    let (code, rest): (Vec<_>, Vec<_>) =
        changes.into_iter().partition(|(class, _)| *class == Class::Code);
    if !code.is_empty() {
        return Seen::fail(format!("a run {run} changed its code: {}", written::words(&code)));
    }
    if !rest.is_empty() {
        let words = written::words(&rest);
        return Seen::warn(format!("a run {run} left something in its folder: {words}"));
    }
    Seen::pass(format!("after a run {run} and SIGTERM, its folder was as before, byte for byte"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Verdict;

    #[test]
    fn only_code_makes_another_release_of_it() {
        let table: &[(&[Class], Verdict)] = &[
            (&[], Verdict::Pass),
            (&[Class::Cache], Verdict::Warn),
            (&[Class::Database, Class::Log], Verdict::Warn),
            (&[Class::Cache, Class::Code], Verdict::Fail),
        ];
        for (classes, expected) in table {
            let changes = classes.iter().map(|class| (*class, "x".to_owned())).collect();
            assert_eq!(verdict(changes, "").verdict, *expected, "{classes:?}");
        }
    }
}
