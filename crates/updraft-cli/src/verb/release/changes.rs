//! Differences in words, one line for each.

use anstyle::{AnsiColor, Style};
use updraft_release::{BuildChange, ChangeKind, ResourceChange, ValueDifference};
use updraft_system::release::{Artifact, Visibility};

const ADDED: Style = AnsiColor::Green.on_default();
const REMOVED: Style = AnsiColor::Red.on_default();
const CHANGED: Style = AnsiColor::Yellow.on_default();

pub(crate) fn values(changes: &[ValueDifference]) -> Vec<String> {
    let line = |it: &ValueDifference| {
        let secret = it.visibility == Visibility::Secret;
        let shown = |value: &Option<String>| match value {
            _ if secret => "(secret)".to_owned(),
            Some(value) => value.escape_debug().to_string(),
            None => String::new(),
        };
        let (before, after) = (shown(&it.value.before), shown(&it.value.after));
        line(it.change, &it.setting, &before, &after)
    };
    changes.iter().map(line).collect()
}

pub(crate) fn resources(changes: &[ResourceChange]) -> Vec<String> {
    let shown = |value: &Option<String>| value.clone().unwrap_or_default();
    let line = |it: &ResourceChange| {
        let (before, after) = (shown(&it.address.before), shown(&it.address.after));
        line(it.change, it.resource.as_str(), &before, &after)
    };
    changes.iter().map(line).collect()
}

pub(crate) fn builds(changes: &[BuildChange]) -> Vec<String> {
    let shown = |build: &Option<Artifact>| build.as_ref().map(source).unwrap_or_default();
    let line = |it: &BuildChange| {
        let (before, after) = (shown(&it.build.before), shown(&it.build.after));
        line(it.change, it.service.as_str(), &before, &after)
    };
    changes.iter().map(line).collect()
}

/// What a build is known by to people: its commit, else the beginning of its digest.
pub(crate) fn source(build: &Artifact) -> String {
    const SHORT: usize = 12;
    let short = |text: &str| text.get(..SHORT).unwrap_or(text).to_owned();
    let digest = short(build.digest.hex());
    match &build.commit {
        Some(commit) if build.dirty => format!("{}+changes {digest}", short(commit)),
        Some(commit) => format!("{} {digest}", short(commit)),
        None => digest,
    }
}

fn line(change: ChangeKind, name: &str, before: &str, after: &str) -> String {
    match change {
        ChangeKind::Added => format!("{ADDED}+ {name}{ADDED:#} {after}"),
        ChangeKind::Removed => format!("{REMOVED}- {name}{REMOVED:#} {before}"),
        // Where only a secret part differs, both look alike.
        ChangeKind::Changed if before == after => {
            format!("{CHANGED}~ {name}{CHANGED:#} {after} (another)")
        }
        ChangeKind::Changed => format!("{CHANGED}~ {name}{CHANGED:#} {before} → {after}"),
    }
}
