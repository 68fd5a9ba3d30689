"""Start each peer as a system under test."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import processes
from benchmarks.peers import install
from benchmarks.subjects import Running, Setup, Subject

HERE = Path(__file__).parent
BULLMQ, IOREDIS, FIREBASE, MINIFLARE = "6.7.0", "5.8.2", "15.34.2", "4.20260730.0"


def bullmq(scratch: Path, fsync: str) -> Subject:
    """Return BullMQ over a Redis that syncs its log `everysec` or `always`. Raises Unavailable."""
    redis = install.redis(scratch)
    modules = install.npm(scratch, "bullmq", BULLMQ, f"ioredis@{IOREDIS}")

    @contextlib.contextmanager
    def start(setup: Setup) -> Iterator[Running]:
        started, port = time.monotonic(), _free_port()
        command = [redis.command, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"]
        env = {"LD_LIBRARY_PATH": redis.libraries} if redis.libraries else {}
        with processes.running([*command, "--appendfsync", fsync, "--logfile", "redis.log"], setup.folder, env) as db:
            db.wait_listening(port)
            with _node(modules, "bullmq.mjs", setup, redis=port) as (node, found):
                yield Running(_url(found), [node.pid, db.pid], time.monotonic() - started)

    return Subject(f"BullMQ + Redis, AOF {fsync}", start)


def firebase(scratch: Path) -> Subject:
    """Return firebase-tools' emulator of Cloud Tasks. Raises Unavailable."""
    modules = install.npm(scratch, "firebase-tools", FIREBASE)

    @contextlib.contextmanager
    def start(setup: Setup) -> Iterator[Running]:
        with _node(modules, "firebase.cjs", setup, port=_free_port()) as (node, found):
            yield Running(_url(found), [node.pid], time.monotonic() - node.started, "cloud_tasks")

    return Subject("firebase-tools tasks emulator", start)


def miniflare(scratch: Path) -> Subject:
    """Return Cloudflare's local queues. Raises Unavailable."""
    modules = install.npm(scratch, "miniflare", MINIFLARE)

    @contextlib.contextmanager
    def start(setup: Setup) -> Iterator[Running]:
        with _node(modules, "miniflare.mjs", setup) as (node, found):
            yield Running(_url(found), [node.pid], time.monotonic() - node.started)

    return Subject("miniflare queues", start)


@contextlib.contextmanager
def _node(modules: Path, script: str, setup: Setup, **more: Any) -> Iterator[tuple[processes.Child, dict[str, Any]]]:
    """Run a script beside the packages it imports; yield it and the line that it says when it is ready."""
    if shutil.which("node") is None:
        raise install.Unavailable("node is not installed")
    told = {
        "target": setup.target,
        "queues": setup.queues,
        "concurrency": setup.concurrency,
        "retries": setup.retries,
        "retryDelayMs": setup.retry_delay_ms,
        **more,
    }
    shutil.copy(HERE / script, modules / script)
    command = ["node", str(modules / script), json.dumps(told)]
    with processes.running(command, setup.folder, {"NODE_ENV": "production"}) as child:
        yield child, child.line()


def _url(found: dict[str, Any]) -> str:
    return f"http://127.0.0.1:{found['port']}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
