"""JSON text of unknown origin as a value, with its depth bounded. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from flowengine.jsonvalue import JsonValue, decode

# Every later reader (templates, the API, a user's own tool) walks what we accept here.
MAX_DEPTH: Final = 200


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
