"""The writer: what shares a transaction, what a bad write costs the others, and who learns of a commit when."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import math
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from localqueue.core import crashpoint
from localqueue.core.errors import StorageUnavailable
from localqueue.store import batch_commit, connections, writer
from localqueue.store.batch_commit import Statement
from localqueue.store.writer import Writer
from tests.support import run_async

ROWS = "SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL"
FACT = Statement(f"INSERT INTO meta {ROWS}", 2)
OTHER = Statement(f"INSERT OR REPLACE INTO meta {ROWS}", 2)


class Bench:
    """Hold a writer and its file; `transactions` has the number of facts after each transaction."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.transactions: list[int] = []

    async def open(self) -> None:
        self.connection, raw = await connections.open_writer(self.path, durable=False)
        self.writer = Writer(self.connection, raw, self._at_end)

    def _at_end(self, connection: sqlite3.Connection) -> None:
        self.transactions.append(connection.execute("SELECT count(*) FROM meta").fetchone()[0])

    async def thread_idle(self) -> None:
        """Return once the connection's thread has done everything that it was given so far."""
        await asyncio.sleep(0)
        await connections.number(self.connection, "SELECT 1")

    def committed(self) -> set[str]:
        """Return the names of the facts that another connection sees."""
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            return {name for (name,) in connection.execute("SELECT name FROM meta")}


@contextlib.asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Bench]:
    bench = Bench(folder / "queue.db")
    await bench.open()
    try:
        yield bench
    finally:
        await bench.writer.close()


Work = Callable[[Bench], Coroutine[Any, Any, None]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Work], None]:
    """Return what plays work with a writer."""

    async def main(work: Work) -> None:
        async with opened(tmp_path) as bench:
            await work(bench)

    return lambda work: run_async(main(work))


def full(connection: sqlite3.Connection) -> None:
    raise sqlite3.OperationalError("database or disk is full")


def test_everything_that_waits_shares_a_transaction(play: Callable[[Work], None]) -> None:
    async def work(bench: Bench) -> None:
        await asyncio.gather(*(bench.writer.write((FACT, (f"{n}", "x"))) for n in range(10)))
        assert bench.transactions == [10]
        assert bench.committed() == {f"{n}" for n in range(10)}

    play(work)


def test_a_write_that_is_alone_has_a_transaction_between_those_before_and_after_it(
    play: Callable[[Work], None],
) -> None:
    async def work(bench: Bench) -> None:
        count = "SELECT count(*) FROM meta"
        futures = [
            bench.writer.write((FACT, ("a", "x"))),
            bench.writer.write((FACT, ("b", "x"))),
            bench.writer.write((OTHER, ("c", "x")), alone=True),
            bench.writer.write((FACT, ("d", "x"))),
            bench.writer.call(lambda connection: connection.execute(count).fetchone()[0], alone=True),
            bench.writer.write((FACT, ("e", "x"))),
        ]
        assert (await asyncio.gather(*futures))[4] == 4
        assert bench.transactions == [2, 3, 4, 4, 5]

    play(work)


def test_a_write_that_is_refused_fails_none_of_the_others(play: Callable[[Work], None]) -> None:
    async def work(bench: Bench) -> None:
        await bench.writer.write((FACT, ("taken", "x")))
        futures = [bench.writer.write((FACT, (name, "x"))) for name in ("a", "taken", "b")]
        results = await asyncio.gather(*futures, return_exceptions=True)
        assert (results[0], results[2]) == (None, None)
        assert isinstance(results[1], StorageUnavailable)
        assert bench.committed() == {"taken", "a", "b"}

    play(work)


def test_an_error_of_our_own_fails_its_write_and_neither_the_others_nor_the_writer(
    play: Callable[[Work], None],
) -> None:
    async def work(bench: Bench) -> None:
        for value in (2**70, "\ud800"):  # neither can be stored, and sqlite3 says so with errors that aren't its own
            futures = [bench.writer.write((FACT, (str(type(value)), "x"))), bench.writer.write((FACT, ("odd", value)))]
            good, bad = await asyncio.gather(*futures, return_exceptions=True)
            assert good is None and isinstance(bad, StorageUnavailable)
        assert "odd" not in bench.committed()
        await bench.writer.settled()

    play(work)


def test_a_full_disk_fails_every_write_of_the_batch_and_is_tried_once(play: Callable[[Work], None]) -> None:
    """Rule storage.full-disk."""

    async def work(bench: Bench) -> None:
        calls: list[int] = []

        def failing(connection: sqlite3.Connection) -> None:
            calls.append(1)
            full(connection)

        futures = [bench.writer.write((FACT, ("a", "x"))), bench.writer.call(failing)]
        for error in await asyncio.gather(*futures, return_exceptions=True):
            assert isinstance(error, StorageUnavailable)
            assert error.message == "the database can't be written: database or disk is full"
            assert error.hint.startswith("Free some space"), "the log says itself that no job was stored"
        assert (bench.committed(), calls) == (set(), [1])
        assert bench.writer.error == "database or disk is full"
        await bench.writer.write((FACT, ("b", "x")))
        assert (bench.committed(), bench.writer.error) == ({"b"}, None)

    play(work)


