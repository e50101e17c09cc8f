"""How much a node keeps in memory until it is reported, roughly: what it reads, and what was made of it."""

from __future__ import annotations

from typing import Final

from flowengine.engine.ports import Start
from flowengine.jsonvalue import JsonValue

_PER_VALUE: Final = 50
"""What Python takes for a value besides its characters."""


def kept_bytes(start: Start, config: JsonValue) -> int:
    """Of a node that began with this, and whose handler was given this."""
    given = start.given
    texts = (*start.inputs.values(), given.inputs, given.vars, given.outcome, given.outputs)
    return sum(len(text) for text in texts if text is not None) + _bytes_of(config)


def _bytes_of(config: JsonValue) -> int:
    size, left = 0, [config]
    while left:
        value = left.pop()
        size += _PER_VALUE
        if isinstance(value, str):
            size += len(value)
        elif isinstance(value, dict):
            size += sum(map(len, value))
            left.extend(value.values())
        elif isinstance(value, list):
            left.extend(value)
    return size
