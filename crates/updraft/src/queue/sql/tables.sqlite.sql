CREATE TABLE updraft_jobs (
    id TEXT PRIMARY KEY,
    queue TEXT NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL CHECK (json_valid(payload)),
    priority INTEGER NOT NULL DEFAULT 5 CHECK (priority BETWEEN 0 AND 9),
    state TEXT NOT NULL CHECK (state IN ('waiting', 'leased', 'dead', 'done')),
    attempts INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL,
    due_at_ms INTEGER NOT NULL,
    lease_token TEXT,
    enqueued_at_ms INTEGER NOT NULL,
    first_due_at_ms INTEGER NOT NULL,
    unique_key TEXT,
    unique_until_ms INTEGER,
    trace TEXT,
    deadline_at_ms INTEGER,
    last_error TEXT,
    CHECK ((state = 'leased') = (lease_token IS NOT NULL))
) STRICT;

CREATE INDEX updraft_jobs_claim ON updraft_jobs (queue, priority DESC, due_at_ms, id)
    WHERE state IN ('waiting', 'leased');
CREATE INDEX updraft_jobs_due ON updraft_jobs (queue, due_at_ms)
    WHERE state IN ('waiting', 'leased');
CREATE INDEX updraft_jobs_state ON updraft_jobs (queue, state, due_at_ms);
CREATE UNIQUE INDEX updraft_jobs_unique ON updraft_jobs (queue, kind, unique_key)
    WHERE unique_key IS NOT NULL AND state <> 'dead';

CREATE TABLE updraft_outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    job TEXT NOT NULL CHECK (json_valid(job)),
    enqueued_at_ms INTEGER NOT NULL
) STRICT;

CREATE INDEX updraft_outbox_order ON updraft_outbox (queue, seq);

CREATE TABLE updraft_outbox_lease (
    queue TEXT PRIMARY KEY,
    token TEXT NOT NULL,
    until_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE updraft_cron (
    queue TEXT NOT NULL,
    schedule TEXT NOT NULL,
    due_at_ms INTEGER NOT NULL,
    fired_at_ms INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    job_id TEXT,
    PRIMARY KEY (queue, schedule, due_at_ms)
) STRICT;
