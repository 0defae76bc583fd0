//! Queues in Redis and what speaks like it: each move is one Lua script, which the server
//! runs as one step, with the server's own clock. All keys of a queue begin with
//! `{updraft:NAME}`, so that a cluster keeps them together.

mod records;

use std::time::Duration;

use futures_util::StreamExt as _;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisError, RedisResult, Script, Value};

use super::record::{
    Claimed, Fired, JobRecord, Leased, NewJob, Next, Pushed, QueueCounts, Retried, millis,
};
use super::store::{Answer, Filter, FireAt, Rules, Store, StoreError};
use crate::attachment::Location;

/// How long an answer may take. The driver's own default of half a second ends the work of
/// a queue whenever the server saves a snapshot.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// How long connecting may take.
const CONNECT_TIME: Duration = Duration::from_secs(5);

/// The longest pause between two tries to connect.
const RECONNECT_PAUSE: Duration = Duration::from_secs(2);

/// How long the id of a job that came from an outbox is remembered.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// From one look for due jobs to the next, when the server said nothing meanwhile.
const REST: Duration = Duration::from_secs(2);

/// A queue in Redis.
pub(super) struct RedisStore {
    client: Client,
    connection: ConnectionManager,
    location: Location,
    rules: Rules,
    /// What all its keys begin with.
    prefix: String,
    scripts: Scripts,
}

struct Scripts {
    push: Script,
    claim: Script,
    settle: Script,
    admin: Script,
}

impl std::fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisStore").field("location", &self.location).finish_non_exhaustive()
    }
}

/// What the scripts say of an enqueueing.
enum Said {
    New,
    Duplicate(String),
    Full,
    Before,
}

impl RedisStore {
    /// A queue at `url`. It connects when it is first used, and again whenever it must.
    pub(super) fn open(url: &url::Url, rules: Rules) -> Result<Self, StoreError> {
        let client = Client::open(url.as_str()).map_err(wrong)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_TIME))
            .set_response_timeout(Some(ANSWER_TIME))
            .set_max_delay(RECONNECT_PAUSE)
            .set_number_of_retries(2);
        let connection =
            ConnectionManager::new_lazy_with_config(client.clone(), config).map_err(wrong)?;
        Ok(Self {
            connection,
            client,
            location: Location::of_url("redis", url),
            prefix: format!("{{updraft:{}}}", rules.name),
            rules,
            scripts: Scripts {
                push: Script::new(include_str!("redis/push.lua")),
                claim: Script::new(include_str!("redis/claim.lua")),
                settle: Script::new(include_str!("redis/settle.lua")),
                admin: Script::new(include_str!("redis/admin.lua")),
            },
        })
    }

    async fn enqueue(
        &self,
        job: &NewJob,
        fire: Option<FireAt<'_>>,
        remembered: Duration,
    ) -> Result<Said, StoreError> {
        let text = serde_json::to_string(job).map_err(|error| StoreError::Refused(error.into()))?;
        let slot = job.unique_key().map(|key| slot(&job.kind, key)).unwrap_or_default();
        let mut call = self.scripts.push.prepare_invoke();
        call.key(&self.prefix).arg(text).arg(&job.id).arg(&job.kind).arg(job.priority);
        call.arg(job.due_ms).arg(slot).arg(text_of(job.held_until())).arg(self.rules.max_waiting);
        match fire {
            Some(fire) => call.arg(fire.schedule).arg(fire.due_ms),
            None => call.arg("").arg(""),
        };
        call.arg(millis(remembered));
        let said: Vec<String> = call.invoke_async(&mut self.connection()).await.map_err(wrong)?;
        match said.as_slice() {
            [word] if word == "new" => Ok(Said::New),
            [word] if word == "full" => Ok(Said::Full),
            [word] if word == "before" => Ok(Said::Before),
            [word, id] if word == "duplicate" => Ok(Said::Duplicate(id.clone())),
            _ => Err(foreign("an answer that no script of ours gives")),
        }
    }

    async fn settle(
        &self,
        job: &Leased,
        step: &str,
        span_ms: i64,
        error: &str,
    ) -> Result<bool, StoreError> {
        let mut call = self.scripts.settle.prepare_invoke();
        call.key(&self.prefix).arg(&job.job.id).arg(&job.token).arg(step).arg(span_ms).arg(error);
        let moved: i64 = call.invoke_async(&mut self.connection()).await.map_err(wrong)?;
        Ok(moved == 1)
    }

    async fn administer(&self, id: &str, step: &str) -> Result<String, StoreError> {
        let mut call = self.scripts.admin.prepare_invoke();
        call.key(&self.prefix).arg(id).arg(step);
        call.invoke_async(&mut self.connection()).await.map_err(wrong)
    }

    fn connection(&self) -> ConnectionManager {
        self.connection.clone()
    }

    fn key(&self, rest: &str) -> String {
        format!("{}:{rest}", self.prefix)
    }
}

