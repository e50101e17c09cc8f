"""Where in a JSON text a JSON pointer points. Knows nothing of workflows.

JSON parsers do not say where a value stood, and an editor jumps to lines, not to pointers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import TypeAlias

Position: TypeAlias = tuple[int, int]

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}:,]|[^\s\[\]{}:,"]+', re.DOTALL)


def locate(text: str, pointers: Collection[str]) -> dict[str, Position]:
    """Line and column, from 1, of each RFC 6901 pointer's value; ones that do not exist are left out.

    `text` must be valid JSON: anything else gives wrong answers, but no error.
    """
    wanted = set(pointers)
    offsets: dict[str, int] = {}
    if not wanted:
        return {}
    open_ones: list[_Container] = []
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark in "]}":
            if open_ones:
                open_ones.pop()
        elif mark in ":,":
            if open_ones:
                open_ones[-1].advance(mark)
        elif open_ones and open_ones[-1].awaits_key:
            open_ones[-1].key = _unquote(mark)
        else:
            pointer = "".join(container.step for container in open_ones)
            if pointer in wanted:
                offsets.setdefault(pointer, token.start())
            if mark in "[{":
                open_ones.append(_Container(is_object=mark == "{"))
    return {pointer: _position(text, offset) for pointer, offset in offsets.items()}


class _Container:
    """An array or object that is being read."""

    def __init__(self, *, is_object: bool) -> None:
        self.is_object = is_object
        self.awaits_key = is_object
        self.key = ""
        self._index = 0

    @property
    def step(self) -> str:
        name = self.key if self.is_object else str(self._index)
        return "/" + name.replace("~", "~0").replace("/", "~1")

    def advance(self, mark: str) -> None:
        if mark == ",":
            self._index += 1
            self.awaits_key = self.is_object
        else:
            self.awaits_key = False


def _unquote(mark: str) -> str:
    try:
        return str(json.loads(mark, strict=False))
    except ValueError:
        return mark


def _position(text: str, offset: int) -> Position:
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)
