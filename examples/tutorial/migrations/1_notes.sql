CREATE TABLE notes (
    id TEXT PRIMARY KEY,
    body TEXT NOT NULL,
    words BIGINT,
    written_at_ms BIGINT NOT NULL
);
