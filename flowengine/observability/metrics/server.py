"""Serves one process's metrics on a port of its own: GET /metrics and nothing else, one request at a time.

Processes of one service on one machine share a setting. Each takes the first port that is free, from the
one that it is told on: a process that takes the place of another gets the port that this one has left.
"""

from __future__ import annotations

import errno
import http.server
import socket
import socketserver
import threading
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import structlog

PORTS_TRIED: Final = 100
REQUEST_S: Final = 5.0
"""A caller that takes longer to send its request, or to take the answer, is let go."""

MetricsText: TypeAlias = Callable[[str], tuple[bytes, str]]
"""The metrics for an Accept header, and their media type."""

log = structlog.stdlib.get_logger()


def serve(text: MetricsText, host: str, port: int) -> None:
    """Serve while the process lives, on a thread of its own.

    Without a free port, or an address that can be listened on, the process goes on without and logs it.
    """
    try:
        server = _listening(text, host, port)
    except OSError as error:
        log.warning("metrics.not_served", host=host, port=port, error=str(error))
        return
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    log.info("metrics.served", host=host, port=server.server_address[1])


def _listening(text: MetricsText, host: str, port: int) -> socketserver.TCPServer:
    """The server on the first free port. Raises OSError."""
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = min(found, key=lambda item: item[0] != socket.AF_INET)
    last = min(port + PORTS_TRIED - 1, 65535)
    for tried in range(port, last + 1):
        try:
            return _server(text, family, (str(address[0]), tried))
        except OSError as error:
            if error.errno != errno.EADDRINUSE or tried == last:
                raise
    raise AssertionError("the last port was tried")


def _server(text: MetricsText, family: socket.AddressFamily, at: tuple[str, int]) -> socketserver.TCPServer:
    class Server(socketserver.TCPServer):
        address_family = family
        allow_reuse_address = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A caller that goes away is none of our errors."""

    return Server(at, _handler(text))


def _handler(text: MetricsText) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = REQUEST_S
        server_version = "FlowEngine"
        sys_version = ""

        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/metrics":
                self._answer(404, b"the metrics are at /metrics\n", "text/plain")
                return
            self._answer(200, *text(self.headers.get("Accept", "")))

        def _answer(self, status: int, body: bytes, media_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """A scrape is no event."""

    return Handler
