"""JSON values: the one alias for data whose shape is arbitrary, and its codec.

Pure: no I/O. `encode` refuses what JSON cannot carry (NaN and infinities included), so that what is
stored can always be read back by any JSON parser.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import msgspec

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[JsonValue] = msgspec.json.Decoder()


class UnencodableError(ValueError):
    """The value cannot be written as JSON; the message says where and why."""


def encode(value: object) -> bytes:
    """The value as UTF-8 JSON bytes.

    Raises UnencodableError for anything JSON cannot carry: unknown types, non-finite numbers, keys
    that are not strings, nesting beyond what the interpreter can walk.
    """
    try:
        plain = msgspec.to_builtins(value)
        _refuse_non_finite(plain)
        return _encoder.encode(plain)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise UnencodableError(str(error) or type(error).__name__) from error


def decode(data: bytes | str) -> JsonValue:
    """The JSON value of UTF-8 bytes. Raises msgspec.DecodeError."""
    return _decoder.decode(data)


def _refuse_non_finite(value: object) -> None:
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, float):
            if not math.isfinite(item):
                raise UnencodableError(f"{item!r} is not a JSON number")
        elif isinstance(item, dict):
            stack.extend(item.values())
        elif isinstance(item, (list, tuple)):
            stack.extend(item)


def pointer_to(parent: str, key: str | int) -> str:
    """The JSON pointer (RFC 6901) of a member or item of what `parent` points to."""
    return f"{parent}/{key.replace('~', '~0').replace('/', '~1') if isinstance(key, str) else key}"
