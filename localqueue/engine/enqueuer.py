"""Accept new jobs: number them, store them, offer them to the dispatcher."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from localqueue.catalog.active_catalog import ActiveCatalog
from localqueue.core import events, ids
from localqueue.core.clock import Clock
from localqueue.core.errors import ShuttingDown
from localqueue.core.models import Job, Queue, QueueKey
from localqueue.engine.dispatcher import Dispatcher
from localqueue.engine.prefetch import SMALL_PAYLOAD
from localqueue.store.store import Store


class Enqueuer:
    """The way in for jobs. `seed` makes their ids reproducible."""

    def __init__(
        self,
        active: ActiveCatalog,
        clock: Clock,
        store: Store,
        dispatcher: Dispatcher,
        hub: events.Hub,
        seed: int | None,
    ) -> None:
        self._active = active
        self._clock = clock
        self._store = store
        self._dispatcher = dispatcher
        self._hub = hub
        self._seed = seed
        self._epoch = 0
        self._restarted: asyncio.Event | None = None
        self._numbers: dict[QueueKey, int] = {}
        self.next_seq = 1
        """The sequence number of the next job; it rises by one with each job."""
        self.is_closed = False
        """Whether new jobs are refused."""

    @property
    def numbers(self) -> Mapping[QueueKey, int]:
        """Return how many jobs each queue has had since the last reset."""
        return self._numbers

    def restore(self, next_seq: int, numbers: Mapping[QueueKey, int]) -> None:
        """Continue where an earlier run stopped."""
        self.next_seq, self._numbers = next_seq, dict(numbers)

    def restart(self) -> tuple[int, Mapping[QueueKey, int]]:
        """Begin at 1 again, and return what `restore` needs to undo that.

        Jobs that are committed before the disk is emptied are not offered to the dispatcher afterwards. Jobs that
        arrive wait for `end_restart`: were the numbers undone, theirs would be those of other jobs.
        """
        before = self.next_seq, self._numbers
        self.next_seq, self._numbers = 1, {}
        self._epoch += 1
        self._restarted = asyncio.Event()
        return before

    def end_restart(self) -> None:
        """Accept the jobs that have arrived since `restart`: the numbers that they get are now known."""
        if self._restarted is not None:
            self._restarted.set()
        self._restarted = None

    async def enqueue(self, namespace: str, name: str, data: bytes, replay_of: str | None = None) -> Job:
        """Accept a job; it is on disk when this returns.

        Raises NotFound (unknown_namespace, unknown_queue), ShuttingDown, StorageUnavailable.
        """
        while self._restarted is not None:
            await self._restarted.wait()
        if self.is_closed:
            raise ShuttingDown("localqueue is stopping", "The job was not stored. Send it again after the restart.")
        job, epoch = self._new_job(self._active.find(namespace, name), data, replay_of), self._epoch
        small = data if len(data) <= SMALL_PAYLOAD else None

        def offer() -> None:
            if epoch == self._epoch:
                self._hub(events.Enqueued(job))
                self._dispatcher.offer(job, small)

        await self._store.insert(job, data, then=offer)
        return job

    def _new_job(self, queue: Queue, data: bytes, replay_of: str | None) -> Job:
        now, seq = self._clock.now(), self.next_seq
        self.next_seq += 1
        number = self._numbers[queue.key] = self._numbers.get(queue.key, 0) + 1
        return Job(
            seq=seq,
            id=ids.uuid7(now, ids.random_bytes(self._seed, seq)),
            namespace=queue.namespace,
            queue=queue.name,
            created_ms=now,
            due_ms=now,
            max_attempts=queue.max_attempts,
            replay_of=replay_of,
            data_size=len(data),
            number=number,
        )
