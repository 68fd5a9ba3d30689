"""Parse a response with httptools, which uses llhttp, Node's parser."""

from __future__ import annotations

import httptools

from localqueue.delivery.errors import ExchangeError
from localqueue.delivery.response_parser import ResponseParser
from localqueue.delivery.transport import Headers


class HttptoolsParser(ResponseParser):
    """The parser that uses llhttp, Node's parser; the fast one."""

    def _begin(self) -> None:
        self._fields: Headers = []
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(lenient_headers=True)  # odd bytes in a value are only shown to people

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if self.is_complete:
                self.is_reusable = False
            elif isinstance(error.__context__, ExchangeError):
                raise error.__context__ from None
            else:
                raise self._garbled(error) from None
        if self.is_complete:
            del self._parser  # which refers to this object, so only a garbage collection would free both

    def on_message_begin(self) -> None:
        if self.is_complete:
            self.is_reusable = False  # a second response in the same bytes

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        if self.is_complete:
            return
        fields, self._fields = self._fields, []
        self._on_head(self._parser.get_status_code(), fields, self._parser.should_keep_alive())

    def on_body(self, data: bytes) -> None:
        if not self.is_complete:
            self._on_body(data)

    def on_message_complete(self) -> None:
        if self.status and not self.is_complete:
            self._finish()
