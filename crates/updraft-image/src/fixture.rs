//! For tests: images whose layers are archives of any entries, as no builder makes them.

use std::io::Write as _;

use crate::oci::media;
use crate::tar::{Entry, Kind, Writer};
use crate::{
    Config, Descriptor, Digest, ImageConfig, Layout, Manifest, Platform, RootFs, StoredImage,
};

/// An entry without content.
pub(crate) fn entry(kind: Kind, path: &str) -> Entry {
    Entry {
        path: path.as_bytes().to_vec(),
        kind,
        mode: if kind == Kind::Folder { 0o755 } else { 0o644 },
        uid: 0,
        gid: 0,
        mtime: 0,
        size: 0,
        link: Vec::new(),
    }
}

/// A file of these bytes.
pub(crate) fn file(path: &str, content: &str) -> (Entry, Vec<u8>) {
    let mut entry = entry(Kind::File, path);
    entry.size = content.len() as u64;
    (entry, content.as_bytes().to_vec())
}

/// A link of that kind.
pub(crate) fn link(kind: Kind, path: &str, target: &str) -> (Entry, Vec<u8>) {
    let mut entry = entry(kind, path);
    entry.link = target.as_bytes().to_vec();
    (entry, Vec::new())
}

pub(crate) fn folder(path: &str) -> (Entry, Vec<u8>) {
    (entry(Kind::Folder, path), Vec::new())
}

pub(crate) fn archive(entries: &[(Entry, Vec<u8>)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (entry, content) in entries {
        writer.entry(entry, &mut content.as_slice()).unwrap();
    }
    writer.finish().unwrap()
}

/// The blob of an uncompressed layer.
pub(crate) fn blob(layout: &Layout, bytes: &[u8]) -> Descriptor {
    let mut draft = layout.draft().unwrap();
    draft.write_all(bytes).unwrap();
    draft.keep(media::LAYER).unwrap()
}

/// An image of uncompressed archives.
pub(crate) fn image(layout: &Layout, layers: &[Vec<u8>]) -> StoredImage {
    let blobs = layers.iter().map(|bytes| blob(layout, bytes)).collect();
    image_of(layout, blobs, layers.iter().map(|bytes| Digest::of(bytes)).collect())
}

/// An image of these blobs.
pub(crate) fn image_of(
    layout: &Layout,
    layers: Vec<Descriptor>,
    diff_ids: Vec<Digest>,
) -> StoredImage {
    let platform = Platform::this();
    let config = ImageConfig {
        created: None,
        architecture: platform.architecture,
        os: platform.os,
        config: Config::default(),
        rootfs: RootFs { kind: "layers".to_owned(), diff_ids },
        history: Vec::new(),
    };
    let manifest = Manifest {
        schema_version: 2,
        media_type: media::MANIFEST.to_owned(),
        artifact_type: None,
        config: layout.put_document(media::CONFIG, &config).unwrap(),
        layers,
        subject: None,
        annotations: Default::default(),
    };
    let manifest = layout.put_document(media::MANIFEST, &manifest).unwrap();
    StoredImage::open(layout, &manifest.digest).unwrap()
}
