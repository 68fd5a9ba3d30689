-- Number the jobs of each queue in the order of their enqueueing, for the ledger, and remember pauses.

ALTER TABLE jobs ADD COLUMN number INTEGER NOT NULL DEFAULT 0;

UPDATE jobs SET number = ranked.n
FROM (SELECT seq, row_number() OVER (PARTITION BY namespace, queue ORDER BY seq) AS n FROM jobs) AS ranked
WHERE ranked.seq = jobs.seq;

-- The highest number that each queue has given out; it outlives the pruned job that had it.
CREATE TABLE numbers (
    namespace TEXT NOT NULL,
    queue     TEXT NOT NULL,
    n         INTEGER NOT NULL,
    PRIMARY KEY (namespace, queue)
) WITHOUT ROWID;

INSERT INTO numbers SELECT namespace, queue, max(number) FROM jobs GROUP BY namespace, queue;

CREATE TRIGGER number_insert AFTER INSERT ON jobs BEGIN
    INSERT INTO numbers VALUES (new.namespace, new.queue, new.number)
    ON CONFLICT DO UPDATE SET n = max(n, excluded.n);
END;

CREATE TABLE pauses (
    namespace TEXT NOT NULL,
    queue     TEXT NOT NULL,
    PRIMARY KEY (namespace, queue)
) WITHOUT ROWID;
