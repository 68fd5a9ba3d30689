"""Read damaged and deep bodies of responses: each failed attempt gets one line that can be stored."""

from __future__ import annotations

import random

from localqueue.core.models import AttemptError, Outcome, OutcomeKind, Response
from localqueue.core.summaries import LONGEST, summarize
from localqueue.engine.double_delivery import differences
from tests.campaigns.inputs import mutated

BODIES = [
    b'{"error": {"code": 7, "message": "no policy"}, "message": "other", "success": false}',
    b'{"detail": [{"loc": ["body"], "msg": "field required"}], "errors": ["first", {"title": "\\u00e9"}]}',
    b"<!DOCTYPE html><html><head><title>Error</title></head><body><pre>Error: no database<br> at x</pre></body>",
    b'Traceback (most recent call last):\n  File "app.py", line 7, in handle\n    pay()\nValueError: no policy\n',
    b"TypeError: Cannot read properties\n    at handle (/app/claims.js:12:9)\n",
]
NESTS = [(b"[", b"]"), (b'{"error":', b"}"), (b'{"message":[', b"]}"), (b"[[],", b"]"), (b"<pre>", b"</pre>")]


def bodies(count: int, seed: int) -> str:
    """Summarize `count` bodies, every tenth of them nested, and compare each with the one before it."""
    rng, before, deepest = random.Random(seed), _outcome(b""), 0
    for number in range(count):
        levels = 2 ** rng.randint(0, 13) if number % 10 == 0 else 0
        outcome = _outcome(hard_body(rng, levels))
        summary = summarize(outcome)
        assert summary is not None and len(summary.encode().decode()) <= LONGEST, outcome
        assert not differences(outcome, outcome)
        differences(before, outcome)
        before, deepest = outcome, max(deepest, levels)
    return f"{count:,} bodies, up to {deepest:,} levels deep, no exception"


def hard_body(rng: random.Random, levels: int) -> bytes:
    """Return a damaged body at this many levels of nesting."""
    opening, closing = rng.choice(NESTS)
    return opening * levels + mutated(rng, rng.choice(BODIES)) + closing * levels


def _outcome(body: bytes) -> Outcome:
    error = AttemptError("http_500", "the service responded 500")
    return Outcome(OutcomeKind.HTTP_ERROR, 500, error, Response((("content-type", "text/plain"),), body, False))
