"""The error of an exchange with a service, with the code that the attempt records."""

from __future__ import annotations


class ExchangeError(Exception):
    """The reason why an exchange failed, with the stable code that the attempt records."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
