//! A cache by its URL: values that may be gone at any time, and are worth less than an answer.
//! So a cache that is away is an error by type, and [`Cache::get_or_try_init`] goes on
//! without it.

mod entry;
mod error;
mod memory;
#[cfg(feature = "redis")]
mod redis;
mod url;

use std::any::{Any, TypeId};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus_client::registry::Registry;
use serde::Serialize;
use serde::de::DeserializeOwned;
use updraft_resilience::single_flight::SingleFlight;

pub use self::error::CacheError;
pub use self::url::CacheUrl;
use self::url::Place;
use crate::BoxError;
use crate::app::{Field, FieldSpec};
use crate::attachment::{
    AttachError, Attached, Attaching, Attachment, Location, OperationFamilies, Outcome, Tally,
};
use crate::config::{Config, Invalid};
use crate::metrics::{Families, Metrics};
use crate::process::BoxFuture;
use entry::Entry;
use memory::Memory;

/// The longest key, in bytes.
const KEY_BYTES: usize = 512;

/// How many keys may have a shared run of `get_or_try_init` at once.
const FLIGHTS: usize = 10_000;

/// The operations that are counted, and the operation that each number stands for.
const OPERATIONS: [&str; 6] = ["get", "set", "add", "remove", "increment", "init"];
const GET: usize = 0;
const SET: usize = 1;
const ADD: usize = 2;
const REMOVE: usize = 3;
const INCREMENT: usize = 4;
const INIT: usize = 5;

/// A cache. Clones are the same.
///
/// Values are kept as JSON under the service's name, so that services may share a server and a
/// release may read what another one wrote. What cannot be read as the type that is asked for
/// counts as missing.
///
/// ```
/// use std::time::Duration;
/// use updraft::{Cache, CacheUrl, Variable as _};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let cache: Cache = CacheUrl::parse("memory:")?.open("shop")?;
/// let minute = Duration::from_secs(60);
///
/// cache.set("price:7", &1299, minute).await?;
/// assert_eq!(cache.get::<u32>("price:7").await?, Some(1299));
///
/// // One run for all who ask at the same time, whatever becomes of the cache.
/// let looked_up = cache.get_or_try_init("price:8", minute, || async { Ok::<_, String>(450) });
/// assert_eq!(looked_up.await, Ok(450));
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Cache {
    inner: Arc<Inner>,
}

struct Inner {
    url: CacheUrl,
    prefix: String,
    kind: Kind,
    flights: SingleFlight<(String, TypeId), Shared>,
    tally: Tally<{ OPERATIONS.len() }>,
}

/// What a shared run gives: a `Result<T, Arc<E>>` of the types in its key.
type Shared = Arc<dyn Any + Send + Sync>;

#[derive(Debug)]
enum Kind {
    Memory(Memory),
    #[cfg(feature = "redis")]
    Redis(redis::Redis),
}

/// The families of all caches.
#[derive(Debug)]
struct CacheFamilies(Arc<OperationFamilies>);

impl Families for CacheFamilies {
    fn register(registry: &mut Registry) -> Self {
        Self(Arc::new(OperationFamilies::register(registry, "cache")))
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.inner;
        f.debug_struct("Cache")
            .field("location", &inner.url.location().to_string())
            .field("prefix", &inner.prefix)
            .finish_non_exhaustive()
    }
}

impl CacheUrl {
    /// Opens the cache. It connects when first asked for something. `service` is the prefix of
    /// the keys when the URL names none.
    ///
    /// # Errors
    ///
    /// [`CacheError::Refused`] when the driver cannot use the URL.
    pub fn open(&self, service: &str) -> Result<Cache, CacheError> {
        self.open_as("cache", service, &Metrics::default())
    }

    fn open_as(
        &self,
        name: &'static str,
        service: &str,
        metrics: &Metrics,
    ) -> Result<Cache, CacheError> {
        let kind = match &self.place {
            Place::Memory { max_bytes } => Kind::Memory(Memory::new(*max_bytes)),
            #[cfg(feature = "redis")]
            Place::Redis(place) => {
                Kind::Redis(redis::Redis::new(place, name).map_err(CacheError::Refused)?)
            }
            #[cfg(not(feature = "redis"))]
            Place::Redis(_) => return Err(CacheError::Refused("this build has no Redis".into())),
        };
        let prefix = self.prefix.clone().unwrap_or_else(|| service.to_owned());
        let families = Arc::clone(&metrics.families::<CacheFamilies>().0);
        let tally = Tally::new(families, name, OPERATIONS);
        let flights = SingleFlight::with_max_keys(FLIGHTS);
        let inner = Inner { url: self.clone(), prefix, kind, flights, tally };
        Ok(Cache { inner: Arc::new(inner) })
    }
}

