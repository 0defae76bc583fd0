//! Layers that were compressed before, by what is in them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::oci::media;
use crate::{Descriptor, Digest, Layout, LayoutError};

/// The most bytes that are kept; what was used longest ago goes first.
const KEPT_MOST: u64 = 8 << 30;

/// A store of layers, shared by builds of a user: an archive is compressed once.
///
/// It can be deleted at any time. Its blobs are checked against their digests when they are
/// taken from it.
#[derive(Clone, Debug)]
pub struct LayerCache {
    store: Layout,
    records: PathBuf,
    most: u64,
}

impl LayerCache {
    /// The store in `folder`, made if it is not there. It keeps 8 GiB at most.
    ///
    /// # Errors
    ///
    /// [`LayoutError`] when it cannot be written.
    pub fn open(folder: &Path) -> Result<Self, LayoutError> {
        Self::with_most(folder, KEPT_MOST)
    }

    fn with_most(folder: &Path, most: u64) -> Result<Self, LayoutError> {
        let store = Layout::create(folder)?;
        let records = folder.join("archives");
        fs::create_dir_all(&records).map_err(failed("create", &records))?;
        Ok(Self { store, records, most })
    }

    /// The layer of that archive, now also in `layout`; `None` where it has to be compressed.
    pub(crate) fn find(
        &self,
        diff_id: &Digest,
        layout: &Layout,
    ) -> Result<Option<Descriptor>, LayoutError> {
        let record = self.records.join(diff_id.hex());
        let text = match fs::read_to_string(&record) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(failed("read", &record)(source)),
        };
        let known = text.split_once(' ').and_then(|(digest, size)| {
            let (digest, size) = (digest.parse().ok()?, size.trim_end().parse().ok()?);
            Some(Descriptor::new(media::LAYER_GZIP, digest, size))
        });
        if let Some(descriptor) = known {
            match layout.take(&self.store, &descriptor) {
                Ok(()) => {
                    let file = fs::File::open(&record).map_err(failed("read", &record))?;
                    file.set_modified(SystemTime::now()).map_err(failed("write", &record))?;
                    return Ok(Some(descriptor));
                }
                // It was cleaned away or damaged: as good as never there.
                Err(
                    LayoutError::Corrupt(path) | LayoutError::File { action: "read", path, .. },
                ) => {
                    remove(&path)?;
                }
                Err(error) => return Err(error),
            }
        }
        remove(&record)?;
        Ok(None)
    }

    /// Keeps a layer that is in `layout`.
    pub(crate) fn keep(
        &self,
        diff_id: &Digest,
        layer: &Descriptor,
        layout: &Layout,
    ) -> Result<(), LayoutError> {
        if layer.size > self.most {
            return Ok(());
        }
        self.store.take(layout, layer)?;
        let record = self.records.join(diff_id.hex());
        let text = format!("{} {}\n", layer.digest, layer.size);
        self.store.replace(&record, text.as_bytes())?;
        self.evict(&record)
    }

    fn evict(&self, newest: &Path) -> Result<(), LayoutError> {
        let folder = &self.records;
        let mut known = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed("read", folder))? {
            let entry = entry.map_err(failed("read", folder))?;
            let (Ok(metadata), Ok(text)) = (entry.metadata(), fs::read_to_string(entry.path()))
            else {
                continue;
            };
            let Some((Ok(digest), Ok(size))) = text
                .split_once(' ')
                .map(|(digest, size)| (digest.parse::<Digest>(), size.trim_end().parse::<u64>()))
            else {
                continue;
            };
            let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            known.push((used, entry.path(), digest, size));
        }
        known.sort();
        let mut total: u64 = known.iter().map(|(.., size)| size).sum();
        for (_, record, digest, size) in known {
            if total <= self.most {
                break;
            }
            if record != newest {
                remove(&record)?;
                remove(&self.store.blob(&digest))?;
                total -= size;
            }
        }
        Ok(())
    }
}

fn remove(path: &Path) -> Result<(), LayoutError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

fn failed<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> LayoutError + 'a {
    move |source| LayoutError::File { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layer, Tree};

    fn tree(content: &[u8]) -> Tree {
        let mut tree = Tree::default();
        tree.add_bytes("a", content, false).unwrap();
        tree
    }

    #[test]
    fn an_archive_is_compressed_once_and_a_damaged_one_again() {
        let folder = tempfile::tempdir().unwrap();
        let cache = LayerCache::open(&folder.path().join("cache")).unwrap();
        let write = |name: &str| {
            let layout = Layout::create(&folder.path().join(name)).unwrap();
            let layer = Layer::write(&layout, Some(&cache), &tree(b"content"), 0).unwrap();
            assert!(layout.document(&layer.descriptor.digest).is_ok());
            layer
        };
        let first = write("one");
        assert!(!first.reused);
        let second = write("two");
        assert!(second.reused);
        assert_eq!(second.descriptor, first.descriptor);
        fs::write(cache.store.blob(&first.descriptor.digest), b"damaged").unwrap();
        let third = write("three");
        assert!(!third.reused);
        assert_eq!(third.descriptor, first.descriptor);
        fs::remove_file(cache.store.blob(&first.descriptor.digest)).unwrap();
        assert!(!write("four").reused);
        assert!(write("five").reused);
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::create(&folder.path().join("layout")).unwrap();
        let noise = |seed: u8| -> Vec<u8> {
            let digests =
                (0..100_u8).flat_map(|at| Digest::of(&[seed, at]).hex().as_bytes().to_vec());
            digests.collect()
        };
        let cache = LayerCache::with_most(&folder.path().join("cache"), 8_000).unwrap();
        let mut ids = Vec::new();
        for seed in 0..4_u8 {
            let layer = Layer::write(&layout, Some(&cache), &tree(&noise(seed)), 0).unwrap();
            let used = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seed.into());
            let record = fs::File::open(cache.records.join(layer.diff_id.hex())).unwrap();
            record.set_modified(used).unwrap();
            ids.push(layer.diff_id);
        }
        let kept = (0..4_u8).filter(|seed| {
            let other = Layout::create(&folder.path().join(format!("other-{seed}"))).unwrap();
            let archive = &ids[usize::from(*seed)];
            cache.find(archive, &other).unwrap().is_some()
        });
        assert_eq!(kept.collect::<Vec<_>>(), [2, 3]);
    }
}
