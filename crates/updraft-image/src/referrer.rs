//! What is said about an image, kept beside it: OCI 1.1 referrers.
//!
//! They name the image as their subject and are no part of it, so the digest of the image does
//! not depend on them.

use std::collections::BTreeMap;

use crate::oci::media;
use crate::stored::parsed;
use crate::{Descriptor, Digest, ImageError, Layout, Manifest};

/// The media type of a CycloneDX document in JSON.
pub const CYCLONEDX: &str = "application/vnd.cyclonedx+json";

/// The media type of an in-toto statement.
pub const IN_TOTO: &str = "application/vnd.in-toto+json";

/// The media type of a DSSE envelope.
pub const DSSE: &str = "application/vnd.dsse.envelope.v1+json";

/// The most referrers of one image that are looked at.
const REFERRERS_MOST: usize = 1_000;

/// A document about an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment<'a> {
    /// What kind of artefact it is, such as [`CYCLONEDX`].
    pub artifact_type: &'a str,
    /// The media type of its bytes.
    pub media_type: &'a str,
    /// The document.
    pub bytes: &'a [u8],
    /// Words about it.
    pub annotations: BTreeMap<String, String>,
}

impl Layout {
    /// Keeps a document about `subject` and enters it into the index.
    ///
    /// # Errors
    ///
    /// [`ImageError`] when the layout cannot be written.
    pub fn attach(
        &self,
        subject: &Descriptor,
        attachment: Attachment<'_>,
    ) -> Result<Descriptor, ImageError> {
        let about = Descriptor::new(&subject.media_type, subject.digest.clone(), subject.size);
        let manifest = Manifest {
            schema_version: 2,
            media_type: media::MANIFEST.to_owned(),
            artifact_type: Some(attachment.artifact_type.to_owned()),
            config: self.put(media::EMPTY, b"{}")?,
            layers: vec![self.put(attachment.media_type, attachment.bytes)?],
            subject: Some(about),
            annotations: attachment.annotations.clone(),
        };
        let mut descriptor = self.put_document(media::MANIFEST, &manifest)?;
        descriptor.artifact_type = Some(attachment.artifact_type.to_owned());
        descriptor.annotations = attachment.annotations;
        self.enter(descriptor.clone(), None)?;
        Ok(descriptor)
    }

    /// Takes a manifest and all that it names from another layout; it is entered into the index
    /// when it is about something.
    ///
    /// # Errors
    ///
    /// [`ImageError`] when one of the two layouts cannot be used.
    pub fn take_manifest(&self, from: &Self, manifest: &Descriptor) -> Result<(), ImageError> {
        let bytes = from.document(&manifest.digest)?;
        let read: Manifest = serde_json::from_slice(&bytes).map_err(|source| {
            crate::LayoutError::Document { path: from.blob(&manifest.digest), source }
        })?;
        for blob in read.layers.iter().chain([&read.config]) {
            self.take(from, blob)?;
        }
        self.put(&manifest.media_type, &bytes)?;
        if read.subject.is_some() {
            self.enter(manifest.clone(), None)?;
        }
        Ok(())
    }

    /// The manifests of the index that are about `subject`, of one kind or of all.
    ///
    /// # Errors
    ///
    /// [`ImageError`] when one cannot be read.
    pub fn referrers(
        &self,
        subject: &Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>, ImageError> {
        let candidates = self.index()?.manifests.into_iter().filter(|it| {
            let kind = it.artifact_type.as_deref();
            kind.is_some() && artifact_type.is_none_or(|wanted| kind == Some(wanted))
        });
        let mut referrers = Vec::new();
        for candidate in candidates {
            let manifest = self.artifact(&candidate.digest)?;
            if manifest.subject.is_some_and(|it| it.digest == *subject) {
                referrers.push(candidate);
            }
            if referrers.len() == REFERRERS_MOST {
                break;
            }
        }
        Ok(referrers)
    }

    /// The document of a referrer: its first blob, of at most 4 MiB.
    ///
    /// # Errors
    ///
    /// [`ImageError`] when it cannot be read, or there is none.
    pub fn attached(&self, referrer: &Digest) -> Result<Vec<u8>, ImageError> {
        let manifest = self.artifact(referrer)?;
        let Some(blob) = manifest.layers.first() else {
            let why = "it holds nothing".to_owned();
            return Err(ImageError::Unfit { digest: referrer.clone(), why });
        };
        Ok(self.document(&blob.digest)?)
    }

    fn artifact(&self, digest: &Digest) -> Result<Manifest, ImageError> {
        parsed(digest, "the manifest of an artefact", &self.document(digest)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_attached_is_found_by_its_subject_and_kind() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::create(folder.path()).unwrap();
        let image = layout.put(media::MANIFEST, b"one").unwrap();
        let other = layout.put(media::MANIFEST, b"other").unwrap();
        let attach = |subject: &Descriptor, kind: &str| {
            let annotations = BTreeMap::new();
            let attachment =
                Attachment { artifact_type: kind, media_type: kind, bytes: b"[1]", annotations };
            layout.attach(subject, attachment).unwrap()
        };
        let sbom = attach(&image, CYCLONEDX);
        let statement = attach(&image, IN_TOTO);
        assert_eq!(attach(&image, CYCLONEDX), sbom);
        attach(&other, CYCLONEDX);
        assert_eq!(
            layout.referrers(&image.digest, Some(CYCLONEDX)).unwrap(),
            std::slice::from_ref(&sbom)
        );
        let all = layout.referrers(&image.digest, None).unwrap();
        assert!(all.len() == 2 && all.contains(&statement), "{all:?}");
        assert_eq!(layout.attached(&sbom.digest).unwrap(), b"[1]");
        let empty = layout.document(&Digest::of(b"{}")).unwrap();
        assert_eq!(empty, b"{}");
    }
}
