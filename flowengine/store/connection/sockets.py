"""Connections to Redis that cost less than redis-py's own. They decide nothing.

Python keeps a socket's timeout by asking poll() before each send and each receive, and lets go of the
interpreter lock around that too: half of all system calls of a busy process, and most of the fights over
the lock. SO_RCVTIMEO and SO_SNDTIMEO (socket(7)) promise the same without. TLS is left as it is.
"""

from __future__ import annotations

import socket
import struct
import sys
import time
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

import hiredis
import redis
from redis._parsers.hiredis import NOT_ENOUGH_DATA
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection

from flowengine.observability.metrics import counted
from flowengine.store.connection.packing import Command, pack

_BEGUN: Final = b"+OK\r\n"
_QUEUED: Final = b"+QUEUED\r\n"

_pack_again: Final = lru_cache(maxsize=64)(hiredis.pack_command)
"""For what a consumer sends again and again with the same words: it has many of them."""


class _Counted:
    """Mixed into redis-py's connections: counts how often something is sent."""

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Send what is packed already."""
        counted.ROUND_TRIPS.add()
        connection: Any = super()
        connection.send_packed_command(command, check_health=check_health)


class _Lean(_Counted):
    """Mixed into redis-py's connections. What times out raises redis.ConnectionError."""

    socket_timeout: float | None
    health_check_interval: int
    next_health_check: int
    _parser: Any  # redis-py's, untyped

    def _connect(self) -> socket.socket:
        connect: Any = super()
        return _kernel_timed(connect._connect(), self.socket_timeout)

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Send what is packed already.

        redis-py's own is asked only to connect, or to check health: it takes twice as long as what is left.
        """
        connection: Any = self
        sock = connection._sock
        if sock is None or (check_health and time.monotonic() > self.next_health_check):
            super().send_packed_command(command, check_health)
            return
        counted.ROUND_TRIPS.add()
        try:
            for piece in command:
                sock.sendall(piece)
        except BaseException as error:
            # A part of it may have been sent.
            connection.disconnect()
            if isinstance(error, OSError):
                raise redis.ConnectionError(f"Error while writing to socket: {error.args}") from error
            raise

    def send_command(self, *args: Any, **options: Any) -> None:
        """Send one command. If its name is bytes, no reshaping is looked for in it."""
        if type(args[0]) is bytes and b" " not in args[0]:
            pack_words = _pack_again if args[0] == b"XREADGROUP" else hiredis.pack_command
            self.send_packed_command([pack_words(args)], check_health=options.get("check_health", True))
            return
        connection: Any = super()
        connection.send_command(*args, **options)

    def pack_commands(self, commands: Iterable[Command]) -> list[bytes]:
        """All of them in one piece, for one send."""
        return [pack(commands)]

    def read_replies(self, count: int, queued: int = 0) -> list[Any]:
        """The next replies; an error reply is among them as a value.

        As redis-py's `read_response` so many times, whose checks of each reply take longer than to parse it.
        `queued`: the first are those to MULTI and to so many commands.
        """
        parser = self._parser
        if parser._reader is None:
            raise redis.ConnectionError("the connection was closed")
        parse, incomplete = parser._reader.gets, NOT_ENOUGH_DATA
        taken: list[Any] = self._read_taken(queued) if queued else []
        replies: list[Any] = []
        for _ in range(count - len(taken)):
            reply = parse()
            while reply is incomplete:
                parser.read_from_socket()
                reply = parse()
            replies.append(reply)
        if not are_plain(replies):
            for reply in replies:
                if isinstance(reply, redis.ConnectionError):
                    raise reply
        self.next_health_check = int(time.monotonic()) + self.health_check_interval
        return taken + replies if taken else replies

    def _read_taken(self, queued: int) -> list[Any]:
        """The replies to MULTI and to so many commands that are queued, told by their bytes: none is parsed.

        Empty if they are others, do not come in one piece, or do not come any more: then they are left to the
        parser.
        """
        parser = self._parser
        if parser._reader.has_data():
            return []
        try:
            size = parser._sock.recv_into(parser._buffer)
        except OSError as error:
            raise redis.ConnectionError(f"Error while reading from socket: {error.args}") from error
        usual = _BEGUN + _QUEUED * queued
        is_usual = parser._buffer.startswith(usual, 0, size)
        start = len(usual) if is_usual else 0
        if start < size:
            parser._reader.feed(parser._buffer, start, size - start)
        return [b"OK", *[b"QUEUED"] * queued] if is_usual else []


_PLAIN: Final = frozenset((bytes, int, list, type(None)))


def are_plain(replies: Iterable[Any]) -> bool:
    """Whether none of these replies can be an error: most often none is, and to ask each takes longer."""
    return _PLAIN.issuperset(map(type, replies))


class LeanConnection(_Lean, Connection):
    """Over TCP."""


class LeanUnixConnection(_Lean, UnixDomainSocketConnection):
    """Over a socket in the file system."""


class CountedTlsConnection(_Counted, SSLConnection):
    """Over TLS."""


_LEAN: dict[type, type] = {
    Connection: LeanConnection,
    UnixDomainSocketConnection: LeanUnixConnection,
    SSLConnection: CountedTlsConnection,
}


def make_lean(client: redis.Redis) -> redis.Redis:
    """The same client, which opens lean connections from now on."""
    pool = client.connection_pool
    pool.connection_class = _LEAN.get(pool.connection_class, pool.connection_class)
    return client


def _kernel_timed(sock: socket.socket, timeout_s: float | None) -> socket.socket:
    if timeout_s is None or sys.platform == "win32":
        return sock
    seconds = int(timeout_s)
    timeval = struct.pack("ll", seconds, int((timeout_s - seconds) * 1_000_000))
    sock.settimeout(None)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)
    return sock
