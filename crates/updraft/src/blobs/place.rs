//! The kinds of places, and how each is asked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    GetOptions, GetResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode,
    PutPayload, PutResult,
};
use updraft_resilience::breaker::{BreakerConfig, OpenFor, Trip};
use updraft_resilience::bulkhead::BulkheadConfig;
use updraft_resilience::{Classify, Error, Invalid as InvalidPolicy, Policy, Rejection, Verdict};

use super::lock::{Held, Locks};
use super::name::{BlobName, LOCKS};
use super::url::{self, BlobsUrl};
use super::{BlobError, BlobVersion};
use crate::BoxError;
use crate::config::{Config, Invalid};

/// Calls in a row that must fail before a server is left alone, and for how long, at first
/// and at most.
const FAILURES: u32 = 5;
const OPEN_FOR: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// A name that nobody has, to see whether the place answers.
const NOBODY: &str = "updraft-health-check";

/// What the environment says of the caller, without a way to print it.
#[derive(Clone, Default)]
pub(super) struct Credentials {
    #[cfg(feature = "s3")]
    keys: super::s3::Credentials,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

/// Reads what the place needs beside its URL.
#[cfg(feature = "s3")]
pub(super) fn credentials(config: &mut Config, url: &BlobsUrl) -> Result<Credentials, Invalid> {
    let mut credentials = Credentials::default();
    if !matches!(url.place, url::Place::S3(_)) {
        return Ok(credentials);
    }
    let invalid = config.beside_fields(|config| {
        let mut invalid = None;
        for (variable, key, about, is_secret) in super::s3::VARIABLES {
            let value = if is_secret {
                let read = config.optional::<crate::Secret>(variable, about);
                read.map(|read| read.map(|secret| secret.expose().to_owned()))
            } else {
                config.optional::<String>(variable, about)
            };
            match value {
                Ok(value) => credentials.keys.extend(value.map(|value| (key, value))),
                Err(error) => invalid = Some(error),
            }
        }
        invalid
    });
    invalid.map_or(Ok(credentials), Err)
}

#[cfg(not(feature = "s3"))]
pub(super) fn credentials(_: &mut Config, _: &BlobsUrl) -> Result<Credentials, Invalid> {
    Ok(Credentials::default())
}

/// Which outcomes say something about the place. Nothing is tried again here: the client of
/// S3 knows which of its requests may be, and does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Health;

impl<T> Classify<T, BlobError> for Health {
    fn classify(&self, outcome: Result<&T, &BlobError>) -> Verdict {
        match outcome {
            Ok(_) => Verdict::Success,
            Err(error) if error.is_away() => Verdict::Fail,
            Err(_) => Verdict::Ignore,
        }
    }

