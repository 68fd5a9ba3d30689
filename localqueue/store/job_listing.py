"""Choose jobs for a list: newest first, in pages that stay correct while jobs arrive.

A page begins behind a seq, and a new job has a higher one than all before. Mostly the newest jobs fill a page, which
a glance at them finds. Else every choice by queue or state is made up of ranges of an index, one for each queue:
`jobs_by_state` has the finished jobs in order of seq; `jobs_pending` has the others in order of due time, so that
these are sorted, which takes about 0.2 s for a million of them. A part of an id is looked for in the whole table.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from localqueue.core.models import JobFilter, JobState, QueueKey
from localqueue.store.row_mapping import JOB_COLUMNS

Query = tuple[str, list[Any]]
KEYS_AT_ONCE = 100
"""SQLite takes at most 500 SELECTs in one statement, and a queue without a state needs four."""
ANY_STATE: list[Query] = [
    ("finished IS NULL", []),
    *(("finished = ?", [state]) for state in JobState if state.is_finished),
]
NEWEST = 2000
"""How many jobs a glance looks at, which takes about 1 ms."""
WHOLE_ID = 36
"""The length of an id that is not cut."""


def queries(chosen: JobFilter, keys: Collection[QueueKey], now_ms: int, running: Collection[int]) -> Iterator[Query]:
    """Yield statements whose rows, newest first and cut at the limit, are the page.

    `keys` are all queues that have jobs, `running` the seqs of the jobs under way.
    """
    if (
        chosen.id is not None
        or chosen.state is JobState.RUNNING
        or (chosen.namespace, chosen.queue, chosen.state) == (None, None, None)
    ):
        yield _along_the_table(chosen, now_ms, running)
        return
    fitting = [key for key in keys if chosen.fits(key)]
    for start in range(0, len(fitting), KEYS_AT_ONCE):
        yield _by_queue(chosen, fitting[start : start + KEYS_AT_ONCE], now_ms, running)


def newest_page(chosen: JobFilter, now_ms: int, running: Collection[int]) -> Query:
    """Return a statement that looks at the newest jobs alone: if its page is full, it is the page."""
    where, values = _all_of(_conditions(chosen, now_ms, running))
    newest = "SELECT * FROM jobs NOT INDEXED WHERE seq < ? ORDER BY seq DESC LIMIT ?"
    sql = f"SELECT {JOB_COLUMNS} FROM ({newest}) WHERE {where} ORDER BY seq DESC LIMIT ?"
    return sql, [chosen.before, NEWEST, *values, chosen.limit]


def _along_the_table(chosen: JobFilter, now_ms: int, running: Collection[int]) -> Query:
    where, values = _all_of(_conditions(chosen, now_ms, running))
    only = "" if chosen.id is not None and len(chosen.id) == WHOLE_ID else "NOT INDEXED"  # by seq it may go
    return f"SELECT {JOB_COLUMNS} FROM jobs {only} WHERE {where} ORDER BY seq DESC LIMIT ?", [*values, chosen.limit]


def _conditions(chosen: JobFilter, now_ms: int, running: Collection[int]) -> list[Query]:
    conditions: list[Query] = [("seq < ?", [chosen.before])]
    if chosen.id is not None:
        conditions.append(_id_condition(chosen.id))
    if chosen.namespace is not None:
        conditions.append(("namespace = ?", [chosen.namespace]))
    if chosen.queue is not None:
        conditions.append(("queue = ?", [chosen.queue]))
    if chosen.state is not None:
        conditions += [_on_disk(chosen.state, now_ms), _under_way(chosen.state, running)]
    return conditions


def _id_condition(part: str) -> Query:
    if len(part) == WHOLE_ID:
        return "id = ?", [part]
    # Most ids are ruled out by the first condition, which is the cheapest.
    return "instr(id, ?) AND (id GLOB ? OR substr(id, -8) GLOB ?)", [part, f"{part}*", f"{part}*"]


def _by_queue(chosen: JobFilter, keys: Iterable[QueueKey], now_ms: int, running: Collection[int]) -> Query:
    parts = [_on_disk(chosen.state, now_ms)] if chosen.state is not None else ANY_STATE
    enough = chosen.limit + len(running)  # what is under way is taken out of them afterwards, which is faster
    ranges = [_range(key, part, chosen.before, enough) for key in keys for part in parts]
    seqs = " UNION ALL ".join(f"SELECT seq FROM ({sql})" for sql, _ in ranges)
    inner: Query = (f"seq IN ({seqs})", [value for _, found in ranges for value in found])
    where, values = _all_of([inner, _under_way(chosen.state, running)])
    return f"SELECT {JOB_COLUMNS} FROM jobs WHERE {where} ORDER BY seq DESC LIMIT ?", [*values, chosen.limit]


def _range(key: QueueKey, part: Query, before: int, limit: int) -> Query:
    where, values = _all_of([("namespace = ? AND queue = ?", [*key]), part, ("seq < ?", [before])])
    return f"SELECT seq FROM jobs WHERE {where} ORDER BY seq DESC LIMIT ?", [*values, limit]


def _on_disk(state: JobState, now_ms: int) -> Query:
    if state.is_finished:
        return "finished = ?", [state]
    if state is JobState.RUNNING:
        return "finished IS NULL", []
    return f"finished IS NULL AND due_ms {'<=' if state is JobState.QUEUED else '>'} ?", [now_ms]


def _under_way(state: JobState | None, running: Collection[int]) -> Query:
    if state is None or state.is_finished:
        return "1", []
    negation = "" if state is JobState.RUNNING else "NOT"
    return f"seq {negation} IN (SELECT value FROM json_each(?))", [json.dumps(list(running))]


def _all_of(conditions: Sequence[Query]) -> Query:
    return " AND ".join(sql for sql, _ in conditions), [value for _, values in conditions for value in values]
