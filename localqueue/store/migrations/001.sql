-- The tables of a localqueue database. A new file runs every migration, an older one those it lacks.
-- Times are ms since the epoch. A job is pending while `finished` is NULL; whether it is running, due
-- or waiting for its due time is a matter of the moment and is not stored.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE jobs (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT    NOT NULL UNIQUE,
    namespace    TEXT    NOT NULL,
    queue        TEXT    NOT NULL,
    created_ms   INTEGER NOT NULL,
    due_ms       INTEGER NOT NULL,
    finished     TEXT CHECK (finished IN ('completed', 'failed', 'cancelled')),
    finished_ms  INTEGER,
    round        INTEGER NOT NULL CHECK (round >= 1),
    attempt      INTEGER NOT NULL CHECK (attempt >= 0),
    failures     INTEGER NOT NULL CHECK (failures >= 0 AND failures <= attempt),
    max_attempts INTEGER NOT NULL,
    replay_of    TEXT,
    data_size    INTEGER NOT NULL,
    CHECK ((finished IS NULL) = (finished_ms IS NULL))
);

-- What is dispatched next: the order of the contract, per queue.
CREATE INDEX jobs_pending ON jobs (namespace, queue, due_ms, seq) WHERE finished IS NULL;
-- What is pruned first, and the list of finished jobs.
CREATE INDEX jobs_finished ON jobs (finished_ms, seq) WHERE finished IS NOT NULL;

CREATE TABLE payloads (
    seq  INTEGER PRIMARY KEY,
    data BLOB NOT NULL
);

CREATE TABLE attempts (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    seq              INTEGER NOT NULL,
    round            INTEGER NOT NULL,
    number           INTEGER NOT NULL CHECK (number >= 1),
    max_attempts     INTEGER NOT NULL,
    due_ms           INTEGER NOT NULL,
    started_ms       INTEGER NOT NULL,
    ended_ms         INTEGER NOT NULL CHECK (ended_ms >= started_ms),
    duration_ms      INTEGER NOT NULL CHECK (duration_ms >= 0),
    url              TEXT    NOT NULL,
    outcome          TEXT    NOT NULL CHECK (outcome IN
        ('completed', 'http_error', 'timeout', 'connection_error', 'interrupted', 'cancelled')),
    status           INTEGER,
    error_code       TEXT,
    error_message    TEXT,
    response_headers TEXT,
    response_body    BLOB,
    truncated        INTEGER,
    next_due_ms      INTEGER,
    reason           TEXT NOT NULL,
    CHECK ((error_code IS NULL) = (error_message IS NULL)),
    CHECK ((response_headers IS NULL) = (response_body IS NULL))
);
CREATE INDEX attempts_of_job ON attempts (seq, id);

-- Exact counts without counting: triggers keep them in the transaction of the change.
CREATE TABLE counts (
    namespace TEXT NOT NULL,
    queue     TEXT NOT NULL,
    state     TEXT NOT NULL,
    n         INTEGER NOT NULL,
    PRIMARY KEY (namespace, queue, state)
) WITHOUT ROWID;

CREATE TRIGGER count_insert AFTER INSERT ON jobs BEGIN
    INSERT INTO counts VALUES (new.namespace, new.queue, coalesce(new.finished, 'pending'), 1)
    ON CONFLICT DO UPDATE SET n = n + 1;
END;

CREATE TRIGGER delete_parts AFTER DELETE ON jobs BEGIN
    DELETE FROM payloads WHERE seq = old.seq;
    DELETE FROM attempts WHERE seq = old.seq;
END;

CREATE TRIGGER count_delete AFTER DELETE ON jobs BEGIN
    UPDATE counts SET n = n - 1
    WHERE namespace = old.namespace AND queue = old.queue AND state = coalesce(old.finished, 'pending');
END;

CREATE TRIGGER count_update AFTER UPDATE OF finished ON jobs WHEN new.finished IS NOT old.finished BEGIN
    UPDATE counts SET n = n - 1
    WHERE namespace = old.namespace AND queue = old.queue AND state = coalesce(old.finished, 'pending');
    INSERT INTO counts VALUES (new.namespace, new.queue, coalesce(new.finished, 'pending'), 1)
    ON CONFLICT DO UPDATE SET n = n + 1;
END;
