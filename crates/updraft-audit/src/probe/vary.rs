//! `III.vary`: the same artefact starts with another set of valid values.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::contract::{declared, other, pasted, setup, valid};
use super::required::with_limit;
use super::{Bench, Control, Dynamic, Looking, unready};
use crate::catalogue::ProbeId;
use crate::control::Behaviour;
use crate::lab::{Setup, Unstartable};
use crate::seen::Seen;
use crate::subject::Subject;
use crate::verdict::Verdict;

/// The deepest folder that is looked at for changes.
const DEPTH_MAX: usize = 8;

pub(super) const VARY: Dynamic = Dynamic {
    id: ProbeId::IiiVary,
    applies,
    look: |bench| -> Looking { Box::pin(look(bench)) },
    needs: &[],
    controls: &[
        Control::new(&[Behaviour::Contract], Verdict::Pass).with(with_limit),
        Control::new(&[Behaviour::OneValue], Verdict::Fail).with(with_limit),
    ],
};

/// Each variable with another valid value.
fn varied(subject: &Subject) -> Vec<(&String, String)> {
    let another = subject.config.iter().filter_map(|(name, key)| {
        let given = subject.environment.get(name).cloned().unwrap_or_else(|| valid(name, key));
        Some((name, other(name, key, &given)?))
    });
    another.collect()
}

fn applies(subject: &Subject) -> Result<(), Seen> {
    declared(subject)?;
    if varied(subject).is_empty() {
        return Err(Seen::not_applicable("its contract allows one value of each variable only"));
    }
    Ok(())
}

async fn look(bench: Bench) -> Seen {
    let as_given = match bench.start_with(&setup(&bench)).await {
        Ok(running) => {
            let changed = changed(running.written(), &bench.subject.folder);
            running.end().await;
            changed
        }
        Err(seen) => return seen,
    };
    let varied = varied(&bench.subject);
    let with_others: Setup =
        varied.iter().fold(setup(&bench), |setup, (name, value)| setup.variable(name, Some(value)));
    let names = varied.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    let started = bench.lab.start(&bench.subject, &with_others, bench.patience()).await;
    let again = || {
        let changes: Vec<_> =
            varied.iter().map(|(name, value)| (name.as_str(), Some(value.as_str()))).collect();
        pasted(&bench, &changes)
    };
    match started {
        Ok(running) => {
            let changed = changed(running.written(), &bench.subject.folder);
            let timeline = running.end().await;
            let new: Vec<_> = changed.difference(&as_given).cloned().collect();
            let mut seen = if new.is_empty() {
                Seen::pass(format!("it starts with other valid values of {names}, unchanged"))
            } else {
                Seen::warn(format!("with other values of {names} it changes {}", new.join(", ")))
                    .reproduced_by(again())
            };
            seen.timeline = timeline;
            seen
        }
        Err(error @ (Unstartable::Ended { .. } | Unstartable::NotReady { .. })) => {
            Seen::fail(format!("with other valid values of {names}: {}", unready(&error)))
                .reproduced_by(again())
        }
        Err(error) => Seen::unknown(unready(&error)),
    }
}

/// Files of the artefact that a copy has changed.
fn changed(written: Option<&Path>, artefact: &Path) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    if let Some(written) = written {
        collect(written, written, artefact, 0, &mut all);
    }
    all
}

fn collect(root: &Path, folder: &Path, artefact: &Path, depth: usize, all: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && depth < DEPTH_MAX {
            collect(root, &path, artefact, depth + 1, all);
        } else if kind.is_file()
            && let Ok(name) = path.strip_prefix(root)
            && let (Ok(before), Ok(after)) = (fs::read(artefact.join(name)), fs::read(&path))
            && before != after
        {
            all.insert(name.display().to_string());
        }
    }
}
