//! An image layout on disk: blobs by their digests, and an index of what they are for.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::draft::{self, Draft};
use crate::oci::{annotation, media};
use crate::{Descriptor, Digest, Digesting, Index};

const MARK: &str = "oci-layout";
const MARK_CONTENT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
const INDEX: &str = "index.json";
/// The largest document that is read into memory; registries take no larger manifest.
const DOCUMENT_MOST: u64 = 4 << 20;

/// Blobs are checked in pieces of this size.
const PIECE: usize = 256 * 1024;

/// A folder that is an OCI image layout.
#[derive(Clone, Debug)]
pub struct Layout {
    folder: PathBuf,
}

/// A layout cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// A file of it cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was to be done.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The folder is something else.
    #[error("{} is no OCI image layout: it has no file `oci-layout`", .0.display())]
    NotALayout(PathBuf),
    /// A document of it has another shape.
    #[error("{} is not what an OCI image layout has there", path.display())]
    Document {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A blob is not what its name says.
    #[error("{} has other content than its name says: delete it", .0.display())]
    Corrupt(PathBuf),
    /// A document is larger than any tool reads.
    #[error("{} has more than {DOCUMENT_MOST} bytes", .0.display())]
    TooLarge(PathBuf),
}

impl Layout {
    /// The layout in `folder`, made if it is not there.
    ///
    /// # Errors
    ///
    /// [`LayoutError`] when it cannot be written.
    pub fn create(folder: &Path) -> Result<Self, LayoutError> {
        let layout = Self { folder: folder.to_owned() };
        let blobs = layout.blobs();
        fs::create_dir_all(&blobs).map_err(failed("create", &blobs))?;
        draft::sweep(folder).map_err(failed("clean", folder))?;
        if !folder.join(MARK).is_file() {
            layout.replace(&folder.join(MARK), MARK_CONTENT)?;
        }
        if !folder.join(INDEX).is_file() {
            layout.set_index(Vec::new())?;
        }
        Ok(layout)
    }

    /// The layout that is in `folder`.
    ///
    /// # Errors
    ///
    /// [`LayoutError::NotALayout`].
    pub fn open(folder: &Path) -> Result<Self, LayoutError> {
        match folder.join(MARK).is_file() {
            true => Ok(Self { folder: folder.to_owned() }),
            false => Err(LayoutError::NotALayout(folder.to_owned())),
        }
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file of a blob, whether it is there or not.
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    /// Keeps `bytes`; gives what describes them.
    ///
    /// # Errors
    ///
    /// [`LayoutError`] when they cannot be written.
    pub fn put(&self, media_type: &str, bytes: &[u8]) -> Result<Descriptor, LayoutError> {
        let digest = Digest::of(bytes);
        let path = self.blob(&digest);
        if !path.is_file() {
            self.replace(&path, bytes)?;
        }
        Ok(Descriptor::new(media_type, digest, bytes.len() as u64))
    }

    /// Begins a blob of any size; it is written to, and then kept.
    ///
    /// # Errors
    ///
    /// [`LayoutError`] when it cannot be written.
    pub fn draft(&self) -> Result<Draft, LayoutError> {
        Draft::begin(&self.folder, self.blobs()).map_err(failed("write", &self.folder))
    }

    /// Checks a blob of any size against its digest.
    ///
    /// # Errors
    ///
    /// [`LayoutError`] when it cannot be read, or is something else.
    pub fn check(&self, blob: &Descriptor) -> Result<(), LayoutError> {
        let path = self.blob(&blob.digest);
        let mut file = File::open(&path).map_err(failed("read", &path))?;
        let mut digesting = Digesting::default();
        let mut piece = vec![0; PIECE];
        let mut size = 0;
        loop {
            match file.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => {
                    digesting.update(piece.get(..read).unwrap_or_default());
                    size += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed("read", &path)(error)),
            }
        }
        let is_right = size == blob.size && digesting.finish() == blob.digest;
        if is_right { Ok(()) } else { Err(LayoutError::Corrupt(path)) }
    }

    /// Takes a blob from another layout, checked against its name.
    ///
    /// # Errors
    ///
    /// [`LayoutError`] when it is not there, other than its name says, or cannot be written.
    pub fn take(&self, from: &Self, blob: &Descriptor) -> Result<(), LayoutError> {
        let is_here = fs::metadata(self.blob(&blob.digest)).is_ok_and(|it| it.len() == blob.size);
        if is_here {
            return Ok(());
        }
        let path = from.blob(&blob.digest);
        let file = File::open(&path).map_err(failed("read", &path))?;
        let mut draft = self.draft()?;
        let copied = io::copy(&mut file.take(blob.size.saturating_add(1)), &mut draft);
        copied.map_err(failed("copy", &path))?;
        match draft.keep_as(&blob.media_type, &blob.digest) {
            Err(LayoutError::Corrupt(_)) => Err(LayoutError::Corrupt(path)),
            other => other.map(drop),
        }
    }

    /// Keeps a document as compact JSON.
    ///
    /// # Errors
    ///
    /// [`LayoutError`] when it cannot be written.
    pub fn put_document(
        &self,
        media_type: &str,
        document: &impl Serialize,
    ) -> Result<Descriptor, LayoutError> {
        let bytes = serde_json::to_vec(document)
            .map_err(|source| LayoutError::Document { path: self.folder.clone(), source })?;
        self.put(media_type, &bytes)
    }

