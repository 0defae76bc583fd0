//! Reading the streams of a queue: the headers of all jobs, and whole jobs.

use std::collections::HashSet;
use std::time::Duration;

use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::push::{Ordered, OrderedConfig};
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::stream::Stream;
use async_nats::{Client, HeaderMap};
use futures_util::StreamExt as _;

use super::index::Entry;
use crate::queue::record::{JobRecord, JobState};
use crate::queue::store::StoreError;

/// Where a job stands.
const STATE: &str = "Updraft-State";
/// Since when or until when it stands there.
const AT: &str = "Updraft-At";
/// How urgent it is.
const PRIORITY: &str = "Updraft-Priority";

/// Messages that are asked for at once.
const BATCH: usize = 500;

/// How long the server may wait for a message that it counted and that was deleted since.
const PAUSE_MOST: Duration = Duration::from_secs(1);

/// The server forgets a read that nobody goes on with.
const SCAN_TIME: Duration = Duration::from_secs(30);

/// The headers by which workers know a job.
pub(super) fn headers_of(record: &JobRecord) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(STATE, record.state.as_str());
    headers.insert(AT, record.at_ms.to_string().as_str());
    headers.insert(PRIORITY, record.job.priority.to_string().as_str());
    headers
}

/// What the headers of a message say of its job; `None`: it is none of ours.
pub(super) fn entry_of(message: &Message) -> Result<Option<(String, Entry)>, StoreError> {
    let info = message.info().map_err(StoreError::Foreign)?;
    let Some(headers) = message.headers.as_ref() else { return Ok(None) };
    let read = |name: &str| headers.get(name).map(|value| value.as_str());
    let entry = || {
        Some(Entry {
            sequence: info.stream_sequence,
            state: JobState::parse(read(STATE)?)?,
            at_ms: read(AT)?.parse().ok()?,
            priority: read(PRIORITY)?.parse().ok()?,
        })
    };
    Ok(entry().map(|entry| (message.subject.to_string(), entry)))
}

/// Follows the messages of a stream, headers only, as they come. The stream keeps the last one of
/// each subject; so nothing is asked for by subject, which servers of 2.9 forget some of after
/// they were killed or stood still.
pub(super) async fn follow(client: &Client, stream: &Stream) -> Result<Ordered, StoreError> {
    let config = OrderedConfig {
        deliver_subject: client.new_inbox(),
        headers_only: true,
        ..OrderedConfig::default()
    };
    let consumer = stream.create_consumer(config).await.map_err(|error| away(error.into()))?;
    consumer.messages().await.map_err(|error| away(error.into()))
}

/// The last message of each subject that is there now, up to `most`.
pub(super) async fn all(
    stream: &Stream,
    headers_only: bool,
    most: usize,
) -> Result<Vec<Message>, StoreError> {
    // Asked for more than there is, the server would wait for it.
    let there = stream.get_info().await.map_err(|error| away(error.into()))?.state.messages;
    let most = most.min(usize::try_from(there).unwrap_or(usize::MAX));
    if most == 0 {
        return Ok(Vec::new());
    }
    let config = pull::Config {
        headers_only,
        ack_policy: AckPolicy::None,
        inactive_threshold: SCAN_TIME,
        memory_storage: true,
        ..pull::Config::default()
    };
    let consumer = stream.create_consumer(config).await.map_err(|error| away(error.into()))?;
    let mut found = Vec::new();
    while found.len() < most {
        // It ends by itself when nothing is left: what is deleted meanwhile is not waited for.
        let batch =
            consumer.fetch().max_messages(BATCH.min(most - found.len())).expires(PAUSE_MOST);
        let batch = batch.messages().await;
        let mut batch = batch.map_err(|error| away(error.into()))?;
        let before = found.len();
        while let Some(message) = batch.next().await {
            found.push(message.map_err(StoreError::Away)?);
        }
        if found.len() == before {
            break;
        }
    }
    Ok(latest(found))
}

/// Of several messages of one subject, which a server that was killed may have, the last.
fn latest(messages: Vec<Message>) -> Vec<Message> {
    let mut seen = HashSet::new();
    let mut latest: Vec<_> = messages
        .into_iter()
        .rev()
        .filter(|message| seen.insert(message.subject.to_string()))
        .collect();
    latest.reverse();
    latest
}

fn away(error: crate::BoxError) -> StoreError {
    StoreError::Away(error)
}

/// A job from its message.
pub(super) fn record_of(payload: &[u8]) -> Result<JobRecord, StoreError> {
    serde_json::from_slice(payload).map_err(|error| StoreError::Foreign(error.into()))
}
