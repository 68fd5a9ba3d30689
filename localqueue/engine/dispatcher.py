"""Decide what starts when: due times, slots, and the stop with its grace period."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping

from localqueue.core import events
from localqueue.core.clock import Clock
from localqueue.core.models import Job, OutcomeKind, Queue, QueueKey
from localqueue.engine.executor import Deliverer, Executor
from localqueue.engine.prefetch_loader import PrefetchLoader
from localqueue.engine.queue_state import QueueState, QueueStates
from localqueue.engine.running_attempts import AttemptBatch, RunningAttempt
from localqueue.store.store import Store


class Dispatcher:
    """The queues and what runs in them: it starts every job that is due and has a slot."""

    def __init__(
        self, clock: Clock, store: Store, deliverer: Deliverer, report: events.Report, *, has_timeouts: bool
    ) -> None:
        self._clock = clock
        self._store = store
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._states = QueueStates()
        self._executor = Executor(clock, store, deliverer, report, self, self.failure, has_timeouts)
        self._loader = PrefetchLoader(clock, store, report, self._changed, self.failure)
        self._targets: Mapping[str, str] = {}
        self._claims: set[int] = set()
        self._wake = asyncio.Event()
        self._alarm: int | None = None
        self._waiters: list[asyncio.Future[None]] = []
        self._is_looping = False
        self._is_clearing = False
        self._is_stopping = False
        self._gated: Collection[str] = ()
        self._skip_grace = asyncio.Event()

    # what it is given

    def configure(
        self, queues: Mapping[QueueKey, Queue], targets: Mapping[str, str], paused: Collection[QueueKey] = frozenset()
    ) -> None:
        """Apply a catalog to new attempts; queues that it lacks and paused queues are held."""
        self._targets = targets
        self._states.configure(queues, paused)
        self.gate(self._gated)

    def gate(self, namespaces: Collection[str]) -> None:
        """Hold the queues of these namespaces, whose services don't listen, and of no others."""
        self._gated = namespaces
        for state in self._states.by_key.values():
            is_down = state.key[0] in namespaces
            if state.is_service_down != is_down:
                state.is_service_down = is_down
                self._changed(state)
        self.wake()

    def offer(self, job: Job, data: bytes | None = None) -> None:
        """Take in a job that is pending on disk."""
        state = self._states.by_key.get(job.key)
        if state is not None:
            state.window.offer(job, data)
            self._changed(state)

    def occupy_slot(self, key: QueueKey, until_ms: int) -> None:
        """Keep a slot taken until then, for an attempt of an earlier run that timed out."""
        self._states.by_key.setdefault(key, QueueState(key)).occupied_until.append(until_ms)

    def wake(self) -> None:
        """Look again at what can start: something changed, or the clock jumped."""
        self._wake.set()
        self._notify()

    def mark_changed(self, state: QueueState) -> None:
        """Look at a queue the next time."""
        self._states.mark_changed(state)

    def take_back(self, state: QueueState, job: Job, data: bytes | None) -> None:
        """Release a job whose attempt is over; it starts again when it is due, if it is still pending."""
        state.window.put_back(job.seq)
        if job.finished is None:
            self.offer(job, data)
        self._notify()

    def _changed(self, state: QueueState) -> None:
        self._states.mark_changed(state)
        self.wake()

    def _notify(self) -> None:
        if self._waiters:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    # what it knows

    @property
    def running(self) -> Mapping[int, RunningAttempt]:
        """Return the running attempts by the seq of their job."""
        return self._executor.running

    @property
    def queues(self) -> Mapping[QueueKey, QueueState]:
        """Return the state of each queue."""
        return self._states.by_key

    @property
    def is_stopping(self) -> bool:
        """Return whether nothing starts any more."""
        return self._is_stopping

    @property
    def is_ending(self) -> bool:
        """Return whether a stop or a reset waits for the running attempts."""
        return self._is_stopping or self._is_clearing

    def is_drained(self, until: int | None) -> bool:
        """Return whether no job due up to `until` in ms (None: ever) runs, or waits in a queue that isn't held."""
        if any(until is None or attempt.before.due_ms <= until for attempt in self.running.values()):
            return False
        return all(state.is_held or state.window.is_clear(until) for state in self._states.by_key.values())

    def next_due(self) -> int | None:
        """Return when the next job that has a slot is due, in ms, or None."""
        return None if self._is_blocked else self._states.next_start(self._clock.now())

    def last_occupied(self) -> int:
        """Return until when attempts that timed out keep slots, in ms; 0 if none does."""
        return max((until for state in self._states.by_key.values() for until in state.occupied_until), default=0)

    @property
    def is_idle(self) -> bool:
        """Return whether no attempt runs, no job is being changed, and the next jobs are in memory."""
        is_loaded = not any(state.needs_load for state in self._states.changed)
        return is_loaded and not (self._executor.tasks or self._claims or self._loader.is_loading)

    @property
    def _is_blocked(self) -> bool:
        return self._is_clearing or self._executor.is_blocked

    # waiting for it

    async def next_change(self) -> None:
        """Return when something has changed."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    async def wait_attempts(self) -> None:
        """Return when no attempt runs and no job is being changed."""
        while self._executor.tasks or self._claims:
            await (self._executor.tasks.wait() if self._executor.tasks else self.next_change())

    async def wait_loaded(self) -> None:
        """Return when the next jobs of every queue are in memory."""
        while True:
            for state in self._states.changed:
                self._fill(state)
            if not self._loader.is_loading:
                return
            await self._loader.wait()

    @contextlib.contextmanager
    def only(self, is_wanted: Callable[[QueueKey], bool]) -> Iterator[None]:
        """Start no job of an unwanted queue meanwhile."""
        suspended = [state for state in self._states.by_key.values() if not is_wanted(state.key)]
        try:
            self._suspend(suspended, True)
            yield
        finally:
            self._suspend(suspended, False)

    def _suspend(self, states: Iterable[QueueState], is_suspended: bool) -> None:
        for state in states:
            state.is_suspended = is_suspended
            self._changed(state)

    # changes by hand

    def claim(self, job: Job) -> bool:
        """Keep a waiting job from starting or being claimed by another; return False if that can't be done now."""
        if self._is_clearing or job.seq in self.running or job.seq in self._claims:
            return False
        state = self._states.by_key.get(job.key)
        if state is not None:
            state.window.take(job.seq)
            self._states.mark_changed(state)
        self._claims.add(job.seq)
        return True

    def release(self, before: Job, after: Job | None) -> None:
        """End a claim; the job starts when it is due, as it is now. None: read it again from disk."""
        self._claims.discard(before.seq)
        state = self._states.by_key.get(before.key)
        if state is not None:
            state.window.put_back(before.seq)
            if after is None:
                state.window = state.window.reloaded()
            self._changed(state)
        if after is not None and after.finished is None:
            self.offer(after)
        self.wake()

    async def cut_off(self, seq: int, kind: OutcomeKind) -> None:
        """End a running attempt, and return once that is on disk."""
        await asyncio.wait([self.running[seq].cut_off(kind)])

    async def clear(self, wipe: Callable[[], Awaitable[None]]) -> None:
        """End the running attempts, forget every job, and let `wipe` empty the disk.

        Forget first: jobs that arrive meanwhile belong to the time after it. If `wipe` fails, read the jobs again.
        """
        self._is_clearing = True
        states = self._states.by_key.values()
        try:
            self._cut_off_all()
            await self.wait_attempts()
            await self._loader.wait()
            for state in states:
                state.window = state.window.emptied()
            await wipe()
            for state in states:
                state.occupied_until.clear()
        except BaseException:
            for state in states:
                state.window = state.window.reloaded()
            raise
        finally:
            self._states.mark_all_changed()
            self._is_clearing = False
            self.wake()

    def _cut_off_all(self) -> None:
        for attempt in list(self.running.values()):
            attempt.cut_off(OutcomeKind.INTERRUPTED)

    # the loop

    async def run(self) -> None:
        """Start what is due, then wait for the next due time or for a change, until the stop."""
        self._is_looping = True
        while not self._is_stopping:
            self._wake.clear()
            self.start_due()
            self._alarm = self.next_due()
            await self._clock.wait(self._alarm, self._wake)
            await self._store.after_burst()  # bursts of enqueues take priority over dispatch

    def start_next(self) -> None:
        """Start what a free slot allows: at once, without a turn of the loop, if it runs."""
        if not self._is_looping or self._store.has_burst:
            self.wake()
            return
        self.start_due()
        if self.next_due() != self._alarm:
            self._wake.set()

    def start_due(self, batch: AttemptBatch | None = None, limit: int | None = None) -> bool:
        """Start what is due and has a slot, by due time and enqueue sequence; return whether anything was.

        The outcomes of a batch are applied in starting order. `limit` is the largest number of attempts.
        """
        if self._is_blocked or self._is_stopping:
            return False
        now = self._clock.now()
        states = self._states.take_ready(now)
        due = [(pending.order, pending, state) for state in states for pending in state.take_due(now)]
        due.sort(key=lambda item: item[0])
        for _, pending, state in due[:limit]:
            self._executor.start(state, pending, self._targets[pending.job.namespace], now, batch)
        if limit is not None:
            for _, pending, state in due[limit:]:
                self.take_back(state, pending.job, pending.data)
        for state in states:
            self._fill(state)
            self._states.schedule(state, now)
        return bool(due)

    def _fill(self, state: QueueState) -> None:
        if not self.is_ending:
            self._loader.fill(state)

    # the stop

    async def stop(self, grace: float) -> None:
        """Start nothing more; give attempts `grace` seconds, then record the rest as interrupted."""
        self._is_stopping = True
        self.wake()
        if self._executor.tasks:
            skipped = asyncio.create_task(self._skip_grace.wait())
            finished = asyncio.create_task(self._executor.tasks.wait())
            await asyncio.wait([skipped, finished], timeout=grace, return_when=asyncio.FIRST_COMPLETED)
            skipped.cancel()
            finished.cancel()
        self._cut_off_all()
        await self._executor.tasks.wait()
        await self._loader.wait()

    def skip_grace(self) -> None:
        """End the grace period of a running stop."""
        self._skip_grace.set()
