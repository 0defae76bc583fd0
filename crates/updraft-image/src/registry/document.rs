//! Manifests and indexes as others write them: those of OCI, and those of Docker's schema 2.
//!
//! Only what is needed to fetch and to send their parts is read; the bytes are kept as they are,
//! because a digest is a digest of bytes.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Deserializer};

use super::error::RegistryError;
use crate::oci::{given, media};
use crate::{Descriptor, Digest, Digesting, Platform};

/// The largest manifest, in bytes: registries take no larger one.
pub(super) const MANIFEST_MOST: usize = 4 << 20;
/// The most blobs, or entries of an index, of one document.
const PARTS_MOST: usize = 1024;
/// What a registry is asked for.
pub(super) const ACCEPTED: [&str; 4] =
    [media::MANIFEST, media::INDEX, media::DOCKER_MANIFEST, media::DOCKER_INDEX];

/// A manifest or an index.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    schema_version: u32,
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default, deserialize_with = "given")]
    layers: Vec<Descriptor>,
    #[serde(default, deserialize_with = "listed")]
    manifests: Option<Vec<Entry>>,
    #[serde(default)]
    pub(super) subject: Option<Descriptor>,
    #[serde(default)]
    artifact_type: Option<String>,
    #[serde(default, deserialize_with = "given")]
    pub(super) annotations: BTreeMap<String, String>,
}

/// `null` is an empty list, and not no list.
fn listed<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<Entry>>, D::Error> {
    given(from).map(Some)
}

/// A manifest in an index.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    pub(super) media_type: String,
    pub(super) digest: Digest,
    pub(super) size: u64,
    #[serde(default)]
    pub(super) platform: Option<Runs>,
    #[serde(default)]
    artifact_type: Option<String>,
    #[serde(default, deserialize_with = "given")]
    annotations: BTreeMap<String, String>,
}

/// What an entry runs on.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Runs {
    architecture: String,
    os: String,
    #[serde(default)]
    variant: Option<String>,
}

impl Runs {
    pub(super) fn fits(&self, platform: &Platform) -> bool {
        self.architecture == platform.architecture && self.os == platform.os
    }

    /// What every machine of the architecture runs, or its newest common form, comes first.
    pub(super) fn rank(&self) -> u8 {
        match self.variant.as_deref() {
            None | Some("" | "v1") => 0,
            Some("v8") => 1,
            Some("v7") => 2,
            Some(_) => 3,
        }
    }

    pub(super) fn shown(&self) -> String {
        let variant = self.variant.as_ref().map(|variant| format!("/{variant}"));
        format!("{}/{}{}", self.os, self.architecture, variant.unwrap_or_default())
    }
}

impl Entry {
    pub(super) fn descriptor(&self) -> Descriptor {
        let platform = self.platform.as_ref();
        Descriptor {
            media_type: self.media_type.clone(),
            digest: self.digest.clone(),
            size: self.size,
            platform: platform.map(|runs| Platform {
                architecture: runs.architecture.clone(),
                os: runs.os.clone(),
            }),
            artifact_type: self.artifact_type.clone(),
            annotations: self.annotations.clone(),
        }
    }
}

impl Document {
    /// `what` names it in errors.
    pub(super) fn read(bytes: &[u8], what: &str) -> Result<Self, RegistryError> {
        let document: Self = serde_json::from_slice(bytes)
            .map_err(|source| RegistryError::Document { what: what.to_owned(), source })?;
        let unusable = |problem: &str| RegistryError::Unusable {
            what: what.to_owned(),
            problem: problem.to_owned(),
        };
        if document.schema_version != 2 {
            return Err(unusable("is of Docker's schema 1, which is not read: push it anew"));
        }
        let parts = document.layers.len() + document.manifests.as_ref().map_or(0, Vec::len);
        if PARTS_MOST < parts {
            return Err(unusable("has more than 1024 parts"));
        }
        if document.manifests.is_some() == document.config.is_some() {
            return Err(unusable("must have either a `config` or `manifests`"));
        }
        Ok(document)
    }

