//! Blobs by their URL: in a folder, in S3, or in memory. A blob is written whole or not at
//! all; who reads it sees one version of it.

mod blob;
mod error;
#[cfg(feature = "s3")]
mod http;
mod lock;
mod name;
mod place;
#[cfg(feature = "s3")]
mod s3;
mod upload;
mod url;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::Stream;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, PutMode, PutPayload, UpdateVersion};
use prometheus_client::registry::Registry;
use tracing::Instrument as _;
use updraft_resilience::Policy;

pub use self::blob::{Blob, BlobInfo, BlobVersion};
pub use self::error::BlobError;
use self::name::BlobName;
use self::place::{Credentials, Health, Place};
pub use self::url::BlobsUrl;
use crate::BoxError;
use crate::app::{Field, FieldSpec};
use crate::attachment::{
    AttachError, Attached, Attaching, Attachment, Location, OperationFamilies, Outcome, Tally,
};
use crate::config::{Config, Invalid};
use crate::metrics::{Families, Metrics};
use crate::process::BoxFuture;

/// The most that one list gives.
const LIST_MOST: usize = 1000;

/// The operations that are counted, and the operation that each number stands for.
const OPERATIONS: [&str; 6] = ["put", "get", "head", "delete", "list", "copy"];
const PUT: usize = 0;
const GET: usize = 1;
const HEAD: usize = 2;
const DELETE: usize = 3;
const LIST: usize = 4;
const COPY: usize = 5;

/// A place for blobs. Clones are the same.
///
/// A name is a path: parts between slashes, of letters, digits, spaces and `-_.+=@,!'()$&:;`.
///
/// ```
/// use updraft::{BlobError, Blobs, BlobsUrl, Variable as _};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let blobs: Blobs = BlobsUrl::parse("memory:")?.open(std::env::vars())?;
/// let first = blobs.put("invoices/7.pdf", "%PDF").await?;
/// assert_eq!(blobs.read("invoices/7.pdf").await?, "%PDF");
///
/// // Of two who replace the same version, one does.
/// blobs.replace("invoices/7.pdf", "%PDF-2", &first).await?;
/// let late = blobs.replace("invoices/7.pdf", "%PDF-3", &first).await;
/// assert!(matches!(late, Err(BlobError::Changed)));
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Blobs {
    inner: Arc<Inner>,
}

struct Inner {
    url: BlobsUrl,
    place: Place,
    policy: Policy<Health>,
    tally: Tally<{ OPERATIONS.len() }>,
}

/// The families of all places for blobs.
#[derive(Debug)]
struct BlobsFamilies(Arc<OperationFamilies>);

impl Families for BlobsFamilies {
    fn register(registry: &mut Registry) -> Self {
        Self(Arc::new(OperationFamilies::register(registry, "blobs")))
    }
}

impl fmt::Debug for Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let location = self.inner.url.location().to_string();
        f.debug_struct("Blobs").field("location", &location).finish_non_exhaustive()
    }
}

impl BlobsUrl {
    /// Opens the place. Of the variables, the `AWS_…` that S3 needs are taken; a server is
    /// connected to when it is first asked for something.
    ///
    /// # Errors
    ///
    /// [`BlobError::Refused`]: the folder is not there or cannot be written, or the settings of
    /// S3 do not fit together.
    pub fn open(
        &self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Blobs, BlobError> {
        let mut config = Config::from_variables(variables);
        let credentials = place::credentials(&mut config, self);
        let wrong = |_invalid| match config.report() {
            Some(report) => BlobError::Refused(report.into()),
            None => BlobError::Refused("the configuration is not valid".into()),
        };
        let credentials = credentials.map_err(wrong)?;
        self.open_as("blobs", &credentials, &Metrics::default())
    }

    fn open_as(
        &self,
        name: &'static str,
        credentials: &Credentials,
        metrics: &Metrics,
    ) -> Result<Blobs, BlobError> {
        let place = Place::open(self, credentials).map_err(BlobError::Refused)?;
        let policy = place::policy(self, name).map_err(|error| BlobError::Refused(error.into()))?;
        let families = Arc::clone(&metrics.families::<BlobsFamilies>().0);
        let tally = Tally::new(families, name, OPERATIONS);
        Ok(Blobs { inner: Arc::new(Inner { url: self.clone(), place, policy, tally }) })
    }
}

impl Blobs {
    /// Writes a blob, whatever is there. When it comes back, the blob is on the disk, or with
    /// the server.
    ///
    /// # Errors
    ///
    /// [`BlobError`]; after [`BlobError::Timeout`] the blob may have been written.
    pub async fn put(&self, name: &str, bytes: impl Into<Bytes>) -> Result<BlobVersion, BlobError> {
        self.put_when(name, bytes.into(), PutMode::Overwrite).await
    }

    /// Writes a blob unless there is one of this name: of all who try at the same time, one
    /// does.
    ///
    /// # Errors
    ///
    /// [`BlobError::Exists`]; others as [`put`](Self::put).
    pub async fn create(
        &self,
        name: &str,
        bytes: impl Into<Bytes>,
    ) -> Result<BlobVersion, BlobError> {
        self.put_when(name, bytes.into(), PutMode::Create).await
    }

