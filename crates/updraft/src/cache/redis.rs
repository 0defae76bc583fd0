//! A cache in Redis or Valkey: one connection for all, made again when it breaks.

use std::sync::LazyLock;
use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::io::tcp::TcpSettings;
use ::redis::{
    Client, Cmd, ErrorKind, FromRedisValue, IntoConnectionInfo as _, RedisError, Script,
    ServerErrorKind, cmd,
};
use updraft_resilience::breaker::{BreakerConfig, OpenFor, Trip};
use updraft_resilience::bulkhead::BulkheadConfig;
use updraft_resilience::{Classify, Error, Policy, Rejection, Verdict};

use super::CacheError;
use super::entry::{Entry, STAMP, millis, now_ms};
use super::url::RedisPlace;

/// Calls in a row that must fail before the server is left alone.
const FAILURES: u32 = 5;

/// How long it is left alone, at first and at most.
const OPEN_FOR: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// How often a connection is tried before those who wait for it are told.
const CONNECT_TRIES: usize = 1;

/// When a connection is given up whose data nobody acknowledges: a machine that is gone says
/// nothing (RFC 5482).
#[cfg(target_os = "linux")]
const USER_TIMEOUT: Duration = Duration::from_secs(10);

/// Sets a value unless there is a fresh one.
static ADD: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&format!(
        "local old = redis.call('GET', KEYS[1])
         if old and (tonumber(string.sub(old, 1, {STAMP})) or 0) > tonumber(ARGV[3]) then
             return 0
         end
         redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
         return 1"
    ))
});

/// Removes a value and a number; tells whether one of them was there and fresh.
static REMOVE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&format!(
        "local old = redis.call('GET', KEYS[1])
         local numbers = redis.call('DEL', KEYS[2])
         redis.call('DEL', KEYS[1])
         if old and (tonumber(string.sub(old, 1, {STAMP})) or 0) > tonumber(ARGV[1]) then
             return 1
         end
         return numbers"
    ))
});

/// Removes a value that is fresh and equal.
static REMOVE_IF: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&format!(
        "local old = redis.call('GET', KEYS[1])
         if not old or string.sub(old, {STAMP} + 1) ~= ARGV[1]
             or (tonumber(string.sub(old, 1, {STAMP})) or 0) <= tonumber(ARGV[2]) then
             return 0
         end
         return redis.call('DEL', KEYS[1])"
    ))
});

/// Changes a number, and lets it end if it has just begun. The sum is read back as text: a
/// number of the script would lose digits beyond 2⁵³.
static INCREMENT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "redis.call('INCRBY', KEYS[1], ARGV[1])
         if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
         return redis.call('GET', KEYS[1])",
    )
});

/// A server, and what keeps its troubles from becoming ours.
#[derive(Clone)]
pub(super) struct Redis {
    connection: ConnectionManager,
    policy: Policy<Health>,
    timeout: Duration,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").finish_non_exhaustive()
    }
}

/// Which outcomes say something about the server. Nothing is tried again here: the breaker
/// must see each failure, and a cache is not worth a wait.
#[derive(Clone, Copy, Debug)]
struct Health;

