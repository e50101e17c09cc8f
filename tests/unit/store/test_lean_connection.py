"""What a lean connection sends, and how it reads replies, whatever pieces they come in."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from flowengine.store.connection.sockets import LeanConnection

TAKEN = b"+OK\r\n+QUEUED\r\n+QUEUED\r\n"
RESULT = b"*2\r\n:1\r\n$5\r\nhello\r\n"


class Wire:
    """A connection, and the server's end of its socket."""

    def __init__(self) -> None:
        make: Any = LeanConnection  # redis-py leaves it untyped
        self.connection = make()
        self.connection._sock, self.server = socket.socketpair()
        self.connection._parser.on_connect(self.connection)

    def read(self, count: int, queued: int) -> list[Any]:
        """The next replies."""
        replies: list[Any] = self.connection.read_replies(count, queued)
        return replies

    def close(self) -> None:
        """Close both ends."""
        self.connection.disconnect()
        self.server.close()


@pytest.fixture
def wire() -> Iterator[Wire]:
    made = Wire()
    yield made
    made.close()


def test_transaction_in_one_piece_is_read(wire: Wire) -> None:
    """What is taken is told by its bytes; what follows is parsed."""
    wire.server.sendall(TAKEN + RESULT)
    assert wire.read(4, 2) == [b"OK", b"QUEUED", b"QUEUED", [1, b"hello"]]
    assert not wire.connection._parser._reader.has_data()


def test_transaction_that_is_alone_in_its_piece_is_read(wire: Wire) -> None:
    """EXEC's reply comes in a piece of its own."""
    wire.server.sendall(TAKEN)
    assert wire.read(3, 2) == [b"OK", b"QUEUED", b"QUEUED"]
    wire.server.sendall(RESULT)
    assert wire.read(1, 0) == [[1, b"hello"]]


@pytest.mark.parametrize("cut", [1, 5, len(TAKEN) - 1])
def test_transaction_that_is_cut_is_left_to_the_parser(wire: Wire, cut: int) -> None:
    """The first piece ends within what is taken."""
    connection, whole = wire.connection, TAKEN + RESULT
    wire.server.sendall(whole[:cut])
    assert connection._read_taken(2) == []
    wire.server.sendall(whole[cut:])
    assert wire.read(4, 2) == [b"OK", b"QUEUED", b"QUEUED", [1, b"hello"]]


def test_error_among_what_is_queued_is_a_reply(wire: Wire) -> None:
    """The bytes differ from the usual ones."""
    wire.server.sendall(b"+OK\r\n-ERR no such command\r\n+QUEUED\r\n-EXECABORT Transaction discarded\r\n")
    begun, refused, queued, aborted = wire.read(4, 2)
    assert (begun, queued) == (b"OK", b"QUEUED")
    assert isinstance(refused, redis.ResponseError)
    assert isinstance(aborted, redis.ResponseError)


def test_everything_is_sent_in_order(wire: Wire) -> None:
    """In as many pieces as it was packed in."""
    wire.connection.send_packed_command([b"one", b"two"], check_health=False)
    assert wire.server.recv(100) == b"onetwo"


def test_connection_on_which_nothing_can_be_sent_is_closed(wire: Wire) -> None:
    """A part may have been sent: nothing may follow it."""
    wire.server.close()
    with pytest.raises(redis.ConnectionError, match="writing to socket"):
        wire.connection.send_packed_command([b"one"], check_health=False)
    assert not wire.connection.is_connected


def test_lost_connection_is_an_error(wire: Wire) -> None:
    """The server closes it before it answers."""
    wire.server.close()
    with pytest.raises(redis.ConnectionError, match="closed"):
        wire.read(4, 2)
