//! What the release store tells of the deploys of a system: names and digests, no value.

use std::collections::BTreeMap;
use std::path::Path;

use updraft_audit::{Deploy, Deployed, Variable};
use updraft_engine::{StateDir, StateDirError};
use updraft_image::{Digest, Layout, StoredImage};
use updraft_release::{KeyFile, SettingState, SettingStatus, Store, StoreError};
use updraft_system::release::{Artifact, Release};
use updraft_system::{Name, System};

use crate::released::IMAGES;

/// Releases cannot be read.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error(transparent)]
    State(#[from] StateDirError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The deploys that have a release; what cannot be read of them is the audit's to tell.
pub(super) fn known(system: &System, directory: &Path) -> Result<Vec<Deploy>, String> {
    all(system, directory).map_err(|error| error.to_string())
}

fn all(system: &System, directory: &Path) -> Result<Vec<Deploy>, Unreadable> {
    let state = StateDir::locate(&system.name, directory)?;
    let key_file = KeyFile::locate().map_err(StoreError::from)?;
    let store = Store::open(state.releases(), key_file)?;
    if !store.exists() {
        return Ok(Vec::new());
    }
    let images = state.root().join(IMAGES);
    let mut deploys = Vec::new();
    for name in store.deploys()? {
        if let Some(release) = store.current(&name)? {
            deploys.push(deploy(&store, &release, system, &images)?);
        }
    }
    Ok(deploys)
}

fn deploy(
    store: &Store,
    release: &Release,
    system: &System,
    images: &Path,
) -> Result<Deploy, StoreError> {
    let released = store.system(release)?;
    // Whoever has no key can still compare digests.
    let settings = match store.settings(&release.deploy, system) {
        Ok(settings) => Some(settings),
        Err(StoreError::Sealed { .. }) => None,
        Err(error) => return Err(error),
    };
    let deployed = |(service, artifact): (&Name, &Artifact)| {
        let config = released.services.get(service).map(|service| &service.config);
        let required = config.into_iter().flatten().filter(|(_, key)| key.default.is_none());
        let deployed = Deployed {
            digest: artifact.digest.to_string(),
            commit: artifact.commit.clone().filter(|_| !artifact.dirty),
            platform: platform(images, artifact),
            required: required.map(|(name, _)| name.clone()).collect(),
            variables: settings.as_deref().map(|settings| variables(settings, service)),
        };
        (service.clone(), deployed)
    };
    let services = release.builds.iter().map(deployed).collect();
    Ok(Deploy { name: release.deploy.clone(), release: release.number.get(), services })
}

fn platform(images: &Path, artifact: &Artifact) -> Option<String> {
    let digest: Digest = artifact.digest.to_string().parse().ok()?;
    let image = StoredImage::open(&Layout::open(images).ok()?, &digest).ok()?;
    Some(image.platform().to_string())
}

/// Those that the manifest has: what else is set reaches no program.
fn variables(settings: &[SettingStatus], service: &Name) -> BTreeMap<String, Variable> {
    let variable = |status: &SettingStatus| {
        let (of, variable) = status.setting.split_once('.')?;
        let how = match status.state {
            SettingState::Set => Variable::Set,
            SettingState::Default => Variable::Default,
            SettingState::Missing => Variable::Missing,
            SettingState::Unused => return None,
        };
        (of == service.as_str()).then(|| (variable.to_owned(), how))
    };
    settings.iter().filter_map(variable).collect()
}