impl Cache {
    /// The value under `key`; `None` if there is none that is fresh and of this type.
    ///
    /// # Errors
    ///
    /// [`CacheError`]: the key is no key, or [the cache is away](CacheError::is_away).
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, CacheError> {
        let found = self.measured(GET, self.find(key)).await?;
        Ok(found.filter(Entry::is_fresh).and_then(|entry| decoded(&entry)))
    }

    /// Keeps a value for `ttl`, at least a millisecond.
    ///
    /// # Errors
    ///
    /// [`CacheError`].
    pub async fn set<T: Serialize + ?Sized + Sync>(
        &self,
        key: &str,
        value: &T,
        ttl: Duration,
    ) -> Result<(), CacheError> {
        let set = async {
            let entry = self.entry(key, value, ttl)?;
            self.write(key, entry, ttl).await
        };
        self.measured(SET, set).await
    }

    /// Keeps a value for `ttl` unless there is one: of all who try at the same time, one gets
    /// `true`.
    ///
    /// # Errors
    ///
    /// [`CacheError`]. After [`CacheError::Timeout`] it is not known whether it was kept.
    pub async fn add<T: Serialize + ?Sized + Sync>(
        &self,
        key: &str,
        value: &T,
        ttl: Duration,
    ) -> Result<bool, CacheError> {
        let add = async {
            let entry = self.entry(key, value, ttl)?;
            match &self.inner.kind {
                Kind::Memory(memory) => Ok(memory.add(key.to_owned(), entry, ttl).await),
                #[cfg(feature = "redis")]
                Kind::Redis(redis) => redis.add(&self.value_key(key), &entry, ttl).await,
            }
        };
        self.measured(ADD, add).await
    }

    /// Removes value and counter under `key`; tells whether there was one.
    ///
    /// # Errors
    ///
    /// [`CacheError`].
    pub async fn remove(&self, key: &str) -> Result<bool, CacheError> {
        let remove = async {
            check_key(key)?;
            let (value, number) = (self.value_key(key), self.number_key(key));
            match &self.inner.kind {
                Kind::Memory(memory) => Ok(memory.remove(&value, &number).await),
                #[cfg(feature = "redis")]
                Kind::Redis(redis) => redis.remove(&value, &number).await,
            }
        };
        self.measured(REMOVE, remove).await
    }

    /// Removes the value under `key` if it is this one, as JSON text: a holder of a token
    /// gives back what is still its own. Tells whether it did.
    ///
    /// # Errors
    ///
    /// [`CacheError`].
    pub async fn remove_if<T: Serialize + ?Sized + Sync>(
        &self,
        key: &str,
        value: &T,
    ) -> Result<bool, CacheError> {
        let remove = async {
            check_key(key)?;
            let json = serde_json::to_string(value).map_err(CacheError::Json)?;
            match &self.inner.kind {
                Kind::Memory(memory) => Ok(memory.remove_if(key.to_owned(), &json).await),
                #[cfg(feature = "redis")]
                Kind::Redis(redis) => redis.remove_if(&self.value_key(key), &json).await,
            }
        };
        self.measured(REMOVE, remove).await
    }

    /// Adds `by` to the counter under `key`, which begins with 0 and ends `ttl` after it began.
    /// Gives the sum. Counters and values do not see each other.
    ///
    /// # Errors
    ///
    /// [`CacheError::Counter`] when the sum is out of range; [`CacheError`].
    pub async fn increment(&self, key: &str, by: i64, ttl: Duration) -> Result<i64, CacheError> {
        let increment = async {
            check_key(key)?;
            let number = self.number_key(key);
            match &self.inner.kind {
                Kind::Memory(memory) => memory.increment(number.into_owned(), by, ttl).await,
                #[cfg(feature = "redis")]
                Kind::Redis(redis) => redis.increment(&number, by, ttl).await,
            }
        };
        self.measured(INCREMENT, increment).await
    }

