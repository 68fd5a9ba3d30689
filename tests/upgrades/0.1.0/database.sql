BEGIN TRANSACTION;
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
    reason           TEXT NOT NULL, injected TEXT, summary TEXT,
    CHECK ((error_code IS NULL) = (error_message IS NULL)),
    CHECK ((response_headers IS NULL) = (response_body IS NULL))
);
INSERT INTO "attempts" VALUES(1,1,1,1,2,1767225600000,1767225600000,1767225600000,0,'http://localhost:39885/work','completed',200,NULL,NULL,'[["server", "BaseHTTP/0.6 Python/3.11.7"], ["date", "Mon, 30 Nov 2026 03:41:38 GMT"], ["content-length", "14"], ["content-type", "application/json"]]',X'7B22646F6E65223A20747275657D',0,NULL,'responded 200',NULL,NULL);
INSERT INTO "attempts" VALUES(2,2,1,1,2,1767225600000,1767225600000,1767225600000,0,'http://localhost:39885/work','http_error',500,'http_500','the service responded 500','[["server", "BaseHTTP/0.6 Python/3.11.7"], ["date", "Mon, 30 Nov 2026 03:41:38 GMT"], ["content-length", "24"], ["content-type", "application/json"]]',X'7B226D657373616765223A20226E6F20706F6C696379227D',0,1767225605000,'retry 1 of 1, 5000 ms after the end of the attempt',NULL,'no policy');
INSERT INTO "attempts" VALUES(3,3,1,1,2,1767225600000,1767225600000,1767225600000,0,'http://localhost:39885/work','http_error',500,'http_500','the service responded 500','[["server", "BaseHTTP/0.6 Python/3.11.7"], ["date", "Mon, 30 Nov 2026 03:41:38 GMT"], ["content-length", "24"], ["content-type", "application/json"]]',X'7B226D657373616765223A20226E6F20706F6C696379227D',0,1767225605000,'retry 1 of 1, 5000 ms after the end of the attempt',NULL,'no policy');
INSERT INTO "attempts" VALUES(4,4,1,1,2,1767225600000,1767225600000,1767225600000,0,'http://localhost:39885/work','completed',200,NULL,NULL,'[["server", "BaseHTTP/0.6 Python/3.11.7"], ["date", "Mon, 30 Nov 2026 03:41:38 GMT"], ["content-length", "14"], ["content-type", "application/json"]]',X'7B22646F6E65223A20747275657D',0,NULL,'responded 200',NULL,NULL);
INSERT INTO "attempts" VALUES(5,2,1,2,2,1767225605000,1767225605000,1767225605000,0,'http://localhost:39885/work','completed',200,NULL,NULL,'[["server", "BaseHTTP/0.6 Python/3.11.7"], ["date", "Mon, 30 Nov 2026 03:41:38 GMT"], ["content-length", "14"], ["content-type", "application/json"]]',X'7B22646F6E65223A20747275657D',0,NULL,'responded 200',NULL,NULL);
INSERT INTO "attempts" VALUES(6,3,1,2,2,1767225605000,1767225605000,1767225605000,0,'http://localhost:39885/work','http_error',500,'http_500','the service responded 500','[["server", "BaseHTTP/0.6 Python/3.11.7"], ["date", "Mon, 30 Nov 2026 03:41:38 GMT"], ["content-length", "24"], ["content-type", "application/json"]]',X'7B226D657373616765223A20226E6F20706F6C696379227D',0,NULL,'no retries left (retries: 1)',NULL,'no policy');
CREATE TABLE counts (
    namespace TEXT NOT NULL,
    queue     TEXT NOT NULL,
    state     TEXT NOT NULL,
    n         INTEGER NOT NULL,
    PRIMARY KEY (namespace, queue, state)
) WITHOUT ROWID;
INSERT INTO "counts" VALUES('shop','other','pending',1);
INSERT INTO "counts" VALUES('shop','work','completed',3);
INSERT INTO "counts" VALUES('shop','work','failed',1);
INSERT INTO "counts" VALUES('shop','work','pending',0);
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
    data_size    INTEGER NOT NULL, number INTEGER NOT NULL DEFAULT 0,
    CHECK ((finished IS NULL) = (finished_ms IS NULL))
);
INSERT INTO "jobs" VALUES(1,'019b76da-a800-76b5-915c-46057bcb005f','shop','work',1767225600000,1767225600000,'completed',1767225600000,1,1,0,2,NULL,6,1);
INSERT INTO "jobs" VALUES(2,'019b76da-a800-773a-aeb0-8cfbb00b91e5','shop','work',1767225600000,1767225605000,'completed',1767225605000,1,2,1,2,NULL,6,2);
INSERT INTO "jobs" VALUES(3,'019b76da-a800-75f2-af98-7b76f4c3fc08','shop','work',1767225600000,1767225605000,'failed',1767225605000,1,2,2,2,NULL,5,3);
INSERT INTO "jobs" VALUES(4,'019b76da-a800-792a-b00b-be71db09cc80','shop','work',1767225600000,1767225600000,'completed',1767225600000,1,1,0,2,NULL,36,4);
INSERT INTO "jobs" VALUES(5,'019b76da-bb88-7669-b848-2999dfdcef11','shop','other',1767225605000,1767225605000,NULL,NULL,1,0,0,4,NULL,7,1);
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO "meta" VALUES('clock','virtual');
INSERT INTO "meta" VALUES('now_ms','1767225605000');
INSERT INTO "meta" VALUES('start_ms','1767225600000');
CREATE TABLE numbers (
    namespace TEXT NOT NULL,
    queue     TEXT NOT NULL,
    n         INTEGER NOT NULL,
    PRIMARY KEY (namespace, queue)
) WITHOUT ROWID;
INSERT INTO "numbers" VALUES('shop','other',1);
INSERT INTO "numbers" VALUES('shop','work',4);
CREATE TABLE pauses (
    namespace TEXT NOT NULL,
    queue     TEXT NOT NULL,
    PRIMARY KEY (namespace, queue)
) WITHOUT ROWID;
INSERT INTO "pauses" VALUES('shop','other');
CREATE TABLE payloads (
    seq  INTEGER PRIMARY KEY,
    data BLOB NOT NULL
);
INSERT INTO "payloads" VALUES(1,X'22676F6F6422');
INSERT INTO "payloads" VALUES(2,X'226C61746522');
INSERT INTO "payloads" VALUES(3,X'2262616422');
INSERT INTO "payloads" VALUES(4,X'7B2262223A312E352C2261223A5B31323334353637383930313233343536373839305D7D');
INSERT INTO "payloads" VALUES(5,X'22776169747322');
CREATE INDEX attempts_of_job ON attempts (seq, id);
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
CREATE TRIGGER number_insert AFTER INSERT ON jobs BEGIN
    INSERT INTO numbers VALUES (new.namespace, new.queue, new.number)
    ON CONFLICT DO UPDATE SET n = max(n, excluded.n);
END;
CREATE INDEX jobs_by_state ON jobs (namespace, queue, finished, seq) WHERE finished IS NOT NULL;
CREATE INDEX jobs_pending ON jobs (namespace, queue, due_ms, seq, finished) WHERE finished IS NULL;
CREATE INDEX jobs_by_pruning ON jobs (finished = 'failed', finished_ms, seq) WHERE finished IS NOT NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('jobs',5);
INSERT INTO "sqlite_sequence" VALUES('attempts',6);
COMMIT;
PRAGMA application_id = 1280395842;
PRAGMA user_version = 6;
