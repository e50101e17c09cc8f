"""What a node says while its handler runs: lines, how far it is, text that it sends on. Pure data, as stored.

The newest are kept, within bounds for a node and for an execution.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

NODE_LINES: Final = 1000
NODE_BYTES: Final = 256 * 1024
EXECUTION_BYTES: Final = 16 * 1024 * 1024
"""What is kept of the lines of one node, and of one execution."""

LINE_WEIGHT: Final = NODE_BYTES // NODE_LINES
"""A line counts as so many bytes at least: one number then keeps both bounds of a node."""

ENTRY_LINES: Final = 100
ENTRY_BYTES: Final = 32 * 1024
"""What one entry of the stream holds at most, one long line aside."""

LIVE_ENTRIES: Final = 1000
TEXT_CHARS: Final = 500
"""Progress and text: so many entries are kept, each of so little text that they take 1 MiB at most."""

Source: TypeAlias = Literal["log", "stdout", "stderr"]
Field: TypeAlias = str | int | float | bool | None


class Line(msgspec.Struct, frozen=True, array_like=True):
    """One line. `at` in milliseconds since the epoch. `level` and `fields`: of what was logged."""

    at: int
    source: Source
    level: str | None
    message: str
    fields: dict[str, Field] = {}


class Lines(msgspec.Struct, frozen=True, array_like=True):
    """An entry of the stream of lines: some lines of one delivery of a node."""

    node: str
    run: int
    attempt: int
    delivery: int
    lines: tuple[Line, ...]


class Progress(msgspec.Struct, frozen=True, array_like=True, tag="progress"):
    """How far a node is: `done` of `total`, where that is known."""

    node: str
    run: int
    attempt: int
    at: int
    done: float
    total: float | None = None
    message: str | None = None


class Text(msgspec.Struct, frozen=True, array_like=True, tag="text"):
    """A piece of the text that a node sends on. `cut`: some of the text before it was dropped."""

    node: str
    run: int
    attempt: int
    at: int
    text: str
    cut: bool = False


Live: TypeAlias = Progress | Text


class Said(msgspec.Struct, frozen=True):
    """What a delivery of a node has said since it was last written down.

    `lines`: each a Line as JSON. `dropped`: how many lines more there were.
    """

    execution: str
    node: str
    run: int
    attempt: int
    delivery: int
    lines: tuple[bytes, ...] = ()
    dropped: int = 0
    live: tuple[Live, ...] = ()


_lines = msgspec.json.Decoder(Lines)
_live = msgspec.json.Decoder(Live)
_encode = msgspec.json.Encoder().encode


def weight_of(lines: tuple[bytes, ...]) -> int:
    """What lines count towards the bound of their node."""
    return sum(max(len(line), LINE_WEIGHT) for line in lines)


def entries_of(said: Said) -> list[tuple[bytes, tuple[bytes, ...]]]:
    """The entries of the stream that hold the lines: each as it is stored, and its lines."""
    found: list[tuple[bytes, tuple[bytes, ...]]] = []
    begun: list[bytes] = []
    size = 0
    for line in said.lines:
        if begun and (len(begun) == ENTRY_LINES or size + len(line) > ENTRY_BYTES):
            found.append(_entry(said, begun))
            begun, size = [], 0
        begun.append(line)
        size += len(line)
    if begun:
        found.append(_entry(said, begun))
    return found


def _entry(said: Said, lines: list[bytes]) -> tuple[bytes, tuple[bytes, ...]]:
    head = _encode([said.node, said.run, said.attempt, said.delivery])
    return b"%b,[%b]]" % (head[:-1], b",".join(lines)), tuple(lines)


def decode_lines(data: bytes) -> Lines:
    """An entry of the stream of lines. Raises msgspec.DecodeError."""
    return _lines.decode(data)


def encoded_lines(lines: Lines) -> tuple[bytes, ...]:
    """The lines as they were written: for their weight."""
    return tuple(_encode(line) for line in lines.lines)


def encode_live(live: Live) -> bytes:
    """As it is stored."""
    return _encode(live)


def decode_live(data: bytes) -> Live:
    """An entry of the stream of progress and text. Raises msgspec.DecodeError."""
    live: Live = _live.decode(data)
    return live
