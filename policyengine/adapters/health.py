"""A small HTTP server on a thread of its own: /livez, /readyz and /metrics.

What it answers with is handed in; whether a worker lives is service.health's to say.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from types import TracebackType
from typing import Any, NamedTuple, Self

import orjson

from policyengine.errors import UsageError

_SECONDS = 5.0  # a reader that says nothing for so long is not waited for
_JSON = "application/json"
Reasons = Callable[[], Sequence[str]]
Exposed = Callable[[str], tuple[bytes, str]]


class Page(NamedTuple):
    """What a path answers with."""

    status: HTTPStatus
    content: bytes
    content_type: str = _JSON


class HealthServer:
    """Answers from when it is entered or started until it is closed.

    ``live`` and ``ready`` give every reason why not, none when all is well; ``metrics`` takes the
    reader's `Accept` and gives content and type. ``port`` 0 takes a free one: see ``address``.
    Nobody is asked who they are: bind it where only the operator's own can reach it.
    """

    def __init__(
        self, *, live: Reasons, ready: Reasons, metrics: Exposed, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        pages: dict[str, Callable[[str], Page]] = {
            "/livez": lambda _: _told("live", live()),
            "/readyz": lambda _: _told("ready", ready()),
            "/metrics": lambda accept: Page(HTTPStatus.OK, *metrics(accept)),
        }

        class Handler(_Handler):
            def __init__(self, *arguments: Any) -> None:
                self.pages = pages
                super().__init__(*arguments)

        try:
            self._server = _Server((host, port), Handler)
        except OSError as error:
            message = f"health cannot be served on {host}:{port} ({error}); choose another host or port"
            raise UsageError(message) from error
        self._thread = threading.Thread(target=self._serve, name="health", daemon=True)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        host, port = self._server.server_address[:2]
        return str(host), int(port)

    def start(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def close(self) -> None:
        """Answer what is under way, then give the port back."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _serve(self) -> None:
        self._server.serve_forever(poll_interval=0.1)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a reader that hangs does not hold up the worker's end

    def server_bind(self) -> None:
        """Bind without asking the name service what this host is called."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "", self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader that goes away in the middle is no event; anything else is told."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server_version = "policyengine"
    sys_version = ""
    timeout = _SECONDS
    pages: dict[str, Callable[[str], Page]]

    def do_GET(self) -> None:
        """Answer with a page."""
        self._answer(with_content=True)

    def do_HEAD(self) -> None:
        """Answer with what a page's headers would be."""
        self._answer(with_content=False)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the name is the base's
        """Probes come every few seconds: they are not logged."""

    def _answer(self, *, with_content: bool) -> None:
        page = self._page()
        self.send_response(page.status)
        self.send_header("Content-Type", page.content_type)
        self.send_header("Content-Length", str(len(page.content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if with_content:
            self.wfile.write(page.content)

    def _page(self) -> Page:
        make = self.pages.get(self.path.partition("?")[0])
        if make is None:
            return Page(HTTPStatus.NOT_FOUND, orjson.dumps({"pages": sorted(self.pages)}))
        try:
            return make(self.headers.get("Accept", ""))
        except Exception as error:  # noqa: BLE001 - whoever asks is told; the worker goes on
            return _told("known", [f"{type(error).__name__}: {error}"])


def _told(status: str, reasons: Sequence[str]) -> Page:
    if not reasons:
        return Page(HTTPStatus.OK, orjson.dumps({"status": status}))
    content = orjson.dumps({"status": f"not {status}", "because": list(reasons)})
    return Page(HTTPStatus.SERVICE_UNAVAILABLE, content)