    fn timed_out(&self) -> Verdict {
        Verdict::Fail
    }
}

pub(super) fn policy(url: &BlobsUrl, name: &str) -> Result<Policy<Health>, InvalidPolicy> {
    let max = url.concurrency.get();
    let bulkhead =
        BulkheadConfig { max, queue: max, max_wait: url.timeout, ..BulkheadConfig::default() };
    let mut policy =
        Policy::named(format!("blobs.{name}")).bulkhead(bulkhead).attempt_timeout(url.timeout);
    if matches!(url.place, url::Place::S3(_)) {
        let (first, max) = OPEN_FOR;
        let breaker = BreakerConfig::any_of([Trip::consecutive(FAILURES)]);
        policy = policy.breaker(breaker.open_for(OpenFor { first, max, ..OpenFor::default() }));
    }
    policy.classifier(Health).build()
}

pub(super) fn refusal(error: Error<BlobError>, waited: Duration) -> BlobError {
    match error {
        Error::Inner(error) => error,
        Error::Rejected(Rejection::Open { retry_after }) => BlobError::Open { retry_after },
        Error::Rejected(Rejection::Deadline(_)) => BlobError::Timeout { waited },
        Error::Rejected(_) => BlobError::Full,
    }
}

/// What an error of the store means.
pub(super) fn failure(error: object_store::Error, is_remote: bool) -> BlobError {
    use object_store::Error as Store;
    match error {
        Store::NotFound { .. } => BlobError::Missing,
        Store::AlreadyExists { .. } => BlobError::Exists,
        Store::Precondition { .. } | Store::NotModified { .. } => BlobError::Changed,
        error @ Store::Generic { .. } if is_remote => BlobError::Away(error.into()),
        error => BlobError::Refused(error.into()),
    }
}

/// A place that is open.
#[derive(Clone, Debug)]
pub(super) struct Place {
    store: Arc<dyn ObjectStore>,
    /// Where the kind is a folder.
    folder: Option<Folder>,
    is_remote: bool,
}

#[derive(Clone, Debug)]
struct Folder {
    path: PathBuf,
    locks: Locks,
}

impl Place {
    /// # Errors
    ///
    /// The folder is not there or cannot be written; the settings of S3 do not fit together.
    pub(super) fn open(url: &BlobsUrl, credentials: &Credentials) -> Result<Self, BoxError> {
        match &url.place {
            url::Place::Memory => {
                Ok(Self { store: Arc::new(InMemory::new()), folder: None, is_remote: false })
            }
            url::Place::File(path) => {
                // It is not made here: where a volume should be mounted and is not, blobs would
                // go to a disk that is thrown away.
                let store = LocalFileSystem::new_with_prefix(path)?.with_fsync(true);
                let folder = Folder { path: path.clone(), locks: Locks::within(path)? };
                Ok(Self { store: Arc::new(store), folder: Some(folder), is_remote: false })
            }
            #[cfg(feature = "s3")]
            url::Place::S3(place) => {
                let store = super::s3::store(place, &credentials.keys, url.timeout)?;
                Ok(Self { store, folder: None, is_remote: true })
            }
            #[cfg(not(feature = "s3"))]
            url::Place::S3(_) => Err(format!("this build has no S3 for {credentials:?}").into()),
        }
    }

    /// Whether it is reached over a network.
    pub(super) fn is_remote(&self) -> bool {
        self.is_remote
    }

    pub(super) async fn check(&self) -> Result<(), BlobError> {
        if let Some(folder) = &self.folder {
            let found = tokio::fs::metadata(&folder.path).await;
            return found.map(drop).map_err(|error| BlobError::Refused(error.into()));
        }
        match self.head(&BlobName(Path::from(NOBODY))).await {
            Err(BlobError::Missing) => Ok(()),
            other => other.map(drop),
        }
    }

    pub(super) async fn put(
        &self,
        name: &BlobName,
        payload: PutPayload,
        mode: PutMode,
    ) -> Result<BlobVersion, BlobError> {
        let (place, own) = (self.clone(), name.clone());
        let put = self.in_turn(name, async move {
            let mode = place.checked(&own, mode).await?;
            place.store.put_opts(&own.0, payload, mode.into()).await
        });
        Ok(version(put.await?))
    }

    /// A file system cannot compare and replace, but whoever holds the lock can.
    async fn checked(&self, name: &BlobName, mode: PutMode) -> object_store::Result<PutMode> {
        let PutMode::Update(wanted) = &mode else { return Ok(mode) };
        if self.folder.is_none() {
            return Ok(mode);
        }
        let found = self.store.head(&name.0).await?;
        if found.e_tag == wanted.e_tag {
            return Ok(PutMode::Overwrite);
        }
        let source = "it is of another version".into();
        Err(object_store::Error::Precondition { path: name.0.to_string(), source })
    }

