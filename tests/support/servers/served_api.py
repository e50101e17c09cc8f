"""The real API on a free port, over an in-memory store."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import httpx
import msgspec

from flowengine.api.app import create_app
from flowengine.api.edge.connections import Connections
from flowengine.api.ports import Access, Executions
from flowengine.api.server import Server
from flowengine.api.watching.live_reader import LiveReader
from flowengine.plugin import Context, Registry, handler
from flowengine.settings import Settings
from tests.support.fake_access import FakeAccess
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


def read_answer(connection: socket.socket) -> bytes:
    """One whole answer, head and body, of a connection that may stay open."""
    received = bytearray()
    while not (head := re.match(rb"(?s).*?\r\n\r\n", received)):
        received += _more(connection)
    length = re.search(rb"content-length: (\d+)", head[0])
    while length is not None and len(received) < head.end() + int(length[1]):
        received += _more(connection)
    return bytes(received)


def _more(connection: socket.socket) -> bytes:
    chunk = connection.recv(65536)
    assert chunk, "the connection was closed before the answer was complete"
    return chunk


class ServedApi:
    """A running API: its store, a client, its port for raw connections, its keys in memory, and its reader
    for those who watch."""

    def __init__(
        self,
        port: int,
        client: httpx.Client,
        store: FakeExecutions,
        access: FakeAccess,
        server: tuple[Callable[[], None], LiveReader],
    ) -> None:
        self.stop, self.live = server
        self.port = port
        self.client = client
        self.store = store
        self.access = access

    def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """An answer, whole; of a stream, which may have no end, its head."""
        with self.client.stream(method, path, headers=headers) as answer:
            if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                answer.read()
            return answer

    def send_raw(self, data: bytes) -> bytes:
        """What the server answers to these bytes, until it closes the connection (ask it to)."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(data)
            received = bytearray()
            while chunk := connection.recv(65536):
                received += chunk
            return bytes(received)


@contextmanager
def served_api(
    settings: Settings | None = None,
    *,
    connections: Connections | None = None,
    registry: Registry | None = None,
    access: Access | None = None,
    executions: Executions | None = None,
) -> Iterator[ServedApi]:
    """Serve on 127.0.0.1 while the block runs. Without `registry` there is the handler `echo`, without
    `access` and `executions` there are those in memory."""
    store, fake = FakeExecutions(), FakeAccess()
    chosen = settings or Settings()
    app = create_app(executions or store, registry or catalog(), chosen, access or fake)
    server = Server(app, chosen, host="127.0.0.1", port=0, connections=connections)
    thread = threading.Thread(target=server.run, name="served-api")
    thread.start()
    host, port = server.address
    try:
        with httpx.Client(base_url=f"http://{host}:{port}", timeout=15, trust_env=False) as client:
            yield ServedApi(port, client, store, fake, (server.stop, app.live))
    finally:
        server.stop()
        thread.join(10)
        assert not thread.is_alive()
