//! Images to send around, and clients that do not wait for long.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;
use updraft_image::{
    CredentialFiles, Descriptor, Digest, Digesting, Layout, Limits, Options, Reference, Registry,
    media,
};

pub(crate) const MIB: u64 = 1 << 20;

/// A layout with one image, tagged `1`.
pub(crate) struct Image {
    pub(crate) layout: Layout,
    pub(crate) manifest: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
}

impl Image {
    /// With a layer for each size.
    pub(crate) fn new(folder: &Path, sizes: &[u64]) -> Self {
        let layout = Layout::create(folder).unwrap();
        let layers: Vec<Descriptor> =
            (1..).zip(sizes).map(|(seed, size)| layer(&layout, seed, *size)).collect();
        Self::of(layout, layers)
    }

    /// With one layer that is gzip, which skopeo takes as it is.
    pub(crate) fn compressed(folder: &Path) -> Self {
        let layout = Layout::create(folder).unwrap();
        let mut gzip = Command::new("gzip")
            .arg("-nc")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        gzip.stdin.take().unwrap().write_all(&[0; 10_240]).unwrap();
        let mut bytes = Vec::new();
        gzip.stdout.take().unwrap().read_to_end(&mut bytes).unwrap();
        assert!(gzip.wait().unwrap().success());
        let layer = layout.put(media::LAYER_GZIP, &bytes).unwrap();
        Self::of(layout, vec![layer])
    }

    fn of(layout: Layout, layers: Vec<Descriptor>) -> Self {
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": layers.iter().map(|_| Digest::of(&[0; 10_240])).collect::<Vec<_>>()},
        });
        let config = layout.put_document(media::CONFIG, &config).unwrap();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media::MANIFEST, "config": config, "layers": layers,
        });
        let manifest = layout.put_document(media::MANIFEST, &manifest).unwrap();
        let mut entry = manifest.clone();
        entry.annotations.insert("org.opencontainers.image.ref.name".to_owned(), "1".to_owned());
        layout.set_index(vec![entry]).unwrap();
        Self { layout, manifest, layers }
    }
}

/// Mostly a hole, with a mark in each mebibyte: what comes to the wrong place changes the digest.
fn layer(layout: &Layout, seed: u64, size: u64) -> Descriptor {
    let draft = layout.folder().join("draft");
    let mut file =
        File::options().create(true).truncate(true).read(true).write(true).open(&draft).unwrap();
    file.set_len(size).unwrap();
    for at in (0..size.saturating_sub(16)).step_by(1 << 20) {
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(&(at ^ seed << 48).to_be_bytes()).unwrap();
    }
    file.rewind().unwrap();
    let (mut digesting, mut buffer) = (Digesting::default(), vec![0; 1 << 20]);
    loop {
        let read = file.read(&mut buffer).unwrap();
        if read == 0 {
            break;
        }
        digesting.update(&buffer[..read]);
    }
    let digest = digesting.finish();
    std::fs::rename(draft, layout.blob(&digest)).unwrap();
    Descriptor {
        media_type: media::LAYER_GZIP.to_owned(),
        digest,
        size,
        platform: None,
        artifact_type: None,
        annotations: Default::default(),
    }
}

pub(crate) fn reference(address: SocketAddr, rest: &str) -> Reference {
    format!("{address}/{rest}").parse().unwrap()
}

/// A client with small bounds.
pub(crate) fn client(limits: impl FnOnce(&mut Limits)) -> Registry {
    let mut options = Options::default();
    limits(&mut options.limits);
    Registry::new(options).unwrap()
}

/// A client with a file of credentials.
pub(crate) fn client_with(file: &Path) -> Registry {
    let credentials = CredentialFiles::new(vec![file.to_owned()], None);
    Registry::new(Options { credentials, ..Options::default() }).unwrap()
}

/// An error with all that it says, as a person or a log sees it.
pub(crate) fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = format!("{error} {error:?}");
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text} {source}");
        next = source.source();
    }
    text
}

/// All blobs of the image are in the layout, whole.
pub(crate) fn assert_whole(layout: &Layout, image: &Image) {
    for layer in &image.layers {
        let bytes = std::fs::read(layout.blob(&layer.digest)).unwrap();
        assert_eq!(Digest::of(&bytes), layer.digest);
    }
}