    /// Runs a change to its end, under the lock of its name where there are locks. It goes on
    /// when its caller is gone: the file system does, and the lock must last as long.
    async fn in_turn<T: Send + 'static>(
        &self,
        name: &BlobName,
        change: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> Result<T, BlobError> {
        let Some(held) = self.held(name).await? else {
            return change.await.map_err(|error| failure(error, self.is_remote));
        };
        let turn = tokio::spawn(async move {
            let changed = change.await;
            drop(held);
            changed
        });
        match turn.await {
            Ok(changed) => changed.map_err(|error| failure(error, self.is_remote)),
            Err(panic) => Err(BlobError::Refused(panic.into())),
        }
    }

    async fn held(&self, name: &BlobName) -> Result<Option<Held>, BlobError> {
        let Some(folder) = &self.folder else { return Ok(None) };
        let held = folder.locks.hold(name).await;
        held.map(Some).map_err(|error| BlobError::Refused(error.into()))
    }

    pub(super) async fn begin(
        &self,
        name: &BlobName,
    ) -> Result<Box<dyn MultipartUpload>, BlobError> {
        let begun = self.store.put_multipart(&name.0).await;
        begun.map_err(|error| failure(error, self.is_remote))
    }

    /// Puts the parts together; gives the upload back when that fails.
    pub(super) async fn finish(
        &self,
        name: &BlobName,
        mut upload: Box<dyn MultipartUpload>,
        waited: Duration,
    ) -> Result<BlobVersion, (BlobError, Box<dyn MultipartUpload>)> {
        let finish = async {
            let held = self.held(name).await?;
            let done = upload.complete().await;
            drop(held);
            done.map(version).map_err(|error| failure(error, self.is_remote))
        };
        let finished = tokio::time::timeout(waited, finish).await;
        finished.unwrap_or(Err(BlobError::Timeout { waited })).map_err(|error| (error, upload))
    }

    pub(super) async fn get(
        &self,
        name: &BlobName,
        options: GetOptions,
    ) -> Result<GetResult, BlobError> {
        let found = self.store.get_opts(&name.0, options).await;
        found.map_err(|error| failure(error, self.is_remote))
    }

    pub(super) async fn head(&self, name: &BlobName) -> Result<ObjectMeta, BlobError> {
        self.store.head(&name.0).await.map_err(|error| failure(error, self.is_remote))
    }

    pub(super) async fn delete(&self, name: &BlobName) -> Result<(), BlobError> {
        let (store, own) = (Arc::clone(&self.store), name.clone());
        self.in_turn(name, async move { store.delete(&own.0).await }).await
    }

    pub(super) async fn copy(&self, from: &BlobName, to: &BlobName) -> Result<(), BlobError> {
        let (store, from, own) = (Arc::clone(&self.store), from.clone(), to.clone());
        self.in_turn(to, async move { store.copy(&from.0, &own.0).await }).await
    }

    /// The first `limit` names behind `after`, in order.
    pub(super) async fn list(
        &self,
        folder: Option<&Path>,
        after: Option<&Path>,
        limit: usize,
    ) -> Result<Vec<ObjectMeta>, BlobError> {
        let all = match after {
            Some(after) => self.store.list_with_offset(folder, after),
            None => self.store.list(folder),
        };
        let is_own = |found: &ObjectMeta| {
            let first = found.location.parts().next();
            first.is_none_or(|first| first.as_ref() != LOCKS)
        };
        let mut all = all.try_filter(|found| std::future::ready(is_own(found)));
        // S3 lists in order; the others in any, so all of them must be seen.
        let mut first: BTreeMap<String, ObjectMeta> = BTreeMap::new();
        while let Some(found) = all.next().await {
            let found = found.map_err(|error| failure(error, self.is_remote))?;
            if first.len() == limit && self.is_remote {
                break;
            }
            first.insert(found.location.to_string(), found);
            if limit < first.len() {
                first.pop_last();
            }
        }
        Ok(first.into_values().collect())
    }
}

fn version(put: PutResult) -> BlobVersion {
    BlobVersion::new(put.e_tag.unwrap_or_default())
}
