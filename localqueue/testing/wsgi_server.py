"""Run a WSGI app with a thread for each request."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Callable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from localqueue.core import clock
from localqueue.testing.late_threads import GRACE_S, interrupt

POLL_S = 0.005


class WsgiServer:
    """A WSGI app on a free port."""

    def __init__(self, app: Any, on_exception: Callable[[BaseException], None]) -> None:
        self._app, self._on_exception = app, on_exception
        self._running: dict[int, str] = {}
        self._server = _Server(("127.0.0.1", 0), _QuietHandler)
        self._server.set_app(self._called)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(POLL_S,), name="localqueue-service", daemon=True
        )
        self._thread.start()

    def stop(self) -> list[str]:
        """Stop the app, and return the requests whose handlers were cut off."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        clock.wait_until(lambda: not self._server.has_running, GRACE_S)
        late = dict(self._running)
        interrupt(late)
        return list(late.values())

    def _called(self, environ: Any, start_response: Any) -> Any:
        ident = threading.get_ident()
        self._running[ident] = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
        try:
            return self._app(environ, start_response)
        except Exception as error:
            self._on_exception(error)
            raise
        finally:
            self._running.pop(ident, None)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._request_threads: list[threading.Thread] = []

    @property
    def has_running(self) -> bool:
        """Return whether a request is still running."""
        self._request_threads = [thread for thread in self._request_threads if thread.is_alive()]
        return bool(self._request_threads)

    def process_request(self, request: Any, client_address: Any) -> None:
        thread = threading.Thread(target=self._process, args=(request, client_address), daemon=True)
        self._request_threads = [*(thread for thread in self._request_threads if thread.is_alive()), thread]
        thread.start()

    def _process(self, request: Any, client_address: Any) -> None:
        with contextlib.suppress(SystemExit):  # an interrupted handler
            self.process_request_thread(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing: exceptions of the app are reported, and a queue may disconnect at any time."""


class _QuietHandler(WSGIRequestHandler):
    def get_stderr(self) -> Any:
        return io.StringIO()

    def log_message(self, *_: Any) -> None:
        """Log nothing."""
