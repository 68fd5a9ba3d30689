"""A queue for tests: start it once, reset it per test, move time instead of waiting."""

from localqueue.testing.local_queue import LocalQueue

__all__ = ["LocalQueue"]