    /// Writes a blob if the one that is there is of this version: of all who replace the same
    /// version by other bytes at the same time, one does.
    ///
    /// # Errors
    ///
    /// [`BlobError::Changed`] when it is of another, or gone; others as [`put`](Self::put).
    pub async fn replace(
        &self,
        name: &str,
        bytes: impl Into<Bytes>,
        version: &BlobVersion,
    ) -> Result<BlobVersion, BlobError> {
        let version = UpdateVersion { e_tag: Some(version.as_str().to_owned()), version: None };
        let put = self.put_when(name, bytes.into(), PutMode::Update(version)).await;
        put.map_err(|error| match error {
            BlobError::Missing => BlobError::Changed,
            other => other,
        })
    }

    async fn put_when(
        &self,
        name: &str,
        bytes: Bytes,
        mode: PutMode,
    ) -> Result<BlobVersion, BlobError> {
        let put = async {
            let name = BlobName::parse(name)?;
            self.check_size(u64::try_from(bytes.len()).unwrap_or(u64::MAX))?;
            let payload = PutPayload::from_bytes(bytes);
            self.guarded(|| self.inner.place.put(&name, payload.clone(), mode.clone())).await
        };
        self.measured(PUT, put).await
    }

    /// Writes a blob from a stream, part by part; at most 8 MiB of it are in memory. Nothing
    /// is to be seen of it until all of it is there, and nothing is left when the stream fails.
    ///
    /// # Errors
    ///
    /// [`BlobError::Stream`] with the error of the stream; [`BlobError::TooLong`] above
    /// 80 GB; others as [`put`](Self::put). The timeout is for each part.
    pub async fn put_stream<S, E>(&self, name: &str, stream: S) -> Result<BlobVersion, BlobError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
        E: Into<BoxError>,
    {
        let put = async {
            let name = BlobName::parse(name)?;
            upload::upload(self, &name, stream).await
        };
        self.measured(PUT, put).await
    }

    /// Opens a blob to be read as a stream.
    ///
    /// # Errors
    ///
    /// [`BlobError::Missing`]; [`BlobError`]. The timeout is for each piece of the stream.
    pub async fn get(&self, name: &str) -> Result<Blob, BlobError> {
        let get = async {
            let name = BlobName::parse(name)?;
            let found = self.guarded(|| self.inner.place.get(&name, GetOptions::default())).await?;
            Ok(Blob::new(found, self.inner.place.is_remote(), self.inner.url.timeout))
        };
        self.measured(GET, get).await
    }

    /// The bytes of a blob.
    ///
    /// # Errors
    ///
    /// [`BlobError::TooLarge`] above `max_bytes` of the URL; [`BlobError::Missing`];
    /// [`BlobError`].
    pub async fn read(&self, name: &str) -> Result<Bytes, BlobError> {
        let blob = self.get(name).await?;
        self.check_size(blob.info().size)?;
        blob.bytes().await
    }

    /// The bytes of a range of a blob, `start..end` from 0. An end beyond that of the blob
    /// means its end.
    ///
    /// # Errors
    ///
    /// [`BlobError::Range`] when the range is empty or begins behind the blob's end; others as
    /// [`read`](Self::read).
    pub async fn read_range(&self, name: &str, range: Range<u64>) -> Result<Bytes, BlobError> {
        let get = async {
            let name = BlobName::parse(name)?;
            if range.is_empty() {
                return Err(BlobError::Range);
            }
            let start = range.start;
            self.check_size(range.end - start)?;
            let options = || GetOptions {
                range: Some(GetRange::Bounded(range.clone())),
                ..Default::default()
            };
            match self.guarded(|| self.inner.place.get(&name, options())).await {
                Ok(found) => {
                    Ok(Blob::new(found, self.inner.place.is_remote(), self.inner.url.timeout))
                }
                // Each kind has words of its own for a range that is not there.
                Err(error @ (BlobError::Away(_) | BlobError::Refused(_))) => {
                    let found = self.guarded(|| self.inner.place.head(&name)).await;
                    match found {
                        Ok(found) if found.size <= start => Err(BlobError::Range),
                        _ => Err(error),
                    }
                }
                Err(error) => Err(error),
            }
        };
        self.measured(GET, get).await?.bytes().await
    }

    /// What is known of a blob beside its bytes.
    ///
    /// # Errors
    ///
    /// [`BlobError::Missing`]; [`BlobError`].
    pub async fn head(&self, name: &str) -> Result<BlobInfo, BlobError> {
        let head = async {
            let name = BlobName::parse(name)?;
            Ok(BlobInfo::of(self.guarded(|| self.inner.place.head(&name)).await?))
        };
        self.measured(HEAD, head).await
    }

