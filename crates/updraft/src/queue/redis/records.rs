//! Reading what Redis keeps of jobs.

use std::collections::BTreeSet;

use redis::{FromRedisValue, Value};

use super::{RedisStore, foreign, wrong};
use crate::queue::record::{Claimed, JobRecord, JobState, Leased, NewJob, QueueCounts, now_ms};
use crate::queue::store::{Filter, StoreError};

/// What the script of the claim answers.
pub(super) fn claimed(answer: &[Value], token: &str) -> Result<Claimed, StoreError> {
    let [buried, next, jobs @ ..] = answer else { return Err(foreign("an answer of no claim")) };
    let (buried, next): (i64, i64) = (read(buried)?, read(next)?);
    let mut leased = Vec::with_capacity(jobs.len() / 3);
    for job in jobs.chunks_exact(3) {
        let [id, text, attempts] = job else { continue };
        let (id, text): (String, String) = (read(id)?, read(text)?);
        let attempts: u32 = read(attempts)?;
        leased.push(Leased { job: job_of(&text)?, attempts, token: token.to_owned(), place: id });
    }
    Ok(Claimed {
        jobs: leased,
        buried: u64::try_from(buried).unwrap_or_default(),
        next_in_ms: (0 <= next).then_some(next),
    })
}

pub(super) async fn counts(store: &RedisStore) -> Result<QueueCounts, StoreError> {
    let mut pipe = redis::pipe();
    pipe.zcard(store.key("waiting")).zcard(store.key("leased")).zcard(store.key("dead"));
    pipe.cmd("ZRANGE").arg(store.key("waiting")).arg(0).arg(0).arg("WITHSCORES");
    let (waiting, leased, dead, first): (u64, u64, u64, Vec<(String, i64)>) =
        pipe.query_async(&mut store.connection()).await.map_err(wrong)?;
    let oldest = first.first().map_or(0, |(_, due)| now_ms() - due);
    let oldest_ms = u64::try_from(oldest).unwrap_or_default();
    Ok(QueueCounts { waiting, leased, dead, oldest_ms })
}

/// Ids are in the order of time, the sets in that of what their jobs wait for.
pub(super) async fn list(store: &RedisStore, filter: Filter) -> Result<Vec<JobRecord>, StoreError> {
    let wanted = |state: JobState| filter.state.is_none_or(|it| it == state);
    let mut sets = redis::pipe();
    for state in [JobState::Waiting, JobState::Leased, JobState::Dead] {
        if wanted(state) {
            sets.zrange(store.key(state.as_str()), 0, -1);
        }
    }
    let ids: Vec<Vec<String>> = sets.query_async(&mut store.connection()).await.map_err(wrong)?;
    let ids: BTreeSet<String> = ids.into_iter().flatten().collect();
    let mut found = Vec::new();
    for id in ids {
        if found.len() == filter.most {
            break;
        }
        // It may have moved on meanwhile.
        found.extend(find(store, &id).await?.filter(|record| wanted(record.state)));
    }
    Ok(found)
}

pub(super) async fn find(store: &RedisStore, id: &str) -> Result<Option<JobRecord>, StoreError> {
    type Fields =
        (Option<String>, Option<String>, Option<u32>, Option<i64>, Option<String>, Option<String>);
    let (job, state, attempts, at, error, token): Fields = redis::cmd("HMGET")
        .arg(store.key(&format!("job:{id}")))
        .arg(&["job", "state", "attempts", "at", "error", "token"])
        .query_async(&mut store.connection())
        .await
        .map_err(wrong)?;
    let (Some(job), Some(state)) = (job, state) else { return Ok(None) };
    Ok(Some(JobRecord {
        job: job_of(&job)?,
        state: JobState::parse(&state).ok_or_else(|| foreign("a job in no state"))?,
        attempts: attempts.unwrap_or_default(),
        at_ms: at.unwrap_or_default(),
        last_error: error,
        lease_token: token,
    }))
}

fn job_of(text: &str) -> Result<NewJob, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Foreign(error.into()))
}

fn read<T: FromRedisValue>(value: &Value) -> Result<T, StoreError> {
    redis::from_redis_value_ref(value).map_err(|error| StoreError::Foreign(error.into()))
}
