"""What scripted servers share: a free loopback port, a thread that serves, an end that waits for no answer.

A request class says what one request is answered with; it finds the server that it belongs to in `owner`.
"""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class ThreadedServer:
    """A server that runs from its making on: call `super().__init__` when all that answers need is there."""

    def __init__(self, host: str, request_class: type[BaseHTTPRequestHandler]) -> None:
        self.stopping = threading.Event()
        bound = type(f"Bound{request_class.__name__}", (request_class,), {"owner": self})
        self._server = _QuietServer((host, 0), bound)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    def stop(self) -> None:
        """Stop answering, slow answers included, and free the port."""
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is what some tests are about."""