impl Store for RedisStore {
    fn location(&self) -> Location {
        self.location.clone()
    }

    fn check(&self) -> Answer<'_, ()> {
        Box::pin(async {
            redis::cmd("PING").query_async::<()>(&mut self.connection()).await.map_err(wrong)
        })
    }

    fn push<'a>(&'a self, job: &'a NewJob) -> Answer<'a, Pushed> {
        Box::pin(async { self.enqueue(job, None, Duration::ZERO).await?.pushed(job) })
    }

    fn relay<'a>(&'a self, job: &'a NewJob) -> Answer<'a, Pushed> {
        Box::pin(async { self.enqueue(job, None, REMEMBERED).await?.pushed(job) })
    }

    fn claim<'a>(&'a self, kinds: &'a [&'static str], most: usize) -> Answer<'a, Claimed> {
        Box::pin(async move {
            let token = uuid::Uuid::now_v7().to_string();
            let mut call = self.scripts.claim.prepare_invoke();
            call.key(&self.prefix).arg(&token).arg(millis(self.rules.lease)).arg(most);
            for kind in kinds {
                call.arg(*kind);
            }
            let answer: Vec<Value> =
                call.invoke_async(&mut self.connection()).await.map_err(wrong)?;
            records::claimed(&answer, &token)
        })
    }

    fn heartbeat<'a>(&'a self, job: &'a Leased) -> Answer<'a, bool> {
        Box::pin(self.settle(job, "beat", millis(self.rules.lease), ""))
    }

    fn complete<'a>(&'a self, job: &'a Leased) -> Answer<'a, bool> {
        Box::pin(self.settle(job, "complete", 0, ""))
    }

    fn hand_back<'a>(&'a self, job: &'a Leased) -> Answer<'a, bool> {
        Box::pin(self.settle(job, "back", 0, ""))
    }

    fn fail<'a>(&'a self, job: &'a Leased, error: &'a str, next: Next) -> Answer<'a, bool> {
        Box::pin(async move {
            match next {
                Next::Again { after_ms } => self.settle(job, "again", after_ms, error).await,
                Next::Dead => self.settle(job, "dead", 0, error).await,
            }
        })
    }

    fn last_fire<'a>(&'a self, schedule: &'a str) -> Answer<'a, Option<i64>> {
        Box::pin(async move {
            let last: Vec<(String, f64)> = redis::cmd("ZREVRANGE")
                .arg(self.key(&format!("cron:{schedule}")))
                .arg(0)
                .arg(0)
                .arg("WITHSCORES")
                .query_async(&mut self.connection())
                .await
                .map_err(wrong)?;
            // The member begins with the time; the score is a float.
            let time = last.first().and_then(|(member, _)| member.split(' ').next()?.parse().ok());
            Ok(time)
        })
    }

    fn first_seen<'a>(&'a self, at: FireAt<'a>) -> Answer<'a, ()> {
        Box::pin(async move {
            if self.last_fire(at.schedule).await?.is_some() {
                return Ok(());
            }
            redis::cmd("ZADD")
                .arg(self.key(&format!("cron:{}", at.schedule)))
                .arg(at.due_ms)
                .arg(format!("{} seen", at.due_ms))
                .query_async::<()>(&mut self.connection())
                .await
                .map_err(wrong)
        })
    }

    fn fire<'a>(&'a self, at: FireAt<'a>, job: &'a NewJob) -> Answer<'a, Fired> {
        Box::pin(async move {
            Ok(match self.enqueue(job, Some(at), Duration::ZERO).await? {
                Said::New => Fired::Now,
                Said::Full => Fired::Full,
                Said::Duplicate(holder) if holder != job.id => Fired::Overlaps,
                Said::Before | Said::Duplicate(_) => Fired::Before,
            })
        })
    }

    fn counts(&self) -> Answer<'_, QueueCounts> {
        Box::pin(records::counts(self))
    }

    fn list(&self, filter: Filter) -> Answer<'_, Vec<JobRecord>> {
        Box::pin(records::list(self, filter))
    }

    fn find<'a>(&'a self, id: &'a str) -> Answer<'a, Option<JobRecord>> {
        Box::pin(records::find(self, id))
    }

    fn retry<'a>(&'a self, id: &'a str) -> Answer<'a, Retried> {
        Box::pin(async move {
            Ok(match self.administer(id, "retry").await?.as_str() {
                "done" => Retried::Waiting,
                "occupied" => Retried::Occupied,
                _ => Retried::NotDead,
            })
        })
    }

    fn remove<'a>(&'a self, id: &'a str) -> Answer<'a, bool> {
        Box::pin(async move { Ok(self.administer(id, "remove").await? == "done") })
    }

    fn attend<'a>(
        &'a self,
        kinds: &'a [&'static str],
        wake: &'a (dyn Fn() + Send + Sync),
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            let connecting = self.client.get_async_pubsub();
            let connected = tokio::time::timeout(CONNECT_TIME, connecting).await;
            let mut listening =
                connected.map_err(|elapsed| StoreError::Away(elapsed.into()))?.map_err(wrong)?;
            listening.subscribe(self.key("wake")).await.map_err(wrong)?;
            // What came before the subscription was not heard.
            wake();
            let mut messages = listening.into_on_message();
            while let Some(message) = messages.next().await {
                let kind: RedisResult<String> = message.get_payload();
                if kind.is_ok_and(|kind| kinds.contains(&kind.as_str())) {
                    wake();
                }
            }
            Err(foreign("the subscription ended"))
        })
    }

    fn rest(&self) -> Duration {
        REST
    }
}

impl Said {
    fn pushed(self, job: &NewJob) -> Result<Pushed, StoreError> {
        Ok(match self {
            Self::New => Pushed::New,
            Self::Full => Pushed::Full,
            Self::Duplicate(id) => Pushed::Duplicate(id),
            Self::Before => Pushed::Duplicate(job.id.clone()),
        })
    }
}

/// The part of a key that stands for a unique key of a kind, whatever is in it.
fn slot(kind: &str, key: &str) -> String {
    let digest = blake3::hash(format!("{kind}\n{key}").as_bytes());
    digest.to_hex().as_str()[..32].to_owned()
}

fn text_of(number: Option<i64>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}

/// What a server says while it cannot serve for now.
const PASSING: [&str; 8] =
    ["LOADING", "OOM", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "MISCONF"];

fn wrong(error: RedisError) -> StoreError {
    let away = error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || error.is_connection_refusal()
        || error.code().is_some_and(|code| PASSING.contains(&code));
    if away { StoreError::Away(error.into()) } else { StoreError::Refused(error.into()) }
}

fn foreign(what: &str) -> StoreError {
    StoreError::Foreign(what.into())
}
