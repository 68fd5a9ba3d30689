"""The checker finds in the history of real processes what is wrong with them."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from localqueue.core.models import Queue
from tests.campaigns.observed import Observed, observing, status_of
from tests.sim.checker import check
from tests.sim.history import Arrived, Called, History, Opened, Returned, Started

SEQ = "(SELECT seq FROM jobs WHERE id = ?)"
AGAIN = "UPDATE jobs SET finished = NULL, finished_ms = NULL, attempt = 0, failures = 0 WHERE id = ?"
OTHER_DATA = f"UPDATE payloads SET data = x'30' WHERE seq = {SEQ}"
DAMAGE = (
    ("I1", 200, "DELETE FROM jobs WHERE id = ?"),
    ("I1", 200, OTHER_DATA),
    ("I3", 500, f"UPDATE attempts SET outcome = 'completed' WHERE number = 1 AND seq = {SEQ}"),
    ("I5", 500, f"UPDATE attempts SET ended_ms = ended_ms + 90, next_due_ms = next_due_ms + 90 WHERE seq = {SEQ}"),
    ("I7", 500, f"DELETE FROM attempts WHERE number = 1 AND seq = {SEQ}"),
)
"""The rule that is broken, what the service responds to the first attempt of the job, and what is done to it."""
LATER_DAMAGE = (("I7", 200, AGAIN), ("I8", 200, f"{OTHER_DATA}; {AGAIN}"))
"""The same for damage that only the next process shows, by what it delivers."""
ENOUGH = 4
"""How many jobs are needed of each response."""


def test_the_checker_finds_damage_in_the_history_of_real_processes(tmp_path: Path) -> None:
    database = tmp_path / ".localqueue" / "queue.db"
    with observing(tmp_path) as observed:
        server = observed.start().wait_ready()
        jobs = _some_jobs(observed, server.url)
        observed.wait_quiet(server)
        server.kill()
        expected = _damage(database, jobs, DAMAGE)
        observed.crashed()
        expected |= _damage(database, jobs, LATER_DAMAGE)
        observed.settle()
    problems = check(observed.history)
    assert [
        (rule, id_) for rule, id_ in expected if not any(each.rule == rule and id_ in each.what for each in problems)
    ] == []


@pytest.mark.parametrize(("concurrency", "rules"), [(2, []), (1, ["I6"])])
def test_the_checker_finds_more_deliveries_at_once_than_slots(concurrency: int, rules: list[str]) -> None:
    queue = Queue("shop", "work", "/work", concurrency=concurrency)
    found = History(lambda: 1, lambda: 1.0)
    found.add(Opened({queue.key: queue}, {"shop": "http://shop"}, 9, "wall", is_remote=True))
    for n in range(2):
        id_, data, url = f"{n:036x}", b"%d" % n, "http://shop/work"
        found.add(Called(n, "enqueue", (queue.key, data)))
        found.add(Returned(n, "ok", id_))
        found.add(Started(queue, id_, 1, data, url))
        found.add(Arrived(id_, "work", 1, data, url))
    assert [problem.rule for problem in check(found, is_settled=False)] == rules


def _some_jobs(observed: Observed, url: str) -> dict[int, list[str]]:
    """Enqueue until there are enough jobs; return them by the response to the first attempt."""
    jobs: dict[int, list[str]] = {200: [], 500: []}
    while min(map(len, jobs.values())) < ENOUGH:
        id_ = observed.enqueue(url)
        jobs[status_of(id_, 1)].append(id_)
    return jobs


def _damage(
    database: Path, jobs: dict[int, list[str]], damage: tuple[tuple[str, int, str], ...]
) -> set[tuple[str, str]]:
    done = set()
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as db:
        for rule, status, statements in damage:
            id_ = jobs[status].pop()
            for statement in statements.split("; "):
                db.execute(statement, (id_,))
            done.add((rule, id_))
    return done
