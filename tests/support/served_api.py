"""The real API on a free port, over an in-memory store."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import msgspec

from flowengine.api.app import create_app
from flowengine.api.server import Server
from flowengine.plugin import Context, Registry, handler
from flowengine.settings import Settings
from tests.support.fake_executions import FakeExecutions


class Echo(msgspec.Struct):
    """Config of the handler `echo`."""

    text: str = ""


@handler("echo")
def echo(config: Echo, context: Context) -> object:
    """Returns its text."""
    return {"result": config.text}


def catalog() -> Registry:
    """A registry with the one handler `echo`."""
    registry = Registry()
    registry.collect(__import__(__name__, fromlist=["echo"]))
    return registry


class ServedApi:
    """A running API: its store, a client, and its port for raw connections."""

    def __init__(self, port: int, client: httpx.Client, store: FakeExecutions) -> None:
        self.port = port
        self.client = client
        self.store = store

    def send_raw(self, data: bytes) -> bytes:
        """What the server answers to these bytes, until it closes or falls silent after an answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            received = bytearray()
            while chunk := connection.recv(65536):
                received += chunk
            return bytes(received)


@contextmanager
def served_api(settings: Settings | None = None) -> Iterator[ServedApi]:
    """Serve on 127.0.0.1 while the block runs."""
    store = FakeExecutions()
    chosen = settings or Settings()
    server = Server(create_app(store, catalog(), chosen), chosen, host="127.0.0.1", port=0)
    thread = threading.Thread(target=server.run, name="served-api")
    thread.start()
    host, port = server.address
    try:
        with httpx.Client(base_url=f"http://{host}:{port}", timeout=15, trust_env=False) as client:
            yield ServedApi(port, client, store)
    finally:
        server.stop()
        thread.join(10)
        assert not thread.is_alive()
