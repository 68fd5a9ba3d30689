"""Random abuse of the fixture: whatever a test does, it costs that test alone."""

from __future__ import annotations

import pytest

from tests.testing.runner import Runner

ABUSE = """
import asyncio, os, random, sys, time, threading
import pytest

REPLIES = [
    200, 204, 500, 503, (409, {"a": 1}), "timeout", "reset",
    lambda r: None, lambda r: 7, lambda r: object(), lambda r: (200, {1, 2}), lambda r: (lambda s: 200),
    lambda r: "\\ud800", lambda r: (200, "\\ud800"), lambda r: pytest.fail("no"), lambda r: pytest.skip("no"),
    lambda r: sys.exit(3), lambda r: next(iter(())), lambda r: (_ for _ in ()).throw(KeyboardInterrupt),
    lambda r: (_ for _ in ()).throw(GeneratorExit), lambda r: (_ for _ in ()).throw(asyncio.CancelledError),
    lambda r: 1 / 0, lambda r: r.json["nothing"], lambda r: time.sleep(0.02) or 200,
]
REFUSED = [100, True, "time-out", (200, {1}), (200, object()), [200], None, 3.5]

async def raising_app(scope, receive, send):
    raise random.choice([ValueError("app"), SystemError("app"), AssertionError("app")])

def raising_wsgi(environ, start_response):
    raise ValueError("wsgi")

async def half_lifespan(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        raise OSError("shutdown")

def refuse(rng, queue):
    with pytest.raises((ValueError, TypeError)):
        queue.worker("work").replies(rng.choice(REFUSED))

ACTIONS = [
    lambda rng, queue: queue.worker(rng.choice(["work", "other"])).replies(*rng.choices(REPLIES, k=3)),
    lambda rng, queue: queue.worker("work").always(rng.choice(REPLIES)),
    refuse,
    lambda rng, queue: queue.serve(rng.choice([raising_app, raising_wsgi, half_lifespan, "http://127.0.0.1:9", 5])),
    lambda rng, queue: [queue.enqueue(rng.choice(["work", "other"]), rng.random()) for _ in range(3)],
    lambda rng, queue: queue.drain(timeout=rng.choice(["1ms", "50ms", "5s"]), raise_exceptions=rng.random() < 0.3),
    lambda rng, queue: queue.advance(rng.choice(["0s", "5s", "1d"]), timeout="2s"),
    lambda rng, queue: queue.step(timeout="2s"),
    lambda rng, queue: queue.reset(),
    lambda rng, queue: queue.client.reset(),
    lambda rng, queue: queue.configure("work", **{rng.choice(["retries", "retry", "timeoutMs"]): rng.choice([0, 100])}),
    lambda rng, queue: queue.pause("work"),
    lambda rng, queue: queue.on_time(lambda now: 1 / 0),
    lambda rng, queue: os.environ.pop("IEC_QUEUE_URL", None),
    lambda rng, queue: queue.assert_enqueued("work", rng.random()),
    lambda rng, queue: queue.jobs(rng.choice(["work", "wrk"])),
    lambda rng, queue: rng.random() < 0.2 and queue.close(),
    lambda rng, queue: rng.random() < 0.1 and pytest.fail("by itself"),
    lambda rng, queue: rng.random() < 0.1 and sys.exit(4),
]

@pytest.mark.filterwarnings("ignore::localqueue.testing.LateHandlerWarning")
@pytest.mark.parametrize("seed", range(SEEDS))
class TestAbuse:
    def test_abuse(self, localqueue, seed):
        rng = random.Random(seed)
        for action in rng.choices(ACTIONS, k=8):
            action(rng, localqueue)

    def test_good(self, localqueue, seed):
        assert os.environ["IEC_QUEUE_URL"] == localqueue.url
        localqueue.worker("work").replies(500, 200)
        job = localqueue.enqueue("work", {"seed": seed})
        assert [each.status for each in localqueue.drain()] == [500, 200]
        assert localqueue.jobs() == [localqueue.job(job)]
        assert localqueue.ledger().count("work#1") == 2
"""


@pytest.mark.parametrize("seeds", [60, pytest.param(2000, marks=pytest.mark.long)])
def test_no_test_ends_the_session_or_reaches_another_test(run: Runner, seeds: int) -> None:
    """Rule testing.isolation."""
    output, counts = run(ABUSE.replace("SEEDS", str(seeds)), "--tb=short", "-Wdefault", timeout_s=900)
    assert "INTERNALERROR" not in output
    assert "::test_good" not in output, output[-5000:]  # only failures and errors are listed
    assert counts["passed"] + counts["failed"] == 2 * seeds
    assert counts["failed"] > seeds / 2  # the abuse has an effect
