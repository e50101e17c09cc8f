"""A server that answers with bytes as they are, for as long as anybody reads: no HTTP library writes such.

with answering(b"HTTP/1.1 200 OK\\r\\n\\r\\n", again=b"x") as url:
    ...
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def answering(
    first: bytes,
    *,
    again: bytes = b"",
    times: int | None = None,
    last: bytes = b"",
    tls: ssl.SSLContext | None = None,
) -> Iterator[str]:
    """The URL of a server that answers every request with `first`, then `again` (`times` times; None:
    until the client hangs up), then `last`, and closes the connection. With `tls` it speaks https."""
    listener = socket.create_server(("127.0.0.1", 0))
    stopping = threading.Event()

    def answer(accepted: socket.socket) -> None:
        with accepted, contextlib.suppress(OSError), _secured(accepted, tls) as connection:
            connection.recv(65536)
            connection.sendall(first)
            left = times
            while again and not stopping.is_set() and (left is None or left > 0):
                connection.sendall(again)
                left = None if left is None else left - 1
            connection.sendall(last)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http{'' if tls is None else 's'}://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        stopping.set()
        listener.close()


def _secured(connection: socket.socket, tls: ssl.SSLContext | None) -> socket.socket:
    return connection if tls is None else tls.wrap_socket(connection, server_side=True)
