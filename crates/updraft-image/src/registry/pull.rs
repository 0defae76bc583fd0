//! From a registry to a layout: documents are read first, kept last, and trusted by digest only.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use http::{HeaderValue, Method, header};
use hyper::body::Bytes;

use super::document::{ACCEPTED, Document, Entry};
use super::error::RegistryError;
use super::place::{Place, Purpose};
use super::progress::Progress;
use super::push::DEPTH_MOST;
use super::reference::Reference;
use super::upload::CONTENT_DIGEST;
use super::{Call, Registry};
use crate::{Descriptor, Digest, Layout, Platform, annotation};

/// The most that the documents of one pull have together, in bytes: they are held in memory.
const DOCUMENTS_MOST: u64 = 64 << 20;

/// Which images of an index are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The one for a platform.
    Platform(Platform),
    /// All of them, with the index.
    All,
}

/// What a pull came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// What the layout has now: the manifest, or the index when all of it was asked for.
    pub content: Descriptor,
    /// By which anybody gets what the name stood for at the registry.
    pub reference: Reference,
    /// What came of the blobs, in bytes; what the layout had is not fetched.
    pub fetched: u64,
}

struct Fetched {
    descriptor: Descriptor,
    bytes: Bytes,
    document: Document,
}

impl Default for Wanted {
    /// Linux on the architecture of this machine.
    fn default() -> Self {
        Self::Platform(Platform { os: "linux".to_owned(), ..Platform::this() })
    }
}

impl Registry {
    /// Fetches an image into a layout, and enters it into the layout's index under its tag.
    ///
    /// Documents of Docker's schema 2 are kept as they are. Every byte is checked against its
    /// digest; a pull that fails leaves whole blobs at most, which a further pull uses.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    pub async fn pull(
        &self,
        from: &Reference,
        layout: &Layout,
        wanted: &Wanted,
        progress: &Progress,
    ) -> Result<Pulled, RegistryError> {
        let place = Place::new(from, &self.options, Purpose::Pull, &[])?;
        let top = self.manifest(&place, from.content(), from.digest(), None).await?;
        let reference = from.at(top.descriptor.digest.clone());
        let mut documents = Vec::new();
        self.collect(&place, top, wanted, DEPTH_MOST, &mut documents).await?;
        let blobs = blobs(&documents);
        let (size, most) = (
            blobs.iter().fold(0_u64, |sum, blob| sum.saturating_add(blob.size)),
            self.limits().image,
        );
        if most < size {
            return Err(RegistryError::TooLarge { what: from.to_string(), most });
        }
        let calls = blobs.iter().map(|blob| self.get_blob(&place, blob, layout, progress));
        let calls: Vec<_> = calls.collect();
        let came = stream::iter(calls).buffer_unordered(self.limits().parallel.max(1));
        let fetched = came.try_fold(0, |sum, came| async move { Ok(sum + came) }).await?;
        let mut content = None;
        for fetched in &documents {
            layout.put(&fetched.descriptor.media_type, &fetched.bytes)?;
            content = Some(fetched.descriptor.clone());
        }
        let nothing = || RegistryError::Unusable {
            what: from.to_string(),
            problem: "has nothing in it".to_owned(),
        };
        let content = content.ok_or_else(nothing)?;
        enter(layout, &content, from.tag())?;
        Ok(Pulled { content, reference, fetched })
    }

    /// What a name stands for now, without fetching more than its manifest or index.
    ///
    /// # Errors
    ///
    /// [`RegistryError`].
    pub async fn resolve(&self, reference: &Reference) -> Result<Descriptor, RegistryError> {
        let place = Place::new(reference, &self.options, Purpose::Pull, &[])?;
        let found = self.manifest(&place, reference.content(), reference.digest(), None).await?;
        Ok(found.descriptor)
    }

    /// The documents that are wanted of `top`, each after those that it names.
    async fn collect(
        &self,
        place: &Place,
        top: Fetched,
        wanted: &Wanted,
        depth: usize,
        documents: &mut Vec<Fetched>,
    ) -> Result<(), RegistryError> {
        let sizes = documents.iter().map(|known| known.descriptor.size);
        if DOCUMENTS_MOST < sizes.sum::<u64>() + top.descriptor.size {
            let what = format!("what {}/{} has of manifests", place.host, place.name);
            return Err(RegistryError::TooLarge { what, most: DOCUMENTS_MOST });
        }
        let Some(entries) = top.document.entries() else {
            documents.push(top);
            return Ok(());
        };
        let what = top.descriptor.digest.to_string();
        if depth == 0 {
            let problem = format!("is inside of more than {DEPTH_MOST} indexes");
            return Err(RegistryError::Unusable { what, problem });
        }
        let chosen: Vec<&Entry> = match wanted {
            Wanted::All => entries.iter().collect(),
            Wanted::Platform(platform) => vec![choose(entries, platform, &what)?],
        };
        for entry in chosen {
            if documents.iter().any(|known| known.descriptor.digest == entry.digest) {
                continue;
            }
            let digest = entry.digest.as_str();
            let child = self.manifest(place, digest, Some(&entry.digest), Some(entry)).await?;
            Box::pin(self.collect(place, child, wanted, depth - 1, documents)).await?;
        }
        if *wanted == Wanted::All {
            documents.push(top);
        }
        Ok(())
    }

    async fn manifest(
        &self,
        place: &Place,
        content: &str,
        expected: Option<&Digest>,
        entry: Option<&Entry>,
    ) -> Result<Fetched, RegistryError> {
        let mut call = Call::new(Method::GET, place.manifest(content));
        for accepted in ACCEPTED {
            call = call.with(header::ACCEPT, HeaderValue::from_static(accepted));
        }
        let (headers, bytes) = self.document(place, &call).await?;
        let what = format!("the manifest {}/{}@{content}", place.host, place.name);
        let digest = Digest::of(&bytes);
        let said = headers.get(CONTENT_DIGEST).and_then(|said| said.to_str().ok());
        let said = said.and_then(|said| said.parse::<Digest>().ok());
        if let Some(expected) = expected.or(said.as_ref()).filter(|expected| **expected != digest) {
            let (expected, got) = (expected.clone(), digest.to_string());
            return Err(RegistryError::Digest { what, expected, got });
        }
        let size = bytes.len() as u64;
        if let Some(entry) = entry.filter(|entry| entry.size != size) {
            return Err(RegistryError::Length {
                what,
                expected: entry.size,
                longer: entry.size < size,
            });
        }
        let document = Document::read(&bytes, &what)?;
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let media_type = document.kind(kind, &what)?;
        let descriptor = match entry {
            Some(entry) => Descriptor { media_type, ..entry.descriptor() },
            None => Descriptor {
                media_type,
                digest,
                size,
                platform: None,
                artifact_type: None,
                annotations: BTreeMap::new(),
            },
        };
        Ok(Fetched { descriptor, bytes, document })
    }
}

