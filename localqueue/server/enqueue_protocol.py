"""Respond to `POST /jobs` without the parser and without ASGI, which cost more than the work itself."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from localqueue.api.direct_enqueue import DirectEnqueue
from localqueue.server.http_protocol import PatientProtocol

HEAD_LIMIT = 2048
"""The longest head that is remembered, in bytes."""
MAX_HEADS = 1024
Heads = dict[bytes, int]
"""The length of the body that follows each head."""
_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


class KnownHeads:
    """The heads that were parsed and passed every check, by the server's address: the Host header may name that."""

    def __init__(self, direct: DirectEnqueue) -> None:
        self.direct = direct
        self._heads: dict[object, Heads] = {}

    def at(self, address: object) -> Heads:
        """Return the heads that were sent to an address."""
        return self._heads.setdefault(address, {})


class EnqueueProtocol(PatientProtocol):
    """A protocol that compares the head of a request with known ones, byte for byte, and then needs only the body.

    Everything else goes to uvicorn as it came: a new head, a body in pieces, a request behind another one. With
    h11 nothing is ever known.
    """

    def __init__(self, *arguments: Any, known: KnownHeads, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._known = known
        self._heads: Heads = {}
        self._messages = 0
        self._is_in_message = False
        self._is_responding = False
        self._is_last = False
        self._waiting = b""

    # what arrives

    def connection_made(self, transport: Any) -> None:
        """Look up the heads that are known here."""
        super().connection_made(transport)
        self._heads = self._known.at(self.server)

    def data_received(self, data: bytes) -> None:
        """Respond to a known request; hand everything else to uvicorn."""
        if self._is_responding:  # responses must keep the order of the requests
            self._waiting += data
            self.flow.pause_reading()
            return
        body = self._known_body(data)
        if body is None:
            self._parse(data)
            return
        self._unset_keepalive_if_required()
        self._is_responding = True
        task = self.loop.create_task(self._respond(body))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Respond first, if the client closed only its side."""
        if self._is_responding:
            self._is_last = True
            return True
        return super().eof_received()

    def shutdown(self) -> None:
        """Close the connection, after the response if one is due."""
        if self._is_responding:
            self._is_last = True
        else:
            super().shutdown()

    # known heads

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        self._messages += 1
        self._is_in_message = True
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """Note that a request is complete."""
        self._is_in_message = False
        super().on_message_complete()

    def _known_body(self, data: bytes) -> bytes | None:
        if not self._heads or self._is_in_message or self.flow.write_paused:
            return None
        if self.cycle is not None and not self.cycle.response_complete:
            return None
        end = data.find(b"\r\n\r\n", 0, HEAD_LIMIT) + 4
        return data[end:] if self._heads.get(data[:end]) == len(data) - end else None

    def _parse(self, data: bytes) -> None:
        messages, is_start = self._messages, not self._is_in_message
        super().data_received(data)
        if is_start and self._messages == messages + 1 and not self._is_in_message:
            self._learn(data)

    def _learn(self, data: bytes) -> None:
        """Remember the head of one whole `POST /jobs` that leaves the connection open and passes every check."""
        end = data.find(b"\r\n\r\n", 0, HEAD_LIMIT) + 4
        length = len(data) - end
        lengths = [value for name, value in self.headers if name == b"content-length"]
        is_usual = self.scope["method"] == "POST" and self.url == b"/jobs" and lengths == [b"%d" % length]
        if not is_usual or not self.cycle.keep_alive or self.expect_100_continue:
            return
        if self._known.direct.admits(dict(self.scope), length):
            if len(self._heads) >= MAX_HEADS:
                self._heads.clear()
            self._heads[data[:end]] = length

    # responses

    async def _respond(self, body: bytes) -> None:
        try:
            status, rest = await self._known.direct.respond(body)
        except BaseException:  # the stop doesn't wait any longer
            self.transport.close()
            raise
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        lines = [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        if self._is_last and not self._waiting:
            rest = rest.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1)
        self.transport.write(b"".join([_STATUS_LINES[status], *lines, rest]))
        self._continue()

    def _continue(self) -> None:
        """Handle what has arrived meanwhile, or close the connection."""
        self._is_responding = False
        waiting, self._waiting = self._waiting, b""
        self.flow.resume_reading()
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)
        if waiting:
            self.data_received(waiting)
        if self._is_last and not self._is_responding and not super().eof_received():
            self.transport.close()
