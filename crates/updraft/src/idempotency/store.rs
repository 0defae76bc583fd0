//! Keys in the database. Every move is one statement, so a key is taken by one alone.

use std::time::Duration;

use uuid::Uuid;

use super::answer::{Answer, Head};
use super::key::Known;
use crate::Sql;
use crate::queue::{millis, now_ms};
use crate::sql::{self, Executor, SqlError};

/// `$1` id, `$2` fingerprint, `$3` token, `$4` lease end, `$5` expiry, `$6` now. A key that has
/// expired is free for all, one whose process has died for the same request alone. The token
/// makes it safe to send the statement again when its outcome was lost.
const TAKE: &str = "INSERT INTO updraft_idempotency
    (id, fingerprint, token, lease_until_ms, expires_at_ms) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (id) DO UPDATE SET fingerprint = excluded.fingerprint, token = excluded.token,
        lease_until_ms = excluded.lease_until_ms, expires_at_ms = excluded.expires_at_ms,
        head = NULL, body = NULL
    WHERE updraft_idempotency.expires_at_ms <= $6
       OR (updraft_idempotency.head IS NULL
           AND updraft_idempotency.fingerprint = excluded.fingerprint
           AND (updraft_idempotency.lease_until_ms <= $6
                OR updraft_idempotency.token = excluded.token))";

/// `$1` id.
const FIND: &str = "SELECT fingerprint, head, body FROM updraft_idempotency WHERE id = $1";

/// `$1` lease end, `$2` id, `$3` token. A key that is held does not expire.
const PROLONG: &str = "UPDATE updraft_idempotency SET lease_until_ms = $1,
    expires_at_ms = CASE WHEN expires_at_ms < $1 THEN $1 ELSE expires_at_ms END
    WHERE id = $2 AND token = $3 AND head IS NULL";

/// `$1` head, `$2` body, `$3` id, `$4` token.
const KEEP: &str = "UPDATE updraft_idempotency SET head = $1, body = $2
    WHERE id = $3 AND token = $4 AND head IS NULL";

/// `$1` id, `$2` token.
const FREE: &str = "DELETE FROM updraft_idempotency WHERE id = $1 AND token = $2 AND head IS NULL";

/// `$1` now, `$2` most.
const SWEEP: &str = "DELETE FROM updraft_idempotency WHERE id IN
    (SELECT id FROM updraft_idempotency WHERE expires_at_ms <= $1 LIMIT $2)";

/// The same where replicas sweep at once: none waits for what another one has in hand.
const SWEEP_POSTGRES: &str = "DELETE FROM updraft_idempotency WHERE id IN
    (SELECT id FROM updraft_idempotency WHERE expires_at_ms <= $1 LIMIT $2
     FOR UPDATE SKIP LOCKED)";

/// The keys of a database.
#[derive(Clone, Debug)]
pub(super) struct Store {
    pub(super) sql: Sql,
    pub(super) ttl: Duration,
    pub(super) lease: Duration,
}

/// What came of taking a key.
#[derive(Debug)]
pub(super) enum Took {
    /// It is ours.
    Key(Held),
    /// It was used for another request.
    Other,
    /// Its request is being answered.
    InProgress,
    /// Its request has been answered.
    Answered(Answer),
}

/// A key that is ours, by a token that nobody else has.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) id: String,
    pub(super) token: String,
}

impl Store {
    pub(super) async fn take(&self, known: &Known) -> Result<Took, SqlError> {
        let now = now_ms();
        let token = Uuid::now_v7().to_string();
        let taken = sql::query(TAKE)
            .bind(known.id.as_str())
            .bind(known.fingerprint.as_str())
            .bind(token.as_str())
            .bind(now.saturating_add(millis(self.lease)))
            .bind(now.saturating_add(millis(self.ttl)))
            .bind(now)
            .execute(&self.sql)
            .await?;
        if taken == 1 {
            return Ok(Took::Key(Held { id: known.id.clone(), token }));
        }
        // By the connections for writing: a standby that lags must not be asked.
        let found: Option<(String, Option<String>, Option<Vec<u8>>)> =
            sql::query(FIND).bind(known.id.as_str()).fetch_optional(self.sql.writer()).await?;
        Ok(match found {
            Some((fingerprint, ..)) if fingerprint != known.fingerprint => Took::Other,
            Some((_, Some(head), body)) => match serde_json::from_str::<Head>(&head) {
                Ok(head) => Took::Answered(Answer { head, body: body.unwrap_or_default().into() }),
                // Of another release, which this one cannot read.
                Err(_unknown) => Took::InProgress,
            },
            // In progress, or just given back.
            Some((_, None, _)) | None => Took::InProgress,
        })
    }

    pub(super) async fn prolong(&self, held: &Held) -> Result<(), SqlError> {
        let until = now_ms().saturating_add(millis(self.lease));
        let prolong = sql::query(PROLONG).bind(until);
        prolong.bind(held.id.as_str()).bind(held.token.as_str()).execute(&self.sql).await?;
        Ok(())
    }

    /// Gives a key back whose request has no answer to keep; `false`: it was not ours any more,
    /// or has an answer.
    pub(super) async fn free(&self, held: &Held) -> Result<bool, SqlError> {
        let free = sql::query(FREE).bind(held.id.as_str()).bind(held.token.as_str());
        Ok(free.execute(&self.sql).await? == 1)
    }

    /// Forgets keys that have expired; gives how many.
    pub(super) async fn sweep(&self, most: i64) -> Result<u64, SqlError> {
        let text = if self.sql.system() == "postgresql" { SWEEP_POSTGRES } else { SWEEP };
        sql::query(text).bind(now_ms()).bind(most).execute(&self.sql).await
    }
}

/// Keeps an answer; `false`: the key is not ours any more.
pub(super) async fn keep<'t>(
    on: impl Executor<'t>,
    held: &Held,
    Answer { head, body }: &Answer,
) -> Result<bool, SqlError> {
    // Texts, numbers and truths can always be written.
    let head = serde_json::to_string(head).unwrap_or_default();
    let kept = sql::query(KEEP).bind(head.as_str()).bind(&body[..]);
    let kept = kept.bind(held.id.as_str()).bind(held.token.as_str()).execute(on).await?;
    Ok(kept == 1)
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
