"""What `exec` remembers of a run."""

from __future__ import annotations

from localqueue.cli.run_recorder import KEPT, RunRecorder
from localqueue.core.events import AttemptEnded
from localqueue.core.models import Attempt, AttemptError, Job, JobState, Outcome, OutcomeKind, Response


def test_little_is_kept_of_the_response_to_a_failed_job() -> None:
    error = AttemptError("http_500", "the service responded 500")
    outcome = Outcome(OutcomeKind.HTTP_ERROR, 500, error, Response((("x", "h" * 9000),), b"b" * 65_536))
    attempt = Attempt(1, 1, 1, 0, 0, 5, 5, "http://localhost/work", outcome, None, "no retries", "bbb")
    job = Job(
        seq=1, id="id", namespace="shop", queue="work", created_ms=0, due_ms=0, max_attempts=1, finished=JobState.FAILED
    )
    recorder = RunRecorder()
    recorder(AttemptEnded(job, attempt))
    kept = recorder.failed[0].attempt
    assert kept.outcome.response == Response((), b"b" * KEPT)
    assert (kept.summary, kept.outcome.error) == ("bbb", error)
