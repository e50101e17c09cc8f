"""Where in the source each value of a document is.

Kept as one number a value, in the order in which values begin, so that a large document's positions take
8 bytes each; turned into lines and columns only for the pointers that problems name.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from itertools import islice

import msgspec

from flowengine.jsonvalue import JsonValue

_COLUMN_BITS = 32
_COLUMN_MASK = (1 << _COLUMN_BITS) - 1

Trie = dict[str, "Trie"]


class Positions:
    """Line and column of every value of one document, keys not counted, in document order."""

    __slots__ = ("_places",)

    def __init__(self) -> None:
        self._places = array("Q")

    def add(self, line: int, column: int) -> None:
        """The next value begins here (both counted from 1)."""
        self._places.append(line << _COLUMN_BITS | column & _COLUMN_MASK)

    def __len__(self) -> int:
        return len(self._places)

    def locate(self, root: JsonValue, pointers: Iterable[str]) -> dict[str, tuple[int, int]]:
        """Line and column for each pointer; what a pointer names but is not there is where its owner is."""
        wanted: Trie = {}
        for pointer in pointers:
            branch = wanted
            for token in pointer.split("/")[1:]:
                branch = branch.setdefault(token, {})
        found: dict[str, tuple[int, int]] = {}
        if self._places:
            _Walk(self._places, found).visit(root, wanted, "", 0)
        return found


class _Walk(msgspec.Struct):
    places: array[int]
    found: dict[str, tuple[int, int]]

    def visit(self, value: JsonValue, wanted: Trie, pointer: str, index: int) -> int:
        """Record what is wanted at and below `value`, the value at `index`; returns the index after it."""
        place = self.places[index]
        self.found[pointer] = (place >> _COLUMN_BITS, place & _COLUMN_MASK)
        present = set()
        after = index + 1
        for key, item in _members(value):
            token = key.replace("~", "~0").replace("/", "~1")
            if token in wanted:
                present.add(token)
                after = self.visit(item, wanted[token], f"{pointer}/{token}", after)
            else:
                after += _size(item)
        for token in wanted.keys() - present:
            self._inherit(wanted[token], f"{pointer}/{token}", self.found[pointer])
        return after

    def _inherit(self, wanted: Trie, pointer: str, place: tuple[int, int]) -> None:
        pending = [(wanted, pointer)]
        for branch, path in pending:
            self.found[path] = place
            pending.extend((branch[token], f"{path}/{token}") for token in branch)


def _members(value: JsonValue) -> Iterator[tuple[str, JsonValue]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from ((str(place), item) for place, item in enumerate(value))


def _size(value: JsonValue) -> int:
    """How many values there are in this one, itself included."""
    if not isinstance(value, dict | list):
        return 1
    total = 1
    pending: list[dict[str, JsonValue] | list[JsonValue]] = [value]
    while pending:
        container = pending.pop()
        total += len(container)
        items = container.values() if isinstance(container, dict) else islice(container, None)
        pending.extend(item for item in items if isinstance(item, dict | list))
    return total
