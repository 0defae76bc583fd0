//! The depth of a queue, read from the server that holds it: jobs that are due or under
//! way, as the chassis keeps them (`docs/reference/queue.md`).

mod nats;

use std::str::FromStr as _;
use std::time::Duration;

use redis::{AsyncConnectionConfig, Client, ErrorKind, RedisError};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use url::Url;

use crate::resource::ResourceUrl;

/// How long a look at a queue may take; then there is none.
const LOOK_WITHIN: Duration = Duration::from_secs(3);

/// What a queue is called whose address does not tell.
const DEFAULT_NAME: &str = "jobs";

/// The parameters of an address that are the queue's and not the database's.
const OWN: [&str; 5] = ["queue", "max_attempts", "max_waiting", "lease", "outbox"];

/// What is leased is under way, however long; what is waiting counts from its time on.
const COUNT: &str = "SELECT COUNT(*) FROM updraft_jobs WHERE queue = $1 \
     AND (state = 'leased' OR (state = 'waiting' AND due_at_ms <= $2))";

/// Why a depth cannot be told. Never repeats a URL.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DepthError {
    /// It is kept where this version does not look.
    #[error(
        "the depth of a queue at a `{0}:` address cannot be read: scale by `cpu`, or keep the queue in SQLite, PostgreSQL, Redis or NATS"
    )]
    Kind(String),
    /// The address is none.
    #[error("the address of the queue cannot be used")]
    Address,
    /// The database did not answer as a queue does.
    #[error("the queue cannot be read: {0}")]
    Database(String),
    /// It did not answer in time.
    #[error("the queue does not answer within {LOOK_WITHIN:?}")]
    TimedOut,
}

/// The jobs of a queue that are due at `now_ms`, milliseconds since 1970, or under way.
pub(crate) async fn depth(address: &ResourceUrl, now_ms: i64) -> Result<u64, DepthError> {
    let (name, database) = split(address)?;
    let of_sql =
        |count: Result<i64, sqlx::Error>| count.map_err(|error| DepthError::Database(said(&error)));
    let count = async {
        match database.scheme() {
            "sqlite" => of_sql(of_sqlite(&database, &name, now_ms).await),
            "postgres" | "postgresql" => of_sql(of_postgres(&database, &name, now_ms).await),
            "redis" | "rediss" => of_redis(&database, &name, now_ms)
                .await
                .map_err(|error| DepthError::Database(said_by_redis(&error))),
            "nats" | "tls" => nats::depth(&database, &name, now_ms).await,
            other => Err(DepthError::Kind(other.to_owned())),
        }
    };
    let count = tokio::time::timeout(LOOK_WITHIN, count).await;
    let count = count.unwrap_or(Err(DepthError::TimedOut))?;
    Ok(u64::try_from(count).unwrap_or_default())
}

/// The name of the queue, and the address of its database.
fn split(address: &ResourceUrl) -> Result<(String, Url), DepthError> {
    let mut url = Url::parse(address.expose()).ok().ok_or(DepthError::Address)?;
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    url.set_query(None);
    let name = pairs.iter().find(|(key, _)| key == "queue").map(|(_, name)| name.clone());
    let others: Vec<_> = pairs.iter().filter(|(key, _)| !OWN.contains(&key.as_str())).collect();
    if !others.is_empty() {
        url.query_pairs_mut().extend_pairs(others);
    }
    Ok((name.unwrap_or_else(|| DEFAULT_NAME.to_owned()), url))
}

/// A look must neither make the file nor change it.
async fn of_sqlite(database: &Url, queue: &str, now_ms: i64) -> Result<i64, sqlx::Error> {
    let options = SqliteConnectOptions::from_str(database.as_str())?
        .read_only(true)
        .create_if_missing(false)
        .busy_timeout(LOOK_WITHIN)
        .disable_statement_logging();
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let count = sqlx::query_scalar(COUNT).bind(queue).bind(now_ms).fetch_one(&mut connection).await;
    connection.close().await?;
    count
}

async fn of_postgres(database: &Url, queue: &str, now_ms: i64) -> Result<i64, sqlx::Error> {
    let options = PgConnectOptions::from_str(database.as_str())?.disable_statement_logging();
    let mut connection = PgConnection::connect_with(&options).await?;
    let count = sqlx::query_scalar(COUNT).bind(queue).bind(now_ms).fetch_one(&mut connection).await;
    connection.close().await?;
    count
}

/// A queue that nobody has used yet has no keys, and no jobs.
async fn of_redis(server: &Url, queue: &str, now_ms: i64) -> Result<i64, RedisError> {
    let times = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(LOOK_WITHIN))
        .set_response_timeout(Some(LOOK_WITHIN));
    let client = Client::open(server.as_str())?;
    let mut connection = client.get_multiplexed_async_connection_with_config(&times).await?;
    let key = |set: &str| format!("{{updraft:{queue}}}:{set}");
    let mut both = redis::pipe();
    both.zcount(key("waiting"), "-inf", now_ms).zcard(key("leased"));
    let (due, leased): (i64, i64) = both.query_async(&mut connection).await?;
    Ok(due + leased)
}

/// What the server says, by its code; the text may repeat what it was sent.
fn said_by_redis(error: &RedisError) -> String {
    match error.code() {
        Some(code) => format!("the server says {code}"),
        None if error.kind() == ErrorKind::AuthenticationFailed => {
            "the server takes neither user nor password".to_owned()
        }
        None if error.is_connection_refusal() => "connection refused".to_owned(),
        None => "the server cannot be reached".to_owned(),
    }
}

/// What the database says; other errors may repeat an address.
fn said(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) if error.message().contains("updraft_jobs") => {
            "no service has made its tables yet".to_owned()
        }
        sqlx::Error::Database(error) => error.message().to_owned(),
        sqlx::Error::Io(error) => error.kind().to_string(),
        _ => "the database cannot be reached".to_owned(),
    }
}

#[cfg(test)]
#[path = "depth_tests.rs"]
mod tests;
