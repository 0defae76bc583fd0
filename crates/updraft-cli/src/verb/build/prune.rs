//! Images that nothing names any more are removed: not the last of a service, and of no release.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use updraft_image::{Descriptor, Digest, Layout, LayoutError, Manifest, annotation};
use updraft_release::{KeyFile, Store};
use updraft_system::release::Release;

/// A blob this young may belong to a release that is being made.
const SPARED: Duration = Duration::from_secs(3600);

/// Removes what is not needed. Where a release cannot be read nothing is, since it may need it.
pub(super) fn prune(layout: &Layout, releases: &Path) -> Result<(), LayoutError> {
    let Some(released) = released(releases) else { return Ok(()) };
    let index = layout.index()?.manifests;
    let name = |it: &Descriptor| it.annotations.get(annotation::NAME).cloned();
    // A base has its whole place for a name, which no service's name can be.
    let is_base = |it: &Descriptor| name(it).is_some_and(|name| name.contains('@'));
    let services = index.iter().filter(|it| name(it).is_some() && !is_base(it));
    let mut images: BTreeSet<Digest> = services.map(|it| it.digest.clone()).collect();
    images.extend(released);
    let stands_on = |image: &Digest| {
        manifest(layout, image)?.annotations.get(annotation::BASE_DIGEST)?.parse().ok()
    };
    let bases: Vec<Digest> = images.iter().filter_map(stands_on).collect();
    images.extend(bases);
    let mut kept = BTreeSet::new();
    let mut entries = Vec::new();
    for entry in index {
        if is_kept(layout, &entry, &images) {
            images.insert(entry.digest.clone());
            entries.push(entry);
        }
    }
    for image in &images {
        kept.insert(image.clone());
        // One that is not there is of a release that was made elsewhere.
        if let Some(manifest) = manifest(layout, image) {
            kept.extend(manifest.layers.into_iter().map(|layer| layer.digest));
            kept.insert(manifest.config.digest);
        }
    }
    layout.set_index(entries)?;
    sweep(layout, &kept);
    Ok(())
}

/// The images of all releases; `None` where they cannot be told.
fn released(folder: &Path) -> Option<Vec<Digest>> {
    let store = Store::open(folder.to_owned(), KeyFile::locate().ok()?).ok()?;
    let listing = store.list(None).ok().filter(|listing| listing.damaged.is_empty())?;
    let builds = |release: &Release| -> Vec<Digest> {
        release.builds.values().filter_map(|it| it.digest.as_str().parse().ok()).collect()
    };
    Some(listing.releases.iter().flat_map(builds).collect())
}

/// An image that is kept, or what is said about one.
fn is_kept(layout: &Layout, entry: &Descriptor, images: &BTreeSet<Digest>) -> bool {
    let about = || manifest(layout, &entry.digest)?.subject;
    images.contains(&entry.digest) || about().is_some_and(|it| images.contains(&it.digest))
}

fn manifest(layout: &Layout, digest: &Digest) -> Option<Manifest> {
    serde_json::from_slice(&layout.document(digest).ok()?).ok()
}

/// What cannot be removed now is removed by the next build.
fn sweep(layout: &Layout, kept: &BTreeSet<Digest>) {
    let folder = layout.folder().join("blobs/sha256");
    let names: BTreeSet<&str> = kept.iter().map(Digest::hex).collect();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_kept = name.to_str().is_none_or(|name| names.contains(name));
        let written = entry.metadata().and_then(|it| it.modified());
        let age = written.ok().and_then(|time| SystemTime::now().duration_since(time).ok());
        if !is_kept && age.is_some_and(|age| SPARED < age) {
            drop(fs::remove_file(entry.path()));
        }
    }
}
