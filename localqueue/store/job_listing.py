"""Choose jobs for a list: newest first, in pages that stay correct while jobs arrive.

A page starts after a seq, and a new job has a higher seq than all before. Usually the newest jobs fill a page, so they
are read first. Otherwise a filter by queue or state reads ranges of an index, one for each queue: `jobs_by_state` has
the finished jobs in order of seq; `jobs_pending` has the others in order of due time, and sorting a million of them
takes about 0.2 s. Anything without an index (part of an ID, a text, a status, a time) is searched for in steps.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from localqueue.core.models import WHOLE_ID, JobFilter, JobState, QueueKey
from localqueue.store.row_mapping import JOB_COLUMNS

Query = tuple[str, list[Any]]
KEYS_AT_ONCE = 100
"""SQLite takes at most 500 SELECTs in one statement, and a queue without a state needs four."""
ANY_STATE: list[Query] = [
    ("finished IS NULL", []),
    *(("finished = ?", [state]) for state in JobState if state.is_finished),
]
NEWEST = 2000
"""How many of the newest jobs are read first, which takes about 1 ms."""
LATEST = "ORDER BY id DESC LIMIT 1"


def queries(wanted: JobFilter, keys: Collection[QueueKey], now_ms: int, running: Collection[int]) -> Iterator[Query]:
    """Yield statements whose rows together, sorted and cut at the limit, are the page.

    `keys` are the queues that have jobs, `running` the seqs of the running attempts.
    """
    if (
        wanted.id is not None
        or wanted.state is JobState.RUNNING
        or (wanted.namespace, wanted.queue, wanted.state) == (None, None, None)
    ):
        yield _scan(wanted, now_ms, running)
        return
    fitting = [key for key in keys if wanted.fits(key)]
    for start in range(0, len(fitting), KEYS_AT_ONCE):
        yield _by_queue(wanted, fitting[start : start + KEYS_AT_ONCE], now_ms, running)


def newest_page(wanted: JobFilter, now_ms: int, running: Collection[int]) -> Query:
    """Return a statement that reads only the newest jobs; if they fill the page, it is done."""
    where, values = _all_of(_conditions(wanted, now_ms, running))
    newest = "SELECT * FROM jobs NOT INDEXED WHERE seq < ? ORDER BY seq DESC LIMIT ?"
    sql = f"SELECT {JOB_COLUMNS} FROM ({newest}) AS jobs WHERE {where} ORDER BY seq DESC LIMIT ?"
    return sql, [wanted.before, NEWEST, *values, wanted.limit]


def newest_from(wanted: JobFilter, lowest: int, now_ms: int, running: Collection[int]) -> Query:
    """Return a statement for the newest jobs that fit, of those from a seq on."""
    where, values = _all_of([("seq >= ?", [lowest]), *_conditions(wanted, now_ms, running)])
    sql = f"SELECT {JOB_COLUMNS} FROM jobs NOT INDEXED WHERE {where} ORDER BY seq DESC LIMIT ?"
    return sql, [*values, wanted.limit]


def oldest(wanted: JobFilter, after: int, last: int, now_ms: int, running: Collection[int]) -> Query:
    """Return a statement for the jobs that fit, of those after a seq and up to another one, in enqueue order."""
    where, values = _all_of([("seq > ? AND seq <= ?", [after, last]), *_conditions(wanted, now_ms, running)])
    return f"SELECT {JOB_COLUMNS} FROM jobs NOT INDEXED WHERE {where} ORDER BY seq", values


def last_of_step(after: int, last: int, limit: int) -> Query:
    """Return a statement for the highest seq of the next jobs after a seq and up to another one; NULL without any."""
    inner = "SELECT seq FROM jobs WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
    return f"SELECT max(seq) FROM ({inner})", [after, last, limit]


def _scan(wanted: JobFilter, now_ms: int, running: Collection[int]) -> Query:
    where, values = _all_of(_conditions(wanted, now_ms, running))
    only = "NOT INDEXED" if wanted.id is None else ""  # by seq; a whole ID by its index
    return f"SELECT {JOB_COLUMNS} FROM jobs {only} WHERE {where} ORDER BY seq DESC LIMIT ?", [*values, wanted.limit]


def _conditions(wanted: JobFilter, now_ms: int, running: Collection[int]) -> list[Query]:
    conditions: list[Query] = [("seq < ?", [wanted.before])]
    if wanted.id is not None:
        conditions.append(_id_condition(wanted.id))
    if wanted.namespace is not None:
        conditions.append(("namespace = ?", [wanted.namespace]))
    if wanted.queue is not None:
        conditions.append(("queue = ?", [wanted.queue]))
    if wanted.since_ms is not None:
        conditions.append(("created_ms >= ?", [wanted.since_ms]))
    if wanted.until_ms is not None:
        conditions.append(("created_ms < ?", [wanted.until_ms]))
    if wanted.status is not None:
        conditions.append((f"(SELECT status FROM attempts WHERE seq = jobs.seq {LATEST}) = ?", [wanted.status]))
    if wanted.text is not None:
        conditions.append(_text_condition(wanted.text))
    if wanted.is_finished is not None:
        conditions.append((f"finished IS {'NOT ' if wanted.is_finished else ''}NULL", []))
    if wanted.state is not None:
        conditions += [_on_disk(wanted.state, now_ms), _running_condition(wanted.state, running)]
    return conditions


def _text_condition(text: str) -> Query:
    """Return the condition that a text occurs in the ID, the payload, or a response; upper and lower case differ."""
    raw = text.encode()
    payload = "(SELECT instr(data, ?) FROM payloads WHERE seq = jobs.seq)"
    responses = (
        "EXISTS (SELECT 1 FROM attempts WHERE seq = jobs.seq AND (instr(response_body, ?) OR instr(summary, ?)))"
    )
    return f"(instr(id, ?) OR {payload} OR {responses})", [text.lower(), raw, raw, text]


def _id_condition(part: str) -> Query:
    if len(part) == WHOLE_ID:
        return "id = ?", [part]
    # Most ids are ruled out by the first condition, which is the cheapest.
    return "instr(id, ?) AND (id GLOB ? OR substr(id, -8) GLOB ?)", [part, f"{part}*", f"{part}*"]


def _by_queue(wanted: JobFilter, keys: Iterable[QueueKey], now_ms: int, running: Collection[int]) -> Query:
    parts = [_on_disk(wanted.state, now_ms)] if wanted.state is not None else ANY_STATE
    enough = wanted.limit + len(running)  # running jobs are filtered out afterwards, which is faster
    ranges = [_range(key, part, wanted.before, enough) for key in keys for part in parts]
    seqs = " UNION ALL ".join(f"SELECT seq FROM ({sql})" for sql, _ in ranges)
    inner: Query = (f"seq IN ({seqs})", [value for _, values in ranges for value in values])
    where, values = _all_of([inner, _running_condition(wanted.state, running)])
    return f"SELECT {JOB_COLUMNS} FROM jobs WHERE {where} ORDER BY seq DESC LIMIT ?", [*values, wanted.limit]


def _range(key: QueueKey, part: Query, before: int, limit: int) -> Query:
    where, values = _all_of([("namespace = ? AND queue = ?", [*key]), part, ("seq < ?", [before])])
    return f"SELECT seq FROM jobs WHERE {where} ORDER BY seq DESC LIMIT ?", [*values, limit]


def _on_disk(state: JobState, now_ms: int) -> Query:
    if state.is_finished:
        return "finished = ?", [state]
    if state is JobState.RUNNING:
        return "finished IS NULL", []
    return f"finished IS NULL AND due_ms {'<=' if state is JobState.QUEUED else '>'} ?", [now_ms]


def _running_condition(state: JobState | None, running: Collection[int]) -> Query:
    if state is None or state.is_finished:
        return "1", []
    negation = "" if state is JobState.RUNNING else "NOT"
    return f"seq {negation} IN (SELECT value FROM json_each(?))", [json.dumps(list(running))]


def _all_of(conditions: Sequence[Query]) -> Query:
    return " AND ".join(sql for sql, _ in conditions), [value for _, values in conditions for value in values]
