"""Commands as bytes, as Redis reads them (https://redis.io/docs/latest/develop/reference/protocol-spec/).

hiredis takes about 200 ns for each word, also for one that never differs. What is sent most often has many of
those, so they are packed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import EllipsisType
from typing import Any, Final, TypeAlias

import hiredis

Command: TypeAlias = tuple[Any, ...] | bytes
"""The words of one command, or that command packed."""


class _Sizes(dict[int, bytes]):
    """What stands before a word of so many bytes."""

    def __missing__(self, size: int) -> bytes:
        return b"$%d\r\n" % size


_SIZES: Final = _Sizes({size: b"$%d\r\n" % size for size in range(512)})
_join: Final = b"".join


def pack(commands: Iterable[Command]) -> bytes:
    """All of them in one piece, for one send."""
    of_words: Callable[[tuple[Any, ...]], bytes] = hiredis.pack_command
    return _join([command if isinstance(command, bytes) else of_words(command) for command in commands])


def unpack(command: Command) -> tuple[Any, ...]:
    """The words of a command: bytes, if it was packed."""
    if not isinstance(command, bytes):
        return command
    reader = hiredis.Reader()
    reader.feed(command)
    return tuple(reader.gets())


def keyed(*words: str | int | EllipsisType) -> Callable[[str], bytes]:
    """What packs a command of these words. `...` stands for its key."""
    before, after = _around_gaps(words)

    def packed(key: str) -> bytes:
        given = key.encode()
        return _join((before, _SIZES[len(given)], given, after))

    return packed


def keyed_with(*words: str | int | EllipsisType) -> Callable[[str, bytes], bytes]:
    """What packs a command of these words. The first `...` stands for its key, the second for a value."""
    before, between, after = _around_gaps(words)

    def packed(key: str, value: bytes) -> bytes:
        given = key.encode()
        return _join((before, _SIZES[len(given)], given, between, _SIZES[len(value)], value, after))

    return packed


_EXPIREAT: Final = b"*3\r\n$8\r\nEXPIREAT\r\n"


def expiring(names: Iterable[str], at: int) -> list[Command]:
    """Commands that let all these keys expire at one time, in seconds."""
    when = b"%d" % at
    after = b"\r\n%b%b\r\n" % (_SIZES[len(when)], when)
    return [
        _join((_EXPIREAT, _SIZES[len(given)], given, after)) for given in [name.encode() for name in names]
    ]


def _around_gaps(words: Sequence[str | int | EllipsisType]) -> list[bytes]:
    """What is packed before, between and behind the words that are not given here."""
    pieces = [b"*%d\r\n" % len(words)]
    for word in words:
        if word is ...:
            pieces.append(b"\r\n")
        else:
            given = str(word).encode()
            pieces[-1] += b"%b%b\r\n" % (_SIZES[len(given)], given)
    return pieces
