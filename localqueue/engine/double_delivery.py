"""Send what completes a second time, with the same jobId and attempt, and compare what the service responds."""

from __future__ import annotations

import json

from localqueue.core import events, json_body
from localqueue.core.errors import OutOfResources
from localqueue.core.models import Outcome, OutcomeKind, Queue, Request
from localqueue.engine.executor import Deliverer, Send


def differences(first: Outcome, second: Outcome) -> list[str]:
    """Return how the second outcome differs from the first, as sentences.

    A second body with `skipped: true` isn't a difference: in the platform reference, it means that the job is done.
    """
    sentences = []
    if (first.kind, first.status) != (second.kind, second.status):
        sentences.append(f"the first delivery {_ending(first)}, the second one {_ending(second)}")
    if not json_body.says(_body(second), "skipped", True) and not _is_same(_body(first), _body(second)):
        sentences.append("the bodies of the responses differ")
    return sentences


def _ending(outcome: Outcome) -> str:
    return f"got {outcome.status}" if outcome.error is None else f"failed: {outcome.error.message}"


def _is_same(first: bytes, second: bytes) -> bool:
    """Return whether two bodies say the same: the order of keys makes no difference."""
    try:
        return first == second or bool(json.loads(first) == json.loads(second))
    except (ValueError, RecursionError):
        return False


def _body(outcome: Outcome) -> bytes:
    return outcome.response.body if outcome.response is not None else b""


class DoubleDelivery:
    """The delivery under `--deliver-twice`: what completes is sent again; the result is always the first one."""

    def __init__(self, inner: Deliverer, report: events.Report) -> None:
        self._inner = inner
        self._report = report

    def begin(self, queue: Queue) -> Send:
        """Return what makes the attempt that starts now."""
        send = self._inner.begin(queue)
        if queue.is_schedule:
            return send

        async def send_twice(request: Request) -> Outcome:
            first = await send(request)
            if first.kind is OutcomeKind.COMPLETED:
                await self._send_again(queue, request, first)
            return first

        return send_twice

    async def _send_again(self, queue: Queue, request: Request, first: Outcome) -> None:
        try:
            second = await self._inner.begin(queue)(request)
        except OutOfResources as error:
            self._report(events.Warned(f"{error.message}; {queue.namespace}/{queue.name} was not delivered twice"))
            return
        if sentences := differences(first, second):
            job_id = json.loads(request.body)["jobId"]
            where = f"{queue.namespace}/{queue.name} {job_id[-8:]}"
            self._report(events.Warned(f"{where}, delivered twice: {'; '.join(sentences)} (--deliver-twice)"))