    /// A document of at most 4 MiB, whose content is checked against its name.
    ///
    /// # Errors
    ///
    /// [`LayoutError`] when it is not there, too large, or something else.
    pub fn document(&self, digest: &Digest) -> Result<Vec<u8>, LayoutError> {
        let path = self.blob(digest);
        let bytes = bounded(&path)?;
        if Digest::of(&bytes) != *digest {
            return Err(LayoutError::Corrupt(path));
        }
        Ok(bytes)
    }

    /// What the layout is an index of.
    ///
    /// # Errors
    ///
    /// [`LayoutError`] when it cannot be read.
    pub fn index(&self) -> Result<Index, LayoutError> {
        let path = self.folder.join(INDEX);
        let bytes = bounded(&path)?;
        serde_json::from_slice(&bytes).map_err(|source| LayoutError::Document { path, source })
    }

    /// Replaces the index.
    ///
    /// # Errors
    ///
    /// [`LayoutError`] when it cannot be written.
    pub fn set_index(&self, manifests: Vec<Descriptor>) -> Result<(), LayoutError> {
        let path = self.folder.join(INDEX);
        let index = Index { schema_version: 2, media_type: media::INDEX.to_owned(), manifests };
        let bytes = serde_json::to_vec(&index)
            .map_err(|source| LayoutError::Document { path: path.clone(), source })?;
        self.replace(&path, &bytes)
    }

    /// Puts a manifest into the index; with `name` in place of what had that name.
    ///
    /// Whoever writes the same layout at the same time must take turns.
    ///
    /// # Errors
    ///
    /// [`LayoutError`] when the index cannot be read or written.
    pub fn enter(&self, mut manifest: Descriptor, name: Option<&str>) -> Result<(), LayoutError> {
        let mut manifests = self.index()?.manifests;
        if let Some(name) = name {
            manifests.retain(|it| it.annotations.get(annotation::NAME).is_none_or(|it| it != name));
            manifest.annotations.insert(annotation::NAME.to_owned(), name.to_owned());
        }
        if !manifests.contains(&manifest) {
            manifests.push(manifest);
        }
        manifests.sort_by(|a, b| {
            let name = |it: &Descriptor| it.annotations.get(annotation::NAME).cloned();
            (name(b), &a.digest).cmp(&(name(a), &b.digest))
        });
        self.set_index(manifests)
    }

    /// What has that name in the index.
    ///
    /// # Errors
    ///
    /// [`LayoutError`] when the index cannot be read.
    pub fn named(&self, name: &str) -> Result<Option<Descriptor>, LayoutError> {
        let mut manifests = self.index()?.manifests.into_iter();
        let is_it =
            |it: &Descriptor| it.annotations.get(annotation::NAME).is_some_and(|it| it == name);
        Ok(manifests.rfind(is_it))
    }

    fn blobs(&self) -> PathBuf {
        self.folder.join("blobs/sha256")
    }

    /// After a crash there is the old file or the new one.
    pub(crate) fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), LayoutError> {
        let write = || -> io::Result<()> {
            let (mut file, draft) = draft::create(&self.folder)?;
            let written = file.write_all(bytes).and_then(|()| file.sync_all());
            let moved = written.and_then(|()| fs::rename(&draft, path));
            moved.inspect_err(|_| drop(fs::remove_file(&draft)))
        };
        write().map_err(failed("write", path))
    }
}

fn bounded(path: &Path) -> Result<Vec<u8>, LayoutError> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed("read", path))?;
    let read = file.take(DOCUMENT_MOST + 1).read_to_end(&mut bytes);
    read.map_err(failed("read", path))?;
    if DOCUMENT_MOST < bytes.len() as u64 {
        return Err(LayoutError::TooLarge(path.to_owned()));
    }
    Ok(bytes)
}

fn failed<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> LayoutError + 'a {
    move |source| LayoutError::File { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_found_by_its_digest_and_checked() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::create(folder.path()).unwrap();
        let descriptor = layout.put(media::EMPTY, b"{}").unwrap();
        assert_eq!(layout.document(&descriptor.digest).unwrap(), b"{}");
        fs::write(layout.blob(&descriptor.digest), b"[]").unwrap();
        let error = layout.document(&descriptor.digest).unwrap_err();
        assert!(matches!(error, LayoutError::Corrupt(_)), "{error}");
    }

    #[test]
    fn a_layout_that_is_made_again_keeps_its_index() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::create(folder.path()).unwrap();
        let descriptor = layout.put(media::EMPTY, b"{}").unwrap();
        layout.set_index(vec![descriptor.clone()]).unwrap();
        let again = Layout::create(folder.path()).unwrap();
        assert_eq!(again.index().unwrap().manifests, [descriptor]);
    }

    #[test]
    fn another_folder_is_no_layout() {
        let folder = tempfile::tempdir().unwrap();
        let error = Layout::open(folder.path()).unwrap_err();
        assert!(matches!(error, LayoutError::NotALayout(_)), "{error}");
    }
}
