"""What a lean connection sends, and how it reads replies, whatever pieces they come in."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from flowengine.store.connection.sockets import LeanConnection, _kernel_timed

TAKEN = b"+OK\r\n+QUEUED\r\n+QUEUED\r\n"
RESULT = b"*2\r\n:1\r\n$5\r\nhello\r\n"


class Wire:
    """A connection, and the server's end of its socket."""

    def __init__(self) -> None:
        make: Any = LeanConnection  # redis-py leaves it untyped
        self.connection = make()
        self.connection._sock, self.server = socket.socketpair()
        self.connection._sock.settimeout(5.0)
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


def test_connection_that_was_closed_gives_no_reply(wire: Wire) -> None:
    """It is not opened again: what was sent on it is gone."""
    wire.connection.disconnect()
    with pytest.raises(redis.ConnectionError, match="closed"):
        wire.read(1, 0)


def test_server_that_is_loading_counts_as_away(wire: Wire) -> None:
    """redis-py takes that reply for a lost connection."""
    wire.server.sendall(b"-LOADING Redis is loading the dataset in memory\r\n:1\r\n")
    with pytest.raises(redis.ConnectionError):
        wire.read(2, 0)


def test_replies_that_came_with_those_before_are_read_first(wire: Wire) -> None:
    """One piece may hold the replies of two reads."""
    wire.server.sendall(b":1\r\n" + TAKEN + RESULT)
    assert wire.read(1, 0) == [1]
    assert wire.read(4, 2) == [b"OK", b"QUEUED", b"QUEUED", [1, b"hello"]]


def test_bytes_of_a_transaction_before_are_not_taken_for_this_one(wire: Wire) -> None:
    """They are still in the buffer, behind a piece that is shorter."""
    wire.server.sendall(TAKEN + RESULT)
    wire.read(4, 2)
    wire.server.sendall(b"+OK")
    assert wire.connection._read_taken(2) == []
    wire.server.sendall(b"\r\n-ERR no such command\r\n+QUEUED\r\n-EXECABORT Transaction discarded\r\n")
    assert isinstance(wire.read(4, 2)[1], redis.ResponseError)


def test_what_is_not_connected_connects_before_it_sends(wire: Wire) -> None:
    """Also where no health check may come in between."""
    connection = wire.connection
    sock, connection._sock = connection._sock, None

    def connect(**_: object) -> None:
        connection._sock = sock

    connection.connect_check_health = connect
    connection.send_packed_command([b"one"], check_health=False)
    assert wire.server.recv(100) == b"one"


@pytest.mark.parametrize("asks", [True, False])
def test_idle_connection_is_checked_where_that_may_be(wire: Wire, asks: bool) -> None:
    """Between WATCH and EXEC it may not: what is checked may be opened anew."""
    connection, checks = wire.connection, []
    connection.health_check_interval, connection.next_health_check = 30, time.monotonic() - 1
    connection.check_health = lambda: checks.append("PING")
    connection.send_packed_command([b"one"], check_health=asks)
    assert (checks, wire.server.recv(100)) == (["PING"] if asks else [], b"one")


def test_connection_that_has_read_is_not_checked_for_a_while(wire: Wire) -> None:
    """Its server has just answered."""
    connection = wire.connection
    connection.health_check_interval = 30
    wire.server.sendall(b":1\r\n")
    wire.read(1, 0)
    assert connection.next_health_check > time.monotonic() + 20


def test_what_interrupts_a_send_closes_the_connection(wire: Wire) -> None:
    """Whatever it is: a part may have been sent."""

    class Interrupted:
        def __init__(self, sock: socket.socket) -> None:
            self._sock = sock

        def sendall(self, piece: bytes) -> None:
            """Send a part."""
            self._sock.sendall(piece[:1])
            raise KeyboardInterrupt

        def __getattr__(self, name: str) -> Any:
            return getattr(self._sock, name)

    wire.connection._sock = Interrupted(wire.connection._sock)
    with pytest.raises(KeyboardInterrupt):
        wire.connection.send_packed_command([b"one"], check_health=False)
    assert not wire.connection.is_connected


@pytest.mark.parametrize("name", [b"CLIENT ID", "CLIENT ID"])
def test_name_of_several_words_is_sent_as_several(wire: Wire, name: bytes | str) -> None:
    """As redis-py does."""
    wire.connection.send_command(name, check_health=False)
    assert wire.server.recv(100) == b"*2\r\n$6\r\nCLIENT\r\n$2\r\nID\r\n"


def test_system_keeps_the_time_of_a_socket() -> None:
    """Of what is sent and of what is received; Python itself keeps none."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        timed = _kernel_timed(ours, 1.5)
        assert timed.gettimeout() is None
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            assert struct.unpack("ll", timed.getsockopt(socket.SOL_SOCKET, option, 16)) == (1, 500_000)