    /// The value under `key`, or the one that `make` gives, which is then kept for `ttl`.
    ///
    /// Callers of this process that miss the same key at the same time share one run. When
    /// `make` fails, a value that has run out is given if one is left: it is kept for
    /// `stale_for` of the cache's URL beyond its time. When the cache is away, `make` decides.
    /// `init` in the metrics counts the runs; `stale` and `away` tell of what was got over.
    ///
    /// # Errors
    ///
    /// That of `make`, shared by all who waited for it.
    pub async fn get_or_try_init<T, E, M, F>(
        &self,
        key: &str,
        ttl: Duration,
        make: M,
    ) -> Result<T, Arc<E>>
    where
        T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
        E: Send + Sync + 'static,
        M: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let found = self.measured(GET, self.find(key)).await;
        if let Ok(Some(entry)) = &found
            && entry.is_fresh()
            && let Some(value) = decoded(entry)
        {
            return Ok(value);
        }
        let is_usable = found.is_ok();
        let flight = (key.to_owned(), TypeId::of::<(T, E)>());
        let cache = self.clone();
        let own_key = key.to_owned();
        let run = self.inner.flights.run(flight, move || async move {
            let made = cache.init(&own_key, ttl, is_usable, make).await;
            Arc::new(made) as Shared
        });
        let shared = run.await;
        match shared.downcast_ref::<Result<T, Arc<E>>>() {
            Some(made) => made.clone(),
            // The types are in the key of the run.
            None => unreachable!("a run gives what its key says"),
        }
    }

    /// The run of those who missed a key.
    async fn init<T, E, M, F>(
        &self,
        key: &str,
        ttl: Duration,
        is_usable: bool,
        make: M,
    ) -> Result<T, Arc<E>>
    where
        T: Serialize + DeserializeOwned,
        M: FnOnce() -> F,
        F: Future<Output = Result<T, E>>,
    {
        // Somebody may have been quicker since it was missed.
        let found = if is_usable { self.find(key).await.ok().flatten() } else { None };
        if let Some(value) = found.as_ref().filter(|entry| entry.is_fresh()).and_then(decoded) {
            return Ok(value);
        }
        let begun = Instant::now();
        let error = match make().await {
            Ok(value) => {
                self.inner.tally.note(INIT, Outcome::Ok, begun.elapsed());
                self.keep_made(key, &value, ttl, is_usable).await;
                return Ok(value);
            }
            Err(error) => error,
        };
        match found.as_ref().and_then(decoded) {
            Some(stale) => {
                self.inner.tally.note(INIT, Outcome::Stale, begun.elapsed());
                Ok(stale)
            }
            None => {
                self.inner.tally.note(INIT, Outcome::Refused, begun.elapsed());
                Err(Arc::new(error))
            }
        }
    }

    /// Keeps what was made. That it could not be kept is counted, and is nobody's error.
    async fn keep_made<T: Serialize>(&self, key: &str, value: &T, ttl: Duration, is_usable: bool) {
        if !is_usable {
            return;
        }
        let kept = match self.entry(key, value, ttl) {
            Ok(entry) => {
                let keep = ttl.saturating_add(self.inner.url.stale_for);
                self.measured(SET, self.write(key, entry, keep)).await
            }
            Err(error) => self.measured(SET, std::future::ready(Err(error))).await,
        };
        if let Err(error) = kept {
            tracing::debug!(error = &error as &dyn std::error::Error, "a value was not cached");
        }
    }

    /// What is kept under this key, fresh or not.
    async fn find(&self, key: &str) -> Result<Option<Entry>, CacheError> {
        check_key(key)?;
        match &self.inner.kind {
            Kind::Memory(memory) => Ok(memory.read(key).await),
            #[cfg(feature = "redis")]
            Kind::Redis(redis) => redis.read(&self.value_key(key)).await,
        }
    }

    async fn write(&self, key: &str, entry: Entry, keep: Duration) -> Result<(), CacheError> {
        match &self.inner.kind {
            Kind::Memory(memory) => {
                memory.write(key.to_owned(), entry, keep).await;
                Ok(())
            }
            #[cfg(feature = "redis")]
            Kind::Redis(redis) => redis.write(&self.value_key(key), &entry, keep).await,
        }
    }

    fn entry<T: Serialize + ?Sized>(
        &self,
        key: &str,
        value: &T,
        ttl: Duration,
    ) -> Result<Entry, CacheError> {
        check_key(key)?;
        let json = serde_json::to_string(value).map_err(CacheError::Json)?;
        let bytes = u64::try_from(json.len()).unwrap_or(u64::MAX);
        let max = self.inner.url.max_value_bytes;
        if bytes > max {
            return Err(CacheError::TooLarge { bytes, max });
        }
        Ok(Entry::new(&json, ttl))
    }

    /// The memory of a process is nobody else's, so it needs no prefix.
    fn value_key<'k>(&self, key: &'k str) -> Cow<'k, str> {
        match &self.inner.kind {
            Kind::Memory(_) => Cow::Borrowed(key),
            #[cfg(feature = "redis")]
            Kind::Redis(_) => Cow::Owned(format!("{}:v:{key}", self.inner.prefix)),
        }
    }

    fn number_key<'k>(&self, key: &'k str) -> Cow<'k, str> {
        match &self.inner.kind {
            // No key has a control character.
            Kind::Memory(_) => Cow::Owned(format!("\0{key}")),
            #[cfg(feature = "redis")]
            Kind::Redis(_) => Cow::Owned(format!("{}:n:{key}", self.inner.prefix)),
        }
    }

    /// Counts an operation, and puts one on a server into a span.
    async fn measured<T: Answer>(
        &self,
        operation: usize,
        work: impl Future<Output = Result<T, CacheError>>,
    ) -> Result<T, CacheError> {
        let begun = Instant::now();
        let result = match &self.inner.kind {
            Kind::Memory(_) => work.await,
            #[cfg(feature = "redis")]
            Kind::Redis(_) => {
                let name = OPERATIONS.get(operation).copied().unwrap_or_default();
                let span = tracing::debug_span!(
                    "cache",
                    otel.kind = "client",
                    db.system.name = "redis",
                    db.operation.name = name,
                );
                tracing::Instrument::instrument(work, span).await
            }
        };
        let outcome = match &result {
            Ok(answer) => answer.outcome(),
            Err(error) => error.outcome(),
        };
        self.inner.tally.note(operation, outcome, begun.elapsed());
        result
    }
}

