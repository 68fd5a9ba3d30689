-- Failed jobs are pruned last: they are what people look for.
DROP INDEX jobs_finished;
CREATE INDEX jobs_by_pruning ON jobs (finished = 'failed', finished_ms, seq) WHERE finished IS NOT NULL;