fn choose<'a>(
    entries: &'a [Entry],
    platform: &Platform,
    what: &str,
) -> Result<&'a Entry, RegistryError> {
    let runs = |entry: &Entry| entry.platform.clone();
    let fitting =
        entries.iter().filter(|entry| runs(entry).is_some_and(|runs| runs.fits(platform)));
    // An index of one image need not say what it runs on.
    let only = entries.first().filter(|entry| entries.len() == 1 && entry.platform.is_none());
    let best = fitting.min_by_key(|entry| runs(entry).map(|runs| runs.rank()));
    best.or(only).ok_or_else(|| {
        let there: Vec<String> =
            entries.iter().filter_map(runs).map(|runs| runs.shown()).take(32).collect();
        RegistryError::Platform {
            what: what.to_owned(),
            wanted: format!("{}/{}", platform.os, platform.architecture),
            there: if there.is_empty() {
                "none that says what it is for".to_owned()
            } else {
                super::error::printable(&there.join(", "))
            },
        }
    })
}

/// The blobs of all documents, each once.
fn blobs(documents: &[Fetched]) -> Vec<Descriptor> {
    let mut blobs: BTreeMap<Digest, Descriptor> = BTreeMap::new();
    for fetched in documents {
        for blob in fetched.document.blobs() {
            blobs.entry(blob.digest.clone()).or_insert(blob);
        }
    }
    blobs.into_values().collect()
}

/// One name stands for one content.
fn enter(layout: &Layout, content: &Descriptor, tag: Option<&str>) -> Result<(), RegistryError> {
    let mut entry = content.clone();
    if let Some(tag) = tag {
        entry.annotations.insert(annotation::NAME.to_owned(), tag.to_owned());
    }
    let mut manifests = layout.index()?.manifests;
    let name = |entry: &Descriptor| entry.annotations.get(annotation::NAME).cloned();
    manifests.retain(|known| {
        let renamed = name(known).is_some() && name(known) == name(&entry);
        let same =
            known.digest == entry.digest && (name(known).is_none() || name(known) == name(&entry));
        !renamed && !same
    });
    manifests.push(entry);
    Ok(layout.set_index(manifests)?)
}