/// What an answer means to the metrics.
trait Answer {
    fn outcome(&self) -> Outcome;
}

impl Answer for () {
    fn outcome(&self) -> Outcome {
        Outcome::Ok
    }
}

impl Answer for i64 {
    fn outcome(&self) -> Outcome {
        Outcome::Ok
    }
}

impl Answer for bool {
    fn outcome(&self) -> Outcome {
        if *self { Outcome::Ok } else { Outcome::Unmet }
    }
}

impl Answer for Option<Entry> {
    fn outcome(&self) -> Outcome {
        if self.as_ref().is_some_and(Entry::is_fresh) { Outcome::Ok } else { Outcome::Miss }
    }
}

fn check_key(key: &str) -> Result<(), CacheError> {
    let is_key = (1..=KEY_BYTES).contains(&key.len()) && !key.chars().any(char::is_control);
    if is_key { Ok(()) } else { Err(CacheError::Key { max: KEY_BYTES }) }
}

/// The value; `None` if it is not of this type, as after a release that changed it.
fn decoded<T: DeserializeOwned>(entry: &Entry) -> Option<T> {
    match serde_json::from_str(entry.json()) {
        Ok(value) => Some(value),
        Err(error) => {
            // The error may quote the value, which may be anybody's.
            tracing::debug!(line = error.line(), "a cached value is of another type");
            None
        }
    }
}

impl Attachment for Cache {
    fn location(&self) -> Location {
        self.inner.url.location()
    }

    fn check(&self) -> BoxFuture<Result<(), BoxError>> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            match &inner.kind {
                Kind::Memory(_) => Ok(()),
                #[cfg(feature = "redis")]
                Kind::Redis(redis) => Ok(redis.ping().await?),
            }
        })
    }
}

impl Field for Cache {
    type Parsed = CacheUrl;

    fn read(config: &mut Config, spec: &FieldSpec) -> Result<CacheUrl, Invalid> {
        let url: CacheUrl = config.field(spec.url, spec)?;
        config.refuse_local::<CacheUrl>(spec, url.is_local(), "redis:")?;
        Ok(url)
    }

    async fn attach(
        parsed: CacheUrl,
        spec: &FieldSpec,
        attaching: &Attaching,
    ) -> Result<Self, AttachError> {
        let cache = parsed
            .open_as(spec.field, attaching.service(), attaching.metrics())
            .map_err(|error| AttachError::new(spec.url, error))?;
        let attachment = Arc::new(cache.clone());
        attaching.add(Attached { name: spec.field, variable: spec.url, attachment });
        Ok(cache)
    }
}

impl Field for Option<Cache> {
    type Parsed = Option<CacheUrl>;

    fn read(config: &mut Config, spec: &FieldSpec) -> Result<Option<CacheUrl>, Invalid> {
        let url: Option<CacheUrl> = config.optional(spec.url, spec.about)?;
        let is_local = url.as_ref().is_some_and(CacheUrl::is_local);
        config.refuse_local::<CacheUrl>(spec, is_local, "redis:")?;
        Ok(url)
    }

    async fn attach(
        parsed: Option<CacheUrl>,
        spec: &FieldSpec,
        attaching: &Attaching,
    ) -> Result<Self, AttachError> {
        match parsed {
            Some(parsed) => Cache::attach(parsed, spec, attaching).await.map(Some),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
#[path = "cache/tests.rs"]
mod tests;
