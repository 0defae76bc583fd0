//! What a release runs on this machine: its images, unpacked, and its values.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::ExposeSecret as _;
use updraft_engine::{Remembered, RunTarget, ServiceTarget, StateDir};
use updraft_image::{Digest, Layout, StoredImage, UnpackOptions};
use updraft_release::{KeyFile, Store, StoreError};
use updraft_system::Name;
use updraft_system::release::{Release, ReleaseNumber};

use crate::failure::{Class, Failure};

/// Where the images of a system are, in its state folder.
pub(crate) const IMAGES: &str = "images";
/// Where images are unpacked, in its state folder.
const UNPACKED: &str = "unpacked";
/// How the names of unfinished ones begin.
const DRAFT: &str = "draft-";
/// An unfinished one this old is nobody's.
const ABANDONED: Duration = Duration::from_secs(3600);
/// The newest releases stay unpacked, for a quick way back.
const KEPT: usize = 10;
/// So many digits of a digest make a folder's name: no two in one state folder will be equal.
const NAME_DIGITS: usize = 16;

/// What release `number` runs, whole: exactly its builds, its values, its manifest.
pub(crate) fn target(state: &StateDir, number: ReleaseNumber) -> Result<RunTarget, Failure> {
    let store = Store::open(state.releases(), KeyFile::locate().map_err(StoreError::from)?)?;
    let release = store.release(number)?;
    refuse_what_is_elsewhere(&release)?;
    let system = store.system(&release)?;
    let mut parts = BTreeMap::new();
    for name in system.services.keys() {
        let values = store.environment(&release, name)?;
        let config = values.into_iter().map(|(key, value)| (key, value.expose_secret().to_owned()));
        let mut part = unpacked(state, &release, name)?;
        part.config = config.collect();
        part.release = Some(number.get());
        parts.insert(name.clone(), part);
    }
    Ok(RunTarget { system, parts })
}

/// Only what was made for this machine is run on it.
fn refuse_what_is_elsewhere(release: &Release) -> Result<(), Failure> {
    let Release { number, deploy, .. } = release;
    if *deploy != Name::local() {
        let message = format!("release {number} is of {deploy}, and this machine runs `local`");
        let help = format!("`updraft promote {deploy} local` makes a release of the same builds");
        return Err(Failure::usage(message).help(help));
    }
    let bound: Vec<&str> = release.resources.keys().map(Name::as_str).collect();
    if bound.is_empty() {
        return Ok(());
    }
    let message = format!("release {number} binds {} to addresses", bound.join(", "));
    Err(Failure::usage(message).help("`updraft attach` uses a resource elsewhere on this machine"))
}

/// The programs of a service: its image, unpacked once.
fn unpacked(state: &StateDir, release: &Release, service: &Name) -> Result<ServiceTarget, Failure> {
    let number = release.number;
    let failed = |error: &(dyn std::error::Error + 'static)| {
        let message = format!("the image of {service} in release {number} cannot be used");
        Failure::environment(message).because(error)
    };
    let Some(build) = release.builds.get(service) else {
        return Err(Failure::finding(format!("release {number} has no build of {service}")));
    };
    let digest: Digest =
        build.digest.as_str().parse().map_err(|error: updraft_image::NotADigest| {
            Failure::from_error(Class::Finding, &error)
        })?;
    let layout = Layout::open(&state.root().join(IMAGES)).map_err(|error| failed(&error))?;
    let image = StoredImage::open(&layout, &digest).map_err(|error| failed(&error))?;
    let name = digest.hex().get(..NAME_DIGITS).unwrap_or_else(|| digest.hex());
    let folder = state.root().join(UNPACKED).join(name);
    if !folder.is_dir() {
        unpack(&image, &folder).map_err(|error| failed(&*error))?;
    }
    let config = &image.config().config;
    let inside = |path: &str| folder.join(path.trim_start_matches('/'));
    let home = config.working_dir.clone().unwrap_or_default();
    let path = config.env.iter().find_map(|variable| variable.strip_prefix("PATH="));
    // Its own programs; interpreters are those of this machine.
    let own = path.unwrap_or_default().split(':').filter(|path| Path::new(path).starts_with(&home));
    Ok(ServiceTarget {
        paths: own.map(inside).collect(),
        directory: inside(&home),
        artefact: Some(digest.to_string()),
        ..ServiceTarget::default()
    })
}

/// After a crash there is the whole folder or none.
fn unpack(image: &StoredImage, folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let parent: PathBuf = folder.parent().map(Path::to_owned).unwrap_or_default();
    fs::create_dir_all(&parent)?;
    sweep(&parent);
    let draft = tempfile::Builder::new().prefix(DRAFT).tempdir_in(&parent)?;
    let inside = draft.path().join("root");
    image.unpack(&inside, UnpackOptions::default())?;
    make_read_only(&inside)?;
    // The name stands for the content once all of that is on the disk.
    rustix::fs::syncfs(File::open(&parent)?)?;
    match fs::rename(&inside, folder) {
        // Somebody else was quicker, with the same content.
        Err(_taken) if folder.is_dir() => return Ok(updraft_engine::remove_folder(&inside)?),
        renamed => renamed?,
    }
    Ok(File::open(&parent)?.sync_all()?)
}

/// What runs must not change what runs next. The folder itself has to be moved still, and holds
/// nothing but others.
fn make_read_only(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            make_read_only(&entry.path())?;
        }
        if !kind.is_symlink() {
            let mode = entry.metadata()?.permissions().mode();
            fs::set_permissions(entry.path(), Permissions::from_mode(mode & !0o222))?;
        }
    }
    Ok(())
}

/// Removes what a command that was killed has left. What is in use, or goes meanwhile, is not
/// what whoever calls this waits for.
fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let age = modified.ok().and_then(|modified| modified.elapsed().ok()).unwrap_or_default();
        if entry.file_name().to_string_lossy().starts_with(DRAFT) && ABANDONED < age {
            drop(updraft_engine::remove_folder(&entry.path()));
        }
    }
}

/// The name goes first: whoever finds a folder by its name takes it for whole.
fn give_up(parent: &Path, folder: &Path) -> io::Result<()> {
    let draft = tempfile::Builder::new().prefix(DRAFT).tempdir_in(parent)?;
    fs::rename(folder, draft.path().join("root"))?;
    updraft_engine::remove_folder(&draft.keep())
}

/// Removes the programs of releases that are neither current nor among the newest; they are
/// unpacked again when they are asked for.
pub(crate) fn prune(state: &StateDir, store: &Store) -> Result<(), Failure> {
    let folder = state.root().join(UNPACKED);
    let local = Name::local();
    let (listing, current) = (store.list(Some(&local))?, store.current(&local)?);
    let remembered = Remembered::load(state).ok().flatten().and_then(|run| run.release);
    let newest = listing.releases.iter().take(KEPT);
    let runs = listing.releases.iter().filter(|it| Some(it.number.get()) == remembered);
    let kept = newest.chain(runs).chain(&current).flat_map(|release| release.builds.values());
    let kept: BTreeSet<String> =
        kept.map(|build| build.digest.hex().chars().take(NAME_DIGITS).collect()).collect();
    for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with(DRAFT) && !kept.contains(&name) {
            // What cannot be removed now is removed after the next release.
            drop(give_up(&folder, &entry.path()));
        }
    }
    Ok(())
}
