CREATE TABLE updraft_idempotency (
    id TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    token TEXT NOT NULL,
    lease_until_ms BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    head TEXT,
    body BYTEA
);

CREATE INDEX updraft_idempotency_expires ON updraft_idempotency (expires_at_ms);
