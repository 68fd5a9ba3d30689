"""The platform's job queue on a laptop: same API, same delivery, same retries, one process."""

__version__ = "0.1.0"
