"""Look up names without letting a name server that doesn't answer hold up anything else.

The event loop's own lookups share a few threads, and the end of the process waits for them. Here each name has a
thread of its own, which ends with the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import Any

Infos = list[tuple[Any, ...]]

_running: dict[tuple[asyncio.AbstractEventLoop, str, int], asyncio.Future[Infos]] = {}


async def look_up(host: str, port: int) -> Infos:
    """Return what `getaddrinfo` does; callers at the same time share a lookup. Raises OSError, UnicodeError."""
    loop = asyncio.get_running_loop()
    key = (loop, host, port)
    answer = _running.get(key)
    if answer is None:
        answer = loop.create_future()
        threading.Thread(target=_ask, args=(loop, answer, host, port), name=f"look up {host}", daemon=True).start()
        _running[key] = answer
        answer.add_done_callback(lambda _: _running.pop(key, None))
    return await asyncio.shield(answer)


def _ask(loop: asyncio.AbstractEventLoop, answer: asyncio.Future[Infos], host: str, port: int) -> None:
    try:
        infos, error = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), None
    except Exception as problem:  # any other one, too: nobody else would end the callers' wait
        infos, error = [], problem
    with contextlib.suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(_answer, answer, infos, error)


def _answer(answer: asyncio.Future[Infos], infos: Infos, error: Exception | None) -> None:
    if answer.done():
        return
    if error is None:
        answer.set_result(infos)
    else:
        answer.set_exception(error)
        answer.exception()  # the callers may have left
