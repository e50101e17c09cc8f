"""JSON values: the one alias for data whose shape is arbitrary, and its codec.

Pure: no I/O. `encode` refuses what JSON cannot carry (NaN and infinities included), so that what is
stored can always be read back by any JSON parser. `decode` reads what we wrote, `decode_bounded` what
others wrote.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

import msgspec

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises over bytes that it cannot read: bad UTF-8 and deep nesting are no DecodeError."""

MAX_DEPTH: Final = 200
"""The deepest that text of unknown origin may be nested: every later reader of the value walks it."""

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[JsonValue] = msgspec.json.Decoder()

_BYTES: Final = (bytes, bytearray, memoryview)
_ALWAYS_FINE: Final = frozenset((str, int, bool, type(None), *_BYTES))


class UnencodableError(ValueError):
    """The value cannot be written as JSON; the message says where and why."""


class NotJsonError(ValueError):
    """The text is not JSON that we accept; the message says why."""


def encode(value: object) -> bytes:
    """The value as UTF-8 JSON bytes. Makes no copy of the value on the way.

    Raises UnencodableError for anything JSON cannot carry: unknown types, non-finite numbers, keys
    that are not text (two of them may be written alike), nesting beyond what the interpreter can walk.
    """
    try:
        data = _encoder.encode(value)
        if type(value) not in _ALWAYS_FINE:
            _refuse_what_changed(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise UnencodableError(str(error) or type(error).__name__) from error
    return data


def encode_unruly(value: object) -> bytes:
    """The same of what users' code made: whatever the value's own code raises, it is an UnencodableError."""
    try:
        return encode(value)
    except UnencodableError:
        raise
    except BaseException as error:
        raise UnencodableError(f"reading it raised {type(error).__name__}") from error


def decode(data: bytes | str) -> JsonValue:
    """The JSON value of UTF-8 bytes. Raises msgspec.DecodeError."""
    return _decoder.decode(data)


def decode_bounded(data: bytes | str) -> JsonValue:
    """The JSON value of text of unknown origin.

    Raises NotJsonError: malformed, NaN or infinite, or nested deeper than 200 levels.
    """
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


def _refuse_what_changed(value: object) -> None:
    """Raises UnencodableError for what the encoder takes but writes as something else.

    `value` has been encoded, so it does not hold itself.
    """
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, list | tuple | set | frozenset):
            members: Iterable[object] = _own_iterator(item)
        elif isinstance(item, dict):
            _refuse_keys(item)
            members = dict.values(item)
        elif isinstance(item, float):
            _refuse_infinite(item)
            continue
        else:
            members = _parts(item)
        for member in members:
            if type(member) is float:
                _refuse_infinite(member)
            elif type(member) not in _ALWAYS_FINE:
                stack.append(member)


def _own_iterator(items: list[Any] | tuple[Any, ...] | set[Any] | frozenset[Any]) -> Iterable[object]:
    """What the encoder goes by: a subclass may iterate over something else, or without end."""
    if isinstance(items, list):
        return list.__iter__(items)
    if isinstance(items, tuple):
        return tuple.__iter__(items)
    return set.__iter__(items) if isinstance(items, set) else frozenset.__iter__(items)


def _parts(item: object) -> Iterable[object]:
    """What a value that JSON does not know is made of, or what it is written as."""
    if isinstance(item, msgspec.Struct):
        return [getattr(item, name) for name in item.__struct_fields__]
    if dataclasses.is_dataclass(item):
        return [getattr(item, field.name) for field in dataclasses.fields(item)]
    if type(item) in _ALWAYS_FINE or item is msgspec.UNSET:
        return ()
    return [msgspec.to_builtins(item, builtin_types=_BYTES)]


def _refuse_infinite(number: float) -> None:
    if not math.isfinite(number):
        raise UnencodableError(f"{number!r} is not a JSON number")


def _refuse_keys(mapping: dict[object, object]) -> None:
    for key in dict.keys(mapping):
        if not isinstance(key, str):
            raise UnencodableError(
                f"an object has a key of type {type(key).__name__}, and JSON's keys are text: "
                "write it as text, str(key) for example"
            )


def pointer_to(parent: str, key: str | int) -> str:
    """The JSON pointer (RFC 6901) of a member or item of what `parent` points to."""
    return f"{parent}/{key.replace('~', '~0').replace('/', '~1') if isinstance(key, str) else key}"