impl<T> Classify<T, CacheError> for Health {
    fn classify(&self, outcome: Result<&T, &CacheError>) -> Verdict {
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

impl Redis {
    /// It connects when first asked for something.
    ///
    /// # Errors
    ///
    /// What the driver cannot do with the URL.
    pub(super) fn new(place: &RedisPlace, name: &str) -> Result<Self, crate::BoxError> {
        let info = place.url.clone().into_connection_info()?;
        let settings = TcpSettings::default().set_nodelay(true);
        #[cfg(target_os = "linux")]
        let settings = settings.set_user_timeout(USER_TIMEOUT);
        let client = Client::open(info.set_tcp_settings(settings))?;
        let (first, most) = OPEN_FOR;
        // Set, because the driver's own bounds have changed from release to release.
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(place.connect_timeout))
            .set_response_timeout(Some(place.timeout))
            .set_number_of_retries(CONNECT_TRIES)
            .set_min_delay(first)
            .set_max_delay(most);
        let connection = ConnectionManager::new_lazy_with_config(client, config)?;
        let breaker = BreakerConfig::any_of([Trip::consecutive(FAILURES)]).open_for(OpenFor {
            first,
            max: most,
            ..OpenFor::default()
        });
        let concurrency = place.concurrency.get();
        let policy = Policy::named(format!("cache.{name}"))
            .bulkhead(BulkheadConfig {
                max: concurrency,
                queue: concurrency,
                max_wait: place.timeout,
                ..BulkheadConfig::default()
            })
            .breaker(breaker)
            .attempt_timeout(place.timeout)
            .classifier(Health)
            .build()?;
        Ok(Self { connection, policy, timeout: place.timeout })
    }

    /// Whether it answers; asked even while the circuit is open.
    pub(super) async fn ping(&self) -> Result<(), CacheError> {
        let mut connection = self.connection.clone();
        let ping = async { cmd("PING").query_async::<()>(&mut connection).await };
        match tokio::time::timeout(self.timeout, ping).await {
            Ok(answer) => answer.map_err(failure),
            Err(_elapsed) => Err(CacheError::Timeout { waited: self.timeout }),
        }
    }

    pub(super) async fn read(&self, key: &str) -> Result<Option<Entry>, CacheError> {
        let text: Option<Vec<u8>> = self.command(cmd("GET").arg(key)).await?;
        // What is not ours to read counts as missing.
        Ok(text.and_then(|text| Entry::read(String::from_utf8(text).ok()?)))
    }

    pub(super) async fn write(
        &self,
        key: &str,
        entry: &Entry,
        keep: Duration,
    ) -> Result<(), CacheError> {
        let text: &str = &entry.text;
        self.command(cmd("SET").arg(key).arg(text).arg("PX").arg(millis(keep))).await
    }

    pub(super) async fn add(
        &self,
        key: &str,
        entry: &Entry,
        keep: Duration,
    ) -> Result<bool, CacheError> {
        let text: &str = &entry.text;
        self.script(&ADD, &[key], &[text, &millis(keep).to_string(), &now_ms().to_string()]).await
    }

    pub(super) async fn remove(&self, value: &str, number: &str) -> Result<bool, CacheError> {
        self.script(&REMOVE, &[value, number], &[&now_ms().to_string()]).await
    }

    pub(super) async fn remove_if(&self, key: &str, json: &str) -> Result<bool, CacheError> {
        self.script(&REMOVE_IF, &[key], &[json, &now_ms().to_string()]).await
    }

    pub(super) async fn increment(
        &self,
        key: &str,
        by: i64,
        keep: Duration,
    ) -> Result<i64, CacheError> {
        let arguments = [by.to_string(), millis(keep).to_string()];
        let changed = self.script(&INCREMENT, &[key], &[&arguments[0], &arguments[1]]).await;
        changed.map_err(|error| match error {
            CacheError::Refused(source) if is_overflow(&*source) => CacheError::Counter,
            other => other,
        })
    }

    async fn command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, CacheError> {
        let asked = self.policy.call(|_| {
            let mut connection = self.connection.clone();
            async move { command.query_async(&mut connection).await.map_err(failure) }
        });
        asked.await.map_err(|error| self.refusal(error))
    }

    async fn script<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[&str],
        arguments: &[&str],
    ) -> Result<T, CacheError> {
        let asked = self.policy.call(|_| {
            let mut connection = self.connection.clone();
            let mut invocation = script.prepare_invoke();
            for key in keys {
                invocation.key(*key);
            }
            for argument in arguments {
                invocation.arg(*argument);
            }
            async move { invocation.invoke_async(&mut connection).await.map_err(failure) }
        });
        asked.await.map_err(|error| self.refusal(error))
    }

    fn refusal(&self, error: Error<CacheError>) -> CacheError {
        match error {
            Error::Inner(error) => error,
            Error::Rejected(Rejection::Open { retry_after }) => CacheError::Open { retry_after },
            Error::Rejected(Rejection::Deadline(_)) => CacheError::Timeout { waited: self.timeout },
            Error::Rejected(_) => CacheError::Full,
        }
    }
}

fn failure(error: RedisError) -> CacheError {
    let is_unwell = match error.kind() {
        ErrorKind::Io | ErrorKind::Parse | ErrorKind::AuthenticationFailed => true,
        ErrorKind::Server(kind) => matches!(
            kind,
            ServerErrorKind::BusyLoading
                | ServerErrorKind::TryAgain
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ReadOnly
        ),
        _ => false,
    };
    if is_unwell { CacheError::Away(error.into()) } else { CacheError::Refused(error.into()) }
}

/// The server's words for a number that is too large, or for something that is no number.
fn is_overflow(error: &(dyn std::error::Error + 'static)) -> bool {
    let detail = error.downcast_ref::<RedisError>().and_then(RedisError::detail);
    detail.is_some_and(|detail| detail.contains("overflow") || detail.contains("not an integer"))
}