def test_a_commit_that_fails_before_it_starts_fails_what_waits(play: Callable[[Work], None]) -> None:
    """Rule storage.full-disk."""

    async def work(bench: Bench) -> None:
        real, failures = bench.connection.commit, [sqlite3.OperationalError("disk I/O error")]

        async def commit() -> None:
            if failures:
                raise failures.pop()
            await real()

        bench.connection.commit = commit  # type: ignore[method-assign]
        with pytest.raises(StorageUnavailable, match="disk I/O error"):
            await bench.writer.write((FACT, ("a", "x")))
        await bench.writer.write((FACT, ("b", "x")))
        assert bench.committed() == {"b"}

    play(work)


def test_whoever_waits_for_a_commit_learns_of_it_before_the_callers(play: Callable[[Work], None]) -> None:
    async def work(bench: Bench) -> None:
        seen: list[str] = []

        def then() -> None:
            seen.append(f"then {sorted(bench.committed())}")

        future = bench.writer.write((FACT, ("a", "x")), then=then)
        future.add_done_callback(lambda _: seen.append("caller"))
        await future
        assert seen == ["then ['a']", "caller"]

    play(work)


def test_a_caller_that_has_left_changes_nothing(play: Callable[[Work], None]) -> None:
    async def work(bench: Bench) -> None:
        seen: list[str] = []
        gone = bench.writer.write((FACT, ("a", "x")), then=lambda: seen.append("then"))
        failing = bench.writer.call(full, alone=True)
        gone.cancel()
        failing.cancel()
        await bench.writer.settled()
        assert (bench.committed(), seen) == ({"a"}, ["then"])

    play(work)


def test_a_failure_that_nobody_waits_for_is_not_complained_about(play: Callable[[Work], None]) -> None:
    async def work(bench: Bench) -> None:
        complaints: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        bench.writer.call(full)
        await bench.writer.settled()
        gc.collect()
        assert complaints == []

    play(work)


def test_it_is_idle_while_nothing_waits_or_runs(play: Callable[[Work], None]) -> None:
    async def work(bench: Bench) -> None:
        await bench.writer.settled()
        futures = [bench.writer.write((FACT, (name, "x")), alone=True) for name in "abc"]
        assert not bench.writer.is_idle
        settled = asyncio.create_task(bench.writer.settled())
        await futures[0]
        assert not bench.writer.is_idle
        await settled
        assert bench.writer.is_idle and all(future.done() for future in futures)

    play(work)


def test_it_is_not_idle_while_one_of_two_commits_runs(play: Callable[[Work], None]) -> None:
    async def work(bench: Bench) -> None:
        real, may_end, calls = bench.connection.commit, asyncio.Event(), itertools.count(1)

        async def commit() -> None:
            number = next(calls)
            await real()
            if number == 2:
                await may_end.wait()

        bench.connection.commit = commit  # type: ignore[method-assign]
        first, second = (bench.writer.write((FACT, (name, "x")), alone=True) for name in "ab")
        await first
        await asyncio.sleep(0)
        assert not bench.writer.is_idle and not second.done()
        may_end.set()
        await bench.writer.settled()
        assert second.done()

    play(work)