    /// Deletes a blob; that it is not there is no error.
    ///
    /// # Errors
    ///
    /// [`BlobError`].
    pub async fn delete(&self, name: &str) -> Result<(), BlobError> {
        let delete = async {
            let name = BlobName::parse(name)?;
            match self.guarded(|| self.inner.place.delete(&name)).await {
                Err(BlobError::Missing) => Ok(()),
                other => other,
            }
        };
        self.measured(DELETE, delete).await
    }

    /// The blobs below `folder` (all with `None`), in the order of their names, from the one
    /// behind the name `after` on, and at most `limit` of them, 1000 at most.
    ///
    /// # Errors
    ///
    /// [`BlobError`].
    pub async fn list(
        &self,
        folder: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<BlobInfo>, BlobError> {
        let list = async {
            let path = |name: &str| BlobName::parse(name).map(|name| name.0);
            let (folder, after) = (folder.map(path).transpose()?, after.map(path).transpose()?);
            let (folder, after): (Option<&Path>, Option<&Path>) = (folder.as_ref(), after.as_ref());
            let limit = limit.min(LIST_MOST);
            let found = self.guarded(|| self.inner.place.list(folder, after, limit)).await?;
            Ok(found.into_iter().map(BlobInfo::of).collect())
        };
        self.measured(LIST, list).await
    }

    /// Copies a blob, over whatever is there.
    ///
    /// # Errors
    ///
    /// [`BlobError::Missing`] when there is none of the name `from`; [`BlobError`].
    pub async fn copy(&self, from: &str, to: &str) -> Result<(), BlobError> {
        let copy = async {
            let (from, to) = (BlobName::parse(from)?, BlobName::parse(to)?);
            self.guarded(|| self.inner.place.copy(&from, &to)).await
        };
        self.measured(COPY, copy).await
    }

    fn check_size(&self, bytes: u64) -> Result<(), BlobError> {
        let max = self.inner.url.max_bytes;
        if bytes <= max { Ok(()) } else { Err(BlobError::TooLarge { max }) }
    }

    /// Runs one operation within the bounds of the place.
    async fn guarded<T, F>(&self, run: impl Fn() -> F) -> Result<T, BlobError>
    where
        F: Future<Output = Result<T, BlobError>>,
    {
        let asked = self.inner.policy.call(|_| run()).await;
        asked.map_err(|error| place::refusal(error, self.inner.url.timeout))
    }

    /// Counts an operation, and puts it into a span.
    async fn measured<T>(
        &self,
        operation: usize,
        work: impl Future<Output = Result<T, BlobError>>,
    ) -> Result<T, BlobError> {
        let begun = Instant::now();
        let name = OPERATIONS.get(operation).copied().unwrap_or_default();
        let kind = self.inner.url.location().kind();
        let span =
            tracing::debug_span!("blobs", otel.kind = "client", kind, blobs.operation = name);
        let result = work.instrument(span).await;
        let outcome = match &result {
            Ok(_) => Outcome::Ok,
            Err(error) => error.outcome(),
        };
        self.inner.tally.note(operation, outcome, begun.elapsed());
        result
    }
}

impl Attachment for Blobs {
    fn location(&self) -> Location {
        self.inner.url.location()
    }

    fn check(&self) -> BoxFuture<Result<(), BoxError>> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move { Ok(inner.place.check().await?) })
    }
}

/// What the environment says of a place for blobs.
#[derive(Debug)]
pub struct BlobsParsed {
    url: BlobsUrl,
    credentials: Credentials,
}

fn parsed(config: &mut Config, spec: &FieldSpec, url: BlobsUrl) -> Result<BlobsParsed, Invalid> {
    let refused = config.refuse_local::<BlobsUrl>(spec, url.is_local(), "s3: or file:");
    let credentials = place::credentials(config, &url);
    refused?;
    Ok(BlobsParsed { credentials: credentials?, url })
}

impl Field for Blobs {
    type Parsed = BlobsParsed;

    fn read(config: &mut Config, spec: &FieldSpec) -> Result<BlobsParsed, Invalid> {
        let url = config.field(spec.url, spec)?;
        parsed(config, spec, url)
    }

    async fn attach(
        read: BlobsParsed,
        spec: &FieldSpec,
        attaching: &Attaching,
    ) -> Result<Self, AttachError> {
        let blobs = read
            .url
            .open_as(spec.field, &read.credentials, attaching.metrics())
            .map_err(|error| AttachError::new(spec.url, error))?;
        let attachment = Arc::new(blobs.clone());
        attaching.add(Attached { name: spec.field, variable: spec.url, attachment });
        Ok(blobs)
    }
}

impl Field for Option<Blobs> {
    type Parsed = Option<BlobsParsed>;

    fn read(config: &mut Config, spec: &FieldSpec) -> Result<Self::Parsed, Invalid> {
        let url = config.optional(spec.url, spec.about)?;
        url.map(|url| parsed(config, spec, url)).transpose()
    }

    async fn attach(
        read: Self::Parsed,
        spec: &FieldSpec,
        attaching: &Attaching,
    ) -> Result<Self, AttachError> {
        match read {
            Some(read) => Blobs::attach(read, spec, attaching).await.map(Some),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
#[path = "blobs/tests.rs"]
mod tests;
