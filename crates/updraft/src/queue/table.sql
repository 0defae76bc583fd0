CREATE TABLE updraft_jobs (
    id TEXT PRIMARY KEY,
    queue TEXT NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL CHECK (json_valid(payload)),
    state TEXT NOT NULL CHECK (state IN ('waiting', 'leased', 'dead')),
    attempts INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL,
    due_at_ms INTEGER NOT NULL,
    lease_token TEXT,
    enqueued_at_ms INTEGER NOT NULL,
    last_error TEXT,
    CHECK ((state = 'leased') = (lease_token IS NOT NULL))
) STRICT;

CREATE INDEX updraft_jobs_due ON updraft_jobs (queue, due_at_ms, id) WHERE state <> 'dead';
CREATE INDEX updraft_jobs_state ON updraft_jobs (queue, state);
