"""The SQL statements that the store and its queries execute."""

from __future__ import annotations

from localqueue.store.batch_commit import Statement
from localqueue.store.row_mapping import ATTEMPT_COLUMNS, JOB_COLUMNS

PRUNE_STEP = 1000
"""How many finished jobs one transaction removes at most."""

_ROWS = "SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL"
INSERT_JOB = Statement(f"INSERT INTO jobs ({JOB_COLUMNS}) {_ROWS}", 15)
INSERT_PAYLOAD = Statement(f"INSERT INTO payloads (seq, data) {_ROWS}", 2)
# The guard of every change: the job hasn't changed since the change was decided.
_AS_BEFORE = (
    "seq = column1 AND finished IS column2 AND jobs.round = column3 AND attempt = column4 AND failures = column5"
)
_ATTEMPT_VALUES = ", ".join(f"column{n}" for n in range(6, 25))
INSERT_ATTEMPT = Statement(
    f"INSERT INTO attempts (seq, {ATTEMPT_COLUMNS}) "
    f"SELECT seq, {_ATTEMPT_VALUES} FROM (VALUES {{rows}}) CROSS JOIN jobs ON {_AS_BEFORE}",
    24,
)
UPDATE_JOB = Statement(
    "UPDATE jobs SET due_ms = column6, finished = column7, finished_ms = column8, round = column9, "
    f"attempt = column10, failures = column11, max_attempts = column12 FROM (VALUES {{rows}}) WHERE {_AS_BEFORE}",
    12,
)
SET_FACT = Statement(f"INSERT OR REPLACE INTO meta {_ROWS}", 2)
PAUSE = Statement(f"INSERT OR IGNORE INTO pauses {_ROWS}", 2)
RESUME = Statement("DELETE FROM pauses WHERE (namespace, queue) IN (VALUES {rows})", 2)
GUARDS = "SELECT id, seq, finished, round, attempt, failures FROM jobs WHERE seq IN (SELECT value FROM json_each(?))"
# Up to one percent too many may stay for a while: removing many at once is cheaper than one with each job.
PRUNE = f"""
    DELETE FROM jobs WHERE seq IN (
        SELECT seq FROM jobs WHERE finished IS NOT NULL ORDER BY finished = 'failed', finished_ms, seq
        LIMIT (SELECT iif(n * 100 > ?1 * 101, min(n - ?1, {PRUNE_STEP}), 0)
               FROM (SELECT coalesce(sum(n), 0) AS n FROM counts WHERE state <> 'pending')))
"""


WITHOUT_PAYLOAD = "SELECT count(*) FROM jobs WHERE NOT EXISTS (SELECT 1 FROM payloads WHERE payloads.seq = jobs.seq)"
_NOT_IN_THE_LEDGER = ("response_headers", "response_body")  # they would take the memory of all responses
LEDGER = (
    f"SELECT {', '.join('jobs.' + name for name in JOB_COLUMNS.split(', '))}, "
    + ", ".join("NULL" if name in _NOT_IN_THE_LEDGER else f"attempts.{name}" for name in ATTEMPT_COLUMNS.split(", "))
    + " "
    "FROM attempts JOIN jobs USING (seq) ORDER BY attempts.started_ms, attempts.id"
)
RANGE = "SELECT coalesce((SELECT min(seq) FROM jobs), 0), coalesce((SELECT max(seq) FROM jobs), 0)"
COUNT_RANGE = "SELECT count(*) FROM jobs NOT INDEXED WHERE seq >= ? AND seq < ?"
PREVIEWS = """
    SELECT jobs.seq, CASE WHEN data_size <= 65536 THEN substr(data, 1, 160) END, outcome, status, error_code, summary
    FROM jobs LEFT JOIN payloads USING (seq)
    LEFT JOIN attempts ON attempts.id = (SELECT max(id) FROM attempts AS each WHERE each.seq = jobs.seq)
    WHERE jobs.seq IN (SELECT value FROM json_each(?))
"""
# Starting from the counts, this reads only the index entries of failed jobs; IDs are looked up at the end.
FAILURES = """
    SELECT namespace, queue, status, cause, n, first, last,
    (SELECT id FROM jobs WHERE seq = newest), (SELECT id FROM jobs WHERE seq = oldest)
    FROM (
        SELECT jobs.namespace, jobs.queue, status, coalesce(summary, error_message, '') AS cause, count(*) AS n,
        min(ended_ms) AS first, max(ended_ms) AS last, max(jobs.seq) AS newest, min(jobs.seq) AS oldest
        FROM counts CROSS JOIN jobs ON jobs.namespace = counts.namespace AND jobs.queue = counts.queue
        AND finished = 'failed'
        JOIN attempts ON attempts.id = (SELECT max(id) FROM attempts AS each WHERE each.seq = jobs.seq)
        WHERE counts.state = 'failed' AND (?1 IS NULL OR counts.namespace = ?1) AND (?2 IS NULL OR counts.queue = ?2)
        GROUP BY 1, 2, 3, 4
    ) ORDER BY last DESC
"""
DELETE_JOBS = """
    DELETE FROM jobs WHERE id IN (SELECT value FROM json_each(?1)) AND finished IS NOT NULL
    AND (?2 IS NULL OR finished = ?2)
"""
DETAIL_SIZES = """
    SELECT seq, data_size + coalesce((SELECT sum(length(response_body)) FROM attempts WHERE seq = jobs.seq), 0)
    FROM jobs WHERE seq IN (SELECT value FROM json_each(?))
"""
PAYLOADS = (
    "SELECT jobs.seq, coalesce(data, CAST('null' AS BLOB)) FROM jobs LEFT JOIN payloads USING (seq) "
    "WHERE jobs.seq IN (SELECT value FROM json_each(?))"
)
ATTEMPTS = f"""
    SELECT seq, {ATTEMPT_COLUMNS} FROM attempts WHERE seq IN (SELECT value FROM json_each(?)) ORDER BY id
"""
COUNTS = """
    SELECT namespace, queue, state, n, CASE state WHEN 'pending' THEN (
        SELECT count(*) FROM jobs WHERE jobs.namespace = counts.namespace AND jobs.queue = counts.queue
        AND finished IS NULL AND due_ms > ?) END
    FROM counts WHERE n > 0
"""
TABLES = ("attempts", "payloads", "jobs", "counts", "numbers", "pauses", "sqlite_sequence")
"""What a reset empties, in this order: the triggers on jobs then have nothing to do."""