    /// Its media type, when the answer's `Content-Type` and it agree: a document that is two
    /// things at once is read differently by different tools.
    pub(super) fn kind(
        &self,
        content_type: Option<&str>,
        what: &str,
    ) -> Result<String, RegistryError> {
        let header = content_type.and_then(|text| text.split(';').next()).map(str::trim);
        let header = header.filter(|header| ACCEPTED.contains(header));
        let default = if self.manifests.is_some() { media::INDEX } else { media::MANIFEST };
        let kind = self.media_type.as_deref().or(header).unwrap_or(default);
        let is_list = matches!(kind, media::INDEX | media::DOCKER_INDEX);
        let agree = header.is_none_or(|header| header == kind);
        if !agree || !ACCEPTED.contains(&kind) || is_list != self.manifests.is_some() {
            let problem =
                format!("does not agree about what it is: `{}`", super::error::printable(kind));
            return Err(RegistryError::Unusable { what: what.to_owned(), problem });
        }
        Ok(kind.to_owned())
    }

    /// The entries of an index; nothing of a manifest.
    pub(super) fn entries(&self) -> Option<&[Entry]> {
        self.manifests.as_deref()
    }

    /// Configuration and layers, each once.
    pub(super) fn blobs(&self) -> Vec<Descriptor> {
        let mut blobs: Vec<Descriptor> = Vec::new();
        for blob in self.config.iter().chain(&self.layers) {
            if !blobs.iter().any(|known| known.digest == blob.digest) {
                blobs.push(blob.clone());
            }
        }
        blobs
    }

    /// What kind of artefact a list of referrers calls it.
    pub(super) fn artifact(&self) -> Option<String> {
        let config = self.config.as_ref().map(|config| config.media_type.clone());
        self.artifact_type.clone().filter(|kind| !kind.is_empty()).or(config)
    }
}

/// Whether a descriptor is one of a manifest or an index.
pub(super) fn is_document(descriptor: &Descriptor) -> bool {
    ACCEPTED.contains(&descriptor.media_type.as_str())
}

/// The digest of a file, read on a thread that may wait.
pub(super) async fn digest_of(path: &Path) -> std::io::Result<Digest> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        let (mut file, mut digesting) = (std::fs::File::open(path)?, Digesting::default());
        let mut buffer = vec![0; 256 << 10];
        loop {
            let count = std::io::Read::read(&mut file, &mut buffer)?;
            match buffer.get(..count).filter(|piece| !piece.is_empty()) {
                Some(piece) => digesting.update(piece),
                None => return Ok(digesting.finish()),
            }
        }
    });
    read.await.map_err(std::io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(rest: &str) -> String {
        let blob = format!(r#"{{"mediaType":"x","digest":"{}","size":1}}"#, Digest::of(b"x"));
        format!(r#"{{"schemaVersion":2,{}}}"#, rest.replace("BLOB", &blob))
    }

    #[test]
    fn a_document_is_one_thing_only() {
        for (rest, header, expected) in [
            (r#""config":BLOB,"layers":[]"#, None, Some(media::MANIFEST)),
            (r#""manifests":[]"#, None, Some(media::INDEX)),
            (r#""config":BLOB,"layers":null,"annotations":null"#, None, Some(media::MANIFEST)),
            (r#""manifests":null"#, None, Some(media::INDEX)),
            (r#""config":BLOB"#, Some(media::DOCKER_MANIFEST), Some(media::DOCKER_MANIFEST)),
            (r#""config":BLOB"#, Some("application/json; charset=utf-8"), Some(media::MANIFEST)),
            (r#""manifests":[]"#, Some(media::MANIFEST), None),
            (r#""config":BLOB"#, Some(media::INDEX), None),
            (
                r#""mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":BLOB"#,
                Some(media::MANIFEST),
                None,
            ),
            (r#""mediaType":"x","config":BLOB"#, None, None),
            (r#""manifests":[],"config":BLOB"#, None, None),
            (r#""layers":[]"#, None, None),
        ] {
            let document = Document::read(text(rest).as_bytes(), "it");
            let kind = document.and_then(|document| document.kind(header, "it"));
            assert_eq!(kind.as_deref().ok(), expected, "{rest} {header:?}: {kind:?}");
        }
    }

    #[test]
    fn bombs_are_refused() {
        let many = text(&format!(r#""config":BLOB,"layers":[{}BLOB]"#, "BLOB,".repeat(PARTS_MOST)));
        assert!(Document::read(many.as_bytes(), "it").is_err());
        let deep = format!(r#"{{"schemaVersion":2,"x":{}"#, "[".repeat(1 << 20));
        assert!(Document::read(deep.as_bytes(), "it").is_err());
        assert!(
            Document::read(br#"{"schemaVersion":1}"#, "it")
                .unwrap_err()
                .to_string()
                .contains("schema 1")
        );
    }
}
