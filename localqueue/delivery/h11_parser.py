"""Parse a response with h11, which is pure Python and always installed."""

from __future__ import annotations

from collections.abc import Iterable

import h11

from localqueue.delivery.response_parser import HEAD_LIMIT, ResponseParser
from localqueue.delivery.transport import Headers


class H11Parser(ResponseParser):
    """The parser in pure Python."""

    def _begin(self) -> None:
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_LIMIT)
        fields = [("Host", "x"), ("Content-Length", "0")]
        self._h11.send(h11.Request(method="POST", target="/", headers=fields))
        self._h11.send(h11.EndOfMessage())

    def _parse(self, data: bytes) -> None:
        self._h11.receive_data(data)
        try:
            while not self.is_complete and self._handle(self._h11.next_event()):
                pass
        except h11.RemoteProtocolError as error:
            raise self._garbled(error) from None

    def _handle(self, event: object) -> bool:
        """Return whether the received bytes may contain more."""
        if isinstance(event, h11.InformationalResponse | h11.Response):
            self._on_head(event.status_code, _pairs(event.headers.raw_items()), is_kept_alive=True)
        elif isinstance(event, h11.Data):
            self._on_body(event.data)
        elif isinstance(event, h11.EndOfMessage):
            is_open = self._h11.their_state is h11.DONE and not self._h11.trailing_data[0]
            self._is_kept_alive = self._is_kept_alive and is_open
            self._finish()
        return event is not h11.NEED_DATA


def _pairs(items: Iterable[tuple[bytes, bytes]]) -> Headers:
    return [(bytes(name), bytes(value)) for name, value in items]