def test_the_next_commit_can_be_waited_for_by_several(play: Callable[[Work], None]) -> None:
    async def work(bench: Bench) -> None:
        waiting = [asyncio.create_task(bench.writer.committed()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        assert not any(task.done() for task in waiting[1:])
        await bench.writer.write((FACT, ("a", "x")))
        await asyncio.gather(*waiting[1:])
        again = asyncio.create_task(bench.writer.committed())
        await asyncio.sleep(0)
        assert not again.done()
        await bench.writer.write((FACT, ("b", "x")))
        await again

    play(work)


def test_closing_commits_what_waits_and_refuses_what_comes_later(tmp_path: Path) -> None:
    async def main() -> None:
        bench = Bench(tmp_path / "queue.db")
        await bench.open()
        futures = [bench.writer.write((FACT, (name, "x")), alone=True) for name in "abc"]
        await bench.writer.close()
        assert all(future.done() for future in futures)
        assert bench.committed() == {"a", "b", "c"}
        with pytest.raises(StorageUnavailable, match=r"^the store is closed$"):
            await bench.writer.write((FACT, ("d", "x")))
        with pytest.raises(ValueError, match="no active connection"):
            await bench.connection.commit()

    run_async(main())


def test_a_transaction_is_committed_between_its_two_crash_points(
    play: Callable[[Work], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(bench: Bench) -> None:
        reached: list[tuple[str, set[str]]] = []
        monkeypatch.setattr(crashpoint, "reach", lambda point: reached.append((point, bench.committed())))
        await bench.writer.write((FACT, ("a", "x")))
        assert reached == [("before-commit", set()), ("after-commit", {"a"})]

    play(work)


def test_an_exception_in_a_transaction_undoes_it(play: Callable[[Work], None]) -> None:
    async def work(bench: Bench) -> None:
        def roll_back(connection: sqlite3.Connection) -> None:
            connection.rollback()  # as SQLite does by itself when a disk is full
            full(connection)

        for call in (full, roll_back):
            futures = [bench.writer.write((FACT, ("a", "x"))), bench.writer.call(call)]
            await asyncio.gather(*futures, return_exceptions=True)
            assert bench.committed() == set()
        await bench.writer.write((FACT, ("b", "x")))
        assert bench.committed() == {"b"}

    play(work)


def test_writes_that_can_wait_are_committed_with_the_next_that_can_not(
    play: Callable[[Work], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(bench: Bench) -> None:
        patient = [bench.writer.write((FACT, (name, "x")), can_wait=True) for name in "ab"]
        await bench.thread_idle()
        assert bench.committed() == set()
        await bench.writer.write((FACT, ("c", "x")))
        assert all(future.done() for future in patient)
        assert bench.transactions == [3]

    monkeypatch.setattr(writer, "PATIENCE_S", 3600.0)
    play(work)


def test_a_write_that_can_wait_is_not_committed_by_the_rest_of_an_earlier_one(
    play: Callable[[Work], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(bench: Bench) -> None:
        has_begun, is_written, loop = asyncio.Event(), threading.Event(), asyncio.get_running_loop()

        def call(_: sqlite3.Connection) -> None:
            loop.call_soon_threadsafe(has_begun.set)
            is_written.wait(10)

        running = bench.writer.call(call)
        await has_begun.wait()  # the second committer's batch follows at once
        patient = bench.writer.write((FACT, ("a", "x")), can_wait=True)
        is_written.set()
        await running
        await bench.thread_idle()
        assert bench.committed() == set()
        await bench.writer.write((FACT, ("b", "x")))
        assert patient.done()

    monkeypatch.setattr(writer, "PATIENCE_S", 3600.0)
    play(work)


def test_writes_that_can_wait_do_not_wait_for_long(play: Callable[[Work], None]) -> None:
    async def work(bench: Bench) -> None:
        await asyncio.gather(*(bench.writer.write((FACT, (name, "x")), can_wait=True) for name in "ab"))
        assert bench.transactions == [2]
        await bench.writer.settled()
        await bench.writer.write((FACT, ("c", "x")), can_wait=True)
        assert bench.transactions == [2, 3]

    play(work)


def test_many_writes_that_can_wait_wait_for_no_more(
    play: Callable[[Work], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(bench: Bench) -> None:
        await asyncio.gather(*(bench.writer.write((FACT, (f"{n}", "x")), can_wait=True) for n in range(writer.GROUP)))
        assert len(bench.committed()) == writer.GROUP

    monkeypatch.setattr(writer, "PATIENCE_S", 3600.0)
    play(work)


def test_a_writer_that_closes_commits_what_can_wait(play: Callable[[Work], None], tmp_path: Path) -> None:
    async def work(bench: Bench) -> None:
        future = bench.writer.write((FACT, ("a", "x")), can_wait=True)
        await bench.writer.close()
        assert future.done()
        assert bench.committed() == {"a"}

    play(work)


def test_equal_statements_take_many_rows_at_once_in_the_order_of_their_first_row(
    play: Callable[[Work], None],
) -> None:
    async def work(bench: Bench) -> None:
        texts: list[str] = []
        futures = [bench.writer.call(lambda connection: connection.set_trace_callback(texts.append))]
        await asyncio.gather(*futures)
        await bench.writer.settled()  # else the thread still looks for writes, and takes the first rows alone
        rows = [((OTHER if n % 2 else FACT), (f"{n:03}", "x")) for n in range(200)]
        await asyncio.gather(*(bench.writer.write(row) for row in rows))
        inserts = [text for text in texts if text.startswith("INSERT")]
        assert [text.count("('") for text in inserts] == [64, 36] * 2
        assert ["REPLACE" in text for text in inserts] == [False] * 2 + [True] * 2
        assert len(bench.committed()) == 200

    play(work)


@pytest.mark.parametrize("count", [0, 1, 2, 9, 63, 64, 65, 150])
def test_every_row_is_written_once_whatever_their_number(count: int) -> None:
    texts: list[str] = []
    names = [f"{n:03}" for n in range(count)]
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE meta (name TEXT NOT NULL, value TEXT NOT NULL)")
        connection.set_trace_callback(texts.append)
        FACT.execute(connection, [(name, "x") for name in names])
        connection.set_trace_callback(None)
        assert [name for (name,) in connection.execute("SELECT name FROM meta ORDER BY rowid")] == names
    assert len(texts) == math.ceil(count / 64)


def test_a_connection_without_batches_commits_as_any_other(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with contextlib.closing(sqlite3.connect(path, factory=batch_commit.BatchConnection)) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("INSERT INTO t VALUES (1)")
        connection.commit()
        assert not connection.in_transaction
