//! Queues on NATS JetStream. A stream is used as a table: one subject for each job, of which
//! the last message is the job as it stands. Every move is one message with
//! `Nats-Expected-Last-Subject-Sequence`, or the deletion of one sequence, so the server
//! itself decides who was first. Workers follow the headers of the stream and are told of
//! each job at once.

mod index;
mod moves;
mod scan;
mod streams;

use std::sync::Mutex;
use std::time::Duration;

use async_nats::jetstream::stream::Stream;
use async_nats::{Client, ConnectOptions, Event, jetstream};
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::Deserialize;
use tokio::sync::{OnceCell, watch};

use super::record::{
    Claimed, Fired, JobRecord, JobState, Leased, NewJob, Next, Pushed, QueueCounts, Retried, now_ms,
};
use super::store::{Answer, Filter, FireAt, Rules, Store, StoreError};
use crate::attachment::Location;
use index::{Index, locked};
use streams::{Streams, Subjects};

/// How long connecting may take.
const CONNECT_TIME: Duration = Duration::from_secs(5);

/// How long an answer may take.
const ANSWER_TIME: Duration = Duration::from_secs(5);

/// From one look for due jobs to the next, when nothing was heard meanwhile.
const REST: Duration = Duration::from_secs(2);

/// How often a move is tried anew because somebody moved the job at the same time.
const TRIES: u32 = 5;

/// A queue on JetStream.
pub(super) struct NatsStore {
    client: Client,
    /// How often a connection was made.
    connections: watch::Receiver<u64>,
    context: jetstream::Context,
    streams: OnceCell<Streams>,
    subjects: Subjects,
    index: Mutex<Index>,
    location: Location,
    rules: Rules,
}

impl std::fmt::Debug for NatsStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NatsStore").field("location", &self.location).finish_non_exhaustive()
    }
}

impl NatsStore {
    /// A queue at `url`. It connects in the background, and again whenever it must; its
    /// streams are made when they are first used.
    pub(super) async fn open(url: &url::Url, rules: Rules) -> Result<Self, StoreError> {
        let (address, options) = credentials(url)?;
        let (connected, connections) = watch::channel(0);
        let client = options
            .event_callback(move |event| {
                if matches!(event, Event::Connected) {
                    connected.send_modify(|times| *times += 1);
                }
                std::future::ready(())
            })
            .retry_on_initial_connect()
            .connection_timeout(CONNECT_TIME)
            .request_timeout(Some(ANSWER_TIME))
            .connect(address.as_str())
            .await
            .map_err(|error| StoreError::Refused(error.into()))?;
        let mut context = jetstream::new(client.clone());
        context.set_timeout(ANSWER_TIME);
        Ok(Self {
            client,
            connections,
            context,
            streams: OnceCell::new(),
            subjects: Subjects::of(&rules.name),
            index: Mutex::default(),
            location: Location::of_url("nats", url),
            rules,
        })
    }

    async fn streams(&self) -> Result<&Streams, StoreError> {
        self.streams.get_or_try_init(|| self.ensure_streams()).await
    }

    async fn ensure_streams(&self) -> Result<Streams, StoreError> {
        // It is large, and seldom done.
        Box::pin(Streams::ensure(&self.context, &self.subjects, &self.rules)).await
    }

    /// As many jobs as there may be.
    fn most(&self) -> usize {
        usize::try_from(self.rules.max_waiting).unwrap_or(usize::MAX)
    }

    async fn live(&self) -> Result<&Stream, StoreError> {
        Ok(&self.streams().await?.live)
    }

