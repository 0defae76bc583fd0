//! What is read of a place: blobs, and what is known of them.

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt as _};
use jiff::Timestamp;
use object_store::{GetResult, ObjectMeta};

use super::BlobError;
use super::place::failure;

/// Which version of a blob something is; it means nothing but that. Equal versions of one
/// name hold the same bytes; in S3, the same bytes have equal versions too.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BlobVersion(String);

impl BlobVersion {
    /// The version as it was given out before, as by an `ETag`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is known of a blob beside its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlobInfo {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was written.
    pub modified: Timestamp,
    /// Which version it is.
    pub version: BlobVersion,
}

impl BlobInfo {
    pub(super) fn of(found: ObjectMeta) -> Self {
        let modified = Timestamp::from_millisecond(found.last_modified.timestamp_millis());
        Self {
            name: found.location.to_string(),
            size: found.size,
            modified: modified.unwrap_or_default(),
            version: BlobVersion(found.e_tag.unwrap_or_default()),
        }
    }
}

/// A blob that is being read. It stays the version that was opened.
pub struct Blob {
    info: BlobInfo,
    stream: BoxStream<'static, object_store::Result<Bytes>>,
    is_remote: bool,
    timeout: Duration,
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blob").field("info", &self.info).finish_non_exhaustive()
    }
}

impl Blob {
    pub(super) fn new(found: GetResult, is_remote: bool, timeout: Duration) -> Self {
        let info = BlobInfo::of(found.meta.clone());
        Self { info, stream: found.into_stream(), is_remote, timeout }
    }

    /// What is known of it.
    pub fn info(&self) -> &BlobInfo {
        &self.info
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`BlobError::Timeout`] when it does not come in time; [`BlobError::Away`] when the
    /// place went away. The blob cannot be read on then.
    pub async fn next(&mut self) -> Option<Result<Bytes, BlobError>> {
        match tokio::time::timeout(self.timeout, self.stream.next()).await {
            Ok(piece) => Some(piece?.map_err(|error| failure(error, self.is_remote))),
            Err(_elapsed) => Some(Err(BlobError::Timeout { waited: self.timeout })),
        }
    }

    /// All that is left of it, in memory.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next).
    pub async fn bytes(mut self) -> Result<Bytes, BlobError> {
        let Some(first) = self.next().await.transpose()? else { return Ok(Bytes::new()) };
        let Some(second) = self.next().await.transpose()? else { return Ok(first) };
        let mut all = BytesMut::from(first);
        all.extend_from_slice(&second);
        while let Some(piece) = self.next().await.transpose()? {
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }

    /// All that is left of it, as a stream. It ends with the first error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, BlobError>> + Send {
        futures_util::stream::unfold(Some(self), |blob| async {
            let mut blob = blob?;
            let piece = blob.next().await?;
            let rest = piece.is_ok().then_some(blob);
            Some((piece, rest))
        })
    }
}
