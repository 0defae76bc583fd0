//! From a layout to a registry: blobs first and side by side, documents after what they name.

use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use http::{HeaderValue, Method, StatusCode, header};

use super::content::Payload;
use super::document::{Document, is_document};
use super::error::RegistryError;
use super::place::{Place, Purpose};
use super::progress::Progress;
use super::reference::{Reference, is_name};
use super::upload::{Blob, same_digest};
use super::{Call, Registry};
use crate::{Descriptor, Digest, Layout};

/// The most indexes inside of one another.
pub(super) const DEPTH_MOST: usize = 4;
/// The most manifests and indexes that one push sends.
const DOCUMENTS_MOST: usize = 1024;
/// The most repositories that are asked for one blob.
const MOUNTS_MOST: usize = 4;

/// What is pushed, and how.
#[derive(Clone, Debug)]
pub struct Push<'a> {
    /// Where its blobs are.
    pub layout: &'a Layout,
    /// A manifest or an index of the layout.
    pub content: &'a Descriptor,
    /// Repositories of the same registry that may have some of the blobs, such as that of the
    /// base image; 4 are asked at most. None by default.
    pub mount_from: Vec<String>,
    /// Whether what the layout's index has about the content (its `subject` is the content, or
    /// something else that is pushed) goes with it: an SBOM, a provenance. Yes by default.
    pub referrers: bool,
    /// Who is told how far it is; nobody by default.
    pub progress: Progress,
}

/// What a push came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// By which anybody gets exactly this.
    pub reference: Reference,
    /// Each blob once, in the order of their digests.
    pub blobs: Vec<(Digest, Fate)>,
    /// The sizes of the uploaded blobs, in bytes.
    pub uploaded: u64,
    /// The manifests that refer to what was pushed.
    pub referrers: Vec<Descriptor>,
}

/// What became of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The repository had it.
    Present,
    /// Another repository of the registry had it.
    Mounted,
    /// It was sent.
    Uploaded,
}

/// A document that is to be sent, after those before it.
struct Planned {
    descriptor: Descriptor,
    bytes: Vec<u8>,
    document: Document,
}

#[derive(Default)]
struct Plan {
    documents: Vec<Planned>,
    blobs: Vec<Descriptor>,
}

impl<'a> Push<'a> {
    /// With the defaults.
    pub fn new(layout: &'a Layout, content: &'a Descriptor) -> Self {
        Self {
            layout,
            content,
            mount_from: Vec::new(),
            referrers: true,
            progress: Progress::silent(),
        }
    }

    fn plan(&self) -> Result<(Plan, usize), RegistryError> {
        let mut plan = Plan::default();
        plan.add(self.layout, self.content, DEPTH_MOST)?;
        let own = plan.documents.len();
        if self.referrers {
            let index = self.layout.index()?;
            let mut rest: Vec<Descriptor> =
                index.manifests.into_iter().filter(is_document).collect();
            loop {
                let before = plan.documents.len();
                let mut later = Vec::new();
                for candidate in rest {
                    let (_, document) = read(self.layout, &candidate)?;
                    match document.subject.is_some_and(|subject| plan.has(&subject.digest)) {
                        true => plan.add(self.layout, &candidate, DEPTH_MOST)?,
                        false => later.push(candidate),
                    }
                }
                rest = later;
                if before == plan.documents.len() {
                    break;
                }
            }
        }
        plan.check(self.layout)?;
        Ok((plan, own))
    }
}

impl Plan {
    fn has(&self, digest: &Digest) -> bool {
        self.documents.iter().any(|planned| planned.descriptor.digest == *digest)
    }

    /// What a document names comes before it.
    fn add(
        &mut self,
        layout: &Layout,
        descriptor: &Descriptor,
        depth: usize,
    ) -> Result<(), RegistryError> {
        if self.has(&descriptor.digest) {
            return Ok(());
        }
        let (bytes, document) = read(layout, descriptor)?;
        let what = descriptor.digest.to_string();
        if depth == 0 || DOCUMENTS_MOST <= self.documents.len() {
            let problem = format!(
                "is more than {DEPTH_MOST} indexes deep, or one of more than {DOCUMENTS_MOST} documents"
            );
            return Err(RegistryError::Unusable { what, problem });
        }
        for entry in document.entries().unwrap_or_default() {
            self.add(layout, &entry.descriptor(), depth - 1)?;
        }
        for blob in document.blobs() {
            if !self.blobs.iter().any(|known| known.digest == blob.digest) {
                self.blobs.push(blob);
            }
        }
        let media_type = document.kind(None, &what)?;
        let descriptor = Descriptor { media_type, size: bytes.len() as u64, ..descriptor.clone() };
        self.documents.push(Planned { descriptor, bytes, document });
        Ok(())
    }

