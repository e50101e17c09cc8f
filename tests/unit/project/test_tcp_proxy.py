"""The proxy of the soak breaks connections in the ways that it says."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from collections.abc import Iterator
from unittest import mock

import pytest

from tests.support.servers.tcp_proxy import TcpProxy, _Link, _Side, proxying
from tests.support.waiting import wait_until

RNG = random.Random(0)


class Echo:
    """A server that answers each request with the same bytes, and keeps them."""

    def __init__(self) -> None:
        self.received = bytearray()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            while True:
                try:
                    data = connection.recv(65536)
                    self.received += data
                    connection.sendall(data)
                except OSError:
                    return
                if not data:
                    return

    def close(self) -> None:
        """Accept no more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    """A server to put the proxy before."""
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[TcpProxy]:
    """The proxy."""
    with proxying(echo.port) as started:
        yield started


@pytest.fixture
def client(proxy: TcpProxy) -> Iterator[socket.socket]:
    """A connection through the proxy that has carried one exchange."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as connection:
        assert exchanged(connection, b"hello") == b"hello"
        yield connection


def exchanged(connection: socket.socket, data: bytes) -> bytes:
    """The reply to this, or no bytes if the connection ends or stays silent."""
    try:
        connection.sendall(data)
        return connection.recv(65536)
    except (ConnectionError, TimeoutError):
        return b""


def test_a_cut_ends_the_connection_and_not_the_next_one(proxy: TcpProxy, client: socket.socket) -> None:
    """The client notices at once. A new connection works."""
    assert proxy.cut(1.0, RNG) == 1
    assert exchanged(client, b"again") == b""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as other:
        assert exchanged(other, b"new") == b"new"


def test_a_dropped_reply_is_one_whose_request_was_served(
    proxy: TcpProxy, client: socket.socket, echo: Echo
) -> None:
    """The server has done it; the client sees the connection end."""
    assert proxy.drop_replies(1.0, RNG, silent=False) == 1
    assert exchanged(client, b"do it") == b""
    assert echo.received == b"hellodo it"


def test_a_silent_connection_serves_and_never_answers(
    proxy: TcpProxy, client: socket.socket, echo: Echo
) -> None:
    """It stays open; only the client's own time limit ends the wait."""
    client.settimeout(0.2)
    assert proxy.drop_replies(1.0, RNG, silent=True) == 1
    assert exchanged(client, b"do it") == b""
    wait_until(lambda: echo.received == b"hellodo it")
    proxy.heal()
    client.settimeout(5)
    assert exchanged(client, b"again") == b""


def test_half_a_request_reaches_the_server(proxy: TcpProxy, client: socket.socket, echo: Echo) -> None:
    """Then both sides are cut."""
    assert proxy.halve_requests(1.0, RNG) == 1
    assert exchanged(client, b"12345678") == b""
    wait_until(lambda: echo.received == b"hello1234", what="half of it")


def test_a_stall_holds_everything_up_and_loses_nothing(
    proxy: TcpProxy, client: socket.socket, echo: Echo
) -> None:
    """Old and new connections wait; afterwards all arrives."""
    assert proxy.stall() == 1
    client.settimeout(0.2)
    assert exchanged(client, b"later") == b""
    assert echo.received == b"hello"
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as other:
        other.sendall(b"!")
        proxy.go_on()
        client.settimeout(5)
        assert client.recv(100) == b"later"
        assert other.recv(100) == b"!"


def test_a_server_side_that_comes_too_late_is_ended(echo: Echo) -> None:
    """Its client left while the proxy was still connecting. Nobody else would close it."""
    with proxying(echo.port) as proxy:
        late = mock.Mock(spec=asyncio.Transport)
        _Side(proxy, _Link(), is_client=False).connection_made(late)
    late.abort.assert_called_once_with()
