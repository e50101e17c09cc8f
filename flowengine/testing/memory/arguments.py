"""What commands are given, and what carries one out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from flowengine.testing.memory.keyspace import Keyspace

Args: TypeAlias = list[bytes]

Carry: TypeAlias = Callable[[Keyspace, Args], object]
"""Carries out one command and gives its reply. Raises redis.ResponseError."""


def encoded(argument: object) -> bytes:
    """An argument as a client sends it."""
    if isinstance(argument, int):
        return b"%d" % argument
    if isinstance(argument, str):
        return argument.encode()
    if isinstance(argument, float):
        return repr(argument).encode()
    if isinstance(argument, bytes | bytearray | memoryview):
        return bytes(argument)
    raise TypeError(f"Redis takes no {type(argument).__name__}")


def paged(rows: list[tuple[float, bytes]], options: Args) -> list[tuple[float, bytes]]:
    """What `LIMIT offset count` leaves of the rows."""
    if b"LIMIT" not in options:
        return rows
    at = options.index(b"LIMIT")
    offset, count = int(options[at + 1]), int(options[at + 2])
    return rows[offset:] if count < 0 else rows[offset : offset + count]


def span(start: bytes, stop: bytes, length: int) -> slice:
    """What two indexes mean, of which negative ones count from the end and the second is included."""
    first, last = int(start), int(stop)
    first = max(0, first + length) if first < 0 else first
    last = last + length if last < 0 else last
    return slice(first, max(first, last + 1))
