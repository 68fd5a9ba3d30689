"""Post jobs straight to the worker with one `httpx.AsyncClient`: a script without a queue."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator

import httpx

from benchmarks import jobs, loops


async def post_all(client: httpx.AsyncClient, numbers: Iterator[int], queue: str, statuses: Counter[int]) -> None:
    """Post jobs one after another until all are sent."""
    for n in numbers:
        path, body = jobs.delivery(n, queue, 0)
        answer = await client.post(path, content=body, headers={"Content-Type": "application/json"})
        statuses[answer.status_code] += 1


async def main() -> None:
    """Post `count` jobs with several tasks at once, and print the result."""
    found = loops.told()
    numbers, statuses = iter(range(found["first"], found["first"] + found["count"])), Counter[int]()
    async with httpx.AsyncClient(base_url=found["url"], trust_env=False) as client:
        first = time.monotonic()
        posts = (post_all(client, numbers, found["queues"][0], statuses) for _ in range(found["connections"]))
        await asyncio.gather(*posts)
        loops.say(first=first, last=time.monotonic(), statuses=statuses, sent=[])


if __name__ == "__main__":
    loops.run(main())
