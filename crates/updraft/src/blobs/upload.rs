//! Writing a blob from a stream.

use std::pin::pin;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use object_store::{MultipartUpload, PutMode, PutPayload, PutPayloadMut};

use super::name::BlobName;
use super::place::failure;
use super::{BlobError, BlobVersion, Blobs};
use crate::BoxError;

/// The size of each part but the last: some that speak like S3 want them equal, and all want
/// at least 5 MiB.
const PART_BYTES: usize = 8 << 20;

/// The most parts that S3 takes.
const PARTS: u64 = 10_000;

/// The longest stream.
const STREAM_BYTES: u64 = PARTS * (PART_BYTES as u64);

/// Parts of a stream, each of the full size but the last.
struct Parts<S> {
    stream: S,
    /// What came beyond the end of the last part.
    rest: Bytes,
}

pub(super) async fn upload<S, E>(
    blobs: &Blobs,
    name: &BlobName,
    stream: S,
) -> Result<BlobVersion, BlobError>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: Into<BoxError>,
{
    let mut parts = Parts { stream: pin!(stream), rest: Bytes::new() };
    let first = parts.next().await?;
    if first.content_length() < PART_BYTES {
        let put = || blobs.inner.place.put(name, first.clone(), PutMode::Overwrite);
        return blobs.guarded(put).await;
    }
    let place = &blobs.inner.place;
    let mut upload = blobs.guarded(|| place.begin(name)).await?;
    let sent = send(blobs, &mut *upload, &mut parts, first).await;
    let done = match sent {
        Ok(()) => place.finish(name, upload, blobs.inner.url.timeout).await,
        Err(error) => Err((error, upload)),
    };
    match done {
        Ok(version) => Ok(version),
        Err((error, mut upload)) => {
            // What cannot be removed now is left to the rules of the bucket.
            let aborted = tokio::time::timeout(blobs.inner.url.timeout, upload.abort()).await;
            if !matches!(aborted, Ok(Ok(()))) {
                tracing::warn!("the parts of an upload that failed could not be removed");
            }
            Err(error)
        }
    }
}

async fn send<S, E>(
    blobs: &Blobs,
    upload: &mut dyn MultipartUpload,
    parts: &mut Parts<S>,
    first: PutPayload,
) -> Result<(), BlobError>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Into<BoxError>,
{
    let is_remote = blobs.inner.place.is_remote();
    let waited = blobs.inner.url.timeout;
    let mut part = first;
    for _ in 0..PARTS {
        let is_last = part.content_length() < PART_BYTES;
        if part.content_length() > 0 {
            let sending = upload.put_part(part);
            let sent = tokio::time::timeout(waited, sending).await;
            let sent = sent.map_err(|_elapsed| BlobError::Timeout { waited })?;
            sent.map_err(|error| failure(error, is_remote))?;
        }
        if is_last {
            return Ok(());
        }
        part = parts.next().await?;
    }
    if part.content_length() == 0 {
        return Ok(());
    }
    Err(BlobError::TooLong { max: STREAM_BYTES })
}

impl<S, E> Parts<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Into<BoxError>,
{
    /// The next part; a short one is the last.
    async fn next(&mut self) -> Result<PutPayload, BlobError> {
        let mut part = PutPayloadMut::new();
        loop {
            let room = PART_BYTES - part.content_length();
            let taken = self.rest.split_to(room.min(self.rest.len()));
            if !taken.is_empty() {
                part.push(taken);
            }
            if part.content_length() == PART_BYTES {
                return Ok(part.freeze());
            }
            match self.stream.next().await {
                Some(Ok(bytes)) => self.rest = bytes,
                Some(Err(error)) => return Err(BlobError::Stream(error.into())),
                None => return Ok(part.freeze()),
            }
        }
    }
}
