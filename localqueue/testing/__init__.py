"""A queue for tests: start it once, reset it per test, move time instead of waiting."""

from localqueue.core.errors import ClientError
from localqueue.core.explanations import Explanation
from localqueue.testing.late_threads import LateHandlerWarning
from localqueue.testing.local_queue import LocalQueue
from localqueue.testing.replies import Reply
from localqueue.testing.results import Attempt, EndedAttempt, Failure, Job, JobState, Outcome, Response
from localqueue.testing.stub_workers import StubWorker
from localqueue.testing.worker_request import WorkerRequest

__all__ = [
    "Attempt",
    "ClientError",
    "EndedAttempt",
    "Explanation",
    "Failure",
    "Job",
    "JobState",
    "LateHandlerWarning",
    "LocalQueue",
    "Outcome",
    "Reply",
    "Response",
    "StubWorker",
    "WorkerRequest",
]
