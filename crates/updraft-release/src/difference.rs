//! What differs between two releases, or between two sets of values.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use similar::TextDiff;
use updraft_system::release::{Artifact, Release, ReleaseNumber, Visibility};
use updraft_system::{Name, System};

use crate::document::{Document, Value, visibility};
use crate::error::StoreError;
use crate::store::Store;

/// Lines around a change of the manifest.
const CONTEXT_LINES: usize = 3;

/// What differs between two releases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The one release.
    pub from: ReleaseNumber,
    /// The other.
    pub to: ReleaseNumber,
    /// Services that were built otherwise.
    pub builds: Vec<BuildChange>,
    /// Values that differ.
    pub config: Vec<ValueDifference>,
    /// Resources that are elsewhere.
    pub resources: Vec<ResourceChange>,
    /// The manifest as a unified diff; empty: it is the same.
    pub manifest: String,
}

/// What happened to something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is another.
    Changed,
    /// It is gone.
    Removed,
}

/// Something before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moved<T> {
    /// `null`: there was none.
    pub before: Option<T>,
    /// `null`: there is none any more.
    pub after: Option<T>,
}

/// A service that was built otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BuildChange {
    /// The service.
    pub service: Name,
    /// What happened.
    pub change: ChangeKind,
    /// Its builds.
    #[serde(flatten)]
    pub build: Moved<Artifact>,
}

/// A value that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ValueDifference {
    /// `service.KEY`.
    pub setting: String,
    /// What happened.
    pub change: ChangeKind,
    /// How much may be shown.
    pub visibility: Visibility,
    /// What may be shown of it.
    #[serde(flatten)]
    pub value: Moved<String>,
}

/// A resource that is elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ResourceChange {
    /// The resource.
    pub resource: Name,
    /// What happened.
    pub change: ChangeKind,
    /// Its addresses without user and query: they may be the same where only those differ.
    #[serde(flatten)]
    pub address: Moved<String>,
}

impl Difference {
    /// Whether the two are the same.
    pub fn is_empty(&self) -> bool {
        self.builds.is_empty()
            && self.config.is_empty()
            && self.resources.is_empty()
            && self.manifest.is_empty()
    }
}

impl<T> Moved<T> {
    fn kind(&self) -> ChangeKind {
        match (&self.before, &self.after) {
            (None, _) => ChangeKind::Added,
            (_, None) => ChangeKind::Removed,
            _ => ChangeKind::Changed,
        }
    }
}

/// Values and addresses that differ.
type Differing = (Vec<ValueDifference>, Vec<ResourceChange>);

impl Store {
    /// What differs between two releases, of whatever deploys.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when a manifest cannot be read, or values that are not the same.
    pub fn difference(&self, from: &Release, to: &Release) -> Result<Difference, StoreError> {
        let (old, new) = (self.manifest(from)?, self.manifest(to)?);
        let manifest = if old == new {
            String::new()
        } else {
            let name = |release: &Release| format!("release {}", release.number);
            let diff = TextDiff::from_lines(&old, &new);
            let mut diff = diff.unified_diff();
            diff.context_radius(CONTEXT_LINES).header(&name(from), &name(to)).to_string()
        };
        // The same values need no key.
        let same = from.deploy == to.deploy && from.config == to.config;
        let (config, resources) = if same {
            (Vec::new(), Vec::new())
        } else {
            let (before, after) = (self.pinned(from)?, self.pinned(to)?);
            let contracts = [self.system(from)?, self.system(to)?];
            compare(before.as_ref(), after.as_ref(), &contracts)
        };
        let builds = both(&from.builds, &to.builds).map(|(service, build)| BuildChange {
            service: service.clone(),
            change: build.kind(),
            build,
        });
        let (from, to, builds) = (from.number, to.number, builds.collect());
        Ok(Difference { from, to, builds, config, resources, manifest })
    }

    /// What is set in a deploy and not in its current release, where the next one would have
    /// it: values by name, addresses of resources.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when releases or values cannot be read.
    pub fn unreleased(&self, deploy: &Name, system: &System) -> Result<Differing, StoreError> {
        let current = self.current(deploy)?;
        let pinned = current.as_ref().map(|it| self.pinned(it)).transpose()?.flatten();
        let latest = self.latest(deploy)?.map(|(_, document)| document);
        Ok(compare(pinned.as_ref(), latest.as_ref(), std::slice::from_ref(system)))
    }

    /// What differs between what is set in two deploys.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when values cannot be read.
    pub fn between(&self, a: &Name, b: &Name, system: &System) -> Result<Differing, StoreError> {
        let (before, after) = (self.latest(a)?, self.latest(b)?);
        let document = |it: &Option<(_, Document)>| it.as_ref().map(|(_, it)| it.clone());
        let (before, after) = (document(&before), document(&after));
        Ok(compare(before.as_ref(), after.as_ref(), std::slice::from_ref(system)))
    }
}

fn compare(before: Option<&Document>, after: Option<&Document>, contracts: &[System]) -> Differing {
    let settings = |document: Option<&Document>| -> BTreeMap<_, Value> {
        document
            .iter()
            .flat_map(|it| it.settings())
            .map(|(it, value)| (it, value.clone()))
            .collect()
    };
    let (before, after) = (settings(before), settings(after));
    let (mut values, mut resources) = (Vec::new(), Vec::new());
    for setting in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let (old, new) = (before.get(setting), after.get(setting));
        if old.zip(new).is_some_and(|(old, new)| old.is(&new.text)) {
            continue;
        }
        let stored = [old, new].into_iter().flatten().map(|value| value.visibility);
        let said = contracts.iter().filter_map(|system| visibility(system, setting));
        let visibility = stored.chain(said).max().unwrap_or(Visibility::Secret);
        let kind = Moved { before: old, after: new }.kind();
        let shown = |value: Option<&Value>| value.and_then(|it| it.shown(Some(visibility)).1);
        let moved = Moved { before: shown(old), after: shown(new) };
        match setting {
            crate::config::Setting::Value { .. } => values.push(ValueDifference {
                setting: setting.to_string(),
                change: kind,
                visibility,
                value: moved,
            }),
            crate::config::Setting::Address { resource } => resources.push(ResourceChange {
                resource: resource.clone(),
                change: kind,
                address: moved,
            }),
        }
    }
    (values, resources)
}

fn both<'a, T: Clone + PartialEq>(
    before: &'a BTreeMap<Name, T>,
    after: &'a BTreeMap<Name, T>,
) -> impl Iterator<Item = (&'a Name, Moved<T>)> {
    let names: BTreeSet<&Name> = before.keys().chain(after.keys()).collect();
    names.into_iter().filter_map(|name| {
        let moved = Moved { before: before.get(name).cloned(), after: after.get(name).cloned() };
        (moved.before != moved.after).then_some((name, moved))
    })
}
