//! One blob on its way to a registry: known, mounted, or uploaded, and resumed where it was cut.

use std::path::PathBuf;

use http::{HeaderValue, Method, StatusCode, header};

use super::content::{Part, Payload};
use super::document::digest_of;
use super::error::RegistryError;
use super::place::Place;
use super::progress::Progress;
use super::push::Fate;
use super::retry::Patience;
use super::{Call, Registry, Reply};
use crate::{Digest, LayoutError};

/// What an upload must have moved so that earlier failures do not count any more, in bytes.
pub(super) const PROGRESS: u64 = 1 << 20;
/// No registry is helped by smaller chunks, in bytes.
const CHUNK_LEAST: u64 = 1 << 20;
/// The largest `OCI-Chunk-Min-Length` that is followed, in bytes.
const CHUNK_MOST: u64 = 1 << 30;
/// Failures in a row after which chunks become smaller.
const FRUITLESS: u32 = 2;
/// What the registry says its own digest of a content is.
pub(super) const CONTENT_DIGEST: &str = "docker-content-digest";

/// A blob in a layout.
#[derive(Clone, Debug)]
pub(super) struct Blob {
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) path: PathBuf,
    pub(super) progress: Progress,
}

/// An upload that the registry knows of.
#[derive(Debug)]
struct Session {
    location: url::Url,
    /// What the registry has, in bytes.
    offset: u64,
    chunk: u64,
    least: u64,
    /// Whether one request for all of it is out of the question.
    chunked: bool,
}

/// What starting an upload came to.
enum Start {
    Mounted,
    Begun(Session),
}

impl Session {
    /// Smaller chunks; not when they are as small as they may be.
    fn shrink(&mut self, size: u64) -> bool {
        let now = if self.chunked { self.chunk } else { self.chunk.min(size) };
        let smaller = (now / 2).max(CHUNK_LEAST).max(self.least);
        let shrinks = smaller < now;
        if shrinks {
            (self.chunk, self.chunked) = (smaller, true);
        }
        shrinks
    }
}

impl Registry {
    /// Sees to it that the registry has the blob.
    pub(super) async fn put_blob(
        &self,
        place: &Place,
        blob: &Blob,
        others: &[String],
    ) -> Result<Fate, RegistryError> {
        if self.has_blob(place, blob).await? {
            blob.progress.tell(&blob.digest, blob.size, blob.size);
            return Ok(Fate::Present);
        }
        for other in others {
            if self.mount(place, blob, other).await? {
                blob.progress.tell(&blob.digest, blob.size, blob.size);
                return Ok(Fate::Mounted);
            }
        }
        let session = self.begin(place).await?;
        self.upload(place, blob, session).await?;
        Ok(Fate::Uploaded)
    }

