"""The plugins and frameworks with which the fixture is known to work, each with a test that uses both."""

from __future__ import annotations

from dataclasses import dataclass

SYNC = """
def test_one(localqueue):
    localqueue.worker("work").replies(500, 200)
    job = localqueue.enqueue("work", {"a": 1})
    assert [each.status for each in localqueue.drain()] == [500, 200]
    assert localqueue.job(job).state == "completed"

def test_two(localqueue):
    assert localqueue.jobs() == []
"""
SERVED = """
def test_one(localqueue):
    localqueue.serve(app)
    localqueue.enqueue("work", {"a": 1})
    localqueue.drain()
    localqueue.assert_enqueued("other", {"a": 1}, count=1)
    assert [job.state for job in localqueue.jobs()] == ["completed", "completed"]

def test_two(localqueue):
    localqueue.serve(app)
    localqueue.enqueue("other")
    assert len(localqueue.drain()) == 1
"""
ENQUEUE = """
import json, os, urllib.request

def enqueue(queue, data):
    body = json.dumps({"namespace": os.environ["SERVICE_NAMESPACE"], "queue": queue, "data": data}).encode()
    request = urllib.request.Request(os.environ["IEC_QUEUE_URL"] + "/jobs", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request).close()
"""
DJANGO = (
    ENQUEUE
    + """
from django.conf import settings
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x", DEBUG=False)
import django
django.setup()
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

@csrf_exempt
def handle(request, queue):
    if queue == "work":
        enqueue("other", json.loads(request.body)["data"])
    return HttpResponse(status=204)

urlpatterns = [path("<str:queue>", handle)]
"""
)


@dataclass(frozen=True)
class Case:
    """A run of pytest with plugins and options; two tests pass in it."""

    code: str
    plugins: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    passed: int = 2


