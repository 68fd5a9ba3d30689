"""A constant 201 for every `POST /jobs`: the limit of the same stack without a queue."""

from __future__ import annotations

import asyncio
import json

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks import loops
from localqueue.server import sockets

ANSWER = json.dumps({"id": "0198c1c2-7c1e-7000-8000-000000000000"}).encode()


async def enqueue(request: Request) -> Response:
    """Read and discard the body."""
    await request.body()
    return Response(ANSWER, 201, media_type="application/json")


async def main() -> None:
    """Serve until killed, under the product's own server settings."""
    sockets.raise_file_limit()
    listeners = sockets.bind(None, 0)
    app = Starlette(routes=[Route("/jobs", enqueue, methods=["POST"])])
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=sockets.BACKLOG,
    )
    serving = asyncio.create_task(uvicorn.Server(config).serve(sockets=listeners))
    loops.say(url=f"http://127.0.0.1:{listeners[0].getsockname()[1]}")
    await serving


if __name__ == "__main__":
    loops.run(main())
