-- List jobs newest first by queue and state. A new job pays nothing for it, only one that has finished.

CREATE INDEX jobs_by_state ON jobs (namespace, queue, finished, seq) WHERE finished IS NOT NULL;

-- With `finished` in it, though that is always NULL there, SQLite need not look into the table.
DROP INDEX jobs_pending;
CREATE INDEX jobs_pending ON jobs (namespace, queue, due_ms, seq, finished) WHERE finished IS NULL;
