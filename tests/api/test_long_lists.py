"""Long lists are encoded in steps: other tasks run meanwhile."""

from __future__ import annotations

import asyncio
import json

from localqueue.api import responses
from tests.support import run_async


def test_other_tasks_run_while_a_long_list_is_encoded() -> None:
    encoded: list[int] = []
    seen: list[int] = []

    async def watch() -> None:
        while True:
            seen.append(len(encoded))
            await asyncio.sleep(0)

    def items():
        for number in range(1000):
            encoded.append(number)
            yield {"number": number}

    async def main() -> None:
        watching = asyncio.create_task(watch())
        text = await responses.encode_list(items())
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        assert json.loads(text) == [{"number": number} for number in range(1000)]
        assert set(range(100, 1000, 100)) <= set(seen)

    run_async(main())
