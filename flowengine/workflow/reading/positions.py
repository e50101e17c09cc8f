"""Where in the source each value of a document begins.

Kept as one number a value, in the order in which values begin, so that a large document's positions take
8 bytes each. They become lines and columns only for the pointers that problems name.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final

import msgspec

from flowengine.jsonvalue import JsonValue, pointer_to

_CONTAINERS: Final = (dict, list)
_CHUNK: Final = 65_536
_CONTINUATIONS: Final = bytes(range(0x80, 0xC0))

Place = tuple[int, int]
Trie = dict[str, "Trie"]


class Positions:
    """Where every value of one document begins, keys not counted, in document order.

    The parser appends to `marks`. `places_of` turns marks into lines and columns, which count from 1; it gets
    all marks at once, so that it goes through the source once.
    """

    __slots__ = ("_places_of", "marks")

    def __init__(self, places_of: Callable[[Collection[int]], dict[int, Place]]) -> None:
        self.marks = array("Q")
        self._places_of = places_of

    def locate(self, root: JsonValue, pointers: Iterable[str]) -> dict[str, Place]:
        """Line and column for each pointer. A pointer to what is not there has the place of its owner."""
        wanted: Trie = {}
        for pointer in pointers:
            branch = wanted
            for token in pointer.split("/")[1:]:
                branch = branch.setdefault(token.replace("~1", "/").replace("~0", "~"), {})
        found: dict[str, int] = {}
        if self.marks:
            _Walk(self.marks, found).visit(root, wanted, "", 0)
        places = self._places_of(found.values())
        return {pointer: places[mark] for pointer, mark in found.items()}


def places_of(source: bytes, offsets: Iterable[int]) -> dict[int, Place]:
    """Line and column, counted from 1, of bytes of UTF-8 text. Columns count characters.

    Goes through the source once, however many offsets there are.
    """
    places: dict[int, Place] = {}
    line, column, done = 1, 1, 0
    for offset in sorted(set(offsets)):
        start = source.rfind(b"\n", done, offset) + 1
        if start:
            line += source.count(b"\n", done, offset)
            column, done = 1, start
        column += characters(source, done, offset)
        done = offset
        places[offset] = line, column
    return places


def characters(source: bytes, start: int, end: int) -> int:
    """How many characters UTF-8 text has between two bytes.

    Counts in pieces and decodes nothing: a whole document as text may take four times its bytes.
    """
    return sum(
        len(source[place : min(place + _CHUNK, end)].translate(None, _CONTINUATIONS))
        for place in range(start, end, _CHUNK)
    )


class _Walk(msgspec.Struct):
    """One walk over a document, which counts values as it goes and keeps the marks that are wanted."""

    marks: array[int]
    found: dict[str, int]

    def visit(self, value: JsonValue, wanted: Trie, pointer: str, index: int) -> int:
        """Record what is wanted at and below `value`, the value at `index`; returns the index after it."""
        self.found[pointer] = self.marks[index]
        present = set()
        after = index + 1
        for key, item in _members(value):
            if key in wanted:
                present.add(key)
                after = self.visit(item, wanted[key], pointer_to(pointer, key), after)
            else:
                after += _size(item) if isinstance(item, _CONTAINERS) else 1
        for key in wanted.keys() - present:
            self._inherit(wanted[key], pointer_to(pointer, key), self.found[pointer])
        return after

    def _inherit(self, wanted: Trie, pointer: str, mark: int) -> None:
        pending = [(wanted, pointer)]
        for branch, path in pending:
            self.found[path] = mark
            pending.extend((branch[key], pointer_to(path, key)) for key in branch)


def _members(value: JsonValue) -> Iterator[tuple[str, JsonValue]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from ((str(place), item) for place, item in enumerate(value))


def _size(value: dict[str, JsonValue] | list[JsonValue]) -> int:
    """How many values there are in this one, itself included."""
    total = 1
    pending: list[dict[str, JsonValue] | list[JsonValue]] = [value]
    while pending:
        container = pending.pop()
        total += len(container)
        items = container.values() if isinstance(container, dict) else container
        pending.extend(item for item in items if isinstance(item, _CONTAINERS))
    return total
