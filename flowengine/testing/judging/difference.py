"""Where two JSON values differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from flowengine.jsonvalue import JsonValue

MISSING: Final = "(nothing)"


class Difference(msgspec.Struct, frozen=True):
    """What was expected at a place, and what was there. `node`: whose it is, if it is one's."""

    place: str
    expected: JsonValue
    actual: JsonValue
    node: str | None = None


def differences(
    place: str, expected: JsonValue, actual: JsonValue, *, partly: bool, node: str | None = None
) -> Iterator[Difference]:
    """The places where they differ. `partly`: fields that are not expected are not looked at, at any
    depth."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        fields = expected if partly else {**expected, **actual}
        for name in fields:
            below = f"{place}.{name}"
            if name not in actual:
                yield Difference(below, expected[name], MISSING, node)
            elif name not in expected:
                yield Difference(below, MISSING, actual[name], node)
            else:
                yield from differences(below, expected[name], actual[name], partly=partly, node=node)
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for at, (wanted, found) in enumerate(zip(expected, actual, strict=True)):
            yield from differences(f"{place}[{at}]", wanted, found, partly=partly, node=node)
    elif not is_same(expected, actual):
        yield Difference(place, expected, actual, node)


def is_same(one: JsonValue, other: JsonValue) -> bool:
    """Whether two values are alike as JSON: true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return one == other
