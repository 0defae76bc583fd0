//! The statements of a queue. Those that differ between the kinds of databases are in a
//! table; all others are the same text for all.

/// The statements that differ.
#[derive(Debug)]
pub(super) struct Statements {
    /// `$1` queue, `$2` kinds as a JSON list. Gives the time of the next that is due.
    pub(super) next: &'static str,
    /// `$1` queue, `$2` now, `$3` kinds as a JSON list, `$4` token, `$5` lease end, `$6` most.
    pub(super) claim: &'static str,
    /// `$1` queue. Calls the workers that listen; runs in the transaction of the insert.
    pub(super) notify: Option<&'static str>,
}

macro_rules! next {
    ($kinds:literal) => {
        concat!(
            "SELECT due_at_ms FROM updraft_jobs
             WHERE queue = $1 AND state IN ('waiting', 'leased') AND kind IN (",
            $kinds,
            ") ORDER BY due_at_ms LIMIT 1"
        )
    };
}

macro_rules! picked {
    ($kinds:literal) => {
        concat!(
            "SELECT id FROM updraft_jobs
                 WHERE queue = $1 AND state IN ('waiting', 'leased') AND due_at_ms <= $2
                   AND (state = 'waiting' OR attempts < max_attempts)
                   AND kind IN (",
            $kinds,
            ") ORDER BY priority DESC, due_at_ms, id LIMIT $6 "
        )
    };
}

macro_rules! claimed {
    () => {
        "SET state = 'leased', attempts = attempts + 1, lease_token = $4, due_at_ms = $5 "
    };
}

macro_rules! returned {
    () => {
        " RETURNING updraft_jobs.id AS id, kind, payload, priority, state, attempts, max_attempts,
             due_at_ms, lease_token, enqueued_at_ms, first_due_at_ms, unique_key, unique_until_ms,
             trace, deadline_at_ms, last_error"
    };
}

impl Statements {
    pub(super) const SQLITE: Self = Self {
        next: next!("SELECT value FROM json_each($2)"),
        claim: concat!(
            "UPDATE updraft_jobs ",
            claimed!(),
            "WHERE id IN (",
            picked!("SELECT value FROM json_each($3)"),
            ")",
            returned!()
        ),
        notify: None,
    };

    pub(super) const POSTGRES: Self = Self {
        next: next!("SELECT jsonb_array_elements_text($2::text::jsonb)"),
        // Materialized, since a plan may otherwise pick anew for each row, and take too many.
        claim: concat!(
            "WITH picked AS MATERIALIZED (",
            picked!("SELECT jsonb_array_elements_text($3::text::jsonb)"),
            "FOR UPDATE SKIP LOCKED) UPDATE updraft_jobs ",
            claimed!(),
            "FROM picked WHERE updraft_jobs.id = picked.id",
            returned!()
        ),
        notify: Some("SELECT pg_notify('updraft_jobs', $1)"),
    };
}

/// `$1` queue, `$2` the bound: so many wait, without counting what is beyond it.
pub(super) const WAITING: &str = "SELECT count(*) FROM (SELECT 1 FROM updraft_jobs
    WHERE queue = $1 AND state = 'waiting' LIMIT $2) AS waiting";

pub(super) const INSERT: &str = "INSERT INTO updraft_jobs
    (id, queue, kind, payload, priority, state, max_attempts, due_at_ms, enqueued_at_ms,
     first_due_at_ms, unique_key, unique_until_ms, trace, deadline_at_ms)
    VALUES ($1, $2, $3, $4, $5, 'waiting', $6, $7, $8, $7, $9, $10, $11, $12)
    ON CONFLICT DO NOTHING";

/// `$1` id, `$2` queue, `$3` kind, `$4` unique key.
pub(super) const CONFLICT: &str = "SELECT id, state, due_at_ms FROM updraft_jobs
    WHERE id = $1 OR (queue = $2 AND kind = $3 AND unique_key = $4 AND state <> 'dead')";

/// `$1` id, `$2` now.
pub(super) const FREE_KEY: &str =
    "DELETE FROM updraft_jobs WHERE id = $1 AND state = 'done' AND due_at_ms <= $2";

/// `$1` queue, `$2` now.
pub(super) const BURY: &str = "UPDATE updraft_jobs
    SET state = 'dead', lease_token = NULL, last_error = 'the worker died'
    WHERE queue = $1 AND state = 'leased' AND due_at_ms <= $2 AND max_attempts <= attempts";

/// `$1` queue, `$2` now.
pub(super) const SWEEP: &str =
    "DELETE FROM updraft_jobs WHERE queue = $1 AND state = 'done' AND due_at_ms <= $2";

/// `$1` lease end, `$2` id, `$3` token.
pub(super) const PROLONG: &str =
    "UPDATE updraft_jobs SET due_at_ms = $1 WHERE id = $2 AND lease_token = $3";

/// `$1` id, `$2` token.
pub(super) const COMPLETE: &str = "DELETE FROM updraft_jobs WHERE id = $1 AND lease_token = $2";

/// `$1` until when the key is held, `$2` id, `$3` token.
pub(super) const COMPLETE_HELD: &str = "UPDATE updraft_jobs
    SET state = 'done', due_at_ms = $1, lease_token = NULL WHERE id = $2 AND lease_token = $3";

/// `$1` now, `$2` id, `$3` token.
pub(super) const HAND_BACK: &str = "UPDATE updraft_jobs
    SET state = 'waiting', attempts = attempts - 1, lease_token = NULL, due_at_ms = $1
    WHERE id = $2 AND lease_token = $3";

/// `$1` state, `$2` due, `$3` error, `$4` id, `$5` token.
pub(super) const FAIL: &str = "UPDATE updraft_jobs
    SET state = $1, lease_token = NULL, due_at_ms = $2, last_error = $3
    WHERE id = $4 AND lease_token = $5";

/// `$1` queue.
pub(super) const COUNTS: &str =
    "SELECT state, count(*), min(due_at_ms) FROM updraft_jobs WHERE queue = $1 GROUP BY state";

/// `$1` queue, `$2` state or '', `$3` most.
pub(super) const LIST: &str = "SELECT id, kind, payload, priority, state, attempts, max_attempts,
    due_at_ms, lease_token, enqueued_at_ms, first_due_at_ms, unique_key, unique_until_ms, trace,
    deadline_at_ms, last_error FROM updraft_jobs
    WHERE queue = $1 AND (state = $2 OR ($2 = '' AND state <> 'done')) ORDER BY id LIMIT $3";

/// `$1` queue, `$2` id.
pub(super) const FIND: &str = "SELECT id, kind, payload, priority, state, attempts, max_attempts,
    due_at_ms, lease_token, enqueued_at_ms, first_due_at_ms, unique_key, unique_until_ms, trace,
    deadline_at_ms, last_error FROM updraft_jobs WHERE queue = $1 AND id = $2";

/// `$1` now, `$2` queue, `$3` id.
pub(super) const RETRY: &str =
    "UPDATE updraft_jobs SET state = 'waiting', attempts = 0, due_at_ms = $1
    WHERE queue = $2 AND id = $3 AND state = 'dead'";

/// `$1` queue, `$2` id.
pub(super) const REMOVE: &str = "DELETE FROM updraft_jobs
    WHERE queue = $1 AND id = $2 AND state IN ('waiting', 'dead')";

/// `$1` queue, `$2` schedule.
pub(super) const LAST_FIRE: &str =
    "SELECT max(due_at_ms) FROM updraft_cron WHERE queue = $1 AND schedule = $2";

/// `$1` queue, `$2` schedule, `$3` due, `$4` now, `$5` outcome, `$6` the job: unless it, or a
/// later one, is there.
pub(super) const FIRE: &str = "INSERT INTO updraft_cron
    (queue, schedule, due_at_ms, fired_at_ms, outcome, job_id)
    SELECT $1, $2, $3, $4, $5, $6 WHERE NOT EXISTS (SELECT 1 FROM updraft_cron
        WHERE queue = $1 AND schedule = $2 AND due_at_ms >= $3)
    ON CONFLICT DO NOTHING";

/// `$1` queue, `$2` schedule, `$3` due.
pub(super) const OVERLAPS: &str = "UPDATE updraft_cron SET outcome = 'overlaps', job_id = NULL
    WHERE queue = $1 AND schedule = $2 AND due_at_ms = $3";

/// `$1` queue, `$2` schedule, `$3` how many are kept.
pub(super) const FORGET_FIRES: &str = "DELETE FROM updraft_cron
    WHERE queue = $1 AND schedule = $2 AND due_at_ms NOT IN (SELECT due_at_ms FROM updraft_cron
        WHERE queue = $1 AND schedule = $2 ORDER BY due_at_ms DESC LIMIT $3)";