    async fn has_blob(&self, place: &Place, blob: &Blob) -> Result<bool, RegistryError> {
        let call = Call::new(Method::HEAD, place.blob(&blob.digest));
        match self.persist(place, &call, &[StatusCode::OK]).await {
            Ok(reply) => {
                let length = reply.header(header::CONTENT_LENGTH.as_str());
                let length = length.and_then(|length| length.parse().ok());
                Ok(length.is_none_or(|length: u64| length == 0 || length == blob.size))
            }
            // Who may not push is told so by the upload, with the registry's reason.
            Err(RegistryError::Answer(answer)) if matches!(answer.status(), 400..=428) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the registry took the blob over from another of its repositories.
    async fn mount(&self, place: &Place, blob: &Blob, other: &str) -> Result<bool, RegistryError> {
        let mut url = place.uploads();
        let digest = blob.digest.as_str();
        url.query_pairs_mut().append_pair("mount", digest).append_pair("from", other);
        match self.start(place, &Call::new(Method::POST, url)).await {
            Ok(Start::Mounted) => Ok(true),
            Ok(Start::Begun(session)) => {
                self.abandon(place, &session).await;
                Ok(false)
            }
            // A repository that may not be read is as good as one that has not got it.
            Err(error) if matches!(error.status(), Some(400..=428)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn begin(&self, place: &Place) -> Result<Session, RegistryError> {
        let call = Call::new(Method::POST, place.uploads());
        match self.start(place, &call).await? {
            Start::Begun(session) => Ok(session),
            Start::Mounted => Err(RegistryError::Unusable {
                what: format!("the answer to POST {}", call.url),
                problem: "says that a blob is there which nobody has sent".to_owned(),
            }),
        }
    }

    async fn start(&self, place: &Place, call: &Call) -> Result<Start, RegistryError> {
        let wanted = [StatusCode::ACCEPTED, StatusCode::CREATED];
        let reply = self.persist(place, call, &wanted).await?;
        if reply.status() == StatusCode::CREATED {
            return Ok(Start::Mounted);
        }
        let least = reply.header("oci-chunk-min-length").and_then(|text| text.parse().ok());
        let least = least.unwrap_or(1).min(CHUNK_MOST);
        let chunk = self.limits().chunk.max(least).max(1);
        Ok(Start::Begun(Session {
            location: reply.location()?,
            offset: 0,
            chunk,
            least,
            chunked: false,
        }))
    }

    /// Sends what is missing until the registry has all of it, and says so.
    async fn upload(
        &self,
        place: &Place,
        blob: &Blob,
        session: Session,
    ) -> Result<(), RegistryError> {
        let mut session = session;
        session.chunked |= self.limits().monolithic < blob.size;
        let mut patience = Patience::new(self.limits());
        let mut mark = 0;
        loop {
            let error = match self.advance(place, blob, &mut session).await {
                Ok(true) => return Ok(()),
                Ok(false) => continue,
                Err(error) => error,
            };
            let too_large = error.status() == Some(413);
            let invalid = error.has_code("DIGEST_INVALID");
            if invalid && digest_of(&blob.path).await.ok().as_ref() != Some(&blob.digest) {
                return Err(LayoutError::Corrupt(blob.path.clone()).into());
            }
            // 404 and 416: what is known about the session is not so any more.
            let is_lost = matches!(error.status(), Some(404 | 416)) || invalid;
            match too_large {
                true if session.shrink(blob.size) => {}
                false if error.is_transient() || is_lost => patience.wait(error).await?,
                _ => return Err(error),
            }
            if FRUITLESS <= patience.failed() {
                session.shrink(blob.size);
            }
            if self.recover(place, blob, &mut session, invalid).await? {
                return Ok(());
            }
            // Only what goes beyond the furthest point is progress: sessions may be lost again and
            // again.
            if mark + PROGRESS <= session.offset {
                mark = session.offset;
                patience.renew();
            }
        }
    }

    /// One request of an upload; whether it was the last.
    async fn advance(
        &self,
        place: &Place,
        blob: &Blob,
        session: &mut Session,
    ) -> Result<bool, RegistryError> {
        let start = session.offset;
        if session.chunked && start < blob.size {
            let end = blob.size.min(start.saturating_add(session.chunk));
            let range = HeaderValue::from_str(&format!("{start}-{}", end - 1));
            let call = sending(Method::PATCH, session.location.clone(), blob, start, end);
            // Digits are always a header's value.
            let call = range.map_or_else(
                |_never| Call::new(Method::PATCH, session.location.clone()),
                |range| call.with(header::CONTENT_RANGE, range),
            );
            let reply = self.expect(place, &call, &[StatusCode::ACCEPTED]).await?;
            session.location = reply.location()?;
            session.offset = received(&reply).unwrap_or(end).min(end);
            if session.offset <= start {
                return Err(RegistryError::Unusable {
                    what: format!("the answer to {}", reply.line),
                    problem: "says that nothing of it has come".to_owned(),
                });
            }
            return Ok(false);
        }
        let mut url = session.location.clone();
        url.query_pairs_mut().append_pair("digest", blob.digest.as_str());
        let call = sending(Method::PUT, url, blob, start, blob.size);
        let reply = self.expect(place, &call, &[StatusCode::CREATED]).await?;
        same_digest(&reply, &blob.digest)?;
        blob.progress.tell(&blob.digest, blob.size, blob.size);
        Ok(true)
    }

    /// Asks how far the upload is; begins anew when the registry has forgotten it. Whether the
    /// blob is there already: the answer to the last request may have been lost.
    async fn recover(
        &self,
        place: &Place,
        blob: &Blob,
        session: &mut Session,
        anew: bool,
    ) -> Result<bool, RegistryError> {
        if !anew {
            let call = Call::new(Method::GET, session.location.clone());
            match self.persist(place, &call, &[StatusCode::NO_CONTENT, StatusCode::OK]).await {
                Ok(reply) => {
                    if let Some(offset) = received(&reply).filter(|offset| *offset <= blob.size) {
                        session.location =
                            reply.location().unwrap_or_else(|_same| call.url.clone());
                        session.offset = offset;
                        session.chunked |= 0 < offset;
                        return Ok(false);
                    }
                }
                Err(error) if matches!(error.status(), Some(400..=428)) => {
                    if self.has_blob(place, blob).await? {
                        return Ok(true);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        self.abandon(place, session).await;
        let fresh = self.begin(place).await?;
        *session =
            Session { chunk: session.chunk.max(fresh.least), chunked: session.chunked, ..fresh };
        Ok(false)
    }

    /// Tells the registry that the session is not needed, once: it ends by itself too.
    async fn abandon(&self, place: &Place, session: &Session) {
        let call = Call::new(Method::DELETE, session.location.clone());
        drop(self.send(place, &call).await);
    }
}

fn sending(method: Method, url: url::Url, blob: &Blob, start: u64, end: u64) -> Call {
    let kind = HeaderValue::from_static("application/octet-stream");
    let payload = match start == end {
        true => Payload::EMPTY,
        false => Payload::Part(Part {
            path: blob.path.clone(),
            start,
            end,
            digest: blob.digest.clone(),
            total: blob.size,
            progress: blob.progress.clone(),
        }),
    };
    Call::new(method, url).with(header::CONTENT_TYPE, kind).sending(payload)
}

/// How many bytes the registry has, by `Range: 0-LAST`. `0-0` is said of one byte and, by
/// Docker's registry, of none: then it is not known.
fn received(reply: &Reply) -> Option<u64> {
    let text = reply.header(header::RANGE.as_str())?;
    let last = text.trim().trim_start_matches("bytes=").strip_prefix("0-")?;
    let last: u64 = last.parse().ok()?;
    (last != 0).then(|| last.saturating_add(1))
}

/// What the registry says of a content that it took, where it says it.
pub(super) fn same_digest(reply: &Reply, expected: &Digest) -> Result<(), RegistryError> {
    let got = reply.header(CONTENT_DIGEST).filter(|got| got.starts_with("sha256:"));
    match got.filter(|got| *got != expected.as_str()) {
        None => Ok(()),
        Some(got) => Err(RegistryError::Digest {
            what: format!("what {} stored", reply.line),
            expected: expected.clone(),
            got: super::error::printable(got),
        }),
    }
}
