"""JSON text of unknown origin as a value, with its depth bounded. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from flowengine.jsonvalue import JsonValue, decode

# Every later reader (templates, the API, a user's own tool) walks what we accept here.
MAX_DEPTH: Final = 200

_MARKS: Final = tuple(b',:[]{}"')
_MAY_VANISH: Final = b" \t\r\n0123456789+-.eE"
_ESCAPE_SAVES: Final = len(rb"\u0041") - len(b"A")


class NotJsonError(ValueError):
    """The text is not JSON that we accept; the message says why."""


def parse_json(data: bytes | str) -> JsonValue:
    """The value. Raises NotJsonError: malformed, NaN or infinite, or nested deeper than 200."""
    try:
        value = decode(data)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise NotJsonError(str(error)) from error
    except RecursionError as error:
        raise NotJsonError(f"nested deeper than {MAX_DEPTH} levels") from error
    if _may_be_deep(data) and depth(value) > MAX_DEPTH:
        raise NotJsonError(f"nested deeper than {MAX_DEPTH} levels")
    return value


def marks(data: bytes) -> int:
    """How many brackets, commas, colons and quotes there are.

    What a document takes once it is parsed grows with them, up to 40 bytes for each, not with its length:
    `[],` is three bytes, and 64 as a list. A document of 1 MiB of them takes 42 MB.
    """
    return sum(data.count(mark) for mark in _MARKS)


def least_size(data: bytes) -> int:
    """The bytes that a JSON document takes at least when it is parsed and written again, without parsing it.

    Leaves out what may go on the way: white space, digits, and all but one byte of each escape. Only keys
    that are there twice go too and are counted.
    """
    dense = len(data.translate(None, _MAY_VANISH)) - _ESCAPE_SAVES * data.count(b"\\")
    return max(dense, marks(data))


def depth(value: object) -> int:
    """How many arrays and objects are inside one another: 0 for a scalar. Does not recurse."""
    found = 0
    level = [value] if isinstance(value, list | dict) else []
    while level:
        found += 1
        level = [item for parent in level for item in _members(parent) if isinstance(item, list | dict)]
    return found


def _members(parent: list[object] | dict[str, object]) -> Iterable[object]:
    return parent.values() if isinstance(parent, dict) else parent


def _may_be_deep(data: bytes | str) -> bool:
    if isinstance(data, bytes):
        return data.count(b"[") + data.count(b"{") > MAX_DEPTH
    return data.count("[") + data.count("{") > MAX_DEPTH