    /// Follows the headers of the jobs until dropped. With each connection it begins anew: a
    /// server that was killed brings back jobs that were done and whose deletion it had not
    /// written yet, under their old numbers, or gives new ones a number for the second time;
    /// the driver would go on after the last number it saw, and nobody would ever take them.
    async fn follow(
        &self,
        kinds: &[&'static str],
        wake: &(dyn Fn() + Send + Sync),
    ) -> Result<(), StoreError> {
        let mut connections = self.connections.clone();
        loop {
            connections.mark_unchanged();
            tokio::select! {
                ended = self.follow_one_connection(kinds, wake) => return ended,
                Ok(()) = connections.changed() => {}
            }
        }
    }

    async fn follow_one_connection(
        &self,
        kinds: &[&'static str],
        wake: &(dyn Fn() + Send + Sync),
    ) -> Result<(), StoreError> {
        let wanted: Vec<_> = kinds.iter().map(|kind| self.subjects.before_slot(kind)).collect();
        let live = self.live().await?;
        let mut messages = scan::follow(&self.client, live).await?;
        locked(&self.index).clear();
        while let Some(message) = messages.next().await {
            let message = message.map_err(|error| StoreError::Away(error.into()))?;
            if !wanted.iter().any(|prefix| message.subject.starts_with(prefix.as_str())) {
                continue;
            }
            if let Some((subject, entry)) = scan::entry_of(&message)? {
                let due = entry.at_ms <= now_ms();
                locked(&self.index).note(subject, entry);
                if due {
                    wake();
                }
            }
        }
        Err(StoreError::Away("the stream of jobs ended".into()))
    }
}

#[cfg(feature = "testing")]
impl NatsStore {
    /// Puts the jobs of these kinds that are there now into the index.
    async fn see(&self, kinds: &[&'static str]) -> Result<(), StoreError> {
        let wanted: Vec<_> = kinds.iter().map(|kind| self.subjects.before_slot(kind)).collect();
        for message in scan::all(self.live().await?, true, self.most()).await? {
            if wanted.iter().any(|prefix| message.subject.starts_with(prefix.as_str()))
                && let Some((subject, entry)) = scan::entry_of(&message)?
            {
                locked(&self.index).note(subject, entry);
            }
        }
        Ok(())
    }
}

/// What JetStream says of itself, as far as a check needs it.
#[derive(Deserialize)]
struct JetStream {
    error: Option<ApiError>,
}

#[derive(Deserialize)]
struct ApiError {
    description: String,
}

/// The driver takes no user, password or token from a URL.
fn credentials(url: &url::Url) -> Result<(url::Url, ConnectOptions), StoreError> {
    let mut address = url.clone();
    let stripped = address.set_username("").and_then(|()| address.set_password(None));
    stripped.map_err(|()| StoreError::Refused("its URL has no host".into()))?;
    let options = ConnectOptions::new();
    let options = match (url.username(), url.password()) {
        ("", None) => options,
        (token, None) => options.token(decoded(token)),
        (user, Some(password)) => options.user_and_password(decoded(user), decoded(password)),
    };
    Ok((address, options))
}

/// A part of a URL without its percent signs.
fn decoded(part: &str) -> String {
    // In a form a plus is a space; here it is a plus.
    let form = format!("={}", part.replace('+', "%2B"));
    let mut pairs = url::form_urlencoded::parse(form.as_bytes());
    pairs.next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

impl Store for NatsStore {
    fn location(&self) -> Location {
        self.location.clone()
    }

    fn check(&self) -> Answer<'_, ()> {
        Box::pin(async {
            // Not by `query_account`, which asks with a body: servers before 2.10 refuse that.
            let asked = self.client.request("$JS.API.INFO", Bytes::new()).await;
            let answer = asked.map_err(|error| StoreError::Away(error.into()))?;
            let said: JetStream = serde_json::from_slice(&answer.payload)
                .map_err(|error| StoreError::Away(error.into()))?;
            match said.error {
                None => Ok(()),
                Some(error) => Err(StoreError::Away(error.description.into())),
            }
        })
    }

    fn push<'a>(&'a self, job: &'a NewJob) -> Answer<'a, Pushed> {
        Box::pin(self.create(job, None))
    }

    fn relay<'a>(&'a self, job: &'a NewJob) -> Answer<'a, Pushed> {
        Box::pin(self.create(job, Some(job.id.clone())))
    }

    fn claim<'a>(&'a self, _kinds: &'a [&'static str], most: usize) -> Answer<'a, Claimed> {
        Box::pin(self.take(most))
    }

    fn heartbeat<'a>(&'a self, job: &'a Leased) -> Answer<'a, bool> {
        Box::pin(self.prolong(job))
    }

    fn complete<'a>(&'a self, job: &'a Leased) -> Answer<'a, bool> {
        Box::pin(self.end(job))
    }

    fn hand_back<'a>(&'a self, job: &'a Leased) -> Answer<'a, bool> {
        Box::pin(self.change(job, |record| {
            record.state = JobState::Waiting;
            record.attempts = record.attempts.saturating_sub(1);
            record.at_ms = now_ms();
            record.lease_token = None;
        }))
    }

    fn fail<'a>(&'a self, job: &'a Leased, error: &'a str, next: Next) -> Answer<'a, bool> {
        Box::pin(async move {
            let ours = self.change(job, |record| {
                record.last_error = Some(error.to_owned());
                record.lease_token = None;
                (record.state, record.at_ms) = match next {
                    Next::Again { after_ms } => (JobState::Waiting, now_ms() + after_ms),
                    Next::Dead => (JobState::Dead, now_ms()),
                };
            });
            let ours = ours.await?;
            if ours && next == Next::Dead {
                self.move_to_the_dead(&job.place).await?;
            }
            Ok(ours)
        })
    }

    fn last_fire<'a>(&'a self, schedule: &'a str) -> Answer<'a, Option<i64>> {
        Box::pin(self.fired_last(schedule))
    }

    fn first_seen<'a>(&'a self, at: FireAt<'a>) -> Answer<'a, ()> {
        Box::pin(async move {
            match self.fired_last(at.schedule).await? {
                Some(_) => Ok(()),
                None => self.note_fire(at, "seen").await,
            }
        })
    }

    fn fire<'a>(&'a self, at: FireAt<'a>, job: &'a NewJob) -> Answer<'a, Fired> {
        Box::pin(self.fire_once(at, job))
    }

    fn counts(&self) -> Answer<'_, QueueCounts> {
        Box::pin(self.count())
    }

    fn list(&self, filter: Filter) -> Answer<'_, Vec<JobRecord>> {
        Box::pin(self.records(filter))
    }

    fn find<'a>(&'a self, id: &'a str) -> Answer<'a, Option<JobRecord>> {
        Box::pin(async move { Ok(self.found(id).await?.map(|found| found.record)) })
    }

    fn retry<'a>(&'a self, id: &'a str) -> Answer<'a, Retried> {
        Box::pin(self.take_up(id))
    }

    fn remove<'a>(&'a self, id: &'a str) -> Answer<'a, bool> {
        Box::pin(self.drop_job(id))
    }

    fn attend<'a>(
        &'a self,
        kinds: &'a [&'static str],
        wake: &'a (dyn Fn() + Send + Sync),
    ) -> Answer<'a, ()> {
        Box::pin(self.follow(kinds, wake))
    }

    #[cfg(feature = "testing")]
    fn survey<'a>(&'a self, kinds: &'a [&'static str]) -> Answer<'a, ()> {
        Box::pin(self.see(kinds))
    }

    fn rest(&self) -> Duration {
        REST
    }
}

#[cfg(test)]
#[path = "nats/nats_tests.rs"]
mod tests;