CASES = {
    "pytest-asyncio, strict": Case(
        """
import pytest

@pytest.mark.asyncio
async def test_one(localqueue):
    localqueue.worker("work").replies(500, 200)
    localqueue.enqueue("work")
    assert len(await localqueue.drain_async()) == 2

@pytest.mark.asyncio
async def test_two(localqueue):
    assert await localqueue.advance_async("1s") == []
""",
        ("pytest_asyncio.plugin",),
        ("-oasyncio_mode=strict", "-oasyncio_default_fixture_loop_scope=function"),
    ),
    "pytest-asyncio, auto": Case(
        """
async def test_one(localqueue):
    localqueue.worker("work").replies(200)
    localqueue.enqueue("work")
    assert len(await localqueue.step_async()) == 1

async def test_two(localqueue):
    assert localqueue.jobs() == []
""",
        ("pytest_asyncio.plugin",),
        ("-oasyncio_mode=auto", "-oasyncio_default_fixture_loop_scope=function"),
    ),
    "anyio, on asyncio and trio": Case(
        """
import pytest

@pytest.mark.anyio
async def test_one(localqueue, anyio_backend):
    localqueue.worker("work").replies(500, 200)
    localqueue.enqueue("work")
    assert len(await localqueue.drain_async()) == 2
""",
        ("anyio.pytest_plugin",),
    ),
    "pytest-xdist, load": Case(SYNC, ("xdist.plugin",), ("-n2", "--dist=load")),
    "pytest-xdist, loadfile": Case(SYNC, ("xdist.plugin",), ("-n2", "--dist=loadfile")),
    "pytest-xdist, worksteal": Case(SYNC, ("xdist.plugin",), ("-n2", "--dist=worksteal")),
    "pytest-randomly": Case(SYNC, ("pytest_randomly",), ("-prandom",)),
    "pytest-timeout": Case(
        """
import threading, pytest

@pytest.mark.xfail(strict=True)
@pytest.mark.timeout(0.5, func_only=True)  # the start of the server is not counted
def test_hangs(localqueue):
    localqueue.worker("work").replies(lambda _: threading.Event().wait(0.9) or 200)
    localqueue.enqueue("work")
    localqueue.drain()
"""
        + SYNC,
        ("pytest_timeout",),
        ("--timeout=30", "-Wignore::UserWarning"),
    ),
    "pytest-cov": Case(SYNC, ("pytest_cov.plugin",), ("--cov=.", "--cov-report=")),
    "pytest-rerunfailures": Case(
        """
RUNS = []

def test_one(localqueue):
    RUNS.append(len(localqueue.jobs()))
    localqueue.enqueue("work")
    assert len(RUNS) == 2

def test_two(localqueue):
    assert RUNS == [0, 0]
""",
        ("pytest_rerunfailures",),
        ("--reruns=1",),
    ),
    "pytest-django": Case(
        DJANGO
        + """
from django.core.wsgi import get_wsgi_application
app = get_wsgi_application()

def test_settings(localqueue, settings):
    settings.DEBUG = True
"""
        + SERVED,
        ("pytest_django.plugin",),
        passed=3,
    ),
    "pytest-httpx": Case(
        """
import httpx, pytest

def test_mocked(localqueue, httpx_mock):
    httpx_mock.add_response(url="http://elsewhere/", text="mocked")
    localqueue.worker("work").always(lambda _: 200 if httpx.get("http://elsewhere/").text == "mocked" else 500)
    localqueue.enqueue("work")
    assert [each.status for each in localqueue.drain()] == [200]

@pytest.mark.xfail(strict=True)
def test_report(localqueue, httpx_mock):
    localqueue.enqueue("work")
    assert False
"""
        + SYNC,
        ("pytest_httpx",),
        passed=3,
    ),
    "respx": Case(
        """
import httpx, respx

@respx.mock
def test_mocked(localqueue):
    respx.get("http://elsewhere/").respond(text="mocked")
    localqueue.worker("work").always(lambda _: 200 if httpx.get("http://elsewhere/").text == "mocked" else 500)
    localqueue.enqueue("work")
    assert [each.status for each in localqueue.drain()] == [200]
"""
        + SYNC,
        passed=3,
    ),
    "responses": Case(
        """
import requests, responses

@responses.activate
def test_mocked(localqueue):
    responses.get("http://elsewhere/", body="mocked")
    localqueue.worker("work").always(lambda _: 200 if requests.get("http://elsewhere/").text == "mocked" else 500)
    localqueue.enqueue("work")
    assert [each.status for each in localqueue.drain()] == [200]
"""
        + SYNC,
        passed=3,
    ),
    "vcrpy": Case(
        """
import vcr

@vcr.use_cassette("cassette.yaml", record_mode="none")
def test_recorded(localqueue):
    localqueue.worker("work").replies(500, 200)
    localqueue.enqueue("work")
    assert [each.status for each in localqueue.drain()] == [500, 200]
"""
        + SYNC,
        passed=3,
    ),
    "pytest-socket, --allow-hosts=127.0.0.1": Case(
        ENQUEUE
        + """
from flask import Flask, request
app = Flask("shop")

@app.post("/<queue>")
def handle(queue):
    if queue == "work":
        enqueue("other", request.get_json()["data"])
    return "", 204
"""
        + SERVED,
        ("pytest_socket",),
        ("--allow-hosts=127.0.0.1",),
    ),
    "freezegun": Case(
        """
import datetime, time, pytest
from freezegun import freeze_time

@freeze_time("2030-01-01")
def test_frozen(localqueue):
    with pytest.raises(AssertionError, match="expected 1 job within 50ms, got 0"):
        localqueue.wait_for(1, timeout="50ms")
    localqueue.worker("work").replies("timeout", 200)
    localqueue.enqueue("work")
    assert len(localqueue.drain()) == 2
    assert localqueue.ledger().splitlines()[1].startswith("+35.000s")

def test_moving_along(localqueue):
    with freeze_time("2030-01-01") as frozen:
        localqueue.on_time(frozen.move_to)
        seen = []
        localqueue.worker("work").always(lambda _: seen.append(datetime.datetime.now()) or 500)
        localqueue.configure("work", retries=1)
        localqueue.enqueue("work")
        localqueue.drain()
        assert [each.isoformat() for each in seen] == ["2026-01-01T00:00:00", "2026-01-01T00:00:05"]
"""
        + SYNC,
        passed=4,
    ),
    "time-machine": Case(
        """
import datetime, pytest, time_machine

@time_machine.travel("2030-01-01", tick=False)
def test_frozen(localqueue):
    with pytest.raises(AssertionError, match="expected 1 job within 50ms, got 0"):
        localqueue.wait_for(1, timeout="50ms")

def test_moving_along(localqueue):
    with time_machine.travel("2030-01-01", tick=False) as traveller:
        localqueue.on_time(traveller.move_to)
        seen = []
        localqueue.worker("work").always(lambda _: seen.append(datetime.datetime.now(datetime.UTC)) or 500)
        localqueue.configure("work", retries=1)
        localqueue.enqueue("work")
        localqueue.drain()
        assert [(each.second, each.year) for each in seen] == [(0, 2026), (5, 2026)]
"""
        + SYNC,
        passed=4,
    ),
    "unittest": Case(
        """
import unittest, pytest

class Claims(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def use(self, localqueue):
        self.queue = localqueue

    def test_one(self):
        self.queue.worker("work").replies(500, 200)
        self.queue.enqueue("work")
        self.assertEqual(len(self.queue.drain()), 2)

    def test_two(self):
        self.assertEqual(self.queue.jobs(), [])
"""
    ),
    "Django, WSGI": Case(
        DJANGO + "from django.core.wsgi import get_wsgi_application\napp = get_wsgi_application()\n" + SERVED
    ),
    "Django, ASGI": Case(
        DJANGO + "from django.core.asgi import get_asgi_application\napp = get_asgi_application()\n" + SERVED
    ),
    "Litestar": Case(
        ENQUEUE
        + """
from typing import Any
from litestar import Litestar, post

@post("/{queue:str}", sync_to_thread=True, status_code=204)
def handle(queue: str, data: dict[str, Any]) -> None:
    if queue == "work":
        enqueue("other", data["data"])

app = Litestar([handle])
"""
        + SERVED
    ),
    "aiohttp": Case(
        ENQUEUE
        + """
import asyncio, threading, pytest
from aiohttp import web

async def handle(request):
    if request.path == "/work":
        await asyncio.to_thread(enqueue, "other", (await request.json())["data"])
    return web.Response(status=204)

@pytest.fixture(scope="module")
def url():
    loop, up, found = asyncio.new_event_loop(), threading.Event(), []
    async def start():
        service = web.Application()
        service.router.add_post("/{queue}", handle)
        runner = web.AppRunner(service)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        found.append(runner)
        up.set()
    loop.create_task(start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    up.wait(10)
    yield f"http://127.0.0.1:{found[0].addresses[0][1]}"
    asyncio.run_coroutine_threadsafe(found[0].cleanup(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
"""
        + SERVED.replace("(localqueue)", "(localqueue, url)").replace("serve(app)", "serve(url)")
    ),
    "gunicorn": Case(
        """
import socket, subprocess, sys, pytest

SERVICE = '''
import json, os, urllib.request

def app(environ, start_response):
    body = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    if environ["PATH_INFO"] == "/work":
        job = json.dumps({"namespace": "shop", "queue": "other", "data": body["data"]}).encode()
        url = os.environ["IEC_QUEUE_URL"] + "/jobs"
        urllib.request.urlopen(urllib.request.Request(url, job, {"Content-Type": "application/json"})).close()
    start_response("204 No Content", [])
    return []
'''

@pytest.fixture(scope="session")
def url(localqueue_url, tmp_path_factory):
    folder = tmp_path_factory.mktemp("service")
    (folder / "service.py").write_text(SERVICE)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        descriptor = listener.fileno()
        command = [sys.executable, "-m", "gunicorn", f"--bind=fd://{descriptor}", "--chdir", str(folder), "service:app"]
        process = subprocess.Popen(command, pass_fds=[descriptor], stderr=subprocess.DEVNULL)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        process.terminate()
        process.wait(30)
"""
        + SERVED.replace("(localqueue)", "(localqueue, url)").replace("serve(app)", "serve(url)")
    ),
}
QUICK = ("pytest-xdist, load", "unittest")
"""Those that need only packages of the virtual environment: they run in the default suite."""