    /// Every blob is there with its size, so that nothing is sent half.
    fn check(&self, layout: &Layout) -> Result<(), RegistryError> {
        let lacks = |blob: &&Descriptor| {
            let size = std::fs::metadata(layout.blob(&blob.digest)).map(|file| file.len());
            size.ok() != Some(blob.size)
        };
        let missing: Vec<&str> =
            self.blobs.iter().filter(lacks).map(|blob| blob.digest.as_str()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let problem =
            format!("lacks these blobs, or has them in another size: {}", missing.join(", "));
        Err(RegistryError::Unusable { what: layout.folder().display().to_string(), problem })
    }
}

fn read(layout: &Layout, descriptor: &Descriptor) -> Result<(Vec<u8>, Document), RegistryError> {
    let bytes = layout.document(&descriptor.digest)?;
    let document = Document::read(&bytes, descriptor.digest.as_str())?;
    Ok((bytes, document))
}

impl Registry {
    /// Sends a manifest or an index with all that belongs to it. The tag is set last, so nobody
    /// sees a part; what the registry has is not sent again.
    ///
    /// # Errors
    ///
    /// [`RegistryError`]; what was sent by then is kept by the registry, and a further push
    /// goes on from there.
    pub async fn push(&self, push: &Push<'_>, to: &Reference) -> Result<Pushed, RegistryError> {
        let content = &push.content.digest;
        if let Some(expected) = to.digest().filter(|digest| *digest != content) {
            return Err(RegistryError::Digest {
                what: "what is to be pushed".to_owned(),
                expected: expected.clone(),
                got: content.to_string(),
            });
        }
        let (plan, own) = push.plan()?;
        let others = mounts(&push.mount_from, to)?;
        let place = Place::new(to, &self.options, Purpose::Push, &others)?;
        let mut blobs = self.put_blobs(&place, push, &plan.blobs, &others).await?;
        blobs.sort_by(|(one, _), (other, _)| one.cmp(other));
        let target = to.tag().unwrap_or(content.as_str());
        // The content is the last of its own documents; what is about it goes before its name is
        // set, so that nobody gets the one without the other (a registry takes a manifest whose
        // subject is not there yet).
        let (own_ones, about) = plan.documents.split_at(own);
        let (last, parts) = own_ones.split_last().map_or((None, own_ones), |(l, p)| (Some(l), p));
        for planned in parts.iter().chain(about).chain(last) {
            let digest = &planned.descriptor.digest;
            let name = if digest == content { target } else { digest.as_str() };
            let lists = self.put_document(&place, planned, name).await?;
            if let Some(subject) = planned.document.subject.as_ref().filter(|_| !lists) {
                let referrer = referrer(planned);
                self.list_referrer(&place, &subject.digest, &referrer).await?;
            }
        }
        let is_sent = |digest: &Digest| {
            blobs.iter().any(|(it, fate)| it == digest && *fate == Fate::Uploaded)
        };
        let uploaded =
            plan.blobs.iter().filter(|blob| is_sent(&blob.digest)).map(|blob| blob.size).sum();
        let referrers = plan.documents.iter().skip(own).map(referrer).collect();
        Ok(Pushed { reference: to.at(content.clone()), blobs, uploaded, referrers })
    }

    async fn put_blobs(
        &self,
        place: &Place,
        push: &Push<'_>,
        blobs: &[Descriptor],
        others: &[String],
    ) -> Result<Vec<(Digest, Fate)>, RegistryError> {
        let calls = blobs.iter().map(|descriptor| {
            let blob = Blob {
                digest: descriptor.digest.clone(),
                size: descriptor.size,
                path: push.layout.blob(&descriptor.digest),
                progress: push.progress.clone(),
            };
            async move {
                let fate = self.put_blob(place, &blob, others).await?;
                Ok::<_, RegistryError>((blob.digest, fate))
            }
        });
        let calls: Vec<_> = calls.collect();
        stream::iter(calls).buffer_unordered(self.limits().parallel.max(1)).try_collect().await
    }

    /// Whether the registry keeps the list of referrers itself.
    async fn put_document(
        &self,
        place: &Place,
        planned: &Planned,
        name: &str,
    ) -> Result<bool, RegistryError> {
        let kind = HeaderValue::from_str(&planned.descriptor.media_type);
        let kind = kind.unwrap_or_else(|_never| HeaderValue::from_static(crate::media::MANIFEST));
        let call = Call::new(Method::PUT, place.manifest(name))
            .with(header::CONTENT_TYPE, kind)
            .sending(Payload::Bytes(planned.bytes.clone().into()));
        let reply = self.persist(place, &call, &[StatusCode::CREATED]).await?;
        same_digest(&reply, &planned.descriptor.digest)?;
        Ok(reply.header("oci-subject").is_some())
    }
}

/// As a list of referrers has it.
fn referrer(planned: &Planned) -> Descriptor {
    Descriptor {
        artifact_type: planned.document.artifact(),
        annotations: planned.document.annotations.clone(),
        platform: None,
        ..planned.descriptor.clone()
    }
}

/// Repositories that are worth asking, each once.
fn mounts(given: &[String], to: &Reference) -> Result<Vec<String>, RegistryError> {
    let mut known = BTreeSet::from([to.name().to_owned()]);
    let mut others = Vec::new();
    for name in given {
        if !is_name(name) {
            return Err(RegistryError::Unusable {
                what: format!("`{name}`"),
                problem: "is no name of a repository, and no blob can be mounted from it"
                    .to_owned(),
            });
        }
        if known.insert(name.clone()) && others.len() < MOUNTS_MOST {
            others.push(name.clone());
        }
    }
    Ok(others)
}
